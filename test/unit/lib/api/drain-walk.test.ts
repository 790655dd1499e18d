import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Director, type VirtualServiceSpec } from '../../../../lib/index.js'
import { FakeKernel } from '../../../support/fake-kernel.js'

const key = { vip: '192.0.2.1', port: 80, protocol: 'tcp' } as const
const NAMES = ['198.51.100.1', '198.51.100.2', '198.51.100.3'] as const
type Name = typeof NAMES[number]

/** What is promised: what is declared, and who was drained by an operator. */
interface Model { scheduler: string; readonly servers: Map<Name, { weight: number; drain: boolean }>; readonly drained: Set<Name> }

const FALLBACK: Readonly<Record<string, string>> = { sh: 'sh sh-fallback', mh: 'mh mh-fallback', dh: 'lblc' }
const isOut = ({ servers, drained }: Model, name: Name): boolean => drained.has(name) || servers.get(name)!.drain
const promised = (model: Model): string => {
  const { servers, scheduler } = model, names = [...servers.keys()]
  const settings = names.some(name => isOut(model, name)) ? FALLBACK[scheduler] ?? scheduler : scheduler
  return [settings, ...names.map(name => `${name}w${isOut(model, name) ? 0 : servers.get(name)!.weight}`).sort()].join(' ')
}
const specOf = ({ scheduler, servers }: Model): VirtualServiceSpec => ({
  ...key, scheduler, realServers: [...servers].map(([address, { weight, drain }]) => ({ address, weight, ...drain && { drain } })),
})

const table = async (director: Director): Promise<string> => (await director.get(key)).map(({ scheduler, schedulerFlags, realServers }) =>
  [scheduler, ...schedulerFlags, ...realServers.map(({ address, weight }) => `${address}w${weight}`).sort()].join(' ')).join()

interface World { readonly kernel: FakeKernel; readonly director: Director; readonly model: Model }
const verb = (name: string, run: (world: World) => Promise<unknown>) => ({ name, run })

const name = fc.constantFrom(...NAMES), weight = fc.integer({ min: 1, max: 9 }), scheduler = fc.constantFrom('sh', 'dh', 'mh', 'rr')
const apply = async ({ director, model }: World): Promise<void> => (await director.plan([specOf(model)], { prune: true, force: true })).apply()
const declare = (model: Model, servers: readonly (readonly [Name, number, boolean])[], scheduler: string): void => {
  model.scheduler = scheduler
  model.servers.clear()
  for (const [address, weight, drain] of servers) model.servers.set(address, { weight, drain })
  for (const address of model.drained) if (!model.servers.has(address)) model.drained.delete(address)
}
const declaration = fc.uniqueArray(fc.tuple(name, weight, fc.constantFrom(false, false, true)), { selector: ([name]) => name })

const verbs = fc.oneof(
  fc.tuple(declaration, scheduler).map(([servers, scheduler]) => verb(`declare ${JSON.stringify(servers)} ${scheduler}`, async world => {
    declare(world.model, servers, scheduler)
    await apply(world)
  })),
  name.map(address => verb(`drain ${address}`, async ({ director, model }) => {
    if (!model.servers.has(address)) { await expect(director.drain(key, address, { force: true })).rejects.toMatchObject({ code: 'missing' }); return }
    await director.drain(key, address, { force: true })
    model.drained.add(address)
  })),
  name.map(address => verb(`undrain ${address}`, async ({ director, model }) => {
    const code = !model.drained.has(address) && !model.servers.get(address)?.drain ? 'missing' : model.servers.get(address)!.drain ? 'declared' : undefined
    if (code) { await expect(director.undrain(key, address)).rejects.toMatchObject({ code }); return }
    await director.undrain(key, address)
    model.drained.delete(address)
  })),
  name.map(address => verb(`undrain ${address} while the service is gone`, async world => {
    const { director, kernel, model } = world
    kernel.ipvs.services.clear()
    if (!model.servers.get(address)?.drain) {
      await director.undrain(key, address)
      model.drained.delete(address)
    }
    await apply(world)
  })),
  fc.tuple(name, weight).map(([address, weight]) => verb(`change ${address} to ${weight}`, async ({ director, model }) => {
    const server = model.servers.get(address)
    if (!server || server.drain) return
    await director.changeRealServer(key, { address, weight })
    server.weight = weight
  })),
  fc.tuple(name, weight).map(([address, weight]) => verb(`add ${address}`, async ({ director, model }) => {
    const adding = director.addRealServer(key, { address, weight })
    if (model.servers.has(address)) { await expect(adding).rejects.toMatchObject({ code: 'EEXIST' }); return }
    await adding
    model.servers.set(address, { weight, drain: false })
  })),
  name.map(address => verb(`remove ${address}`, async ({ director, model }) => {
    const removing = director.removeRealServer(key, address)
    if (!model.servers.has(address)) { await expect(removing).rejects.toMatchObject({ code: 'ENOENT' }); return }
    await removing
    model.servers.delete(address)
    model.drained.delete(address)
  })),
  scheduler.map(scheduler => verb(`scheduler ${scheduler}`, async ({ director, model }) => {
    await director.changeService({ ...key, scheduler })
    model.scheduler = scheduler
  })),
  fc.tuple(declaration, scheduler).map(([servers, scheduler]) => verb(`apply ${JSON.stringify(servers)} ${scheduler} and revert`, async ({ director, model }) => {
    const other: Model = { ...model, servers: new Map(model.servers), drained: new Set() }
    // The removal of a drained server ends its drain, which its return does not begin again.
    declare(other, [...servers, ...[...model.drained].filter(name => !servers.some(([other]) => other === name)).map(name => [name, 3, false] as const)], scheduler)
    const plan = await director.plan([specOf(other)], { prune: true, force: true })
    await plan.apply()
    await plan.revert()
  })),
  fc.tuple(declaration, scheduler, name, fc.boolean()).map(([servers, scheduler, address, out]) => verb(`plan ${JSON.stringify(servers)} ${scheduler}, ${out ? 'drain' : 'undrain'} ${address}, apply`, async ({ director, model }) => {
    const other: Model = { ...model, servers: new Map(model.servers), drained: new Set() }
    declare(other, servers, scheduler)
    const plan = await director.plan([specOf(other)], { prune: true, force: true })
    if (out && model.servers.has(address)) {
      await director.drain(key, address, { force: true })
      model.drained.add(address)
    } else if (!out && model.drained.has(address) && !model.servers.get(address)!.drain) {
      await director.undrain(key, address)
      model.drained.delete(address)
    }
    await plan.apply()
    // A plan that changes nothing knows nothing of what was declared.
    if (!plan.empty) declare(model, servers, scheduler)
  })),
  name.map(address => verb(`another program edits ${address}`, async world => {
    for (const { dests } of world.kernel.ipvs.services.values()) {
      for (const [name, dest] of dests) if (dest.addr === address) { if (dest.weight === 0) dest.weight = 4; else dests.delete(name) }
    }
    await apply(world)
  })),
)

describe('200 walks through the verbs of two directors', () => {
  it('end as promised after each step', async () => {
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(fc.nat(1), verbs), { maxLength: 12 }), async steps => {
      const kernel = new FakeKernel()
      const directors = [await Director.open({ openSocket: kernel.open }), await Director.open({ openSocket: kernel.open })]
      const model: Model = { scheduler: 'sh', servers: new Map(NAMES.map(name => [name, { weight: 5, drain: false }])), drained: new Set() }
      await apply({ kernel, director: directors[0]!, model })
      const trace: string[] = []
      for (const [who, { name, run }] of steps) {
        const director = directors[who]!
        trace.push(name)
        await run({ kernel, director, model })
        expect(await table(director), trace.join('; ')).toBe(promised(model))
        expect(`${await director.plan([specOf(model)], { prune: true, force: true })}`, trace.join('; ')).toBe('')
      }
      for (const director of directors) await director.close()
    }), { numRuns: 200 })
  }, 60_000)
})
