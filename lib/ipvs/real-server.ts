/**
 * Real servers by their fields: each has its check, default, wire attributes and comparison.
 *
 * The functions name every field, because they run for each real server of a table, and a loop over
 * the fields takes twice the time. The types, or test/unit/lib/ipvs/attributes.test.ts, refuse a
 * function without all fields.
 *
 * @module
 */

import { parseIPv4 } from '../../generic-netlink/core.js'
import type { DestinationAttributes, TunnelFlags } from '../../generic-netlink/families/ipvs.js'
import { familyOf } from '../base/address.js'
import { address, boolean, checkObject, integer, oneOf, SpecError, within } from '../base/check.js'
import { checkUsable } from './address.js'
import { realServerPort } from './key.js'
import type {
  ActualForwarding, Forwarding, OtherTunnel, RealServerKey, RealServerSettings, RealServerSpec, RealServerState,
  ServiceKey, Thresholds,
} from './model.js'
import { serviceFamily } from './names.js'
import { readStats } from './stats.js'
import { checkTunnel, type TunnelChecksum } from './tunnels.js'

// ── the fields ──

/** A field of a real server besides its address and port. */
interface RealServerField<V> {
  /** The value in its normal form. @throws SpecError naming the field */
  check(path: string, value: unknown): V
  write(to: DestinationAttributes, value: V): void
  read(from: DestinationAttributes): V
  same(a: V, b: V): boolean
}

const INT_MAX = 0x7fffffff

/** The check of a weight. @throws SpecError naming the path */
export const checkWeight = (path: string, value: unknown): number => integer(path, value, 0, INT_MAX)

const weight: RealServerField<number> = {
  check: checkWeight,
  write(to, value) { to.weight = value },
  read: ({ weight = 0 }) => weight,
  same: (a, b) => a === b,
}

const NO_THRESHOLDS = Object.freeze({ upper: 0, lower: 0 })
const THRESHOLD_FIELDS = new Set(['upper', 'lower'] satisfies (keyof Thresholds)[])

const thresholds: RealServerField<RealServerSettings['thresholds']> = {
  check: (path, value) => {
    const { upper, lower = 0 } = checkObject(path, value, THRESHOLD_FIELDS)
    const most = integer(`${path}.upper`, upper, 0, INT_MAX)
    const least = integer(`${path}.lower`, lower, 0, INT_MAX)
    if (least > most) throw new SpecError(`${path}.lower`, `${least} is above the upper threshold, ${most}`)
    return { upper: most, lower: least }
  },
  write(to, { upper, lower }) {
    to.uThresh = upper
    to.lThresh = lower
  },
  read: ({ uThresh = 0, lThresh = 0 }) =>
    uThresh === 0 && lThresh === 0 ? NO_THRESHOLDS : { upper: uThresh, lower: lThresh },
  same: (a, b) => a.upper === b.upper && a.lower === b.lower,
}

const METHODS = ['masq', 'route', 'local', 'tunnel'] as const
const TUNNEL_FIELDS = new Set(['kind', 'port', 'checksum'] satisfies (keyof OtherTunnel)[])

/** Plain IPIP is `'tunnel'`. Always writes all attributes: without them `setDest` makes IPIP. */
const forward = {
  check: (path, value) => {
    if (typeof value !== 'object') return oneOf(path, value, METHODS)
    const tunnel = within(path, () => checkTunnel(checkObject('', value, TUNNEL_FIELDS)))
    return tunnel.kind === 'ipip' ? 'tunnel' : tunnel
  },
  write(to, value) {
    const tunnel = typeof value === 'object' ? value as OtherTunnel : undefined
    to.fwdMethod = typeof value === 'object' ? 'tunnel' : value
    to.tunType = tunnel?.kind ?? 'ipip'
    to.tunPort = tunnel?.port ?? 0
    to.tunFlags = tunnel?.checksum === undefined ? NO_FLAGS : flagsOf(tunnel.checksum)
  },
  read: ({ fwdMethod = 'masq', tunType = 'ipip', tunPort = 0, tunFlags = NO_FLAGS }) => {
    if (fwdMethod !== 'tunnel') return fwdMethod
    const checksum = checksumOf(tunFlags)
    if (tunType === 'ipip' && tunPort === 0 && checksum === undefined) return 'tunnel'
    const port = (tunPort !== 0 || tunType === 'gue') && { port: tunPort }
    return { kind: tunType, ...port, ...checksum !== undefined && { checksum } }
  },
  same: (a: ActualForwarding, b: ActualForwarding) => {
    if (typeof a !== 'object' || typeof b !== 'object') return a === b
    return a.kind === b.kind && (a.port ?? 0) === (b.port ?? 0) && a.checksum === b.checksum
  },
} satisfies RealServerField<ActualForwarding>

const NO_FLAGS: TunnelFlags = {}
const FLAGS: Readonly<Record<TunnelChecksum, TunnelFlags>> = { csum: { csum: true }, remcsum: { remcsum: true } }

/** Flags without a name come from a foreign program. */
const flagsOf = (checksum: TunnelChecksum | number): TunnelFlags => typeof checksum !== 'number' ? FLAGS[checksum] : {
  csum: (checksum & 1) !== 0, remcsum: (checksum & 2) !== 0,
  ...Object.fromEntries(Array.from({ length: 14 }, (_, i) => [i + 2, (checksum >>> i + 2 & 1) !== 0])),
}

function checksumOf(flags: TunnelFlags): TunnelChecksum | number | undefined {
  let word = 0
  for (const name in flags) word |= 1 << (name === 'csum' ? 0 : name === 'remcsum' ? 1 : Number(name))
  return word === 0 ? undefined : word === 1 ? 'csum' : word === 2 ? 'remcsum' : word
}

/**
 * Every field but the key and `drain`, which is no attribute.
 * A field missing here, or in a function below, does not compile.
 */
const fields = { weight, forward, thresholds } satisfies {
  [K in Exclude<keyof RealServerSettings, keyof RealServerKey | 'drain'>]: RealServerField<RealServerSettings[K]>
}

// ── specs ──

/** Fields of states alone: a spec may have them, so that a state can be edited and given back. */
const STATE_FIELDS: Readonly<Record<Exclude<keyof RealServerState, keyof RealServerSettings>, true>> =
  { activeConnections: true, inactiveConnections: true, persistentConnections: true, stats: true }
const SPEC_FIELDS = new Set(['address', 'port', ...Object.keys(fields), 'drain', ...Object.keys(STATE_FIELDS)])

/** The default way to a service's real servers. @throws SpecError naming the field */
export const checkForward = (value: unknown): Forwarding =>
  value === undefined ? 'route' : fields.forward.check('forward', value)

/** A real server of a service in its normal form. @throws SpecError naming the field */
export function normalizeRealServer(
  spec: string | RealServerSpec, service: ServiceKey, defaultForward: Forwarding = 'route',
): RealServerSettings {
  const given: RealServerSpec = typeof spec === 'string' ? { address: spec } : spec
  checkObject('', given, SPEC_FIELDS)
  const { weight = 1, thresholds: limits } = given // defaults are for undefined alone: null is refused
  const forward = given.forward === undefined ? defaultForward : checkForward(given.forward)
  // Parsed once for all checks: there may be thousands.
  const ipv4 = typeof given.address === 'string' ? parseIPv4(given.address) : -1
  const own = ipv4 >= 0 ? given.address : address('address', given.address)
  const port = realServerPort(given.port, service)
  checkReachable(own, port, forward, ipv4, service)
  const server: RealServerSettings = {
    address: own, port, forward,
    weight: fields.weight.check('weight', weight),
    thresholds: limits === undefined ? NO_THRESHOLDS : fields.thresholds.check('thresholds', limits),
  }
  if (given.drain !== undefined && boolean('drain', given.drain)) server.drain = true
  return server
}

/** Refuses an address or a port to which the service's packets cannot be forwarded. */
function checkReachable(address: string, port: number, forward: Forwarding, ipv4: number, service: ServiceKey): void {
  if (forward !== 'local') {
    checkUsable('address', address, ipv4)
    if (address === service.vip) {
      throw new SpecError('address', `${address} is the VIP itself; use the real server's own address`)
    }
  }
  if (ipv4 < 0 && /^fe[89ab]/.test(address)) {
    throw new SpecError('address', `${address} is link-local, and IPVS does not store the link; use a global address`)
  }
  const tunnel = forward === 'tunnel' || typeof forward === 'object'
  if (!tunnel && (ipv4 < 0 ? 'inet6' : 'inet') !== serviceFamily(service)) {
    throw new SpecError(
      'address', `${address} is of another family than the service, which needs a tunnel; set forward: 'tunnel'`)
  }
  if (service.fwmark === undefined && port !== service.port && (tunnel || forward === 'route')) {
    throw new SpecError(
      'port', `must be ${service.port}: forward '${tunnel ? 'tunnel' : 'route'}' cannot change the port; `
      + `use 'masq' to map ${service.port} to ${port}`)
  }
}

// ── the wire ──

/** The attributes of a real server that a command can set. */
type SettableAttributes = Exclude<
  keyof DestinationAttributes, 'activeConns' | 'inactConns' | 'persistConns' | 'stats' | 'stats64'
>

/** Empty attributes of a real server, to be written over. */
export const emptyDestination = (): Record<SettableAttributes, undefined> & DestinationAttributes => ({
  addrFamily: undefined, addr: undefined, port: undefined, fwdMethod: undefined, weight: undefined,
  uThresh: undefined, lThresh: undefined, tunType: undefined, tunPort: undefined, tunFlags: undefined,
})

/** All attributes of a real server. Where there are thousands, `into` is written over for each. */
export function destinationAttributes(
  server: RealServerSettings, into: DestinationAttributes = emptyDestination(),
): DestinationAttributes {
  into.addrFamily = familyOf(server.address)
  into.addr = server.address
  into.port = server.port
  fields.forward.write(into, server.forward)
  fields.weight.write(into, server.weight)
  fields.thresholds.write(into, server.thresholds)
  return into
}

/** A real server of `getDest`, without its counters. */
export const readRealServerSettings = (attributes: DestinationAttributes): RealServerSettings => ({
  address: attributes.addr ?? '',
  port: attributes.port ?? 0,
  forward: fields.forward.read(attributes),
  weight: fields.weight.read(attributes),
  thresholds: fields.thresholds.read(attributes),
})

/** A real server of `getDest`. */
export const readRealServer = (attributes: DestinationAttributes): RealServerState => ({
  address: attributes.addr ?? '',
  port: attributes.port ?? 0,
  forward: fields.forward.read(attributes),
  weight: fields.weight.read(attributes),
  thresholds: { upper: attributes.uThresh ?? 0, lower: attributes.lThresh ?? 0 }, // the caller's own, to edit
  activeConnections: attributes.activeConns ?? 0,
  inactiveConnections: attributes.inactConns ?? 0,
  persistentConnections: attributes.persistConns ?? 0,
  stats: readStats(attributes),
})

// ── differences ──

/** Whether two real servers of the same key have the same settings. */
export const sameRealServer = (a: RealServerSettings, b: RealServerSettings): boolean =>
  fields.weight.same(a.weight, b.weight) && fields.thresholds.same(a.thresholds, b.thresholds)
  && fields.forward.same(a.forward, b.forward)
