/** Logging, under the namespaces `ipvs-nl:netlink` and `ipvs-nl:wire`. */

import { debug } from './packages.js'

/** A log of npm `debug`. */
export interface Log {
  (format: string, ...values: unknown[]): void
  readonly enabled: boolean
}

/**
 * A log that nobody enabled costs nothing, not even the package. Should what it writes to throw, that reaches neither the
 * addon's callbacks nor a datagram half made.
 */
export function logger(namespace: string): Log {
  let known: Log | undefined
  let asked = false
  const askAgain = (): void => { asked = false }
  // The package keeps in the environment what is enabled, however it was. Reading that is no matter of nanoseconds: once in a stretch of work is enough.
  const current = (): Log | undefined => {
    if (known !== undefined || asked) return known
    if (process.env.DEBUG !== undefined) return known = open(namespace)
    asked = true
    queueMicrotask(askAgain)
    return undefined
  }
  const log = (format: string, ...values: unknown[]): void => current()?.(format, ...values)
  return Object.defineProperty(log, 'enabled', { get: () => current()?.enabled ?? false }) as unknown as Log
}

function open(namespace: string): Log {
  const createDebug = debug()
  const log = createDebug(namespace)
  log.log = (...line: unknown[]) => {
    try { createDebug.log(...line) } catch { /* nobody is left to tell */ }
  }
  return log
}
