/** Wanted real servers found among the actual ones. */

import type { RealServerSettings } from './model.js'
import { realServerName } from './names.js'

/**
 * The actual real servers of a service, taken one by one by address and port.
 *
 * The kernel mostly lists them in the reverse order of the wanted ones,
 * so each is first looked for at the expected place.
 */
export class ServerMatcher {
  readonly #list: readonly RealServerSettings[]
  /** The expected place of the next one. */
  #next: number
  /**
   * The taken places, and the place of each name; made when one is not at its expected place.
   * Before, all places behind the next are taken.
   */
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
      const found = this.#index.get(realServerName(server))
      if (found === undefined) return undefined
      at = found
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
