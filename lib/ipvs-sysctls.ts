/**
 * The sysctls of IPVS and those around it, as tables: what each takes, what it is at first, what it means, since when it is there.
 *
 * Where the kernel takes any integer and gives a meaning to few (booleans take 7 and -1), the table holds those that mean something.
 * Sources: Documentation/networking/ipvs-sysctl.rst and ip-sysctl.rst, net/netfilter/ipvs/ip_vs_ctl.c, include/linux/inetdevice.h.
 *
 * @module
 */

/** An integer of a range. */
export interface SysctlRange<From extends number = number, To extends number = number> {
  /** The least. */
  readonly from: From
  /** The greatest. */
  readonly to: To
}

/** One of a few integers. */
export interface SysctlOneOf<Values extends readonly number[] = readonly number[]> {
  /** Those. */
  readonly oneOf: Values
}

/**
 * What a key takes: `flag` 0 or 1, also as false or true; `threshold` two integers, the first below the second, or the
 * second 0; `processors` a list as the kernel prints it, `0-3,6`, where an empty text is none; or integers.
 */
export type SysctlTakes = 'flag' | 'threshold' | 'processors' | SysctlRange | SysctlOneOf

/** What is rarely to be said of a key. */
export interface SysctlNotes {
  /** What is counted. */
  readonly unit?: string
  /** The kernel's build option that it hangs on. */
  readonly config?: string
  /** Values that the kernel turns into each other by itself, so that either may be read where the other was written. */
  readonly alike?: readonly number[]
  /** Of a key under `conf`: whether the larger of `conf.all` and `conf.DEVICE` counts, or the device's alone. */
  readonly counts?: 'larger' | 'device'
}

/** What is known of a key. */
export interface SysctlRow<
  Takes extends SysctlTakes = SysctlTakes, Default extends number | readonly number[] | undefined = number | readonly number[] | undefined,
  Since extends string | undefined = string | undefined, Meaning extends string = string,
> extends SysctlNotes {
  /** What it can be set to. */
  readonly takes: Takes
  /** What a new network namespace has; undefined where it depends on the machine. */
  readonly default: Default
  /** The first Linux that has it; undefined where it is older than any that matters. */
  readonly since: Since
  /** What it does. */
  readonly meaning: Meaning
}

const INT_MAX = 0x7fffffff
/** The kernel counts seconds in ticks, of which there are 1000 in one at most. */
const LONGEST = 2_147_483

const range = <const From extends number, const To extends number>(from: From, to: To): SysctlRange<From, To> => ({ from, to })
const oneOf = <const Values extends readonly number[]>(...values: Values): SysctlOneOf<Values> => ({ oneOf: values })
// As type arguments, what a row says shows in editors and in the documentation.
const row = <
  const Takes extends SysctlTakes, const Default extends number | readonly number[] | undefined,
  const Since extends string | undefined, const Meaning extends string,
>(takes: Takes, initially: Default, since: Since, meaning: Meaning, notes: SysctlNotes = {}): SysctlRow<Takes, Default, Since, Meaning> =>
  ({ takes, default: initially, since, meaning, ...notes })

/** `net.ipv4.vs.*`, for IPv4 and IPv6 alike: there once the module ip_vs is loaded, and each network namespace has its own. */
export const ipvsSysctls = {
  /** Of how many packets one is dropped. */
  am_droprate: row(range(0, INT_MAX), 10, '2.6',
    'with drop_packet=3 one packet of so many is dropped',
    { unit: 'packets' }),
  /** Memory below which the automatic defences act. */
  amemthresh: row(range(0, INT_MAX), 1024, '2.6',
    'free memory below which drop_entry, drop_packet and secure_tcp in mode 1 act',
    { unit: 'pages' }),
  /** A backup does not direct. */
  backup_only: row('flag', 0, '3.9',
    'while the backup sync daemon runs this host does not direct, so that packets tunnelled or routed to it do not loop'),
  /** To the original destination where no server is left. */
  cache_bypass: row('flag', 0, '2.6',
    'where no real server is available, packets go on to their original destination (transparent web caches)'),
  /** Load of the connection table. */
  conn_lfactor: row(range(-8, 8), -2, '7.1',
    'connections per bucket at which the table of connections grows: -2 is one in 4 buckets; smaller is faster and larger; the first network namespace has -4',
    { unit: 'power of two' }),
  /** Most connections. */
  conn_max: row(range(0, 1073741824), 1073741824, '7.2',
    'connections that there may be; a packet that would make another is dropped; a new network namespace has what the first has',
    { unit: 'connections' }),
  /** What is done with a client's port that is used again. */
  conn_reuse_mode: row(range(0, 3), 1, '4.1',
    'a client\'s port that comes again: 0 keeps its real server; 1 schedules anew where that is safe; 2 does also in FIN_WAIT (direct routing)',
    { unit: 'bits' }),
  /** Connection tracking for what IPVS handles. */
  conntrack: row('flag', 0, '2.6.37',
    'connections of IPVS are tracked by netfilter too: needed for stateful rules and for SNAT of them, costs speed otherwise',
    { config: 'CONFIG_IP_VS_NFCT' }),
  /** How much the kernel logs. */
  debug_level: row(range(0, 12), 0, '2.6',
    'how much the kernel logs, from errors (0) to each packet (12); one for all network namespaces',
    { config: 'CONFIG_IP_VS_DEBUG' }),
  /** Half-open connections are dropped at random. */
  drop_entry: row(range(0, 3), 0, '2.6',
    'half-open connections are dropped at random: 0 never, 1 when memory is low, 3 always; the kernel turns 1 into 2 while it does',
    { alike: [1, 2] }),
  /** Packets are dropped before they are forwarded. */
  drop_packet: row(range(0, 3), 0, '2.6',
    'some packets are dropped instead of forwarded: 0 never, 1 when memory is low, 3 always; the kernel turns 1 into 2 while it does',
    { alike: [1, 2] }),
  /** Where the rates are computed. */
  est_cpulist: row('processors', undefined, '6.2',
    'processors that compute the rates; at first those that the kernel has for its own housekeeping; none stops it'),
  /** How eagerly the rates are computed. */
  est_nice: row(range(-20, 19), 0, '6.2',
    'scheduling priority of the threads that compute the rates',
    { unit: 'niceness' }),
  /** Connections of a removed real server end. */
  expire_nodest_conn: row('flag', 0, '2.6',
    'a connection of a removed real server ends with its next packet: TCP is reset, UDP goes to another; else its packets are dropped'),
  /** Sticky clients leave a server of weight 0. */
  expire_quiescent_template: row('flag', 0, '2.6',
    'clients that persistence ties to a real server of weight 0 are sent to another; else they stay with it'),
  /** Tunnelled packets are left alone. */
  ignore_tunneled: row('flag', 0, '4.4',
    'packets of protocols that IPVS does not know, such as IPIP, are not scheduled again: for a director that is also a real server'),
  /** How long the scheduler lblc remembers where a destination went. There once its module is loaded. */
  lblc_expiration: row(range(0, LONGEST), 86400, '2.6',
    'the scheduler lblc forgets which real server an address is served by when it was not asked for it for so long',
    { unit: 'seconds', config: 'CONFIG_IP_VS_LBLC' }),
  /** How long the scheduler lblcr remembers where a destination went. There once its module is loaded. */
  lblcr_expiration: row(range(0, LONGEST), 86400, '2.6',
    'the scheduler lblcr forgets which real servers an address is served by when it was not asked for it for so long',
    { unit: 'seconds', config: 'CONFIG_IP_VS_LBLCR' }),
  /** ICMP for packets of unknown connections. */
  nat_icmp_send: row('flag', 0, '2.6',
    'a real server\'s packet (masq) that belongs to no connection is answered with ICMP destination unreachable'),
  /** Packets too large for a tunnel are refused, not fragmented. */
  pmtu_disc: row('flag', 1, '3.7',
    'a packet larger than the path takes is answered with ICMP fragmentation needed; 0 fragments it where it goes through a tunnel'),
  /** Rates are computed. */
  run_estimation: row('flag', 1, '5.16',
    'rates (per second) are computed'),
  /** ICMP is scheduled too. */
  schedule_icmp: row('flag', 0, '4.4',
    'an ICMP error about an unknown connection is scheduled like its packets, so that it reaches the real server that sent too much'),
  /** A stricter table of TCP states. */
  secure_tcp: row(range(0, 3), 0, '2.6',
    'stricter TCP states and shorter timeouts: 0 never, 1 when memory is low, 3 always; the kernel turns 1 into 2 while it does',
    { alike: [1, 2] }),
  /** SCTP connections may begin in the middle. */
  sloppy_sctp: row('flag', 0, '3.11',
    'any SCTP packet makes a connection, not only its first: for a director that takes over'),
  /** TCP connections may begin in the middle. */
  sloppy_tcp: row('flag', 0, '3.11',
    'any TCP packet makes a connection, not only a SYN: for a director that takes over'),
  /** Answers are routed as if the director had sent them. */
  snat_reroute: row('flag', 1, '2.6.37',
    'answers of real servers (masq) are routed as if this host had sent them; 0 saves that where no policy routing is used'),
  /** Load of the service table. */
  svc_lfactor: row(range(-8, 8), -2, '7.1',
    'services per bucket at which the table of services grows; smaller is faster and larger; the first network namespace has -3',
    { unit: 'power of two' }),
  /** What of persistent services is synchronised. */
  sync_persist_mode: row(range(0, 1), 0, '3.11',
    'of persistent services 0 synchronises all connections, 1 only which client belongs to which real server (with sloppy_tcp on the backup)'),
  /** Threads that synchronise. */
  sync_ports: row(oneOf(1, 2, 4, 8, 16, 32, 64), 1, '3.5',
    'threads, each with a UDP port from 8848 up, that the sync daemons use; the same on master and backup',
    { unit: 'threads' }),
  /** Longest queue of messages to a backup. */
  sync_qlen_max: row(range(0, Number.MAX_SAFE_INTEGER), undefined, '3.5',
    'messages to the backup that may wait; at first a 32nd of the memory\'s pages',
    { unit: 'messages' }),
  /** How often an idle connection is synchronised again. */
  sync_refresh_period: row(range(0, 2147483), 0, '3.5',
    'a connection whose state stays is synchronised again after so long; 0: by sync_threshold alone',
    { unit: 'seconds' }),
  /** How often a message is repeated. */
  sync_retries: row(range(0, 3), 0, '3.5',
    'repetitions of a message, an eighth of sync_refresh_period apart, against loss',
    { unit: 'times' }),
  /** Socket buffer of the daemons. */
  sync_sock_size: row(range(0, INT_MAX), 0, '3.5',
    'socket buffer of the sync daemons; 0: what the system gives',
    { unit: 'bytes' }),
  /** After which packets a connection is synchronised. */
  sync_threshold: row('threshold', [3, 50], '2.6',
    'a connection is synchronised at its 3rd packet and then every 50; with a period of 0 once only',
    { unit: 'packets' }),
  /** Version of the synchronisation protocol. */
  sync_version: row(range(0, 1), 1, '2.6.38',
    'version of the protocol that the master sends; 0 for a backup that knows no better'),
} satisfies Readonly<Record<string, SysctlRow>>

/** `net.ipv4.conf.DEVICE.*`, as far as virtual services depend on them. `conf.default` is what new devices begin with. */
export const ipv4ConfSysctls = {
  /** Packets from one's own addresses. */
  accept_local: row('flag', 0, undefined,
    'packets that come in with an address of this host as their source are taken',
    { counts: 'larger' }),
  /** Which address ARP requests carry. */
  arp_announce: row(range(0, 2), 0, undefined,
    'source of ARP requests: 0 any local address, 1 rather one of the target\'s network, 2 always the best: so that a VIP does not leak',
    { counts: 'larger' }),
  /** Whether ARP is answered from other links. */
  arp_filter: row('flag', 0, undefined,
    'ARP is answered on a link only where the answer would be routed out of that link',
    { counts: 'larger' }),
  /** Which addresses ARP answers for. */
  arp_ignore: row(oneOf(0, 1, 2, 3, 8), 0, undefined,
    'ARP answers for: 0 any local address, 1 those of the link asked (a VIP elsewhere stays silent), 2 of its network too, 3 not host\'s, 8 none',
    { counts: 'larger' }),
  /** Whether packets of this link are forwarded. */
  forwarding: row('flag', 0, undefined,
    'packets that come in here are forwarded; of conf.all it is ip_forward, which sets every device',
    { counts: 'device' }),
  /** What becomes of secondary addresses. */
  promote_secondaries: row('flag', 0, undefined,
    'where the primary address of a network is removed, a secondary takes its place; 0 removes them with it',
    { counts: 'larger' }),
  /** Loopback addresses on the wire. */
  route_localnet: row('flag', 0, undefined,
    '127.0.0.0/8 is routed as other addresses are',
    { counts: 'larger' }),
  /** Where packets may come from. */
  rp_filter: row(range(0, 2), 0, undefined,
    'a packet is dropped unless its source is routed: 0 never, 1 (strict) out of the link it came by, 2 (loose) out of any',
    { counts: 'larger' }),
  /** ICMP redirects to neighbours. */
  send_redirects: row('flag', 1, undefined,
    'a sender that could reach the next hop itself is told so; a director must not, or clients go around it',
    { counts: 'larger' }),
} satisfies Readonly<Record<string, SysctlRow>>

/** `net.ipv6.conf.DEVICE.*`, as far as virtual services depend on them. */
export const ipv6ConfSysctls = {
  /** Whether this host is a router. */
  forwarding: row('flag', 0, undefined,
    'of conf.all: packets are forwarded, and every device becomes a router\'s; of a device: it heeds no router advertisements',
    { counts: 'device' }),
} satisfies Readonly<Record<string, SysctlRow>>

/** Keys that stand alone. */
export const networkSysctls = {
  /** Whether packets are forwarded. */
  'net.ipv4.ip_forward': row('flag', 0, undefined,
    'packets are forwarded: a director needs it for masq; a change sets every conf.*.forwarding'),
  /** Whether new network namespaces get tunl0, gre0, sit0, … */
  'net.core.fb_tunnels_only_for_init_net': row(range(0, 2), 0, '4.17',
    'tunl0, gre0, sit0 and their like are made in 0 every network namespace, 1 the first alone, 2 none (2 since Linux 5.10)'),
} satisfies Readonly<Record<string, SysctlRow>>

// ── types ──

/** The keys of a table that are flags. */
export type SysctlFlagOf<T> = { [K in keyof T]: T[K] extends Readonly<Record<'takes', 'flag'>> ? K & string : never }[keyof T]

/** A key that the tables know. */
export type KnownSysctl =
  | `net.ipv4.vs.${keyof typeof ipvsSysctls}`
  | `net.ipv4.conf.${'all' | 'default'}.${keyof typeof ipv4ConfSysctls}`
  | `net.ipv6.conf.${'all' | 'default'}.${keyof typeof ipv6ConfSysctls}`
  | keyof typeof networkSysctls

/** What a key takes; undefined where no table has it. */
export type SysctlTakesOf<K> =
  K extends `net.ipv4.vs.${infer N extends keyof typeof ipvsSysctls}` ? typeof ipvsSysctls[N]['takes']
    : K extends keyof typeof networkSysctls ? typeof networkSysctls[K]['takes']
      : K extends `net.ipv4.conf.${string}.${SysctlFlagOf<typeof ipv4ConfSysctls>}` ? 'flag'
        : K extends `net.ipv6.conf.${string}.${SysctlFlagOf<typeof ipv6ConfSysctls>}` ? 'flag'
          : K extends `net.ipv4.conf.${string}.${keyof typeof ipv4ConfSysctls}` ? SysctlRange
            : undefined

/** What a key of which this is known holds. */
export type SysctlHeld<Takes> =
  Takes extends 'threshold' ? readonly [number, number]
    : Takes extends 'processors' ? string
      : Takes extends undefined ? number | readonly number[] | string
        : number

/** What a key holds, by what it takes: a number, some numbers, or text. */
export type SysctlValueOf<K> = K extends unknown ? SysctlHeld<SysctlTakesOf<K>> : never

/** What a key can be set to; flags also as true and false. */
export type SysctlSettingOf<K> = K extends unknown ? SysctlHeld<SysctlTakesOf<K>> | (SysctlTakesOf<K> extends 'flag' | undefined ? boolean : never) : never

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
export function sysctlWants({ takes, unit }: SysctlRow): string {
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
  /** As the kernel reckons. */
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
