/** Packages loaded on first use: most programs need none. Performance: packages on demand. */

import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** IPv6 addresses as text. */
export const ipAddress = (): typeof import('ip-address') => require('ip-address') as typeof import('ip-address')

/** Bits of numbers. The index of the package would load all of it. */
export const bitwise = (): typeof import('bitwise/integer/index.js') =>
  require('bitwise/integer/index.js') as typeof import('bitwise/integer/index.js')
