/** The IPVS table: services with their real servers. */

import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import type { CommandAttributes, DestinationAttributes } from '../../generic-netlink/families/ipvs.js'
import type { IpvsClient } from './client.js'
import { keyAttributes } from './key.js'
import { ServerMatcher } from './match.js'
import type { RealServerSettings, RealServerState, Service, ServiceKey, ServiceState } from './model.js'
import { byName, duplicateOf, realServerName, serviceName } from './names.js'
import { readRealServer, readRealServerSettings } from './real-server.js'
import { readService, type ServiceAlone } from './service.js'

/** The services whose real servers are read at a time: the kernel stays busy, memory small. */
const WINDOW = 64

/** Yields services with real servers and counters, without holding the whole table in memory. */
export async function* readTable(
  ipvs: IpvsClient, options?: CallOptions,
): AsyncGenerator<ServiceState, void, undefined> {
  const services = [...(await listServices(ipvs, options)).values()]
  for (let i = 0; i < services.length; i += WINDOW) {
    const states = services.slice(i, i + WINDOW).map(service => readState(ipvs, service, options))
    for (const state of await Promise.all(states)) if (state) yield state
  }
}

/** The real servers that the kernel lists in one part, and so at one moment: a part is 32 KB. */
const ONE_PART = 64

/**
 * Reads a service's real servers; undefined where the service is gone. Without the service the
 * kernel lists none, and where it goes between two parts, a few: such a service is looked up again.
 */
async function readState(
  ipvs: IpvsClient, service: ServiceAlone, options?: CallOptions,
): Promise<ServiceState | undefined> {
  const realServers = await listRealServers(ipvs, service, ofState, options)
  const certain = realServers.length > 0 && realServers.length <= ONE_PART
  return certain || await findService(ipvs, service, options) ? { ...service, realServers } : undefined
}

/** Reads a service with its real servers and counters; undefined where the kernel has none. */
export async function readServiceState(
  ipvs: IpvsClient, key: ServiceKey, options?: CallOptions,
): Promise<ServiceState | undefined> {
  const service = await findService(ipvs, key, options)
  return service && await readState(ipvs, service, options)
}

/** Reads a service with its real servers; undefined where the kernel has none. */
export async function readServiceSettings(
  ipvs: IpvsClient, key: ServiceKey, options?: CallOptions,
): Promise<Service | undefined> {
  const service = await findService(ipvs, key, options)
  return service && { ...service, realServers: await listRealServers(ipvs, service, ofSettings, options) }
}

/** Up to this many services are read one by one in place of a listing. */
const FEW_SERVICES = 16

/** A wanted service and the actual one; at least one of them. */
export type Pair =
  | { readonly wanted: Service; readonly actual: Service | undefined }
  | { readonly wanted: undefined; readonly actual: Service }

/**
 * Yields pairs of wanted and actual services, in the order of the wanted ones;
 * then, with `everything`, all other services.
 *
 * While other programs add and remove, a dump may leave out entries that nobody touched.
 * So a dump that misses a wanted entry is repeated until two dumps in a row agree.
 */
export async function* readWanted(
  ipvs: IpvsClient, wanted: ReadonlyMap<string, Service>, everything: boolean, options?: CallOptions,
): AsyncGenerator<readonly Pair[], void, undefined> {
  const present = await readServices(ipvs, wanted, everything, options)
  const named = [...wanted]
  for (let i = 0; i < named.length; i += WINDOW) {
    const some = named.slice(i, i + WINDOW)
    const actual = await Promise.all(readPresent(ipvs, some, present, options))
    yield some.map(([, wanted], n) => ({ wanted, actual: actual[n] }))
  }
  const others = everything ? [...present.values()] : []
  for (let i = 0; i < others.length; i += WINDOW) {
    yield await Promise.all(others.slice(i, i + WINDOW).map(async service =>
      ({ wanted: undefined, actual: await readSettings(ipvs, service, [], options) })))
  }
}

/** Reads the wanted services, or all, by their names. */
async function readServices(
  ipvs: IpvsClient, wanted: ReadonlyMap<string, Service>, everything: boolean, options?: CallOptions,
): Promise<ServicesByName> {
  if (!everything && wanted.size <= FEW_SERVICES) {
    const found = await Promise.all(Array.from(wanted.values(), service => findService(ipvs, service, options)))
    return byName(found.filter(service => service !== undefined), serviceName)
  }
  const list = (): Promise<ServicesByName> => listServices(ipvs, options)
  const hasAll = (present: ServicesByName): boolean => [...wanted.keys()].every(name => present.has(name))
  return await readUntilStable(await list(), list, hasAll, present => present.keys())
}

// Functions of their own, here and below: V8 compiles functions that stay, and forgets closures.

/** Reads each wanted service that is present, and takes it from `present`. */
function readPresent(
  ipvs: IpvsClient, wanted: readonly (readonly [name: string, service: Service])[], present: ServicesByName,
  options?: CallOptions,
): Promise<Service | undefined>[] {
  const all: Promise<Service | undefined>[] = []
  for (const [name, { realServers }] of wanted) {
    const state = present.get(name)
    all.push(state ? readSettings(ipvs, state, realServers, options) : Promise.resolve(undefined))
    present.delete(name)
  }
  return all
}

async function readSettings(
  ipvs: IpvsClient, service: ServiceAlone, sought: readonly RealServerSettings[], options?: CallOptions,
): Promise<Service> {
  const first = await listRealServers(ipvs, service, ofSettings, options)
  if (areIn(first, sought)) return { ...service, realServers: first }
  const again = (): Promise<RealServerSettings[]> => listRealServers(ipvs, service, ofSettings, options)
  const namesOf = (rows: readonly RealServerSettings[]): string[] => rows.map(realServerName)
  return { ...service, realServers: await readUntilStable(first, again, rows => areIn(rows, sought), namesOf) }
}

function areIn(rows: readonly RealServerSettings[], sought: readonly RealServerSettings[]): boolean {
  const servers = new ServerMatcher(rows)
  for (const server of sought) if (!servers.take(server)) return false
  return true
}

/** The most dumps of a table that never stays the same; the last dump counts then. */
const MOST_DUMPS = 5

/** Reads until all wanted rows are there, or until two readings in a row have the same keys. */
async function readUntilStable<T>(
  first: T, read: () => Promise<T>, complete: (rows: T) => boolean, keysOf: (rows: T) => Iterable<string>,
): Promise<T> {
  let rows = first
  for (let dumps = 1; dumps < MOST_DUMPS && !complete(rows); dumps++) {
    const before = new Set(keysOf(rows))
    rows = await read()
    const now = [...keysOf(rows)]
    if (now.length === before.size && now.every(key => before.has(key))) break
  }
  return rows
}

type ServicesByName = Map<string, ServiceAlone>

/** Reads a service without its real servers; undefined where the kernel has none. */
export async function findService(
  ipvs: IpvsClient, key: ServiceKey, options?: CallOptions,
): Promise<ServiceAlone | undefined> {
  try {
    const { service = {} } = await ipvs.call('getService', { service: keyAttributes(key) }, options)
    return readService(service)
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ESRCH') return undefined
    throw error
  }
}

const ofService = ({ service = {} }: CommandAttributes): ServiceAlone => readService(service)

/** While other programs add and remove, a dump may repeat an entry; the last one is the newest. */
const listServices = async (ipvs: IpvsClient, options?: CallOptions): Promise<ServicesByName> =>
  byName(await ipvs.dump('getService', {}, ofService, options), serviceName)

const NOTHING: DestinationAttributes = {}
const ofState = ({ dest = NOTHING }: CommandAttributes): RealServerState => readRealServer(dest)
const ofSettings = ({ dest = NOTHING }: CommandAttributes): RealServerSettings => readRealServerSettings(dest)

/** Reads a service's real servers, each by `read`. Of repeated entries the last counts here too. */
async function listRealServers<T extends RealServerSettings>(
  ipvs: IpvsClient, service: ServiceKey, read: (answer: CommandAttributes) => T, options?: CallOptions,
): Promise<T[]> {
  const servers = await ipvs.dump('getDest', { service: keyAttributes(service) }, read, options)
  return duplicateOf(servers) ? [...byName(servers, realServerName).values()] : servers
}
