/** Foo over UDP, and generic UDP encapsulation: `linux/fou.h` as tables. */

import { attributeSet } from '../attributes.js'
import type { Infer } from '../codec.js'
import { enumeration } from '../compose.js'
import { be16, flag, ipv4, ipv6, s32, u8 } from '../values.js'
import { family } from '../family.js'

/** `FOU_ENCAP_*`: whether a packet follows the UDP header directly, or GUE's own. */
export const fouEncapsulation = enumeration(u8, { direct: 1, gue: 2 })

/** `FOU_ATTR_*`: a UDP port that the kernel unwraps packets at. */
export const fouPort = attributeSet('FOU_ATTR', {
  port:             [1,  be16],
  af:               [2,  enumeration(u8, { inet: 2, inet6: 10 })],
  /** What a `direct` port carries, `IPPROTO_*`. Left out for GUE, which says it in each packet. */
  ipproto:          [3,  u8],
  type:             [4,  fouEncapsulation],
  remcsumNopartial: [5,  flag],
  localV4:          [6,  ipv4],
  localV6:          [7,  ipv6],
  peerV4:           [8,  ipv4],
  peerV6:           [9,  ipv6],
  peerPort:         [10, be16],
  ifindex:          [11, s32],
})

/** `FOU_CMD_*`. The kernel does not load the family's module by itself: `modprobe -a fou fou6`. */
export const fou = family('fou', 1, {
  add: [1, fouPort],
  del: [2, fouPort],
  get: [3, fouPort, fouPort],
})

/** A port, as the wire has it. */
export interface FouPortAttributes extends Infer<typeof fouPort> {}
