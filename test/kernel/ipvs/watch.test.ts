import { describe, expect, it } from 'vitest'
import { serviceName, VirtualService, type TableChange, type VirtualServiceSpec, type WatchOptions } from '../../../lib/index.js'
import { recordedDirector } from '../../support/director.js'
import { run } from '../../support/run.js'

const { director, sent } = await recordedDirector()

const vip = '10.9.0.1'
const web = { vip, port: 80, protocols: ['tcp'], scheduler: 'rr', forward: 'local', realServers: [vip, { address: '10.9.1.2', forward: 'masq' }] } satisfies VirtualServiceSpec
const key = { vip, port: 80, protocol: 'tcp' } as const
const told = ({ action, service, server }: TableChange): string => `${action} ${serviceName(service)}${server ? ` ${server.address}` : ''}`

/** Watches until it is stopped; what was told so far. */
function watching(watch: (options: WatchOptions) => AsyncIterable<TableChange>, options: WatchOptions = {}): { seen: TableChange[]; stop: () => Promise<unknown> } {
  const abort = new AbortController()
  const seen: TableChange[] = []
  const reason = new Error('enough')
  const ended = (async () => { for await (const change of watch({ interval: 20, signal: abort.signal, ...options })) seen.push(change) })()
    .then(() => { throw new Error('it ended') }, (error: unknown) => { if (error !== reason) throw error })
  return { seen, stop: () => { abort.abort(reason); return ended } }
}

describe('watching', () => {
  it('tells each change once: services, real servers, what differs, in the order of the looks', async () => {
    await director.addService(web)
    const { seen, stop } = watching(options => director.watch(options), { traffic: false })
    const next = async (edit: () => Promise<void>, ...expected: string[]): Promise<void> => {
      seen.length = 0
      await edit()
      await expect.poll(() => seen.map(told).toSorted(), { timeout: 10_000 }).toEqual(expected)
    }
    await new Promise(resolve => setTimeout(resolve, 100)) // its first look, which tells nothing
    expect(seen).toEqual([])
    await next(() => director.addService({ fwmark: 7, realServers: ['10.9.1.1', '10.9.1.2'] }), 'add fwmark 7')
    await next(() => director.changeRealServer(key, { address: vip, forward: 'local', weight: 5 }), 'change tcp 10.9.0.1:80 10.9.0.1')
    expect(seen[0]).toMatchObject({ server: { weight: 5 }, before: { weight: 1 } })
    await next(() => director.changeService({ ...key, scheduler: 'sh', persistence: { timeout: 9 } }), 'change tcp 10.9.0.1:80')
    expect(seen[0]).toMatchObject({ service: { scheduler: 'sh' }, before: { scheduler: 'rr' } })
    await next(() => director.addRealServer(key, '10.9.1.9'), 'add tcp 10.9.0.1:80 10.9.1.9')
    await next(() => director.removeRealServer(key, '10.9.1.2'), 'remove tcp 10.9.0.1:80 10.9.1.2')
    await next(() => director.flush(), 'remove fwmark 7', 'remove tcp 10.9.0.1:80')
    await stop()
  })

  it('tells of connections and counters, of its own services only, and looks seldom and cheaply while nothing happens', async () => {
    run('ip', ['addr', 'add', `${vip}/32`, 'dev', 'lo'])
    try {
      await director.addService({ ...web, port: 9, protocols: ['udp'], realServers: [vip] })
      await director.addService({ ...web, port: 10, protocols: ['udp'], realServers: [vip] })
      await using service = await VirtualService.open({ ...web, port: 9, protocols: ['udp'], realServers: [vip] }, { director })
      const { seen, stop } = watching(options => service.watch(options), { interval: 20, idleInterval: 400 })
      await new Promise(resolve => setTimeout(resolve, 100))
      run('bash', ['-c', 'for port in 9 10; do echo hello >/dev/udp/10.9.0.1/$port; done 2>/dev/null || true'])
      await expect.poll(() => seen.some(({ action, server }) => action === 'traffic' && server?.stats.packetsIn === 1n), { timeout: 10_000 }).toBe(true)
      expect(new Set(seen.map(told))).toEqual(new Set(['traffic udp 10.9.0.1:9', 'traffic udp 10.9.0.1:9 10.9.0.1']))
      // Until the rates have run out; then at the idle interval, three datagrams a look: the service, its real servers, the no-op.
      await expect.poll(async () => {
        const [before, looked] = [seen.length, sent.length]
        await new Promise(resolve => setTimeout(resolve, 2000))
        return [seen.length - before, sent.length - looked < 20]
      }, { timeout: 60_000 }).toEqual([0, true])
      await stop()
    } finally {
      run('ip', ['addr', 'del', `${vip}/32`, 'dev', 'lo'])
    }
  })

  it('never tells of a service that a disturbed listing left out', async () => {
    const stay = Array.from({ length: 300 }, (_, i): VirtualServiceSpec => ({ ...web, port: 1000 + i, realServers: [] }))
    await (await director.plan(stay)).apply()
    const { seen, stop } = watching(options => director.watch(options), { interval: 10 })
    for (let round = 0; round < 30 || (seen.length === 0 && round < 1000); round++) { // until a look falls between
      const come = Array.from({ length: 40 }, (_, i): VirtualServiceSpec => ({ ...web, port: 5000 + i, realServers: [] }))
      await (await director.plan(come)).apply()
      await (await director.plan([], { prune: true, owner: ({ port = 0 }: { port?: number }) => port >= 5000, force: true })).apply()
    }
    await stop()
    expect(seen.length).toBeGreaterThan(0)
    expect(seen.filter(({ action, service }) => action === 'remove' && service.port! < 5000).map(told)).toEqual([])
  })

  it('begins no look while the last changes are not taken, and tells them all the same', async () => {
    await director.addService(web)
    const iterator = director.watch({ interval: 20, traffic: false })
    const first = iterator.next()
    await new Promise(resolve => setTimeout(resolve, 100))
    await director.addRealServer(key, '10.9.1.3')
    expect(told((await first).value)).toBe('add tcp 10.9.0.1:80 10.9.1.3')
    const looked = sent.length
    await new Promise(resolve => setTimeout(resolve, 300))
    expect(sent).toHaveLength(looked)
    await director.removeRealServer(key, '10.9.1.3')
    expect(told((await iterator.next()).value)).toBe('remove tcp 10.9.0.1:80 10.9.1.3')
    await iterator.return(undefined as never)
  })

  it('refuses intervals that are none', async () => {
    expect(() => director.watch({ interval: 0 })).toThrow('interval: 0 is not an integer from 10 to 86400000')
    await expect(director.watch({ interval: 100, idleInterval: 50 }).next()).rejects.toThrow('idleInterval: 50 is not an integer from 100 to 86400000')
  })
})
