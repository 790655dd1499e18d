/** Logging, under the namespaces `ipvs-nl:netlink` and `ipvs-nl:wire`. */

import createDebug, { type Debugger } from 'debug'

/** A log of npm `debug`. Should what it writes to throw, that reaches neither the addon's callbacks nor a datagram half made. */
export function logger(namespace: string): Debugger {
  const log = createDebug(namespace)
  log.log = (...line: unknown[]) => {
    try { createDebug.log(...line) } catch { /* nobody is left to tell */ }
  }
  return log
}
