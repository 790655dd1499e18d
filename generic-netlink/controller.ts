/** The controller, which describes the other families: `linux/genetlink.h` as tables. */

import { attributeSet, list } from './attributes.js'
import type { Infer } from './codec.js'
import { bits, struct } from './compose.js'
import { string, u8, u16, u32 } from './values.js'

/** The controller's message type, the only message type that is the same on every kernel. */
export const GENL_ID_CTRL = 0x10

/** `struct genlmsghdr`, between the netlink header and the attributes. */
export const genlmsghdr = struct({ cmd: u8, version: u8, reserved: u16 })

/** `CTRL_ATTR_OP_*`: one command of a family. */
export const operation = attributeSet('CTRL_ATTR_OP', {
  id:    [1, u32],
  flags: [2, bits(u32, ['adminPerm', 'do', 'dump', 'hasPolicy', 'unsAdminPerm'])],
})

/** `CTRL_ATTR_MCAST_GRP_*` */
export const multicastGroup = attributeSet('CTRL_ATTR_MCAST_GRP', {
  name: [1, string(15)],
  id:   [2, u32],
})

/** `CTRL_ATTR_*`: a family. */
export const controller = attributeSet('CTRL_ATTR', {
  familyId:    [1, u16],
  familyName:  [2, string(15)],
  version:     [3, u32],
  hdrsize:     [4, u32],
  maxattr:     [5, u32],
  ops:         [6, list(operation)],
  mcastGroups: [7, list(multicastGroup)],
})

/** The controller's description of a family. */
export interface FamilyAttributes extends Infer<typeof controller> {}
