/** Logging by npm `debug`, under the namespaces `ipvs-nl:*`. */

import { createRequire } from 'node:module'

/** The log of a namespace. */
export interface Log {
  (format: string, ...values: unknown[]): void
  readonly enabled: boolean
}

/**
 * Opens the log of a namespace. The package is loaded when `DEBUG` is set, and no earlier. An error
 * of the package, of a formatter or of the output is dropped: it reaches neither a callback of the
 * addon nor a half-written datagram.
 */
export function logger(namespace: string): Log {
  let log: Log | undefined
  let checked = false
  const checkAgain = (): void => { checked = false }
  const current = (): Log | undefined => {
    if (log !== undefined || checked) return log
    if (process.env.DEBUG !== undefined) return log = open(namespace)
    // `debug.enable()` sets the variable. A read is slow, so it happens once in a stretch of work.
    checked = true
    queueMicrotask(checkAgain)
    return undefined
  }
  return Object.defineProperty(
    (format: string, ...values: unknown[]): void => guarded(() => current()?.(format, ...values), undefined),
    'enabled', { get: () => guarded(() => current()?.enabled ?? false, false) },
  ) as unknown as Log
}

function open(namespace: string): Log {
  const createDebug = createRequire(import.meta.url)('debug') as typeof import('debug')
  return createDebug(namespace)
}

function guarded<T>(run: () => T, otherwise: T): T { try { return run() } catch { return otherwise } }
