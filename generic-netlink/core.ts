/** The wire without families: each part of `lib/` loads this, and no family but its own. */

export { formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from './address.js'
export { remembered } from './attribute-memory.js'
export { attributeSet, kernelName, list, type AttributeSet, type Row, type Table } from './attributes.js'
export { Input, Output } from './buffers.js'
export { SpecError } from './check.js'
export type { Codec, Fixed, Infer, Siblings } from './codec.js'
export { bits, by, enumeration, struct, unless, type Bits } from './compose.js'
export {
  Connection, NETLINK_GENERIC, NETLINK_ROUTE, openChecks, openOptions, type ConnectionOptions,
} from './connection.js'
export { controller, multicastGroup, operation, type FamilyAttributes } from './controller.js'
export { DecodeError, EncodeError, NetlinkError, type Errno, type ExtendedAck, type Refusal } from './errors.js'
export {
  family, type Attributes, type Command, type CommandRow, type CommandTable, type FamilyDeclaration, type Reply,
} from './family.js'
export { describeFamily, FamilyClient, type CommandOptions, type DumpOptions } from './family-client.js'
export { logger, type Log } from './log.js'
export { callOptions, type CallOptions, type Request } from './request.js'
export { sequence, withItem, type Sequence } from './sequence.js'
export { be16, be32, bytes, flag, ip, ipv4, ipv6, s32, string, u8, u16, u32, u64 } from './values.js'
export type { KernelSocket, OpenSocket, SocketListener } from './socket.js'
