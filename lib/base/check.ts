/**
 * Checks of a caller's input: addresses and names. The plain checks are those of the wire.
 *
 * @module
 */

import { invalid, SpecError } from '../../generic-netlink/check.js'
import { formatIPv6, parseIPv4, parseIPv6 } from '../../generic-netlink/core.js'

export {
  abortSignal, among, anyObject, atPath, boolean, callback, checkList, checkObject, inRange, integer, invalid, oneOf,
  optionsOf, show, SpecError, text, type Check, type Checked, type OptionChecks,
} from '../../generic-netlink/check.js'
export { callOptions, openChecks, openOptions } from '../../generic-netlink/core.js'

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
