/** `ip6tnl`: IPv4, IPv6, or both, in IPv6. */

import type { iptun6 } from '../../wire/link-info.js'
import type { LinkSettings } from '../settings.js'
import { never, parameters, type Kind } from './kind.js'
import {
  alikeEnds, externalStays, mode, overIPv6, sameEnds, verifyEnds, type EndsOf, type External, type IPv6Tunnel,
} from './tunnel.js'

/** Parameters of an `ip6tnl` link: IPv4, IPv6, or both, in IPv6. */
export interface Ip6tnlParameters extends IPv6Tunnel {
  /**
   * The protocols that it carries: IPv6, IPv4, or both. The default of `ip link` is `ip6ip6`, which
   * drops IPv4 silently.
   * @defaultValue `'any'`
   */
  readonly mode?: 'ip6ip6' | 'ipip6' | 'any'
}

/** An `ip6tnl` link. */
export type Ip6tnlSpec =
  LinkSettings & { readonly kind: 'ip6tnl' } & Ip6tnlParameters & External<EndsOf<Ip6tnlParameters>>

export const ip6tnl: Kind = {
  fields: parameters<Ip6tnlParameters, typeof iptun6>()(
    { mode: { ...mode(['ip6ip6', 'ipip6', 'any']), explicit: true }, ...overIPv6 }, verifyEnds),
  module: 'ip6_tunnel', ethernet: never, changes: 'all', inPlace: externalStays, conflict: sameEnds, alike: alikeEnds,
  fallback: 'ip6tnl0',
}
