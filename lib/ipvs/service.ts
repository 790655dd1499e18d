/** Services by their settings: checks and defaults, attributes on the wire, and comparison. */

import { parseIPv4 } from '../../generic-netlink/core.js'
import type { ServiceAttributes } from '../../generic-netlink/families/ipvs.js'
import type { Family } from '../base/address.js'
import { boolean, checkList, checkObject, integer, invalid, oneOf, SpecError } from '../base/check.js'
import { checkUsable } from './address.js'
import { keyAttributes, protocols, serviceKeys } from './key.js'
import type {
  Persistence, SchedulerFlag, Service, ServiceKey, ServiceOptions, ServiceSettings, ServiceSpec, Stats,
  VirtualServiceSpec,
} from './model.js'
import { serviceFamily } from './names.js'
import { schedulerBits, schedulerFlagName, schedulerFlagNames, type SchedulerBit } from './schedulers.js'
import { readStats } from './stats.js'

/** 31 days, ipvsadm's limit. The kernel computes ticks from seconds in 32 bits, and wraps. */
export const LONGEST_TIMEOUT = 2678400
const DEFAULT_TIMEOUT = 360

// ── values ──

/** The name of a kernel module: the kernel passes it to modprobe as it is. */
function moduleName(path: string, value: unknown, longest: number): string {
  if (typeof value !== 'string' || !/^[a-z0-9_]+$/.test(value) || value.length > longest) {
    throw invalid(path, value, `a module's name of at most ${longest} characters of a-z, 0-9 and _`)
  }
  return value
}

function netmask(path: string, value: unknown, family: Family): string | number {
  if (family === 'inet6') return integer(path, value, 1, 128)
  const mask = typeof value === 'string' ? parseIPv4(value) : -1
  const hosts = ~mask >>> 0
  // Where a mask's ones stand together, its zeros are one less than a power of two.
  if (mask < 0 || (hosts & hosts + 1) !== 0) throw invalid(path, value, 'a mask such as 255.255.255.0')
  return value as string
}

/** The netmask of a single client: the kernel's value where a service has no netmask of its own. */
export const singleClient = (family: Family): string | number => family === 'inet' ? '255.255.255.255' : 128

const PERSISTENCE_FIELDS = new Set(['timeout', 'netmask', 'engine'] satisfies (keyof Persistence)[])

function persistenceOf(value: Persistence, family: Family): NonNullable<ServiceSettings['persistence']> {
  checkObject('persistence', value, PERSISTENCE_FIELDS)
  const { timeout = DEFAULT_TIMEOUT, netmask: mask = singleClient(family), engine } = value
  return {
    timeout: integer('persistence.timeout', timeout, 1, LONGEST_TIMEOUT),
    netmask: netmask('persistence.netmask', mask, family),
    ...engine !== undefined && { engine: moduleName('persistence.engine', engine, 16) },
  }
}

/** The flags in the kernel's order, by the names with which they are read back. */
function flagsOf(value: readonly SchedulerFlag[], scheduler: string): SchedulerFlag[] {
  checkList('schedulerFlags', value)
  if (value.length === 0) return []
  const flags = new Map<SchedulerBit, SchedulerFlag>()
  value.forEach((flag, i) => {
    const path = `schedulerFlags[${i}]`
    oneOf(path, flag, Object.keys(schedulerBits))
    const owner = flag.split('-')[0]!
    if (owner !== 'flag' && owner !== scheduler) {
      throw new SpecError(path, `${flag} is a flag of the scheduler ${owner}, and this service has ${scheduler}`)
    }
    const bit = schedulerBits[flag]
    if (flags.has(bit)) throw new SpecError(path, `${flag} is the same bit as ${flags.get(bit)!}; remove one`)
    flags.set(bit, flag)
  })
  return [...flags.keys()].sort().map(bit => schedulerFlagName(scheduler, bit))
}

// ── specs ──

/** With the fields of states, `stats` and `engine`: a state can be edited and given back. */
const SPEC_FIELDS = new Set([
  'vip', 'port', 'protocol', 'protocols', 'fwmark', 'family',
  'scheduler', 'schedulerFlags', 'onePacket', 'persistence', 'netmask',
  'forward', 'network', 'realServers', 'stats', 'engine',
] satisfies (KeyOf<VirtualServiceSpec> | 'stats' | keyof ServiceSettings)[])
type KeyOf<T> = T extends unknown ? keyof T : never

/** A spec's services, without real servers. @throws SpecError naming the field */
export function normalizeService(spec: ServiceSpec): Service[] {
  checkObject('service', spec, SPEC_FIELDS)
  if ((spec as { engine?: unknown }).engine !== undefined) {
    throw new SpecError('engine', 'has no effect without persistence; set persistence.engine')
  }
  const keys = serviceKeys(spec)
  for (const { vip, protocol } of keys) {
    if (vip !== undefined) checkUsable('vip', vip)
    if (typeof protocol === 'number') throw invalid('protocol', protocol, `one of ${protocols.join(', ')}`)
  }
  const datagrams = keys.some(carriesDatagrams)
  return keys.map(key => withOptions(spec, key, datagrams))
}

const carriesDatagrams = ({ fwmark, protocol }: ServiceKey): boolean => fwmark !== undefined || protocol === 'udp'

/** One of a spec's services. `datagrams` says whether any of the spec's services carries UDP. */
function withOptions(spec: ServiceOptions, key: ServiceKey, datagrams: boolean): Service {
  const family = serviceFamily(key)
  const { onePacket = false, schedulerFlags = [] } = spec
  const scheduler = spec.scheduler === undefined ? 'wlc' : moduleName('scheduler', spec.scheduler, 15)
  boolean('onePacket', onePacket)
  if (onePacket && !datagrams) throw new SpecError('onePacket', 'requires UDP or a firewall mark')
  const persistence = spec.persistence === undefined ? undefined : persistenceOf(spec.persistence, family)
  if (persistence?.engine !== undefined) {
    if (!datagrams) throw new SpecError('persistence.engine', `${persistence.engine} requires UDP or a firewall mark`)
    if (!carriesDatagrams(key)) delete persistence.engine
  }
  if (persistence && spec.netmask !== undefined) {
    throw new SpecError('netmask', 'a persistent service has its netmask in persistence.netmask')
  }
  if (!persistence && key.port === 0) {
    throw new SpecError('port', '0 is every port and requires persistence; set persistence: {}')
  }
  const mask = spec.netmask === undefined ? undefined : netmask('netmask', spec.netmask, family)
  const flags = flagsOf(schedulerFlags, scheduler)
  const options = { scheduler, schedulerFlags: flags, onePacket: onePacket && carriesDatagrams(key), realServers: [] }
  // Objects of one shape, made at once: V8 is slow where thousands are copied and then grow.
  const service: Service = key.fwmark === undefined
    ? { vip: key.vip, port: key.port, protocol: key.protocol, ...options }
    : { fwmark: key.fwmark, family: key.family, ...options }
  if (persistence) service.persistence = persistence
  if (mask !== undefined && mask !== singleClient(family)) service.netmask = mask
  return service
}

// ── the wire ──

/** The bits that a command changes. HASHED is the kernel's own; unknown bits stay as they are. */
const CHANGED_BITS = { persistent: true, onePacket: true, sched1: true, sched2: true, sched3: true }

/** All attributes of a service: `newService` and `setService` require them, persistent or not. */
export function serviceAttributes(service: ServiceKey & ServiceSettings): ServiceAttributes {
  const { persistence, scheduler, schedulerFlags, onePacket } = service
  const bits = schedulerFlags.map(flag => schedulerBits[flag])
  const attributes = keyAttributes(service)
  attributes.schedName = scheduler
  attributes.flags = {
    flags: {
      persistent: persistence !== undefined, onePacket,
      sched1: bits.includes('sched1'), sched2: bits.includes('sched2'), sched3: bits.includes('sched3'),
    },
    mask: CHANGED_BITS,
  }
  attributes.timeout = persistence?.timeout ?? 0
  attributes.netmask = persistence?.netmask ?? service.netmask ?? singleClient(serviceFamily(service))
  attributes.peName = persistence?.engine ?? service.engine
  return attributes
}

/** A service of the kernel without its real servers. */
export type ServiceAlone = ServiceKey & ServiceSettings & { stats: Stats }

/** A service of `getService`. */
export function readService(attributes: ServiceAttributes): ServiceAlone {
  const { protocol = 0, addr = '', port = 0, fwmark, schedName = '', timeout = 0, netmask, peName } = attributes
  const family: Family = attributes.af === 'inet6' ? 'inet6' : 'inet'
  const bits = attributes.flags?.flags ?? {}
  const { persistent = false, onePacket = false, sched1, sched2, sched3 } = bits
  const schedulerFlags = sched1 || sched2 || sched3 ? schedulerFlagNames(schedName, bit => bits[bit]) : []
  const stats = readStats(attributes)
  // Written out: V8 is slow where thousands of objects are made of parts.
  const service: ServiceAlone = fwmark === undefined
    ? { vip: addr, port, protocol, scheduler: schedName, schedulerFlags, onePacket, stats }
    : { fwmark, family, scheduler: schedName, schedulerFlags, onePacket, stats }
  const granularity = netmask ?? singleClient(family)
  if (persistent) service.persistence = { timeout, netmask: granularity, ...peName && { engine: peName } }
  else if (granularity !== singleClient(family)) service.netmask = granularity
  if (!persistent && peName) service.engine = peName
  return service
}

// ── differences ──

/** Whether a setting is the same in two services. */
const same: { readonly [K in keyof Required<ServiceSettings>]: (a: ServiceSettings, b: ServiceSettings) => boolean } = {
  scheduler: (a, b) => a.scheduler === b.scheduler,
  onePacket: (a, b) => a.onePacket === b.onePacket,
  netmask: (a, b) => a.netmask === b.netmask,
  engine: (a, b) => a.engine === b.engine,
  persistence: ({ persistence: p }, { persistence: q }) =>
    p?.timeout === q?.timeout && p?.netmask === q?.netmask && p?.engine === q?.engine,
  schedulerFlags: ({ schedulerFlags: a }, { schedulerFlags: b }) =>
    a.length === b.length && a.every((flag, i) => flag === b[i]),
}
const COMPARISONS = Object.values(same)

/** Whether two services of the same key have the same settings. */
export const sameSettings = (a: ServiceSettings, b: ServiceSettings): boolean => COMPARISONS.every(equal => equal(a, b))
