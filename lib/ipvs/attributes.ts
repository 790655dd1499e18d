/** Meaning to wire and back: services and real servers as IPVS's netlink attributes. Total both ways. */

import type { DestinationAttributes, ServiceAttributes, Stats64Attributes, StatsAttributes, TunnelFlags } from '../../generic-netlink/index.js'
import { familyOf, type Family } from '../base/address.js'
import {
  schedulerBits, schedulerFlagName, serviceFamily, singleClient, type ActualForwarding, type RealServerSettings, type RealServerState,
  type ServiceKey, type ServiceSettings, type Stats,
} from './model.js'

// ── to the kernel ──

/** What names a service. */
export function keyAttributes(key: ServiceKey): ServiceAttributes {
  if (key.fwmark !== undefined) return { af: key.family, fwmark: key.fwmark }
  return { af: familyOf(key.vip), protocol: key.protocol, addr: key.vip, port: key.port }
}

/** The bits that are ours to change; HASHED is the kernel's own, and unknown ones are somebody else's. */
const OUR_BITS = { persistent: true, onePacket: true, sched1: true, sched2: true, sched3: true }

/** All of a service: what `newService` and `setService` require, whether it is persistent or not. */
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
    mask: OUR_BITS,
  }
  attributes.timeout = persistence?.timeout ?? 0
  attributes.netmask = persistence?.netmask ?? service.netmask ?? singleClient(serviceFamily(service))
  attributes.peName = persistence?.engine ?? service.engine
  return attributes
}

/** What names a real server of a service. */
export function destinationKey({ address, port }: { address: string; port: number }): DestinationAttributes {
  return { addrFamily: familyOf(address), addr: address, port }
}

const NO_FLAGS: TunnelFlags = {}
const CHECKSUM_BITS = { csum: { csum: true }, remcsum: { remcsum: true } }

/** A place for the attributes of a real server. */
export const emptyDestination = (): DestinationAttributes => ({
  addrFamily: undefined, addr: undefined, port: undefined, fwdMethod: undefined, weight: undefined, uThresh: undefined, lThresh: undefined,
  tunType: undefined, tunPort: undefined, tunFlags: undefined,
})

/**
 * All of a real server. The tunnel's attributes go along always: a `setDest` without them makes any tunnel IPIP.
 *
 * @param into - Where they are written: where there are thousands, over those of the last.
 */
export function destinationAttributes(server: RealServerSettings, into = emptyDestination()): DestinationAttributes {
  const { forward } = server
  const tunnel = typeof forward === 'object' ? forward : undefined
  const checksum = tunnel && 'checksum' in tunnel ? tunnel.checksum : undefined
  into.addrFamily = familyOf(server.address)
  into.addr = server.address
  into.port = server.port
  into.fwdMethod = typeof forward === 'object' ? 'tunnel' : forward
  into.weight = server.weight
  into.uThresh = server.thresholds.upper
  into.lThresh = server.thresholds.lower
  into.tunType = tunnel?.tunnel ?? 'ipip'
  into.tunPort = tunnel && 'port' in tunnel ? tunnel.port : 0
  into.tunFlags = checksum === undefined ? NO_FLAGS : typeof checksum === 'number' ? bitsOf(checksum) : CHECKSUM_BITS[checksum]
  return into
}

/** Flags that no name covers, as a foreign program may have set them. */
const bitsOf = (word: number): TunnelFlags => ({
  csum: (word & 1) !== 0,
  remcsum: (word & 2) !== 0,
  ...Object.fromEntries(Array.from({ length: 14 }, (_, i) => [i + 2, (word >>> i + 2 & 1) !== 0])),
})

// ── from the kernel ──

/** A service as `getService` answers it, without its real servers. */
export function readService(attributes: ServiceAttributes): ServiceKey & ServiceSettings & { stats: Stats } {
  const { af, protocol = 0, addr = '', port = 0, fwmark, schedName = '', flags, timeout = 0, netmask, peName } = attributes
  const family: Family = af === 'inet6' ? 'inet6' : 'inet'
  const bits = flags?.flags ?? {}
  const { persistent = false, onePacket = false, sched1, sched2, sched3 } = bits
  const schedulerFlags = sched1 || sched2 || sched3 ? SCHEDULER_BITS.filter(bit => bits[bit]).map(bit => schedulerFlagName(schedName, bit)) : []
  const stats = readStats(attributes)
  // Not made of parts, as there may be thousands: V8 is slow where each object has a shape of its own making.
  const service: ServiceKey & ServiceSettings & { stats: Stats } = fwmark === undefined
    ? { vip: addr, port, protocol, scheduler: schedName, schedulerFlags, onePacket, stats }
    : { fwmark, family, scheduler: schedName, schedulerFlags, onePacket, stats }
  const granularity = netmask ?? singleClient(family)
  if (persistent) service.persistence = { timeout, netmask: granularity, ...peName && { engine: peName } }
  else {
    if (granularity !== singleClient(family)) service.netmask = granularity
    if (peName) service.engine = peName
  }
  return service
}

/** A real server as `getDest` answers it, without what is counted. */
export function readRealServerSettings(attributes: DestinationAttributes): RealServerSettings {
  const { addr, port, weight, uThresh, lThresh } = attributes
  return {
    address: addr ?? '',
    port: port ?? 0,
    forward: readForwarding(attributes),
    weight: weight ?? 0,
    thresholds: readThresholds(uThresh, lThresh),
  }
}

/** A real server as `getDest` answers it. */
export function readRealServer(attributes: DestinationAttributes): RealServerState {
  const { addr, port, weight, uThresh, lThresh, activeConns, inactConns, persistConns } = attributes
  return {
    address: addr ?? '',
    port: port ?? 0,
    forward: readForwarding(attributes),
    weight: weight ?? 0,
    thresholds: readThresholds(uThresh, lThresh),
    activeConnections: activeConns ?? 0,
    inactiveConnections: inactConns ?? 0,
    persistentConnections: persistConns ?? 0,
    stats: readStats(attributes),
  }
}

const NO_THRESHOLDS = Object.freeze({ upper: 0, lower: 0 })
const readThresholds = (upper = 0, lower = 0): { upper: number; lower: number } => upper === 0 && lower === 0 ? NO_THRESHOLDS : { upper, lower }

const SCHEDULER_BITS = ['sched1', 'sched2', 'sched3'] as const

function readForwarding({ fwdMethod = 'masq', tunType = 'ipip', tunPort = 0, tunFlags = {} }: DestinationAttributes): ActualForwarding {
  if (fwdMethod !== 'tunnel') return fwdMethod
  const checksum = readChecksum(tunFlags)
  if (tunType === 'ipip' && tunPort === 0 && checksum === undefined) return 'tunnel'
  return { tunnel: tunType, ...(tunPort !== 0 || tunType === 'gue') && { port: tunPort }, ...checksum !== undefined && { checksum } }
}

function readChecksum(flags: TunnelFlags): 'csum' | 'remcsum' | number | undefined {
  let word = 0
  for (const name in flags) word |= 1 << (name === 'csum' ? 0 : name === 'remcsum' ? 1 : Number(name))
  return word === 0 ? undefined : word === 1 ? 'csum' : word === 2 ? 'remcsum' : word
}

/** Most counters of most tables are idle; they share one object. */
const IDLE: Stats = Object.freeze({
  connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n,
  rates: Object.freeze({ connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 }),
})

/** The counters of 64 bits; those of 32 where the kernel, before 4.1, has no others. */
function readStats({ stats64, stats }: { stats64?: Stats64Attributes | undefined; stats?: StatsAttributes | undefined }): Stats {
  const { conns, inpkts, outpkts, inbytes, outbytes, cps, inpps, outpps, inbps, outbps } = stats64 ?? stats ?? {}
  // Nothing counts packets or bytes without packets from clients or to them.
  if (!conns && !inpkts && !outpkts && !inbps && !outbps && !cps) return IDLE
  return {
    connections: BigInt(conns ?? 0),
    packetsIn: BigInt(inpkts ?? 0),
    packetsOut: BigInt(outpkts ?? 0),
    bytesIn: inbytes ?? 0n,
    bytesOut: outbytes ?? 0n,
    rates: {
      connections: Number(cps ?? 0),
      packetsIn: Number(inpps ?? 0),
      packetsOut: Number(outpps ?? 0),
      bytesIn: Number(inbps ?? 0),
      bytesOut: Number(outbps ?? 0),
    },
  }
}
