/** The pattern of an object that was read: another like it is decoded where its bytes differ. */

import { align, eachAttribute, HEADER, type Attribute } from './attributes.js'
import { HOST, type Input } from './buffers.js'
import type { Layout, Values } from './layout.js'

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
  /** The header and bytes that `value` was read from; 0 where not kept. Performance: kept bytes. */
  head: number
  word1: number
  word2: number
}

/** Learns the pattern of an object; undefined where an attribute of the table is there twice. */
export function readPattern(
  layout: Layout, from: Input, at: number, length: number, values: Values,
): ReadPattern | undefined {
  const places: ReadPlace[] = []
  let twice = false as boolean
  eachAttribute(from, at, at + length, (type, begin, size) => {
    const attribute = layout.byNumber.get(type)
    const within = attribute && layout.nested.get(attribute.key)
    const value = attribute && values[attribute.key]
    const nested = within && readPattern(within, from, begin, size, value as Values)
    const twiceWithin = within !== undefined && nested === undefined
    twice ||= twiceWithin || (attribute !== undefined && places.some(place => place.attribute === attribute))
    places.push({ type, attribute, nested, at: 0, value, head: 0, word1: 0, word2: 0 })
  })
  return twice ? undefined : new ReadPattern(places, { ...values })
}

export class ReadPattern {
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
    this.#dependent = places.filter(({ attribute }) => attribute && attribute.depth > 0)
      .sort((a, b) => a.attribute!.depth - b.attribute!.depth)
    this.#nested = places.filter(({ nested }) => nested)
    for (const { attribute, nested } of this.#nested) values[attribute!.key] = nested!.values
  }

  /** Reads an object with the same attributes in the same order, or false. @throws DecodeError */
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
