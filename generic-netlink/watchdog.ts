/** A time limit on the kernel's answer. */

/**
 * Calls `expired` when the kernel is silent for too long.
 *
 * After a stall of the event loop, Node runs expired timers before it reads sockets: an answer that
 * is there already would look late. So at expiry the loop reads twice before the watchdog decides.
 */
export class Watchdog {
  readonly #limit: number
  readonly #expired: () => void
  #timer: NodeJS.Timeout | undefined
  /** Grows with each start and stop. */
  #round = 0

  /** @param limit - in milliseconds */
  constructor(limit: number, expired: () => void) {
    this.#limit = limit
    this.#expired = expired
  }

  /** Starts the time limit, or starts it again. */
  start(): void {
    this.stop()
    const round = this.#round
    const check = (): void => { if (round === this.#round) this.#expired() }
    this.#timer = setTimeout(() => setImmediate(() => setImmediate(check)), this.#limit)
  }

  stop(): void {
    this.#round++
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
