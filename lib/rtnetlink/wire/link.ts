/** Messages about links: `linux/if_link.h`, as tables. */

import {
  attributeSet, bytes, enumeration, list, s32, string, struct, u8, u32, u64, type Codec, type Infer,
} from '../../../generic-netlink/core.js'
import { linkInfo } from './link-info.js'
import { linkLayerAddress } from './scalars.js'

export { ifinfomsg } from './ifinfomsg.js'

/** `struct rtnl_link_stats64`, as far as kernels since 4.6 have it. */
export const linkStats = struct({
  rxPackets: u64, txPackets: u64, rxBytes: u64, txBytes: u64,
  rxErrors: u64, txErrors: u64, rxDropped: u64, txDropped: u64,
  multicast: u64, collisions: u64,
  rxLengthErrors: u64, rxOverErrors: u64, rxCrcErrors: u64, rxFrameErrors: u64, rxFifoErrors: u64, rxMissedErrors: u64,
  txAbortedErrors: u64, txCarrierErrors: u64, txFifoErrors: u64, txHeartbeatErrors: u64, txWindowErrors: u64,
  rxCompressed: u64, txCompressed: u64, rxNohandler: u64,
})

const altName = attributeSet('IFLA', { altIfname: [53, string(127)] })
const anyList = list(string(127))

/** Further names of a link: attributes of one number. */
const altNames: Codec<string[]> & { readonly nested: true } = {
  ...anyList,
  write(to, names) { for (const altIfname of names) bytes.write(to, altName.encode({ altIfname }), {}) },
}

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
  operstate: [
    16, enumeration(u8, { unknown: 0, notpresent: 1, down: 2, lowerlayerdown: 3, testing: 4, dormant: 5, up: 6 }),
  ],
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
  propList:  [52, altNames],
})

export interface LinkAttributes extends Infer<typeof link> {}
