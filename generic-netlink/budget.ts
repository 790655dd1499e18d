/** A budget for work that holds the event loop. */

/** About a millisecond of work: 256 KB of a dump, or some 1,500 commands. */
const BUDGET = 262_144
/** The cost of an exchange's system calls, in bytes. */
const EXCHANGE = 2048
/** The milliseconds of a turn after which no exchange begins, and those an exchange should take. */
const TURN = 8, LONGEST_EXCHANGE = 8

/** The number of error replies that fit the default receive buffer, whatever their size. */
export const LARGEST_BATCH = 128

/**
 * Limits synchronous work to about a millisecond per turn of the event loop.
 *
 * The budget counts bytes, and the time of whole exchanges: the kernel works through a long list
 * for each command on some objects, whatever the command's size. It reads the clock twice for an
 * exchange, never for a command: that is a system call where the machine has no vDSO.
 */
export class Budget {
  #left = 0
  #running = false
  /** When the first exchange of this turn began. */
  #began = 0
  #commands = LARGEST_BATCH
  readonly #waiting = new Set<() => void>()

  /** Spends the cost of one exchange of `bytes`. */
  spend(bytes: number): void {
    if (!this.#running) {
      this.#running = true
      this.#left = BUDGET
      this.#began = performance.now()
      setImmediate(() => this.#renew())
    }
    this.#left -= bytes + EXCHANGE
  }

  /** The number of commands that the next exchange may have, by the time that others took. */
  get commands(): number { return this.#commands }

  /** Notes the milliseconds that the kernel took for the commands of an exchange. */
  took(commands: number, milliseconds: number): void {
    if (milliseconds < LONGEST_EXCHANGE / 2) this.#commands = Math.min(this.#commands * 2, LARGEST_BATCH)
    else if (milliseconds > LONGEST_EXCHANGE && commands > 1) this.#commands = Math.max(this.#commands >> 1, 1)
  }

  /** Whether work may go on. If not, `resume` is called once in the next turn of the event loop. */
  allows(resume: () => void): boolean {
    if (!this.#running || (this.#left > 0 && performance.now() - this.#began < TURN)) return true
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
