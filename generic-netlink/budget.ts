/** A budget for work that holds the event loop. */

/** About a millisecond of work: 256 KB of a dump, or some 1,500 commands. */
const BUDGET = 262_144
/** The cost of an exchange's system calls, in bytes. */
const EXCHANGE = 2048

/**
 * Limits synchronous work to about a millisecond per turn of the event loop.
 *
 * The budget counts bytes and reads no clock: that is a system call where the machine has no vDSO.
 */
export class Budget {
  #left = 0
  #running = false
  readonly #waiting = new Set<() => void>()

  /** Spends the cost of one exchange of `bytes`. */
  spend(bytes: number): void {
    if (!this.#running) {
      this.#running = true
      this.#left = BUDGET
      setImmediate(() => this.#renew())
    }
    this.#left -= bytes + EXCHANGE
  }

  /** Whether work may go on. If not, `resume` is called once in the next turn of the event loop. */
  allows(resume: () => void): boolean {
    if (!this.#running || this.#left > 0) return true
    this.#waiting.add(resume)
    return false
  }

  #renew(): void {
    this.#running = false
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resume of waiting) resume()
  }
}
