/** Wanted real servers found among the actual ones. */

import type { RealServerSettings } from './model.js'
import { realServerName } from './names.js'

/**
 * The actual real servers of a service, taken one by one by address and port. The kernel mostly
 * lists them in the reverse order of the wanted ones: each is first looked for at that place.
 */
export class ServerMatcher {
  readonly #list: readonly RealServerSettings[]
  /** The expected place of the next one. */
  #next: number
  /** The taken places, and the place of each name; absent while all behind the next are taken. */
  #taken: boolean[] | undefined
  #index: Map<string, number> | undefined

  constructor(list: readonly RealServerSettings[]) {
    this.#list = list
    this.#next = list.length - 1
  }

  /** The actual real server with this address and port, if there is one. */
  take(server: RealServerSettings): RealServerSettings | undefined {
    let at = this.#next
    const expected = this.#list[at]
    if (expected?.address !== server.address || expected.port !== server.port) {
      this.#taken ??= this.#list.map((_, i) => i > this.#next)
      this.#index ??= new Map(this.#list.map((each, i) => [realServerName(each), i]))
      at = this.#index.get(realServerName(server)) ?? -1
      if (at < 0) return undefined
    }
    this.#next = at - 1
    if (this.#taken) this.#taken[at] = true
    return this.#list[at]
  }

  /** The real servers that were not taken. */
  rest(): RealServerSettings[] {
    const taken = this.#taken
    return taken ? this.#list.filter((_, i) => !taken[i]) : this.#list.slice(0, this.#next + 1)
  }
}
