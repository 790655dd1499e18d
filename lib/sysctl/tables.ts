/**
 * The sysctls of IPVS and of the network around it, as tables: range, default, first version and
 * meaning of each.
 *
 * Where the kernel takes any integer and gives a meaning to few (booleans take 7 and -1), the range
 * has those few. Sources: Documentation/networking/ipvs-sysctl.rst and ip-sysctl.rst,
 * net/netfilter/ipvs/ip_vs_ctl.c, include/linux/inetdevice.h.
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
  /** All of them. */
  readonly oneOf: Values
}

/**
 * The values of a key: `flag` is 0 or 1, also as false or true; `threshold` is two integers, the
 * first below the second, or the second 0; `processors` is a list as the kernel prints it, `0-3,6`,
 * where an empty text is none; others are integers.
 */
export type SysctlTakes = 'flag' | 'threshold' | 'processors' | SysctlRange | SysctlOneOf

/** Notes that few keys have. */
export interface SysctlNotes {
  /** The unit of the value. */
  readonly unit?: string
  /** The kernel's build option that it depends on. */
  readonly config?: string
  /**
   * Values that the kernel turns into each other: either may be read after the other was written.
   */
  readonly alike?: readonly number[]
  /**
   * For a key under `conf`: whether the larger of `conf.all` and `conf.DEVICE`
   * counts, or the device's alone.
   */
  readonly counts?: 'larger' | 'device'
}

/** The description of a key. */
export interface SysctlRow<
  Takes extends SysctlTakes = SysctlTakes,
  Default extends number | readonly number[] | undefined = number | readonly number[] | undefined,
  Since extends string | undefined = string | undefined, Meaning extends string = string,
> extends SysctlNotes {
  /** Its values. */
  readonly takes: Takes
  /** The value in a new network namespace; undefined where it depends on the machine. */
  readonly default: Default
  /** The first Linux that has it; undefined where it is older than any supported one. */
  readonly since: Since
  /** Its effect. */
  readonly meaning: Meaning
}

const INT_MAX = 0x7fffffff
/** The kernel counts ticks, at most 1000 in a second. */
const LONGEST = 2_147_483

const range = <const From extends number, const To extends number>(from: From, to: To): SysctlRange<From, To> =>
  ({ from, to })
const oneOf = <const Values extends readonly number[]>(...values: Values): SysctlOneOf<Values> => ({ oneOf: values })
// As type arguments, the values of a row appear in editors and in the documentation.
const row = <
  const Takes extends SysctlTakes, const Default extends number | readonly number[] | undefined,
  const Since extends string | undefined, const Meaning extends string,
>(
  takes: Takes, initially: Default, since: Since, meaning: Meaning, notes: SysctlNotes = {},
): SysctlRow<Takes, Default, Since, Meaning> =>
  ({ takes, default: initially, since, meaning, ...notes })

/**
 * `net.ipv4.vs.*`, for IPv4 and IPv6 alike: present once the module ip_vs is loaded, separate in
 * each network namespace.
 */
export const ipvsSysctls = {
  /** The packets among which one is dropped. */
  am_droprate: row(range(0, INT_MAX), 10, '2.6',
    'with drop_packet=3 the kernel drops one packet of this many',
    { unit: 'packets' }),
  /** Memory below which the automatic defences act. */
  amemthresh: row(range(0, INT_MAX), 1024, '2.6',
    'free memory below which drop_entry, drop_packet and secure_tcp in mode 1 act',
    { unit: 'pages' }),
  /** A backup does not forward. */
  backup_only: row('flag', 0, '3.9',
    'a host with a running backup sync daemon forwards no packets, so that tunnelled or routed packets do not loop'),
  /** Packets without a real server go to their original destination. */
  cache_bypass: row('flag', 0, '2.6',
    'where no real server is available, packets go on to their original destination (transparent web caches)'),
  /** Load of the connection table. */
  conn_lfactor: row(range(-8, 8), -2, '7.1',
    'connections per bucket at which the table grows: -2 is 1/4; smaller is faster and larger; the first netns has -4',
    { unit: 'power of two' }),
  /** The limit of connections. */
  conn_max: row(range(0, 1073741824), 1073741824, '7.2',
    'the limit of connections; a packet that needs one more is dropped; a new namespace takes the first one\'s limit',
    { unit: 'connections' }),
  /** The treatment of a client's port that is used again. */
  conn_reuse_mode: row(range(0, 3), 1, '4.1',
    'a reused client port: 0 keeps its real server; 1 schedules again where safe; 2 also in FIN_WAIT (direct routing)',
    { unit: 'bits' }),
  /** Connection tracking for packets of IPVS. */
  conntrack: row('flag', 0, '2.6.37',
    'netfilter tracks connections of IPVS too: stateful rules and SNAT need it; it costs speed',
    { config: 'CONFIG_IP_VS_NFCT' }),
  /** The level of the kernel's log. */
  debug_level: row(range(0, 12), 0, '2.6',
    'the level of the kernel\'s log, from errors (0) to each packet (12); one for all network namespaces',
    { config: 'CONFIG_IP_VS_DEBUG' }),
  /** Half-open connections are dropped at random. */
  drop_entry: row(range(0, 3), 0, '2.6',
    'half-open connections are dropped at random: 0 never, 1 when memory is low (the kernel turns it into 2), 3 always',
    { alike: [1, 2] }),
  /** Packets are dropped before they are forwarded. */
  drop_packet: row(range(0, 3), 0, '2.6',
    'some packets are dropped: 0 never, 1 when memory is low (the kernel turns it into 2), 3 always',
    { alike: [1, 2] }),
  /** The processors that compute the rates. */
  est_cpulist: row('processors', undefined, '6.2',
    'processors that compute the rates; by default the housekeeping processors; an empty list stops the computation'),
  /** The priority of the computation of rates. */
  est_nice: row(range(-20, 19), 0, '6.2',
    'scheduling priority of the threads that compute the rates',
    { unit: 'niceness' }),
  /** Connections of a removed real server end. */
  expire_nodest_conn: row('flag', 0, '2.6',
    'the next packet ends a connection of a removed real server: TCP is reset, UDP goes to another; 0 drops packets'),
  /** Persistent clients leave a real server of weight 0. */
  expire_quiescent_template: row('flag', 0, '2.6',
    'persistent clients of a real server of weight 0 move to another; 0 keeps them there'),
  /** Tunnelled packets are not scheduled. */
  ignore_tunneled: row('flag', 0, '4.4',
    'packets of unknown protocols, such as IPIP, are not scheduled again: for a director that is also a real server'),
  /** The memory of the scheduler lblc. Present once its module is loaded. */
  lblc_expiration: row(range(0, LONGEST), 86400, '2.6',
    'the scheduler lblc forgets the real server of an address that is unused for this time',
    { unit: 'seconds', config: 'CONFIG_IP_VS_LBLC' }),
  /** The memory of the scheduler lblcr. Present once its module is loaded. */
  lblcr_expiration: row(range(0, LONGEST), 86400, '2.6',
    'the scheduler lblcr forgets the real servers of an address that is unused for this time',
    { unit: 'seconds', config: 'CONFIG_IP_VS_LBLCR' }),
  /** ICMP for packets of unknown connections. */
  nat_icmp_send: row('flag', 0, '2.6',
    'a real server\'s packet (masq) that belongs to no connection is answered with ICMP destination unreachable'),
  /** Packets too large for a tunnel are refused, not fragmented. */
  pmtu_disc: row('flag', 1, '3.7',
    'a packet too large for the path is answered with ICMP fragmentation needed; 0 fragments packets into tunnels'),
  /** Rates are computed. */
  run_estimation: row('flag', 1, '5.16',
    'rates (per second) are computed'),
  /** ICMP errors are scheduled too. */
  schedule_icmp: row('flag', 0, '4.4',
    'an ICMP error about an unknown connection is scheduled like its packets, so that it reaches its real server'),
  /** A stricter table of TCP states. */
  secure_tcp: row(range(0, 3), 0, '2.6',
    'stricter TCP states and shorter timeouts: 0 never, 1 when memory is low (the kernel turns it into 2), 3 always',
    { alike: [1, 2] }),
  /** SCTP connections may begin in the middle. */
  sloppy_sctp: row('flag', 0, '3.11',
    'any SCTP packet makes a connection, not only its first: for a director that takes over'),
  /** TCP connections may begin in the middle. */
  sloppy_tcp: row('flag', 0, '3.11',
    'any TCP packet makes a connection, not only a SYN: for a director that takes over'),
  /** Replies are routed as if the director had sent them. */
  snat_reroute: row('flag', 1, '2.6.37',
    'replies of real servers (masq) are routed as if this host sent them; 0 saves the lookup without policy routing'),
  /** Load of the service table. */
  svc_lfactor: row(range(-8, 8), -2, '7.1',
    'services per bucket at which the table grows; smaller is faster and larger; the first network namespace has -3',
    { unit: 'power of two' }),
  /** The synchronised part of persistent services. */
  sync_persist_mode: row(range(0, 1), 0, '3.11',
    'persistent services: 0 synchronises all connections, 1 each client\'s real server (sloppy_tcp on the backup)'),
  /** Threads that synchronise. */
  sync_ports: row(oneOf(1, 2, 4, 8, 16, 32, 64), 1, '3.5',
    'threads, each with a UDP port from 8848 up, that the sync daemons use; the same on master and backup',
    { unit: 'threads' }),
  /** Longest queue of messages to a backup. */
  sync_qlen_max: row(range(0, Number.MAX_SAFE_INTEGER), undefined, '3.5',
    'messages to the backup that may wait; by default a 32nd of the memory\'s pages',
    { unit: 'messages' }),
  /** The interval at which an unchanged connection is synchronised again. */
  sync_refresh_period: row(range(0, 2147483), 0, '3.5',
    'a connection whose state does not change is synchronised again after this time; 0: by sync_threshold alone',
    { unit: 'seconds' }),
  /** Repetitions of a message. */
  sync_retries: row(range(0, 3), 0, '3.5',
    'repetitions of a message, an eighth of sync_refresh_period apart, against loss',
    { unit: 'times' }),
  /** Socket buffer of the daemons. */
  sync_sock_size: row(range(0, INT_MAX), 0, '3.5',
    'socket buffer of the sync daemons; 0: the system\'s default',
    { unit: 'bytes' }),
  /** The packets after which a connection is synchronised. */
  sync_threshold: row('threshold', [3, 50], '2.6',
    'a connection is synchronised at its 3rd packet and then every 50 packets; with a period of 0 only once',
    { unit: 'packets' }),
  /** Version of the synchronisation protocol. */
  sync_version: row(range(0, 1), 1, '2.6.38',
    'version of the protocol that the master sends; 0 for an old backup'),
} satisfies Readonly<Record<string, SysctlRow>>

/**
 * `net.ipv4.conf.DEVICE.*`, those on which virtual services depend. New devices begin with the
 * values of `conf.default`.
 */
export const ipv4ConfSysctls = {
  /** Packets from this host's own addresses. */
  accept_local: row('flag', 0, undefined,
    'incoming packets may have an address of this host as their source',
    { counts: 'larger' }),
  /** The source address of ARP requests. */
  arp_announce: row(range(0, 2), 0, undefined,
    'source of ARP requests: 0 any local address, 1 preferably in the target\'s network, 2 the best one: no VIP leaks',
    { counts: 'larger' }),
  /** ARP replies from other links. */
  arp_filter: row('flag', 0, undefined,
    'the kernel answers ARP on a link only if the reply would leave by that link',
    { counts: 'larger' }),
  /** The addresses for which ARP is answered. */
  arp_ignore: row(oneOf(0, 1, 2, 3, 8), 0, undefined,
    'ARP answers: 0 any local address, 1 the asked link\'s (no VIP elsewhere), 2 in its network, 3 not host\'s, 8 none',
    { counts: 'larger' }),
  /** Whether packets of this link are forwarded. */
  forwarding: row('flag', 0, undefined,
    'incoming packets are forwarded; for conf.all it is ip_forward, which sets every device',
    { counts: 'device' }),
  /** The fate of secondary addresses. */
  promote_secondaries: row('flag', 0, undefined,
    'where the primary address of a network is removed, a secondary takes its place; 0 removes them with it',
    { counts: 'larger' }),
  /** Loopback addresses on the wire. */
  route_localnet: row('flag', 0, undefined,
    '127.0.0.0/8 is routed like other addresses',
    { counts: 'larger' }),
  /** The links by which packets may come. */
  rp_filter: row(range(0, 2), 0, undefined,
    'a packet is dropped unless its source is routed: 0 never, 1 (strict) by the packet\'s link, 2 (loose) by any link',
    { counts: 'larger' }),
  /** ICMP redirects to neighbours. */
  send_redirects: row('flag', 1, undefined,
    'a sender that could reach the next hop itself gets a redirect; a director must send none, or clients go around it',
    { counts: 'larger' }),
} satisfies Readonly<Record<string, SysctlRow>>

/** `net.ipv6.conf.DEVICE.*`, those on which virtual services depend. */
export const ipv6ConfSysctls = {
  /** Whether this host is a router. */
  forwarding: row('flag', 0, undefined,
    'for conf.all: packets are forwarded, all devices become a router\'s; for a device: it ignores router adverts',
    { counts: 'device' }),
} satisfies Readonly<Record<string, SysctlRow>>

/** Keys that stand alone. */
export const networkSysctls = {
  /** Whether packets are forwarded. */
  'net.ipv4.ip_forward': row('flag', 0, undefined,
    'packets are forwarded: a director needs it for masq; a change sets every conf.*.forwarding'),
  /** Whether new network namespaces get tunl0, gre0, sit0, … */
  'net.core.fb_tunnels_only_for_init_net': row(range(0, 2), 0, '4.17',
    'tunl0, gre0, sit0 and such are made in 0 every network namespace, 1 the first alone, 2 none (2 since Linux 5.10)'),
} satisfies Readonly<Record<string, SysctlRow>>

// ── types ──

/** The keys of a table that are flags. */
export type SysctlFlagOf<T> = {
  [K in keyof T]: T[K] extends Readonly<Record<'takes', 'flag'>> ? K & string : never
}[keyof T]

/** A key in the tables. */
export type KnownSysctl =
  | `net.ipv4.vs.${keyof typeof ipvsSysctls}`
  | `net.ipv4.conf.${'all' | 'default'}.${keyof typeof ipv4ConfSysctls}`
  | `net.ipv6.conf.${'all' | 'default'}.${keyof typeof ipv6ConfSysctls}`
  | keyof typeof networkSysctls

/** The values of a key; undefined where no table has it. */
export type SysctlTakesOf<K> =
  K extends `net.ipv4.vs.${infer N extends keyof typeof ipvsSysctls}` ? typeof ipvsSysctls[N]['takes']
    : K extends keyof typeof networkSysctls ? typeof networkSysctls[K]['takes']
      : K extends `net.ipv4.conf.${string}.${SysctlFlagOf<typeof ipv4ConfSysctls>}` ? 'flag'
        : K extends `net.ipv6.conf.${string}.${SysctlFlagOf<typeof ipv6ConfSysctls>}` ? 'flag'
          : K extends `net.ipv4.conf.${string}.${keyof typeof ipv4ConfSysctls}` ? SysctlRange
            : undefined

/** The type of a key's value. */
export type SysctlHeld<Takes> =
  Takes extends 'threshold' ? readonly [number, number]
    : Takes extends 'processors' ? string
      : Takes extends undefined ? number | readonly number[] | string
        : number

/** The type of the value that a key holds: a number, several numbers, or text. */
export type SysctlValueOf<K> = K extends unknown ? SysctlHeld<SysctlTakesOf<K>> : never

/** The type of the value that a key takes; for flags also true and false. */
export type SysctlSettingOf<K> = K extends unknown
  ? SysctlHeld<SysctlTakesOf<K>> | (SysctlTakesOf<K> extends 'flag' | undefined ? boolean : never)
  : never

// ── looking up ──

const rowOf = (table: Readonly<Record<string, SysctlRow>>, name: string | undefined): SysctlRow | undefined =>
  name !== undefined && Object.hasOwn(table, name) ? table[name] : undefined

/** The row of a key, if a table has it. */
export function sysctlRow(segments: readonly string[]): SysctlRow | undefined {
  const [, family, group, ...rest] = segments
  if (family === 'ipv4' && group === 'vs' && rest.length === 1) return rowOf(ipvsSysctls, rest[0])
  if (group === 'conf' && rest.length === 2) {
    const table = family === 'ipv4' ? ipv4ConfSysctls : family === 'ipv6' ? ipv6ConfSysctls : {}
    return rowOf(table, rest[1])
  }
  return rowOf(networkSysctls, segments.join('.'))
}
