/** One virtual service: a spec, and the director that it is for. */

import type { CallOptions } from '../../generic-netlink/index.js'
import type { Finding } from '../diagnose/finding.js'
import { directorFindings, readDirector } from '../diagnose/director.js'
import { Director, type DirectorOptions } from './director.js'
import { directorNetwork } from '../network/director.js'
import { drain, restore, undrain, type DrainOptions, type DrainProgress, type Place } from './drain.js'
import type { IpvsCommand } from '../ipvs/client.js'
import {
  byName, findRealServer, serviceName, type RealServerId, type RealServerState, type Service, type ServiceState, type VirtualServiceSpec,
} from '../ipvs/model.js'
import type { ApplyOptions, Plan } from '../plan/plan.js'
import { integer, within } from '../base/check.js'
import { planServices, type PlanOptions } from './table-plan.js'
import { normalize, realServerId } from '../ipvs/normalize.js'
import { watchTable, type TableChange, type WatchOptions } from '../ipvs/watch.js'
import { destinationAttributes, destinationKey, keyAttributes } from '../ipvs/attributes.js'

/** Options of {@link VirtualService.open}. */
export interface VirtualServiceOptions extends DirectorOptions {
  /** A director that is open already; it stays open when the service is closed. @defaultValue one of its own */
  readonly director?: Director
}

/**
 * A virtual service on this host: what it should be, and the verbs to make it so.
 *
 * @example
 * ```ts
 * import { VirtualService } from 'ipvs-nl'
 *
 * await using dns = await VirtualService.open({
 *   vip: '192.168.50.100', port: 53, protocols: ['udp', 'tcp'],
 *   scheduler: 'rr', forward: 'tunnel',
 *   realServers: ['192.168.52.100', '192.168.52.101'],
 * })
 * await dns.apply() // makes it so; again changes nothing
 * ```
 */
export class VirtualService implements AsyncDisposable {
  /** What was declared. */
  readonly spec: VirtualServiceSpec
  readonly #services: readonly Service[]
  readonly #director: Director
  readonly #ownDirector: boolean

  private constructor(spec: VirtualServiceSpec, services: readonly Service[], director: Director, ownDirector: boolean) {
    this.spec = spec
    this.#services = services
    this.#director = director
    this.#ownDirector = ownDirector
  }

  /** Checks the spec and opens the director; changes nothing. Rejects with TypeError or RangeError naming the field. */
  static async open(spec: VirtualServiceSpec, { director, ...options }: VirtualServiceOptions = {}): Promise<VirtualService> {
    const services = normalize(spec)
    return new VirtualService(spec, services, director ?? await Director.open(options), director === undefined)
  }

  /** All virtual services of this host. */
  static async list({ director, ...options }: VirtualServiceOptions = {}): Promise<ServiceState[]> {
    if (director) return await director.list(options)
    await using own = await Director.open(options)
    return await own.list(options)
  }

  /**
   * What must change for the kernel to have it: what its `network` asks for, then what is missing or otherwise in the
   * kernel's service of each protocol. Real servers that the spec does not name stay, unless `prune` is set.
   */
  async plan(options?: Omit<PlanOptions, 'owner'>): Promise<Plan> {
    return await planServices(this.#director.ipvs, byName(this.#services, serviceName), { ...options, network: directorNetwork(this.spec, this.#services) })
  }

  /** Makes it so: {@link VirtualService.plan}, applied. Sends nothing where nothing differs. Live connections stay. */
  async apply(options?: ApplyOptions): Promise<void> {
    await (await this.plan(options)).apply(options)
  }

  /**
   * What is wrong with this host as its director, why a client would fail for it, and what mends it; empty where nothing is
   * found. Changes nothing. What only follows from something else is not said again.
   */
  async diagnose(options?: CallOptions): Promise<Finding[]> {
    return directorFindings(this.spec, this.#services, await readDirector(this.#services, await this.state(options), options))
  }

  /** What the kernel has of it: a state per protocol, none for those that are not there. */
  async state(options?: CallOptions): Promise<ServiceState[]> {
    return (await Promise.all(this.#services.map(service => this.#director.get(service, options)))).flat()
  }

  /**
   * What changes in it from now on, by looking again and again: more seldom while nothing changes, and never twice at once.
   * Ends by throwing the signal's reason.
   *
   * @example
   * ```ts
   * import { serviceName, VirtualService } from 'ipvs-nl'
   *
   * await using dns = await VirtualService.open({ vip: '192.168.50.100', port: 53, protocols: ['udp', 'tcp'], realServers: ['192.168.52.100'] })
   * for await (const { action, service, server } of dns.watch({ interval: 500 })) {
   *   console.log(action, serviceName(service), server?.address, server?.activeConnections)
   * }
   * ```
   */
  watch(options?: WatchOptions): AsyncGenerator<TableChange, never, undefined> { return watchTable(this.#director.ipvs, this.#services, options) }

  /** One of its real servers, in the services of all its protocols. Where the spec names the address once, it need not be told the port. */
  realServer(server: string | RealServerId): RealServerHandle {
    const { address, port }: RealServerId = typeof server === 'string' ? { address: server } : server
    return new RealServerHandle(this.#director, this.#services.map(service => {
      const declared = service.realServers.filter(each => each.address === address)
      if (port === undefined && declared.length > 1) {
        throw new TypeError(`realServer.port: ${address} is declared with ports ${declared.map(each => each.port).join(', ')}; say which`)
      }
      return { service, id: within('realServer', () => realServerId({ address, port: port ?? declared[0]?.port }, service)) }
    }))
  }

  /** Sets its counters and those of its real servers to zero. */
  async zero(options?: CallOptions): Promise<void> {
    await this.#director.run(this.#services.map(service => ['zero', { service: keyAttributes(service) }]), options)
  }

  /** Removes it with all its real servers. */
  async remove(options?: CallOptions): Promise<void> {
    for (const service of this.#services) this.#director.ipvs.drains.clear(service)
    await this.#director.run(this.#services.map(service => ['delService', { service: keyAttributes(service) }]), options)
  }

  /** Closes the sockets; the kernel keeps the service. */
  async close(): Promise<void> {
    if (this.#ownDirector) await this.#director.close()
  }

  /** {@link VirtualService.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}

/** A real server of a virtual service, in the services of all its protocols. */
export class RealServerHandle {
  readonly #director: Director
  readonly #places: readonly Place[]

  /** @internal */
  constructor(director: Director, places: readonly Place[]) {
    this.#director = director
    this.#places = places
  }

  /** What the kernel has of it: a state for each service that has it. */
  async state(options?: CallOptions): Promise<RealServerState[]> {
    return (await this.#read(options)).flatMap(({ state }) => state ?? [])
  }

  /**
   * Sets its weight, 0 to 2147483647, and leaves all else as it is. At 0 it gets no new connections, and those it has
   * live; but the schedulers sh, dh and mh refuse their clients then, and persistent clients and UDP flows stay:
   * {@link RealServerHandle.drain} sees to that. While it is drained, it takes the weight when it is undrained.
   */
  async setWeight(weight: number, options?: CallOptions): Promise<void> {
    integer('weight', weight, 0, 0x7fffffff)
    const { ipvs } = this.#director
    await ipvs.turns.alone(async () => {
      const commands = (await this.#read(options)).flatMap(({ service, id, state }): IpvsCommand[] => {
        // A server that is not there is asked for by its name alone, so that the kernel's answer tells what is missing.
        const wanted = { ...state ?? ABSENT, ...id, weight }
        const drained = ipvs.drains.get(service, id)
        if (drained) ipvs.drains.add(service, { ...drained.server, weight }, drained.by)
        return drained ? [] : [['setDest', { service: keyAttributes(service), dest: destinationAttributes(wanted) }]]
      })
      await ipvs.run(commands, options)
    })
  }

  /**
   * Takes it out without losing a client, and resolves when its connections have ended: it gets no new ones, those it has
   * live, and no client is refused, whatever the scheduler. What must be set for that is set, or refused: see {@link DrainOptions}.
   *
   * It stays drained for as long as the process lives, whatever plans say, until {@link RealServerHandle.undrain}; to have it so
   * for good, declare its weight 0. After a restart drain it again: it goes on from what the kernel has.
   *
   * Rejects with {@link DrainError}; with the signal's reason, when it goes on being drained.
   *
   * @example
   * ```ts
   * import { VirtualService } from 'ipvs-nl'
   *
   * await using web = await VirtualService.open({ vip: '192.0.2.1', port: 80, protocols: ['tcp'], realServers: ['198.51.100.1', '198.51.100.2'] })
   * const server = web.realServer('198.51.100.2')
   * await server.drain({ deadline: 60_000, progress: ({ activeConnections }) => console.log(`${activeConnections} left`) })
   * await server.remove()
   * ```
   */
  async drain(options?: DrainOptions): Promise<DrainProgress> {
    return await drain(this.#director.ipvs, this.#places, options)
  }

  /** Takes it back in after a drain: with the weight that is declared, or, where none is, with the one that it had. */
  async undrain(options?: CallOptions): Promise<void> {
    await undrain(this.#director.ipvs, this.#places, options)
  }

  /** Removes it. Its connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`; {@link RealServerHandle.drain} first lets them end. */
  async remove(options?: CallOptions): Promise<void> {
    const { ipvs } = this.#director
    const drained = this.#places.filter(({ service, id }) => ipvs.drains.get(service, id))
    const there = this.#places.filter(({ service, id }) => ipvs.drains.get(service, id)?.by !== 'absence')
    await ipvs.turns.alone(async () => {
      await ipvs.run(there.map(({ service, id }) => ['delDest', { service: keyAttributes(service), dest: destinationKey(id) }]), options)
      for (const { service, id } of drained) ipvs.drains.delete(service, id)
      if (drained.length > 0) await restore(ipvs, drained, options)
    })
  }

  async #read(options?: CallOptions): Promise<(Place & { state: RealServerState | undefined })[]> {
    return await Promise.all(this.#places.map(async ({ service, id }) => {
      const [found] = await this.#director.get(service, options)
      return { service, id, state: found && findRealServer(found.realServers, id) }
    }))
  }
}

const ABSENT = { forward: 'tunnel', thresholds: { upper: 0, lower: 0 } } as const
