/** The IPVS table of this host. */

import {
  Connection, FamilyClient, ipvs, NETLINK_GENERIC, NetlinkError,
  type Attributes, type CallOptions, type CommandAttributes, type ConnectionOptions, type Reply,
} from '../generic-netlink/index.js'
import type { IpvsCommand } from './diff.js'
import { explained } from './explain.js'
import {
  serviceName, type RealServerId, type RealServerSpec, type RealServerState, type ServiceId, type ServiceKey, type ServiceSpec, type ServiceState,
  type VirtualServiceSpec,
} from './model.js'
import { formatRules } from './rules-format.js'
import { daemonAttributes, readDaemon, type SyncDaemonSpec, type SyncDaemonState } from './sync-daemon.js'
import { integer, oneOf } from './fields.js'
import { LONGEST_TIMEOUT, normalize, normalizeRealServer, normalizeService, realServerId, serviceKeys } from './validate.js'
import { destinationAttributes, destinationKey, keyAttributes, readRealServer, readService, serviceAttributes } from './wire.js'

type Commands = typeof ipvs.commands

/** How long the kernel keeps a connection that nothing is heard of, in seconds. */
export interface Timeouts {
  /** Of an established TCP connection. */
  tcp: number
  /** Of a TCP connection after a FIN. */
  tcpFin: number
  /** After a UDP datagram. */
  udp: number
}

/** What the kernel says of its IPVS. */
export interface DirectorInfo {
  /** `1.2.1` */
  version: string
  /** Buckets of the connection table. */
  connectionTableSize: number
}

/** Options of {@link Director.open}. */
export interface DirectorOptions extends CallOptions, ConnectionOptions {}

/** Real servers are asked for this many services at a time: enough to keep the kernel busy, few enough to hold. */
const WINDOW = 64

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
  readonly #connection: Connection
  readonly #client: FamilyClient<Commands>

  private constructor(connection: Connection, client: FamilyClient<Commands>) {
    this.#connection = connection
    this.#client = client
  }

  /** Opens the table. The kernel loads its module ip_vs if it must. Rejects with `ENOENT` where there is none. */
  static async open({ signal, ...options }: DirectorOptions = {}): Promise<Director> {
    const connection = new Connection(NETLINK_GENERIC, options)
    try {
      return new Director(connection, await FamilyClient.find(connection, ipvs, { signal }))
    } catch (error) {
      connection.close()
      throw explained(error, 'getFamily', {})
    }
  }

  /** The kernel's version of IPVS and the size of its connection table. */
  async info(options?: CallOptions): Promise<DirectorInfo> {
    const { version = 0, connTabSize = 0 } = await this.#call('getInfo', {}, options)
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
  async* services(options?: CallOptions): AsyncGenerator<ServiceState, void, undefined> {
    const all = unique(await this.#dump('getService', {}, ({ service = {} }) => readService(service), options), serviceName)
    for (let i = 0; i < all.length; i += WINDOW) {
      yield* await Promise.all(all.slice(i, i + WINDOW).map(async service => ({ ...service, realServers: await this.#realServers(service, options) })))
    }
  }

  /** The services that an id stands for, as far as they exist. */
  async get(id: ServiceId | ServiceKey, options?: CallOptions): Promise<ServiceState[]> {
    const found = await Promise.all(serviceKeys(id).map(async key => {
      try {
        const { service = {} } = await this.#call('getService', { service: keyAttributes(key) }, options)
        return [{ ...readService(service), realServers: await this.#realServers(key, options) }]
      } catch (error) {
        if (error instanceof NetlinkError && error.code === 'ESRCH') return []
        throw error
      }
    }))
    return found.flat()
  }

  async #realServers(service: ServiceKey, options?: CallOptions): Promise<RealServerState[]> {
    return uniqueServers(await this.#dump('getDest', { service: keyAttributes(service) }, ({ dest = {} }) => readRealServer(dest), options))
  }

  // ── services ──

  /** Adds services with their real servers. Rejects with `EEXIST` where one is there; its real servers are left alone then. */
  async addService(spec: VirtualServiceSpec, options?: CallOptions): Promise<void> {
    const services = normalize(spec)
    const errors = await this.#attempt(services.map(service => ['newService', { service: serviceAttributes(service) }]), options)
    const added = services.filter((_, i) => errors[i] === undefined)
    const servers = added.flatMap(service => service.realServers.map((server): IpvsCommand => [
      'newDest', { service: keyAttributes(service), dest: destinationAttributes(server) },
    ]))
    throwFirst([...errors, ...await this.#attempt(servers, options)])
  }

  /** Changes services to what the spec says; what it leaves out gets its default. Connections, counters and real servers stay. */
  async changeService(spec: ServiceSpec, options?: CallOptions): Promise<void> {
    await this.run(normalizeService(spec).map(service => ['setService', { service: serviceAttributes(service) }]), options)
  }

  /** Removes services with their real servers. Their connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`. */
  async removeService(id: ServiceId | ServiceKey, options?: CallOptions): Promise<void> {
    await this.run(serviceKeys(id).map(key => ['delService', { service: keyAttributes(key) }]), options)
  }

  // ── real servers ──

  /** Adds a real server, of weight 1 and by `route` where it does not say otherwise. */
  async addRealServer(id: ServiceId | ServiceKey, server: string | RealServerSpec, options?: CallOptions): Promise<void> {
    await this.#changeServer('newDest', id, server, options)
  }

  /** Changes a real server to what the spec says; what it leaves out gets its default. Its connections and counters stay. */
  async changeRealServer(id: ServiceId | ServiceKey, server: string | RealServerSpec, options?: CallOptions): Promise<void> {
    await this.#changeServer('setDest', id, server, options)
  }

  /** Removes a real server. Its connections hang, or are reset with `net.ipv4.vs.expire_nodest_conn`; weight 0 first lets them end. */
  async removeRealServer(id: ServiceId | ServiceKey, server: string | RealServerId, options?: CallOptions): Promise<void> {
    await this.run(serviceKeys(id).map(key => {
      const { address, port } = realServerId('server', typeof server === 'string' ? { address: server } : server, key)
      return ['delDest', { service: keyAttributes(key), dest: destinationKey({ address, port }) }]
    }), options)
  }

  async #changeServer(
    command: 'newDest' | 'setDest', id: ServiceId | ServiceKey, server: string | RealServerSpec, options?: CallOptions,
  ): Promise<void> {
    await this.run(serviceKeys(id).map(key => [
      command, { service: keyAttributes(key), dest: destinationAttributes(normalizeRealServer('server', server, key)) },
    ]), options)
  }

  // ── the table as a whole ──

  /** How long connections are kept, in seconds. */
  async timeouts(options?: CallOptions): Promise<Timeouts> {
    const { timeoutTcp = 0, timeoutTcpFin = 0, timeoutUdp = 0 } = await this.#call('getConfig', {}, options)
    return { tcp: timeoutTcp, tcpFin: timeoutTcpFin, udp: timeoutUdp }
  }

  /** Sets timeouts in seconds, 1 to 2678400 (31 days); those left out, or 0, stay. Connections take them at their next packet. */
  async setTimeouts({ tcp, tcpFin, udp }: Partial<Timeouts>, options?: CallOptions): Promise<void> {
    const seconds = (name: string, value = 0): number => value === 0 ? 0 : integer(name, value, 1, LONGEST_TIMEOUT)
    await this.#call('setConfig', { timeoutTcp: seconds('tcp', tcp), timeoutTcpFin: seconds('tcpFin', tcpFin), timeoutUdp: seconds('udp', udp) }, options)
  }

  /** The synchronisation daemons that run: none, one, or a master and a backup. */
  async syncDaemons(options?: CallOptions): Promise<SyncDaemonState[]> {
    return await this.#dump('getDaemon', {}, ({ daemon = {} }) => readDaemon(daemon), options)
  }

  /** Starts a synchronisation daemon. */
  async startSyncDaemon(spec: SyncDaemonSpec, options?: CallOptions): Promise<void> {
    await this.#call('newDaemon', { daemon: daemonAttributes(spec) }, options)
  }

  /** Stops the master or the backup. */
  async stopSyncDaemon(state: SyncDaemonSpec['state'], options?: CallOptions): Promise<void> {
    await this.#call('delDaemon', { daemon: { state: oneOf('state', state, ['master', 'backup']) } }, options)
  }

  /** Sets the counters of some services and their real servers to zero; without an id, all counters and the totals. */
  async zero(id?: ServiceId | ServiceKey, options?: CallOptions): Promise<void> {
    await this.run(id === undefined ? [['zero', {}]] : serviceKeys(id).map(key => ['zero', { service: keyAttributes(key) }]), options)
  }

  /** Removes all services and real servers of this network namespace. Timeouts and sync daemons stay. */
  async flush(options?: CallOptions): Promise<void> {
    await this.#call('flush', {}, options)
  }

  /** All services as text for `parseRules`; `strict`: as `ipvsadm -S -n` prints them, with what that loses (thresholds, above all). */
  async save({ strict = false, signal }: CallOptions & { strict?: boolean } = {}): Promise<string> {
    return formatRules(await this.list({ signal }), { strict })
  }

  /** Closes the sockets; the kernel keeps its table. What is pending rejects with `ECANCELED`. */
  close(): Promise<void> {
    this.#connection.close()
    return Promise.resolve()
  }

  /** {@link Director.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }

  // ── asking ──

  /**
   * Sends commands together and rejects with the first error; the others are still carried out.
   * @internal
   */
  async run(commands: readonly IpvsCommand[], options?: CallOptions): Promise<void> {
    throwFirst(await this.#attempt(commands, options))
  }

  /** The error of each command, undefined where it was done. */
  async #attempt(commands: readonly IpvsCommand[], options?: CallOptions): Promise<unknown[]> {
    const outcomes = await this.#client.batch(commands, options)
    return outcomes.map((outcome, i) => outcome.status === 'rejected' ? explained(outcome.reason, commands[i]![0], commands[i]![1]) : undefined)
  }

  async #call<K extends keyof Commands>(command: K, attributes: Attributes<Commands[K]>, options?: CallOptions): Promise<Reply<Commands[K]>> {
    try {
      return await this.#client.call(command, attributes, options)
    } catch (error) {
      throw explained(error, command, attributes)
    }
  }

  /** Lists, keeping of each answer only what `map` makes of it. */
  async #dump<T>(
    command: 'getService' | 'getDest' | 'getDaemon', attributes: CommandAttributes, map: (answer: CommandAttributes) => T, options?: CallOptions,
  ): Promise<T[]> {
    try {
      return await this.#client.dump(command, attributes, { ...options, map })
    } catch (error) {
      throw explained(error, command, attributes)
    }
  }
}

/** While others add and remove, a dump may repeat an entry; the last one is the freshest. */
const unique = <T>(rows: readonly T[], key: (row: T) => string): T[] => [...new Map(rows.map(row => [key(row), row])).values()]

/** So few are compared with one another faster than they are looked up. */
const FEW = 32

function uniqueServers(servers: RealServerState[]): RealServerState[] {
  const repeats = servers.length > FEW || servers.some(({ address, port }, i) => {
    for (let j = 0; j < i; j++) if (servers[j]!.port === port && servers[j]!.address === address) return true
    return false
  })
  return repeats ? unique(servers, ({ address, port }) => `${address} ${port}`) : servers
}

/** Throws the first error; it tells of the others. */
function throwFirst(outcomes: readonly unknown[]): void {
  const [first, ...more] = outcomes.filter(error => error !== undefined)
  if (first === undefined) return
  if (more.length > 0 && first instanceof Error) {
    first.message += `; ${more.length} more failed, listed in cause`
    first.cause = new AggregateError(more)
  }
  throw first as Error
}
