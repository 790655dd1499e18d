/**
 * The words of this library: what a user declares (specs), what the kernel holds (services, real servers), and what it
 * reports (states).
 *
 * A spec leaves out what has a default and may name several protocols. A {@link Service} is its normal form: one of the
 * kernel's services, everything said. A state is a service with its counters.
 *
 * @module
 */

import { familyOf, endpoint, type Family } from '../base/address.js'
import type { RouteSpec } from '../rtnetlink/route/spec.js'

// ── identity ──

/** Transport protocols of a virtual service. */
export type Protocol = 'tcp' | 'udp' | 'sctp'

/**
 * What a virtual service is known by: a VIP, a port and protocols, or a firewall mark and a family.
 *
 * The kernel has one service per protocol; an id with several stands for all of them.
 */
export type ServiceId =
  | {
    /** The virtual IP, IPv4 or IPv6. */
    readonly vip: string
    /** 0 is every port, and needs persistence. */
    readonly port: number
    readonly protocols: readonly Protocol[]
    readonly protocol?: never
    readonly fwmark?: never
    readonly family?: never
  }
  | {
    /** The virtual IP, IPv4 or IPv6. */
    readonly vip: string
    /** 0 is every port, and needs persistence. */
    readonly port: number
    readonly protocol: Protocol
    readonly protocols?: never
    readonly fwmark?: never
    readonly family?: never
  }
  | {
    /** The mark that netfilter puts on the packets, 1 to 4294967295. */
    readonly fwmark: number
    /** IPv4 and IPv6 have services of their own for the same mark. @defaultValue `'inet'` */
    readonly family?: Family
    readonly vip?: never
    readonly port?: never
    readonly protocol?: never
    readonly protocols?: never
  }

/** What a real server of a service is known by. */
export interface RealServerId {
  readonly address: string
  /** @defaultValue the service's port; 0, which keeps the client's, where the service is a firewall mark */
  readonly port?: number
}

// ── what a user declares ──

/** A scheduler's module name. The kernel may know more than are listed here. */
export type Scheduler =
  'rr' | 'wrr' | 'lc' | 'wlc' | 'lblc' | 'lblcr' | 'dh' | 'sh' | 'mh' | 'sed' | 'nq' | 'fo' | 'ovf' | 'twos' | 'none' | (string & {})

/**
 * Options of a scheduler, in ipvsadm's words: `sh-…` for the scheduler sh, `mh-…` for mh, `flag-…` for any.
 *
 * `…-fallback` goes on to the next real server where the chosen one takes no connections; `…-port` hashes the port too.
 */
export type SchedulerFlag = 'sh-fallback' | 'sh-port' | 'mh-fallback' | 'mh-port' | 'flag-1' | 'flag-2' | 'flag-3'

/** A tunnel to a real server, where it is not plain IPIP. */
export type Tunnel =
  | { readonly tunnel: 'ipip' }
  | {
    readonly tunnel: 'gue'
    /** The UDP port on which the real server decapsulates, 1 to 65535. */
    readonly port: number
    /** @defaultValue none */
    readonly checksum?: 'csum' | 'remcsum'
  }
  | {
    readonly tunnel: 'gre'
    /** @defaultValue none */
    readonly checksum?: 'csum'
  }

/**
 * How packets reach a real server: `masq` is LVS-NAT, `route` is LVS-DR, `tunnel` is LVS-TUN by IPIP, a {@link Tunnel}
 * is LVS-TUN by what it names, and `local` is the director itself.
 */
export type Forwarding = 'masq' | 'route' | 'local' | 'tunnel' | Tunnel

/** Above `upper` connections the scheduler skips a real server; below `lower` it uses it again. */
export interface Thresholds {
  /** 0 is no limit. */
  readonly upper: number
  /** 0 is three quarters of `upper`. @defaultValue 0 */
  readonly lower?: number
}

/** A real server, as a user declares it. */
export interface RealServerSpec extends RealServerId {
  /** Its share of new connections, 0 to 2147483647; 0 is none. @defaultValue 1 */
  readonly weight?: number
  /** @defaultValue the service's `forward`; in verbs about a single real server, `'route'` */
  readonly forward?: Forwarding
  /** @defaultValue no limit */
  readonly thresholds?: Thresholds
}

/** A client's connections go to the real server that its last ones went to. */
export interface Persistence {
  /** How long after its last connection, in seconds, 1 to 2678400. @defaultValue 360, as in ipvsadm */
  readonly timeout?: number
  /**
   * Clients within one network count as one: a mask (`'255.255.255.0'`) for IPv4, a prefix length for IPv6.
   * @defaultValue every client for itself
   */
  readonly netmask?: string | number
  /** What else tells clients apart: `sip` does so by Call-ID. For UDP, and firewall marks. */
  readonly engine?: 'sip' | (string & {})
}

/** How a virtual service distributes its connections. */
export interface ServiceOptions {
  /** @defaultValue `'wlc'`, as in ipvsadm */
  readonly scheduler?: Scheduler
  readonly schedulerFlags?: readonly SchedulerFlag[]
  /** Schedules every UDP datagram by itself. Of several protocols only UDP's service has it. @defaultValue false */
  readonly onePacket?: boolean
  /** @defaultValue none */
  readonly persistence?: Persistence | undefined
  /**
   * The netmask of a service without persistence. It does nothing, but the kernel keeps it and a save carries it.
   * With persistence, say `persistence.netmask`.
   */
  readonly netmask?: string | number
}

/** A virtual service without its real servers. */
export type ServiceSpec = ServiceId & ServiceOptions

/** Where a VIP lives on the director, and the way to its real servers. */
export interface DirectorNetwork {
  /** The link that carries the VIP. @defaultValue none: the VIP is somebody else's care, as keepalived's */
  readonly interface?: string
  /** The VIP's prefix length. Longer than its network's, the VIP does not go when the network's first address goes. @defaultValue 32, or 128 */
  readonly prefix?: number
  /** The VIP's label, for IPv4: begins with the link's name, as `eth0:vip`. */
  readonly label?: string
  /** Routes that lead to the real servers. */
  readonly routes?: readonly RouteSpec[]
}

/** A virtual service with all its real servers, as a user declares it. */
export type VirtualServiceSpec = ServiceSpec & {
  /** What it needs of the director's network: address, routes, and the sysctls of its forwarding and scheduler. @defaultValue nothing */
  readonly network?: DirectorNetwork
  /** How packets reach the real servers that do not say so themselves. @defaultValue `'route'`, as in ipvsadm */
  readonly forward?: Forwarding
  /** Addresses, or more. */
  readonly realServers: readonly (string | RealServerSpec)[]
}

// ── what the kernel holds ──

/** What one of the kernel's services is known by. A protocol without a name is a number. */
export type ServiceKey =
  | { vip: string; port: number; protocol: Protocol | number; fwmark?: never; family?: never }
  | { fwmark: number; family: Family; vip?: never; port?: never; protocol?: never }

/** A tunnel that no spec can say, but the kernel can hold: an unknown type is a number, unknown flags are. */
export interface OtherTunnel { tunnel: 'ipip' | 'gue' | 'gre' | number; port?: number; checksum?: 'csum' | 'remcsum' | number }

/** How packets reach a real server, with what a foreign program may have set. Plain IPIP is `'tunnel'`. */
export type ActualForwarding = Forwarding | 'bypass' | number | OtherTunnel

/** A real server in its normal form. */
export interface RealServerSettings {
  address: string
  port: number
  forward: ActualForwarding
  weight: number
  thresholds: { upper: number; lower: number }
}

/** The options of a service in their normal form. */
export interface ServiceSettings {
  scheduler: string
  schedulerFlags: readonly SchedulerFlag[]
  onePacket: boolean
  /** Absent where the service is not persistent. */
  persistence?: { timeout: number; netmask: string | number; engine?: string }
  /** Where the service is not persistent: the netmask, if it is not that of a single client. */
  netmask?: string | number
  /** Where the service is not persistent: the persistence engine, which then does nothing. */
  engine?: string
}

/** One of the kernel's services in its normal form. */
export type Service = ServiceKey & ServiceSettings & { realServers: readonly RealServerSettings[] }

// ── what the kernel reports ──

/** Counters since the last `zero()`, and rates. The kernel sums them up every two seconds. */
export interface Stats {
  /** Connections scheduled. */
  connections: bigint
  /** From clients. */
  packetsIn: bigint
  /** To clients, as far as they pass through the director: replies with `masq`, and ICMP errors. */
  packetsOut: bigint
  bytesIn: bigint
  bytesOut: bigint
  /** Averages over about two seconds, per second. */
  rates: { connections: number; packetsIn: number; packetsOut: number; bytesIn: number; bytesOut: number }
}

/** A real server as the kernel reports it. */
export interface RealServerState extends RealServerSettings {
  /** Connections that are established. */
  activeConnections: number
  /** Connections in every other state: opening, closing, and all of UDP. */
  inactiveConnections: number
  /** Persistence templates. */
  persistentConnections: number
  stats: Stats
}

/** A virtual service as the kernel reports it. */
export type ServiceState = ServiceKey & ServiceSettings & { realServers: RealServerState[]; stats: Stats }

// ── names ──

/** The family of a service. */
export const serviceFamily = (key: ServiceKey): Family => key.family ?? familyOf(key.vip)

/** A service in words: `udp 192.168.50.100:53`, `fwmark 7 inet6`. */
export function serviceName(key: ServiceKey): string {
  if (key.fwmark !== undefined) return `fwmark ${key.fwmark}${key.family === 'inet6' ? ' inet6' : ''}`
  return `${typeof key.protocol === 'number' ? `protocol ${key.protocol}` : key.protocol} ${endpoint(key.vip, key.port)}`
}

/** Services, or real servers, by their names; the last one of a name counts. */
export function byName<T>(rows: readonly T[], nameOf: (row: T) => string): Map<string, T> {
  const named = new Map<string, T>()
  for (const row of rows) named.set(nameOf(row), row)
  return named
}

/** What tells a real server from the others of its service. */
export type RealServerKey = Pick<RealServerSettings, 'address' | 'port'>

/** A real server among those of its service, as a key for maps. */
export const realServerName = ({ address, port }: RealServerKey): string => `${address} ${port}`

/** Where addresses were seen last, by how they end: in which list. Most lists have no twins, and are known by this to have none. */
const endings = new Uint32Array(4096)
let lists = 0

function mayHaveTwins(servers: readonly RealServerKey[]): boolean {
  lists = (lists + 1) >>> 0
  for (const { address, port } of servers) {
    const last = address.length - 1
    const place = address.charCodeAt(last) + 10 * address.charCodeAt(last - 1) + 100 * address.charCodeAt(last - 2) + port & 4095
    if (endings[place] === lists) return true
    endings[place] = lists
  }
  return false
}

/** The first real server whose address and port another before it has: their indices; undefined where there is none. */
export function twins(servers: readonly RealServerKey[]): [first: number, second: number] | undefined {
  if (!mayHaveTwins(servers)) return undefined
  const seen = new Map<string, number>()
  for (let i = 0; i < servers.length; i++) {
    const name = realServerName(servers[i]!), twin = seen.get(name)
    if (twin !== undefined) return [twin, i]
    seen.set(name, i)
  }
  return undefined
}

/** The one with this address and port, if it is there. */
export const findRealServer = <S extends RealServerKey>(servers: readonly S[], { address, port }: RealServerKey): S | undefined =>
  servers.find(server => server.address === address && server.port === port)

/** The netmask of a single client, which is what the kernel has where nobody said one. */
export const singleClient = (family: Family): string | number => family === 'inet' ? '255.255.255.255' : 128

/** The bits that a service has for its scheduler. */
export type SchedulerBit = 'sched1' | 'sched2' | 'sched3'

/** The scheduler's bits by the names that ipvsadm gives them. */
export const schedulerBits: Readonly<Record<SchedulerFlag, SchedulerBit>> = {
  'flag-1':      'sched1',
  'flag-2':      'sched2',
  'flag-3':      'sched3',
  'sh-fallback': 'sched1',
  'sh-port':     'sched2',
  'mh-fallback': 'sched1',
  'mh-port':     'sched2',
}

/** The name of a scheduler's bit: its own where it has one. */
export function schedulerFlagName(scheduler: string, bit: SchedulerBit): SchedulerFlag {
  const own = Object.entries(schedulerBits).find(([name, b]) => b === bit && name.startsWith(`${scheduler}-`))
  return (own?.[0] ?? `flag-${bit.slice(-1)}`) as SchedulerFlag
}
