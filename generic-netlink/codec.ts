/**
 * Codecs: how one wire value becomes a JavaScript value and back.
 *
 * Everything else in this folder is a table made of these. A codec reads at an offset of a shared
 * buffer and writes into a growing one: no value costs a buffer of its own.
 *
 * @module
 */

import { endianness } from 'node:os'
import { formatIPv4, formatIPv6, Memo, parseIPv6, putIPv4 } from './address.js'
import { DecodeError, EncodeError } from './errors.js'
import { bitwise } from './packages.js'

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
  align(): void { this.pad(-this.length & 3) }

  /** Appends so many zeros; they are few. */
  pad(size: number): void {
    if (size === 0) return
    let at = this.take(size)
    while (at < this.length) this.bytes[at++] = 0
  }

  /** A copy of what is written. */
  finish(): Uint8Array { return this.bytes.slice(0, this.length) }
}

/** The values beside this one: about to be encoded, or decoded, as far as {@link Codec.after} names them. */
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
  /** Of what it begins at a multiple in a struct. @defaultValue its size */
  readonly alignment?: number
}

/** The JavaScript type a codec stands for. */
export type Infer<C> = C extends Pick<Codec<infer T>, 'read'> ? T : never

/** What `DataView` calls little-endian: true where the host is. */
export const HOST = endianness() === 'LE'

// ── numbers ──

const show = (value: unknown): string => typeof value === 'string' ? JSON.stringify(value) : typeof value === 'bigint' ? `${value}n` : String(value)

/** The fields of what should be an object. @throws EncodeError */
export function fieldsOf(value: unknown): Siblings {
  if (typeof value !== 'object' || value === null) throw new EncodeError(`${show(value)} is not an object`)
  return value as Siblings
}

/** One function for all sizes: calling one of many through a variable would cost more than a number does. */
function number(size: 1 | 2 | 4, { signed = false, littleEndian = HOST } = {}): Fixed<number> {
  const max = 2 ** (size * 8 - (signed ? 1 : 0)) - 1
  const min = signed ? -max - 1 : 0
  return {
    size,
    read({ view }, at, length) {
      if (length !== size) throw new DecodeError(`expected ${size} ${size === 1 ? 'byte' : 'bytes'}, got ${length}`)
      const n = size === 1 ? view.getUint8(at)
        : littleEndian ? size === 4 ? view.getUint32(at, true) : view.getUint16(at, true)
          : size === 4 ? view.getUint32(at) : view.getUint16(at)
      return n > max ? n - 2 * (max + 1) : n
    },
    write(to, value) {
      // DataView would turn NaN, null and 1.5 into some number, and a missing weight drains a server.
      if (!Number.isInteger(value) || value < min || value > max) throw new EncodeError(`${show(value)} is not an integer from ${min} to ${max}`)
      const at = to.take(size)
      // The byte order is spelt out: V8 is slow where it is a variable.
      if (size === 1) to.view.setUint8(at, value)
      else if (size === 2 && littleEndian) to.view.setUint16(at, value, true)
      else if (size === 2) to.view.setUint16(at, value)
      else if (littleEndian) to.view.setUint32(at, value, true)
      else to.view.setUint32(at, value)
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
/** A port, or another 16-bit value in network byte order. */
export const be16 = number(2, { littleEndian: false })
/** A 32-bit value in network byte order. */
export const be32 = number(4, { littleEndian: false })

const LOW = HOST ? 0 : 4
const HIGH = 4 - LOW

/** Most counters and rates are small, and a BigInt is an object. */
const SMALL = Array.from({ length: 256 }, (_, n) => BigInt(n))

/** A 64-bit counter. */
export const u64: Fixed<bigint> = {
  size: 8,
  read({ view }, at, length) {
    if (length !== 8) throw new DecodeError(`expected 8 bytes, got ${length}`)
    // A BigInt made of 64 bits costs several times what one of 32 does.
    if (view.getUint32(at + HIGH, HOST) !== 0) return view.getBigUint64(at, HOST)
    const low = view.getUint32(at + LOW, HOST)
    return SMALL[low] ?? BigInt(low)
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
  read: (from, at, length) => new Uint8Array(from.bytes.subarray(at, at + length)), // a Buffer's slice would be no copy
  write(to, value) {
    if (!(value instanceof Uint8Array)) throw new EncodeError(`${show(value)} is not a Uint8Array`)
    const at = to.take(value.length)
    to.bytes.set(value, at)
  },
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
    const at = to.take(4)
    if (typeof value !== 'string' || !putIPv4(to.bytes, at, value)) throw new EncodeError(`${show(value)} is not an IPv4 address`)
  },
}

/** An IPv6 address as text in its correct form (RFC 5952), without a zone. */
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

/** An address of either family, told apart by its length. */
export const ip: Codec<string> = {
  read: (from, at, length, siblings) => (length === 4 ? ipv4 : ipv6).read(from, at, length, siblings),
  write(to, value, siblings) {
    if (typeof value !== 'string') throw new EncodeError(`${show(value)} is not an address`)
    ;(value.includes(':') ? ipv6 : ipv4).write(to, value, siblings)
  },
}

// ── names for numbers ──

/** A number with names. A value without a name stays a number, both ways. */
export function enumeration<const T extends Readonly<Record<string, number>>>(of: Fixed<number>, names: T): Fixed<keyof T | number> {
  const nameOf = new Map(Object.entries(names).map(([name, value]) => [value, name as keyof T]))
  const numberOf = new Map<unknown, number>(Object.entries(names))
  return {
    size: of.size,
    read(from, at, length, siblings) {
      const n = of.read(from, at, length, siblings)
      return nameOf.get(n) ?? n
    },
    write(to, value, siblings) {
      const n = typeof value === 'number' ? value : numberOf.get(value)
      if (n === undefined) throw new EncodeError(`${show(value)} is not one of ${Object.keys(names).join(', ')}`)
      of.write(to, n, siblings)
    },
  }
}

/** The bits that are set, by name; a bit without a name goes by its number. */
export type Bits<N extends string> = { readonly [K in N]?: boolean } & { readonly [bit: number]: boolean }

/** A bit field; `names` lists its bits from bit 0 up. */
export function bits<const N extends string>(of: Fixed<number>, names: readonly N[]): Fixed<Bits<N>> {
  const keys = Array.from({ length: of.size * 8 }, (_, bit) => names[bit] ?? String(bit))
  const bitOf = new Map(keys.map((key, bit) => [key, bit]))
  const namesIn = (word: number): string[] => keys.filter((_, bit) => bitwise().getBit(word, bit))
  const setIn = new Memo<number, Bits<N>>() // a listing has the same few in every row
  return {
    size: of.size,
    read(from, at, length, siblings) {
      const word = of.read(from, at, length, siblings)
      return setIn.get(word) ?? setIn.set(word, Object.freeze(Object.fromEntries(namesIn(word).map(name => [name, true]))) as Bits<N>)
    },
    write(to, value, siblings) {
      const fields = fieldsOf(value)
      let word = 0
      for (const key in fields) {
        const bit = bitOf.get(key)
        if (bit === undefined) throw new EncodeError(`${show(key)} is not one of ${names.join(', ')}`)
        if (fields[key]) word |= 1 << bit
      }
      of.write(to, word >>> 0, siblings)
    },
  }
}

// ── compositions ──

/** A C struct: fields in order, each aligned as the compiler lays them out. */
export function struct<const F extends Readonly<Record<string, Fixed<unknown>>>>(fields: F): Fixed<{ -readonly [K in keyof F]: Infer<F[K]> }> {
  type Value = { -readonly [K in keyof F]: Infer<F[K]> }
  let size = 0
  let widest = 1
  const layout = Object.entries(fields).map(([key, codec]) => {
    const alignment = codec.alignment ?? codec.size
    const start = Math.ceil(size / alignment) * alignment
    size = start + codec.size
    widest = Math.max(widest, alignment)
    return { key, codec, start }
  })
  size = Math.ceil(size / widest) * widest
  return {
    size,
    alignment: widest,
    read(from, at, length, siblings) {
      if (length < size) throw new DecodeError(`expected a struct of ${size} bytes, got ${length}`)
      const value: Record<string, unknown> = {}
      for (const { key, codec, start } of layout) value[key] = codec.read(from, at + start, codec.size, siblings)
      return value as Value
    },
    write(to, value, siblings) {
      const begin = to.length
      const values = fieldsOf(value)
      for (const { key, codec, start } of layout) {
        to.pad(begin + start - to.length)
        codec.write(to, values[key], siblings)
      }
      to.pad(begin + size - to.length)
    },
  }
}

/** A codec chosen by the value of the attribute `sibling`; `otherwise` reads a value with no case. */
export function by<const C extends Readonly<Record<string, Codec<unknown>>>, const O extends Codec<unknown> = never>(
  sibling: string, cases: C, otherwise?: O,
): Codec<Infer<C[keyof C]> | Infer<O>> {
  type Value = Infer<C[keyof C]> | Infer<O>
  const codecOf = new Map<unknown, Codec<unknown>>(Object.entries(cases))
  // Mostly the same as the last time.
  let chooser: unknown
  let chosen = otherwise as Codec<Value> | undefined
  const pick = (siblings: Siblings): Codec<Value> | undefined => {
    const value = siblings[sibling]
    if (value !== chooser) {
      chooser = value
      chosen = (codecOf.get(value) ?? otherwise) as Codec<Value> | undefined
    }
    return chosen
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

/** What is read only where the attribute `sibling` is absent: what older kernels say in its place, and newer ones besides. */
export function unless<C extends Codec<unknown>>(sibling: string, codec: C): Omit<C, 'read'> & Codec<Infer<C> | undefined> {
  return {
    ...codec,
    after: sibling,
    read: (from, at, length, siblings) => siblings[sibling] === undefined ? codec.read(from, at, length, siblings) as Infer<C> : undefined,
  }
}
