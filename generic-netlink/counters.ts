/**
 * Counters that are decoded when they are read.
 *
 * A listing brings ten counters with every row, and each is an object of its own once it is a bigint: for most callers most
 * of the listing's memory, and never looked at. So they stay numbers in a block that many rows share, until asked for.
 *
 * @module
 */

import { inspect } from 'node:util'
import { align, HEADER, sizeIn, typeIn, type AttributeSet } from './attributes.js'
import { HOST, type Codec, type Infer, type u64 } from './codec.js'

/** So many objects share a block; keeping one of them keeps it, 16 KB. */
const SHARED_BY = 200

/**
 * A codec for a set of 64-bit counters, which are decoded when they are read. Where all are zero, one frozen object with
 * nothing but zeros stands for all objects.
 *
 * What it gives has its counters as getters of its class: they are read like properties, `for … in` finds them, printing
 * shows them, but they are not copied by `{ ...counters }` or `structuredClone`. `toJSON()` makes a plain object.
 */
export function counters<T extends Readonly<Record<string, readonly [number: number, codec: typeof u64]>>>(
  set: AttributeSet<T>,
): Codec<Infer<AttributeSet<T>>> & { readonly nested: true } {
  type Value = Infer<AttributeSet<T>>
  const keys = Object.keys(set.table)
  const indexOf: number[] = []
  keys.forEach((key, i) => { indexOf[set.table[key]![0]] = i })
  const all = 2 ** keys.length - 1
  let block = new BigUint64Array(0)
  let words = new Int32Array(0)
  let used = 0
  let zeros: Value | undefined
  /** What they were read from: most counters of most tables are idle. */
  let idle = new Int32Array(0)

  class Counters {
    readonly #block = block
    readonly #at = used
    static {
      keys.forEach((key, i) => Object.defineProperty(this.prototype, key, { enumerable: true, get(this: Counters) { return this.#block[this.#at + i] } }))
    }

    /** The same as a plain object. */
    toJSON(): Value { return Object.fromEntries(keys.map((key, i) => [key, this.#block[this.#at + i]])) as Value }
    [inspect.custom](): Value { return this.toJSON() }
  }

  return {
    nested: true,
    read(from, at, length, siblings) {
      const { view } = from
      let same = zeros !== undefined && length === idle.length * 4
      for (let i = 0; same && i < idle.length; i++) same = view.getInt32(at + i * 4, true) === idle[i]
      if (same) return zeros!

      if (used === block.length) {
        block = new BigUint64Array(keys.length * SHARED_BY)
        words = new Int32Array(block.buffer)
        used = 0
      }
      const end = at + length
      let found = 0, bits = 0
      for (let begin = at; begin + HEADER <= end;) {
        const head = view.getInt32(begin, true)
        const size = sizeIn(head)
        const index = indexOf[typeIn(head)]
        if (size < HEADER || begin + size > end || (index !== undefined && size !== HEADER + 8)) {
          found = 0
          break
        }
        if (index !== undefined) {
          found |= 1 << index
          const to = (used + index) * 2
          bits |= (words[to] = view.getInt32(begin + HEADER, HOST)) | (words[to + 1] = view.getInt32(begin + HEADER + 4, HOST))
        }
        begin += align(size)
      }
      // Where some are missing, as from another kernel, or wrong, the set itself says what is to be said.
      if (found !== all) return set.read(from, at, length, siblings)
      if (bits === 0) {
        idle = Int32Array.from({ length: length >> 2 }, (_, i) => view.getInt32(at + i * 4, true))
        return zeros ??= Object.freeze(set.read(from, at, length, siblings))
      }
      const value = new Counters() as unknown as Value
      used += keys.length
      return value
    },
    write: (to, value, siblings) => set.write(to, value, siblings),
  }
}
