/** A bounded map for values that are computed again and again. */

const LIMIT = 65_536

/** A map that drops all entries when it is full. */
export class Memo<K, V> {
  readonly #entries = new Map<K, V>()
  get(key: K): V | undefined { return this.#entries.get(key) }

  /** Stores the value and returns it. */
  set(key: K, value: V): V {
    if (this.#entries.size >= LIMIT) this.#entries.clear()
    this.#entries.set(key, value)
    return value
  }
}
