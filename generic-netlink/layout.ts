/** The attributes of a set, and of the sets within, for the patterns of its memory. */

import { attributesOf, type Attribute, type AttributeSet, type Table } from './attributes.js'

/** An object of a set, by key. */
export type Values = Record<string, unknown>

/** The attributes of a set, as patterns look them up. */
export interface Layout {
  readonly byKey: ReadonlyMap<string, Attribute>
  readonly byNumber: ReadonlyMap<number, Attribute>
  /** The sets within, by key. */
  readonly nested: ReadonlyMap<string, Layout>
}

/** Returns the layout of a set. */
export function layoutOf({ table }: AttributeSet<Table>): Layout {
  const attributes = attributesOf(table)
  return {
    byKey: new Map(attributes.map(attribute => [attribute.key, attribute])),
    byNumber: new Map(attributes.map(attribute => [attribute.number, attribute])),
    nested: new Map(attributes.flatMap(({ key, codec }) =>
      'table' in codec && codec.after === undefined ? [[key, layoutOf(codec as AttributeSet<Table>)]] : [])),
  }
}
