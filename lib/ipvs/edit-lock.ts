/** Who may change what when. */

/**
 * Edits go on side by side; what reads, changes and writes back goes alone, so that nothing that happens between its
 * reading and its writing is lost.
 */
export class Turns {
  readonly #edits = new Set<Promise<unknown>>()
  /** The last that goes alone; never rejects. */
  #alone: Promise<unknown> | undefined

  /** Runs an edit, at once where nobody is alone. */
  async beside<T>(edit: () => Promise<T>): Promise<T> {
    while (this.#alone) await this.#alone
    const running = edit()
    const settled = running.then(() => {}, () => {})
    this.#edits.add(settled)
    try { return await running } finally { this.#edits.delete(settled) }
  }

  /** Runs what must be alone, when all that began before it has ended. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const before: Promise<unknown>[] = [...this.#edits, ...this.#alone ? [this.#alone] : []]
    const running = Promise.all(before).then(work)
    const settled = running.then(() => {}, () => {}).then(() => { if (this.#alone === settled) this.#alone = undefined })
    this.#alone = settled
    return await running
  }
}
