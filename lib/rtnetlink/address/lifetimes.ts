/** Lifetimes of addresses. Pure. */

import { atPath, checkObject, integer, SpecError } from '../../base/check.js'
import type { Field } from '../../base/field.js'
import type { Entry } from '../client.js'

/** A time in seconds, or for ever. */
export type Lifetime = number | 'forever'

/** The lifetimes of an address. */
export interface Lifetimes {
  /** Seconds from now until it is removed, 1 to 4294967294. */
  readonly valid: Lifetime
  /**
   * Seconds from now until no new connection uses it; 0 is at once. An IPv4 address that is valid
   * for ever takes 0 or for ever.
   * @defaultValue `valid`
   */
  readonly preferred?: Lifetime
}

const FOREVER = 0xffffffff
const LIFETIMES = new Set(['valid', 'preferred'])
const seconds = (time: Lifetime): number => time === 'forever' ? FOREVER : time
const lifetime = (time = FOREVER): Lifetime => time === FOREVER ? 'forever' : time
/** A lifetime passes: it is the wanted one while at least half is left, and then renewed. */
const lasts = (wanted: Lifetime, actual: Lifetime): boolean =>
  wanted === actual || (wanted !== 'forever' && actual !== 'forever' && actual <= wanted && actual >= wanted / 2)

/** The field of the lifetimes. */
export const lifetimes: Field<Entry<'address'>> = {
  otherwise: { valid: 'forever', preferred: 'forever' },
  check(path, value) {
    const { valid, preferred = valid } = checkObject(path, value, LIFETIMES)
    const time = (name: string, given: unknown, min: number): Lifetime =>
      given === 'forever' ? given : integer(atPath(path, name), given, min, FOREVER - 1)
    const normal = { valid: time('valid', valid, 1), preferred: time('preferred', preferred, 0) }
    if (seconds(normal.preferred) > seconds(normal.valid)) {
      throw new SpecError(`${path}.preferred`, `${normal.preferred} is longer than the address is valid`)
    }
    return normal
  },
  write({ attributes }, value) {
    const { valid, preferred } = value as Required<Lifetimes>
    attributes.cacheinfo = { preferred: seconds(preferred), valid: seconds(valid), created: 0, updated: 0 }
  },
  // Of an IPv4 address that is valid for ever the kernel says that it is preferred for ever, even
  // if it is deprecated.
  read: ({ attributes: { cacheinfo, flags = {} } }) =>
    ({ valid: lifetime(cacheinfo?.valid), preferred: flags.deprecated ? 0 : lifetime(cacheinfo?.preferred) }),
  words(value) {
    const { valid, preferred } = value as Required<Lifetimes>
    return [
      valid !== 'forever' && `valid_lft ${valid}`, preferred !== 'forever' && `preferred_lft ${preferred}`,
    ].filter(Boolean).join(' ')
  },
  same(wanted, actual) {
    const [a, b] = [wanted as Required<Lifetimes>, actual as Required<Lifetimes>]
    return lasts(a.valid, b.valid) && lasts(a.preferred, b.preferred)
  },
}
