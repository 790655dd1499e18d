/**
 * Packages that are loaded when they are first needed: most programs need none of them, and each takes longer to load than
 * the kernel takes to answer.
 *
 * @module
 */

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** IPv6 addresses as text. */
export const ipAddress = (): typeof import('ip-address') => require('ip-address') as typeof import('ip-address')

/** Bits of numbers; its index loads all of the package. */
export const bitwise = (): typeof import('bitwise/integer/index.js') => require('bitwise/integer/index.js') as typeof import('bitwise/integer/index.js')

/** Logging. */
export const debug = (): typeof import('debug') => require('debug') as typeof import('debug')
