/** A real server of a virtual service, and the verbs about it. */

import type { CallOptions } from '../../generic-netlink/core.js'
import { callOptions } from '../base/check.js'
import { edit, send, type Edit } from '../ipvs/apply.js'
import type { RealServerSettings, RealServerState } from '../ipvs/model.js'
import { findRealServer } from '../ipvs/names.js'
import { checkWeight, readRealServerSettings } from '../ipvs/real-server.js'
import type { Director } from './director.js'
import { drain, undrain } from './drain.js'
import { declarationOf, type Place } from './drain-begin.js'
import type { Draining, DrainOptions } from './drain-options.js'

/** A real server of a virtual service, in the services of all its protocols. */
export class RealServer {
  readonly #director: Director
  readonly #places: readonly Place[]

  /** @internal */
  constructor(director: Director, places: readonly Place[]) {
    this.#director = director
    this.#places = places
  }

  /** Reads its states: one for each service that has it. */
  async state(options?: CallOptions): Promise<RealServerState[]> {
    return (await this.#read(options)).flatMap(({ state }) => state ?? [])
  }

  /**
   * Sets its weight, 0 to 2147483647; its other settings stay. At 0 it takes no new connections,
   * and its connections stay; but the schedulers sh, dh and mh then refuse their clients, and
   * persistent clients and UDP flows stay: {@link RealServer.drain} handles them. During a drain
   * the weight is stored for {@link RealServer.undrain}.
   */
  async setWeight(weight: number, given?: CallOptions): Promise<void> {
    checkWeight('weight', weight)
    const options = callOptions(given)
    const { ipvs } = this.#director, { overrides } = ipvs
    await ipvs.lock.exclusive(async () => {
      const found = (await this.#read(options)).map(place =>
        ({ ...place, drained: overrides.get(place.service, place.id)?.declared ?? drainOf(place) }))
      // The edit of an absent real server is sent too: the kernel's answer names what is missing.
      await send(ipvs, found.filter(({ drained }) => !drained).map(({ service, id, state }): Edit =>
        ({ action: 'change', service, server: { ...state ?? ABSENT, ...id, weight } })), options)
      for (const { service, declared = service, drained } of found) {
        if (drained) overrides.took({ action: 'change', service: declared, server: { ...drained, weight } })
      }
    })
  }

  /**
   * Takes it out without losing a client, and resolves when its connections have ended: it takes no
   * new connections, its connections stay, and no client is refused, with any scheduler but dh. The
   * promise's `out` resolves before, when it takes no new connections.
   * {@link DrainOptions} names the settings that this needs, and the moment without dh.
   *
   * It stays drained for the lifetime of the process, whatever plans declare and whichever director
   * asks, until {@link RealServer.undrain}, or its removal. What the drain replaced comes back when
   * the last drain of the service ends. For longer, declare `drain: true`. After a restart drain it
   * again: the drain continues from the kernel's state.
   *
   * Where a step of the beginning is refused, everything is as before. A later {@link DrainError},
   * or the signal's reason, ends the waiting alone: its weight stays 0, unless it was undrained or
   * removed, or another program overruled the drain.
   *
   * @example
   * ```ts
   * import { VirtualService } from 'ipvs-nl'
   *
   * await using web = await VirtualService.open({
   *   vip: '192.0.2.1', port: 80, protocols: ['tcp'],
   *   realServers: ['198.51.100.1', '198.51.100.2'],
   * })
   * const server = web.realServer('198.51.100.2')
   * await server.drain({
   *   deadline: 60_000,
   *   progress: ({ activeConnections }) => console.log(`${activeConnections} left`),
   * })
   * await server.remove()
   * ```
   */
  drain(options?: DrainOptions): Draining { return drain(this.#director.ipvs, this.#places, options) }

  /**
   * Takes it back in, with the weight that was declared or set last; where there is none, with that
   * before the drain. Ends a pending {@link RealServer.drain} with the code `undrained`. Where the
   * service is missing, it counts when the service returns. Rejects with the code `declared` where
   * the spec declares the drain.
   */
  async undrain(options?: CallOptions): Promise<void> {
    await undrain(this.#director.ipvs, this.#places, callOptions(options))
  }

  /**
   * Removes it. Its connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`;
   * {@link RealServer.drain} lets them end first.
   */
  async remove(options?: CallOptions): Promise<void> {
    await edit(this.#director.ipvs, this.#places.map(({ service, id }) =>
      ({ action: 'remove', service, server: id })), callOptions(options))
  }

  async #read(options?: CallOptions): Promise<(Place & { state: RealServerState | undefined })[]> {
    return await Promise.all(this.#places.map(async place => {
      const [found] = await this.#director.get(place.service, options)
      return { ...place, state: found && findRealServer(found.realServers, place.id) }
    }))
  }
}

/** A real server whose drain is declared, as declared. */
const drainOf = (place: Place): RealServerSettings | undefined => {
  const declared = declarationOf(place)
  return declared?.drain ? declared : undefined
}

/**
 * The settings of an absent real server. With another method than `tunnel` the kernel may refuse
 * the family before it looks for the real server.
 */
const ABSENT = readRealServerSettings({ fwdMethod: 'tunnel' })
