/**
 * A lock for edits of the IPVS table: edits run side by side under a shared lock. A task that
 * reads, changes and writes back runs alone under an exclusive lock: no edit in between is lost.
 */
export class EditLock {
  readonly #edits = new Set<Promise<unknown>>()
  /** The last exclusive task; never rejects. */
  #exclusive: Promise<unknown> | undefined

  /**
   * Runs an edit, at once where no exclusive task runs.
   *
   * @param alone - Asked when the edit's turn comes: whether it must run alone.
   */
  async shared<T>(edit: () => Promise<T>, alone?: () => boolean): Promise<T> {
    while (this.#exclusive) await this.#exclusive
    if (alone?.()) return await this.exclusive(edit)
    const running = edit()
    const settled = running.then(() => {}, () => {})
    this.#edits.add(settled)
    try { return await running } finally { this.#edits.delete(settled) }
  }

  /** Runs a task alone, after all that began before it. */
  async exclusive<T>(task: () => Promise<T>): Promise<T> {
    const before: Promise<unknown>[] = [...this.#edits, ...this.#exclusive ? [this.#exclusive] : []]
    const running = Promise.all(before).then(task)
    const settled = running.then(() => {}, () => {}).then(() => {
      if (this.#exclusive === settled) this.#exclusive = undefined
    })
    this.#exclusive = settled
    return await running
  }
}
