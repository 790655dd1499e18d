import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Director, VirtualService, type VirtualServiceSpec } from '../../../../lib/index.js'
import { FakeKernel } from '../../../support/fake-kernel.js'

let kernel: FakeKernel
let director: Director
const open = (): Promise<Director> => Director.open({ openSocket: kernel.open })
beforeEach(async () => {
  kernel = new FakeKernel()
  director = await open()
})
afterEach(() => director.close())

const [A, B, C] = ['198.51.100.1', '198.51.100.2', '198.51.100.3'] as const
const key = { vip: '192.0.2.1', port: 80, protocol: 'tcp' } as const
const specOf = (more: object = {}, of: object = {}): VirtualServiceSpec =>
  ({ vip: key.vip, port: key.port, protocols: ['tcp'], scheduler: 'sh', realServers: [{ address: A, weight: 5, ...of }, B, C], ...more }) as unknown as VirtualServiceSpec
const web = specOf()
const apply = async (spec = web, on = director): Promise<void> => (await on.plan([spec], { prune: true, force: true })).apply()
const planned = async (spec = web, on = director): Promise<string> => `${await on.plan([spec], { prune: true, force: true })}`
const handle = async (spec = web, on = director) => (await VirtualService.open(spec, { director: on })).realServer(A)

/** The scheduler with its flags, and the weights of the real servers by the end of their address. */
const table = async (id: Parameters<Director['get']>[0] = key): Promise<string> => (await director.get(id)).map(({ scheduler, schedulerFlags, realServers }) =>
  [scheduler, ...schedulerFlags, ...realServers.toSorted((a, b) => a.address < b.address ? -1 : 1).map(({ address, weight }) => `${address.at(-1)!}w${weight}`)].join(' ')).join('; ')
const AS_DECLARED = 'sh 1w5 2w1 3w1', DRAINED = 'sh sh-fallback 1w0 2w1 3w1'

/** Another program: edits the table in the kernel's back. */
const entry = () => [...kernel.ipvs.services.values()][0]!
const foreign = (address: string, change: object): void => { for (const dest of entry().dests.values()) if (dest.addr === address) Object.assign(dest, change) }
const remove = (address: string): void => { for (const [name, dest] of entry().dests) if (dest.addr === address) entry().dests.delete(name) }
const busy = (connections = 3): void => foreign(A, { activeConns: connections })
/** A drain that waits for connections. */
async function waiting(options: object = {}, on = director) {
  busy()
  const draining = (await handle(web, on)).drain(options)
  const ended = draining.then(() => 'resolved', (error: unknown) => (error as { code?: string }).code ?? error)
  await draining.out
  return { draining, ended }
}

describe('a drain is not forgotten', () => {
  beforeEach(async () => {
    await apply()
    await (await handle()).drain()
    expect(await table()).toBe(DRAINED)
  })

  it('by an addition that the kernel refuses', async () => {
    await expect(director.addRealServer(key, A)).rejects.toMatchObject({ code: 'EEXIST' })
    await apply()
    expect(await table()).toBe(DRAINED)
  })

  it.each<[verb: string, run: (signal: AbortSignal) => Promise<void>]>([
    ['flush', signal => director.flush({ signal })],
    ['removeService', signal => director.removeService(key, { signal })],
    ['removeRealServer', signal => director.removeRealServer(key, A, { signal })],
    ['remove of the service', async signal => (await VirtualService.open(web, { director })).remove({ signal })],
    ['remove of the real server', async signal => (await handle()).remove({ signal })],
  ])('by an aborted %s', async (_, run) => {
    await expect(run(AbortSignal.abort(new Error('no')))).rejects.toThrow('no')
    await apply()
    expect(await table()).toBe(DRAINED)
  })

  it('by another director, or another service', async () => {
    await using other = await open()
    expect(await planned(web, other)).toBe('')
    await apply(specOf({}, { weight: 7 }), other)
    expect(await table()).toBe(DRAINED)
    await (await handle(web, other)).undrain()
    expect(await table()).toBe('sh 1w7 2w1 3w1') // what was declared last
  })

  it('when every director is closed', async () => {
    await director.close()
    director = await open()
    expect(await planned()).toBe('')
    await director.changeService({ ...key, scheduler: 'mh' })
    expect(await table()).toBe('mh mh-fallback 1w0 2w1 3w1')
    await director.undrain(key, A)
    expect(await table()).toBe('mh 1w5 2w1 3w1')
  })

  it('by a service that is gone, unless undrained meanwhile', async () => {
    kernel.ipvs.services.clear()
    await apply()
    expect(await table()).toBe(DRAINED)
    kernel.ipvs.services.clear()
    await (await handle()).undrain()
    await apply()
    expect(await table()).toBe(AS_DECLARED)
  })

  it('by a weight that is set meanwhile, which counts afterwards', async () => {
    await (await handle()).setWeight(9)
    expect(await table()).toBe(DRAINED)
    await (await handle()).undrain()
    expect(await table()).toBe('sh 1w9 2w1 3w1')
  })
})

describe('what a drain set aside comes back when the last one ends', () => {
  it.each<[how: string, end: () => Promise<void>, left: string]>([
    ['undrain', async () => (await handle()).undrain(), '1w5 2w1 3w1'],
    ['removal by a plan', () => apply(specOf({ realServers: [B, C] })), '2w1 3w1'],
    ['Director.removeRealServer', () => director.removeRealServer(key, A), '2w1 3w1'],
    ['remove', async () => (await handle()).remove(), '2w1 3w1'],
    ['addRealServer of a server that another program removed', async () => {
      remove(A)
      await director.addRealServer(key, { address: A, weight: 4 })
    }, '1w4 2w1 3w1'],
  ])('by %s', async (_, end, left) => {
    for (const [scheduler, out] of [['sh', 'sh sh-fallback'], ['dh', 'lblc']] as const) {
      const spec = specOf({ scheduler })
      await apply(spec)
      await (await handle(spec)).drain()
      await director.drain(key, B)
      expect(await table()).toBe(`${out} 1w0 2w0 3w1`)
      await director.undrain(key, B)
      expect(await table()).toBe(DRAINED.replace('sh sh-fallback', out))
      const web = { ...spec, realServers: _.includes('plan') ? [B, C] : spec.realServers } as VirtualServiceSpec
      await (_.includes('plan') ? apply(web) : end())
      expect(await table()).toBe(`${scheduler} ${left}`)
    }
  })

  it('and the scheduler of another program stays', async () => {
    await apply()
    await (await handle()).drain()
    entry().service.schedName = 'rr'
    entry().flags = 0
    await (await handle()).undrain()
    expect(await table()).toBe('rr 1w5 2w1 3w1')
  })

  it('after a restart too, not before', async () => {
    await apply()
    for (const address of [A, B]) await director.drain(key, address)
    director.ipvs.overrides.clear() // as a restart
    const service = await VirtualService.open(web, { director })
    await service.realServer(A).undrain()
    expect(await table()).toBe('sh sh-fallback 1w5 2w0 3w1')
    await service.realServer(B).undrain()
    expect(await table()).toBe(AS_DECLARED)
  })

  it('with the service itself', async () => {
    await apply()
    await (await handle()).drain()
    await director.removeService(key)
    await apply()
    expect(await table()).toBe(AS_DECLARED)
  })
})

describe('a drain that fails half', () => {
  const both = specOf({ protocols: ['tcp', 'udp'], onePacket: true })
  it.each<[what: string, commands: string[], nth: number]>([
    ['the first setting', ['setService'], 1], ['the second setting', ['setService'], 2],
    ['the first weight', ['setDest'], 1], ['the second weight', ['setDest'], 2],
  ])('at %s leaves everything as it was', async (_, commands, nth) => {
    await apply(both)
    let left = nth
    kernel.ipvs.refuse = name => commands.includes(name) && --left === 0 ? 2 : 0
    await expect((await handle(both)).drain()).rejects.toMatchObject({ code: 'ENOENT' })
    expect(await table({ ...key, protocol: undefined, protocols: ['tcp', 'udp'] } as never)).toBe(`${AS_DECLARED}; ${AS_DECLARED}`)
    expect(await planned(both)).toBe('')
  })
})

describe('a drain that waits', () => {
  beforeEach(() => apply())

  it('says when no new connections come, and then when none is left', async () => {
    const { ended } = await waiting()
    expect(await table()).toBe(DRAINED)
    expect(await Promise.race([ended, Promise.resolve('waits')])).toBe('waits')
    busy(0)
    expect(await ended).toBe('resolved')
  })

  it.each<[verb: string, code: string, end: () => Promise<void> | void]>([
    ['undrain', 'undrained', async () => (await handle()).undrain()],
    ['undrain of another director', 'undrained', async () => (await open()).undrain(key, A)],
    ['the removal of its server', 'vanished', () => director.removeRealServer(key, A)],
    ['the removal of its service', 'vanished', () => director.removeService(key)],
    ['flush', 'vanished', () => director.flush()],
    ['a removal by another program', 'vanished', () => remove(A)],
    ['a flush by another program', 'vanished', () => kernel.ipvs.services.clear()],
    ['a weight from another program', 'overruled', () => foreign(A, { weight: 4 })],
  ])('ends with %s: %s', async (_, code, end) => {
    const { ended } = await waiting()
    await end()
    expect(await ended).toBe(code)
  })

  it('holds once where it is asked to', async () => {
    const { ended } = await waiting({ hold: true })
    foreign(A, { weight: 4 })
    await expect.poll(() => table()).toBe(DRAINED)
    foreign(A, { weight: 4 })
    expect(await ended).toBe('overruled')
    expect(await planned()).toContain('-r 198.51.100.1:80 -g -w 5') // it is still drained
    await apply()
    expect(await table()).toBe(DRAINED)
  })

  it('is updated by a second one with other options', async () => {
    const udp = specOf({ protocols: ['udp'] }), id = { ...key, protocol: 'udp' } as const
    await director.flush()
    await apply(udp)
    await (await handle(udp)).drain({ udp: 'finish' })
    expect(await table(id)).toBe(DRAINED)
    await (await handle(udp)).drain({ udp: 'move' })
    expect(await table(id)).toBe('sh 2w1 3w1')
    expect(await planned(udp)).toBe('')
    await (await handle(udp)).drain({ udp: 'finish' })
    expect(await table(id)).toBe(DRAINED)
    await (await handle(udp)).undrain()
    expect(await table(id)).toBe(AS_DECLARED)
  })
})

describe('a plan across drains', () => {
  beforeEach(() => apply())
  const light = specOf({ scheduler: 'mh' }, { weight: 2 })

  it('that prunes leaves a server with connections to its drain', async () => {
    const { ended } = await waiting()
    const without = specOf({ realServers: [B, C] })
    expect(await planned(without)).toBe('- ipvsadm -d -t 192.0.2.1:80 -r 198.51.100.1:80   # its drain removes it, when its connections have ended')
    await apply(without)
    expect(await table()).toBe(DRAINED)
    busy(0)
    expect(await ended).toBe('resolved')
    expect(await table()).toBe('sh 2w1 3w1')
    expect(await planned(without)).toBe('')
  })

  it('carries what is declared, made during the drain and applied or reverted after it, and the reverse', async () => {
    await (await handle()).drain()
    const during = await director.plan([light])
    await (await handle()).undrain()
    await during.apply()
    expect(await table()).toBe('mh 1w2 2w1 3w1')
    await during.revert()
    expect(await table()).toBe(AS_DECLARED)

    const before = await director.plan([light])
    await (await handle()).drain()
    await before.apply()
    expect(await table()).toBe('mh mh-fallback 1w0 2w1 3w1')
    await before.revert()
    expect(await table()).toBe(DRAINED)
    await before.apply()
    await (await handle()).undrain()
    expect(await table()).toBe('mh 1w2 2w1 3w1')
  })

  it('gives a removed service back as declared', async () => {
    await (await handle()).drain()
    const removal = await director.plan([], { prune: true, owner: '192.0.2.1', force: true })
    await removal.apply()
    await removal.revert()
    expect(await table()).toBe(AS_DECLARED)
  })
})

describe('a declared drain', () => {
  const out = specOf({}, { drain: true })

  it('has weight 0 from the first moment, and its service the settings for that', async () => {
    const weights: unknown[] = []
    kernel.ipvs.refuse = (name, { dest }) => { if (name.endsWith('Dest')) weights.push(dest?.weight); return 0 }
    expect(await planned(out)).toContain('-r 198.51.100.1:80 -g -w 0')
    await apply(out)
    expect(weights).toEqual([0, 1, 1])
    expect(await table()).toBe(DRAINED)
    expect(await planned(out)).toBe('')
    await director.changeService({ ...key, scheduler: 'mh' })
    expect(await table()).toBe('mh mh-fallback 1w0 2w1 3w1')
  })

  it('survives a restart, and ends with its declaration', async () => {
    await apply(out)
    director.ipvs.overrides.clear()
    expect(await planned(out)).toBe('')
    await apply()
    expect(await table()).toBe(AS_DECLARED)
    await apply(out)
    expect(await table()).toBe(DRAINED)
    const plan = await director.plan([web])
    await plan.apply()
    expect(await table()).toBe(AS_DECLARED)
    await plan.revert()
    expect(await table()).toBe(DRAINED)
  })

  it('is ended by no undrain, but together with that of an operator it is one', async () => {
    await apply(out)
    await (await handle(out)).drain()
    await expect((await handle(out)).undrain()).rejects.toMatchObject({ code: 'declared' })
    await apply()
    expect(await table()).toBe(DRAINED) // the operator's
    await (await handle()).undrain()
    expect(await table()).toBe(AS_DECLARED)
  })

  it('is no business of the verbs of one real server', async () => {
    await apply()
    for (const verb of ['addRealServer', 'changeRealServer'] as const) {
      await expect(director[verb](key, { address: A, drain: true })).rejects.toThrow('server.drain: ')
    }
    expect(() => specOf({}, { drain: 'yes' })).not.toThrow()
    await expect(director.plan([specOf({}, { drain: 'yes' })])).rejects.toThrow('services[0].realServers[0].drain: ')
  })
})
