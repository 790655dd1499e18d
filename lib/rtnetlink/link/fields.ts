/** Parameters of links, one by one: how each is checked, how it stands on the wire, and its words in `ip link`. */

import { familyOf, type Family } from '../../base/address.js'
import { address as anyAddress, boolean, integer, interfaceName, oneOf, checkObject } from '../../base/check.js'
import type { Encapsulation } from './spec.js'
import type { LinkAttributes } from '../wire/tables.js'

/** Parameters by their names in specs. What is undefined there is none. */
export type Parameters = Readonly<Record<string, unknown>>

/** Indexes of the links that a spec names. */
export type IndexOf = (name: string) => number
/** What surrounds a link's data: names of the links that it points to, and its other attributes. */
export interface Surroundings { readonly nameOf: (index: number) => string; readonly link: LinkAttributes }

/** A parameter. */
export interface Field<W> {
  /** What it is where a spec leaves it out; a field without this key is left as it is then. `undefined` is none. */
  readonly otherwise?: unknown
  /** The value in its normal form. @throws RangeError, TypeError naming the path */
  check(path: string, value: unknown): unknown
  write(to: W, value: unknown, indexOf: IndexOf): void
  read(from: W, around: Surroundings): unknown
  /** As `ip link` has it. */
  words(value: unknown): string
  /** Whether what is wanted is what is; they are compared as they are elsewhere. */
  readonly same?: (wanted: unknown, actual: unknown) => boolean
}

// ── of all links ──

type Wire = Record<string, unknown>
/** The attributes that a field of this name writes. */
type With<K extends string, V> = { [P in K]?: V }

/** `learning` or `nolearning` */
export const no = (word: string) => (value: unknown): string => value === true ? word : `no${word}`
/** `external` or nothing */
export const only = (word: string) => (value: unknown): string => value === true ? word : ''

/** A number that stands on the wire as it is; one with a meaning of its own goes by a word. */
export const number = <K extends string>(
  key: K, word: string, min: number, max: number, otherwise?: number | string, special: Readonly<Record<string, number>> = {},
): Field<With<K, number>> => ({
  ...otherwise !== undefined && { otherwise },
  check: (path, value) => plain(path, value, min, max, Object.keys(special)),
  write(to, value) { if (value !== undefined) to[key] = special[value as string] ?? value as number },
  read: from => Object.keys(special).find(name => special[name] === from[key]) ?? from[key],
  words: value => `${word} ${value as number}`,
})

/** As `ip` wants what it reads as hexadecimal anyway. */
export const hex = (value: number): string => `0x${value.toString(16)}`

/** A number, or one of the words. @throws RangeError naming the path */
export function plain(path: string, value: unknown, min: number, max: number, words: readonly string[] = []): number {
  if (typeof value === 'string' && words.length > 0) return oneOf(path, value, words) as never
  return integer(path, value, min, max)
}

/** True or false as one byte. */
export const byte = <K extends string>(key: K, words: (value: unknown) => string, ...otherwise: [boolean?]): Field<With<K, number>> => ({
  ...otherwise.length > 0 && { otherwise: otherwise[0] },
  check: boolean,
  write(to, value) { if (value !== undefined) to[key] = Number(value) },
  read: from => from[key] === undefined ? undefined : from[key] !== 0,
  words,
})

/** True where an attribute is there. */
export const present = <K extends string>(key: K, word: string): Field<With<K, true>> => ({
  otherwise: false,
  check: boolean,
  write(to, value) { if (value === true) to[key] = true },
  read: from => from[key] === true,
  words: only(word),
})

/** One of `flags`. */
export const bit = (name: string, words: (value: unknown) => string): Field<{ flags?: object }> => ({
  otherwise: false,
  check: boolean,
  write(to, value) { to.flags = { ...to.flags, [name]: value === true } },
  read: from => (from.flags as Wire | undefined)?.[name] === true,
  words,
})

/** Addresses that stand for none. */
export const UNSPECIFIED = new Set(['0.0.0.0', '::'])
/** Families as people call them. */
export const NAMES = { inet: 'IPv4', inet6: 'IPv6' } as const

/** An end of a tunnel of one family; the unspecified address is none. */
export const end = <K extends string>(key: K, family: Family): Field<With<K, string>> => ({
  otherwise: undefined,
  check(path, value) {
    const text = anyAddress(path, value)
    if (familyOf(text) !== family) throw new RangeError(`${path}: ${text} is not an ${NAMES[family]} address`)
    if (text === '255.255.255.255') throw new RangeError(`${path}: ${text} is the broadcast address`)
    return UNSPECIFIED.has(text) ? undefined : text
  },
  write(to, value) { if (value !== undefined) to[key] = value as string },
  read: from => from[key] === undefined || UNSPECIFIED.has(from[key]) ? undefined : from[key],
  words: value => `${key} ${value as string | undefined ?? 'any'}`,
})

/** The link below. */
export const device: Field<{ link?: number }> = {
  otherwise: undefined,
  check: interfaceName,
  write(to, value, indexOf) { to.link = value === undefined ? 0 : indexOf(value as string) },
  read: ({ link = 0 }, { nameOf }) => link === 0 ? undefined : nameOf(link),
  words: value => `dev ${value as string | undefined ?? 'none'}`,
}

const PROTOCOLS = { ipip: 4, ip6ip: 41, ip6ip6: 41, ipip6: 4, mplip: 137, any: 0 }
/** What is carried. */
export const mode = (names: readonly (keyof typeof PROTOCOLS)[], otherwise: string): Field<{ proto?: number }> => ({
  otherwise,
  check: (path, value) => oneOf(path, value, names),
  write(to, value) { to.proto = PROTOCOLS[value as keyof typeof PROTOCOLS] },
  read: ({ proto = 0 }) => names.find(name => PROTOCOLS[name] === proto) ?? proto,
  words: value => `mode ${value as string}`,
})

export const tos: Field<{ tos?: number }> = {
  ...number('tos', 'tos', 0, 255, 0, { inherit: 1 }),
  check(path, value) {
    if (value === 1) throw new RangeError(`${path}: 1 means 'inherit' to the kernel`)
    return plain(path, value, 0, 255, ['inherit'])
  },
  words: value => `tos ${value === 'inherit' ? value : hex(value as number)}`,
}

const ENCAPSULATION = new Set<string>(['type', 'sport', 'dport', 'csum', 'csum6', 'remcsum'] satisfies (keyof Encapsulation)[])
interface EncapsulationWire { encapType?: unknown; encapFlags?: object; encapSport?: number; encapDport?: number }
export const encapsulation: Field<EncapsulationWire> = {
  otherwise: undefined,
  check(path, value) {
    const { type, sport = 0, dport, csum = false, csum6 = false, remcsum = false } = checkObject(path, value, ENCAPSULATION)
    const normal = {
      type: oneOf(`${path}.type`, type, ['gue', 'fou']), sport: integer(`${path}.sport`, sport, 0, 65535), dport: integer(`${path}.dport`, dport, 1, 65535),
      csum: boolean(`${path}.csum`, csum), csum6: boolean(`${path}.csum6`, csum6), remcsum: boolean(`${path}.remcsum`, remcsum),
    }
    if (normal.remcsum && type !== 'gue') throw new RangeError(`${path}.remcsum: only gue has it`)
    return normal
  },
  write(to, value) {
    if (value === undefined) { to.encapType = 'none'; return }
    const { type, sport, dport, ...encapFlags } = value as Required<Encapsulation>
    Object.assign(to, { encapType: type, encapFlags, encapSport: sport, encapDport: dport })
  },
  read({ encapType, encapFlags, encapSport = 0, encapDport = 0 }) {
    if (encapType !== 'gue' && encapType !== 'fou') return undefined
    const { csum = false, csum6 = false, remcsum = false } = encapFlags as Partial<Record<string, boolean>>
    return { type: encapType, sport: encapSport, dport: encapDport, csum, csum6, remcsum }
  },
  words(value) {
    if (value === undefined) return 'encap none'
    const { type, sport, dport, ...flags } = value as Required<Encapsulation>
    return [
      `encap ${type} encap-sport ${sport === 0 ? 'auto' : sport} encap-dport ${dport}`,
      ...Object.entries(flags).map(([name, on]) => `${on ? '' : 'no'}encap-${name}`),
    ].join(' ')
  },
}

// ── of tunnels through IPv6 ──

/** What of a tunnel through IPv6 shares attributes. */
export interface IPv6Wire { flowinfo?: number; flags?: object; encapLimit?: number; fwmark?: number }
const bitOf = ({ flags }: IPv6Wire, name: string): boolean => (flags as Wire | undefined)?.[name] === true

/** A number of its own, or the inner packet's: then a flag says so. */
export const orInner = (
  word: string, flag: string, { max, otherwise, inner = 'inherit', shown = String, write, read }: {
    max: number
    otherwise: number
    inner?: string
    shown?: (value: number) => string
    write: (to: IPv6Wire, value: number) => void
    read: (from: IPv6Wire) => number
  },
): Field<IPv6Wire> => ({
  otherwise,
  check: (path, value) => plain(path, value, 0, max, [inner]),
  write(to, value) {
    to.flags = { ...to.flags, [flag]: value === inner }
    write(to, value === inner ? 0 : value as number)
  },
  read: from => bitOf(from, flag) ? inner : read(from),
  words: value => `${word} ${value === inner ? inner : shown(value as number)}`,
})

// ── of bridges ──

/** Seconds here, their hundredths there. */
export const time = <K extends string>(key: K, word: string, max = 0xffffffff / 100): Field<With<K, number>> => ({
  check(path, value) {
    if (typeof value !== 'number' || !(value >= 0 && value <= max)) throw new RangeError(`${path}: ${String(value)} is not a number of seconds to ${max}`)
    return Math.round(value * 100) / 100
  },
  write(to, value) { if (value !== undefined) to[key] = Math.round(value as number * 100) },
  read: from => from[key] === undefined ? undefined : from[key] / 100,
  words: value => `${word} ${Math.round(value as number * 100)}`,
})
// ── checks shared with settings ──

/** An MTU in bytes: less than 68 carries no IPv4. @throws RangeError naming the path */
export const checkMtu = (path: string, value: unknown): number => integer(path, value, 68, 65536)

/** A MAC address that a host can have. @throws RangeError naming the path */
export function macAddress(path: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value)) {
    throw new RangeError(`${path}: ${JSON.stringify(value)} is not a MAC address such as 02:00:00:00:00:01`)
  }
  if (parseInt(value.slice(0, 2), 16) & 1) throw new RangeError(`${path}: ${value} is a multicast address`)
  if (/^[0:]+$/.test(value)) throw new RangeError(`${path}: ${value} is no address`)
  return value.toLowerCase()
}
