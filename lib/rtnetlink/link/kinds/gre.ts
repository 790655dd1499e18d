/** `gre`, `gretap`, `ip6gre` and `ip6gretap`: anything, or Ethernet, in GRE. */

import type { Infer } from '../../../../generic-netlink/core.js'
import { checkObject, integer, oneOf } from '../../../base/check.js'
import type { Values } from '../../../base/field.js'
import type { gre as wire } from '../../wire/link-info.js'
import { byte, orNo, type LinkField } from '../fields.js'
import type { EthernetSettings, LinkSettings } from '../settings.js'
import { always, never, parameters, type Kind } from './kind.js'
import {
  alikeEnds, externalStays, overIPv4OrExternal, overIPv6, sameEnds, shapeStays, unlessExternal, verifyEnds, verifyIPv4,
  type EndsOf, type External, type IPv4Tunnel, type IPv6Tunnel,
} from './tunnel.js'

/** The header of GRE in front of a packet. */
export interface GreHeader {
  /** Tells tunnels with the same ends apart: one key, or one a direction. @defaultValue none */
  readonly key?: number | { readonly in?: number; readonly out?: number }
  /**
   * A checksum in both directions, or in one. A link that expects none drops packets
   * with a checksum silently: IPVS with `gre` and `checksum: 'csum'` needs it, on an
   * external link as well.
   * @defaultValue false
   */
  readonly checksum?: boolean | 'in' | 'out'
  /** Sequence numbers in both directions, or in one. @defaultValue false */
  readonly seq?: boolean | 'in' | 'out'
}

/** Parameters of `gre` and `gretap` links: anything, and Ethernet, in GRE over IPv4. */
export interface GreParameters extends IPv4Tunnel, GreHeader {
  /** Fragments inner packets that must not be. Needs `pmtudisc: false`. @defaultValue false */
  readonly ignoreDf?: boolean
}

/** Parameters of `ip6gre` and `ip6gretap` links: anything, and Ethernet, in GRE over IPv6. */
export interface Ip6greParameters extends IPv6Tunnel, GreHeader {}

type OverIPv4 = External<EndsOf<GreParameters> | 'ignoreDf'>
type OverIPv6 = External<EndsOf<Ip6greParameters>>

/** A `gre` link. */
export type GreSpec = LinkSettings & { readonly kind: 'gre' } & GreParameters & OverIPv4
/** A `gretap` link: Ethernet in GRE. */
export type GretapSpec = EthernetSettings & { readonly kind: 'gretap' } & GreParameters & OverIPv4
/** An `ip6gre` link. */
export type Ip6greSpec = LinkSettings & { readonly kind: 'ip6gre' } & Ip6greParameters & OverIPv6
/** An `ip6gretap` link: Ethernet in GRE over IPv6. */
export type Ip6gretapSpec = EthernetSettings & { readonly kind: 'ip6gretap' } & Ip6greParameters & OverIPv6

type Wire = Infer<typeof wire>

const setFlag = (to: Wire, flags: 'iflags' | 'oflags', name: string, on: boolean): void => {
  to[flags] = { ...to[flags], [name]: on } as NonNullable<Wire['iflags']>
}

/** A flag for each direction: true is both, `in` and `out` one. */
const directions = (name: 'csum' | 'seq'): LinkField<Wire> => ({
  otherwise: false,
  check: (path, value) => typeof value === 'boolean' ? value : oneOf(path, value, ['in', 'out']),
  write(to, value) {
    setFlag(to, 'iflags', name, value === true || value === 'in')
    setFlag(to, 'oflags', name, value === true || value === 'out')
  },
  read({ iflags = {}, oflags = {} }) {
    const [into, out] = [iflags[name] === true, oflags[name] === true]
    return into && out ? true : into ? 'in' : out ? 'out' : false
  },
  words: value => value === true ? name
    : value === 'in' ? `i${name} noo${name}`
      : value === 'out' ? `noi${name} o${name}` : `no${name}`,
})

const DIRECTIONS = new Set(['in', 'out'])
interface Keys { in?: number; out?: number }
const keysOf = (value: unknown): Keys => typeof value === 'number' ? { in: value, out: value } : value ?? {}

const key: LinkField<Wire> = {
  otherwise: undefined,
  check(path, value) {
    const each = (at: string, n: unknown): number => integer(at, n, 0, 0xffffffff)
    if (typeof value !== 'object') return each(path, value)
    const { in: into, out } = checkObject(path, value, DIRECTIONS)
    if (into === undefined && out === undefined) return undefined
    if (into === out) return each(`${path}.in`, into)
    return {
      ...into !== undefined && { in: each(`${path}.in`, into) },
      ...out !== undefined && { out: each(`${path}.out`, out) },
    }
  },
  write(to, value) {
    const { in: into, out } = keysOf(value)
    setFlag(to, 'iflags', 'key', into !== undefined)
    setFlag(to, 'oflags', 'key', out !== undefined)
    to.ikey = into ?? 0
    to.okey = out ?? 0
  },
  read({ iflags = {}, oflags = {}, ikey = 0, okey = 0 }) {
    const [into, out] = [iflags.key === true, oflags.key === true]
    if (into && out) return ikey === okey ? ikey : { in: ikey, out: okey }
    return into ? { in: ikey } : out ? { out: okey } : undefined
  },
  words(value) {
    if (typeof value === 'number') return `key ${value}`
    const { in: into, out } = keysOf(value)
    return [into === undefined ? 'noikey' : `ikey ${into}`, out === undefined ? 'nookey' : `okey ${out}`].join(' ')
  },
}

const header = { key, checksum: directions('csum'), seq: directions('seq') }

/** Why the kernel cannot tell two tunnels of GRE apart. */
function conflict(own: Values, other: Values, sameKind: boolean): string | undefined {
  const why = sameEnds(own, other, sameKind)
  if (why === undefined || own.external === true) return why
  return keysOf(own.key).in === keysOf(other.key).in ? `${why}, and the same key` : undefined
}

const overIPv4: Omit<Kind, 'ethernet'> = {
  fields: parameters<GreParameters, typeof wire>()({
    ...overIPv4OrExternal, ...header, ...unlessExternal({ ignoreDf: byte('ignoreDf', orNo('ignore-df'), false) }),
  }, verifyIPv4),
  module: 'ip_gre', changes: 'all', conflict, alike: alikeEnds,
}
const throughIPv6: Omit<Kind, 'ethernet'> = {
  fields: parameters<Ip6greParameters, typeof wire>()({ ...overIPv6, ...header }, verifyEnds),
  module: 'ip6_gre', changes: 'all', inPlace: externalStays, conflict, alike: alikeEnds,
}

export const gre: Kind = { ...overIPv4, ethernet: never, inPlace: shapeStays, fallback: 'gre0' }
export const gretap: Kind = { ...overIPv4, ethernet: always, inPlace: externalStays, fallback: 'gretap0' }
export const ip6gre: Kind = { ...throughIPv6, ethernet: never, rival: 'ip6gretap', fallback: 'ip6gre0' }
export const ip6gretap: Kind = { ...throughIPv6, ethernet: always, rival: 'ip6gre' }
