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
  /** Reads like {@link Codec.read}, but lends its own object, and those within: the next reading writes over them. @throws DecodeError */
  readonly peek: (from: Input, at: number, length: number) => { -readonly [K in keyof T]?: Infer<T[K][1]> }
  /** Reads a whole buffer of attributes. @throws DecodeError */
  decode(stream: Uint8Array): { -readonly [K in keyof T]?: Infer<T[K][1]> }
  /** Writes into a buffer of its own. @throws EncodeError */
  encode(value: { -readonly [K in keyof T]?: Infer<T[K][1]> }): Uint8Array
}

export const HEADER = 4
const NLA_TYPE_MASK = 0x3fff
const NLA_F_NESTED = 0x8000

// An attribute's header is read and written as one little-endian number: V8 is slow where it has to ask for the byte order.
const swap = (n: number): number => n << 8 & 0xff00 | n >>> 8 & 0xff
/** The length in a header, its own included. */
export const sizeIn = (head: number): number => HOST ? head & 0xffff : swap(head)
/** The type in a header, without its flags. */
export const typeIn = (head: number): number => (HOST ? head >>> 16 : swap(head >>> 16)) & NLA_TYPE_MASK
const headOf = (size: number, type: number): number => HOST ? size | type << 16 : swap(size) | swap(type) << 16

export const align = (n: number): number => n + 3 & ~3

/** `schedName` in the set `IPVS_SVC_ATTR` is the kernel's `IPVS_SVC_ATTR_SCHED_NAME`. */
export const kernelName = (prefix: string, key: string): string =>
  `${prefix}_${key.replace(/[A-Z]/g, c => `_${c}`).toUpperCase()}`

/** Calls `visit` for each attribute of a stream, in wire order, with its number and where its payload lies. @throws DecodeError */
export function eachAttribute({ view }: Input, at: number, end: number, visit: (type: number, at: number, length: number) => void): void {
  while (at + HEADER <= end) {
    const head = view.getInt32(at, true)
    const length = sizeIn(head)
    if (length < HEADER || at + length > end) throw new DecodeError(`an attribute claims ${length} bytes of ${end - at}`)
    visit(typeIn(head), at + HEADER, length - HEADER)
    at += align(length)
  }
}

/** Appends one attribute around what `write` appends. */
function attribute(to: Output, type: number, write: () => void): void {
  const at = to.take(HEADER)
  write()
  to.view.setInt32(at, headOf(to.length - at, type), true)
  to.align()
}

/** A row of the table, ready for use. */
interface Line {
  readonly key: string
  /** In the header, with the flag of a nest. */
  readonly type: number
  readonly codec: Codec<unknown>
  /** How many siblings are read before it; 0 where it depends on none. */
  readonly depth: number
  /** Where it is a set itself: how it writes, and how it lends what it reads. */
  readonly within: WriteAnew | undefined
  readonly peek: AttributeSet<Table>['peek'] | undefined
}

type Values = Record<string, unknown>

/** Where the last object had an attribute, and what was read there. */
interface Place {
  readonly type: number
  /** Undefined where no row names the attribute. */
  readonly line: Line | undefined
  /** Whether an attribute before it is the same. The last of them counts, so it is always read. */
  readonly again: boolean
  /** Where it begins. */
  at: number
  value: unknown
  /** Its bytes, where the value is no object and they are few: its header, which is 0 where they are not kept, and what follows. */
  head: number
  word: number
  word2: number
}

/**
 * An object that was read. Another is mostly like it: the same attributes in the same order, most of them with the same
 * bytes. So it is written over where that one differs, and copied.
 */
interface Memory {
  /** Its attributes, in the order of the wire. */
  readonly places: Place[]
  /** Those among them that depend on others, in the order of reading. */
  readonly dependent: Place[]
  readonly values: Values
}

/** Objects of one set may be of several kinds, such as services by address and by mark: so many are remembered besides the last. */
const OTHERS = 3

/**
 * Copies an object as it is, shape and all. V8 does that fast where a place in the source has seen few shapes, so each of
 * the places takes its share of the sets.
 */
const copies: readonly ((of: Values) => Values)[] = [
  of => ({ ...of }), of => ({ ...of }), of => ({ ...of }), of => ({ ...of }), of => ({ ...of }), of => ({ ...of }), of => ({ ...of }), of => ({ ...of }),
]
let sets = 0

/** An object that was written. Another is mostly like it, but for a value or two: so its bytes are copied, and those are written over. */
class Written {
  /** How many attributes it has. */
  count = 0
  /** Its attributes in their order, and where each begins and ends, counted from its own beginning. */
  readonly lines: Line[] = []
  readonly starts: number[] = []
  readonly ends: number[] = []
  /** Their values; undefined where one must be written anew, being an object that is no set. */
  readonly values: unknown[] = []
  /** The values that those depended on. */
  readonly siblings: unknown[] = []
  /** The sets among them. */
  readonly nests: (Written | undefined)[] = []
}

/** Writes what differs, where the bytes of another lie; false where it has other attributes, or values of other sizes, and where one cannot be written. */
function writeOver(last: Written, to: Output, begin: number, values: Values): boolean {
  let count = 0
  // V8 reads the fields that a loop enumerates several times faster than fields by name; the kernel takes any order.
  for (const key in values) {
    const value = values[key]
    if (value === undefined) continue
    if (count === last.count) return false
    const { codec, key: expected } = last.lines[count]!
    if (expected !== key) return false
    const within = last.nests[count]
    if (within !== undefined) {
      if (typeof value !== 'object' || value === null || !writeOver(within, to, begin + last.starts[count]! + HEADER, value as Values)) return false
    } else if (last.values[count] !== value || (codec.after !== undefined && last.siblings[count] !== values[codec.after])) {
      to.length = begin + last.starts[count]! + HEADER
      try { codec.write(to, value, values) } catch { return false }
      if (to.length !== begin + last.ends[count]!) return false
    }
    count++
  }
  return count === last.count
}

/** In bytes: nothing is longer but what holds text, or many others. */
const LONGEST_KEPT = 256

/** An object that was written by itself, not within another, and its bytes. */
class Kept {
  readonly #written = new Written()
  /** Four at a time. */
  readonly #words = new Int32Array(LONGEST_KEPT / 4)
  /** 0 where they are not kept. */
  #size = 0

  /** Writes an object over it; false where that cannot be done. */
  writeOver(to: Output, values: Values): boolean {
    const size = this.#size
    if (size === 0) return false
    const begin = to.take(size)
    for (let at = 0; at < size; at += 4) to.view.setInt32(begin + at, this.#words[at >> 2]!, true)
    const done = writeOver(this.#written, to, begin, values)
    to.length = done ? begin + size : begin
    return done
  }

  /** Writes an object anew, and keeps it. @throws EncodeError */
  writeAnew(to: Output, values: Values, write: WriteAnew): void {
    const begin = to.length
    this.#size = 0
    const constant = write(this.#written, to, values)
    const size = to.length - begin
    if (!constant || size > LONGEST_KEPT) return
    for (let at = 0; at < size; at += 4) this.#words[at >> 2] = to.view.getInt32(begin + at, true)
    this.#size = size
  }
}

/**
 * Writes an object of a set, attribute by attribute, and tells where each lies. False where it has something that may write beyond
 * its place before it fits, such as a list.
 */
type WriteAnew = (written: Written, to: Output, values: Values) => boolean

/** How the sets write, for those that they are in. */
const writers = new WeakMap<object, WriteAnew>()

/** Declares an attribute set. `prefix` and the keys spell the kernel's constants. */
export function attributeSet<const T extends Table>(prefix: string, table: T): AttributeSet<T> {
  const lines = new Map(Object.entries<Row>(table).map(([key, [number, codec]]): [string, Line & { number: number }] => [key, {
    key, number, codec, type: 'table' in codec || 'nested' in codec ? number | NLA_F_NESTED : number, depth: depth(table, key), within: writers.get(codec),
    peek: 'peek' in codec ? (codec as AttributeSet<Table>).peek : undefined,
  }]))
  const byNumber: (Line | undefined)[] = Array.from({ length: Math.max(0, ...[...lines.values()].map(line => line.number)) + 1 }, () => undefined)
  for (const line of lines.values()) byNumber[line.number] = line

  const keys = [...lines.keys()]
  const json = JSON.stringify(Object.fromEntries(keys.map(key => [key, null])))
  const newMemory = (): Memory => {
    const values = JSON.parse(json) as Values // from JSON, V8 makes objects with room for all keys in one piece, and so are their copies
    for (const key of keys) values[key] = undefined
    return { places: [], dependent: [], values }
  }
  const copy = copies[sets++ % copies.length]!
  let spare: Memory | undefined
  const others: Memory[] = []
  /** The last that was written, and one before it: commands for services and for real servers alternate. */
  let kept: Kept | undefined
  let other: Kept | undefined

  const logged = new Set<number>()
  const skip = (type: number): void => {
    if (logged.has(type)) return
    logged.add(type)
    debug('%s has an attribute %d that no table names; ignored', prefix, type)
  }

  const newPlace = (places: Place[], dependent: Place[], type: number): Place => {
    const line = byNumber[type]
    if (line === undefined && debug.enabled) skip(type)
    const place = { type, line, again: line !== undefined && places.some(other => other.line === line), at: 0, value: undefined, head: 0, word: 0, word2: 0 }
    places.push(place)
    if (line !== undefined && line.depth > 0) {
      if (place.again) dependent.splice(dependent.findIndex(other => other.line === line), 1)
      dependent.push(place)
      dependent.sort((a, b) => a.line!.depth - b.line!.depth)
    }
    return place
  }

  /** Reads an object over another with the same attributes in the same order; false where it has others. */
  const readOver = ({ places, dependent, values }: Memory, from: Input, at: number, length: number, lent: boolean): boolean => {
    const { view } = from
    const end = at + length
    const last = from.bytes.length - HEADER - 8
    let count = 0
    let line: Line | undefined
    try {
      for (let begin = at; begin + HEADER <= end; count++) {
        const head = view.getInt32(begin, true)
        const size = sizeIn(head)
        if (size < HEADER || begin + size > end) throw new DecodeError(`an attribute claims ${size} bytes of ${end - begin}`)
        const place = places[count] ?? newPlace(places, dependent, typeIn(head))
        if (place.head !== head || begin > last || place.word !== view.getInt32(begin + HEADER, true)
          || (size > HEADER + 4 && place.word2 !== view.getInt32(begin + HEADER + 4, true))) {
          if (place.type !== typeIn(head)) return false
          place.at = begin
          if (place.line !== undefined && place.line.depth === 0) {
            line = place.line
            const value = lent && line.peek !== undefined
              ? line.peek(from, begin + HEADER, size - HEADER) : line.codec.read(from, begin + HEADER, size - HEADER, values)
            if (place.value !== value || place.again) place.value = values[line.key] = value
            line = undefined
            const kept = typeof value !== 'object' && size > HEADER && size <= HEADER + 8 && begin <= last && !place.again
            place.head = kept ? head : 0
            place.word = kept ? view.getInt32(begin + HEADER, true) : 0
            place.word2 = kept ? view.getInt32(begin + HEADER + 4, true) : 0
          }
        }
        begin += align(size)
      }
      if (count !== places.length) return false
      for (let i = 0; i < dependent.length; i++) {
        const place = dependent[i]!
        line = place.line!
        const value = line.codec.read(from, place.at + HEADER, sizeIn(view.getInt32(place.at, true)) - HEADER, values)
        if (place.value !== value) place.value = values[line.key] = value
        line = undefined
      }
    } catch (error) {
      throw line && error instanceof DecodeError ? error.within(kernelName(prefix, line.key)) : error
    }
    return true
  }

  /** The values of an object, in the memory of one that was like it. */
  const readIn = (from: Input, at: number, length: number, lent: boolean): Values => {
    let memory = spare ?? newMemory()
    spare = undefined // a set within itself, and whoever comes after an error, gets another
    for (let untried = others.length; !readOver(memory, from, at, length, lent); untried--) {
      others.push(memory)
      memory = untried > 0 ? others.shift()! : newMemory()
    }
    if (others.length > OTHERS) others.shift()
    spare = memory
    return memory.values
  }

  const writeAnew: WriteAnew = (written, to, values) => {
    const begin = to.length
    let count = 0
    let key = ''
    let constant = true
    try {
      for (key in values) {
        const value = values[key]
        if (value === undefined) continue
        let line = written.lines[count]
        if (line?.key !== key) {
          line = lines.get(key)
          if (line === undefined) throw new EncodeError('there is no such attribute')
          written.lines[count] = line
          written.nests[count] = line.within && new Written()
        }
        const { codec, within } = line
        const at = to.take(HEADER)
        if (within !== undefined) {
          if (!within(written.nests[count]!, to, fieldsOf(value))) constant = false
        } else {
          codec.write(to, value, values)
          if (typeof value === 'object' && !('size' in codec)) constant = false
        }
        to.view.setInt32(at, headOf(to.length - at, line.type), true)
        written.values[count] = typeof value === 'object' ? undefined : value
        written.siblings[count] = codec.after === undefined ? undefined : values[codec.after]
        written.starts[count] = at - begin
        written.ends[count] = to.length - begin
        to.align()
        count++
      }
    } catch (error) {
      throw error instanceof EncodeError ? error.within(kernelName(prefix, key)) : error
    }
    written.count = count
    return constant
  }

  const set: AttributeSet<T> = {
    prefix,
    table,
    read: (from, at, length) => copy(readIn(from, at, length, false)) as Infer<AttributeSet<T>>,
    peek: (from, at, length) => readIn(from, at, length, true) as Infer<AttributeSet<T>>,
    write(to, value) {
      const values = fieldsOf(value)
      let last = kept ?? new Kept()
      kept = undefined // a set within itself, and whoever comes after an error, gets another
      if (!last.writeOver(to, values)) {
        [last, other] = [other ?? new Kept(), last]
        if (!last.writeOver(to, values)) last.writeAnew(to, values, writeAnew)
      }
      kept = last
    },
    decode(stream) { return set.read(new Input(stream), 0, stream.length, {}) },
    encode(value) {
      const to = new Output()
      set.write(to, value, {})
      return to.finish()
    },
  }
  writers.set(set, writeAnew)
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
