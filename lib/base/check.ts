/**
 * Fields of what a caller gives, checked one by one: every refusal names the field's path.
 *
 * @module
 */

import { formatIPv6, parseIPv4, parseIPv6 } from '../../generic-netlink/index.js'

/** A value, for a message. */
export const show = (value: unknown): string => typeof value === 'string' ? JSON.stringify(value) : Array.isArray(value) ? 'an array' : String(value)

/** The refusal of a value. */
export const wrong = (path: string, value: unknown, wanted: string): RangeError => new RangeError(`${path}: ${show(value)} is not ${wanted}`)

/** An integer of a range. @throws RangeError naming the path */
export function integer(path: string, value: unknown, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) throw wrong(path, value, `an integer from ${min} to ${max}`)
  return value as number
}

/** One of some words. @throws RangeError naming the path */
export function oneOf<const T extends string>(path: string, value: unknown, words: readonly T[]): T {
  if (!words.includes(value as T)) throw wrong(path, value, `one of ${words.join(', ')}`)
  return value as T
}

/** An object with no other fields than these. @throws TypeError naming the path */
export function record(path: string, value: unknown, fields: ReadonlySet<string>): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError(`${path}: ${show(value)} is not an object`)
  for (const key in value) {
    if (!fields.has(key)) throw new TypeError(`${path}: there is no field ${JSON.stringify(key)}; there are ${[...fields].join(', ')}`)
  }
  return value as Record<string, unknown>
}

/** An array. @throws RangeError naming the path */
export function list(path: string, value: unknown): void {
  if (!Array.isArray(value)) throw wrong(path, value, 'a list')
}

/** What the kernel calls none or every interface, in paths of sysctls. */
const NOT_INTERFACES = ['.', '..', 'all', 'default']

/** A network interface's name, as the kernel can have them and a path can hold them. @throws RangeError naming the path */
export function interfaceName(path: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_.-]{1,15}$/.test(value) || NOT_INTERFACES.includes(value)) {
    throw wrong(path, value, 'an interface name: at most 15 of A-Z, a-z, 0-9, _, . and -')
  }
  return value
}

/** An address in its correct form. @throws RangeError naming the path */
export function address(path: string, value: unknown): string {
  if (typeof value === 'string') {
    if (parseIPv4(value) >= 0) return value
    const bytes = parseIPv6(value)
    if (bytes) return formatIPv6(bytes)
  }
  throw wrong(path, value, 'an IPv4 or IPv6 address')
}

/** What checks a part, with its refusals named for where the part is: fields' paths are made only when they are needed. */
export function within<T>(path: string, check: () => T): T {
  try { return check() } catch (error) { throw named(path, error) }
}

/** A refusal with its path begun further out. */
export function named(path: string, error: unknown): unknown {
  if (error instanceof TypeError || error instanceof RangeError) error.message = `${path}${error.message.startsWith(':') ? '' : '.'}${error.message}`
  return error
}
