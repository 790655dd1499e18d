/** Netlink's messages: `struct nlmsghdr`, errors and acknowledgements (`linux/netlink.h`). */

import { attributeSet } from './attributes.js'
import { HOST, type Input, type Output } from './buffers.js'
import { string, u32 } from './values.js'
import { DecodeError, type ExtendedAck } from './errors.js'

export const NLMSG_NOOP = 1
export const NLMSG_ERROR = 2
export const NLMSG_DONE = 3
/** The message types below are netlink's own. */
export const NLMSG_MIN_TYPE = 0x10

export const NLM_F_REQUEST = 0x1
export const NLM_F_ACK = 0x4
/** In answers to a dump: the table changed meanwhile, and objects may be missing or doubled. */
export const NLM_F_DUMP_INTR = 0x10
/** In error messages: the echo of the request is cut to its header. */
export const NLM_F_CAPPED = 0x100
/** In error messages: attributes follow. */
export const NLM_F_ACK_TLVS = 0x200
export const NLM_F_DUMP = 0x300

export const HEADER_SIZE = 16
const ERRNO_SIZE = 4
const FLAGS_OFFSET = 6

/** Appends a message with the body that `body` appends, and returns its offset. */
export function writeMessage(to: Output, type: number, flags: number, seq: number, body: (to: Output) => void): number {
  const at = to.take(HEADER_SIZE)
  body(to)
  finishMessage(to, at, type, flags, seq)
  return at
}

/** Writes the header of the message that begins at `at`, and pads the message. */
export function finishMessage(to: Output, at: number, type: number, flags: number, seq: number): void {
  to.align() // the kernel looks for the next message at a multiple of four
  to.view.setUint32(at, to.length - at, HOST)
  to.view.setUint16(at + 4, type, HOST)
  to.view.setUint16(at + FLAGS_OFFSET, flags, HOST)
  to.view.setUint32(at + 8, seq, HOST)
  to.view.setUint32(at + 12, 0, HOST)
}

/** A message's header, and the offset and length of its body. */
export interface Message {
  type: number
  flags: number
  seq: number
  /** The port id of the socket that the message answers. */
  port: number
  at: number
  length: number
}

/**
 * Calls `visit` for each message of a datagram. The object is valid until `visit` returns.
 * @throws DecodeError where a message claims more bytes than there are: the datagram was cut
 */
export function eachMessage(from: Input, end: number, visit: (message: Readonly<Message>, from: Input) => void): void {
  const { view } = from
  const message = { type: 0, flags: 0, seq: 0, port: 0, at: 0, length: 0 }
  for (let at = 0; at < end;) {
    const size = at + HEADER_SIZE <= end ? view.getUint32(at, HOST) : 0
    if (size < HEADER_SIZE || at + size > end) {
      throw new DecodeError(`a netlink message of ${size} bytes in a datagram that has ${end - at} left`)
    }
    message.type = view.getUint16(at + 4, HOST)
    message.flags = view.getUint16(at + FLAGS_OFFSET, HOST)
    message.seq = view.getUint32(at + 8, HOST)
    message.port = view.getUint32(at + 12, HOST)
    message.at = at + HEADER_SIZE
    message.length = size - HEADER_SIZE
    visit(message, from)
    at += size + 3 & ~3
  }
}

/**
 * Whether the header of a message, be it a message that was cut, has such a sequence number. A
 * datagram without one is nobody's answer.
 */
export function namesSequence(from: Input, end: number, isOurs: (seq: number) => boolean): boolean {
  for (let at = 0; at + HEADER_SIZE <= end;) {
    if (isOurs(from.view.getUint32(at + 8, HOST))) return true
    const size = from.view.getUint32(at, HOST)
    if (size < HEADER_SIZE || at + size > end) return false
    at += size + 3 & ~3
  }
  return false
}

/** `NLMSGERR_ATTR_*` */
const extended = attributeSet('NLMSGERR_ATTR', {
  msg:      [1, string(1024)],
  offs:     [2, u32],
  missType: [5, u32],
})

/** The content of an NLMSG_ERROR or NLMSG_DONE. */
export interface Verdict {
  /** 0, or negative. */
  readonly errno: number
  readonly extack?: ExtendedAck
}

/** Reads an NLMSG_ERROR or NLMSG_DONE. @throws DecodeError */
export function readVerdict(from: Input, { type, flags, at, length }: Message): Verdict {
  if (length < ERRNO_SIZE) {
    if (type === NLMSG_DONE) return { errno: 0 }
    throw new DecodeError(`an error message of ${length} bytes`)
  }
  const errno = from.view.getInt32(at, HOST)
  if (!(flags & NLM_F_ACK_TLVS)) return { errno }
  let skipped = ERRNO_SIZE
  if (type === NLMSG_ERROR) {
    if (length < ERRNO_SIZE + HEADER_SIZE) throw new DecodeError(`an error message of ${length} bytes`)
    const echoed = flags & NLM_F_CAPPED ? HEADER_SIZE : from.view.getUint32(at + ERRNO_SIZE, HOST)
    if (echoed < HEADER_SIZE || echoed > length - skipped) {
      throw new DecodeError(`an error message of ${length} bytes echoes ${echoed}`)
    }
    skipped = Math.min(skipped + (echoed + 3 & ~3), length)
  }
  const { msg, offs, missType } = extended.read(from, at + skipped, length - skipped, {})
  if (msg === undefined && offs === undefined && missType === undefined) return { errno }
  return {
    errno,
    extack: {
      ...msg !== undefined && { message: msg },
      ...offs !== undefined && { offset: offs },
      ...missType !== undefined && { missing: missType },
    },
  }
}
