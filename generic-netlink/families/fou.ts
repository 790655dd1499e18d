/** Foo over UDP, and generic UDP encapsulation: `linux/fou.h` as tables. */

import { attributeSet } from '../attributes.js'
import type { Infer } from '../codec.js'
import { enumeration } from '../compose.js'
import { be16, flag, ipv4, ipv6, s32, u8 } from '../values.js'
import { family } from '../family.js'

/** `FOU_ENCAP_*`: the packet follows the UDP header directly, or follows the header of GUE. */
export const fouEncapsulation = enumeration(u8, { direct: 1, gue: 2 })

/** `FOU_ATTR_*`: a UDP port at which the kernel decapsulates packets. */
export const fouPort = attributeSet('FOU_ATTR', {
  port:             [1,  be16],
  af:               [2,  enumeration(u8, { inet: 2, inet6: 10 })],
  /** The protocol at a `direct` port, `IPPROTO_*`. At a GUE port each packet names its own. */
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

/** `FOU_CMD_*`. The kernel does not load the family's module on demand: `modprobe -a fou fou6`. */
export const fou = family('fou', 1, {
  add: [1, fouPort],
  del: [2, fouPort],
  get: [3, fouPort, fouPort],
})

/** The attributes of a port. */
export interface FouPortAttributes extends Infer<typeof fouPort> {}
