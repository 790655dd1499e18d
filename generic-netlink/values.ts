/** Codecs of single values: numbers, bytes, text, addresses. */

import { formatIPv4, formatIPv6, parseIPv6, putIPv4 } from './address.js'
import { HOST } from './buffers.js'
import { show } from './check.js'
import type { Codec, Fixed } from './codec.js'
import { DecodeError, EncodeError } from './errors.js'

// ── numbers ──

/** Makes the codec of a number. */
function number(size: 1 | 2 | 4, { signed = false, littleEndian = HOST } = {}): Fixed<number> {
  const max = 2 ** (size * 8 - (signed ? 1 : 0)) - 1
  const min = signed ? -max - 1 : 0
  return {
    size,
    read({ view }, at, length) {
      if (length !== size) throw new DecodeError(`expected ${size} ${size === 1 ? 'byte' : 'bytes'}, got ${length}`)
      const n = size === 1 ? view.getUint8(at)
        : size === 2 ? view.getUint16(at, littleEndian) : view.getUint32(at, littleEndian)
      return n > max ? n - 2 * (max + 1) : n
    },
    write(to, value) {
      // DataView converts NaN, null and 1.5 to a number, and a weight of 0 drains a real server.
      if (!Number.isInteger(value) || value < min || value > max) {
        throw new EncodeError(`${show(value)} is not an integer from ${min} to ${max}`)
      }
      const at = to.take(size)
      if (size === 1) to.view.setUint8(at, value)
      else if (size === 2) to.view.setUint16(at, value, littleEndian)
      else to.view.setUint32(at, value, littleEndian)
    },
  }
}

/** An unsigned number of 8 bits. */
export const u8   = number(1)
/** An unsigned number of 16 bits in host byte order. */
export const u16  = number(2)
/** An unsigned number of 32 bits in host byte order. */
export const u32  = number(4)
/** A signed number of 32 bits in host byte order. */
export const s32  = number(4, { signed: true })
/** A number of 16 bits in network byte order, such as a port. */
export const be16 = number(2, { littleEndian: false })
/** A number of 32 bits in network byte order. */
export const be32 = number(4, { littleEndian: false })

const LOW = HOST ? 0 : 4
const HIGH = 4 - LOW

/** Ready values of small counters: a new BigInt is an object. Performance: small counters. */
const SMALL = Array.from({ length: 256 }, (_, n) => BigInt(n))

/** An unsigned number of 64 bits in host byte order, such as a counter. */
export const u64: Fixed<bigint> = {
  size: 8,
  read({ view }, at, length) {
    if (length !== 8) throw new DecodeError(`expected 8 bytes, got ${length}`)
    if (view.getUint32(at + HIGH, HOST) !== 0) return view.getBigUint64(at, HOST)
    const low = view.getUint32(at + LOW, HOST)
    return low < SMALL.length ? SMALL[low]! : BigInt(low)
  },
  write(to, value) {
    if (typeof value !== 'bigint' || value < 0n || value > 0xffff_ffff_ffff_ffffn) {
      throw new EncodeError(`${show(value)} is not a bigint of 64 bits`)
    }
    const at = to.take(8)
    to.view.setBigUint64(at, value, HOST)
  },
}

// ── bytes and text ──

/** Bytes without further structure. */
export const bytes: Codec<Uint8Array> = {
  // The constructor copies; the slice of a Buffer shares its memory.
  read: (from, at, length) => new Uint8Array(from.bytes.subarray(at, at + length)),
  write(to, value) {
    if (!(value instanceof Uint8Array)) throw new EncodeError(`${show(value)} is not a Uint8Array`)
    const at = to.take(value.length)
    to.bytes.set(value, at)
  },
}

/** An attribute without payload: its presence is the value (`NLA_FLAG`). */
export const flag: Codec<true> = { read: () => true, write: () => {} }

/** Text of at most `max` bytes in UTF-8, and a NUL at its end. */
export function string(max: number): Codec<string> {
  return {
    read(from, at, length) {
      const end = from.bytes.subarray(at, at + length).indexOf(0)
      return Buffer.from(from.bytes.buffer, from.bytes.byteOffset + at, end < 0 ? length : end).toString('utf8')
    },
    write(to, value) {
      if (typeof value !== 'string') throw new EncodeError(`${show(value)} is not a string`)
      // The kernel takes the text before a NUL and ignores the rest.
      if (value.includes('\0')) throw new EncodeError(`${show(value)} contains a NUL`)
      const text = Buffer.from(value, 'utf8')
      if (text.length > max) throw new EncodeError(`${show(value)} is longer than ${max} bytes`)
      const at = to.take(text.length + 1)
      to.bytes.set(text, at)
      to.bytes[at + text.length] = 0
    },
  }
}

// ── addresses ──

/** An IPv4 address as text. The kernel may pad it to the size of a `union nf_inet_addr`. */
export const ipv4: Fixed<string> = {
  size: 4,
  read({ view }, at, length) {
    if (length < 4) throw new DecodeError(`expected 4 bytes, got ${length}`)
    return formatIPv4(view.getUint32(at))
  },
  write(to, value) {
    const at = to.take(4)
    if (typeof value !== 'string' || !putIPv4(to.bytes, at, value)) {
      throw new EncodeError(`${show(value)} is not an IPv4 address`)
    }
  },
}

/** An IPv6 address as text in the form of RFC 5952, without a zone. */
export const ipv6: Fixed<string> = {
  size: 16,
  alignment: 4,
  read({ bytes }, at, length) {
    if (length < 16) throw new DecodeError(`expected 16 bytes, got ${length}`)
    return formatIPv6(bytes.subarray(at, at + 16))
  },
  write(to, value) {
    const address = typeof value === 'string' ? parseIPv6(value) : null
    if (!address) throw new EncodeError(`${show(value)} is not an IPv6 address`)
    const at = to.take(16)
    to.bytes.set(address, at)
  },
}

/** An address of either family. The length, or a colon in the text, names the family. */
export const ip: Codec<string> = {
  read: (from, at, length, siblings) => (length === 4 ? ipv4 : ipv6).read(from, at, length, siblings),
  write(to, value, siblings) {
    if (typeof value !== 'string') throw new EncodeError(`${show(value)} is not an IP address`)
    ;(value.includes(':') ? ipv6 : ipv4).write(to, value, siblings)
  },
}
