/** Attribute sets: type-length-values, as a table that reads like the kernel's `nla_policy`. */

import { HOST, Input, Output } from './buffers.js'
import { fieldsOf, type Codec, type Infer } from './codec.js'
import { DecodeError, EncodeError } from './errors.js'
import { logger } from './log.js'

const debug = logger('ipvs-nl:netlink')

/** A row of a table: the attribute's number in the header, and its codec. */
export type Row = readonly [number: number, codec: Codec<unknown>]

/** Attributes by name. The names are the kernel's, in camelCase. */
export type Table = Readonly<Record<string, Row>>

/**
 * A declared set: the codec of the object that its table describes. On the wire every attribute is
 * optional; the caller knows the attributes that a command requires.
 *
 * The mapped type is written out rather than named, and maps `keyof T` without `as`, so that
 * editors show a plain object and carry each row's comment and definition to its property.
 */
export interface AttributeSet<T extends Table> extends Codec<{ -readonly [K in keyof T]?: Infer<T[K][1]> }> {
  /** The prefix of the kernel's constants: `IPVS_SVC_ATTR`. */
  readonly prefix: string
  readonly table: T
  /**
   * Reads an object, passes it to `use`, and returns the result. The object is valid until `use`
   * returns: a later read may overwrite it.
   * @throws DecodeError
   */
  visit<R>(from: Input, at: number, length: number, use: (value: { -readonly [K in keyof T]?: Infer<T[K][1]> }) => R): R
  /** Reads a buffer that holds attributes only. @throws DecodeError */
  decode(stream: Uint8Array): { -readonly [K in keyof T]?: Infer<T[K][1]> }
  /** Writes the object into a new buffer. @throws EncodeError */
  encode(value: { -readonly [K in keyof T]?: Infer<T[K][1]> }): Uint8Array
}

export const HEADER = 4
const NLA_TYPE_MASK = 0x3fff
const NLA_F_NESTED = 0x8000

/** Rounds up to the alignment of netlink. */
export const align = (n: number): number => n + 3 & ~3

/** The kernel's constant: `schedName` in the set `IPVS_SVC_ATTR` is `IPVS_SVC_ATTR_SCHED_NAME`. */
export const kernelName = (prefix: string, key: string): string =>
  `${prefix}_${key.replace(/[A-Z]/g, c => `_${c}`).toUpperCase()}`

/** Visits each attribute, in order: its number, and its payload's place. @throws DecodeError */
export function eachAttribute(
  { view }: Input, at: number, end: number, visit: (type: number, at: number, length: number) => void,
): void {
  while (at + HEADER <= end) {
    const length = view.getUint16(at, HOST)
    if (length < HEADER || at + length > end) {
      throw new DecodeError(`an attribute claims ${length} bytes of ${end - at}`)
    }
    visit(view.getUint16(at + 2, HOST) & NLA_TYPE_MASK, at + HEADER, length - HEADER)
    at += align(length)
  }
}

/** Appends the payload that `write` appends as one attribute. */
function writeAttribute(to: Output, type: number, write: () => void): void {
  const at = to.take(HEADER)
  write()
  to.view.setUint16(at, to.length - at, HOST)
  to.view.setUint16(at + 2, type, HOST)
  to.align()
}

/** A row of a table, with its key and its derived properties. */
export interface Attribute {
  readonly key: string
  readonly number: number
  /** The type in the header: the number, and the flag of a nest. */
  readonly type: number
  readonly codec: Codec<unknown>
  /** The length of the chain of siblings that are read before this attribute. */
  readonly depth: number
}

/** The attributes of a table. @throws TypeError where a row depends on a sibling that it lacks */
export const attributesOf = (table: Table): Attribute[] => Object.entries(table).map(([key, [number, codec]]) => ({
  key,
  number,
  codec,
  type: 'table' in codec || 'nested' in codec ? number | NLA_F_NESTED : number,
  depth: depth(table, key),
}))

function depth(table: Table, key: string, path: readonly string[] = []): number {
  const after = table[key]?.[1].after
  if (after === undefined) return 0
  if (!(after in table)) throw new TypeError(`${key} depends on ${after}: add ${after} to the table`)
  if (path.includes(after)) throw new TypeError(`${key} depends on ${after}, which depends on ${key}`)
  return 1 + depth(table, after, [...path, key])
}

/** Declares an attribute set. `prefix` and the keys spell the kernel's constants. */
export function attributeSet<const T extends Table>(prefix: string, table: T): AttributeSet<T> {
  type Value = Infer<AttributeSet<T>>
  const attributes = attributesOf(table)
  const byKey = new Map(attributes.map(attribute => [attribute.key, attribute]))
  const byNumber = new Map(attributes.map(attribute => [attribute.number, attribute]))
  const dependents = attributes.filter(({ depth }) => depth > 0).sort((a, b) => a.depth - b.depth)
  const blank = Object.fromEntries(attributes.map(({ key }) => [key, undefined]))

  const logged = new Set<number>()
  const logUnknown = (type: number): void => {
    if (!debug.enabled || logged.has(type)) return
    logged.add(type)
    debug('%s: ignored attribute %d, which is not in the table', prefix, type)
  }

  return attributeSetOf(prefix, table, {
    read(from, at, length) {
      const values: Record<string, unknown> = { ...blank }
      const read = ({ key, codec }: Attribute, begin: number, size: number): void => {
        try {
          values[key] = codec.read(from, begin, size, values)
        } catch (error) { throw error instanceof DecodeError ? error.within(kernelName(prefix, key)) : error }
      }
      const places = new Map<Attribute, { begin: number; size: number }>()
      eachAttribute(from, at, at + length, (type, begin, size) => {
        const attribute = byNumber.get(type)
        if (attribute === undefined) logUnknown(type)
        else if (attribute.depth === 0) read(attribute, begin, size)
        else places.set(attribute, { begin, size })
      })
      for (const attribute of dependents) {
        const place = places.get(attribute)
        if (place) read(attribute, place.begin, place.size)
      }
      return values as Value
    },
    write(to, value) {
      const values = fieldsOf(value)
      for (const key in values) {
        if (values[key] === undefined) continue
        try {
          const attribute = byKey.get(key)
          if (attribute === undefined) {
            throw new EncodeError(`there is no such attribute; the attributes are ${[...byKey.keys()].join(', ')}`)
          }
          writeAttribute(to, attribute.type, () => attribute.codec.write(to, values[key], values))
        } catch (error) { throw error instanceof EncodeError ? error.within(kernelName(prefix, key)) : error }
      }
    },
  })
}

/** Makes an attribute set of its codec. */
export function attributeSetOf<const T extends Table>(
  prefix: string, table: T, codec: Codec<Infer<AttributeSet<T>>> & Partial<Pick<AttributeSet<T>, 'visit'>>,
): AttributeSet<T> {
  return {
    prefix,
    table,
    visit: (from, at, length, use) => use(codec.read(from, at, length, {})),
    ...codec,
    decode: stream => codec.read(new Input(stream), 0, stream.length, {}),
    encode(value) {
      const to = new Output()
      codec.write(to, value, {})
      return to.finish()
    },
  }
}

/** A list: attributes numbered from 1, each with one value. */
export function list<T>(of: Codec<T>): Codec<T[]> & { readonly nested: true } {
  return {
    nested: true,
    read(from, at, length, siblings) {
      const values: T[] = []
      eachAttribute(from, at, at + length, (_, begin, size) => values.push(of.read(from, begin, size, siblings)))
      return values
    },
    write(to, values, siblings) {
      if (!Array.isArray(values)) throw new EncodeError('the value is not an array')
      values.forEach((value, i) => writeAttribute(to, i + 1 | NLA_F_NESTED, () => of.write(to, value, siblings)))
    },
  }
}
