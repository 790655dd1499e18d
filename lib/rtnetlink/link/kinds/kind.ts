/** The description of one kind of link. */

import type { Infer } from '../../../../generic-netlink/core.js'
import { fieldSet, type Exactly, type FieldSet, type FieldsOf, type Values } from '../../../base/field.js'
import type { LinkContext } from '../fields.js'
import { settings } from '../settings.js'

/** A kind of link. Parameters are given in their normal form. */
export interface Kind {
  readonly fields: FieldSet<object, object, LinkContext>
  /** The kernel module that brings the kind. */
  readonly module: string
  /** Whether it carries Ethernet: it has a MAC address then, and can be a port of a bridge. */
  readonly ethernet: (parameters: Values) => boolean
  /** A change names `all` parameters (the kernel resets others), or `some` (it keeps them). */
  readonly changes: 'all' | 'some'
  /** Why the kernel cannot change the link in place; undefined where it can. */
  readonly inPlace?: (wanted: Values, actual: Values, changed: readonly string[]) => string | undefined
  /** Why the kernel cannot tell two links apart, names aside: `has the same id and port`. */
  readonly conflict?: (own: Values, other: Values, sameKind: boolean) => string | undefined
  /** What links have in common that conflict: a text that groups them. */
  readonly alike?: (parameters: Values) => string
  /** Another kind whose links conflict with links of this one. */
  readonly rival?: string
  /** The link that the kernel creates when it loads the module, and keeps until it unloads it. */
  readonly fallback?: string
  /** Whether the kernel removes the link together with the link below. */
  readonly removedWithLink?: boolean
  /** The other end of a pair. */
  readonly peer?: (parameters: Values) => { readonly name: string; readonly netns?: number } | undefined
  /** The parameters that lead back to an end whose other end is `name`. */
  readonly peerOf?: (name: string) => Values
}

/** Declares the parameters `P` of a kind whose attributes are the set `W`. */
export const parameters = <P extends object, W>() =>
  <F extends FieldsOf<P, Infer<W>, LinkContext>>(
    fields: F & Exactly<F, P>, verify?: (all: Values) => void,
  ): FieldSet<P, Infer<W>, LinkContext> => fieldSet<P, Infer<W>, LinkContext>()('link', fields, {
    others: ['name', 'kind', ...settings.names],
    stateOnly: ['index', 'operstate', 'carrier', 'altNames', 'statistics', 'data'],
    ...verify && { verify },
  })

/** For kinds that always carry Ethernet, and for those that never do. */
export const always = (): boolean => true, never = (): boolean => false
