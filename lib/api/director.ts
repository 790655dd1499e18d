/** The IPVS table of this host: the Director. */

import type { CallOptions, ConnectionOptions } from '../../generic-netlink/core.js'
import {
  abortSignal, anyObject, boolean, callOptions, openOptions, optionsOf, SpecError, within,
} from '../base/check.js'
import { attempt, edit, flush } from '../ipvs/apply.js'
import { IpvsClient, throwFirst } from '../ipvs/client.js'
import { keyAttributes, realServerKey, serviceKeys } from '../ipvs/key.js'
import type {
  RealServerId, RealServerSettings, RealServerSpec, ServiceId, ServiceKey, ServiceSpec, ServiceState,
  VirtualServiceSpec,
} from '../ipvs/model.js'
import { normalize } from '../ipvs/normalize.js'
import { readServiceState, readTable } from '../ipvs/read.js'
import { normalizeRealServer } from '../ipvs/real-server.js'
import { formatRules } from '../ipvs/rules/format.js'
import { normalizeService } from '../ipvs/service.js'
import {
  checkSyncState, daemonAttributes, normalizeSyncDaemon, readDaemon, type SyncDaemonSpec, type SyncDaemonState,
} from '../ipvs/sync-daemon.js'
import { normalizeTimeouts, readTimeouts, timeoutAttributes, type Timeouts } from '../ipvs/timeouts.js'
import { watchOptions, watchTable, type TableChange, type WatchOptions } from '../ipvs/watch.js'
import type { Plan } from '../plan/plan.js'
import type { ConnectionState } from '../proc/connection-rows.js'
import { connections, type ConnectionFilter, type ConnectionListOptions } from '../proc/connections.js'
import { planDirector, planOptions, type DirectorSpec, type PlanOptions } from './director-plan.js'
import { drain, undrain } from './drain.js'
import type { Place } from './drain-begin.js'
import type { Draining, DrainOptions } from './drain-options.js'

/** The kernel's version of IPVS, such as `1.2.1`, and the buckets of its connection table. */
export interface DirectorInfo { version: string; connectionTableSize: number }

/** Options of {@link Director.open}. */
export interface DirectorOptions extends CallOptions, ConnectionOptions {}

const saveOptions = optionsOf<CallOptions & { readonly strict?: boolean }>({ signal: abortSignal, strict: boolean })

/**
 * The IPVS table of this host's network namespace.
 *
 * Every method rejects with a {@link NetlinkError} that names the request, the object, the kernel's
 * reason and the remedy; and, before anything is sent, with a SpecError that names
 * the field of a wrong spec.
 *
 * @example
 * ```ts
 * import { Director } from 'ipvs-nl'
 *
 * // without `using`: try { … } finally { await director.close() }
 * await using director = await Director.open()
 * const realServers = ['198.51.100.1', '198.51.100.2']
 * await director.addService({ vip: '192.0.2.1', port: 80, protocols: ['tcp'], realServers })
 * console.log(await director.save())
 * ```
 */
export class Director implements AsyncDisposable {
  /** @internal */
  readonly ipvs: IpvsClient

  private constructor(ipvs: IpvsClient) { this.ipvs = ipvs }

  /**
   * Opens the table. The kernel loads its module ip_vs; without one, rejects with `ENOENT`. A
   * worker thread may open one, too: it closes with the thread, in whatever way that ends.
   */
  static async open(options?: DirectorOptions): Promise<Director> {
    return new Director(await IpvsClient.open(openOptions(options)))
  }

  /** The kernel's version of IPVS and the size of its connection table. */
  async info(options?: CallOptions): Promise<DirectorInfo> {
    const { version = 0, connTabSize = 0 } = await this.ipvs.call('getInfo', {}, callOptions(options))
    return { version: [version >> 16, version >> 8 & 255, version & 255].join('.'), connectionTableSize: connTabSize }
  }

  // ── reading ──

  /** Lists all services with their real servers and counters. */
  async list(options?: CallOptions): Promise<ServiceState[]> {
    const services: ServiceState[] = []
    for await (const service of this.services(options)) services.push(service)
    return services
  }

  /** Yields services with real servers and counters, without holding the whole table in memory. */
  services(options?: CallOptions): AsyncGenerator<ServiceState, void, undefined> {
    return readTable(this.ipvs, callOptions(options))
  }

  /** Reads the services of an id, as far as they exist. */
  async get(id: ServiceId | ServiceKey, options?: CallOptions): Promise<ServiceState[]> {
    const call = callOptions(options)
    const found = await Promise.all(serviceKeys(id).map(key => readServiceState(this.ipvs, key, call)))
    return found.filter(state => state !== undefined)
  }

  /**
   * Yields the changes of the table from now on, by polling: the kernel has no notifications.
   * Polls less often while nothing changes, and never twice at once. Ends by throwing the signal's
   * reason.
   */
  watch(options?: WatchOptions): AsyncGenerator<TableChange, never, undefined> {
    return watchTable(this.ipvs, undefined, watchOptions(options))
  }

  /** Yields the connections through this director: see {@link connections}. */
  connections(
    filter?: ConnectionFilter, options?: ConnectionListOptions,
  ): AsyncGenerator<ConnectionState, void, undefined> {
    return connections(filter, options)
  }

  // ── plans ──

  /**
   * Plans these services, or a whole {@link DirectorSpec}; empty where the kernel has all of it.
   *
   * Objects that the specs do not name stay, real servers of their services too; `prune` and
   * `owner` choose removals. Connections stay: objects are changed and not made anew, and capacity
   * is added before other capacity is removed.
   *
   * @example
   * ```ts
   * import { Director, parseRules } from 'ipvs-nl'
   *
   * await using director = await Director.open()
   * const services = parseRules('-A -t 192.0.2.1:80 -s rr')
   * const plan = await director.plan(services, { prune: true, owner: '192.0.2.0/24' })
   * console.log(`${plan}`, plan.counts)
   * await plan.apply({ progress: ({ done, total }) => console.log(`${done} of ${total}`) })
   * ```
   */
  async plan(wanted: readonly VirtualServiceSpec[] | DirectorSpec, options?: PlanOptions): Promise<Plan> {
    return await planDirector(this.ipvs, wanted, planOptions(options))
  }

  // ── services ──

  /**
   * Adds services with their real servers. Rejects with `EEXIST` where a service exists;
   * its real servers then stay.
   */
  async addService(spec: VirtualServiceSpec, given?: CallOptions): Promise<void> {
    const services = normalize(spec), options = callOptions(given), { ipvs } = this
    await ipvs.edit(async () => {
      const errors = await attempt(ipvs, services.map(service => ({ action: 'add', service })), options)
      const servers = services.filter((_, i) => errors[i] === undefined)
        .flatMap(service => service.realServers.map(server => ({ action: 'add' as const, service, server })))
      throwFirst([...errors, ...await attempt(ipvs, servers, options)])
    })
  }

  /**
   * Changes services; fields that the spec leaves out get their defaults. Connections, counters and
   * real servers stay.
   */
  async changeService(spec: ServiceSpec, options?: CallOptions): Promise<void> {
    await edit(this.ipvs, normalizeService(spec).map(service => ({ action: 'change', service })), callOptions(options))
  }

  /**
   * Removes services with their real servers, and ends their drains. Their connections hang, or are
   * reset with `net.ipv4.vs.expire_nodest_conn`.
   */
  async removeService(id: ServiceId | ServiceKey, options?: CallOptions): Promise<void> {
    await edit(this.ipvs, serviceKeys(id).map(service => ({ action: 'remove', service })), callOptions(options))
  }

  // ── real servers ──

  /**
   * Adds a real server; fields that the spec leaves out get their defaults. Ends its drain; where
   * it exists already, rejects with `EEXIST`, and the drain goes on.
   */
  async addRealServer(
    id: ServiceId | ServiceKey, server: string | RealServerSpec, options?: CallOptions,
  ): Promise<void> {
    const places = placesOf(id, server)
    await edit(this.ipvs, places.map(place => ({ action: 'add', ...place, undrains: true })), callOptions(options))
  }

  /**
   * Changes a real server; fields that the spec leaves out get their defaults.
   * Connections and counters stay. The drain of a verb goes on; one that a spec declares ends.
   */
  async changeRealServer(
    id: ServiceId | ServiceKey, server: string | RealServerSpec, options?: CallOptions,
  ): Promise<void> {
    await edit(this.ipvs, placesOf(id, server).map(place => ({ action: 'change', ...place })), callOptions(options))
  }

  /**
   * Removes a real server, and ends its drain. Its connections hang,
   * or are reset with `net.ipv4.vs.expire_nodest_conn`; weight 0 first lets them end.
   */
  async removeRealServer(
    id: ServiceId | ServiceKey, server: string | RealServerId, options?: CallOptions,
  ): Promise<void> {
    const places = keysOf(id, server)
    const edits = places.map(({ service, id }) => ({ action: 'remove' as const, service, server: id }))
    await edit(this.ipvs, edits, callOptions(options))
  }

  /**
   * Drains a real server in the services of an id, as {@link RealServer.drain} does. Undrained, it
   * gets the weight that was set last, or that before the drain.
   */
  drain(id: ServiceId | ServiceKey, server: string | RealServerId, options?: DrainOptions): Draining {
    return drain(this.ipvs, keysOf(id, server), options)
  }

  /** Takes a real server back in, as {@link RealServer.undrain} does. */
  async undrain(id: ServiceId | ServiceKey, server: string | RealServerId, options?: CallOptions): Promise<void> {
    await undrain(this.ipvs, keysOf(id, server), callOptions(options))
  }

  // ── the whole table ──

  /** Reads the times for which idle connections are kept, in seconds. */
  async timeouts(options?: CallOptions): Promise<Timeouts> {
    return readTimeouts(await this.ipvs.call('getConfig', {}, callOptions(options)))
  }

  /**
   * Sets timeouts in seconds, 1 to 2678400 (31 days); an omitted timeout, or 0, stays.
   * A timeout applies to a connection from its next packet.
   */
  async setTimeouts(timeouts: Partial<Timeouts>, options?: CallOptions): Promise<void> {
    await this.ipvs.call('setConfig', timeoutAttributes(normalizeTimeouts(timeouts)), callOptions(options))
  }

  /** Lists the synchronisation daemons that run: a master, a backup, both, or none. */
  async syncDaemons(options?: CallOptions): Promise<SyncDaemonState[]> {
    return await this.ipvs.dump('getDaemon', {}, ({ daemon = {} }) => readDaemon(daemon), callOptions(options))
  }

  /** Starts a synchronisation daemon. */
  async startSyncDaemon(spec: SyncDaemonSpec, options?: CallOptions): Promise<void> {
    await this.ipvs.call('newDaemon', { daemon: daemonAttributes(normalizeSyncDaemon(spec)) }, callOptions(options))
  }

  /** Stops the master or the backup. */
  async stopSyncDaemon(state: SyncDaemonSpec['state'], options?: CallOptions): Promise<void> {
    await this.ipvs.call('delDaemon', { daemon: { state: checkSyncState('state', state) } }, callOptions(options))
  }

  /**
   * Resets the counters of an id's services and of their real servers;
   * without an id, all counters and the totals.
   */
  async zero(id?: ServiceId | ServiceKey, options?: CallOptions): Promise<void> {
    const objects = id === undefined ? [{}] : serviceKeys(id).map(key => ({ service: keyAttributes(key) }))
    throwFirst(await this.ipvs.attempt(objects.map(object => ['zero', object] as const), callOptions(options)))
  }

  /**
   * Removes all services and real servers of this network namespace, and ends all drains; timeouts
   * and daemons stay.
   */
  async flush(options?: CallOptions): Promise<void> {
    await flush(this.ipvs, callOptions(options))
  }

  /**
   * Prints all services as text for `parseRules`; with `strict` as `ipvsadm -S -n`,
   * which omits thresholds and more.
   */
  async save(options?: CallOptions & { readonly strict?: boolean }): Promise<string> {
    const { strict = false, signal } = saveOptions(options)
    return formatRules(await this.list({ signal }), { strict })
  }

  /** Closes the sockets; the kernel keeps its table. Pending calls reject with `ECANCELED`. */
  close(): Promise<void> {
    this.ipvs.close()
    return Promise.resolve()
  }

  /** {@link Director.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}

/** A real server in each of the services of an id. */
const placesOf = (
  id: ServiceId | ServiceKey, server: string | RealServerSpec,
): { service: ServiceKey; server: RealServerSettings }[] => serviceKeys(id).map(service => {
  const settings = within('server', () => normalizeRealServer(server, service))
  if (!settings.drain) return { service, server: settings }
  throw new SpecError('server.drain', 'is for plans, which prepare the service for it; call drain()')
})

/** The keys of a real server in each of the services of an id. */
function keysOf(id: ServiceId | ServiceKey, server: string | RealServerId): Place[] {
  const given = typeof server === 'string' ? { address: server } : anyObject('server', server)
  return serviceKeys(id).map(service => ({ service, id: within('server', () => realServerKey(given, service)) }))
}
