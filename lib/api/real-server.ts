/** A real server of a virtual service, and the verbs about it. */

import type { CallOptions } from '../../generic-netlink/core.js'
import { send, type Edit } from '../ipvs/apply.js'
import type { RealServerState } from '../ipvs/model.js'
import { findRealServer } from '../ipvs/names.js'
import { checkWeight, readRealServerSettings } from '../ipvs/real-server.js'
import type { Director } from './director.js'
import { drain, restoreSettings, undrain, type DrainOptions, type DrainProgress, type Place } from './drain.js'

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
  async setWeight(weight: number, options?: CallOptions): Promise<void> {
    checkWeight('weight', weight)
    const { ipvs } = this.#director
    await ipvs.lock.exclusive(async () => {
      const edits = (await this.#read(options)).flatMap(({ service, id, state }): Edit[] => {
        // The edit of an absent real server is sent too: the kernel's answer names what is missing.
        const wanted = { ...state ?? ABSENT, ...id, weight }
        const override = ipvs.overrides.get(service, id)
        if (override) ipvs.overrides.declare(service, { ...override.declared, weight })
        return override ? [] : [{ action: 'change', service, server: wanted }]
      })
      await send(ipvs, edits, options)
    })
  }

  /**
   * Takes it out without losing a client, and resolves when its connections have ended: it takes no
   * new connections, its connections stay, and no client is refused, with any scheduler but dh.
   * {@link DrainOptions} names the settings that this needs, and the moment without dh.
   *
   * It stays drained for the lifetime of the process, whatever plans declare, until
   * {@link RealServer.undrain}. For longer, declare its weight 0. After a restart drain it again:
   * the drain continues from the kernel's state.
   *
   * Rejects with {@link DrainError}, or with the signal's reason; it then stays drained.
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
  async drain(options?: DrainOptions): Promise<DrainProgress> {
    return await drain(this.#director.ipvs, this.#places, options)
  }

  /** Takes it back in with its declared weight; where there is none, with that before the drain. */
  async undrain(options?: CallOptions): Promise<void> {
    await undrain(this.#director.ipvs, this.#places, options)
  }

  /**
   * Removes it. Its connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`;
   * {@link RealServer.drain} lets them end first.
   */
  async remove(options?: CallOptions): Promise<void> {
    const { ipvs } = this.#director
    const drained = this.#places.filter(({ service, id }) => ipvs.overrides.get(service, id))
    const present = this.#places.filter(({ service, id }) => ipvs.overrides.get(service, id)?.by !== 'absence')
    await ipvs.lock.exclusive(async () => {
      await send(ipvs, present.map(({ service, id }) => ({ action: 'remove', service, server: id })), options)
      for (const { service, id } of drained) ipvs.overrides.delete(service, id)
      if (drained.length > 0) await restoreSettings(ipvs, drained, options)
    })
  }

  async #read(options?: CallOptions): Promise<(Place & { state: RealServerState | undefined })[]> {
    return await Promise.all(this.#places.map(async ({ service, id }) => {
      const [found] = await this.#director.get(service, options)
      return { service, id, state: found && findRealServer(found.realServers, id) }
    }))
  }
}

/**
 * The settings of an absent real server. With another method than `tunnel` the kernel may refuse
 * the family before it looks for the real server.
 */
const ABSENT = readRealServerSettings({ fwdMethod: 'tunnel' })
