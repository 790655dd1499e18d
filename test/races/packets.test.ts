/** Packets flow on one processor while plans change the director on another. */

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { patience } from '../../examples/support/patience.js'
import type { RealServerSpec, VirtualServiceSpec } from '../../lib/index.js'
import { TestHost, type TestHosts } from '../support/hosts.js'
import { Program } from '../support/program.js'
import { CLIENTS, PORT, SERVERS, stage, VIP } from '../support/stage.js'
import type { Tally } from '../support/streams.js'

let hosts: TestHosts | undefined
/** A second process on the director. */
let second: TestHost | undefined
beforeAll(async () => {
  hosts = await stage()
  second = new TestHost('director')
  await second.call('run', ['true'])
})
afterAll(async () => {
  await second?.end()
  await hosts?.[Symbol.asyncDispose]()
})
const client = (): TestHost => hosts!.host('client')
const director = (): TestHost => hosts!.host('director')

afterEach(async () => {
  await client().call('letGo', { group: 'held', reset: true })
  await director().call('flush')
  await director().call('forget')
})

const PLANS = 40
const addresses = Object.keys(SERVERS)
const serviceOf = (more: object = {}, server: Partial<RealServerSpec> = {}): VirtualServiceSpec => ({
  vip: VIP, port: PORT, protocols: ['tcp', 'udp'], scheduler: 'wlc', forward: 'tunnel', realServers: addresses.map(address => ({ address, weight: 1000, ...server })), ...more,
})

const stream = { host: VIP, port: PORT, from: CLIENTS.slice(0, 6) }
const NAMES = new Set<string>(Object.values(SERVERS))
/** What was not answered by a server. */
const bad = (tally: Tally): Tally => Object.fromEntries(Object.entries(tally).filter(([answer]) => !NAMES.has(answer)))
const sum = (tally: Tally): number => Object.values(tally).reduce((total, count) => total + count, 0)

/** Changes that leave the scheduler as it is: of weights, of thresholds, of the tunnel, of flags. */
const edits = [
  serviceOf(),
  serviceOf({}, { weight: 1 }),
  serviceOf({ persistence: { timeout: 30 } }, { thresholds: { upper: 60_000, lower: 50_000 } }),
  serviceOf({ forward: { tunnel: 'gre' } }),
  serviceOf({}, { weight: 7 }),
]

describe('while one process edits a service without rest, and another adds and deletes its neighbours', () => {
  it('connections live on, no datagram of a flow is lost, and every new client is answered', async () => {
    await director().call('direct', { spec: { services: [serviceOf()] } })
    const names = await client().call('hold', { group: 'held', host: VIP, port: PORT, from: CLIENTS.slice(20) })
    const foreign = new Program(['foreign', 50], 'director')
    expect(await foreign.line()).toBe('begin')
    const streams = Promise.all([
      client().call('oldFlows', stream),
      client().call('newConnections', { ...stream, from: CLIENTS.slice(6, 12) }),
    ])
    const steps = await second!.call('alternate', { specs: edits.map(service => ({ services: [service] })), plans: PLANS })
    await client().call('endStreams')
    const [flows, connections] = await streams
    foreign.end()
    const [, beside] = (await foreign.line()).split(' ')
    await foreign.kill()
    console.log(`${PLANS} plans of ${steps} steps, ${beside} services added and deleted beside them; ${sum(flows)} datagrams, ${sum(connections)} connections`)
    expect([bad(flows), bad(connections)]).toEqual([{}, {}])
    expect(steps).toBeGreaterThanOrEqual(PLANS)
    expect(Math.min(sum(flows), sum(connections), Number(beside))).toBeGreaterThan(10)

    await client().call('look', { group: 'held' })
    await expect.poll(async () => (await client().call('look', { group: 'held', after: 100 })).every(({ echoes }) => echoes > 0), { timeout: patience(10_000) }).toBe(true)
    const held = await client().call('look', { group: 'held' })
    expect(held.map(({ server, error }) => error ?? server)).toEqual(names)
  })
})

/**
 * Another scheduler replaces dh during a drain. The kernel takes the old one out, waits until no processor uses it, and
 * only then puts the new one in: clients that connect within these milliseconds are refused. The share of connections:
 */
const REFUSED: Readonly<Record<string, number>> = { dh: 0.1 }

describe.each(['wlc', 'mh', 'dh'])('a drain under %s while the same director applies plans without rest', scheduler => {
  it('keeps the weight 0, refuses no new client but while the scheduler changes, and undone is as declared', async () => {
    const variants = [1000, 700].map(weight => serviceOf({ scheduler, protocols: ['tcp'] }, { weight }))
    await director().call('direct', { spec: { services: [variants[0]!] } })
    const [victim] = await client().call('hold', { group: 'held', host: VIP, port: PORT, from: CLIENTS.slice(20) })
    const server = addresses.find(address => SERVERS[address as keyof typeof SERVERS] === victim)!

    let plans = 0
    const state = { over: false }
    const isOver = (): boolean => state.over
    const planning = (async () => {
      for (; !isOver(); plans++) await director().call('direct', { spec: { services: [variants[plans % 2]!] }, prune: true })
    })()
    const connecting = client().call('newConnections', stream)
    await sleep(patience(200))
    const draining = director().call('drain', { service: variants[0]!, server, until: 'active', deadline: patience(60_000) })
    await expect.poll(async () => (await director().call('counters'))[0]!.servers[server]!.weight, { timeout: patience(10_000) }).toBe(0)
    const during = await second!.call('weights', { server, times: 20 })
    await client().call('letGo', { group: 'held', server: victim!, reset: true })
    const { code, message } = await draining
    const after = await second!.call('weights', { server, times: 5 })
    await director().call('undrain', { service: variants[0]!, server })
    await client().call('endStreams')
    const connections = await connecting
    state.over = true
    await planning

    console.log(`${plans} plans, ${sum(connections)} connections, ${bad(connections).ECONNREFUSED ?? 0} of them refused`)
    expect([code, message]).toEqual([undefined, ''])
    expect([Object.keys(during), Object.keys(after)]).toEqual([['0'], ['0']])
    const { ECONNREFUSED: refused = 0, ...lost } = bad(connections)
    expect(lost).toEqual({})
    expect(refused).toBeLessThanOrEqual((REFUSED[scheduler] ?? 0) * sum(connections))
    expect(Math.min(plans, sum(connections))).toBeGreaterThan(10)
    await director().call('direct', { spec: { services: [variants[0]!] }, prune: true })
    expect((await director().call('counters'))[0]).toMatchObject({ scheduler, servers: { [server]: { weight: 1000 } } })
  })
})
