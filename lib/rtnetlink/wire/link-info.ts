/** Parameters of links by kind: `IFLA_INFO_DATA` of `if_link.h`, `if_tunnel.h` and `veth.h`. */

import {
  attributeSet, be16, be32, bits, by, bytes, enumeration, flag, ip, ipv4, ipv6, string, struct, u8, u16, u32,
  DecodeError, type AttributeSet, type Codec, type Fixed, type Infer, type Table,
} from '../../../generic-netlink/core.js'
import { ifinfomsg } from './ifinfomsg.js'
import { linkLayerAddress } from './scalars.js'

// ── tunnels ──

const encapType = enumeration(u16, { none: 0, fou: 1, gue: 2, mpls: 3 })
const encapFlags = bits(u16, ['csum', 'csum6', 'remcsum'])

/** The rows of `IFLA_IPTUN_*` that tunnels over either family share. */
const iptunLast = {
  encapType:       [15, encapType],
  encapFlags:      [16, encapFlags],
  encapSport:      [17, be16],
  encapDport:      [18, be16],
  /** The device has no addresses of its own: each packet has both. */
  collectMetadata: [19, flag],
  fwmark:          [20, u32],
} as const

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
  ...iptunLast,
})

/** `IP6_TNL_F_*` */
const ip6Flags = bits(u32, [
  'ignEncapLimit', 'useOrigTclass', 'useOrigFlowlabel', 'mip6Dev', 'rcvDscpCopy', 'useOrigFwmark', 'allowLocalRemote',
])

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
  ...iptunLast,
})

/** `GRE_*`: the names begin at bit 12; those below are the version and recursion control. */
const greBits = bits(be16, [
  '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '10', '11', 'seq', 'key', 'routing', 'csum',
])

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

// ── VXLAN and Geneve ──

/** `VXLAN_DF_*` and `GENEVE_DF_*`: what becomes of "don't fragment" on outer IPv4 packets. */
const dontFragment = enumeration(u8, { unset: 0, set: 1, inherit: 2 })

/** A flag in requests, which can only say true; a byte in answers. */
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
  df:               [29, dontFragment],
  vnifilter:        [30, u8],
  localbypass:      [31, u8],
  labelPolicy:      [32, enumeration(u32, { fixed: 0, inherit: 1 })],
})

/** True or false as a byte. */
const truth: Codec<boolean> = {
  read: (from, at) => from.bytes[at] !== 0, write: (to, value, siblings) => { u8.write(to, Number(value), siblings) },
}

/** `IFLA_GENEVE_*` */
export const geneve = attributeSet('IFLA_GENEVE', {
  /** The VNI. */
  id:                [1,  u32],
  remote:            [2,  ipv4],
  ttl:               [3,  u8],
  tos:               [4,  u8],
  port:              [5,  be16],
  collectMetadata:   [6,  flag],
  remote6:           [7,  ipv6],
  udpCsum:           [8,  u8],
  udpZeroCsum6Tx:    [9,  u8],
  udpZeroCsum6Rx:    [10, u8],
  label:             [11, be32],
  ttlInherit:        [12, truth],
  df:                [13, dontFragment],
  innerProtoInherit: [14, flag],
})

// ── bridges and pairs ──

/** `IFLA_BR_*`, those that a bridge under a load balancer needs. Times in hundredths of seconds. */
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

// ── all kinds ──

/** `IFLA_INFO_*` */
export const linkInfo = attributeSet('IFLA_INFO', {
  kind: [1, string(15)],
  data: [2, by('kind', {
    ipip: iptun, sit: iptun, ip6tnl: iptun6, gre, gretap: gre, ip6gre: gre, ip6gretap: gre, vxlan, geneve, bridge, veth,
  }, bytes)],
})
