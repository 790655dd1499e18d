/** A conversation with the kernel over one netlink protocol: commands, batches of them, and dumps. */

import { Commands } from './commands.js'
import { Dumps } from './dumps.js'
import { NetlinkError } from './errors.js'
import { Pace } from './pace.js'
import { unwrap, type CallOptions, type Outcome, type Request, type Requests } from './request.js'
import { openSocket, type OpenSocket } from './socket.js'

/** `NETLINK_ROUTE`: links, addresses, routes, neighbours. */
export const NETLINK_ROUTE = 0
/** `NETLINK_GENERIC`: families. */
export const NETLINK_GENERIC = 16

/** Options of a {@link Connection}. */
export interface ConnectionOptions {
  /** How long the kernel may be silent before a request fails with `ETIMEDOUT`, in milliseconds. @defaultValue 10000 */
  readonly timeLimit?: number
  /** What opens its sockets; a test's own kernel stands in here. @defaultValue real netlink sockets */
  readonly openSocket?: OpenSocket
}

const ECANCELED = -125

/**
 * A conversation with the kernel.
 *
 * It holds two sockets: one for commands, and from the first dump on one for dumps. Neither keeps the
 * process alive while nothing is asked.
 */
export class Connection implements AsyncDisposable {
  readonly #commands: Commands
  readonly #dumps: Dumps

  /** @param protocol {@link NETLINK_GENERIC} or {@link NETLINK_ROUTE}. @throws NetlinkError where the system refuses a socket */
  constructor(protocol: number, { timeLimit = 10_000, openSocket: open = openSocket }: ConnectionOptions = {}) {
    const pace = new Pace()
    this.#commands = new Commands(open, protocol, pace, timeLimit)
    this.#dumps = new Dumps(open, protocol, pace, timeLimit)
  }

  /** Sends one request and resolves with its answer, or with nothing where it has none but "done". Rejects with NetlinkError. */
  async ask<T>(request: Request<T>, { signal }: CallOptions = {}): Promise<T> {
    return unwrap(await this.batch([request], { signal }))
  }

  /** Sends many requests, as many as may be in one datagram, and resolves with the outcome of each, in order. Never rejects. */
  batch<T>(requests: Requests<T>, { signal }: CallOptions = {}): Promise<Outcome<T>[]> {
    return this.#commands.batch(requests, signal) as Promise<Outcome<T>[]>
  }

  /** Lists a table. Dumps wait for one another. Rejects with NetlinkError; never resolves with a part of the table that it knows to be one. */
  dump<T>(request: Request<T>, { signal }: CallOptions = {}): Promise<T[]> {
    return this.#dumps.dump(request, signal)
  }

  /** Closes the sockets. What is pending rejects with `ECANCELED`; what the kernel did stays done. Closing again does nothing. */
  close(): void {
    const reason = new NetlinkError(ECANCELED, 'netlink', { message: 'the connection was closed' })
    this.#commands.close(reason)
    this.#dumps.close(reason)
  }

  /** {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }
}
