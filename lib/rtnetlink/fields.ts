/** Fields of rtnetlink's objects: each is a property of the header, or an attribute. */

import { boolean, interfaceName, invalid } from '../base/check.js'
import { after, type Check, type Field, type Variant } from '../base/field.js'
import type { AttributesOf, Entry, Header, KindName } from './client.js'
import type { LinkNames } from './link-names.js'

type Part = 'header' | 'attributes'
/** The names of the flags of a part. */
type FlagsOf<T> = T extends { flags?: infer F } ? keyof NonNullable<F> & string : never
/** An object of any kind on the wire. */
type Wire = Readonly<Record<Part, Record<PropertyKey, unknown> & { flags?: Readonly<Record<string, unknown>> }>>

/** Makes the fields of one kind of object. A name that its messages lack does not compile. */
export const entryFields = <K extends KindName>() => {
  type Own = Variant<Entry<K>, LinkNames>
  type Made = Field<Entry<K>, LinkNames>
  const partOf = (wire: Entry<K>, part: Part): Wire[Part] => (wire as unknown as Wire)[part]
  const plain = (part: Part, name: PropertyKey, check: Check, { word, ...own }: Own = {}): Made => ({
    check,
    write(to, value) { if (value !== undefined) partOf(to, part)[name] = value },
    read: from => partOf(from, part)[name],
    ...word !== undefined && { words: after(word) },
    ...own,
  })
  return {
    /** A property of the header. */
    header: (name: keyof Header<K>, check: Check, own?: Own) => plain('header', name, check, own),
    /** An attribute. */
    attribute: (name: keyof AttributesOf<K>, check: Check, own?: Own) => plain('attributes', name, check, own),
    /** A link: its name in specs, its index on the wire. */
    link: <P extends Part>(part: P, name: keyof Entry<K>[P], own?: Own) => plain(part, name, interfaceName, {
      write(to, value, { indexOf }) { partOf(to, part)[name] = indexOf(value as string) },
      read(from, { nameOf }) {
        const index = partOf(from, part)[name]
        return index === undefined ? undefined : nameOf(index as number)
      },
      word: 'dev',
      ...own,
    }),
    /** One of the flags. */
    flag: <P extends Part>(part: P, name: FlagsOf<Entry<K>[P]>, own?: Own) => plain(part, name, boolean, {
      write(to, value) {
        const wire = partOf(to, part)
        if (value === true) wire.flags = { ...wire.flags, [name]: true }
      },
      read: from => partOf(from, part).flags?.[name] ?? false,
      words: value => value === true ? name : '',
      ...own,
    }),
  }
}

/** The field of a number of which 0 is none. */
export const unlessZero = <W, C>(field: Field<W, C>): Field<W, C> => ({
  ...field,
  write(to, value, context) { if (value !== 0) field.write(to, value, context) },
  read(from, context) {
    const value = field.read(from, context)
    return value === 0 ? undefined : value
  },
  same: (wanted, actual = 0) => wanted === actual,
})

/** The check of bytes in hexadecimal, of which `more` follow the first. */
export const hexBytes = (more: string, wanted: string): Check<string> => (path, value) => {
  if (typeof value === 'string' && new RegExp(`^[0-9a-f]{2}(:[0-9a-f]{2}){${more}}$`, 'i').test(value)) {
    return value.toLowerCase()
  }
  throw invalid(path, value, `${wanted} such as 02:00:5e:10:00:01`)
}
