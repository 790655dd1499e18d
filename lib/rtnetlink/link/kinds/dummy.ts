/** `dummy`: a link that drops all packets; a place for addresses. */

import type { EthernetSettings } from '../settings.js'
import { always, parameters, type Kind } from './kind.js'

/** A `dummy` link, which drops all packets: a place for addresses. */
export type DummySpec = EthernetSettings & { readonly kind: 'dummy' }

export const dummy: Kind = {
  fields: parameters<object, object>()({}),
  module: 'dummy', ethernet: always, changes: 'some',
}
