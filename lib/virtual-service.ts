/** One virtual service: a spec, and the director that it is for. */

import type { CallOptions } from '../generic-netlink/index.js'
import type { Finding } from './diagnose.js'
import { directorFindings, readDirector } from './diagnose-director.js'
import { Director, type DirectorOptions } from './director.js'
import { directorNetwork } from './director-network.js'
import type { RealServerId, RealServerState, Service, ServiceKey, ServiceState, VirtualServiceSpec } from './model.js'
import type { ApplyOptions, Plan } from './plan.js'
import { integer } from './fields.js'
import { planServices, type PlanOptions } from './table-plan.js'
import { normalize, realServerId } from './validate.js'
import { destinationAttributes, destinationKey, keyAttributes } from './wire.js'

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
    return await planServices(this.#director.ipvs, this.#services, { ...options, network: directorNetwork(this.spec, this.#services) })
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

  /** One of its real servers, in the services of all its protocols. Where the spec names the address once, it need not be told the port. */
  realServer(server: string | RealServerId): RealServerHandle {
    const { address, port }: RealServerId = typeof server === 'string' ? { address: server } : server
    return new RealServerHandle(this.#director, this.#services.map(service => {
      const declared = service.realServers.filter(each => each.address === address)
      if (port === undefined && declared.length > 1) {
        throw new TypeError(`realServer.port: ${address} is declared with ports ${declared.map(each => each.port).join(', ')}; say which`)
      }
      return { service, id: realServerId('realServer', { address, port: port ?? declared[0]?.port }, service) }
    }))
  }

  /** Sets its counters and those of its real servers to zero. */
  async zero(options?: CallOptions): Promise<void> {
    await this.#director.run(this.#services.map(service => ['zero', { service: keyAttributes(service) }]), options)
  }

  /** Removes it with all its real servers. */
  async remove(options?: CallOptions): Promise<void> {
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
   * live; but the schedulers sh, dh and mh refuse their clients then, unless the fallback flag is set.
   */
  async setWeight(weight: number, options?: CallOptions): Promise<void> {
    integer('weight', weight, 0, 0x7fffffff)
    const places = await this.#read(options)
    await this.#director.run(places.map(({ service, id, state }) => [
      // A server that is not there is asked for by its name alone, so that the kernel's answer tells what is missing.
      'setDest', { service: keyAttributes(service), dest: destinationAttributes({ ...state ?? ABSENT, ...id, weight }) },
    ]), options)
  }

  /** Removes it. Its connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`; weight 0 first lets them end. */
  async remove(options?: CallOptions): Promise<void> {
    await this.#director.run(this.#places.map(({ service, id }) => ['delDest', { service: keyAttributes(service), dest: destinationKey(id) }]), options)
  }

  async #read(options?: CallOptions): Promise<(Place & { state: RealServerState | undefined })[]> {
    return await Promise.all(this.#places.map(async ({ service, id }) => {
      const [found] = await this.#director.get(service, options)
      return { service, id, state: found?.realServers.find(each => each.address === id.address && each.port === id.port) }
    }))
  }
}

/** Where a real server stands: a service, and what it is known by there. */
interface Place {
  readonly service: ServiceKey
  readonly id: { readonly address: string; readonly port: number }
}

const ABSENT = { forward: 'tunnel', thresholds: { upper: 0, lower: 0 } } as const
