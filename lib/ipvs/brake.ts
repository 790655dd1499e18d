/** The brake: a plan that takes capacity away needs `force`. */

import type { RealServerSettings, Service } from './model.js'
import { serviceName } from './names.js'

/** What a plan takes from services that it changes and removes. */
export class Losses {
  /** The number of actual real servers in services that are wanted or owned. */
  owned = 0
  /** The number of them that go, less those that come in their place. */
  #removed = 0
  /** The services that take connections, and would not after the plan. */
  readonly #emptied: string[] = []
  /** The services of which no real server that takes connections stays. */
  readonly #replaced: string[] = []

  /** Counts a service that goes with its real servers. */
  remove({ realServers }: Service): void { this.#removed += realServers.length }

  /** Counts a service whose real servers become `after`: some of them are added, some removed. */
  change(
    before: Service, after: readonly RealServerSettings[], { added, removed }: { added: number; removed: number },
  ): void {
    this.#removed += Math.max(removed - added, 0)
    const able = addressesOf(before.realServers), left = addressesOf(after)
    if (able.size === 0) return
    if (left.size === 0) this.#emptied.push(serviceName(before))
    else if (![...left].some(address => able.has(address))) this.#replaced.push(serviceName(before))
  }

  /** The reason that the plan takes too much; undefined where it does not. */
  get brake(): string | undefined {
    const why = this.#why
    return why === undefined ? undefined : `the plan would ${why}; plan with force: true to allow that`
  }

  get #why(): string | undefined {
    const removed = this.#removed, { owned } = this
    if (removed * 2 > owned) {
      const share = removed === owned ? 'all of them' : 'more than half'
      return `remove ${removed} of the ${owned} real servers that it owns, ${share}`
    }
    if (this.#emptied.length > 0) return `leave ${some(this.#emptied)} without a real server that takes connections`
    if (this.#replaced.length > 0) return `replace all real servers of ${some(this.#replaced)} at once`
    return undefined
  }
}

/** The addresses that take connections. A real server that moves to another port stays. */
const addressesOf = (servers: readonly RealServerSettings[]): Set<string> =>
  new Set(servers.filter(({ weight }) => weight > 0).map(({ address }) => address))

const some = ([first, ...more]: readonly string[]): string =>
  more.length === 0 ? first! : `${first!} and ${more.length} more services`
