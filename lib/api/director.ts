/** The IPVS table of this host. */

import type { CallOptions, ConnectionOptions } from '../../generic-netlink/index.js'
import { connections, type ConnectionFilter, type ConnectionListOptions } from '../proc/connections.js'
import type { ConnectionState } from '../proc/connection-rows.js'
import { IpvsClient, throwFirst, type IpvsCommand } from '../ipvs/client.js'
import type { RealServerId, RealServerSettings, RealServerSpec, ServiceId, ServiceKey, ServiceSpec, ServiceState, VirtualServiceSpec } from '../ipvs/model.js'
import type { Plan } from '../plan/plan.js'
import { formatRules } from '../ipvs/rules/format.js'
import { daemonAttributes, readDaemon, type SyncDaemonSpec, type SyncDaemonState } from '../ipvs/sync-daemon.js'
import { oneOf, within } from '../base/check.js'
import { readFromTable, readTable } from '../ipvs/read.js'
import { planTable, type DirectorSpec, type PlanOptions } from './table-plan.js'
import { readTimeouts, timeoutAttributes, type Timeouts } from '../ipvs/timeouts.js'
import { normalize, normalizeRealServer, normalizeService, realServerId, serviceKeys } from '../ipvs/normalize.js'
import { watchTable, type TableChange, type WatchOptions } from '../ipvs/watch.js'
import { destinationAttributes, destinationKey, keyAttributes, serviceAttributes } from '../ipvs/attributes.js'

/** What the kernel says of its IPVS. */
export interface DirectorInfo {
  /** `1.2.1` */
  version: string
  /** Buckets of the connection table. */
  connectionTableSize: number
}

/** Options of {@link Director.open}. */
export interface DirectorOptions extends CallOptions, ConnectionOptions {}

/**
 * The IPVS table of this host's network namespace.
 *
 * Every method rejects with a {@link NetlinkError} that says what was asked of which object, why the kernel refused, and
 * what to do; and with a TypeError or RangeError that names the field, before anything is sent, where a spec is wrong.
 *
 * @example
 * ```ts
 * import { Director } from 'ipvs-nl'
 *
 * await using director = await Director.open() // without `using`: try { … } finally { await director.close() }
 * await director.addService({ vip: '192.0.2.1', port: 80, protocols: ['tcp'], realServers: ['198.51.100.1', '198.51.100.2'] })
 * console.log(await director.save())
 * ```
 */
export class Director implements AsyncDisposable {
  /** @internal */
  readonly ipvs: IpvsClient

  private constructor(ipvs: IpvsClient) { this.ipvs = ipvs }

  /** Opens the table. The kernel loads its module ip_vs if it must. Rejects with `ENOENT` where there is none. */
  static async open(options?: DirectorOptions): Promise<Director> {
    return new Director(await IpvsClient.open(options))
  }

  /** The kernel's version of IPVS and the size of its connection table. */
  async info(options?: CallOptions): Promise<DirectorInfo> {
    const { version = 0, connTabSize = 0 } = await this.ipvs.call('getInfo', {}, options)
    return { version: [version >> 16, version >> 8 & 255, version & 255].join('.'), connectionTableSize: connTabSize }
  }

  // ── reading ──

  /** All services with their real servers and counters. */
  async list(options?: CallOptions): Promise<ServiceState[]> {
    const services: ServiceState[] = []
    for await (const service of this.services(options)) services.push(service)
    return services
  }

  /** All services with their real servers and counters, one after the other, without holding them all. */
  services(options?: CallOptions): AsyncGenerator<ServiceState, void, undefined> { return readTable(this.ipvs, options) }

  /** The services that an id stands for, as far as they exist. */
  async get(id: ServiceId | ServiceKey, options?: CallOptions): Promise<ServiceState[]> {
    const found = await Promise.all(serviceKeys(id).map(key => readFromTable(this.ipvs, key, options)))
    return found.filter(state => state !== undefined)
  }

  /**
   * What changes in the table from now on, by looking again and again: the kernel tells nobody. Looks more seldom while nothing
   * changes, and never twice at once. Ends by throwing the signal's reason.
   */
  watch(options?: WatchOptions): AsyncGenerator<TableChange, never, undefined> { return watchTable(this.ipvs, undefined, options) }

  /** The connections through this director, without holding them all: see {@link connections}. */
  connections(filter?: ConnectionFilter, options?: ConnectionListOptions): AsyncGenerator<ConnectionState, void, undefined> {
    return connections(filter, options)
  }

  // ── plans ──

  /**
   * What must change for the kernel to have these services, or all of a {@link DirectorSpec}; empty where it has.
   *
   * What the specs do not name stays, real servers of their services included; `prune` and `owner` say what else goes.
   * Connections live on: what can be changed is changed and never made anew, capacity is added before any is taken away.
   *
   * @example
   * ```ts
   * import { Director, parseRules } from 'ipvs-nl'
   *
   * await using director = await Director.open()
   * const plan = await director.plan(parseRules('-A -t 192.0.2.1:80 -s rr'), { prune: true, owner: '192.0.2.0/24' })
   * console.log(`${plan}`, plan.counts)
   * await plan.apply({ progress: ({ done, total }) => console.log(`${done} of ${total}`) })
   * ```
   */
  async plan(wanted: readonly VirtualServiceSpec[] | DirectorSpec, options?: PlanOptions): Promise<Plan> {
    return await planTable(this.ipvs, wanted, options)
  }

  // ── services ──

  /** Adds services with their real servers. Rejects with `EEXIST` where one is there; its real servers are left alone then. */
  async addService(spec: VirtualServiceSpec, options?: CallOptions): Promise<void> {
    const services = normalize(spec)
    const { ipvs } = this
    await ipvs.turns.beside(async () => {
      const errors = await ipvs.attempt(services.map(service => ['newService', { service: serviceAttributes(ipvs.drains.settings(service)) }]), options)
      const servers = services.filter((_, i) => errors[i] === undefined).flatMap(service => service.realServers.map(server => ({ service, server })))
      throwFirst([...errors, ...await ipvs.attempt(servers.map(({ service, server }) => this.#server('newDest', service, server)), options)])
    })
  }

  /** Changes services to what the spec says; what it leaves out gets its default. Connections, counters and real servers stay. */
  async changeService(spec: ServiceSpec, options?: CallOptions): Promise<void> {
    await this.run(normalizeService(spec).map(service => ['setService', { service: serviceAttributes(this.ipvs.drains.settings(service)) }]), options)
  }

  /** Removes services with their real servers. Their connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`. */
  async removeService(id: ServiceId | ServiceKey, options?: CallOptions): Promise<void> {
    await this.run(serviceKeys(id).map(key => {
      this.ipvs.drains.clear(key)
      return ['delService', { service: keyAttributes(key) }]
    }), options)
  }

  // ── real servers ──

  /** Adds a real server, of weight 1 and by `route` where it does not say otherwise. One that is being drained is so no longer. */
  async addRealServer(id: ServiceId | ServiceKey, server: string | RealServerSpec, options?: CallOptions): Promise<void> {
    await this.run(this.#places(id, server).map(({ service, server }) => {
      this.ipvs.drains.delete(service, server)
      return this.#server('newDest', service, server)
    }), options)
  }

  /** Changes a real server to what the spec says; what it leaves out gets its default. Its connections and counters stay. Drained, it keeps weight 0. */
  async changeRealServer(id: ServiceId | ServiceKey, server: string | RealServerSpec, options?: CallOptions): Promise<void> {
    await this.run(this.#places(id, server).map(({ service, server }) => this.#server('setDest', service, server)), options)
  }

  /** Removes a real server. Its connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`; weight 0 first lets them end. */
  async removeRealServer(id: ServiceId | ServiceKey, server: string | RealServerId, options?: CallOptions): Promise<void> {
    await this.run(serviceKeys(id).map(key => {
      const { address, port } = within('server', () => realServerId(typeof server === 'string' ? { address: server } : server, key))
      this.ipvs.drains.delete(key, { address, port })
      return ['delDest', { service: keyAttributes(key), dest: destinationKey({ address, port }) }]
    }), options)
  }

  /** A real server in each of the services that an id stands for. */
  #places(id: ServiceId | ServiceKey, server: string | RealServerSpec): { service: ServiceKey; server: RealServerSettings }[] {
    return serviceKeys(id).map(service => ({ service, server: within('server', () => normalizeRealServer(server, service)) }))
  }

  #server(command: 'newDest' | 'setDest', service: ServiceKey, server: RealServerSettings): IpvsCommand {
    return [command, { service: keyAttributes(service), dest: destinationAttributes(this.ipvs.drains.server(service, server) ?? server) }]
  }

  // ── the table as a whole ──

  /** How long connections are kept, in seconds. */
  async timeouts(options?: CallOptions): Promise<Timeouts> {
    return readTimeouts(await this.ipvs.call('getConfig', {}, options))
  }

  /** Sets timeouts in seconds, 1 to 2678400 (31 days); those left out, or 0, stay. Connections take them at their next packet. */
  async setTimeouts(timeouts: Partial<Timeouts>, options?: CallOptions): Promise<void> {
    await this.ipvs.call('setConfig', timeoutAttributes(timeouts), options)
  }

  /** The synchronisation daemons that run: none, one, or a master and a backup. */
  async syncDaemons(options?: CallOptions): Promise<SyncDaemonState[]> {
    return await this.ipvs.dump('getDaemon', {}, ({ daemon = {} }) => readDaemon(daemon), options)
  }

  /** Starts a synchronisation daemon. */
  async startSyncDaemon(spec: SyncDaemonSpec, options?: CallOptions): Promise<void> {
    await this.ipvs.call('newDaemon', { daemon: daemonAttributes(spec) }, options)
  }

  /** Stops the master or the backup. */
  async stopSyncDaemon(state: SyncDaemonSpec['state'], options?: CallOptions): Promise<void> {
    await this.ipvs.call('delDaemon', { daemon: { state: oneOf('state', state, ['master', 'backup']) } }, options)
  }

  /** Sets the counters of some services and their real servers to zero; without an id, all counters and the totals. */
  async zero(id?: ServiceId | ServiceKey, options?: CallOptions): Promise<void> {
    await this.run(id === undefined ? [['zero', {}]] : serviceKeys(id).map(key => ['zero', { service: keyAttributes(key) }]), options)
  }

  /** Removes all services and real servers of this network namespace. Timeouts and sync daemons stay. */
  async flush(options?: CallOptions): Promise<void> {
    this.ipvs.drains.clear()
    await this.ipvs.call('flush', {}, options)
  }

  /** All services as text for `parseRules`; `strict`: as `ipvsadm -S -n` prints them, with what that loses (thresholds, above all). */
  async save({ strict = false, signal }: CallOptions & { strict?: boolean } = {}): Promise<string> {
    return formatRules(await this.list({ signal }), { strict })
  }

  /** Closes the sockets; the kernel keeps its table. What is pending rejects with `ECANCELED`. */
  close(): Promise<void> {
    this.ipvs.close()
    return Promise.resolve()
  }

  /** {@link Director.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }

  /**
   * Sends commands together and rejects with the first error; the others are still carried out.
   * @internal
   */
  async run(commands: readonly IpvsCommand[], options?: CallOptions): Promise<void> {
    await this.ipvs.turns.beside(() => this.ipvs.run(commands, options))
  }
}
