/** Messages about routes: `linux/rtnetlink.h`, as tables. */

import {
  attributeSet, bits, bytes, enumeration, ip, s32, string, struct, u8, u16, u32, DecodeError, type Codec, type Infer,
} from '../../../generic-netlink/core.js'
import { family, routeType, scope } from './scalars.js'

/** `RTPROT_*` */
export const PROTOCOLS = {
  unspec: 0, redirect: 1, kernel: 2, boot: 3, static: 4, ra: 9, dhcp: 16, keepalived: 18, bgp: 186, ospf: 188,
} as const
export const routeProtocol = enumeration(u8, PROTOCOLS)

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

/** Attributes of a kind that no table has, byte for byte. */
const nestedBytes: Codec<Uint8Array> & { readonly nested: true } = {
  nested: true,
  read: (from, at, length) => from.bytes.slice(at, at + length),
  write: (to, value, siblings) => { bytes.write(to, value, siblings) },
}

/** `RTAX_*`: what is known of the path. */
export const routeMetrics = attributeSet('RTAX', {
  /** The metrics that the kernel does not change by itself, as bits. */
  lock:        [1,  u32],
  mtu:         [2,  u32],
  window:      [3,  u32],
  rtt:         [4,  u32],
  rttvar:      [5,  u32],
  ssthresh:    [6,  u32],
  cwnd:        [7,  u32],
  advmss:      [8,  u32],
  reordering:  [9,  u32],
  hoplimit:    [10, u32],
  initcwnd:    [11, u32],
  features:    [12, u32],
  rtoMin:      [13, u32],
  initrwnd:    [14, u32],
  quickack:    [15, u32],
  /** The name of a congestion control. */
  ccAlgo:      [16, string(15)],
  fastopenNoCookie: [17, u32],
})

const nexthopAttributes = attributeSet('RTA', {
  gateway:   [5,  ip],
  flow:      [11, u32],
  via:       [18, via],
  encapType: [21, u16],
  encap:     [22, nestedBytes],
})

/** `struct rtnexthop`, without its length. */
export interface WireNexthop {
  flags: Infer<typeof nexthopBits>
  hops: number
  index: number
  attributes: Infer<typeof nexthopAttributes>
}
const nexthopBits = bits(u8, nexthopFlags)

/** The next hops of a multipath route: each a header of its own, then attributes. */
const multipath: Codec<WireNexthop[]> = {
  read(from, at, length, siblings) {
    const hops: WireNexthop[] = []
    for (const end = at + length; at + 8 <= end;) {
      const size = u16.read(from, at, 2, siblings)
      if (size < 8 || at + size > end) throw new DecodeError(`a next hop claims ${size} bytes of ${end - at}`)
      hops.push({
        flags: nexthopBits.read(from, at + 2, 1, siblings), hops: u8.read(from, at + 3, 1, siblings),
        index: s32.read(from, at + 4, 4, siblings),
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
  /** Realms, for class-based queueing. */
  flow:      [11, u32],
  table:     [15, u32],
  via:       [18, via],
  pref:      [20, u8],
  /** A lightweight tunnel, such as MPLS, and its parameters. */
  encapType: [21, u16],
  encap:     [22, nestedBytes],
  ttlPropagate: [26, u8],
  nhId:      [30, u32],
})
