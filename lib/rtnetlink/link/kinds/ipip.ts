/** `ipip`: IPv4, or anything, in IPv4. */

import type { iptun } from '../../wire/link-info.js'
import type { LinkSettings } from '../settings.js'
import { never, parameters, type Kind } from './kind.js'
import {
  alikeEnds, mode, overIPv4OrExternal, sameEnds, shapeStays, verifyIPv4, type EndsOf, type External, type IPv4Tunnel,
} from './tunnel.js'

/** Parameters of an `ipip` link: IPv4, or anything, in IPv4. */
export interface IpipParameters extends IPv4Tunnel {
  /** The protocols that it carries: IPv4, MPLS, or both. @defaultValue `'any'` */
  readonly mode?: 'ipip' | 'mplip' | 'any'
}

/** An `ipip` link. */
export type IpipSpec = LinkSettings & { readonly kind: 'ipip' } & IpipParameters & External<EndsOf<IpipParameters>>

export const ipip: Kind = {
  fields: parameters<IpipParameters, typeof iptun>()(
    { mode: mode(['ipip', 'mplip', 'any']), ...overIPv4OrExternal }, verifyIPv4),
  module: 'ipip', ethernet: never, changes: 'all', inPlace: shapeStays, conflict: sameEnds, alike: alikeEnds,
  fallback: 'tunl0',
}
