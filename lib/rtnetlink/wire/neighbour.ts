/** Messages about neighbours and forwarding entries: `linux/neighbour.h`, as tables. */

import { attributeSet, be16, bits, ip, s32, struct, u8, u16, u32 } from '../../../generic-netlink/core.js'
import { family, linkLayerAddress, routeType } from './scalars.js'

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
