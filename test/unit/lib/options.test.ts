/** The options of every public verb are checked before anything is sent. */

import { afterAll, describe, expect, it } from 'vitest'
import * as wire from '../../../generic-netlink/index.js'
import * as library from '../../../lib/index.js'
import { sysctlOver } from '../../../lib/sysctl/accessor.js'
import { FakeKernel } from '../../support/fake-kernel.js'

const {
  Addresses, connections, diagnoseRealServer, Director, formatMetrics, formatRules, FouPorts, ipvsStatus, ipvsTotals, Links,
  Neighbours, parseRules, perCpuStatistics, planNetwork, planRealServer, Plan, Routes, SpecError, sysctl, VirtualService,
} = library

const kernel = new FakeKernel()
let sends = 0
kernel.wrong.onSend = () => { sends++ }
const openSocket: wire.OpenSocket = (protocol, listener) => kernel.open(protocol, listener)
/** A socket of rtnetlink, which the fake kernel does not have: it only counts. */
const silent: wire.OpenSocket = () => ({
  receiveBuffer: 212992, sendBuffer: 212992, send: () => { sends++ }, receive: () => false, ref: () => {}, unref: () => {}, close: () => {},
})

const id = { vip: '192.0.2.1', port: 80, protocol: 'tcp' } as const
const spec = { vip: '192.0.2.1', port: 80, protocols: ['tcp'], realServers: ['198.51.100.1'] } as const
const tunnel = { vip: '192.0.2.1', tunnel: { kind: 'ipip', local: '198.51.100.1' } } as const
const connection = new wire.Connection(wire.NETLINK_GENERIC, { openSocket })
const client = await wire.FamilyClient.find(connection, wire.ipvs)
const director = await Director.open({ openSocket })
const web = await VirtualService.open(spec, { director })
const server = web.realServer('198.51.100.1')
const links = await Links.open({ openSocket: silent })
const addresses = await Addresses.open({ openSocket: silent })
const routes = await Routes.open({ openSocket: silent })
const neighbours = await Neighbours.open({ openSocket: silent })
const ports = await FouPorts.open({ openSocket })
const plan = new Plan([{
  action: 'add', object: 'link', line: 'one', run() { sends++; return Promise.resolve() }, undo() { sends++; return Promise.resolve() },
}])
const files = sysctlOver({
  read() { sends++; return Promise.resolve('0') }, write() { sends++; return Promise.resolve() }, list() { sends++; return Promise.resolve([]) },
} as never)

afterAll(async () => { for (const each of [connection, director, links, addresses, routes, neighbours, ports]) await each.close() })

/** Calls a verb with options of any type. */
type Call = (options: never) => unknown
/** The verbs of an object, by name; of each, how it is called, and the names of its options besides the signal. */
type Verbs = Readonly<Record<string, readonly [call: Call, ...options: string[]]>>

const open = ['timeLimit', 'openSocket'] as const

const resource = (table: object, spec: unknown, key: unknown): Verbs => {
  const verbs = table as library.Resource<never, unknown, unknown, unknown, object, unknown>
  return {
    list: [o => verbs.list({}, o)], get: [o => verbs.get(key, o)], add: [o => verbs.add(spec, o)],
    change: [o => verbs.change(spec, o)], replace: [o => verbs.replace(spec, o)], remove: [o => verbs.remove(key, o)],
    plan: [o => verbs.plan([spec], o)], planRemoval: [o => verbs.planRemoval([key], o)],
  }
}
const link = { kind: 'dummy', name: 'vips' }, address = { address: '192.0.2.1/32', link: 'vips' }
const route = { to: '198.51.100.0/24', via: '192.0.2.254' }, neighbour = { address: '192.0.2.7', link: 'vips', lladdr: '02:00:00:00:00:01' }

const verbs: Readonly<Record<string, Verbs>> = {
  Connection: {
    ask: [o => connection.ask({} as never, o)], batch: [o => connection.batch([], o)], dump: [o => connection.dump({} as never, o)],
  },
  FamilyClient: {
    find: [o => wire.FamilyClient.find(connection, wire.ipvs, o)],
    call: [o => client.call('getInfo', {}, o), 'object'], batch: [o => client.batch([['flush', {}]], o)],
    dump: [o => client.dump('getService', {}, o), 'object', 'map'],
  },
  Director: {
    open: [o => Director.open(o), ...open], info: [o => director.info(o)], list: [o => director.list(o)], services: [o => director.services(o).next()],
    get: [o => director.get(id, o)], watch: [o => director.watch(o).next(), 'interval', 'idleInterval', 'traffic'],
    connections: [o => director.connections({}, o).next(), 'origin'], plan: [o => director.plan([spec], o), 'prune', 'owner', 'force'],
    addService: [o => director.addService(spec, o)], changeService: [o => director.changeService(id, o)],
    removeService: [o => director.removeService(id, o)], addRealServer: [o => director.addRealServer(id, '198.51.100.2', o)],
    changeRealServer: [o => director.changeRealServer(id, '198.51.100.2', o)], removeRealServer: [o => director.removeRealServer(id, '198.51.100.2', o)],
    drain: [o => director.drain(id, '198.51.100.1', o), 'until', 'deadline', 'progress', 'prepare', 'udp', 'force', 'hold'],
    undrain: [o => director.undrain(id, '198.51.100.1', o)],
    timeouts: [o => director.timeouts(o)], setTimeouts: [o => director.setTimeouts({ tcp: 60 }, o)], syncDaemons: [o => director.syncDaemons(o)],
    startSyncDaemon: [o => director.startSyncDaemon({ state: 'master', link: 'lo' }, o)], stopSyncDaemon: [o => director.stopSyncDaemon('master', o)],
    zero: [o => director.zero(undefined, o)], flush: [o => director.flush(o)], save: [o => director.save(o), 'strict'],
  },
  VirtualService: {
    open: [o => VirtualService.open(spec, o), ...open, 'director'], list: [o => VirtualService.list(o), ...open, 'director'],
    plan: [o => web.plan(o), 'prune', 'force'], apply: [o => web.apply(o), 'onFailure', 'progress', 'force'], diagnose: [o => web.diagnose(o), 'observe'], state: [o => web.state(o)],
    watch: [o => web.watch(o).next(), 'interval', 'idleInterval', 'traffic'], zero: [o => web.zero(o)], remove: [o => web.remove(o)],
  },
  RealServer: {
    state: [o => server.state(o)], setWeight: [o => server.setWeight(1, o)], undrain: [o => server.undrain(o)], remove: [o => server.remove(o)],
    drain: [o => server.drain(o), 'until', 'deadline', 'progress', 'prepare', 'udp', 'force', 'hold'],
  },
  Links: { ...resource(links, link, 'vips'), open: [o => Links.open(o), ...open], watch: [o => links.watch(o).next(), 'interval'] },
  Addresses: { ...resource(addresses, address, address), open: [o => Addresses.open(o), ...open] },
  Routes: {
    ...resource(routes, route, { to: route.to }), open: [o => Routes.open(o), ...open], lookup: [o => routes.lookup('192.0.2.1', {}, o)],
  },
  Neighbours: { ...resource(neighbours, neighbour, { address: '192.0.2.7', link: 'vips' }), open: [o => Neighbours.open(o), ...open] },
  FouPorts: { ...resource(ports, { port: 6080 }, { port: 6080 }), open: [o => FouPorts.open(o), ...open] },
  Plan: { apply: [o => plan.apply(o), 'onFailure', 'progress'], revert: [o => plan.revert(o), 'onFailure'] },
  sysctl: {
    get: [o => files.get('net.ipv4.ip_forward', o)], set: [o => files.set('net.ipv4.ip_forward', 1, o)], read: [o => files.read(['net.ipv4.ip_forward'], o)],
    plan: [o => files.plan({ 'net.ipv4.ip_forward': 1 }, o)],
  },
  functions: {
    connections: [o => connections({}, o).next(), 'origin'], ipvsStatus: [o => ipvsStatus(o)], ipvsTotals: [o => ipvsTotals(o)],
    perCpuStatistics: [o => perCpuStatistics(o)], planNetwork: [o => planNetwork({}, o)], planRealServer: [o => planRealServer(tunnel, o)],
    diagnoseRealServer: [o => diagnoseRealServer(tunnel, o), 'observe'], describeFamily: [o => wire.describeFamily(connection, 'IPVS', o)],
  },
}
/** Verbs whose options have no signal, or are a filter. */
const others: Verbs = {
  Connection: [o => new wire.Connection(wire.NETLINK_GENERIC, o), ...open],
  formatRules: [o => formatRules([], o), 'strict'], formatMetrics: [o => formatMetrics({ services: [] }, o), 'format'],
  'the objects of formatMetrics': [o => formatMetrics(o), 'services', 'totals', 'cpus'],
  'a filter of connections': [o => connections(o).next(), 'service', 'server', 'client', 'state', 'templates', 'origin'],
  'a filter of links': [o => links.list(o), 'kind', 'master', 'up'], 'a filter of addresses': [o => addresses.list(o), 'link', 'family', 'address'],
  'a filter of routes': [o => routes.list(o), 'family', 'table', 'link', 'to', 'protocol'],
  'a filter of neighbours': [o => neighbours.list(o), 'link', 'kind'], 'a filter of ports': [o => ports.list(o), 'port', 'family'],
  'the way of a lookup': [o => routes.lookup('192.0.2.1', o), 'source', 'link'],
}

async function refusalOf(run: () => unknown): Promise<wire.SpecError> {
  const before = sends
  try { await run() } catch (error) {
    expect(error).toBeInstanceOf(SpecError)
    expect(sends).toBe(before)
    return error as wire.SpecError
  }
  throw new Error('nothing was refused')
}

const flat = Object.entries(verbs).flatMap(([of, own]) => Object.entries(own).map(([name, [call, ...options]]) => ({ name: `${of}.${name}`, call, options: ['signal', ...options] })))
const rest = Object.entries(others).map(([name, [call, ...options]]) => ({ name, call, options }))

describe.each([...flat, ...rest])('$name', ({ call, options }) => {
  it.each([['null', null], ['a number', 5], ['a list', [{}]], ['an unknown option', { nosuch: 1 }]])('refuses %s', async (_, given) => {
    const { message } = await refusalOf(() => call(given as never))
    if (given && typeof given === 'object' && 'nosuch' in given) expect(message).toMatch(new RegExp(`there is no field "nosuch"; there are .*${options.join('.*|.*')}`))
  })
  it.each(options)('refuses a wrong %s', async name => {
    // No option takes any of these, of which some are truthy.
    for (const wrong of [null, {}, 1.5, Symbol('wrong')]) {
      if (name === 'totals' && typeof wrong === 'object' && wrong !== null) continue
      const { path, why } = await refusalOf(() => call({ [name]: wrong } as never))
      expect(path.split(/[.[]/)[0]).toMatch(name === 'service' ? /^(service|vip)$/ : name)
      expect(why.length).toBeGreaterThan(0)
    }
  })
  const booleans = options.filter(name => ['prune', 'force', 'strict', 'traffic', 'prepare', 'hold', 'up', 'templates'].includes(name))
  it.each(booleans)('refuses %s: \'false\'', async name => {
    expect((await refusalOf(() => call({ [name]: 'false' } as never))).message).toBe(`${name}: "false" is not true or false`)
  })
  if (options.includes('signal')) it('refuses what is no AbortSignal', async () => {
    for (const wrong of [{}, { aborted: false }, new AbortController(), 'abort']) {
      expect(await refusalOf(() => call({ signal: wrong } as never))).toMatchObject({ path: 'signal', why: expect.stringContaining('is not an AbortSignal') as string })
    }
  })
})

describe('no verb is forgotten', () => {
  const classes = { Connection: wire.Connection, FamilyClient: wire.FamilyClient, Director, VirtualService, RealServer: library.RealServer, Links, Addresses, Routes, Neighbours, FouPorts, Plan }
  /** Verbs without options. */
  const without = ['constructor', 'close', 'realServer', 'toString', 'toJSON']
  const methodsOf = (of: object): string[] => {
    const own = Object.entries(Object.getOwnPropertyDescriptors(of)).filter(([, { value }]) => typeof value === 'function').map(([name]) => name)
    const parent = Object.getPrototypeOf(of) as object
    return [Object.prototype, Function.prototype].includes(parent) ? own : [...methodsOf(parent), ...own]
  }
  it.each(Object.entries(classes))('of %s', (name, of) => {
    const all = [...methodsOf(of.prototype as object), ...methodsOf(of)].filter(method => !without.includes(method))
    expect(Object.keys(verbs[name]!).sort()).toEqual([...new Set(all)].sort())
  })
  it('of sysctl', () => expect(Object.keys(verbs.sysctl!).sort()).toEqual(Object.keys(sysctl).sort()))
  it('of the library', () => {
    const isVerb = ([, value]: [string, unknown]): boolean => typeof value === 'function' && !/^class/.test(value.toString())
    const pure = ['effectiveSysctl', 'endpoint', 'formatMetrics', 'formatRules', 'parseRules', 'serviceName', 'sysctlName', 'sysctlSegments', 'tunnelOverhead']
    const all = Object.entries(library).filter(isVerb).map(([name]) => name)
    expect([...all, 'describeFamily'].sort()).toEqual([...Object.keys(verbs.functions!), ...pure].sort())
  })
})

describe('what is no option is checked before anything is sent, too', () => {
  it.each<[string, () => unknown, string]>([
    ['a network of no object', () => planNetwork(5 as never), 'network: 5 is not an object'],
    ['a network of null', () => planNetwork(null as never), 'network: null is not an object'],
    ['a network with an unknown list', () => planNetwork({ link: [] } as never), 'network: there is no field "link"; there are fouPorts, links'],
    ['a network with no list', () => planNetwork({ links: {} } as never), 'network.links: an object is not a list'],
    ['a network with null in a list', () => planNetwork({ sysctls: [null] } as never), 'network.sysctls[0]: null is not an object'],
    ['a setting with an unknown field', () => planNetwork({ sysctls: [{ key: 'net.ipv4.ip_forward', value: 1, vlaue: 2 }] } as never), 'there is no field "vlaue"'],
    ['a network with a wrong link', () => planNetwork({ links: [{ kind: 'dummy', name: '..' }] }), 'links[0].name: ".." is not an interface name'],
    ['a director\'s network of no object', () => director.plan({ network: 5 } as never), 'network: 5 is not an object'],
    ['a director\'s network with a wrong route', () => director.plan({ network: { routes: [{ to: 'nowhere' }] } }), 'network.routes[0].to: "nowhere" is not'],
    ['a director\'s timeouts', () => director.plan({ timeouts: null } as never), 'timeouts: null is not an object'],
    ['a director\'s daemons', () => director.plan({ syncDaemons: {} } as never), 'syncDaemons: an object is not a list'],
    ['a director\'s services', () => director.plan({ services: null } as never), 'services: null is not a list'],
    ['a director of null', () => director.plan(null as never), 'director: null is not an object'],
    ['a service\'s network', () => director.plan([{ ...spec, network: 5 }] as never), 'services[0].network: 5 is not an object'],
    ['a service of null, at open', () => VirtualService.open(null as never, { director }), 'service: null is not an object'],
    ['a real server of null', () => web.realServer(null as never), 'realServer: null is not an object'],
    ['a removed real server of null', () => director.removeRealServer(id, null as never), 'server: null is not an object'],
    ['an added real server of null', () => director.addRealServer(id, null as never), 'server: null is not an object'],
    ['an id of null', () => director.get(null as never), 'service: null is not an object'],
    ['counters of null', () => director.zero(null as never), 'service: null is not an object'],
    ['a daemon of null', () => director.startSyncDaemon(null as never), 'sync daemon: null is not an object'],
    ['timeouts of null', () => director.setTimeouts(null as never), 'timeouts: null is not an object'],
    ['an interval', () => director.watch({ interval: 500, idleInterval: 100 }).next(), 'idleInterval: 100 is not an integer from 500 to 86400000'],
    ['a host of null', () => planRealServer(null as never), 'spec: null is not an object'],
    ['a host\'s field', () => planRealServer({ ...tunnel, vips: [] } as never), 'spec: there is no field "vips"'],
    ['a tunnel\'s field', () => planRealServer({ ...tunnel, tunnel: { ...tunnel.tunnel, carier: 'lo' } } as never), 'tunnel: there is no field "carier"'],
    ['a tunnel of null', () => planRealServer({ ...tunnel, tunnel: null } as never), 'tunnel: null is not an object'],
    ['a route\'s field', () => planRealServer({ vip: '192.0.2.1', route: { link: 'eth0', carier: 'lo' } } as never), 'route: there is no field "carier"'],
    ['a way back', () => planRealServer({ masq: { director: '192.0.2.254', clients: 'nowhere' } }), 'masq.clients: "nowhere" is not'],
    ['a way back\'s field', () => diagnoseRealServer({ masq: { director: '192.0.2.254', client: 'default' } } as never), 'masq: there is no field "client"'],
    ['VIPs of null', () => planRealServer({ ...tunnel, vip: null } as never), 'vip: null is not'],
    ['keys in one text', () => files.read('net.ipv4.ip_forward' as never), 'keys: "net.ipv4.ip_forward" is not a list of keys'],
    ['keys of null', () => files.read(null as never), 'keys: null is not a list of keys'],
    ['values of null', () => files.plan(null as never), 'values: null is not an object or a list'],
    ['a setting of null', () => files.plan([null] as never), 'values[0]: null is not an object'],
    ['a key of null', () => files.get(null as never), 'sysctl null: a key is text'],
    ['rules in bytes', () => parseRules(Buffer.from('-A -t 192.0.2.1:80') as never), 'text: an object is not text'],
    ['no rules', () => formatRules(null as never), 'services: null is not a list'],
    ['no metrics', () => formatMetrics(undefined as never), 'services: undefined is not a list'],
    ['a batch of null', () => connection.batch(null as never), 'batch: null is not a list'],
    ['commands of null', () => client.batch(null as never), 'batch: null is not a list'],
  ])('%s', async (_, run, message) => expect((await refusalOf(run)).message).toContain(message))

  it('a getter of the caller throws its own error', async () => {
    const mine = new TypeError('weight: mine')
    const hostile = (name: string): never => Object.defineProperty({}, name, { enumerable: true, get() { throw mine } }) as never
    await expect(director.plan([spec], hostile('prune'))).rejects.toBe(mine)
    await expect(director.addService({ ...spec, realServers: [hostile('weight')] })).rejects.toBe(mine)
    await expect(links.add(hostile('kind'))).rejects.toBe(mine)
    expect(mine.message).toBe('weight: mine')
  })
})
