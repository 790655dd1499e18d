/**
 * Attribute sets: netlink's type-length-values, declared once as a table that reads like the
 * kernel's own `nla_policy`.
 *
 * @module
 */

import { fieldsOf, HOST, Input, Output, type Codec, type Infer } from './codec.js'
import { DecodeError, EncodeError } from './errors.js'
import { logger } from './log.js'

const debug = logger('ipvs-nl:netlink')

/** One line of a table: the attribute's number in the header, and its codec. */
export type Row = readonly [number: number, codec: Codec<unknown>]

/** Attributes by name. The names are the kernel's, in camelCase. */
export type Table = Readonly<Record<string, Row>>

/**
 * A declared set: a codec for the object that its table describes. On the wire every attribute is
 * optional; what a command requires is for its caller to know.
 *
 * The mapped type is written out rather than named, and maps `keyof T` without `as`, so that
 * editors show a plain object and carry each row's comment and definition to its property.
 */
export interface AttributeSet<T extends Table> extends Codec<{ -readonly [K in keyof T]?: Infer<T[K][1]> }> {
  /** What the kernel's constants begin with: `IPVS_SVC_ATTR`. */
  readonly prefix: string
  readonly table: T
  /** Reads a whole buffer of attributes. @throws DecodeError */
  decode(stream: Uint8Array): { -readonly [K in keyof T]?: Infer<T[K][1]> }
  /** Writes into a buffer of its own. @throws EncodeError */
  encode(value: { -readonly [K in keyof T]?: Infer<T[K][1]> }): Uint8Array
}

const HEADER = 4
const NLA_TYPE_MASK = 0x3fff
const NLA_F_NESTED = 0x8000

const align = (n: number): number => n + 3 & ~3

/** `schedName` in the set `IPVS_SVC_ATTR` is the kernel's `IPVS_SVC_ATTR_SCHED_NAME`. */
export const kernelName = (prefix: string, key: string): string =>
  `${prefix}_${key.replace(/[A-Z]/g, c => `_${c}`).toUpperCase()}`

/** Calls `visit` for each attribute of a stream, in wire order, with its number and where its payload lies. @throws DecodeError */
export function eachAttribute({ view }: Input, at: number, end: number, visit: (type: number, at: number, length: number) => void): void {
  while (at + HEADER <= end) {
    const length = view.getUint16(at, HOST)
    if (length < HEADER || at + length > end) throw new DecodeError(`an attribute claims ${length} bytes of ${end - at}`)
    visit(view.getUint16(at + 2, HOST) & NLA_TYPE_MASK, at + HEADER, length - HEADER)
    at += align(length)
  }
}

/** Appends one attribute around what `write` appends. */
function attribute(to: Output, type: number, write: () => void): void {
  const at = to.take(HEADER)
  write()
  to.view.setUint16(at, to.length - at, HOST)
  to.view.setUint16(at + 2, type, HOST)
  to.align()
}

type Blank = Record<string, unknown>

/**
 * Makes objects that have all of a set's keys from the start: they are read and written several times faster
 * than ones that grow. V8 copies an object fast where a place in the source has seen few shapes, so each of
 * the places takes its share of the sets.
 */
const blankOf = (keys: readonly string[]): () => Blank => {
  // From JSON, V8 makes objects with room for all keys in one piece.
  const shape = JSON.parse(JSON.stringify(Object.fromEntries(keys.map(key => [key, null])))) as Blank
  for (const key of keys) shape[key] = undefined
  const places = [
    () => ({ ...shape }), () => ({ ...shape }), () => ({ ...shape }), () => ({ ...shape }),
    () => ({ ...shape }), () => ({ ...shape }), () => ({ ...shape }), () => ({ ...shape }),
  ]
  return places[sets++ % places.length]!
}
let sets = 0

/** Declares an attribute set. `prefix` and the keys spell the kernel's constants. */
export function attributeSet<const T extends Table>(prefix: string, table: T): AttributeSet<T> {
  const rows = Object.entries<Row>(table).map(([key, [number, codec]]) => ({
    key, number, codec, type: 'table' in codec || 'nested' in codec ? number | NLA_F_NESTED : number, depth: depth(table, key),
  }))
  const byKey = new Map(rows.map(row => [row.key, row]))
  const byNumber: (typeof rows[number] | undefined)[] = Array.from({ length: Math.max(0, ...rows.map(row => row.number)) + 1 }, () => undefined)
  for (const row of rows) byNumber[row.number] = row
  const dependent = rows.filter(row => row.depth > 0).toSorted((a, b) => a.depth - b.depth)
  const blank = blankOf(rows.map(row => row.key))
  const logged = new Set<number>()

  const skip = (type: number): void => {
    if (logged.has(type)) return
    logged.add(type)
    debug('%s has an attribute %d that no table names; ignored', prefix, type)
  }

  const set: AttributeSet<T> = {
    prefix,
    table,
    read(from, at, length) {
      const { view } = from
      const end = at + length
      const out = blank()
      const logging = debug.enabled
      let key = ''
      try {
        while (at + HEADER <= end) {
          const size = view.getUint16(at, HOST)
          if (size < HEADER || at + size > end) throw new DecodeError(`an attribute claims ${size} bytes of ${end - at}`)
          const type = view.getUint16(at + 2, HOST) & NLA_TYPE_MASK
          const row = type < byNumber.length ? byNumber[type] : undefined
          if (row === undefined) {
            if (logging) skip(type)
          } else if (row.depth > 0) {
            out[row.key] = at // where it lies, until all that it depends on is read
          } else {
            key = row.key
            out[key] = row.codec.read(from, at + HEADER, size - HEADER, out)
            key = ''
          }
          at += align(size)
        }
        for (const row of dependent) {
          const begin = out[row.key] as number | undefined
          if (begin === undefined) continue
          key = row.key
          out[key] = row.codec.read(from, begin + HEADER, view.getUint16(begin, HOST) - HEADER, out)
        }
      } catch (error) {
        throw key && error instanceof DecodeError ? error.within(kernelName(prefix, key)) : error
      }
      return out as Infer<AttributeSet<T>>
    },
    write(to, value) {
      const values = fieldsOf(value)
      let key = ''
      try {
        // V8 reads the fields that a loop enumerates several times faster than fields by name; the kernel takes any order.
        for (key in values) {
          const v = values[key]
          if (v === undefined) continue
          const row = byKey.get(key)
          if (row === undefined) throw new EncodeError('there is no such attribute')
          const at = to.take(HEADER)
          row.codec.write(to, v, values)
          to.view.setUint16(at, to.length - at, HOST)
          to.view.setUint16(at + 2, row.type, HOST)
          to.align()
        }
      } catch (error) {
        throw error instanceof EncodeError ? error.within(kernelName(prefix, key)) : error
      }
    },
    decode(stream) { return set.read(new Input(stream), 0, stream.length, {}) },
    encode(value) {
      const to = new Output()
      set.write(to, value, {})
      return to.finish()
    },
  }
  return set
}

/** How many siblings must be read before this one. @throws TypeError where the table names no such sibling */
function depth(table: Table, key: string, seen: readonly string[] = []): number {
  const after = table[key]?.[1].after
  if (after === undefined) return 0
  if (!(after in table) || seen.includes(after)) throw new TypeError(`${key} reads ${after}, which is not in its table, or reads it in turn`)
  return 1 + depth(table, after, [...seen, key])
}

/** A list: attributes numbered from 1, each holding one value. */
export function list<T>(of: Codec<T>): Codec<T[]> & { readonly nested: true } {
  return {
    nested: true,
    read(from, at, length, siblings) {
      const values: T[] = []
      eachAttribute(from, at, at + length, (_, begin, size) => values.push(of.read(from, begin, size, siblings)))
      return values
    },
    write(to, values, siblings) {
      if (!Array.isArray(values)) throw new EncodeError('what should be a list is not an array')
      values.forEach((value, i) => attribute(to, i + 1 | NLA_F_NESTED, () => of.write(to, value, siblings)))
    },
  }
}
