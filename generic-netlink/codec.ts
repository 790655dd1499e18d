/**
 * Codecs: how one wire value becomes a JavaScript value and back.
 *
 * Everything else in this folder is a table made of these. A codec reads at an offset of a shared
 * buffer and writes into a growing one: no value costs a buffer of its own.
 *
 * @module
 */

import { endianness } from 'node:os'
import { integer } from 'bitwise'
import { formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from './address.js'
import { DecodeError, EncodeError } from './errors.js'

/** Bytes to read from, and the same bytes as numbers. */
export class Input {
  readonly bytes: Uint8Array
  readonly view: DataView
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

/** Bytes being written; grows as needed. */
export class Output {
  bytes: Uint8Array
  view: DataView
  /** How many bytes are written. */
  length = 0

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Makes room for `size` more bytes and says where they begin. What stands there is undefined: write all of it. */
  take(size: number): number {
    const at = this.length
    const end = at + size
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2))
      grown.set(this.bytes)
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    this.length = end
    return at
  }

  /** Zeroes up to the next multiple of four, where netlink wants the next thing to begin. */
  align(): void {
    const gap = -this.length & 3
    if (gap) { const at = this.take(gap); this.bytes.fill(0, at, at + gap) }
  }

  /** A copy of what is written. */
  finish(): Uint8Array { return this.bytes.slice(0, this.length) }
}

/** The values beside this one: already decoded, or about to be encoded. */
export type Siblings = Readonly<Record<string, unknown>>

/** How one value is read from, and written to, the wire. */
export interface Codec<T> {
  /** Reads the value that takes `length` bytes from `at`. @throws DecodeError */
  read(from: Input, at: number, length: number, siblings: Siblings): T
  /** Appends the value. @throws EncodeError where it does not fit */
  write(to: Output, value: T, siblings: Siblings): void
  /** The sibling this codec looks at; it is read after that one. */
  readonly after?: string
}

/** A codec of constant size: the only kind a {@link struct} can hold. */
export interface Fixed<T> extends Codec<T> {
  readonly size: number
}

/** The JavaScript type a codec stands for. */
export type Infer<C> = C extends { read(from: Input, at: number, length: number, siblings: Siblings): infer T } ? T : never

/** What `DataView` calls little-endian: true where the host is. */
export const HOST = endianness() === 'LE'
const NETWORK = false

// ── numbers ──

const show = (value: unknown): string => typeof value === 'string' ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n` : String(value)

function number(size: number, min: number, max: number, get: (view: DataView, at: number) => number, set: (view: DataView, at: number, n: number) => void): Fixed<number> {
  return {
    size,
    read(from, at, length) {
      if (length !== size) throw new DecodeError(`expected ${size} ${size === 1 ? 'byte' : 'bytes'}, got ${length}`)
      return get(from.view, at)
    },
    write(to, value) {
      // DataView would turn NaN, null and 1.5 into some number, and a missing weight drains a server.
      if (!Number.isInteger(value) || value < min || value > max) throw new EncodeError(`${show(value)} is not an integer from ${min} to ${max}`)
      const at = to.take(size)
      set(to.view, at, value)
    },
  }
}

export const u8   = number(1, 0, 0xff,        (v, at) => v.getUint8(at),            (v, at, n) => v.setUint8(at, n))
export const u16  = number(2, 0, 0xffff,      (v, at) => v.getUint16(at, HOST),     (v, at, n) => v.setUint16(at, n, HOST))
export const u32  = number(4, 0, 0xffffffff,  (v, at) => v.getUint32(at, HOST),     (v, at, n) => v.setUint32(at, n, HOST))
export const s32  = number(4, -0x80000000, 0x7fffffff, (v, at) => v.getInt32(at, HOST), (v, at, n) => v.setInt32(at, n, HOST))
/** A port, or another 16-bit value in network byte order. */
export const be16 = number(2, 0, 0xffff,      (v, at) => v.getUint16(at, NETWORK),  (v, at, n) => v.setUint16(at, n, NETWORK))
export const be32 = number(4, 0, 0xffffffff,  (v, at) => v.getUint32(at, NETWORK),  (v, at, n) => v.setUint32(at, n, NETWORK))

const LOW = HOST ? 0 : 4
const HIGH = 4 - LOW

/** A 64-bit counter. */
export const u64: Fixed<bigint> = {
  size: 8,
  read({ view }, at, length) {
    if (length !== 8) throw new DecodeError(`expected 8 bytes, got ${length}`)
    // Most counters are small, and a BigInt made of 64 bits costs several times what these do.
    if (view.getUint32(at + HIGH, HOST) !== 0) return view.getBigUint64(at, HOST)
    const low = view.getUint32(at + LOW, HOST)
    return low === 0 ? 0n : BigInt(low)
  },
  write(to, value) {
    if (typeof value !== 'bigint' || value < 0n || value > 0xffff_ffff_ffff_ffffn) throw new EncodeError(`${show(value)} is not a bigint of 64 bits`)
    const at = to.take(8)
    to.view.setBigUint64(at, value, HOST)
  },
}

// ── bytes and text ──

/** Bytes with no further meaning here. */
export const bytes: Codec<Uint8Array> = {
  read: (from, at, length) => from.bytes.slice(at, at + length),
  write(to, value) { const at = to.take(value.length); to.bytes.set(value, at) },
}

/** An attribute whose presence is its value (`NLA_FLAG`). */
export const flag: Codec<true> = { read: () => true, write: () => {} }

/** Text of at most `max` bytes and the NUL that ends it. */
export function string(max: number): Codec<string> {
  return {
    read(from, at, length) {
      const end = from.bytes.subarray(at, at + length).indexOf(0)
      return Buffer.from(from.bytes.buffer, from.bytes.byteOffset + at, end < 0 ? length : end).toString('utf8')
    },
    write(to, value) {
      if (typeof value !== 'string') throw new EncodeError(`${show(value)} is not a string`)
      if (value.includes('\0')) throw new EncodeError(`${show(value)} has a NUL in it`) // the kernel would take what stands before it
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
    const n = typeof value === 'string' ? parseIPv4(value) : -1
    if (n < 0) throw new EncodeError(`${show(value)} is not an IPv4 address`)
    const at = to.take(4)
    to.view.setUint32(at, n)
  },
}

/** An IPv6 address as text in its correct form (RFC 5952), without a zone. */
export const ipv6: Fixed<string> = {
  size: 16,
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

/** An address of either family, told apart by its length. */
export const ip: Codec<string> = {
  read: (from, at, length, siblings) => (length === 4 ? ipv4 : ipv6).read(from, at, length, siblings),
  write: (to, value, siblings) => (value.includes(':') ? ipv6 : ipv4).write(to, value, siblings),
}

// ── names for numbers ──

/** A number with names. A value without a name stays a number, both ways. */
export function enumeration<const T extends Readonly<Record<string, number>>>(of: Fixed<number>, names: T): Fixed<keyof T | number> {
  const nameOf = new Map(Object.entries(names).map(([name, value]) => [value, name as keyof T]))
  return {
    size: of.size,
    read(from, at, length, siblings) {
      const n = of.read(from, at, length, siblings)
      return nameOf.get(n) ?? n
    },
    write(to, value, siblings) {
      if (typeof value !== 'number' && !Object.hasOwn(names, value)) throw new EncodeError(`${show(value)} is not one of ${Object.keys(names).join(', ')}`)
      of.write(to, typeof value === 'number' ? value : names[value]!, siblings)
    },
  }
}

/** The bits that are set, by name; a bit without a name goes by its number. */
export type Bits<N extends string> = { readonly [K in N]?: boolean } & { readonly [bit: number]: boolean }

const NO_BITS = Object.freeze({})

/** A bit field; `names` lists its bits from bit 0 up. */
export function bits<const N extends string>(of: Fixed<number>, names: readonly N[]): Fixed<Bits<N>> {
  const keys = Array.from({ length: of.size * 8 }, (_, bit) => names[bit] ?? String(bit))
  const bitOf = new Map(keys.map((key, bit) => [key, bit]))
  return {
    size: of.size,
    read(from, at, length, siblings) {
      const word = of.read(from, at, length, siblings)
      if (word === 0) return NO_BITS
      const set: Record<string, boolean> = {}
      for (let bit = 0; bit < keys.length; bit++) if (integer.getBit(word, bit)) set[keys[bit]!] = true
      return set as Bits<N>
    },
    write(to, value, siblings) {
      let word = 0
      for (const [key, set] of Object.entries(value)) {
        const bit = bitOf.get(key)
        if (bit === undefined) throw new EncodeError(`${show(key)} is not one of ${names.join(', ')}`)
        if (set) word |= 1 << bit
      }
      of.write(to, word >>> 0, siblings)
    },
  }
}

// ── compositions ──

/** A C struct: fields in order, each aligned to its own size, as the compiler lays them out. */
export function struct<const F extends Readonly<Record<string, Fixed<unknown>>>>(fields: F): Fixed<{ -readonly [K in keyof F]: Infer<F[K]> }> {
  type Value = { -readonly [K in keyof F]: Infer<F[K]> }
  let size = 0
  let widest = 1
  const layout = Object.entries(fields).map(([key, codec]) => {
    const alignment = Math.min(codec.size, 8)
    const start = Math.ceil(size / alignment) * alignment
    size = start + codec.size
    widest = Math.max(widest, alignment)
    return { key, codec, start }
  })
  size = Math.ceil(size / widest) * widest
  return {
    size,
    read(from, at, length, siblings) {
      if (length < size) throw new DecodeError(`expected a struct of ${size} bytes, got ${length}`)
      const value: Record<string, unknown> = {}
      for (const { key, codec, start } of layout) value[key] = codec.read(from, at + start, codec.size, siblings)
      return value as Value
    },
    write(to, value, siblings) {
      const begin = to.length
      for (const { key, codec, start } of layout) {
        while (to.length < begin + start) { const at = to.take(1); to.bytes[at] = 0 }
        codec.write(to, (value as Record<string, unknown>)[key], siblings)
      }
      while (to.length < begin + size) { const at = to.take(1); to.bytes[at] = 0 }
    },
  }
}

/** A codec chosen by the value of the attribute `sibling`; `otherwise` reads a value with no case. */
export function by<const C extends Readonly<Record<string, Codec<unknown>>>, const O extends Codec<unknown> = never>(
  sibling: string, cases: C, otherwise?: O,
): Codec<Infer<C[keyof C]> | Infer<O>> {
  type Value = Infer<C[keyof C]> | Infer<O>
  const pick = (siblings: Siblings): Codec<Value> | undefined => {
    const value = siblings[sibling]
    return (typeof value === 'string' && Object.hasOwn(cases, value) ? cases[value] : otherwise) as Codec<Value> | undefined
  }
  const unreadable = (siblings: Siblings): string => `its meaning depends on ${sibling}, which is ${show(siblings[sibling])}`
  return {
    after: sibling,
    read(from, at, length, siblings) {
      const codec = pick(siblings)
      if (!codec) throw new DecodeError(unreadable(siblings))
      return codec.read(from, at, length, siblings)
    },
    write(to, value, siblings) {
      const codec = pick(siblings)
      if (!codec) throw new EncodeError(unreadable(siblings))
      codec.write(to, value, siblings)
    },
  }
}
