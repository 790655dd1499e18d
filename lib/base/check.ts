/**
 * Checks of a caller's input, field by field: each refusal names the path of the field.
 *
 * @module
 */

import { formatIPv6, parseIPv4, parseIPv6, SpecError } from '../../generic-netlink/core.js'

export { atPath, SpecError } from '../../generic-netlink/core.js'

/** A value, for a message. */
export const show = (value: unknown): string =>
  typeof value === 'string' ? JSON.stringify(value) : Array.isArray(value) ? 'an array' : String(value)

/** The refusal of a value. */
export const invalid = (path: string, value: unknown, wanted: string): SpecError =>
  new SpecError(path, `${show(value)} is not ${wanted}`)

/** An integer of a range. @throws SpecError naming the path */
export function integer(path: string, value: unknown, min: number, max: number): number {
  if (!Number.isInteger(value) || (value as number) < min || (value as number) > max) {
    throw invalid(path, value, `an integer from ${min} to ${max}`)
  }
  return value as number
}

/** True or false. @throws SpecError naming the path */
export function boolean(path: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new SpecError(path, `${show(value)} is not true or false`)
  return value
}

/** One of some words. @throws SpecError naming the path */
export function oneOf<const T extends string>(path: string, value: unknown, words: readonly T[]): T {
  if (!words.includes(value as T)) throw invalid(path, value, `one of ${words.join(', ')}`)
  return value as T
}

/** An object of these fields alone; errors name some of them. @throws SpecError naming the path */
export function checkObject(
  path: string, value: unknown, fields: ReadonlySet<string>, named: Iterable<string> = fields,
): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new SpecError(path, `${show(value)} is not an object`)
  }
  for (const key in value) {
    if (fields.has(key)) continue
    throw new SpecError(path, `there is no field ${JSON.stringify(key)}; there are ${[...named].join(', ')}`)
  }
  return value as Record<string, unknown>
}

/** An array. @throws SpecError naming the path */
export function checkList(path: string, value: unknown): readonly unknown[] {
  if (!Array.isArray(value)) throw invalid(path, value, 'a list')
  return value
}

/** The kernel's names for no interface and every interface, in paths of sysctls. */
const NOT_INTERFACES = ['.', '..', 'all', 'default']

/** An interface's name for the kernel and for paths. @throws SpecError naming the path */
export function interfaceName(path: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[A-Za-z0-9_.-]{1,15}$/.test(value) || NOT_INTERFACES.includes(value)) {
    throw invalid(path, value, 'an interface name: at most 15 of A-Z, a-z, 0-9, _, . and -')
  }
  return value
}

/** An address in its correct form. @throws SpecError naming the path */
export function address(path: string, value: unknown): string {
  if (typeof value === 'string') {
    if (parseIPv4(value) >= 0) return value
    const bytes = parseIPv6(value)
    if (bytes) return formatIPv6(bytes)
  }
  throw invalid(path, value, 'an IPv4 or IPv6 address')
}

/** Runs the check of a part, whose refusals name paths within it; adds the part's own path. */
export function within<T>(path: string, check: () => T): T {
  try { return check() } catch (error) { throw refusalAt(path, error) }
}

/** A refusal below `path`, for loops too hot for {@link within}. Other errors stay as they are. */
export const refusalAt = (path: string, error: unknown): unknown =>
  path !== '' && error instanceof SpecError ? error.within(path) : error
