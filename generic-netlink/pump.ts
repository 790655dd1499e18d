/** The loop that empties a queue. */

/** Runs `work`, and never within itself. */
export class Pump {
  readonly #work: () => void
  #scheduled = false
  #running = false

  constructor(work: () => void) { this.#work = work }

  /** Runs the work after the caller's code: all requests of one turn of the loop go together. */
  schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.run()
    })
  }

  /** Runs the work now; does nothing while it runs. */
  readonly run = (): void => {
    if (this.#running) return
    this.#running = true
    try { this.#work() } finally { this.#running = false }
  }
}
