/** Parameters of links, one by one: the check, the form on the wire, and the words of `ip link`. */

import { among, attribute, type Field, type Values, type With } from '../../base/field.js'
import { familyOf, type Family } from '../../base/address.js'
import { address, boolean, integer, interfaceName, invalid, oneOf, SpecError } from '../../base/check.js'
import type { LinkNames } from '../link-names.js'
import type { LinkAttributes } from '../wire/link.js'

/** The context of parameters: names of links, and the other attributes of the link. */
export interface LinkContext extends LinkNames { readonly link: LinkAttributes }

/** A parameter of a link. */
export type LinkField<W> = Field<W, LinkContext>

// ── words ──

/** `learning` or `nolearning` */
export const orNo = (word: string) => (value: unknown): string => value === true ? word : `no${word}`
/** `external` or nothing */
export const ifTrue = (word: string) => (value: unknown): string => value === true ? word : ''
/** `ip` reads some numbers as hexadecimal in any case. */
export const hex = (value: number): string => `0x${value.toString(16)}`

// ── values ──

/** A number or one of the words. @throws SpecError naming the path */
export function numberOrWord(
  path: string, value: unknown, min: number, max: number, words: readonly string[] = [],
): unknown {
  return typeof value === 'string' && words.length > 0 ? oneOf(path, value, words) : integer(path, value, min, max)
}

/** A number; numbers with a special meaning have a word. */
export const number = <K extends string>(
  key: K, word: string, min: number, max: number, otherwise?: number | string,
  special: Readonly<Record<string, number>> = {},
): LinkField<With<K, number>> => ({
  ...attribute(key, (path, value) => numberOrWord(path, value, min, max, Object.keys(special)) as number, { word }),
  ...otherwise !== undefined && { otherwise },
  write(to, value) { if (value !== undefined) to[key] = special[value as string] ?? value as number },
  read: from => Object.keys(special).find(name => special[name] === from[key]) ?? from[key],
})

/** True or false as one byte. */
export const byte = <K extends string>(
  key: K, words: (value: unknown) => string, ...otherwise: [unknown?]
): LinkField<With<K, number>> => ({
  ...otherwise.length > 0 && { otherwise: otherwise[0] },
  check: boolean,
  write(to, value) { if (value !== undefined) to[key] = Number(value) },
  read: from => from[key] === undefined ? undefined : from[key] !== 0,
  words,
})

/** True if the attribute is present. */
export const present = <K extends string>(key: K, word: string): LinkField<With<K, true>> => ({
  otherwise: false,
  check: boolean,
  write(to, value) { if (value === true) to[key] = true },
  read: from => from[key] === true,
  words: ifTrue(word),
})

/** One bit of `flags`. */
export const bit = (name: string, words: (value: unknown) => string): LinkField<{ flags?: object }> => ({
  otherwise: false,
  check: boolean,
  write(to, value) { to.flags = { ...to.flags, [name]: value === true } },
  read: from => (from.flags as Values | undefined)?.[name] === true,
  words,
})

/** A time: seconds in specs, hundredths of seconds on the wire. */
export const time = <K extends string>(key: K, word: string, max = 0xffffffff / 100): LinkField<With<K, number>> => ({
  check(path, value) {
    if (typeof value !== 'number' || !(value >= 0 && value <= max)) {
      throw invalid(path, value, `a number of seconds from 0 to ${max}`)
    }
    return Math.round(value * 100) / 100
  },
  write(to, value) { if (value !== undefined) to[key] = Math.round(value as number * 100) },
  read: from => from[key] === undefined ? undefined : from[key] / 100,
  words: value => `${word} ${Math.round(value as number * 100)}`,
})

/** A word, as the wire's table has it. */
export const word = <K extends string, const T extends string>(
  key: K, words: readonly [T, ...T[]],
): LinkField<With<K, T>> => attribute(key, among(words), {
  otherwise: words[0], read: from => from[key] ?? words[0], word: key,
})

// ── addresses and links ──

/** The unspecified addresses. */
const UNSPECIFIED = new Set(['0.0.0.0', '::'])
/** The everyday names of the families. */
export const FAMILY_NAMES = { inet: 'IPv4', inet6: 'IPv6' } as const

/** An address on the wire, of which the unspecified one is none. */
export const specified = (text: string | undefined): string | undefined =>
  text === undefined || UNSPECIFIED.has(text) ? undefined : text

/** The address of a tunnel's end, of one family; the unspecified address is none. */
export const endOf = <K extends string>(key: K, family: Family): LinkField<With<K, string>> => ({
  otherwise: undefined,
  check(path, value) {
    const text = address(path, value)
    if (familyOf(text) !== family) throw new SpecError(path, `${text} is not an ${FAMILY_NAMES[family]} address`)
    if (text === '255.255.255.255') throw new SpecError(path, `${text} is the broadcast address`)
    return specified(text)
  },
  write(to, value) { if (value !== undefined) to[key] = value as string },
  read: from => specified(from[key]),
  words: value => `${key} ${value as string | undefined ?? 'any'}`,
})

/** The link below. */
export const linkBelow: LinkField<{ link?: number }> = {
  otherwise: undefined,
  check: interfaceName,
  write(to, value, context) { to.link = value === undefined ? 0 : context.indexOf(value as string) },
  read: ({ link = 0 }, context) => link === 0 ? undefined : context.nameOf(link),
  words: value => `dev ${value as string | undefined ?? 'none'}`,
}

/** The type of service of outer packets. */
export const tos: LinkField<{ tos?: number }> = {
  ...number('tos', 'tos', 0, 255, 0, { inherit: 1 }),
  check(path, value) {
    if (value === 1) throw new SpecError(path, `1 means 'inherit' to the kernel`)
    return numberOrWord(path, value, 0, 255, ['inherit'])
  },
  words: value => `tos ${value === 'inherit' ? value : hex(value as number)}`,
}
