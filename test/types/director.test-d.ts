import { describe, expectTypeOf, it } from 'vitest'
import type {
  ApplyOptions, ConnectionFilter, Director, DirectorSpec, DrainOptions, DrainProgress, Plan, PlanOptions, RealServer, TableChange, VirtualServiceSpec,
} from '../../lib/index.js'

declare const director: Director

describe('plans', () => {
  it('take services, or all of a director', () => {
    expectTypeOf<VirtualServiceSpec[]>().toExtend<Parameters<Director['plan']>[0]>()
    expectTypeOf<DirectorSpec>().toExtend<Parameters<Director['plan']>[0]>()
    expectTypeOf<ReturnType<Director['plan']>>().resolves.toEqualTypeOf<Plan>()
    // @ts-expect-error a spec without real servers is none
    void director.plan([{ vip: '192.0.2.1', port: 80, protocols: ['tcp'] }])
    // @ts-expect-error it is an owner, not owners
    void director.plan([], { owners: '192.0.2.0/24' })
    expectTypeOf<PlanOptions['owner']>().extract<(...args: never) => unknown>().returns.toBeBoolean()
    expectTypeOf<NonNullable<ApplyOptions['onFailure']>>().toEqualTypeOf<'stop' | 'continue'>()
  })
})

describe('operating', () => {
  it('a drain takes no weight, and tells connections as numbers', () => {
    expectTypeOf<ReturnType<RealServer['drain']>>().resolves.toEqualTypeOf<DrainProgress>()
    expectTypeOf<Director['drain']>().returns.resolves.toEqualTypeOf<DrainProgress>()
    expectTypeOf<ReturnType<Director['drain']>['out']>().toEqualTypeOf<Promise<void>>()
    expectTypeOf<DrainProgress['activeConnections']>().toBeNumber()
    // @ts-expect-error UDP flows move or finish
    const options: DrainOptions = { udp: 'drop' }
    expectTypeOf(options).toBeObject()
  })

  it('what changed is told apart by its action and its server', () => {
    const change = {} as TableChange
    if (change.action === 'traffic' && change.server) expectTypeOf(change.before).toHaveProperty('activeConnections')
    if (change.action === 'add') expectTypeOf(change.before).toEqualTypeOf<undefined>()
    for (const service of [] as ConnectionFilter['service'][]) expectTypeOf(service).not.toBeAny()
  })
})
