/** `dummy`: a link that drops all packets; a place for addresses. */

import { fieldSet } from '../../../base/field.js'
import type { LinkContext } from '../fields.js'
import type { EthernetSettings } from '../settings.js'
import { always, ofLinks, type Kind } from './kind.js'

/** A `dummy` link, which drops all packets: a place for addresses. */
export type DummySpec = EthernetSettings & { readonly kind: 'dummy' }

export const dummy: Kind = {
  fields: fieldSet<object, object, LinkContext>()('link', {}, ofLinks),
  module: 'dummy', ethernet: always, changes: 'some',
}
