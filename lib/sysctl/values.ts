/**
 * Values of sysctls: the text that is written, the value that a text stands for, and the equality
 * of texts. Pure.
 */

import { inspect } from 'node:util'
import { SpecError } from '../base/check.js'
import type { Target } from './keys.js'
import type { KnownSysctl, SysctlRow, SysctlSettingOf } from './tables.js'

/** The value of a key: a number, several numbers, or text; for flags also true and false. */
export type SysctlValue = number | boolean | readonly number[] | string

/** Values by key, for keys given as text. */
export type SysctlValues = { readonly [K in KnownSysctl]?: SysctlSettingOf<K> } & Readonly<Record<string, SysctlValue>>

const INT_MAX = 0x7fffffff

/** The range of a key's values, in words: `0 to 3`. */
export function sysctlRange({ takes, unit }: SysctlRow): string {
  const range = takes === 'flag' ? '0 or 1'
    : takes === 'threshold' ? 'two integers from 0 to 2147483647, the first below the second, or the second 0'
      : takes === 'processors' ? 'a list of processors, ascending, such as "0-3,6", or ""'
        : 'oneOf' in takes ? `one of ${takes.oneOf.join(', ')}`
          : `an integer from ${takes.from} to ${takes.to}`
  return unit === undefined ? range : `${range} (${unit})`
}

const inRange = (value: unknown, from: number, to: number): value is number =>
  Number.isSafeInteger(value) && value as number >= from && value as number <= to

/** The text of a value as the kernel prints it; undefined where the key does not take the value. */
export function sysctlText({ takes }: SysctlRow, value: unknown): string | undefined {
  if (takes === 'flag') return value === true || value === 1 ? '1' : value === false || value === 0 ? '0' : undefined
  if (takes === 'processors') return typeof value === 'string' && isProcessors(value) ? value : undefined
  if (takes === 'threshold') {
    if (!Array.isArray(value) || value.length !== 2) return undefined
    const [threshold, period] = value as unknown[]
    const both = inRange(threshold, 0, INT_MAX) && inRange(period, 0, INT_MAX) && (threshold < period || period === 0)
    return both ? `${threshold} ${period}` : undefined
  }
  if ('oneOf' in takes) return typeof value === 'number' && takes.oneOf.includes(value) ? `${value}` : undefined
  return inRange(value, takes.from, takes.to) ? `${value}` : undefined
}

/**
 * Whether a text is a list of processors as the kernel prints it: ascending, with consecutive ones
 * in one range.
 */
function isProcessors(text: string): boolean {
  if (text === '') return true
  let last = -2
  return text.split(',').every(part => {
    const [from, to = from] = part.split('-').map(Number) as [number, number?]
    const ascending = from > last + 1 && to >= from && part === (to === from ? `${from}` : `${from}-${to}`)
    last = to
    return ascending
  })
}

/** The text that is written for a value. @throws SpecError naming the key and its range */
export function textOf({ name, row }: Target, value: unknown): string {
  const text = row ? sysctlText(row, value) : anyText(value)
  if (text !== undefined) return text
  const range = row ? sysctlRange(row)
    : 'an integer, a list of integers, or text that is not empty and does not read as numbers'
  throw new SpecError(`sysctl ${name}`, `${inspect(value)} is not ${range}`)
}

/** A word that the kernel could read as a number. */
const NUMERIC = /^[-+]?(0x[0-9a-f]*|[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?|\.[0-9]+)$/i

/** The text of a value for a key that no table contains. */
function anyText(value: unknown): string | undefined {
  const list: unknown = typeof value === 'number' ? [value] : value
  if (Array.isArray(list)) {
    return list.length > 0 && Array.from(list).every(Number.isSafeInteger) ? list.join(' ') : undefined
  }
  if (typeof value !== 'string' || !/^[!-~]+( [!-~]+)*$/.test(value)) return undefined
  return value.split(' ').every(word => NUMERIC.test(word)) ? undefined : value
}

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean)
const isNumber = (word: string): boolean => /^(0|-?[1-9][0-9]*)$/.test(word) && Number.isSafeInteger(Number(word))

/** The value that a key's text stands for. */
export function valueOf(row: SysctlRow | undefined, text: string): number | readonly number[] | string {
  const parts = words(text)
  if (row?.takes === 'processors' || parts.length === 0 || !parts.every(isNumber)) return text
  return parts.length === 1 ? Number(parts[0]) : parts.map(Number)
}

/** Whether two texts of a key mean the same to the kernel. */
export function sameText(row: SysctlRow | undefined, a: string, b: string): boolean {
  const alike = (text: string): boolean => row?.alike?.includes(Number(text)) ?? false
  return words(a).join(' ') === words(b).join(' ') || (alike(a) && alike(b))
}

/**
 * Refuses more or fewer numbers than a key holds that no table contains: the kernel takes some and
 * drops the rest.
 * @throws SpecError
 */
export function checkCount({ name, row }: Target, text: string, actual: string): void {
  const present = words(actual), wanted = words(text), count = present.length
  if (row || count === 0 || count === wanted.length || ![...present, ...wanted].every(isNumber)) return
  throw new SpecError(`sysctl ${name}`, `it holds ${count} number${count === 1 ? '' : 's'}, not ${wanted.length}`)
}
