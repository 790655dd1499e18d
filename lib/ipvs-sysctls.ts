/**
 * The sysctls of IPVS and those around it, as tables: what each takes, what it is at first, what it means, since when it is there.
 *
 * Where the kernel takes any integer and gives a meaning to few (booleans take 7 and -1), the table holds those that mean something.
 * Sources: Documentation/networking/ipvs-sysctl.rst and ip-sysctl.rst, net/netfilter/ipvs/ip_vs_ctl.c, include/linux/inetdevice.h.
 *
 * @module
 */

/** What a key takes. */
export type SysctlTakes =
  /** 0 or 1, also as false or true. */
  | 'flag'
  /** An integer of a range. */
  | { readonly from: number; readonly to: number }
  /** One of a few integers. */
  | { readonly oneOf: readonly number[] }
  /** Two integers, the first below the second, or the second 0. */
  | 'threshold'
  /** Processors as the kernel lists them: `0-3,6`; none: an empty text. */
  | 'processors'

/** What is known of a key. */
export interface SysctlRow {
  readonly takes: SysctlTakes
  /** What a new network namespace has; left out where it depends on the machine. */
  readonly default?: number | readonly number[]
  /** What is counted. */
  readonly unit?: string
  readonly meaning: string
  /** The first Linux that has it; left out where it is older than any that matters. */
  readonly since?: string
  /** The kernel's build option that it hangs on. */
  readonly config?: string
  /** Values that the kernel turns into each other by itself, so that either may be read where the other was written. */
  readonly alike?: readonly number[]
  /** Of a key under `conf`: whether the larger of `conf.all` and `conf.DEVICE` counts, or the device's alone. */
  readonly counts?: 'larger' | 'device'
}

const INT_MAX = 0x7fffffff

/** The modes of the kernel's defences against floods; between 1 and 2 it goes by itself. */
const DEFENCE = { takes: { from: 0, to: 3 }, default: 0, alike: [1, 2], since: '2.6' } as const

/** `net.ipv4.vs.*`, for IPv4 and IPv6 alike: there once the module ip_vs is loaded, and each network namespace has its own. */
export const ipvsSysctls = {
  /** Of how many packets one is dropped. */
  am_droprate: { takes: { from: 0, to: INT_MAX }, default: 10, unit: 'packets', since: '2.6',
    meaning: 'with drop_packet=3 one packet of so many is dropped' },
  /** Memory below which the automatic defences act. */
  amemthresh: { takes: { from: 0, to: INT_MAX }, default: 1024, unit: 'pages', since: '2.6',
    meaning: 'free memory below which drop_entry, drop_packet and secure_tcp in mode 1 act' },
  /** A backup does not direct. */
  backup_only: { takes: 'flag', default: 0, since: '3.9',
    meaning: 'while the backup sync daemon runs this host does not direct, so that packets tunnelled or routed to it do not loop' },
  /** To the original destination where no server is left. */
  cache_bypass: { takes: 'flag', default: 0, since: '2.6',
    meaning: 'where no real server is available, packets go on to their original destination (transparent web caches)' },
  /** Load of the connection table. */
  conn_lfactor: { takes: { from: -8, to: 8 }, default: -4, unit: 'power of two', since: '7.1',
    meaning: 'connections per bucket at which the table of connections grows: -4 is one in 16 buckets; smaller is faster and larger' },
  /** What is done with a client's port that is used again. */
  conn_reuse_mode: { takes: { from: 0, to: 3 }, default: 1, unit: 'bits', since: '4.1',
    meaning: 'a client that uses its port again: 0 keeps its old real server; bit 1 schedules anew where that is safe;'
      + ' bit 2 does also in FIN_WAIT, for direct routing' },
  /** Connection tracking for what IPVS handles. */
  conntrack: { takes: 'flag', default: 0, since: '2.6.37', config: 'CONFIG_IP_VS_NFCT',
    meaning: 'connections of IPVS are tracked by netfilter too: needed for stateful rules and for SNAT of them, costs speed otherwise' },
  /** How much the kernel logs. */
  debug_level: { takes: { from: 0, to: 12 }, default: 0, since: '2.6', config: 'CONFIG_IP_VS_DEBUG',
    meaning: 'how much the kernel logs, from errors (0) to each packet (12); one for all network namespaces' },
  /** Half-open connections are dropped at random. */
  drop_entry: { ...DEFENCE,
    meaning: 'half-open connections are dropped at random: 0 never, 1 when memory is low, 3 always; the kernel turns 1 into 2 while it does' },
  /** Packets are dropped before they are forwarded. */
  drop_packet: { ...DEFENCE,
    meaning: 'some packets are dropped instead of forwarded: 0 never, 1 when memory is low, 3 always; the kernel turns 1 into 2 while it does' },
  /** Where the rates are computed. */
  est_cpulist: { takes: 'processors', since: '6.2',
    meaning: 'processors that compute the rates; at first those that the kernel has for its own housekeeping; none stops it' },
  /** How eagerly the rates are computed. */
  est_nice: { takes: { from: -20, to: 19 }, default: 0, unit: 'niceness', since: '6.2',
    meaning: 'scheduling priority of the threads that compute the rates' },
  /** Connections of a removed real server end. */
  expire_nodest_conn: { takes: 'flag', default: 0, since: '2.6',
    meaning: 'a connection of a removed real server ends with its next packet: TCP is reset, UDP goes to another; else its packets are dropped' },
  /** Sticky clients leave a server of weight 0. */
  expire_quiescent_template: { takes: 'flag', default: 0, since: '2.6',
    meaning: 'clients that persistence ties to a real server of weight 0 are sent to another; else they stay with it' },
  /** Tunnelled packets are left alone. */
  ignore_tunneled: { takes: 'flag', default: 0, since: '4.4',
    meaning: 'packets of protocols that IPVS does not know, such as IPIP, are not scheduled again: for a director that is also a real server' },
  /** ICMP for packets of unknown connections. */
  nat_icmp_send: { takes: 'flag', default: 0, since: '2.6',
    meaning: 'a real server\'s packet (masq) that belongs to no connection is answered with ICMP destination unreachable' },
  /** Packets too large for a tunnel are refused, not fragmented. */
  pmtu_disc: { takes: 'flag', default: 1, since: '3.7',
    meaning: 'a packet larger than the path takes is answered with ICMP fragmentation needed; 0 fragments it where it goes through a tunnel' },
  /** Rates are computed. */
  run_estimation: { takes: 'flag', default: 1, since: '5.16',
    meaning: 'rates (per second) are computed' },
  /** ICMP is scheduled too. */
  schedule_icmp: { takes: 'flag', default: 0, since: '4.4',
    meaning: 'an ICMP error about an unknown connection is scheduled as its packets would be:'
      + ' so it reaches the real server that sent too large a packet' },
  /** A stricter table of TCP states. */
  secure_tcp: { ...DEFENCE,
    meaning: 'stricter TCP states and shorter timeouts: 0 never, 1 when memory is low, 3 always; the kernel turns 1 into 2 while it does' },
  /** SCTP connections may begin in the middle. */
  sloppy_sctp: { takes: 'flag', default: 0, since: '3.11',
    meaning: 'any SCTP packet makes a connection, not only its first: for a director that takes over' },
  /** TCP connections may begin in the middle. */
  sloppy_tcp: { takes: 'flag', default: 0, since: '3.11',
    meaning: 'any TCP packet makes a connection, not only a SYN: for a director that takes over' },
  /** Answers are routed as if the director had sent them. */
  snat_reroute: { takes: 'flag', default: 1, since: '2.6.37',
    meaning: 'answers of real servers (masq) are routed as if this host had sent them; 0 saves that where no policy routing is used' },
  /** Load of the service table. */
  svc_lfactor: { takes: { from: -8, to: 8 }, default: -3, unit: 'power of two', since: '7.1',
    meaning: 'services per bucket at which the table of services grows; smaller is faster and larger' },
  /** What of persistent services is synchronised. */
  sync_persist_mode: { takes: { from: 0, to: 1 }, default: 0, since: '3.11',
    meaning: 'of persistent services 0 synchronises all connections, 1 only which client belongs to which real server (with sloppy_tcp on the backup)' },
  /** Threads that synchronise. */
  sync_ports: { takes: { oneOf: [1, 2, 4, 8, 16, 32, 64] }, default: 1, unit: 'threads', since: '3.5',
    meaning: 'threads, each with a UDP port from 8848 up, that the sync daemons use; the same on master and backup' },
  /** Longest queue of messages to a backup. */
  sync_qlen_max: { takes: { from: 0, to: Number.MAX_SAFE_INTEGER }, unit: 'messages', since: '3.5',
    meaning: 'messages to the backup that may wait; at first a 32nd of the memory\'s pages' },
  /** How often an idle connection is synchronised again. */
  sync_refresh_period: { takes: { from: 0, to: Math.floor(INT_MAX / 1000) }, default: 0, unit: 'seconds', since: '3.5',
    meaning: 'a connection whose state stays is synchronised again after so long; 0: by sync_threshold alone' },
  /** How often a message is repeated. */
  sync_retries: { takes: { from: 0, to: 3 }, default: 0, unit: 'times', since: '3.5',
    meaning: 'repetitions of a message, an eighth of sync_refresh_period apart, against loss' },
  /** Socket buffer of the daemons. */
  sync_sock_size: { takes: { from: 0, to: INT_MAX }, default: 0, unit: 'bytes', since: '3.5',
    meaning: 'socket buffer of the sync daemons; 0: what the system gives' },
  /** After which packets a connection is synchronised. */
  sync_threshold: { takes: 'threshold', default: [3, 50], unit: 'packets', since: '2.6',
    meaning: 'a connection is synchronised at its 3rd packet and then every 50; with a period of 0 once only' },
  /** Version of the synchronisation protocol. */
  sync_version: { takes: { from: 0, to: 1 }, default: 1, since: '2.6.38',
    meaning: 'version of the protocol that the master sends; 0 for a backup that knows no better' },
} as const satisfies Readonly<Record<string, SysctlRow>>

/** `net.ipv4.conf.DEVICE.*`, as far as virtual services depend on them. `conf.default` is what new devices begin with. */
export const ipv4ConfSysctls = {
  /** Packets from one's own addresses. */
  accept_local: { takes: 'flag', default: 0, counts: 'larger',
    meaning: 'packets that come in with an address of this host as their source are taken' },
  /** Which address ARP requests carry. */
  arp_announce: { takes: { from: 0, to: 2 }, default: 0, counts: 'larger',
    meaning: 'the source of ARP requests: 0 any local address, 1 rather one of the target\'s network,'
      + ' 2 always the best for the target: so a VIP does not leak' },
  /** Whether ARP is answered from other links. */
  arp_filter: { takes: 'flag', default: 0, counts: 'larger',
    meaning: 'ARP is answered on a link only where the answer would be routed out of that link' },
  /** Which addresses ARP answers for. */
  arp_ignore: { takes: { oneOf: [0, 1, 2, 3, 8] }, default: 0, counts: 'larger',
    meaning: 'ARP answers for: 0 any local address, 1 those of the link asked: so a VIP on another stays silent,'
      + ' 2 those and only within their network, 3 none of scope host, 8 none' },
  /** Whether packets of this link are forwarded. */
  forwarding: { takes: 'flag', default: 0, counts: 'device',
    meaning: 'packets that come in here are forwarded; of conf.all it is ip_forward, which sets every device' },
  /** What becomes of secondary addresses. */
  promote_secondaries: { takes: 'flag', default: 0, counts: 'larger',
    meaning: 'where the primary address of a network is removed, a secondary takes its place; 0 removes them with it' },
  /** Loopback addresses on the wire. */
  route_localnet: { takes: 'flag', default: 0, counts: 'larger',
    meaning: '127.0.0.0/8 is routed as other addresses are' },
  /** Where packets may come from. */
  rp_filter: { takes: { from: 0, to: 2 }, default: 0, counts: 'larger',
    meaning: 'a packet is dropped unless its source is routed: 0 never, 1 (strict) out of the link it came by, 2 (loose) out of any' },
  /** ICMP redirects to neighbours. */
  send_redirects: { takes: 'flag', default: 1, counts: 'larger',
    meaning: 'a sender that could reach the next hop itself is told so; a director must not, or clients go around it' },
} as const satisfies Readonly<Record<string, SysctlRow>>

/** `net.ipv6.conf.DEVICE.*`, as far as virtual services depend on them. */
export const ipv6ConfSysctls = {
  /** Whether this host is a router. */
  forwarding: { takes: 'flag', default: 0, counts: 'device',
    meaning: 'of conf.all: packets are forwarded, and every device becomes a router\'s; of a device: it heeds no router advertisements' },
} as const satisfies Readonly<Record<string, SysctlRow>>

/** Keys that stand alone. */
export const networkSysctls = {
  /** Whether packets are forwarded. */
  'net.ipv4.ip_forward': { takes: 'flag', default: 0,
    meaning: 'packets are forwarded: a director needs it for masq; a change sets every conf.*.forwarding' },
  /** Whether new network namespaces get tunl0, gre0, sit0, … */
  'net.core.fb_tunnels_only_for_init_net': { takes: { from: 0, to: 2 }, default: 0, since: '4.17',
    meaning: 'tunl0, gre0, sit0 and their like are made in 0 every network namespace, 1 the first alone, 2 none (2 since Linux 5.10)' },
} as const satisfies Readonly<Record<string, SysctlRow>>

// ── types ──

type Conf4 = keyof typeof ipv4ConfSysctls
type Conf6 = keyof typeof ipv6ConfSysctls
type FlagOf<T> = { [K in keyof T]: T[K] extends { takes: 'flag' } ? K & string : never }[keyof T]

/** A key that the tables know. */
export type KnownSysctl =
  | `net.ipv4.vs.${keyof typeof ipvsSysctls}`
  | `net.ipv4.conf.${'all' | 'default'}.${Conf4}`
  | `net.ipv6.conf.${'all' | 'default'}.${Conf6}`
  | keyof typeof networkSysctls

/** The table's row of a key. */
type RowOf<K> =
  K extends `net.ipv4.vs.${infer N extends keyof typeof ipvsSysctls}` ? typeof ipvsSysctls[N]
    : K extends keyof typeof networkSysctls ? typeof networkSysctls[K]
      : K extends `net.ipv4.conf.${string}.${FlagOf<typeof ipv4ConfSysctls>}` ? { takes: 'flag' }
        : K extends `net.ipv6.conf.${string}.${FlagOf<typeof ipv6ConfSysctls>}` ? { takes: 'flag' }
          : K extends `net.ipv4.conf.${string}.${Conf4}` ? { takes: object }
            : undefined

type Held<Row> =
  Row extends { takes: 'threshold' } ? readonly [number, number]
    : Row extends { takes: 'processors' } ? string
      : Row extends { takes: unknown } ? number
        : number | readonly number[] | string

/** What a key holds, by what it takes: a number, some numbers, or text. */
export type SysctlValueOf<K> = K extends unknown ? Held<RowOf<K>> : never

/** What a key can be set to; flags also as true and false. */
export type SysctlSettingOf<K> = K extends unknown ? Held<RowOf<K>> | (RowOf<K> extends { takes: 'flag' } | undefined ? boolean : never) : never

// ── looking up ──

const rowOf = (table: Readonly<Record<string, SysctlRow>>, name: string | undefined): SysctlRow | undefined =>
  name !== undefined && Object.hasOwn(table, name) ? table[name] : undefined

/** What the tables know of a key, if anything. */
export function sysctlRow(segments: readonly string[]): SysctlRow | undefined {
  const [, family, group, ...rest] = segments
  if (family === 'ipv4' && group === 'vs' && rest.length === 1) return rowOf(ipvsSysctls, rest[0])
  if (group === 'conf' && rest.length === 2) {
    return family === 'ipv4' ? rowOf(ipv4ConfSysctls, rest[1]) : family === 'ipv6' ? rowOf(ipv6ConfSysctls, rest[1]) : undefined
  }
  return rowOf(networkSysctls, segments.join('.'))
}

/** What a key takes, in words: `0 to 3`. */
export function sysctlRange({ takes, unit }: SysctlRow): string {
  const range = takes === 'flag' ? '0 or 1'
    : takes === 'threshold' ? 'two integers from 0 to 2147483647, the first below the second, or the second 0'
      : takes === 'processors' ? 'a list of processors, ascending, such as "0-3,6", or ""'
        : 'oneOf' in takes ? `one of ${takes.oneOf.join(', ')}`
          : `an integer from ${takes.from} to ${takes.to}`
  return unit === undefined ? range : `${range} (${unit})`
}

// ── values ──

const within = (value: unknown, from: number, to: number): value is number => Number.isSafeInteger(value) && value as number >= from && value as number <= to

/** What is written for a value, in the form in which the kernel prints it; undefined where it is not what the key takes. */
export function sysctlText({ takes }: SysctlRow, value: unknown): string | undefined {
  if (takes === 'flag') return value === true || value === 1 ? '1' : value === false || value === 0 ? '0' : undefined
  if (takes === 'processors') return typeof value === 'string' && isProcessors(value) ? value : undefined
  if (takes === 'threshold') {
    if (!Array.isArray(value) || value.length !== 2) return undefined
    const [threshold, period] = value as unknown[]
    const both = within(threshold, 0, INT_MAX) && within(period, 0, INT_MAX) && (threshold < period || period === 0)
    return both ? `${threshold} ${period}` : undefined
  }
  if ('oneOf' in takes) return typeof value === 'number' && takes.oneOf.includes(value) ? `${value}` : undefined
  return within(value, takes.from, takes.to) ? `${value}` : undefined
}

/** `0-3,6`, as the kernel prints it: ascending, and neighbours in one range. */
function isProcessors(text: string): boolean {
  if (text === '') return true
  let last = -2
  return text.split(',').every(part => {
    const [from, to = from] = part.split('-').map(Number) as [number, number?]
    const ascending = from > last + 1 && to >= from && part === (to === from ? `${from}` : `${from}-${to}`)
    last = to
    return ascending
  })
}

// ── what counts ──

/** What the kernel goes by, of `conf.all` and `conf.DEVICE`. */
export interface EffectiveSysctl {
  readonly value: number
  /** Says which of the two decides, and what that means. */
  readonly sentence: string
}

/**
 * What a key under `net.ipv4.conf` comes to on a device: for most the larger of `conf.all` and `conf.DEVICE`, so that
 * turning `rp_filter` off on a device changes nothing while `conf.all` has it on.
 *
 * @example
 * ```ts
 * import { effectiveSysctl } from 'ipvs-nl'
 *
 * console.log(effectiveSysctl('rp_filter', 'tun0', { all: 1, device: 0 }).sentence)
 * // rp_filter of tun0 is in effect 1: the larger of conf.all (1) and conf.tun0 (0) counts; …
 * ```
 */
export function effectiveSysctl(
  name: keyof typeof ipv4ConfSysctls, device: string, values: { readonly all: number; readonly device: number },
): EffectiveSysctl {
  const { counts, meaning } = ipv4ConfSysctls[name]
  const value = counts === 'device' ? values.device : Math.max(values.all, values.device)
  const which = counts === 'device'
    ? `conf.${device} alone counts`
    : `the larger of conf.all (${values.all}) and conf.${device} (${values.device}) counts`
  return { value, sentence: `${name} of ${device} is in effect ${value}: ${which}; ${meaning}` }
}
