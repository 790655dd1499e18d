/** The wanted services compared with the actual ones. Pure, and linear. */

import { Losses } from './brake.js'
import { Changes, type Change } from './changes.js'
import { ServerMatcher } from './match.js'
import type { Service } from './model.js'
import { byName, serviceName } from './names.js'
import { Overrides } from './overrides.js'
import { sameRealServer } from './real-server.js'
import { withFallback } from './schedulers.js'
import { sameSettings } from './service.js'

/** The removals that a comparison may plan. */
export interface Pruning {
  /** Removes real servers of wanted services that are not wanted. @defaultValue false */
  readonly prune?: boolean
  /** Whether `prune` removes an unwanted service with its real servers. @defaultValue none */
  readonly owned?: (service: Service) => boolean
  /** The overrides with which the changes will be combined. @defaultValue none */
  readonly overrides?: Overrides
}

/**
 * The changes from the actual to the wanted services, in an order that refuses no client:
 * services before their real servers, additions of capacity before reductions, and real
 * servers before services.
 */
export function differences(wanted: readonly Service[], actual: readonly Service[], pruning?: Pruning): Change[] {
  const comparison = new Comparison(pruning)
  const present = byName(actual, serviceName)
  for (const service of wanted) {
    const name = serviceName(service)
    comparison.compare(service, present.get(name))
    present.delete(name)
  }
  for (const state of present.values()) comparison.unwanted(state)
  return [...comparison.finish()]
}

/** {@link differences}, service by service: equal services need not stay in memory. */
export class Comparison {
  readonly #prune: boolean
  readonly #isOwned: (service: Service) => boolean
  readonly #overrides: Overrides
  readonly #changes = new Changes()
  readonly #removals: Change[] = []
  /** What the changes take away. */
  readonly losses = new Losses()

  constructor({ prune = false, owned = () => false, overrides = new Overrides() }: Pruning = {}) {
    this.#prune = prune
    this.#isOwned = owned
    this.#overrides = overrides
  }

  /** Compares a wanted service with the actual one. */
  compare(service: Service, state: Service | undefined): void {
    if (state) this.#compareWith(state, service)
    else this.#changes.pushAll(service)
  }

  /** Plans the removal of an actual service that is not wanted. */
  unwanted(state: Service): void {
    if (!this.#isOwned(state)) return
    this.losses.owned += state.realServers.length
    if (!this.#prune) return
    const service = this.#overrides.declared(state)
    this.#removals.push({ action: 'remove', service, before: service })
    this.losses.remove(state)
  }

  /**
   * With overrides or declared drains, compares the effective settings with the actual ones, and
   * the declared ones with those before. The changes hold what is declared.
   */
  #compareWith(state: Service, service: Service): void {
    const changes = this.#changes, weaker: Change[] = []
    const out = this.#overrides.concerns(service) ? this.#overrides : undefined
    this.losses.owned += state.realServers.length
    const equal = sameSettings(out ? out.settings(service) : service, state) && !out?.redeclares(service)
    // Settings with which a real server of weight 0 refuses clients go after the weights.
    const late = !equal && sameSettings(withFallback(service), state)
    const was = out ? out.declared(state) : state
    const settings: Change = { action: 'change', service, before: was }
    if (!equal && !late) changes.push(settings)
    const servers = new ServerMatcher(state.realServers), absent = out && new ServerMatcher(out.absent(state))
    let added = 0
    for (const server of service.realServers) {
      const actual = servers.take(server), before = actual ?? absent?.take(server)
      const weight = out ? out.server(service, server)?.weight ?? 0 : server.weight
      if (!before) {
        changes.push({ action: 'add', service, server })
        if (weight > 0) added++
      } else if (out ? out.differs(service, server, actual) : !sameRealServer(server, before)) {
        const change: Change = out ? out.change(service, server, before, was)
          : { action: 'change', service, server, before, was }
        if (weight < before.weight) weaker.push(change)
        else changes.push(change)
      }
    }
    for (const change of weaker) changes.push(change)
    if (late) changes.push(settings)
    const unnamed = this.#prune || weaker.length > 0 ? servers.rest() : []
    const removed = this.#prune ? unnamed.length : 0
    if (weaker.length > 0 || removed > 0) {
      const after = service.realServers.flatMap(server => (out ? out.server(service, server) : server) ?? [])
      this.losses.change(state, this.#prune ? after : [...after, ...unnamed], { added, removed })
    }
    if (!this.#prune) return
    for (const server of unnamed) {
      this.#removals.push(out ? out.removal(was, server) : { action: 'remove', service: was, server, before: server })
    }
    for (const server of absent?.rest() ?? []) {
      this.#removals.push({ action: 'remove', service: was, server, before: server })
    }
  }

  /** All changes, after the last comparison. */
  finish(): Changes {
    for (const removal of this.#removals) this.#changes.push(removal)
    return this.#changes
  }
}
