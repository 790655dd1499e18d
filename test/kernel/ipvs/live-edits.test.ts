import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Forwarding, RealServerSpec, VirtualServiceSpec } from '../../../lib/index.js'
import { PORT, SERVERS, stage, VIP } from '../../support/stage.js'
import type { TestHosts } from '../../support/hosts.js'
import type { Held } from '../../support/traffic.js'

let hosts: TestHosts | undefined
beforeAll(async () => { hosts = await stage() })
afterAll(() => hosts?.[Symbol.asyncDispose]())
const host = (name: string): ReturnType<TestHosts['host']> => hosts!.host(name)

const COUNT = 20
const addresses = Object.keys(SERVERS)

/** A service on all servers, each with `more`. */
const serviceOf = (forward: Forwarding, options: object = {}, more: Partial<RealServerSpec> = {}): VirtualServiceSpec =>
  ({ vip: VIP, port: PORT, protocols: ['tcp'], scheduler: 'rr', ...options, realServers: addresses.map(address => ({ address, forward, ...more })) })

const direct = (spec: VirtualServiceSpec): Promise<string> => host('director').call('direct', { spec: { services: [spec] }, prune: true, force: true })

/** Edits of everything that can be edited, one after the other: what is said of an edit stays said. */
const edits = (forward: Forwarding): [name: string, ...of: Parameters<typeof serviceOf>][] => {
  const tunnels: [string, ...Parameters<typeof serviceOf>][] = forward === 'masq' ? [] : [
    ['tunnel type: gre', { kind: 'gre' }], ['tunnel type: gue', { kind: 'gue', port: 6080 }],
    ['tunnel checksum', { kind: 'gue', port: 6080, checksum: 'csum' }], ['tunnel type: ipip', 'tunnel'],
  ]
  return [
    ['weight', forward, {}, { weight: 5 }],
    ['weight 0', forward, {}, { weight: 0 }],
    ['weight again', forward, {}, { weight: 1 }],
    ['thresholds', forward, {}, { thresholds: { upper: 3, lower: 1 } }],
    ['no thresholds', forward],
    ['scheduler', forward, { scheduler: 'wlc' }],
    ['scheduler of another module', forward, { scheduler: 'mh' }],
    ['scheduler flags', forward, { scheduler: 'mh', schedulerFlags: ['mh-fallback', 'mh-port'] }],
    ['persistence', forward, { scheduler: 'rr', persistence: { timeout: 60 } }],
    ['persistence of a network', forward, { scheduler: 'rr', persistence: { timeout: 30, netmask: '255.255.255.0' } }],
    ['no persistence', forward, { scheduler: 'rr' }],
    ...tunnels,
    ['method', forward === 'masq' ? 'tunnel' : 'masq'],
    ['method again', forward],
  ]
}

const look = async (group: string, after = 0): Promise<Held[]> => await host('client').call('look', { group, after })
const alive = (held: readonly Held[]): boolean => held.every(({ echoes, error }) => echoes > 0 && error === undefined)

describe.each<Forwarding>(['masq', 'tunnel'])('20 connections by %j', forward => {
  let names: string[]

  beforeAll(async () => {
    await direct(serviceOf(forward))
    names = await host('client').call('hold', { group: 'held', host: VIP, port: PORT, from: COUNT })
    // A way that no director is on: what stalls there too, the machine stalls.
    await host('client').call('hold', { group: 'control', host: '10.1.0.11', port: PORT, from: 1 })
    expect(Object.values(SERVERS).map(name => names.filter(each => each === name).length).toSorted()).toEqual([6, 7, 7])
  })
  afterAll(async () => {
    for (const group of ['held', 'control']) await host('client').call('letGo', { group })
    await host('director').call('flush')
  })

  /** Nothing lost, nothing stalled, nothing counted anew since the last look. */
  async function unharmed(): Promise<void> {
    await expect.poll(async () => alive(await look('held', 60)), { timeout: 10_000 }).toBe(true)
    const [[control], held] = await Promise.all([look('control', 250), look('held', 250)])
    expect(held.map(({ server, error }) => error ?? server)).toEqual(names)
    expect(Math.max(...held.map(({ slowest }) => slowest)) - control!.slowest).toBeLessThan(200)
    const [service] = await host('director').call('counters')
    expect(Object.values(service!.servers).reduce((sum, { active }) => sum + active, 0)).toBe(COUNT)
    // Counters are summed up every two seconds: once they are all there, they stay.
    if (service!.connections > 0) expect(service!.connections).toBe(COUNT)
  }

  it('are counted', async () => {
    await unharmed()
    await expect.poll(async () => (await host('director').call('counters'))[0]!.connections, { timeout: 10_000 }).toBe(COUNT)
  })

  it.each(edits(forward))('live on: %s', async (_, ...of) => {
    await look('held')
    await look('control')
    expect(await direct(serviceOf(...of))).not.toBe('')
    await unharmed()
    expect((await host('director').call('counters'))[0]!.connections).toBe(COUNT)
  })

  it('live on when everything is edited in one plan, and taken back in another', async () => {
    const other = forward === 'masq' ? 'tunnel' as const : { kind: 'gue', port: 6080 } as const
    const all = serviceOf(other, { scheduler: 'sh', schedulerFlags: ['sh-fallback'], persistence: { timeout: 90 } }, { weight: 7, thresholds: { upper: 100, lower: 10 } })
    for (const spec of [all, serviceOf(forward)]) {
      await look('held')
      await look('control')
      expect((await direct(spec)).split('\n')).toHaveLength(4)
      await unharmed()
    }
    expect((await host('director').call('counters'))[0]!.connections).toBe(COUNT)
  })

  it('live on when others around them are added and removed', async () => {
    await look('held')
    await look('control')
    await host('director').call('direct', { spec: { services: [serviceOf(forward), { ...serviceOf(forward), port: 81, realServers: addresses.map(address => ({ address, port: 81, forward })) } as VirtualServiceSpec] } })
    const own = names.filter(name => name !== 'r3').length
    // r3's connections end; it goes; theirs live on.
    await host('client').call('letGo', { group: 'held', server: 'r3' })
    names = names.filter(name => name !== 'r3')
    await direct({ ...serviceOf(forward), realServers: addresses.slice(0, 2).map(address => ({ address, forward })) })
    const held = await look('held', 300)
    expect([held.length, alive(held)]).toEqual([own, true])
  })
})
