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

/** An integer of a range, with both its ends. */
export interface SysctlRange<From extends number = number, To extends number = number> {
  readonly from: From
  readonly to: To
}

/** One of a few integers. */
export interface SysctlOneOf<Values extends readonly number[] = readonly number[]> { readonly oneOf: Values }

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
  /** Values that the kernel turns into each other: either may be read after the other's write. */
  readonly alike?: readonly number[]
  /** Under `conf`: whether the larger of `conf.all` and `conf.DEVICE` counts, or the latter. */
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
  takes: Takes, initially: Default, since: Since, notes: SysctlNotes, meaning: Meaning,
): SysctlRow<Takes, Default, Since, Meaning> => ({ takes, default: initially, since, meaning, ...notes })

/** A row of a key under `conf`, older than any supported Linux. */
const conf = <const Takes extends SysctlTakes, const Default extends number, const Meaning extends string>(
  takes: Takes, initially: Default, counts: 'larger' | 'device', meaning: Meaning,
): SysctlRow<Takes, Default, undefined, Meaning> => row(takes, initially, undefined, { counts }, meaning)

/**
 * `net.ipv4.vs.*`, for IPv4 and IPv6 alike: present once the module ip_vs is loaded, separate in
 * each network namespace.
 */
export const ipvsSysctls = {
  am_droprate: row(range(0, INT_MAX), 10, '2.6', { unit: 'packets' },
    'with drop_packet=3 the kernel drops one packet of this many'),
  amemthresh: row(range(0, INT_MAX), 1024, '2.6', { unit: 'pages' },
    'free memory below which drop_entry, drop_packet and secure_tcp in mode 1 act'),
  backup_only: row('flag', 0, '3.9', {},
    'a host with a running backup sync daemon forwards no packets, so that tunnelled or routed packets do not loop'),
  cache_bypass: row('flag', 0, '2.6', {},
    'where no real server is available, packets go on to their original destination (transparent web caches)'),
  conn_lfactor: row(range(-8, 8), -2, '7.1', { unit: 'power of two' },
    'connections per bucket at which the table grows: -2 is 1/4; smaller is faster and larger; the first netns has -4'),
  conn_max: row(range(0, 1073741824), 1073741824, '7.2', { unit: 'connections' },
    'the limit of connections; a packet that needs one more is dropped; a new namespace takes the first one\'s limit'),
  conn_reuse_mode: row(range(0, 3), 1, '4.1', { unit: 'bits' },
    'a reused client port: 0 keeps its real server; 1 schedules again where safe; 2 also in FIN_WAIT (direct routing)'),
  conntrack: row('flag', 0, '2.6.37', { config: 'CONFIG_IP_VS_NFCT' },
    'netfilter tracks connections of IPVS too: stateful rules and SNAT need it; it costs speed'),
  debug_level: row(range(0, 12), 0, '2.6', { config: 'CONFIG_IP_VS_DEBUG' },
    'the level of the kernel\'s log, from errors (0) to each packet (12); one for all network namespaces'),
  drop_entry: row(range(0, 3), 0, '2.6', { alike: [1, 2] },
    'half-open connections are dropped at random: 0 never, 1 when memory is low (the kernel turns it into 2), 3 always',
  ),
  drop_packet: row(range(0, 3), 0, '2.6', { alike: [1, 2] },
    'some packets are dropped: 0 never, 1 when memory is low (the kernel turns it into 2), 3 always'),
  est_cpulist: row('processors', undefined, '6.2', {},
    'processors that compute the rates; by default the housekeeping processors; an empty list stops the computation'),
  est_nice: row(range(-20, 19), 0, '6.2', { unit: 'niceness' },
    'scheduling priority of the threads that compute the rates'),
  expire_nodest_conn: row('flag', 0, '2.6', {},
    'the next packet ends a connection of a removed real server: TCP is reset, UDP goes to another; 0 drops packets'),
  expire_quiescent_template: row('flag', 0, '2.6', {},
    'persistent clients of a real server of weight 0 move to another; 0 keeps them there'),
  ignore_tunneled: row('flag', 0, '4.4', {},
    'packets of unknown protocols, such as IPIP, are not scheduled again: for a director that is also a real server'),
  // Present once the scheduler's module is loaded, as lblcr_expiration.
  lblc_expiration: row(range(0, LONGEST), 86400, '2.6', { unit: 'seconds', config: 'CONFIG_IP_VS_LBLC' },
    'the scheduler lblc forgets the real server of an address that is unused for this time'),
  lblcr_expiration: row(range(0, LONGEST), 86400, '2.6', { unit: 'seconds', config: 'CONFIG_IP_VS_LBLCR' },
    'the scheduler lblcr forgets the real servers of an address that is unused for this time'),
  nat_icmp_send: row('flag', 0, '2.6', {},
    'a real server\'s packet (masq) that belongs to no connection is answered with ICMP destination unreachable'),
  pmtu_disc: row('flag', 1, '3.7', {},
    'a packet too large for the path is answered with ICMP fragmentation needed; 0 fragments packets into tunnels'),
  run_estimation: row('flag', 1, '5.16', {}, 'rates (per second) are computed'),
  schedule_icmp: row('flag', 0, '4.4', {},
    'an ICMP error about an unknown connection is scheduled like its packets, so that it reaches its real server'),
  secure_tcp: row(range(0, 3), 0, '2.6', { alike: [1, 2] },
    'stricter TCP states and shorter timeouts: 0 never, 1 when memory is low (the kernel turns it into 2), 3 always'),
  sloppy_sctp: row('flag', 0, '3.11', {},
    'any SCTP packet makes a connection, not only its first: for a director that takes over'),
  sloppy_tcp: row('flag', 0, '3.11', {},
    'any TCP packet makes a connection, not only a SYN: for a director that takes over'),
  snat_reroute: row('flag', 1, '2.6.37', {},
    'replies of real servers (masq) are routed as if this host sent them; 0 saves the lookup without policy routing'),
  svc_lfactor: row(range(-8, 8), -2, '7.1', { unit: 'power of two' },
    'services per bucket at which the table grows; smaller is faster and larger; the first network namespace has -3'),
  sync_persist_mode: row(range(0, 1), 0, '3.11', {},
    'persistent services: 0 synchronises all connections, 1 each client\'s real server (sloppy_tcp on the backup)'),
  sync_ports: row(oneOf(1, 2, 4, 8, 16, 32, 64), 1, '3.5', { unit: 'threads' },
    'threads, each with a UDP port from 8848 up, that the sync daemons use; the same on master and backup'),
  sync_qlen_max: row(range(0, Number.MAX_SAFE_INTEGER), undefined, '3.5', { unit: 'messages' },
    'messages to the backup that may wait; by default a 32nd of the memory\'s pages'),
  sync_refresh_period: row(range(0, LONGEST), 0, '3.5', { unit: 'seconds' },
    'a connection whose state does not change is synchronised again after this time; 0: by sync_threshold alone'),
  sync_retries: row(range(0, 3), 0, '3.5', { unit: 'times' },
    'repetitions of a message, an eighth of sync_refresh_period apart, against loss'),
  sync_sock_size: row(range(0, INT_MAX), 0, '3.5', { unit: 'bytes' },
    'socket buffer of the sync daemons; 0: the system\'s default'),
  sync_threshold: row('threshold', [3, 50], '2.6', { unit: 'packets' },
    'a connection is synchronised at its 3rd packet and then every 50 packets; with a period of 0 only once'),
  sync_version: row(range(0, 1), 1, '2.6.38', {},
    'version of the protocol that the master sends; 0 for an old backup'),
} satisfies Readonly<Record<string, SysctlRow>>

/**
 * `net.ipv4.conf.DEVICE.*`, those on which virtual services depend. New devices begin with the
 * values of `conf.default`.
 */
export const ipv4ConfSysctls = {
  accept_local: conf('flag', 0, 'larger', 'incoming packets may have an address of this host as their source'),
  arp_announce: conf(range(0, 2), 0, 'larger',
    'source of ARP requests: 0 any local address, 1 preferably in the target\'s network, 2 the best one: no VIP leaks'),
  arp_filter: conf('flag', 0, 'larger',
    'the kernel answers ARP on a link only if the reply would leave by that link'),
  arp_ignore: conf(oneOf(0, 1, 2, 3, 8), 0, 'larger',
    'ARP answers: 0 any local address, 1 the asked link\'s (no VIP elsewhere), 2 in its network, 3 not host\'s, 8 none',
  ),
  forwarding: conf('flag', 0, 'device',
    'incoming packets are forwarded; for conf.all it is ip_forward, which sets every device'),
  promote_secondaries: conf('flag', 0, 'larger',
    'where the primary address of a network is removed, a secondary takes its place; 0 removes them with it'),
  route_localnet: conf('flag', 0, 'larger', '127.0.0.0/8 is routed like other addresses'),
  rp_filter: conf(range(0, 2), 0, 'larger',
    'a packet is dropped unless its source is routed: 0 never, 1 (strict) by the packet\'s link, 2 (loose) by any link',
  ),
  send_redirects: conf('flag', 1, 'larger',
    'a sender that could reach the next hop itself gets a redirect; a director must send none, or clients go around it',
  ),
} satisfies Readonly<Record<string, SysctlRow>>

/** `net.ipv6.conf.DEVICE.*`, those on which virtual services depend. */
export const ipv6ConfSysctls = {
  forwarding: conf('flag', 0, 'device',
    'for conf.all: packets are forwarded, all devices become a router\'s; for a device: it ignores router adverts'),
} satisfies Readonly<Record<string, SysctlRow>>

/** Keys that stand alone. */
export const networkSysctls = {
  'net.ipv4.ip_forward': row('flag', 0, undefined, {},
    'packets are forwarded: a director needs it for masq; a change sets every conf.*.forwarding'),
  'net.core.fb_tunnels_only_for_init_net': row(range(0, 2), 0, '4.17', {},
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
  if (group !== 'conf' || rest.length !== 2) return rowOf(networkSysctls, segments.join('.'))
  return rowOf(family === 'ipv4' ? ipv4ConfSysctls : family === 'ipv6' ? ipv6ConfSysctls : {}, rest[1])
}
