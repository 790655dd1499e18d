/** A conversation with the kernel over one netlink protocol: commands, batches and dumps. */

import { Budget } from './budget.js'
import { abortSignal, callback, inRange, optionsOf, type OptionChecks } from './check.js'
import { Commands } from './commands.js'
import { Dumps } from './dumps.js'
import { NetlinkError } from './errors.js'
import { openSocket } from './open-socket.js'
import { callOptions, unwrap, type CallOptions, type Request } from './request.js'
import { sequence, type Sequence } from './sequence.js'
import type { OpenSocket } from './socket.js'

/** `NETLINK_ROUTE`: links, addresses, routes, neighbours. */
export const NETLINK_ROUTE = 0
/** `NETLINK_GENERIC`: families. */
export const NETLINK_GENERIC = 16

/** Options of a {@link Connection}. */
export interface ConnectionOptions {
  /**
   * Milliseconds of silence after which a request fails with `ETIMEDOUT`, 1 to 2147483647.
   * @defaultValue 10000
   */
  readonly timeLimit?: number
  /** Opens the sockets; a test passes a kernel of its own. @defaultValue real netlink sockets */
  readonly openSocket?: OpenSocket
}

const checks = { timeLimit: inRange(1, 0x7fffffff), openSocket: callback }
const connectionOptions = optionsOf<ConnectionOptions>(checks)
/** The checks of the options with which a conversation is opened. */
export const openChecks: OptionChecks<CallOptions & ConnectionOptions> = { ...checks, signal: abortSignal }
/** The check of the options with which a conversation is opened. */
export const openOptions = optionsOf(openChecks)

const ECANCELED = -125

/**
 * A conversation with the kernel.
 *
 * It holds two sockets: one for commands and, from the first dump on, one for dumps. An idle
 * connection does not keep the process alive.
 */
export class Connection implements AsyncDisposable {
  readonly #commands: Commands
  readonly #dumps: Dumps

  /**
   * @param protocol {@link NETLINK_GENERIC} or {@link NETLINK_ROUTE}.
   * @throws NetlinkError where the system refuses a socket; SpecError naming a wrong option
   */
  constructor(protocol: number, options?: ConnectionOptions) {
    const { timeLimit = 10_000, openSocket: open = openSocket } = connectionOptions(options)
    const budget = new Budget()
    this.#commands = new Commands(open, protocol, budget, timeLimit)
    this.#dumps = new Dumps(open, protocol, budget, timeLimit)
  }

  /**
   * Sends one request and resolves with its answer, or with undefined where the kernel only
   * acknowledges it. Rejects with NetlinkError.
   */
  async ask<T>(request: Request<T>, options?: CallOptions): Promise<T> {
    return unwrap(await this.batch([request], options))
  }

  /**
   * Sends requests in few datagrams. Resolves with each one's outcome, in order; rejects with
   * nothing but the SpecError of a wrong option.
   */
  async batch<T>(
    requests: readonly Request<T>[] | Sequence<Request<T>>, options?: CallOptions,
  ): Promise<PromiseSettledResult<T>[]> {
    const { signal } = callOptions(options)
    return await this.#commands.batch(sequence(requests), signal) as PromiseSettledResult<T>[]
  }

  /** Lists a table, whole or not at all; dumps wait for one another. Rejects with NetlinkError. */
  async dump<T>(request: Request<T>, options?: CallOptions): Promise<T[]> {
    const { signal } = callOptions(options)
    return await this.#dumps.dump(request, signal)
  }

  /** Closes the sockets; rejects pending requests with `ECANCELED`. The kernel undoes nothing. */
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
