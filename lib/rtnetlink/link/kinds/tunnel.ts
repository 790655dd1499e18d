/** Parameters that tunnels of several kinds have in common. */

import { familyOf, isMulticast } from '../../../base/address.js'
import { boolean, checkObject, integer, oneOf, SpecError } from '../../../base/check.js'
import type { Values } from '../../../base/field.js'
import {
  bit, byte, endOf, hex, linkBelow, number, numberOrWord, orNo, present, tos, type LinkField,
} from '../fields.js'

/** UDP around a tunnel's packets. The kernel needs its module fou loaded beforehand. */
export interface Encapsulation {
  /** Generic UDP Encapsulation, or the bare packet in UDP (foo over UDP). */
  readonly kind: 'gue' | 'fou'
  /** The UDP port of the other end. */
  readonly port: number
  /** The UDP port of this end; 0 lets the kernel choose by flow. @defaultValue 0 */
  readonly sourcePort?: number
  /** A UDP checksum over IPv4. @defaultValue false */
  readonly checksum?: boolean
  /** A UDP checksum over IPv6. @defaultValue false */
  readonly checksum6?: boolean
  /** Remote checksum offload of the inner checksum; for `gue` only. @defaultValue false */
  readonly remcsum?: boolean
}

/** The ends of a tunnel, and the treatment of its packets between them. */
export interface TunnelEnds {
  /** The address of this end. @defaultValue any address of this host */
  readonly local?: string
  /** The address of the other end. @defaultValue any: it only receives, or sends by gateways */
  readonly remote?: string
  /** The link by which outer packets leave. @defaultValue as routed */
  readonly link?: string
  /** The firewall mark by which outer packets are routed; 0 is none. @defaultValue 0 */
  readonly fwmark?: number
  /** UDP around its packets. @defaultValue none */
  readonly encap?: Encapsulation
  /**
   * Whether each packet carries its own ends (collect metadata). Such a link receives everything
   * that no other link of its kind receives. There can be one of each kind, and one of `ip6gre`
   * and `ip6gretap` together.
   * @defaultValue false
   */
  readonly external?: boolean
}

/** Tunnels through IPv4. */
export interface IPv4Tunnel extends TunnelEnds {
  /** Time to live of outer packets, 1 to 255, or that of inner ones. @defaultValue `'inherit'` */
  readonly ttl?: number | 'inherit'
  /** Type of service of outer packets: 0, 2 to 255, or that of inner ones. @defaultValue 0 */
  readonly tos?: number | 'inherit'
  /** Never fragments outer packets: a fixed `ttl` needs it, or they circle. @defaultValue true */
  readonly pmtudisc?: boolean
}

/** Tunnels through IPv6. */
export interface IPv6Tunnel extends Omit<TunnelEnds, 'fwmark'> {
  /** Hop limit of outer packets, 1 to 255, or that of inner ones. @defaultValue 64 */
  readonly ttl?: number | 'inherit'
  /** Traffic class of outer packets, 0 to 255, or that of inner ones. @defaultValue 0 */
  readonly tos?: number | 'inherit'
  /** Flow label of outer packets, 0 to 1048575, or that of inner ones. @defaultValue 0 */
  readonly flowLabel?: number | 'inherit'
  /** The number of further tunnels around its packets, 0 to 255. @defaultValue 4 */
  readonly encapLimit?: number | 'none'
  /** The firewall mark that routes outer packets, or the inner one; 0 is none. @defaultValue 0 */
  readonly fwmark?: number | 'inherit'
  /** Whether an unwrapped packet takes the traffic class of the outer one. @defaultValue false */
  readonly dscpInherit?: boolean
  /** Whether the other end may be an address of this host. @defaultValue false */
  readonly allowLocalRemote?: boolean
}

/** An external link has none of the parameters `Ends`. */
export type External<Ends extends string> =
  | { readonly external: true } & { readonly [K in Ends]?: never }
  | { readonly external?: false }
/** The parameters that describe a tunnel's ends. */
export type EndsOf<T> = Exclude<keyof T & keyof (IPv4Tunnel & IPv6Tunnel), 'external' | 'encap'>

// ── fields ──

/** The fields, none of which an external link has. */
export const unlessExternal = <F extends Readonly<Record<string, LinkField<never>>>>(fields: F): F =>
  Object.fromEntries(Object.entries(fields).map(([name, field]) => [name, { ...field, absent: ifExternal }])) as F

const ifExternal = ({ external }: Values): string | undefined =>
  external === true ? 'an external link has none; each packet carries its own' : undefined

const ENCAPSULATION = new Set<string>(
  ['kind', 'port', 'sourcePort', 'checksum', 'checksum6', 'remcsum'] satisfies (keyof Encapsulation)[])
interface EncapsulationWire {
  encapType?: unknown
  encapFlags?: { csum?: boolean; csum6?: boolean; remcsum?: boolean }
  encapSport?: number
  encapDport?: number
}

const encap: LinkField<EncapsulationWire> = {
  otherwise: undefined,
  check(path, value) {
    const {
      kind, port, sourcePort = 0, checksum = false, checksum6 = false, remcsum = false,
    } = checkObject(path, value, ENCAPSULATION)
    const normal = {
      kind: oneOf(`${path}.kind`, kind, ['gue', 'fou']), port: integer(`${path}.port`, port, 1, 65535),
      sourcePort: integer(`${path}.sourcePort`, sourcePort, 0, 65535),
      checksum: boolean(`${path}.checksum`, checksum), checksum6: boolean(`${path}.checksum6`, checksum6),
      remcsum: boolean(`${path}.remcsum`, remcsum),
    }
    if (normal.remcsum && kind !== 'gue') throw new SpecError(`${path}.remcsum`, 'only gue has it')
    return normal
  },
  write(to, value) {
    if (value === undefined) { to.encapType = 'none'; return }
    const { kind, port, sourcePort, checksum, checksum6, remcsum } = value as Required<Encapsulation>
    Object.assign(to, {
      encapType: kind, encapFlags: { csum: checksum, csum6: checksum6, remcsum },
      encapSport: sourcePort, encapDport: port,
    })
  },
  read({ encapType: kind, encapFlags = {}, encapSport: sourcePort = 0, encapDport: port = 0 }) {
    if (kind !== 'gue' && kind !== 'fou') return undefined
    const { csum: checksum = false, csum6: checksum6 = false, remcsum = false } = encapFlags
    return { kind, port, sourcePort, checksum, checksum6, remcsum }
  },
  words(value) {
    if (value === undefined) return 'encap none'
    const { kind, port, sourcePort, checksum, checksum6, remcsum } = value as Required<Encapsulation>
    return [
      `encap ${kind} encap-sport ${sourcePort === 0 ? 'auto' : sourcePort} encap-dport ${port}`,
      ...Object.entries({ csum: checksum, csum6: checksum6, remcsum })
        .map(([name, on]) => `${on ? '' : 'no'}encap-${name}`),
    ].join(' ')
  },
}

const external = present('collectMetadata', 'external')

/** The fields of tunnels through IPv4. */
export const overIPv4 = {
  ...unlessExternal({
    local: endOf('local', 'inet'), remote: endOf('remote', 'inet'), link: linkBelow,
    ttl: number('ttl', 'ttl', 1, 255, 'inherit', { inherit: 0 }),
    tos,
    pmtudisc: byte('pmtudisc', orNo('pmtudisc'), true),
    fwmark: number('fwmark', 'fwmark', 0, 0xffffffff, 0),
  }),
  encap,
}
/** The fields of tunnels through IPv4 of a kind that can be external. */
export const overIPv4OrExternal = { ...overIPv4, external }

/** Attributes that several fields of a tunnel through IPv6 share. */
interface IPv6Wire { flowinfo?: number; flags?: object; encapLimit?: number; fwmark?: number }

/** The largest flow label. */
export const LARGEST_LABEL = 0xfffff

/** A number on the wire. */
interface Place { write(to: IPv6Wire, value: number): void; read(from: IPv6Wire): number }
const alone = (key: 'encapLimit' | 'fwmark'): Place =>
  ({ write(to, value) { to[key] = value }, read: from => from[key] ?? 0 })
/** Some bits of the word that the kernel calls flow information. */
const inFlowinfo = (shift: number, mask: number): Place => ({
  write(to, value) { to.flowinfo = ((to.flowinfo ?? 0) | value << shift) >>> 0 },
  read: ({ flowinfo = 0 }) => flowinfo >>> shift & mask,
})

/** A number, or that of the inner packet, which a flag demands. */
const orInner = (
  word: string, flag: string, max: number, otherwise: number, place: Place, inner = 'inherit', format = hex,
): LinkField<IPv6Wire> => ({
  otherwise,
  check: (path, value) => numberOrWord(path, value, 0, max, [inner]),
  write(to, value) {
    to.flags = { ...to.flags, [flag]: value === inner }
    place.write(to, value === inner ? 0 : value as number)
  },
  read: from => (from.flags as Values | undefined)?.[flag] === true ? inner : place.read(from),
  words: value => `${word} ${value === inner ? inner : format(value as number)}`,
})

/** The fields of tunnels through IPv6. */
export const overIPv6 = {
  ...unlessExternal({
    local: endOf('local', 'inet6'), remote: endOf('remote', 'inet6'), link: linkBelow,
    ttl: number('ttl', 'ttl', 1, 255, 64, { inherit: 0 }),
    tos: orInner('tclass', 'useOrigTclass', 255, 0, inFlowinfo(20, 255)),
    flowLabel: orInner('flowlabel', 'useOrigFlowlabel', LARGEST_LABEL, 0, inFlowinfo(0, LARGEST_LABEL)),
    encapLimit: orInner('encaplimit', 'ignEncapLimit', 255, 4, alone('encapLimit'), 'none', String),
    fwmark: orInner('fwmark', 'useOrigFwmark', 0xffffffff, 0, alone('fwmark')),
    dscpInherit: bit('rcvDscpCopy', value => value === true ? 'dscp inherit' : 'dscp 0'),
    allowLocalRemote: bit('allowLocalRemote', orNo('allow-localremote')),
  }),
  encap,
  external,
}

const PROTOCOLS = { ipip: 4, ip6ip: 41, ip6ip6: 41, ipip6: 4, mplip: 137, any: 0 }

/** The protocols that a tunnel carries. */
export const mode = (names: readonly (keyof typeof PROTOCOLS)[]): LinkField<{ proto?: number }> => ({
  otherwise: 'any',
  check: (path, value) => oneOf(path, value, names),
  write(to, value) { to.proto = PROTOCOLS[value as keyof typeof PROTOCOLS] },
  read: ({ proto = 0 }) => names.find(name => PROTOCOLS[name] === proto) ?? proto,
  words: value => `mode ${value as string}`,
})

// ── refusals ──

/** Refuses ends that no tunnel can have. @throws SpecError naming the field */
export function verifyEnds({ local, remote }: Values): void {
  if (local !== undefined && isMulticast(local as string)) {
    throw new SpecError('local', `${local as string} is a multicast address`)
  }
  if (local !== undefined && local === remote) throw new SpecError('remote', `${local as string} is the local end`)
}

/** Refuses parameters that exclude each other through IPv4. @throws SpecError naming the field */
export function verifyIPv4(tunnel: Values): void {
  const { ttl = 'inherit', pmtudisc, ignoreDf } = tunnel
  if (pmtudisc === false && ttl !== 'inherit') {
    throw new SpecError('ttl', 'a fixed one needs pmtudisc, or packets could circle for ever')
  }
  if (ignoreDf === true && pmtudisc === true) throw new SpecError('ignoreDf', 'it needs pmtudisc: false')
  verifyEnds(tunnel)
}

/** Refuses ends of two families. @throws SpecError naming the field */
export function verifyFamilies(local: unknown, there: unknown): void {
  if (local === undefined || there === undefined || familyOf(local as string) === familyOf(there as string)) return
  throw new SpecError('local', `${local as string} and ${there as string} are of two families`)
}

/** Why an external tunnel does not change in place, nor a tunnel become external. */
export const externalStays = (wanted: Values, _: Values, changed: readonly string[]): string | undefined =>
  changed.includes('external') ? 'whether a link is external is decided when it is added'
    : wanted.external === true ? 'the kernel changes nothing of an external link' : undefined

/**
 * Why a tunnel through IPv4 does not change in place. The kernel marks a link with a remote as
 * point to point when it adds it, and never again.
 */
export function shapeStays(wanted: Values, actual: Values, changed: readonly string[]): string | undefined {
  const stays = externalStays(wanted, actual, changed)
  if (stays !== undefined) return stays
  if (changed.includes('mode') || changed.includes('isatap')) {
    return 'the kernel says OK to another mode and keeps the old one'
  }
  return (wanted.remote === undefined) === (actual.remote === undefined) ? undefined
    : 'the kernel neither gives a tunnel a remote nor takes it away'
}

/** What tunnels have in common that the kernel cannot tell apart. */
export const alikeEnds = ({ external, local, remote, link }: Values): string =>
  external === true ? 'external' : [local, remote, link].join(' ')

/** Why the kernel cannot tell two tunnels apart. */
export function sameEnds(own: Values, other: Values, sameKind: boolean): string | undefined {
  if (own.external === true || other.external === true) {
    return own.external === other.external
      ? `is external, and there can be one of ${sameKind ? 'a kind' : 'the two kinds'}`
      : undefined
  }
  return sameKind && (['local', 'remote', 'link'] as const).every(key => own[key] === other[key])
    ? 'has the same local, remote and link'
    : undefined
}
