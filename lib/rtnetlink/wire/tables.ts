/** rtnetlink: `linux/if_link.h`, `if_tunnel.h`, `if_addr.h`, `rtnetlink.h`, `neighbour.h` and `veth.h`, as tables. */

import {
  attributeSet, be16, be32, bits, by, bytes, enumeration, flag, ip, ipv4, ipv6, list, s32, string, struct, u8, u16, u32, u64,
  DecodeError, EncodeError, type AttributeSet, type Codec, type Fixed, type Infer, type Table,
} from '../../../generic-netlink/index.js'

// ── scalars ──

/** `AF_*`, as message headers have them. */
export const family = enumeration(u8, { unspec: 0, inet: 2, bridge: 7, inet6: 10 })

/** A link-layer address: six bytes of Ethernet, or the address of a tunnel. Colon-separated hexadecimal. */
export const linkLayerAddress: Codec<string> = {
  read: (from, at, length) => Array.from(from.bytes.subarray(at, at + length), byte => byte.toString(16).padStart(2, '0')).join(':'),
  write(to, value) {
    if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})*$/.test(value)) throw new EncodeError(`${JSON.stringify(value)} is not a link-layer address`)
    bytes.write(to, Uint8Array.from(value.split(':'), byte => parseInt(byte, 16)), {})
  },
}

// ── links ──

/** `struct ifinfomsg` */
export const ifinfomsg = struct({
  family,
  type:   u16,
  index:  s32,
  flags:  bits(u32, [
    'up', 'broadcast', 'debug', 'loopback', 'pointopoint', 'notrailers', 'running', 'noarp', 'promisc', 'allmulti', 'master', 'slave', 'multicast',
    'portsel', 'automedia', 'dynamic', 'lowerUp', 'dormant', 'echo',
  ]),
  change: bits(u32, ['up', 'broadcast', 'debug', 'loopback', 'pointopoint', 'notrailers', 'running', 'noarp', 'promisc', 'allmulti']),
})

const encapType = enumeration(u16, { none: 0, fou: 1, gue: 2, mpls: 3 })
const encapFlags = bits(u16, ['csum', 'csum6', 'remcsum'])

/** `IFLA_IPTUN_*` of `ipip` and `sit` links. */
export const iptun = attributeSet('IFLA_IPTUN', {
  link:            [1,  u32],
  local:           [2,  ipv4],
  remote:          [3,  ipv4],
  ttl:             [4,  u8],
  tos:             [5,  u8],
  /** Of `sit` alone. Host byte order, though the kernel's policy calls it big-endian. */
  flags:           [8,  bits(u16, ['isatap'])],
  /** What it carries: 4 is IPv4, 41 IPv6, 137 MPLS, 0 any of them. */
  proto:           [9,  u8],
  pmtudisc:        [10, u8],
  '6rdPrefix':         [11, ipv6],
  '6rdRelayPrefix':    [12, ipv4],
  '6rdPrefixlen':      [13, u16],
  '6rdRelayPrefixlen': [14, u16],
  encapType:       [15, encapType],
  encapFlags:      [16, encapFlags],
  encapSport:      [17, be16],
  encapDport:      [18, be16],
  /** The device has no addresses of its own: each packet says whence and whither. */
  collectMetadata: [19, flag],
  fwmark:          [20, u32],
})

/** `IP6_TNL_F_*` */
const ip6Flags = bits(u32, ['ignEncapLimit', 'useOrigTclass', 'useOrigFlowlabel', 'mip6Dev', 'rcvDscpCopy', 'useOrigFwmark', 'allowLocalRemote'])

/** `IFLA_IPTUN_*` of `ip6tnl` links. */
export const iptun6 = attributeSet('IFLA_IPTUN', {
  link:            [1,  u32],
  local:           [2,  ipv6],
  remote:          [3,  ipv6],
  ttl:             [4,  u8],
  tos:             [5,  u8],
  encapLimit:      [6,  u8],
  flowinfo:        [7,  be32],
  flags:           [8,  ip6Flags],
  /** What it carries: 4 is IPv4, 41 IPv6, 0 both. */
  proto:           [9,  u8],
  pmtudisc:        [10, u8],
  encapType:       [15, encapType],
  encapFlags:      [16, encapFlags],
  encapSport:      [17, be16],
  encapDport:      [18, be16],
  collectMetadata: [19, flag],
  fwmark:          [20, u32],
})

/** `GRE_*`: the names begin at bit 12; those below are the version and recursion control. */
const greBits = bits(be16, ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', 'seq', 'key', 'routing', 'csum'])

/** `IFLA_GRE_*` of `gre`, `gretap`, `ip6gre` and `ip6gretap` links. */
export const gre = attributeSet('IFLA_GRE', {
  link:            [1,  u32],
  /** What is expected of incoming packets, and put on outgoing ones. */
  iflags:          [2,  greBits],
  oflags:          [3,  greBits],
  ikey:            [4,  be32],
  okey:            [5,  be32],
  local:           [6,  ip],
  remote:          [7,  ip],
  ttl:             [8,  u8],
  tos:             [9,  u8],
  pmtudisc:        [10, u8],
  encapLimit:      [11, u8],
  flowinfo:        [12, be32],
  /** Of `ip6gre` and `ip6gretap`. */
  flags:           [13, ip6Flags],
  encapType:       [14, encapType],
  encapFlags:      [15, encapFlags],
  encapSport:      [16, be16],
  encapDport:      [17, be16],
  collectMetadata: [18, flag],
  ignoreDf:        [19, u8],
  fwmark:          [20, u32],
})

/** Sent as a flag, so that only true can be; answered as a byte. */
const flagOrByte: Codec<boolean> = { read: (from, at, length) => length === 0 || from.bytes[at] !== 0, write: () => {} }

/** `IFLA_VXLAN_*` */
export const vxlan = attributeSet('IFLA_VXLAN', {
  /** The VNI. */
  id:               [1,  u32],
  /** A multicast group, or the only remote. */
  group:            [2,  ipv4],
  link:             [3,  u32],
  local:            [4,  ipv4],
  ttl:              [5,  u8],
  tos:              [6,  u8],
  learning:         [7,  u8],
  /** Seconds until a learnt address is forgotten. */
  ageing:           [8,  u32],
  limit:            [9,  u32],
  portRange:        [10, struct({ low: be16, high: be16 })],
  proxy:            [11, u8],
  rsc:              [12, u8],
  l2miss:           [13, u8],
  l3miss:           [14, u8],
  /** The kernel's own default is 8472, not the 4789 that IANA assigned. */
  port:             [15, be16],
  group6:           [16, ipv6],
  local6:           [17, ipv6],
  udpCsum:          [18, u8],
  udpZeroCsum6Tx:   [19, u8],
  udpZeroCsum6Rx:   [20, u8],
  remcsumTx:        [21, u8],
  remcsumRx:        [22, u8],
  gbp:              [23, flag],
  remcsumNopartial: [24, flag],
  collectMetadata:  [25, u8],
  label:            [26, be32],
  gpe:              [27, flag],
  ttlInherit:       [28, flagOrByte],
  df:               [29, enumeration(u8, { unset: 0, set: 1, inherit: 2 })],
  vnifilter:        [30, u8],
  localbypass:      [31, u8],
  labelPolicy:      [32, enumeration(u32, { fixed: 0, inherit: 1 })],
})

/** `IFLA_BR_*`, as far as a bridge under a load balancer needs them. Times in hundredths of seconds. */
export const bridge = attributeSet('IFLA_BR', {
  forwardDelay:  [1,  u32],
  helloTime:     [2,  u32],
  maxAge:        [3,  u32],
  ageingTime:    [4,  u32],
  stpState:      [5,  u32],
  priority:      [6,  u16],
  vlanFiltering: [7,  u8],
  mcastSnooping: [23, u8],
})

/** `struct rtnl_link_stats64`, as far as kernels since 4.6 have it. */
export const linkStats = struct({
  rxPackets: u64, txPackets: u64, rxBytes: u64, txBytes: u64, rxErrors: u64, txErrors: u64, rxDropped: u64, txDropped: u64,
  multicast: u64, collisions: u64,
  rxLengthErrors: u64, rxOverErrors: u64, rxCrcErrors: u64, rxFrameErrors: u64, rxFifoErrors: u64, rxMissedErrors: u64,
  txAbortedErrors: u64, txCarrierErrors: u64, txFifoErrors: u64, txHeartbeatErrors: u64, txWindowErrors: u64,
  rxCompressed: u64, txCompressed: u64, rxNohandler: u64,
})

/** A set of attributes behind a fixed header, in one attribute's payload. */
function headed<H, T extends Table>(
  header: Fixed<H>, set: AttributeSet<T>,
): Codec<{ header: H; attributes: Infer<AttributeSet<T>> }> & { readonly nested: true } {
  return {
    nested: true,
    read(from, at, length, siblings) {
      if (length < header.size) throw new DecodeError(`expected at least ${header.size} bytes, got ${length}`)
      return {
        header: header.read(from, at, header.size, siblings),
        attributes: set.read(from, at + header.size, length - header.size, siblings),
      }
    },
    write(to, value, siblings) {
      header.write(to, value.header, siblings)
      set.write(to, value.attributes, siblings)
    },
  }
}

/** What the other end of a veth pair is made with. */
const peer = attributeSet('IFLA', {
  address:  [1,  linkLayerAddress],
  ifname:   [3,  string(15)],
  mtu:      [4,  u32],
  netNsPid: [19, u32],
  netNsFd:  [28, u32],
})

/** `VETH_INFO_*` */
export const veth = attributeSet('VETH_INFO', {
  peer: [1, headed(ifinfomsg, peer)],
})

/** `IFLA_INFO_*` */
export const linkInfo = attributeSet('IFLA_INFO', {
  kind: [1, string(15)],
  data: [2, by('kind', { ipip: iptun, sit: iptun, ip6tnl: iptun6, gre, gretap: gre, ip6gre: gre, ip6gretap: gre, vxlan, bridge, veth }, bytes)],
})

/** `IFLA_*` */
export const link = attributeSet('IFLA', {
  /** Ethernet's, or the local address of a tunnel. */
  address:   [1,  linkLayerAddress],
  broadcast: [2,  linkLayerAddress],
  ifname:    [3,  string(15)],
  mtu:       [4,  u32],
  /** The link below: of a veth its peer, of a tunnel what it is bound to. */
  link:      [5,  u32],
  qdisc:     [6,  string(15)],
  /** The bridge or bond that it is a port of; 0 is none. */
  master:    [10, u32],
  txqlen:    [13, u32],
  operstate: [16, enumeration(u8, { unknown: 0, notpresent: 1, down: 2, lowerlayerdown: 3, testing: 4, dormant: 5, up: 6 })],
  linkinfo:  [18, linkInfo],
  netNsPid:  [19, u32],
  ifalias:   [20, string(255)],
  stats64:   [23, linkStats],
  group:     [27, u32],
  netNsFd:   [28, u32],
  carrier:   [33, u8],
  linkNetnsid: [37, s32],
  minMtu:    [50, u32],
  maxMtu:    [51, u32],
  propList:  [52, list(string(127))],
})

// ── addresses ──

/** `RT_SCOPE_*`, of addresses and routes */
export const scope = enumeration(u8, { global: 0, site: 200, link: 253, host: 254, nowhere: 255 })

/** `struct ifaddrmsg` */
export const ifaddrmsg = struct({ family, prefixlen: u8, flags: u8, scope, index: u32 })

/** `IFA_*` */
export const address = attributeSet('IFA', {
  /** The other end's address where there are two ends, the address itself elsewhere. */
  address:    [1,  ip],
  local:      [2,  ip],
  label:      [3,  string(15)],
  broadcast:  [4,  ip],
  /** Lifetimes in seconds; 4294967295 is for ever. */
  cacheinfo:  [6,  struct({ preferred: u32, valid: u32, created: u32, updated: u32 })],
  flags:      [8,  bits(u32, [
    'secondary', 'nodad', 'optimistic', 'dadfailed', 'homeaddress', 'deprecated', 'tentative', 'permanent', 'managetempaddr', 'noprefixroute',
    'mcautojoin', 'stablePrivacy',
  ])],
  rtPriority: [9,  u32],
  proto:      [11, u8],
})

// ── routes ──

/** `RTN_*` */
export const routeType = enumeration(u8, {
  unspec: 0, unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5, blackhole: 6, unreachable: 7, prohibit: 8, throw: 9,
})
/** `RTPROT_*` */
export const routeProtocol = enumeration(u8, { unspec: 0, redirect: 1, kernel: 2, boot: 3, static: 4, ra: 9, dhcp: 16, keepalived: 18, bgp: 186, ospf: 188 })

const nexthopFlags = ['dead', 'pervasive', 'onlink', 'offload', 'linkdown', 'unresolved', 'trap'] as const

/** `struct rtmsg` */
export const rtmsg = struct({
  family, dstLen: u8, srcLen: u8, tos: u8, table: u8, protocol: routeProtocol, scope, type: routeType,
  /** A single next hop's flags, and from bit 8 the route's own. */
  flags: bits(u32, nexthopFlags),
})

/** `struct rtvia`: a gateway of the other family. */
const via: Codec<string> = {
  read: (from, at, length, siblings) => ip.read(from, at + 2, length - 2, siblings),
  write(to, value, siblings) {
    u16.write(to, value.includes(':') ? 10 : 2, siblings)
    ip.write(to, value, siblings)
  },
}

/** `RTAX_*`: what is known of the path. */
export const routeMetrics = attributeSet('RTAX', {
  mtu:    [2, u32],
  advmss: [8, u32],
})

const nexthopAttributes = attributeSet('RTA', { gateway: [5, ip], via: [18, via] })

/** `struct rtnexthop`, without its length. */
export interface Nexthop { flags: Infer<typeof nexthopBits>; hops: number; index: number; attributes: Infer<typeof nexthopAttributes> }
const nexthopBits = bits(u8, nexthopFlags)

/** The next hops of a multipath route: each a header of its own, then attributes. */
const multipath: Codec<Nexthop[]> = {
  read(from, at, length, siblings) {
    const hops: Nexthop[] = []
    for (const end = at + length; at + 8 <= end;) {
      const size = u16.read(from, at, 2, siblings)
      if (size < 8 || at + size > end) throw new DecodeError(`a next hop claims ${size} bytes of ${end - at}`)
      hops.push({
        flags: nexthopBits.read(from, at + 2, 1, siblings), hops: u8.read(from, at + 3, 1, siblings), index: s32.read(from, at + 4, 4, siblings),
        attributes: nexthopAttributes.read(from, at + 8, size - 8, {}),
      })
      at += size + 3 & ~3
    }
    return hops
  },
  write(to, hops, siblings) {
    for (const { flags, hops: weight, index, attributes } of hops) {
      const encoded = nexthopAttributes.encode(attributes)
      u16.write(to, 8 + encoded.length, siblings)
      nexthopBits.write(to, flags, siblings)
      u8.write(to, weight, siblings)
      s32.write(to, index, siblings)
      bytes.write(to, encoded, siblings)
    }
  },
}

/** `RTA_*` */
export const route = attributeSet('RTA', {
  dst:       [1,  ip],
  src:       [2,  ip],
  oif:       [4,  u32],
  gateway:   [5,  ip],
  /** The metric. */
  priority:  [6,  u32],
  prefsrc:   [7,  ip],
  metrics:   [8,  routeMetrics],
  multipath: [9,  multipath],
  table:     [15, u32],
  via:       [18, via],
  pref:      [20, u8],
  nhId:      [30, u32],
})

// ── neighbours ──

/** `struct ndmsg` */
export const ndmsg = struct({
  family,
  index: s32,
  /** `NUD_*` */
  state: bits(u16, ['incomplete', 'reachable', 'stale', 'delay', 'probe', 'failed', 'noarp', 'permanent']),
  /** `NTF_*` */
  flags: bits(u8, ['use', 'self', 'master', 'proxy', 'extLearned', 'offloaded', 'sticky', 'router']),
  type:  routeType,
})

/** `NDA_*` */
export const neighbour = attributeSet('NDA', {
  dst:     [1, ip],
  lladdr:  [2, linkLayerAddress],
  vlan:    [5, u16],
  port:    [6, be16],
  vni:     [7, u32],
  ifindex: [8, u32],
  master:  [9, u32],
  srcVni:  [11, u32],
  /** Who has set it, as of routes. */
  protocol: [12, u8],
})

export interface LinkAttributes extends Infer<typeof link> {}
export interface AddressAttributes extends Infer<typeof address> {}
export interface RouteAttributes extends Infer<typeof route> {}
export interface NeighbourAttributes extends Infer<typeof neighbour> {}
