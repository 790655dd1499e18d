/** One virtual service: a spec and its director. */

import type { CallOptions } from '../../generic-netlink/core.js'
import {
  address as checkAddress, anyObject, boolean, callOptions, invalid, openChecks, optionsOf, SpecError, within,
} from '../base/check.js'
import { snapshot } from '../base/snapshot.js'
import { directorFindings, readDirector } from '../diagnose/director.js'
import type { Finding } from '../diagnose/finding.js'
import { diagnoseOptions, type DiagnoseOptions } from '../diagnose/looks.js'
import { edit } from '../ipvs/apply.js'
import { throwFirst } from '../ipvs/client.js'
import { keyAttributes, realServerKey } from '../ipvs/key.js'
import type { RealServerId, Service, ServiceState, VirtualServiceSpec } from '../ipvs/model.js'
import { byName, serviceName } from '../ipvs/names.js'
import { normalize } from '../ipvs/normalize.js'
import { watchOptions, watchTable, type TableChange, type WatchOptions } from '../ipvs/watch.js'
import { directorNetwork } from '../network/director.js'
import { applyChecks, type ApplyOptions, type Plan } from '../plan/plan.js'
import { Director, type DirectorOptions } from './director.js'
import { planServices, servicePlanOptions, type PlanOptions } from './director-plan.js'
import { RealServer } from './real-server.js'

/** Options of {@link VirtualService.open}. */
export interface VirtualServiceOptions extends DirectorOptions {
  /**
   * An open director; it stays open when the service is closed.
   * @defaultValue a new one, closed with the service
   */
  readonly director?: Director
}

const serviceApplyOptions = optionsOf<ApplyOptions & Pick<PlanOptions, 'force'>>({ ...applyChecks, force: boolean })
const serviceOptions = optionsOf<VirtualServiceOptions>({ ...openChecks, director: checkDirector })

function checkDirector(path: string, value: unknown): Director {
  if (!(value instanceof Director)) throw invalid(path, value, 'a Director')
  return value
}

/**
 * A virtual service of this host: a spec, and the verbs about it.
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
 * await dns.apply() // a second apply changes nothing
 * ```
 */
export class VirtualService implements AsyncDisposable {
  readonly spec: VirtualServiceSpec
  readonly #services: readonly Service[]
  readonly #director: Director
  readonly #ownDirector: boolean

  private constructor(spec: VirtualServiceSpec, services: readonly Service[], director: Director, own: boolean) {
    this.spec = spec
    this.#services = services
    this.#director = director
    this.#ownDirector = own
  }

  /**
   * Checks the spec and opens the director; changes nothing.
   * Rejects with SpecError naming the field.
   */
  static async open(
    spec: VirtualServiceSpec, given?: VirtualServiceOptions,
  ): Promise<VirtualService> {
    const services = normalize(spec), { director, ...options } = serviceOptions(given)
    const copy = snapshot(spec)
    return new VirtualService(copy, services, director ?? await Director.open(options), director === undefined)
  }

  /** Lists all virtual services of this host. */
  static async list(given?: VirtualServiceOptions): Promise<ServiceState[]> {
    const { director, ...options } = serviceOptions(given), { signal } = options
    if (director) return await director.list({ signal })
    await using own = await Director.open(options)
    return await own.list({ signal })
  }

  /**
   * Plans the service: the spec's `network`, then the kernel's service of each protocol. Real
   * servers that the spec does not name stay, unless `prune` is set.
   */
  async plan(options?: Omit<PlanOptions, 'owner'>): Promise<Plan> {
    const wanted = byName(this.#services, serviceName), network = directorNetwork(this.spec, this.#services)
    return await planServices(this.#director.ipvs, wanted, { ...servicePlanOptions(options), network })
  }

  /**
   * Applies {@link VirtualService.plan}. Sends nothing where nothing differs. Connections stay.
   * Rejects with {@link BrakeError} where no real server would take connections any more, unless
   * `force` is set.
   */
  async apply(given?: ApplyOptions & Pick<PlanOptions, 'force'>): Promise<void> {
    const { force = false, ...options } = serviceApplyOptions(given)
    await (await this.plan({ force, signal: options.signal })).apply(options)
  }

  /**
   * Finds the faults of this host as the service's director, and changes nothing. Each has its
   * consequence for clients and a repairing plan, or advice. A fault that follows from another is
   * left out; one that shows only after a repair is found by the next diagnosis. Empty means sound,
   * as far as this host knows: `observe` also looks for packets that are lost on their way.
   */
  async diagnose(given?: DiagnoseOptions): Promise<Finding[]> {
    const options = diagnoseOptions(given)
    const { ipvs } = this.#director
    const services = this.#services.map(service => ipvs.overrides.service(service))
    const read = (): Promise<ServiceState[]> => this.state({ signal: options.signal })
    const facts = await readDirector(ipvs, this.spec, services, read, options)
    return directorFindings(this.spec, services, facts)
  }

  /** Reads the kernel's services: one for each protocol, as far as they exist. */
  async state(options?: CallOptions): Promise<ServiceState[]> {
    return (await Promise.all(this.#services.map(service => this.#director.get(service, options)))).flat()
  }

  /**
   * Yields the service's changes from now on, as {@link Director.watch} does.
   *
   * @example
   * ```ts
   * import { serviceName, VirtualService } from 'ipvs-nl'
   *
   * await using dns = await VirtualService.open({
   *   vip: '192.168.50.100', port: 53, protocols: ['udp', 'tcp'], realServers: ['192.168.52.100'],
   * })
   * for await (const { action, service, server } of dns.watch({ interval: 500 })) {
   *   console.log(action, serviceName(service), server?.address, server?.activeConnections)
   * }
   * ```
   */
  watch(options?: WatchOptions): AsyncGenerator<TableChange, never, undefined> {
    return watchTable(this.#director.ipvs, this.#services, watchOptions(options))
  }

  /** A real server in all services. The port is optional where the spec names the address once. */
  realServer(server: string | RealServerId): RealServer {
    const { address: given, port } = typeof server === 'string' ? { address: server } : anyObject('realServer', server)
    const address = checkAddress('realServer.address', given)
    return new RealServer(this.#director, this.#services.map(service => {
      const declared = service.realServers.filter(each => each.address === address)
      if (port === undefined && declared.length > 1) {
        const ports = declared.map(each => each.port).join(', ')
        throw new SpecError('realServer.port', `${address} is declared with ports ${ports}; name one`)
      }
      const id = { address, port: port ?? declared[0]?.port }
      return { service, declared: service, id: within('realServer', () => realServerKey(id, service)) }
    }))
  }

  /** Sets the counters of the service and of its real servers to zero. */
  async zero(options?: CallOptions): Promise<void> {
    const commands = this.#services.map(service => ['zero', { service: keyAttributes(service) }] as const)
    throwFirst(await this.#director.ipvs.attempt(commands, callOptions(options)))
  }

  /** Removes the service with all its real servers, and ends their drains. */
  async remove(options?: CallOptions): Promise<void> {
    const edits = this.#services.map(service => ({ action: 'remove' as const, service }))
    await edit(this.#director.ipvs, edits, callOptions(options))
  }

  /** Closes the sockets; the kernel keeps the service. */
  async close(): Promise<void> { if (this.#ownDirector) await this.#director.close() }

  /** {@link VirtualService.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}
