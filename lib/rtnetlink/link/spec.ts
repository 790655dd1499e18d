/** What a link is to be, and what it is: the words of `ip link`, with their defaults. */

import type { Infer } from '../../../generic-netlink/index.js'
import type { link, linkStats } from '../wire/tables.js'

// ── what all links have ──

/** What every link can be told. What is left out stays as it is, but `up`. */
export interface LinkSettings {
  /** 1 to 15 of A-Z, a-z, 0-9, _, . and -. */
  readonly name: string
  /** Largest packet in bytes. Tunnels find theirs: that of the link below less what they put around a packet. */
  readonly mtu?: number
  /** Whether it carries packets. A link that is set down loses its routes, and setting it up does not bring them back. @defaultValue true */
  readonly up?: boolean
  /** A remark for people, up to 255 bytes; `''` removes it. */
  readonly alias?: string
}

/** Links that carry Ethernet frames have an address of their own, and can be ports of a bridge. */
export interface EthernetSettings extends LinkSettings {
  /** The MAC address. @defaultValue one at random */
  readonly address?: string
  /** The bridge that it is a port of; null is none. */
  readonly master?: string | null
}

// ── tunnels ──

/** UDP around a tunnel's packets, for networks that carry nothing else. The kernel wants its module fou loaded beforehand. */
export interface Encapsulation {
  /** Generic UDP Encapsulation, or the bare packet in UDP (foo over UDP). */
  readonly type: 'gue' | 'fou'
  /** Where the other end listens. */
  readonly dport: number
  /** 0 lets the kernel choose by flow. @defaultValue 0 */
  readonly sport?: number
  /** A UDP checksum over IPv4. @defaultValue false */
  readonly csum?: boolean
  /** A UDP checksum over IPv6. @defaultValue false */
  readonly csum6?: boolean
  /** Offloads the inner checksum to the receiver; of `gue` only. @defaultValue false */
  readonly remcsum?: boolean
}

/** The ends of a tunnel, and how its packets travel between them. */
export interface TunnelEnds {
  /** Our end. @defaultValue any of this host's addresses */
  readonly local?: string
  /** The other end. @defaultValue any: the link only receives, or sends where its routes' gateways are */
  readonly remote?: string
  /** The link that its packets leave by. @defaultValue as routed */
  readonly dev?: string
  /** Firewall mark by which its packets are routed; 0 is none. @defaultValue 0 */
  readonly fwmark?: number
  /** UDP around its packets. @defaultValue none */
  readonly encap?: Encapsulation
  /**
   * Whether each packet says whence and whither (collect metadata): such a link receives what no other link of its kind does,
   * and has no ends of its own. There can be one of a kind, and one of `ip6gre` and `ip6gretap` together. @defaultValue false
   */
  readonly external?: boolean
}

/** Tunnels through IPv4. */
export interface IPv4Tunnel extends TunnelEnds {
  /** Time to live of the outer packets, 1 to 255, or that of the inner ones. @defaultValue `'inherit'` */
  readonly ttl?: number | 'inherit'
  /** Type of service of the outer packets: 0, 2 to 255, or that of the inner ones. @defaultValue 0 */
  readonly tos?: number | 'inherit'
  /** Whether outer packets must not be fragmented. Without it a fixed `ttl` is refused: packets could circle for ever. @defaultValue true */
  readonly pmtudisc?: boolean
}

/** Tunnels through IPv6. */
export interface IPv6Tunnel extends Omit<TunnelEnds, 'fwmark'> {
  /** Hop limit of the outer packets, 1 to 255, or that of the inner ones. @defaultValue 64 */
  readonly ttl?: number | 'inherit'
  /** Traffic class of the outer packets, 0 to 255, or that of the inner ones. @defaultValue 0 */
  readonly tos?: number | 'inherit'
  /** Flow label of the outer packets, 0 to 1048575, or that of the inner ones. @defaultValue 0 */
  readonly flowLabel?: number | 'inherit'
  /** How many more tunnels may lie around its packets, 0 to 255. @defaultValue 4 */
  readonly encapLimit?: number | 'none'
  /** Firewall mark by which its packets are routed, or that of the inner ones; 0 is none. @defaultValue 0 */
  readonly fwmark?: number | 'inherit'
  /** Whether the inner packet takes the traffic class of the outer one when it is unwrapped. @defaultValue false */
  readonly dscpInherit?: boolean
  /** Whether the other end may be an address of this host. @defaultValue false */
  readonly allowLocalRemote?: boolean
}

/** What a `ipip` link has: IPv4, or anything, in IPv4. */
export interface IpipParameters extends IPv4Tunnel {
  /** What it carries: IPv4, MPLS, or both. @defaultValue `'any'` */
  readonly mode?: 'ipip' | 'mplip' | 'any'
}

/** What a `sit` link has: IPv6, or anything, in IPv4. It cannot be external. */
export interface SitParameters extends Omit<IPv4Tunnel, 'external'> {
  /** What it carries: IPv6, IPv4, MPLS, or all. @defaultValue `'any'` */
  readonly mode?: 'ip6ip' | 'ipip' | 'mplip' | 'any'
  /** Intra-site automatic tunnel addressing. @defaultValue false */
  readonly isatap?: boolean
  /** Rapid deployment (RFC 5969): which IPv6 prefix stands for which IPv4 prefix. The kernel begins with `2002::/16` for all of IPv4. */
  readonly sixrd?: {
    readonly prefix: string
    /** @defaultValue `'0.0.0.0/0'` */
    readonly relay?: string
  }
}

/** What an `ip6tnl` link has: IPv4, IPv6, or both, in IPv6. */
export interface Ip6tnlParameters extends IPv6Tunnel {
  /** What it carries: IPv6, IPv4, or both. `ip link` has `ip6ip6`, which drops IPv4 silently. @defaultValue `'any'` */
  readonly mode?: 'ip6ip6' | 'ipip6' | 'any'
}

/** What GRE puts in front of a packet. */
export interface GreHeader {
  /** Tells tunnels with the same ends apart: of both ways, or of each. @defaultValue none */
  readonly key?: number | { readonly in?: number; readonly out?: number }
  /**
   * A checksum: put on what is sent and demanded of what arrives, or only one of the two. A packet with a checksum is dropped in
   * silence by a link that does not expect it: IPVS with `gre` and `checksum: 'csum'` needs it, on an external link as well.
   * @defaultValue false
   */
  readonly csum?: boolean | 'in' | 'out'
  /** Sequence numbers, likewise. @defaultValue false */
  readonly seq?: boolean | 'in' | 'out'
}

/** What `gre` and `gretap` links have: anything, and Ethernet, in GRE over IPv4. */
export interface GreParameters extends IPv4Tunnel, GreHeader {
  /** Whether inner packets that must not be fragmented are all the same. Needs `pmtudisc: false`. @defaultValue false */
  readonly ignoreDf?: boolean
}

/** What `ip6gre` and `ip6gretap` links have: anything, and Ethernet, in GRE over IPv6. */
export interface Ip6greParameters extends IPv6Tunnel, GreHeader {}

// ── others ──

/** What a `vxlan` link has: Ethernet in UDP, of the network with this number. */
export interface VxlanParameters {
  /** The VXLAN network identifier (VNI), 1 to 16777215. */
  readonly id?: number
  /** The other end, where there is one. Of one family with `local`. */
  readonly remote?: string
  /** The multicast group of all ends. Needs `dev`. */
  readonly group?: string
  /** Our end. @defaultValue as routed */
  readonly local?: string
  /** The link that its packets leave by. @defaultValue as routed */
  readonly dev?: string
  /** UDP port, here and there. The default is IANA's; the kernel's own, and that of `ip link`, is 8472. @defaultValue 4789 */
  readonly port?: number
  /** Source ports, chosen by flow. @defaultValue the kernel's local port range, as 0 to 0 */
  readonly portRange?: { readonly low: number; readonly high: number }
  /** Time to live of the outer packets; `auto` is as for other packets (1 to a group). @defaultValue `'auto'` */
  readonly ttl?: number | 'auto' | 'inherit'
  /** Type of service of the outer packets: 0, 2 to 255, or that of the inner ones. @defaultValue 0 */
  readonly tos?: number | 'inherit'
  /** Flow label of the outer packets, through IPv6. @defaultValue 0 */
  readonly label?: number
  /** What becomes of "don't fragment" on outer IPv4 packets. @defaultValue `'unset'` */
  readonly df?: 'unset' | 'set' | 'inherit'
  /** Whether it learns which address is at which end. @defaultValue true; false where external */
  readonly learning?: boolean
  /** Seconds until a learnt address is forgotten, 1 to 4294967295; the kernel makes 300 of 0. @defaultValue 300 */
  readonly ageing?: number
  /** How many addresses it learns; 0 is no limit. @defaultValue 0 */
  readonly limit?: number
  /** Answers ARP for what it knows. @defaultValue false */
  readonly proxy?: boolean
  /** Route short circuit. @defaultValue false */
  readonly rsc?: boolean
  /** Reports unknown MAC addresses over netlink. @defaultValue false */
  readonly l2miss?: boolean
  /** Reports unknown IP addresses over netlink. @defaultValue false */
  readonly l3miss?: boolean
  /** A UDP checksum over IPv4. @defaultValue true */
  readonly udpCsum?: boolean
  /** Leaves the UDP checksum out over IPv6. @defaultValue false */
  readonly udp6ZeroCsumTx?: boolean
  /** Takes packets without a UDP checksum over IPv6. @defaultValue false */
  readonly udp6ZeroCsumRx?: boolean
  /** Remote checksum offload, sending. @defaultValue false */
  readonly remcsumTx?: boolean
  /** Remote checksum offload, receiving. @defaultValue false */
  readonly remcsumRx?: boolean
  /** Group-based policy. @defaultValue false */
  readonly gbp?: boolean
  /** Generic protocol extension: no Ethernet inside. Only of an external link. @defaultValue false */
  readonly gpe?: boolean
  /** Each packet says whence, whither and of which network. @defaultValue false */
  readonly external?: boolean
}

/** What a `bridge` has. What is left out stays as it is. */
export interface BridgeParameters {
  /** Spanning tree. The kernel begins without. */
  readonly stp?: boolean
  /** Seconds that a port listens, and learns, before it forwards: 2 to 30 with spanning tree. The kernel begins with 15. */
  readonly forwardDelay?: number
  /** Seconds between greetings of spanning tree, 1 to 10. The kernel begins with 2. */
  readonly helloTime?: number
  /** Seconds until spanning tree forgets its root, 6 to 40. The kernel begins with 20. */
  readonly maxAge?: number
  /** Seconds until a learnt address is forgotten. The kernel begins with 300. */
  readonly ageing?: number
  /** The least becomes spanning tree's root, 0 to 65535. The kernel begins with 32768. */
  readonly priority?: number
  /** Whether it tells VLANs apart. The kernel begins without. */
  readonly vlanFiltering?: boolean
  /** Whether multicast goes only where it is asked for. The kernel begins with it, where it knows it. */
  readonly mcastSnooping?: boolean
}

/** What a `veth` link has: another end, on which all comes out that goes in here. */
export interface VethParameters {
  /** The other end. When one end is removed, so is the other. */
  readonly peer?: VethPeer
}

/** The other end of a `veth` pair. To be told more (up, a bridge), it can have a spec of its own. */
export interface VethPeer {
  readonly name: string
  /** Largest packet in bytes, when it is made. @defaultValue 1500 */
  readonly mtu?: number
  /** The MAC address, when it is made. @defaultValue one at random */
  readonly address?: string
  /** A process in whose network namespace it is made. @defaultValue this process */
  readonly netns?: number
}

// ── specs ──

/** Ends, or none: one that is external has no others. */
type External<Ends extends string> = { readonly external: true } & { readonly [K in Ends]?: never } | { readonly external?: false }
type EndsOf<T> = Exclude<keyof T & keyof (IPv4Tunnel & IPv6Tunnel), 'external' | 'encap'>

/** An `ipip` link. */
export type IpipSpec = LinkSettings & { readonly kind: 'ipip' } & IpipParameters & External<EndsOf<IpipParameters>>
/** A `sit` link. */
export type SitSpec = LinkSettings & { readonly kind: 'sit' } & SitParameters
/** An `ip6tnl` link. */
export type Ip6tnlSpec = LinkSettings & { readonly kind: 'ip6tnl' } & Ip6tnlParameters & External<EndsOf<Ip6tnlParameters>>
/** A `gre` link. */
export type GreSpec = LinkSettings & { readonly kind: 'gre' } & GreParameters & External<EndsOf<GreParameters> | 'ignoreDf'>
/** A `gretap` link: Ethernet in GRE. */
export type GretapSpec = EthernetSettings & { readonly kind: 'gretap' } & GreParameters & External<EndsOf<GreParameters> | 'ignoreDf'>
/** An `ip6gre` link. */
export type Ip6greSpec = LinkSettings & { readonly kind: 'ip6gre' } & Ip6greParameters & External<EndsOf<Ip6greParameters>>
/** An `ip6gretap` link: Ethernet in GRE over IPv6. */
export type Ip6gretapSpec = EthernetSettings & { readonly kind: 'ip6gretap' } & Ip6greParameters & External<EndsOf<Ip6greParameters>>
/** A `vxlan` link: of one network, to one remote, to a group, or to whom its forwarding entries name; or external. */
export type VxlanSpec = EthernetSettings & { readonly kind: 'vxlan' } & VxlanParameters & (
  | { readonly id: number; readonly external?: false; readonly gpe?: false; readonly group?: never }
  | { readonly id: number; readonly external?: false; readonly gpe?: false; readonly group: string; readonly dev: string; readonly remote?: never }
  | { readonly id?: never; readonly external: true; readonly group?: never; readonly remote?: never })
/** A bridge. */
export type BridgeSpec = Omit<EthernetSettings, 'master'> & { readonly kind: 'bridge' } & BridgeParameters
/** A `dummy` link, which swallows what it is given: a place for addresses. */
export type DummySpec = EthernetSettings & { readonly kind: 'dummy' }
/** One end of a `veth` pair. */
export type VethSpec = EthernetSettings & { readonly kind: 'veth' } & VethParameters & { readonly peer: VethPeer }

/**
 * A link to be.
 *
 * A tunnel's and a VXLAN's parameter that is left out is to have the default that is stated with it; a setting or a bridge's
 * parameter that is left out stays as it is.
 */
export type LinkSpec =
  | IpipSpec | SitSpec | Ip6tnlSpec | GreSpec | GretapSpec | Ip6greSpec | Ip6gretapSpec | VxlanSpec | BridgeSpec | DummySpec | VethSpec

/** The kinds of links that can be made. */
export type LinkKind = LinkSpec['kind']

/** What each kind of link can be told. */
export interface LinkParameters {
  ipip: IpipParameters
  sit: SitParameters
  ip6tnl: Ip6tnlParameters
  gre: GreParameters
  gretap: GreParameters
  ip6gre: Ip6greParameters
  ip6gretap: Ip6greParameters
  vxlan: VxlanParameters
  bridge: BridgeParameters
  dummy: object
  veth: VethParameters
}

type Settings = Partial<Omit<EthernetSettings, 'name'>>

/** What is to be different: settings of any link, and parameters of one whose kind is named. What is left out stays as it is. */
export type LinkChanges = Settings & { readonly kind?: undefined } | { [K in LinkKind]: Settings & { readonly kind: K } & LinkParameters[K] }[LinkKind]

// ── states ──

/** Counters since the link was made. */
export interface LinkStatistics extends Infer<typeof linkStats> {}

/** What every link tells. */
export interface LinkStatus {
  /** The kernel's number for it in this network namespace. */
  readonly index: number
  readonly name: string
  /** Whether it is set up; whether it works, `operstate` and `carrier` say. */
  readonly up: boolean
  /** Of a tunnel mostly `unknown`. */
  readonly operstate: NonNullable<Infer<typeof link>['operstate']>
  readonly carrier: boolean
  /** Largest packet in bytes. */
  readonly mtu: number
  /** The MAC address of a link that carries Ethernet. */
  readonly address?: string
  /** What it is a port of, by name. */
  readonly master?: string
  readonly alias?: string
  /** Other names that it goes by. */
  readonly altNames: readonly string[]
  readonly statistics: LinkStatistics
}

type ParameterName = { [K in LinkKind]: keyof LinkParameters[K] }[LinkKind]

/** A link of a kind that the library reads, and does not make. */
export interface OtherLink {
  /** Undefined of plain ones, such as network cards. */
  readonly kind?: string
  /** The link below, of a VLAN for example. */
  readonly dev?: string
  /** Its parameters, as the kernel says them. */
  readonly data?: Uint8Array
}

/** A link that exists, in the words of its spec. What it has none of (a remote, a key) is undefined. */
export type LinkState = LinkStatus & (
  | { [K in LinkKind]: { readonly kind: K; readonly data?: undefined } & LinkParameters[K] }[LinkKind]
  | OtherLink & { readonly [K in Exclude<ParameterName, keyof OtherLink>]?: undefined })
