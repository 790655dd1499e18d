/** Drains as their callers see them: options, progress, errors. */

import type { CallOptions } from '../../generic-netlink/core.js'
import { abortSignal, among, boolean, callback, inRange, optionsOf } from '../base/check.js'

/** Options of a drain. */
export interface DrainOptions extends CallOptions {
  /** Waits for the end of all connections, or of the established ones. @defaultValue `'all'` */
  readonly until?: 'all' | 'active'
  /** The longest wait in milliseconds; the real server then stays drained. @defaultValue never */
  readonly deadline?: number
  /** Called after each count of connections. An error that it throws rejects the drain. */
  readonly progress?: (progress: DrainProgress) => void
  /**
   * Sets the fallback flag of the scheduler, and the sysctls expire_quiescent_template,
   * expire_nodest_conn and conn_reuse_mode, which apply to the whole network namespace and stay.
   * `false` refuses the drain where one of them is not set. @defaultValue true
   *
   * dh has no such flag: lblc replaces it during the drain. The kernel has no scheduler between the
   * two, for some milliseconds on a machine with several processors, and refuses the clients that
   * connect then.
   */
  readonly prepare?: boolean
  /**
   * The treatment of UDP flows whose clients keep their source port, which stay on their real
   * server at any weight: `move` removes the real server from the service, and the next datagram
   * goes to another one; `finish` waits until the flows are silent for the UDP timeout. One-packet
   * services have no flows; firewall marks always finish.
   * @defaultValue `'move'`
   */
  readonly udp?: 'move' | 'finish'
  /**
   * Allows the drain of the last real server that takes connections: new clients are then refused.
   * @defaultValue false
   */
  readonly force?: boolean
  /**
   * Takes the real server out again, once, where another program gives it its weight back.
   * @defaultValue false: the drain rejects with the code `overruled`
   */
  readonly hold?: boolean
}

/** The check of {@link DrainOptions}. */
export const drainOptions = optionsOf<DrainOptions>({
  signal: abortSignal, until: among(['all', 'active']), deadline: inRange(0, 0x7fffffff), progress: callback,
  prepare: boolean, udp: among(['move', 'finish']), force: boolean, hold: boolean,
})

/** The state of a drain. */
export interface DrainProgress {
  /** Established connections, and those in every other state, in the services of all protocols. */
  readonly activeConnections: number
  readonly inactiveConnections: number
  /** Milliseconds since the drain began. */
  readonly elapsed: number
  /** The commands of the preparation, as an operator types them: `ipvsadm …`, `sysctl -w …`. */
  readonly prepared: readonly string[]
}

/**
 * A drain on its way: resolves when no connection is left; `out` resolves before, when the real
 * server takes no new connections.
 */
export interface Draining extends Promise<DrainProgress> { readonly out: Promise<void> }

/** A drain was refused, or did not end as it should. */
export class DrainError extends Error {
  static { this.prototype.name = 'DrainError' }
  /**
   * - `missing`: no service has the real server, or its settings are not known.
   * - `last`: no other real server takes connections.
   * - `unprepared`: `prepare` is false, and a setting is missing.
   * - `deadline`: connections are left.
   * - `undrained`: the real server was taken back in meanwhile.
   * - `vanished`: the real server or its service was removed meanwhile, with its connections.
   * - `overruled`: another program gave it its weight back.
   * - `declared`: an undrain was refused, because the spec declares the drain.
   */
  readonly code: 'missing' | 'last' | 'unprepared' | 'deadline' | 'undrained' | 'vanished' | 'overruled' | 'declared'
  constructor(code: DrainError['code'], message: string) {
    super(message)
    this.code = code
  }
}
