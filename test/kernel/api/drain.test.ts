import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { VirtualServiceSpec } from '../../../lib/index.js'
import type { TestHosts } from '../../support/hosts.js'
import { CLIENTS, PORT, SERVERS, stage, VIP } from '../../support/stage.js'

let hosts: TestHosts | undefined
beforeAll(async () => { hosts = await stage() })
afterAll(() => hosts?.[Symbol.asyncDispose]())
const client = (): ReturnType<TestHosts['host']> => hosts!.host('client')
const director = (): ReturnType<TestHosts['host']> => hosts!.host('director')

const addresses = Object.keys(SERVERS) as (keyof typeof SERVERS)[]
const addressOf = (name: string): string => addresses.find(address => SERVERS[address] === name)!
const serviceOf = (more: object = {}, protocols: readonly string[] = ['tcp'], weight = 1000): VirtualServiceSpec => ({
  vip: VIP, port: PORT, protocols, scheduler: 'rr', forward: 'tunnel', realServers: addresses.map(address => ({ address, weight })), ...more,
}) as unknown as VirtualServiceSpec

const direct = (service: VirtualServiceSpec): Promise<string> => director().call('direct', { spec: { services: [service] }, prune: true, force: true })
const planned = (service: VirtualServiceSpec): Promise<string> => director().call('planned', { spec: { services: [service] }, prune: true })
const answers = (): Promise<string[]> => client().call('whoAnswers', { host: VIP, port: PORT, from: CLIENTS })
const flows = (timeout?: number): Promise<string[]> => client().call('whoAnswersFlows', { host: VIP, port: PORT, from: CLIENTS, ...timeout !== undefined && { timeout } })
const names = new Set<string>(Object.values(SERVERS))
/** Those that were served by somebody else, or by nobody. */
const others = (given: readonly string[], ...but: string[]): string[] => given.filter(answer => !names.has(answer) || but.includes(answer))

afterEach(async () => {
  await client().call('letGo', { group: 'held', reset: true })
  await client().call('closeFlows')
  await director().call('flush')
  await director().call('forget')
  await director().sysctl('net.ipv4.vs.expire_quiescent_template=0', 'net.ipv4.vs.expire_nodest_conn=0', 'net.ipv4.vs.conn_reuse_mode=1')
})

describe.each(['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'sed', 'nq', 'fo', 'ovf', 'sh', 'mh', 'dh'])('a drain under %s', scheduler => {
  it('refuses none of 40 clients, lets connections finish, and undone is as before', async () => {
    const service = serviceOf({ scheduler })
    await direct(service)
    const held = await client().call('hold', { group: 'held', host: VIP, port: PORT, from: CLIENTS })
    const victim = held[0]!
    const draining = director().call('drain', { service, server: addressOf(victim), until: 'active', deadline: 60_000 })
    const on = held.filter(name => name === victim).length
    await expect.poll(async () => (await director().call('counters'))[0]!.servers[addressOf(victim)]!.weight).toBe(0)

    for (let round = 0; round < 3; round++) expect(others(await answers(), victim)).toEqual([])
    const alive = await client().call('look', { group: 'held', after: 300 })
    expect(alive.map(({ server, echoes, error }) => error ?? (echoes > 0 ? server : 'silent'))).toEqual(held)
    expect(await planned(service)).toBe('') // the drain is the director's will

    await client().call('letGo', { group: 'held', server: victim })
    const { told, code } = await draining
    expect(code).toBeUndefined()
    expect([told[0]!.activeConnections, told.at(-1)!.activeConnections]).toEqual([on, 0])
    expect(told[0]!.prepared).toEqual({
      sh: [`ipvsadm -E -t ${VIP}:${PORT} -s sh -b sh-fallback`], mh: [`ipvsadm -E -t ${VIP}:${PORT} -s mh -b mh-fallback`], dh: [`ipvsadm -E -t ${VIP}:${PORT} -s lblc`],
    }[scheduler] ?? [])

    await director().call('undrain', { service, server: addressOf(victim) })
    const [state] = await director().call('counters')
    expect([state!.scheduler, state!.servers[addressOf(victim)]!.weight]).toEqual([scheduler, 1000])
    expect(await planned(service)).toBe('')
    expect(others(await answers())).toEqual([])
  })
})

describe('a drain', () => {
  it('waits for all connections to be forgotten, and the removed server leaves the service as it was declared', async () => {
    // At a port of its own: a real server that comes back within two minutes still has its old connections.
    const service = serviceOf({ scheduler: 'sh', port: 8181, forward: 'masq', realServers: addresses.map(address => ({ address, port: PORT })) })
    await direct(service)
    const [victim] = await client().call('hold', { group: 'held', host: VIP, port: 8181, from: CLIENTS.slice(0, 12) })
    const draining = director().call('drain', { service, server: addressOf(victim!), deadline: 60_000 })
    await expect.poll(async () => (await director().call('counters'))[0]!.servers[addressOf(victim!)]!.weight).toBe(0)
    await client().call('letGo', { group: 'held', server: victim!, reset: true }) // IPVS keeps a connection that was reset for 10 seconds
    const { told, code } = await draining
    expect(code).toBeUndefined()
    expect(told.some(({ activeConnections, inactiveConnections }) => activeConnections === 0 && inactiveConnections > 0)).toBe(true)
    expect(told.at(-1)).toMatchObject({ activeConnections: 0, inactiveConnections: 0 })
    await director().call('take', { service, server: addressOf(victim!) })
    expect(await planned({ ...service, realServers: service.realServers.filter(server => typeof server === 'object' && server.address !== addressOf(victim!)) })).toBe('')
    expect(others(await client().call('whoAnswers', { host: VIP, port: 8181, from: CLIENTS }), victim!)).toEqual([])
  })

  it('that did not end in time goes on, also in another process', async () => {
    const service = serviceOf({ scheduler: 'wlc' })
    await direct(service)
    const [victim] = await client().call('hold', { group: 'held', host: VIP, port: PORT, from: CLIENTS.slice(0, 6) })
    const server = addressOf(victim!)
    const late = await director().call('drain', { service, server, until: 'active', deadline: 300 })
    expect(late.code).toBe('deadline')
    expect(late.message).toMatch(/^10\.2\.0\.1\d:8080 still has [1-6] active and \d+ inactive connections after 300 ms, and takes no new ones; drain again to wait longer, or call remove\(\) or undrain\(\)$/)
    await director().call('forget')
    const again = director().call('drain', { service, server, until: 'active', deadline: 60_000 })
    await expect.poll(() => planned(service)).toBe('')
    expect(others(await answers(), victim!)).toEqual([])
    await client().call('letGo', { group: 'held', server: victim! })
    expect((await again).told.at(-1)!.activeConnections).toBe(0)
    await director().call('weigh', { service, server, weight: 7 }) // what it will have
    expect((await director().call('counters'))[0]!.servers[server]!.weight).toBe(0)
    await director().call('undrain', { service, server })
    expect((await director().call('counters'))[0]!.servers[server]!.weight).toBe(7)
    await direct(service)
    expect((await director().call('counters'))[0]!.servers[server]!.weight).toBe(1000) // until it is declared again
  })

  it('moves persistent clients', async () => {
    const service = serviceOf({ persistence: { timeout: 300 } })
    await direct(service)
    const before = await answers()
    expect(await answers()).toEqual(before)
    const victim = before[0]!
    const { told, code } = await director().call('drain', { service, server: addressOf(victim), until: 'active', deadline: 30_000 })
    expect(code).toBeUndefined()
    expect(told[0]!.prepared).toEqual(['sysctl -w net.ipv4.vs.expire_quiescent_template=1'])
    const after = await answers()
    expect(others(after, victim)).toEqual([])
    expect(after.filter((name, i) => before[i] !== victim && name !== before[i])).toEqual([]) // the others stay
  })

  it('moves UDP flows whose clients keep their source port, persistent or not, and back in they go elsewhere', async () => {
    for (const persistence of [undefined, { timeout: 300 }]) {
      const service = serviceOf({ persistence }, ['udp', 'tcp'])
      await direct(service)
      const before = await flows()
      expect(others(before)).toEqual([])
      const victim = before[0]!
      await director().sysctl('net.ipv4.vs.expire_nodest_conn=0')
      const { told, code } = await director().call('drain', { service, server: addressOf(victim), until: 'active', deadline: 30_000 })
      expect(code).toBeUndefined()
      expect(told[0]!.prepared).toContain('sysctl -w net.ipv4.vs.expire_nodest_conn=1')
      const after = await flows()
      expect(others(after, victim)).toEqual([])
      expect(after.filter((name, i) => before[i] !== victim && name !== before[i])).toEqual([])
      expect(others(await answers(), victim)).toEqual([]) // and over TCP it has weight 0
      expect(await planned(service)).toBe('')
      await director().call('forget')
      expect((await director().call('drain', { service, server: addressOf(victim), until: 'active', deadline: 30_000 })).code).toBeUndefined()
      expect(await planned(service)).toBe('')
      await director().call('undrain', { service, server: addressOf(victim) })
      expect(await planned(service)).toBe('')
      expect(await flows()).toEqual(after)
      await client().call('closeFlows')
      await director().call('flush')
    }
  })

  it('lets UDP flows finish, where that is asked for; of a one-packet service there are none', async () => {
    const service = serviceOf({}, ['udp'])
    await direct(service)
    const before = await flows()
    const victim = before[0]!
    const { code } = await director().call('drain', { service, server: addressOf(victim), udp: 'finish', deadline: 500 })
    expect(code).toBe('deadline')
    expect(await flows()).toEqual(before)
    await director().call('forget')
    await director().call('flush')

    const single = serviceOf({ onePacket: true, scheduler: 'sh' }, ['udp'])
    await direct(single)
    await client().call('closeFlows')
    const [of] = await flows()
    expect((await director().call('drain', { service: single, server: addressOf(of!), until: 'active', deadline: 30_000 })).code).toBeUndefined()
    expect(others(await flows(), of!)).toEqual([])
  })

  it('by firewall mark', async () => {
    const tc = (words: string): Promise<string> => director().call('run', ['tc', ...words.split(' ')])
    await tc('qdisc add dev eth0 clsact')
    await tc(`filter add dev eth0 ingress protocol ip flower ip_proto tcp dst_ip ${VIP} dst_port ${PORT} action skbedit mark 7`)
    try {
      const service = { fwmark: 7, scheduler: 'sh', forward: 'masq', realServers: addresses.map(address => ({ address, port: PORT })) } as VirtualServiceSpec
      await direct(service)
      const held = await client().call('hold', { group: 'held', host: VIP, port: PORT, from: CLIENTS.slice(0, 9) })
      const draining = director().call('drain', { service, server: addressOf(held[0]!), until: 'active', deadline: 60_000 })
      await expect.poll(async () => (await director().call('counters'))[0]!.servers[addressOf(held[0]!)]!.weight).toBe(0)
      expect(others(await answers(), held[0]!)).toEqual([])
      await client().call('letGo', { group: 'held', server: held[0]! })
      expect((await draining).told.at(-1)!.activeConnections).toBe(0)
    } finally {
      await tc('qdisc del dev eth0 clsact')
    }
  })

  it('that a spec declares refuses nobody, and a server that is declared no longer is removed by its drain alone', async () => {
    const service = serviceOf({ scheduler: 'sh' })
    await direct(service)
    const held = await client().call('hold', { group: 'held', host: VIP, port: PORT, from: CLIENTS })
    const victim = held[0]!, server = addressOf(victim)
    const alive = async (): Promise<string[]> => (await client().call('look', { group: 'held', after: 100 })).map(({ server, echoes, error }) => error ?? (echoes > 0 ? server : 'silent'))
    const realServers = addresses.map(address => ({ address, weight: 1000, drain: address === server }))
    await direct({ ...service, realServers })
    expect(others(await answers(), victim)).toEqual([])
    expect(await alive()).toEqual(held)
    await direct(service)

    const draining = director().call('drain', { service, server, until: 'active', deadline: 60_000 })
    await expect.poll(async () => (await director().call('counters'))[0]!.servers[server]!.weight).toBe(0)
    const without = { ...service, realServers: realServers.filter(({ address }) => address !== server) } as VirtualServiceSpec
    expect(await planned(without)).toBe(`- ipvsadm -d -t ${VIP}:${PORT} -r ${server}:${PORT}   # its drain removes it, when its connections have ended`)
    await direct(without)
    expect(await alive()).toEqual(held)
    await client().call('letGo', { group: 'held', server: victim })
    expect((await draining).code).toBeUndefined()
    expect(Object.keys((await director().call('counters'))[0]!.servers)).toEqual(expect.not.arrayContaining([server]))
    expect(await planned(without)).toBe('')
    expect(others(await answers(), victim)).toEqual([])
  })

  it('ends where somebody else ends it, and says how', async () => {
    const service = serviceOf({ scheduler: 'sh' })
    await direct(service)
    const held = await client().call('hold', { group: 'held', host: VIP, port: PORT, from: CLIENTS.slice(0, 12) })
    const server = addressOf(held[0]!)
    const elsewhere = (words: string): Promise<string> => director().call('run', ['ipvsadm', ...words.split(' '), '-t', `${VIP}:${PORT}`, '-r', `${server}:${PORT}`])
    for (const [code, end] of [
      ['overruled', () => elsewhere('-e -i -w 4')], ['undrained', () => director().call('undrain', { service, server })],
      ['vanished', () => elsewhere('-d')],
    ] as const) {
      const draining = director().call('drain', { service, server, deadline: 60_000 })
      await expect.poll(async () => (await director().call('counters'))[0]!.servers[server]!.weight).toBe(0)
      await end()
      expect((await draining).code).toBe(code)
    }
    await director().call('undrain', { service, server })
    expect(await planned(service)).toBe('')
  })

  it('is refused: of the last server, of one that is none, and where nothing may be set', async () => {
    const service = serviceOf({ scheduler: 'mh', persistence: { timeout: 300 } })
    await direct(service)
    const [a, b, c] = addresses as [string, string, string]
    expect(await director().call('drain', { service, server: a, prepare: false })).toMatchObject({
      code: 'unprepared', message: `${a}:${PORT} cannot be drained without losing clients; first run: `
        + `sysctl -w net.ipv4.vs.expire_quiescent_template=1; ipvsadm -E -t ${VIP}:${PORT} -s mh -p 300 -b mh-fallback`,
    })
    expect(await planned(service)).toBe('')
    expect((await director().call('drain', { service, server: '10.2.0.99' })).code).toBe('missing')
    await director().call('drain', { service, server: a })
    await director().call('drain', { service, server: b })
    expect(await director().call('drain', { service, server: c })).toMatchObject({
      code: 'last', message: `${c}:${PORT} is the last real server of tcp ${VIP}:${PORT} that takes connections: its drain would refuse every new client. `
        + 'Add another real server first, or drain with force: true',
    })
    expect(others(await answers(), SERVERS['10.2.0.11'], SERVERS['10.2.0.12'])).toEqual([])
    expect((await director().call('drain', { service, server: c, force: true, until: 'active', deadline: 30_000 })).code).toBeUndefined()
  })
})
