/** The pattern of an object that was written: another like it is encoded where values differ. */

import { align, HEADER, type Attribute } from './attributes.js'
import { HOST, type Output } from './buffers.js'
import type { Layout, Values } from './layout.js'

/** An attribute of an object that was written. */
interface WritePlace {
  readonly attribute: Attribute
  /** The places of a set within. */
  readonly nested: readonly WritePlace[] | undefined
  /** Where the payload begins and ends, counted from the object's first byte. */
  readonly start: number
  readonly end: number
  /** The value, undefined for an object, which may change; and the sibling that it depends on. */
  readonly value: unknown
  readonly sibling: unknown
}

/** Learns the pattern of an object; undefined where a value (a list) has no constant size. */
export function writePattern(layout: Layout, to: Output, begin: number, values: Values): WritePattern | undefined {
  const places = placesOf(layout, to, begin, begin, to.length, values)
  return places && new WritePattern(to.bytes.slice(begin, to.length), places)
}

function placesOf(
  layout: Layout, to: Output, origin: number, at: number, end: number, values: Values,
): WritePlace[] | undefined {
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

export class WritePattern {
  readonly #bytes: Uint8Array
  readonly #places: readonly WritePlace[]

  constructor(bytes: Uint8Array, places: readonly WritePlace[]) {
    this.#bytes = bytes
    this.#places = places
  }

  /** Appends an object with the same keys and sizes; where they differ, false, and nothing. */
  write(to: Output, values: Values): boolean {
    const begin = to.take(this.#bytes.length)
    to.bytes.set(this.#bytes, begin)
    const done = writeOver(this.#places, to, begin, values)
    to.length = done ? begin + this.#bytes.length : begin
    return done
  }
}

/** Writes the values that differ; false where keys or sizes do, or a value cannot be written. */
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
