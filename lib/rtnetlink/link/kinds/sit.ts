/** `sit`: IPv6, or anything, in IPv4. */

import type { Infer } from '../../../../generic-netlink/core.js'
import type { Family } from '../../../base/address.js'
import { checkObject, SpecError } from '../../../base/check.js'
import { networkOf, parsePrefix } from '../../../base/prefix.js'
import type { iptun } from '../../wire/link-info.js'
import { bit, FAMILY_NAMES, ifTrue, type LinkField } from '../fields.js'
import type { LinkSettings } from '../settings.js'
import { never, parameters, type Kind } from './kind.js'
import { alikeEnds, mode, overIPv4, sameEnds, shapeStays, verifyIPv4, type IPv4Tunnel } from './tunnel.js'

/** Parameters of a `sit` link: IPv6, or anything, in IPv4. It cannot be external. */
export interface SitParameters extends Omit<IPv4Tunnel, 'external'> {
  /** The protocols that it carries: IPv6, IPv4, MPLS, or all. @defaultValue `'any'` */
  readonly mode?: 'ip6ip' | 'ipip' | 'mplip' | 'any'
  /** Intra-site automatic tunnel addressing. @defaultValue false */
  readonly isatap?: boolean
  /**
   * Rapid deployment (RFC 5969): the IPv6 prefix that stands for an IPv4 prefix. The kernel begins
   * with `2002::/16` for all of IPv4.
   */
  readonly sixrd?: {
    readonly prefix: string
    /** @defaultValue `'0.0.0.0/0'` */
    readonly relay?: string
  }
}

/** A `sit` link. */
export type SitSpec = LinkSettings & { readonly kind: 'sit' } & SitParameters

const SIXRD = new Set(['prefix', 'relay'])
type Sixrd = Required<NonNullable<SitParameters['sixrd']>>

function network(path: string, value: unknown, family: Family): string {
  const prefix = parsePrefix(path, value)
  if (prefix.family !== family) {
    throw new SpecError(path, `${prefix.address} is not an ${FAMILY_NAMES[family]} prefix`)
  }
  if (networkOf(prefix) !== prefix.address) {
    throw new SpecError(path, `${prefix.address} has bits behind the prefix of ${prefix.length}`)
  }
  return `${prefix.address}/${prefix.length}`
}

const sixrd: LinkField<Infer<typeof iptun>> = {
  check(path, value) {
    const { prefix, relay = '0.0.0.0/0' } = checkObject(path, value, SIXRD)
    return { prefix: network(`${path}.prefix`, prefix, 'inet6'), relay: network(`${path}.relay`, relay, 'inet') }
  },
  write(to, value) {
    if (value === undefined) return
    const [prefix, relay] = [
      parsePrefix('prefix', (value as Sixrd).prefix), parsePrefix('relay', (value as Sixrd).relay),
    ]
    Object.assign(to, {
      '6rdPrefix': prefix.address, '6rdPrefixlen': prefix.length,
      '6rdRelayPrefix': relay.address, '6rdRelayPrefixlen': relay.length,
    })
  },
  read: from => from['6rdPrefix'] === undefined ? undefined
    : {
        prefix: `${from['6rdPrefix']}/${from['6rdPrefixlen'] ?? 0}`,
        relay: `${from['6rdRelayPrefix'] ?? '0.0.0.0'}/${from['6rdRelayPrefixlen'] ?? 0}`,
      },
  words: value => `6rd-prefix ${(value as Sixrd).prefix} 6rd-relay_prefix ${(value as Sixrd).relay}`,
}

export const sit: Kind = {
  fields: parameters<SitParameters, typeof iptun>()({
    mode: mode(['ip6ip', 'ipip', 'mplip', 'any']), ...overIPv4, isatap: bit('isatap', ifTrue('isatap')), sixrd,
  }, verifyIPv4),
  module: 'sit', ethernet: never, changes: 'all', inPlace: shapeStays, conflict: sameEnds, alike: alikeEnds,
  fallback: 'sit0',
}
