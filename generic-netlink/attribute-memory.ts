/**
 * The memory of an attribute set: the objects of a listing, and the commands of a batch, are alike.
 *
 * A listing repeats the same attributes in the same order, most with the same bytes; a batch repeats
 * the same keys with the same sizes. So the set remembers the last objects, decodes only the bytes
 * that differ, and encodes only the values that differ. Each row of docs/performance.md that names
 * this file tells what that saves.
 *
 * The plain set stays the authority: it reads and writes each object that is unlike the remembered
 * ones, and reports each error.
 *
 * @module
 */

import { align, attributeSetOf, attributesOf, eachAttribute, HEADER, type Attribute, type AttributeSet, type Table } from './attributes.js'
import { HOST, type Input, type Output } from './buffers.js'

/** How many patterns a set remembers: a listing mixes services by address and by mark, a batch services and real servers. */
const PATTERNS = 4

/**
 * Adds a memory to a set. The result decodes the same values and encodes the same bytes, faster
 * where the objects are alike.
 */
export function remembered<const T extends Table>(set: AttributeSet<T>): AttributeSet<T> {
  const layout = layoutOf(set)
  const read: ReadPattern[] = []
  const written: WritePattern[] = []

  const matchRead = (from: Input, at: number, length: number): ReadPattern | undefined => {
    for (let i = 0; i < read.length; i++) {
      const pattern = read[i]!
      if (pattern.busy) continue
      pattern.busy = true
      if (attempt(pattern, from, at, length)) {
        toFront(read, pattern)
        return pattern
      }
      pattern.busy = false
    }
    return undefined
  }
  const learn = (from: Input, at: number, length: number, value: object): void => {
    const pattern = readPattern(layout, from, at, length, value as Values)
    if (pattern) add(read, pattern)
  }

  return attributeSetOf(set.prefix, set.table, {
    read(from, at, length, siblings) {
      const pattern = matchRead(from, at, length)
      if (pattern) {
        pattern.busy = false
        return pattern.copy() as never
      }
      const value = set.read(from, at, length, siblings)
      learn(from, at, length, value)
      return value
    },
    visit(from, at, length, use) {
      const pattern = matchRead(from, at, length)
      if (pattern) {
        try { return use(pattern.values as never) } finally { pattern.busy = false }
      }
      const value = set.read(from, at, length, {})
      learn(from, at, length, value)
      return use(value)
    },
    write(to, value, siblings) {
      for (let i = 0; i < written.length; i++) {
        const pattern = written[i]!
        if (pattern.write(to, value)) {
          toFront(written, pattern)
          return
        }
      }
      const begin = to.length
      set.write(to, value, siblings)
      const pattern = writePattern(layout, to, begin, value)
      if (pattern) add(written, pattern)
    },
  })
}

// ── patterns, the last used first ──

function toFront<P>(patterns: P[], pattern: P): void {
  if (patterns[0] === pattern) return
  const i = patterns.indexOf(pattern) // a codec that uses its own set may have moved it
  if (i < 0) return
  patterns.copyWithin(1, 0, i)
  patterns[0] = pattern
}

function add<P>(patterns: P[], pattern: P): void {
  if (patterns.unshift(pattern) > PATTERNS) patterns.pop()
}

// ── the attributes of a set ──

type Values = Record<string, unknown>

interface Layout {
  readonly byKey: ReadonlyMap<string, Attribute>
  readonly byNumber: ReadonlyMap<number, Attribute>
  /** The sets within, by key. */
  readonly nested: ReadonlyMap<string, Layout>
}

function layoutOf({ table }: AttributeSet<Table>): Layout {
  const attributes = attributesOf(table)
  return {
    byKey: new Map(attributes.map(attribute => [attribute.key, attribute])),
    byNumber: new Map(attributes.map(attribute => [attribute.number, attribute])),
    nested: new Map(attributes.flatMap(({ key, codec }) =>
      'table' in codec && codec.after === undefined ? [[key, layoutOf(codec as AttributeSet<Table>)]] : [])),
  }
}

// ── reading ──

/** An attribute of an object that was read. */
interface ReadPlace {
  readonly type: number
  /** Undefined where the table lacks the attribute. */
  readonly attribute: Attribute | undefined
  /** The pattern of a set within. */
  readonly nested: ReadPattern | undefined
  /** The offset of an attribute that depends on a sibling. */
  at: number
  value: unknown
  /** The header and the bytes that `value` was decoded from; a header of 0 where they are not kept. */
  head: number
  word1: number
  word2: number
}

/** Learns the pattern of an object; undefined where one of the table's attributes is there twice. */
function readPattern(layout: Layout, from: Input, at: number, length: number, values: Values): ReadPattern | undefined {
  const places: ReadPlace[] = []
  let twice = false as boolean
  eachAttribute(from, at, at + length, (type, begin, size) => {
    const attribute = layout.byNumber.get(type)
    const within = attribute && layout.nested.get(attribute.key)
    const value = attribute && values[attribute.key]
    const nested = within && readPattern(within, from, begin, size, value as Values)
    twice ||= attribute !== undefined && (places.some(place => place.attribute === attribute) || (within !== undefined && nested === undefined))
    places.push({ type, attribute, nested, at: 0, value, head: 0, word1: 0, word2: 0 })
  })
  return twice ? undefined : new ReadPattern(places, { ...values })
}

class ReadPattern {
  /** Whether a caller reads with it, or uses its values. */
  busy = false
  readonly values: Values
  readonly #places: readonly ReadPlace[]
  /** The places that depend on others, in the order of reading. */
  readonly #dependent: readonly ReadPlace[]
  readonly #nested: readonly ReadPlace[]

  constructor(places: readonly ReadPlace[], values: Values) {
    this.values = values
    this.#places = places
    this.#dependent = places.filter(({ attribute }) => attribute && attribute.depth > 0).sort((a, b) => a.attribute!.depth - b.attribute!.depth)
    this.#nested = places.filter(({ nested }) => nested)
    for (const { attribute, nested } of this.#nested) values[attribute!.key] = nested!.values
  }

  /** Reads an object with the same attributes in the same order; false where they differ. @throws DecodeError */
  read(from: Input, at: number, length: number): boolean {
    const places = this.#places, values = this.values
    const { view } = from
    const end = at + length
    const lastWords = from.bytes.length - HEADER - 8 // from a later offset there are not two words to read
    let count = 0
    for (let begin = at; begin + HEADER <= end; count++) {
      const head = view.getInt32(begin, true)
      const size = HOST ? head & 0xffff : view.getUint16(begin)
      if (size < HEADER || begin + size > end || count === places.length) return false
      const place = places[count]!
      if (place.head !== head || begin > lastWords || place.word1 !== view.getInt32(begin + HEADER, true)
        || (size > HEADER + 4 && place.word2 !== view.getInt32(begin + HEADER + 4, true))) {
        if (place.type !== (view.getUint16(begin + 2, HOST) & 0x3fff)) return false
        const { attribute, nested } = place
        if (nested !== undefined) {
          if (!nested.read(from, begin + HEADER, size - HEADER)) return false
        } else if (attribute !== undefined) {
          if (attribute.depth > 0) place.at = begin
          else {
            const value = attribute.codec.read(from, begin + HEADER, size - HEADER, values)
            if (place.value !== value) place.value = values[attribute.key] = value
            if (typeof value !== 'object' && size > HEADER && size <= HEADER + 8 && begin <= lastWords) {
              place.head = head
              place.word1 = view.getInt32(begin + HEADER, true)
              place.word2 = view.getInt32(begin + HEADER + 4, true)
            } else place.head = 0
          }
        }
      }
      begin += align(size)
    }
    if (count !== places.length) return false
    for (let i = 0; i < this.#dependent.length; i++) {
      const place = this.#dependent[i]!
      const { key, codec } = place.attribute!
      const value = codec.read(from, place.at + HEADER, view.getUint16(place.at, HOST) - HEADER, values)
      if (place.value !== value) place.value = values[key] = value
    }
    return true
  }

  copy(): Values {
    const copied = { ...this.values }
    for (let i = 0; i < this.#nested.length; i++) {
      const { attribute, nested } = this.#nested[i]!
      copied[attribute!.key] = nested!.copy()
    }
    return copied
  }
}

/** Reads with a pattern. False after an error, too: the plain set then reports it. */
function attempt(pattern: ReadPattern, from: Input, at: number, length: number): boolean {
  try { return pattern.read(from, at, length) } catch { return false }
}

// ── writing ──

/** An attribute of an object that was written. */
interface WritePlace {
  readonly attribute: Attribute
  /** The places of a set within. */
  readonly nested: readonly WritePlace[] | undefined
  /** Where the payload begins and ends, counted from the object's first byte. */
  readonly start: number
  readonly end: number
  /** The value, and the sibling that it depended on; undefined for an object, which may have changed since. */
  readonly value: unknown
  readonly sibling: unknown
}

/** Learns the pattern of an object that was written; undefined where a value has no constant size, such as a list. */
function writePattern(layout: Layout, to: Output, begin: number, values: Values): WritePattern | undefined {
  const places = placesOf(layout, to, begin, begin, to.length, values)
  return places && new WritePattern(to.bytes.slice(begin, to.length), places)
}

function placesOf(layout: Layout, to: Output, origin: number, at: number, end: number, values: Values): WritePlace[] | undefined {
  const places: WritePlace[] = []
  for (const key in values) {
    const value = values[key]
    if (value === undefined) continue
    const attribute = layout.byKey.get(key)!
    const within = layout.nested.get(key)
    const start = at + HEADER
    const size = to.view.getUint16(at, HOST)
    const nested = within && placesOf(within, to, origin, start, at + size, value as Values)
    if (typeof value === 'object' && nested === undefined && !('size' in attribute.codec)) return undefined
    places.push({
      attribute, nested, start: start - origin, end: at + size - origin,
      value: typeof value === 'object' ? undefined : value,
      sibling: attribute.codec.after === undefined ? undefined : values[attribute.codec.after],
    })
    at += align(size)
  }
  return at >= end ? places : undefined
}

class WritePattern {
  readonly #bytes: Uint8Array
  readonly #places: readonly WritePlace[]

  constructor(bytes: Uint8Array, places: readonly WritePlace[]) {
    this.#bytes = bytes
    this.#places = places
  }

  /** Appends an object with the same keys and sizes; false, and nothing is appended, where they differ. */
  write(to: Output, values: Values): boolean {
    const begin = to.take(this.#bytes.length)
    to.bytes.set(this.#bytes, begin)
    const done = writeOver(this.#places, to, begin, values)
    to.length = done ? begin + this.#bytes.length : begin
    return done
  }
}

/** Writes the values that differ; false where keys or sizes differ, or where a value cannot be written. */
function writeOver(places: readonly WritePlace[], to: Output, begin: number, values: Values | null): boolean {
  if (typeof values !== 'object' || values === null) return false
  let count = 0
  for (const key in values) {
    const value = values[key]
    if (value === undefined) continue
    if (count === places.length) return false
    const { attribute, nested, start, end, value: last, sibling } = places[count]!
    if (attribute.key !== key) return false
    if (nested !== undefined) {
      if (!writeOver(nested, to, begin, value as Values)) return false
    } else if (last !== value || (attribute.codec.after !== undefined && sibling !== values[attribute.codec.after])) {
      if (typeof value === 'object' && !('size' in attribute.codec)) return false
      to.length = begin + start
      try { attribute.codec.write(to, value, values) } catch { return false }
      if (to.length !== begin + end) return false
    }
    count++
  }
  return count === places.length
}
