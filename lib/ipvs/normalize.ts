/**
 * Specs to their normal form, refusing what cannot work.
 *
 * The kernel takes a firewall mark of 0 for a service on 0.0.0.0:0, forwards by methods that do not exist, and
 * balances to ports that nobody hears. What is refused here never reaches it; every refusal names its field.
 *
 * @module
 */

import { parseIPv4 } from '../../generic-netlink/index.js'
import { address, boolean, checkEach, checkList, checkObject, integer, interfaceName, invalid, oneOf, show } from '../base/check.js'
import { isMulticast, type Family } from '../base/address.js'
import {
  schedulerBits, schedulerFlagName, serviceFamily, singleClient, twins, type DirectorNetwork, type Forwarding, type Persistence, type Protocol,
  type RealServerKey, type RealServerSettings, type RealServerSpec, type SchedulerBit, type SchedulerFlag, type Service, type ServiceId, type ServiceKey,
  type ServiceOptions, type ServiceSpec, type Thresholds, type VirtualServiceSpec,
} from './model.js'

const PROTOCOLS: readonly Protocol[] = ['tcp', 'udp', 'sctp']
const FORWARDING = ['masq', 'route', 'local', 'tunnel']
const CHECKSUMS = { ipip: [], gue: ['csum', 'remcsum'], gre: ['csum'] } as const

/** What a module of the kernel may be called: the name goes to modprobe as it is. */
const MODULE_NAME = /^[a-z0-9_]+$/
const INT_MAX = 0x7fffffff
/** 31 days, ipvsadm's limit. The kernel multiplies seconds by its tick rate in 32 bits, and wraps. */
export const LONGEST_TIMEOUT = 2678400
const DEFAULT_TIMEOUT = 360

// ── fields ──

function moduleName(path: string, value: unknown, longest: number): string {
  if (typeof value !== 'string' || !MODULE_NAME.test(value) || value.length > longest) {
    throw invalid(path, value, `a module's name of at most ${longest} characters of a-z, 0-9 and _`)
  }
  return value
}

/** Why an address can be no end of a connection through a director; an IPv4 address is also given as a number. */
function unusable(text: string, n: number): string | undefined {
  if (n >= 0) {
    return n === 0 ? 'the unspecified address'
      : n === 0xffffffff ? 'the broadcast address'
        : n >>> 28 === 14 ? 'a multicast address'
          : n >>> 24 === 127 ? 'a loopback address'
            : undefined
  }
  return text === '::' ? 'the unspecified address'
    : text === '::1' ? 'the loopback address'
      : isMulticast(text) ? 'a multicast address'
        : text.startsWith('::ffff:') ? 'an IPv4 address in IPv6 form, which the kernel refuses'
          : undefined
}

function refuseUnusable(path: string, text: string, n: number): void {
  const why = unusable(text, n)
  if (why !== undefined) throw new RangeError(`${path}: ${text} is ${why}`)
}

function netmask(path: string, value: unknown, family: Family): string | number {
  if (family === 'inet6') return integer(path, value, 1, 128)
  const mask = typeof value === 'string' ? parseIPv4(value) : -1
  const hosts = ~mask >>> 0
  // Where a mask's ones stand together, its zeros are one less than a power of two.
  if (mask < 0 || (hosts & hosts + 1) !== 0) throw invalid(path, value, 'a mask such as 255.255.255.0')
  return value as string
}

// ── identity ──

/** The kernel's services that an id stands for; also one that nobody should have made. @throws TypeError, RangeError naming the field */
export function serviceKeys(id: ServiceId | ServiceKey): ServiceKey[] {
  if (typeof id !== 'object' || (id as unknown) === null) throw new TypeError(`service: ${show(id)} is not an object`)
  const { vip, port, protocol, protocols, fwmark, family } = id as Record<string, unknown>
  if (fwmark !== undefined) {
    if ((vip ?? port ?? protocol ?? protocols) !== undefined) {
      throw new TypeError('fwmark: goes without vip, port and protocols; the kernel would ignore them')
    }
    return [{ fwmark: integer('fwmark', fwmark, 1, 0xffffffff), family: oneOf('family', family ?? 'inet', ['inet', 'inet6']) }]
  }
  if (vip === undefined) throw new TypeError('vip: a service has a VIP or a fwmark')
  if (family !== undefined) throw new TypeError('family: goes with fwmark; the VIP shows its own')
  if ((protocol === undefined) === (protocols === undefined)) throw new TypeError('protocols: a service with a VIP says protocols, or one protocol')
  if (protocols !== undefined) checkList('protocols', protocols)
  const named = protocols === undefined
    ? [protocolOf('protocol', protocol)]
    : (protocols as unknown[]).map((each, i) => protocolOf(`protocols[${i}]`, each))
  if (named.length === 0) throw new RangeError('protocols: the list is empty')
  named.forEach((each, i) => { if (named.indexOf(each) < i) throw new RangeError(`protocols[${i}]: ${each} is there twice`) })
  const key = { vip: address('vip', vip), port: integer('port', port, 0, 65535) }
  return named.map(protocol => ({ vip: key.vip, port: key.port, protocol }))
}

const protocolOf = (path: string, value: unknown): Protocol | number =>
  typeof value === 'number' ? integer(path, value, 0, 65535) : oneOf(path, value, PROTOCOLS)

/** The address and port of a real server of this service. @throws RangeError naming the field */
export function realServerId(id: { readonly address: string; readonly port?: number | undefined }, service: ServiceKey): RealServerKey {
  return { address: address('address', id.address), port: portOf(id, service) }
}

const portOf = ({ port }: { readonly port?: number | undefined }, service: ServiceKey): number =>
  integer('port', port === undefined ? service.port ?? 0 : port, 0, 65535)

// ── services ──

const ID_FIELDS = ['vip', 'port', 'protocol', 'protocols', 'fwmark', 'family']
const OPTION_FIELDS = ['scheduler', 'schedulerFlags', 'onePacket', 'persistence', 'netmask']
/** What a state has besides, so that one can be edited and given back. */
const STATE_FIELDS = ['stats', 'engine']
const SPEC_FIELDS = new Set([...ID_FIELDS, ...OPTION_FIELDS, 'forward', 'network', 'realServers', ...STATE_FIELDS])
const NETWORK_FIELDS = new Set(['interface', 'prefix', 'label', 'routes'])
const PERSISTENCE_FIELDS = new Set(['timeout', 'netmask', 'engine'])

function persistence(value: Persistence, family: Family): { timeout: number; netmask: string | number; engine?: string } {
  checkObject('persistence', value, PERSISTENCE_FIELDS)
  const { timeout = DEFAULT_TIMEOUT, netmask: mask = singleClient(family), engine } = value
  return {
    timeout: integer('persistence.timeout', timeout, 1, LONGEST_TIMEOUT),
    netmask: netmask('persistence.netmask', mask, family),
    ...engine !== undefined && { engine: moduleName('persistence.engine', engine, 16) },
  }
}

/** In the kernel's order, and by the names that it would be read back with. */
function schedulerFlags(value: readonly SchedulerFlag[], scheduler: string): SchedulerFlag[] {
  checkList('schedulerFlags', value)
  if (value.length === 0) return []
  const flags = new Map<SchedulerBit, SchedulerFlag>()
  value.forEach((flag, i) => {
    const path = `schedulerFlags[${i}]`
    oneOf(path, flag, Object.keys(schedulerBits))
    const owner = flag.split('-')[0]!
    if (owner !== 'flag' && owner !== scheduler) throw new RangeError(`${path}: ${flag} is for the scheduler ${owner}, and this service has ${scheduler}`)
    const bit = schedulerBits[flag]
    if (flags.has(bit)) throw new RangeError(`${path}: ${flag} is the same bit as ${flags.get(bit)!}`)
    flags.set(bit, flag)
  })
  return [...flags.keys()].sort().map(bit => schedulerFlagName(scheduler, bit))
}

/** One of a spec's services with its options, and no real servers yet. `udp` says whether any of them can have what only datagrams can. */
function withOptions(spec: ServiceOptions, key: ServiceKey, udp: boolean): Service {
  const family = serviceFamily(key)
  const datagrams = key.fwmark !== undefined || key.protocol === 'udp'
  const { onePacket = false, schedulerFlags: flags = [] } = spec
  const scheduler = moduleName('scheduler', spec.scheduler === undefined ? 'wlc' : spec.scheduler, 15)
  boolean('onePacket', onePacket)
  if (onePacket && !udp) throw new RangeError('onePacket: only UDP and firewall marks can be scheduled packet by packet')
  const persistent = spec.persistence === undefined ? undefined : persistence(spec.persistence, family)
  if (persistent?.engine !== undefined) {
    if (!udp) throw new RangeError(`persistence.engine: ${persistent.engine} reads UDP, which this service does not carry`)
    if (!datagrams) delete persistent.engine
  }
  if (persistent && spec.netmask !== undefined) throw new TypeError('netmask: of a persistent service it is persistence.netmask')
  if (!persistent && key.port === 0) throw new RangeError('port: 0 is every port, and needs persistence')
  const idle = spec.netmask === undefined ? undefined : netmask('netmask', spec.netmask, family)
  const options = { scheduler, schedulerFlags: schedulerFlags(flags, scheduler), onePacket: onePacket && datagrams, realServers: [] }
  // Spelt out, as there may be thousands: V8 is slow where an object is made of another and goes on growing.
  const service: Service = key.fwmark === undefined
    ? { vip: key.vip, port: key.port, protocol: key.protocol, ...options }
    : { fwmark: key.fwmark, family: key.family, ...options }
  if (persistent) service.persistence = persistent
  if (idle !== undefined && idle !== singleClient(family)) service.netmask = idle
  return service
}

/** A service's spec to the kernel's services it stands for, with no real servers yet. @throws TypeError, RangeError naming the field */
export function normalizeService(spec: ServiceSpec): Service[] {
  checkObject('service', spec, SPEC_FIELDS)
  if ((spec as { engine?: unknown }).engine !== undefined) {
    throw new TypeError('engine: a persistence engine without persistence does nothing; say persistence.engine')
  }
  const keys = serviceKeys(spec)
  for (const { vip, protocol } of keys) {
    if (vip !== undefined) refuseUnusable('vip', vip, parseIPv4(vip))
    if (typeof protocol === 'number') throw invalid('protocol', protocol, `one of ${PROTOCOLS.join(', ')}`)
  }
  const udp = keys.some(key => key.fwmark !== undefined || key.protocol === 'udp')
  return keys.map(key => withOptions(spec, key, udp))
}

/** A spec to the kernel's services it stands for, with their real servers. @throws TypeError, RangeError naming the field */
export function normalize(spec: VirtualServiceSpec): Service[] {
  const services = normalizeService(spec)
  if (spec.network !== undefined) network(spec.network, services[0]!)
  const forward = spec.forward === undefined ? 'route' : forwarding('forward', spec.forward)
  for (const service of services) addRealServers(service, spec.realServers, forward)
  return services
}

function addRealServers(service: Service, specs: readonly (string | RealServerSpec)[], byDefault: Forwarding): void {
  const servers = checkEach('realServers', specs, server => normalizeRealServer(server, service, byDefault))
  const pair = twins(servers)
  if (pair) {
    const [first, second] = pair, { address, port } = servers[second]!
    throw new RangeError(`realServers[${second}]: ${address} port ${port} is realServers[${first}] already`)
  }
  service.realServers = servers
}

/** What is not the address's and the routes' own to check. */
function network(value: DirectorNetwork, service: ServiceKey): void {
  checkObject('network', value, NETWORK_FIELDS)
  const { interface: link, prefix } = value
  if (link !== undefined) interfaceName('network.interface', link)
  if (link !== undefined && service.vip === undefined) throw new TypeError('network.interface: carries the VIP, and a firewall mark has none')
  if (prefix !== undefined) integer('network.prefix', prefix, 1, serviceFamily(service) === 'inet' ? 32 : 128)
  if (value.routes !== undefined) checkList('network.routes', value.routes)
}

// ── real servers ──

const SERVER_FIELDS = new Set(
  ['address', 'port', 'weight', 'forward', 'thresholds', 'activeConnections', 'inactiveConnections', 'persistentConnections', 'stats'],
)
const TUNNEL_FIELDS = new Set(['tunnel', 'port', 'checksum'])
const THRESHOLD_FIELDS = new Set(['upper', 'lower'])

/** A real server of this service in its normal form. @throws RangeError naming the field */
export function normalizeRealServer(spec: string | RealServerSpec, service: ServiceKey, byDefault: Forwarding = 'route'): RealServerSettings {
  const given: RealServerSpec = typeof spec === 'string' ? { address: spec } : spec
  checkObject('', given, SERVER_FIELDS)
  const { weight = 1, thresholds: limits } = given // defaults stand for undefined alone: null is refused
  const forward = given.forward === undefined ? byDefault : forwarding('forward', given.forward)
  const n = typeof given.address === 'string' ? parseIPv4(given.address) : -1 // what follows needs the number too, and there may be thousands
  const own = n >= 0 ? given.address : address('address', given.address)
  const port = portOf(given, service)
  if (forward !== 'local') {
    refuseUnusable('address', own, n)
    if (own === service.vip) throw new RangeError(`address: ${own} is the VIP itself`)
  }
  if (n < 0 && /^fe[89ab]/.test(own)) throw new RangeError(`address: ${own} is link-local, and the kernel has no place for its link`)
  const tunnel = forward === 'tunnel' || typeof forward === 'object'
  if (!tunnel && (n < 0 ? 'inet6' : 'inet') !== serviceFamily(service)) {
    throw new RangeError(`address: ${own} is of another family than the service, which only a tunnel can bridge`)
  }
  if (service.fwmark === undefined && port !== service.port && (tunnel || forward === 'route')) {
    const way = tunnel ? 'tunnel' : 'route'
    throw new RangeError(`port: ${port} is not the service's port ${service.port}, at which packets arrive when forwarded by ${way}`)
  }
  integer('weight', weight, 0, INT_MAX)
  return { address: own, port, forward, weight, thresholds: limits === undefined ? NO_THRESHOLDS : thresholds('thresholds', limits) }
}

const NO_THRESHOLDS = Object.freeze({ upper: 0, lower: 0 })

function forwarding(path: string, value: Forwarding): Forwarding {
  if (typeof value !== 'object') return oneOf(path, value, FORWARDING) as Forwarding
  checkObject(path, value, TUNNEL_FIELDS)
  const tunnel = oneOf(`${path}.tunnel`, value.tunnel, ['ipip', 'gue', 'gre'])
  const { port, checksum } = value as { port?: unknown; checksum?: unknown }
  if (tunnel === 'gue') integer(`${path}.port`, port, 1, 65535)
  else if (port !== undefined) throw new TypeError(`${path}.port: only gue has one`)
  if (checksum !== undefined && !CHECKSUMS[tunnel].some(c => c === checksum)) {
    throw invalid(`${path}.checksum`, checksum, tunnel === 'ipip' ? 'for ipip, which has none' : `one of ${CHECKSUMS[tunnel].join(', ')}`)
  }
  return tunnel === 'ipip' ? 'tunnel' : { tunnel, ...port !== undefined && { port }, ...checksum !== undefined && { checksum } } as Forwarding
}

function thresholds(path: string, value: Thresholds): { upper: number; lower: number } {
  checkObject(path, value, THRESHOLD_FIELDS)
  const { upper, lower = 0 } = value
  integer(`${path}.upper`, upper, 0, INT_MAX)
  integer(`${path}.lower`, lower, 0, INT_MAX)
  if (lower > upper) throw new RangeError(`${path}.lower: ${lower} is more than the upper threshold, ${upper}`)
  return { upper, lower }
}
