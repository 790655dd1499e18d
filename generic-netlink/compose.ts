/** Codecs made of codecs: names for numbers, structs, and codecs that depend on a sibling. */

import { show } from './check.js'
import { fieldsOf, type Codec, type Fixed, type Infer, type Siblings } from './codec.js'
import { DecodeError, EncodeError } from './errors.js'
import { Memo } from './memo.js'
import { bitwise } from './packages.js'

// ── names for numbers ──

/** A number with names. A number without a name stays a number, both ways. */
export function enumeration<const T extends Readonly<Record<string, number>>>(
  of: Fixed<number>, names: T,
): Fixed<keyof T | number> {
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

/** The bits that are set, by name. A bit without a name has its number as key. */
export type Bits<N extends string> = { readonly [K in N]?: boolean } & { readonly [bit: number]: boolean }

/** A bit field. `names` lists the names of its bits, from bit 0 up. */
export function bits<const N extends string>(of: Fixed<number>, names: readonly N[]): Fixed<Bits<N>> {
  const keys = Array.from({ length: of.size * 8 }, (_, bit) => names[bit] ?? String(bit))
  const bitOf = new Map(keys.map((key, bit) => [key, bit]))
  const namesIn = (word: number): string[] => keys.filter((_, bit) => bitwise().getBit(word, bit))
  const bitsOf = new Memo<number, Bits<N>>() // a listing repeats a few words; Performance: flag words
  return {
    size: of.size,
    read(from, at, length, siblings) {
      const word = of.read(from, at, length, siblings)
      return bitsOf.get(word)
        ?? bitsOf.set(word, Object.freeze(Object.fromEntries(namesIn(word).map(name => [name, true]))) as Bits<N>)
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

// ── structs ──

/** A C struct: its fields in order, each aligned as the compiler aligns it. */
export function struct<const F extends Readonly<Record<string, Fixed<unknown>>>>(
  fields: F,
): Fixed<{ -readonly [K in keyof F]: Infer<F[K]> }> {
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

// ── codecs that depend on a sibling ──

/** A codec that the attribute `sibling` selects; `otherwise` serves values without a case. */
export function by<const C extends Readonly<Record<string, Codec<unknown>>>, const O extends Codec<unknown> = never>(
  sibling: string, cases: C, otherwise?: O,
): Codec<Infer<C[keyof C]> | Infer<O>> {
  type Value = Infer<C[keyof C]> | Infer<O>
  const codecOf = new Map<unknown, Codec<unknown>>(Object.entries(cases))
  const select = (siblings: Siblings): Codec<Value> | undefined =>
    (codecOf.get(siblings[sibling]) ?? otherwise) as Codec<Value> | undefined
  const names = Object.keys(cases).join(', ')
  const missing = (siblings: Siblings): string =>
    `its type depends on ${sibling}, which must be one of ${names}, not ${show(siblings[sibling])}`
  return {
    after: sibling,
    read(from, at, length, siblings) {
      const codec = select(siblings)
      if (!codec) throw new DecodeError(missing(siblings))
      return codec.read(from, at, length, siblings)
    },
    write(to, value, siblings) {
      const codec = select(siblings)
      if (!codec) throw new EncodeError(missing(siblings))
      codec.write(to, value, siblings)
    },
  }
}

/**
 * A codec that reads its value only where the attribute `sibling` is absent: old kernels send this
 * attribute instead of the sibling, newer kernels send both.
 */
export function unless<C extends Codec<unknown>>(
  sibling: string, codec: C,
): Omit<C, 'read'> & Codec<Infer<C> | undefined> {
  return {
    ...codec,
    after: sibling,
    read: (from, at, length, siblings) =>
      siblings[sibling] === undefined ? codec.read(from, at, length, siblings) as Infer<C> : undefined,
  }
}
