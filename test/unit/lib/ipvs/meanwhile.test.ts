import { beforeEach, describe, expect, it } from 'vitest'
import { Director, formatRules, PlanError, type VirtualServiceSpec } from '../../../../lib/index.js'
import { FakeKernel } from '../../../support/fake-kernel.js'

let kernel: FakeKernel
let director: Director
/** Another program's edits. */
let other: Director
/** The messages that the director sent. */
let sent = 0
beforeEach(async () => {
  kernel = new FakeKernel()
  director = await Director.open({ openSocket: kernel.open })
  other = await Director.open({ openSocket: kernel.open })
  kernel.wrong.onSend = datagram => { for (let at = 0; at + 16 <= datagram.length; at += datagram.readUInt32LE(at) + 3 & ~3) sent++ }
})

const key = { vip: '192.0.2.1', port: 80, protocols: ['tcp'] } as const
const id = { vip: '192.0.2.1', port: 80, protocol: 'tcp' } as const
const address = (i: number): string => `10.1.${i >> 8}.${i & 255}`
const web = (count: number, weight: number): VirtualServiceSpec =>
  ({ ...key, scheduler: 'rr', realServers: Array.from({ length: count }, (_, i) => ({ address: address(i), weight })) })
const table = async (): Promise<string[]> => formatRules(await other.list()).split('\n').toSorted()

const apply = async (spec: VirtualServiceSpec): Promise<void> => (await director.plan([spec], { force: true })).apply()
const counting = async (task: () => Promise<void>): Promise<number> => {
  sent = 0
  await task()
  return sent
}

describe('a service that is flushed between plan and apply', () => {
  it.each([['changes', 1], ['additions', 0]])('comes back at twice the cost of the %s', async (_, present) => {
    const count = 300
    await apply(web(present * count, 1))
    const plain = await counting(async () => (await director.plan([web(count, 2)])).apply())
    await director.flush()
    await apply(web(present * count, 1))
    const flushed = await counting(async () => {
      const plan = await director.plan([web(count, 2)])
      await other.flush()
      await plan.apply()
      expect(plan.failed).toEqual([])
    })
    expect(flushed).toBeLessThan(2 * plain + 10)
    expect((await director.plan([web(count, 2)])).empty).toBe(true)
  })

  it('comes back once where its steps are many groups, and with the real servers that had no step', async () => {
    const count = 3000
    const half = web(count, 1), spec = { ...half, realServers: half.realServers.map((server, i) => ({ ...server as object, address: address(i), weight: i % 2 ? 2 : 1 })) }
    await apply(half)
    const plan = await director.plan([spec])
    let flushed = false
    const cost = await counting(() => plan.apply({
      progress: () => {
        if (flushed) return
        flushed = true
        kernel.ipvs.services.clear()
      },
    }))
    expect((await director.plan([spec])).empty).toBe(true)
    expect(cost).toBeLessThan(1500 + 3000 + 500)
  })
  it('comes back once while it is made', async () => {
    const plan = await director.plan([web(3000, 1)])
    let flushed = false
    const cost = await counting(() => plan.apply({
      progress: () => {
        if (flushed) return
        flushed = true
        kernel.ipvs.services.clear()
      },
    }))
    expect((await director.plan([web(3000, 1)])).empty).toBe(true)
    expect(cost).toBeLessThan(2 * 3000)
  })
})

describe('revert', () => {
  it('restores what a step found that should have added it', async () => {
    await other.addService({ ...key, port: 81, realServers: [] })
    const plan = await director.plan([web(3, 1), { ...key, port: 82, realServers: ['10.1.0.9'] }])
    await other.addService({ ...web(0, 1), scheduler: 'lc', realServers: [{ address: address(0), weight: 7 }, { address: address(2), weight: 1 }] })
    await other.addService({ ...key, port: 82, realServers: ['10.1.0.9'] })
    const found = await table()
    await plan.apply()
    expect((await director.plan([web(3, 1)])).empty).toBe(true)
    expect(await table()).not.toEqual(found)
    await plan.revert()
    expect(await table()).toEqual(found)
    await plan.apply()
    await plan.revert()
    expect(await table()).toEqual(found)
  })

  it('adds nothing that was gone before, and removes what came in its place', async () => {
    await apply(web(4, 1))
    const plan = await director.plan([{ ...web(2, 5), scheduler: 'wrr' }], { prune: true, force: true })
    await other.removeRealServer(id, address(0)) // planned to be changed
    await other.removeRealServer(id, address(3)) // planned to be removed
    const found = await table()
    await plan.apply()
    expect((await director.list())[0]!.realServers).toHaveLength(2)
    await plan.revert()
    expect(await table()).toEqual(found)

    await other.flush()
    await plan.apply()
    await plan.revert()
    expect(await table()).toEqual([''])
  })

  it('puts back what others removed since, with all real servers of a service', async () => {
    await apply(web(3, 1))
    const before = await table()
    const plan = await director.plan([{ ...web(1, 4), scheduler: 'wrr' }], { prune: true, force: true })
    for (const undo of [() => other.flush(), () => other.removeRealServer(id, address(0))]) {
      await plan.apply()
      await undo()
      await plan.revert()
      expect(await table()).toEqual(before)
    }
    const weights = await director.plan([web(1, 4)])
    await weights.apply()
    await other.flush()
    await weights.revert()
    expect(await table()).toEqual(before)
  })

  it('of an addition that has gone is done', async () => {
    const plan = await director.plan([web(3, 1)])
    await plan.apply()
    await other.flush()
    await plan.revert()
    expect([plan.done, await table()]).toEqual([0, ['']])
  })

  it('goes on after a failure where it is asked to, and tries it again', async () => {
    await apply({ ...web(1, 1), scheduler: 'wrr' })
    await apply({ ...key, port: 81, realServers: [] })
    const before = await table()
    const plan = await director.plan([web(1, 2), { ...key, port: 81, scheduler: 'lc', realServers: [] }])
    await plan.apply()
    kernel.ipvs.missing.add('wrr')
    const error: unknown = await plan.revert({ onFailure: 'continue' }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(PlanError)
    expect((error as PlanError).message).toMatch('step 1 of 3 failed: ipvsadm -E -t 192.0.2.1:80 -s rr: cannot change virtual service tcp 192.0.2.1:80: the kernel has no scheduler "wrr"')
    expect(plan.applied).toEqual((error as PlanError).failed.map(({ step }) => step))
    kernel.ipvs.missing.clear()
    await plan.revert()
    expect(await table()).toEqual(before)
  })
})

describe('close()', () => {
  it.each(['stop', 'continue'] as const)('ends an apply in progress, with onFailure %s; a later apply goes on', async onFailure => {
    const plan = await director.plan([web(3000, 1)])
    let groups = 0
    await expect(plan.apply({ onFailure, progress: () => { if (++groups === 1) void director.close() } }))
      .rejects.toMatchObject({ code: 'ECANCELED', message: 'the connection was closed' })
    expect([groups, plan.done, plan.failed]).toEqual([1, 1024, []])
  })
})
