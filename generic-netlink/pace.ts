/** How long work may hold the event loop, and how long an answer may take. */

/**
 * Lets synchronous work go on for about a millisecond's worth, then lets the event loop turn.
 *
 * Work is counted in bytes moved and not read off a clock, which costs a system call where the machine has no vDSO.
 */
export class Pace {
  #left = 0
  #armed = false
  readonly #waiting = new Set<() => void>()

  /** Books the cost of one exchange of `bytes`. */
  book(bytes: number): void {
    if (!this.#armed) {
      this.#armed = true
      this.#left = BUDGET
      setImmediate(() => this.#turn())
    }
    this.#left -= bytes + EXCHANGE
  }

  /** Whether work may go on now. Otherwise `resume` is called after a turn of the loop, once however often it was given. */
  allows(resume: () => void): boolean {
    if (!this.#armed || this.#left > 0) return true
    this.#waiting.add(resume)
    return false
  }

  #turn(): void {
    this.#armed = false
    const resumed = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of resumed) resume()
  }
}

/** About a millisecond: 256 KB of a dump, or some 1,500 commands. */
const BUDGET = 262_144
/** What the system calls of an exchange cost, in the same coin. */
const EXCHANGE = 2048

/**
 * A time limit on the kernel's next word, which does not misjudge a stalled event loop.
 *
 * After a stall Node runs expired timers before it reads sockets, so an answer that has long arrived would
 * look late. Expiry therefore lets the loop read first, twice, and looks again.
 */
export class Watchdog {
  readonly #limit: number
  readonly #expired: () => void
  #timer: NodeJS.Timeout | undefined
  #heard = 0

  /** @param limit milliseconds */
  constructor(limit: number, expired: () => void) {
    this.#limit = limit
    this.#expired = expired
  }

  /** Starts anew: something was sent, or something was heard. */
  start(): void {
    this.stop()
    const heard = this.#heard
    this.#timer = setTimeout(() => setImmediate(() => setImmediate(() => { if (heard === this.#heard) this.#expired() })), this.#limit)
  }

  stop(): void {
    this.#heard++
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}
