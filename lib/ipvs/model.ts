/**
 * The types of this library: specs, which a user declares; services and real servers, which the
 * kernel holds; and states, which the kernel reports. A spec may leave out fields that have a
 * default, and may name several protocols. A {@link Service} is the normal form: a service of the
 * kernel, with all fields. A state is a service with its counters.
 *
 * @module
 */

import type { Family } from '../base/address.js'
import type { RouteSpec } from '../rtnetlink/route/spec.js'
import type { Tunnel, TunnelChecksum, TunnelKind } from './tunnels.js'

// ── identity ──

/** Transport protocols of a virtual service. */
export type Protocol = 'tcp' | 'udp' | 'sctp'

/**
 * The identity of a virtual service: a VIP, a port and protocols, or a firewall mark and a family.
 *
 * The kernel has one service per protocol; an id with several protocols stands for all of them.
 */
export type ServiceId =
  | {
    /** The virtual IP, IPv4 or IPv6. */
    readonly vip: string
    /** 0 is every port, and needs persistence. */
    readonly port: number
    readonly fwmark?: never
    readonly family?: never
  } & (
    | { readonly protocols: readonly Protocol[]; readonly protocol?: never }
    | { readonly protocol: Protocol; readonly protocols?: never }
  )
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

/** The identity of a real server of a service. */
export interface RealServerId {
  readonly address: string
  /** @defaultValue the service's port; 0, which keeps the client's port, for a firewall mark */
  readonly port?: number
}

// ── specs ──

/** A scheduler's module name. The kernel may have others. */
export type Scheduler =
  | 'rr' | 'wrr' | 'lc' | 'wlc' | 'lblc' | 'lblcr' | 'dh' | 'sh' | 'mh' | 'sed' | 'nq' | 'fo' | 'ovf' | 'twos' | 'none'
  | (string & {})

/**
 * Options of a scheduler, in ipvsadm's words: `sh-…` for sh, `mh-…` for mh, `flag-…` for any.
 * `…-fallback` goes on to the next real server where the chosen one takes no connections;
 * `…-port` hashes the port too.
 */
export type SchedulerFlag = 'sh-fallback' | 'sh-port' | 'mh-fallback' | 'mh-port' | 'flag-1' | 'flag-2' | 'flag-3'

/**
 * How packets reach a real server: `masq` is LVS-NAT, `route` is LVS-DR, `tunnel` is LVS-TUN
 * by IPIP, a {@link Tunnel} is LVS-TUN by its kind, and `local` is the director itself.
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
  /**
   * Takes it out: weight 0, with the scheduler flags and sysctls of a drain, which plans set; its
   * connections stay, UDP flows too until they are silent. `weight` counts when the drain is no
   * longer declared. A declared drain survives a restart. @defaultValue false
   */
  readonly drain?: boolean
}

/** A client's connections go to the real server of its previous connections. */
export interface Persistence {
  /** Time after the last connection, in seconds, 1 to 2678400. @defaultValue 360, as in ipvsadm */
  readonly timeout?: number
  /**
   * Clients within one network count as one: a mask (`'255.255.255.0'`) for IPv4, a prefix length
   * for IPv6. @defaultValue every client for itself
   */
  readonly netmask?: string | number
  /**
   * A persistence engine tells clients apart by more than their address: `sip` by Call-ID.
   * For UDP and firewall marks.
   */
  readonly engine?: 'sip' | (string & {})
}

/** How a virtual service distributes its connections. */
export interface ServiceOptions {
  /** @defaultValue `'wlc'`, as in ipvsadm */
  readonly scheduler?: Scheduler
  readonly schedulerFlags?: readonly SchedulerFlag[]
  /** Schedules each UDP datagram by itself; not for other protocols. @defaultValue false */
  readonly onePacket?: boolean
  /** @defaultValue none */
  readonly persistence?: Persistence | undefined
  /**
   * The netmask of a service without persistence. It has no effect, but the kernel stores it
   * and `save()` prints it. A persistent service has `persistence.netmask`.
   */
  readonly netmask?: string | number
}

/** A virtual service without its real servers. */
export type ServiceSpec = ServiceId & ServiceOptions

/** The VIP's link on the director, and the routes to the real servers. */
export interface DirectorNetwork {
  /** The link that carries the VIP. @defaultValue none: another program adds it (keepalived) */
  readonly link?: string
  /**
   * The VIP's prefix length. Longer than its network's, the VIP does not go when the network's
   * first address goes. @defaultValue 32, or 128
   */
  readonly prefix?: number
  /** The VIP's label, for IPv4: begins with the link's name, as `eth0:vip`. */
  readonly label?: string
  /** Routes that lead to the real servers. */
  readonly routes?: readonly RouteSpec[]
}

/** A virtual service with all its real servers, as a user declares it. */
export type VirtualServiceSpec = ServiceSpec & {
  /** The service's address, routes and sysctls on the director. @defaultValue none */
  readonly network?: DirectorNetwork
  /** The way to real servers that do not name their own. @defaultValue `'route'`, as in ipvsadm */
  readonly forward?: Forwarding
  /** Addresses, or addresses with settings. */
  readonly realServers: readonly (string | RealServerSpec)[]
}

// ── the kernel's table ──

/** The identity of one of the kernel's services. A protocol without a name is a number. */
export type ServiceKey =
  | { vip: string; port: number; protocol: Protocol | number; fwmark?: never; family?: never }
  | { fwmark: number; family: Family; vip?: never; port?: never; protocol?: never }

/** A tunnel of a foreign program that no spec can declare. Unknown types and flags are numbers. */
export interface OtherTunnel { kind: TunnelKind | number; port?: number; checksum?: TunnelChecksum | number }

/** How packets reach a real server, as any program may have set it. Plain IPIP is `'tunnel'`. */
export type ActualForwarding = Forwarding | 'bypass' | number | OtherTunnel

/** The identity of a real server among those of its service. */
export interface RealServerKey { address: string; port: number }

/** A real server in its normal form. */
export interface RealServerSettings extends RealServerKey {
  forward: ActualForwarding
  weight: number
  thresholds: { upper: number; lower: number }
  /** Declared by a spec: the weight is 0 for now. The kernel knows none. */
  drain?: true
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
  /** Where the service is not persistent: the persistence engine, which has no effect. */
  engine?: string
}

/** One of the kernel's services in its normal form. */
export type Service = ServiceKey & ServiceSettings & { realServers: readonly RealServerSettings[] }

// ── states ──

/**
 * Counters since the last `zero()`, and rates. The kernel sums them up every two seconds. In JSON a
 * counter of a state is a decimal string: a number could not hold 64 bits.
 */
export interface Stats {
  /** Connections scheduled. */
  connections: bigint
  /** Packets from clients. */
  packetsIn: bigint
  /** Packets to clients that pass through the director: replies with `masq`, and ICMP errors. */
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
