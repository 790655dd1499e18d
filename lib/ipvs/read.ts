/** The IPVS table, read: services with their real servers. */

import { NetlinkError, type CallOptions, type CommandAttributes, type DestinationAttributes } from '../../generic-netlink/index.js'
import { Servers } from './diff.js'
import type { IpvsClient } from './client.js'
import {
  byName, realServerName, serviceName, twins, type RealServerSettings, type RealServerState, type Service, type ServiceKey, type ServiceState,
} from './model.js'
import { keyAttributes, readRealServer, readRealServerSettings, readService } from './attributes.js'

/** Real servers are asked for this many services at a time: enough to keep the kernel busy, few enough to hold. */
const WINDOW = 64

/** All services with their real servers and counters, one after the other, without holding them all. */
export async function* readTable(ipvs: IpvsClient, options?: CallOptions): AsyncGenerator<ServiceState, void, undefined> {
  const services = [...(await listServices(ipvs, options)).values()]
  for (let i = 0; i < services.length; i += WINDOW) {
    yield* await Promise.all(services.slice(i, i + WINDOW).map(service => readState(ipvs, service, options)))
  }
}

async function readState(ipvs: IpvsClient, service: ServiceAlone, options?: CallOptions): Promise<ServiceState> {
  return { ...service, realServers: await listRealServers(ipvs, service, ofState, options) }
}

/** One of the kernel's services with its real servers and counters; undefined where it is not there. */
export async function readFromTable(ipvs: IpvsClient, key: ServiceKey, options?: CallOptions): Promise<ServiceState | undefined> {
  const service = await findService(ipvs, key, options)
  return service && await readState(ipvs, service, options)
}

/** Below this many services each is asked for by its name. */
const FEW_SERVICES = 16

/** A service as it is wanted, and as the kernel has it; at least one of them. */
export type Pair = { readonly wanted: Service; readonly actual: Service | undefined } | { readonly wanted: undefined; readonly actual: Service }

/**
 * Yields what the kernel has of wanted services, in their order, some at a time; then, where `everything` is asked for, all others.
 *
 * While others add and remove, a dump may leave out what was never touched. So what is missed in one is looked for again
 * until two dumps in a row agree.
 */
export async function* readWanted(
  ipvs: IpvsClient, wanted: ReadonlyMap<string, Service>, everything: boolean, options?: CallOptions,
): AsyncGenerator<readonly Pair[], void, undefined> {
  const present = await readServices(ipvs, wanted, everything, options)
  const named = [...wanted]
  for (let i = 0; i < named.length; i += WINDOW) {
    const some = named.slice(i, i + WINDOW)
    const actual = await Promise.all(readings(ipvs, some, present, options))
    yield some.map(([, wanted], n) => ({ wanted, actual: actual[n] }))
  }
  const others = everything ? [...present.values()] : []
  for (let i = 0; i < others.length; i += WINDOW) {
    yield await Promise.all(others.slice(i, i + WINDOW).map(async service => ({ wanted: undefined, actual: await readSettings(ipvs, service, [], options) })))
  }
}

/** The kernel's services by their names: those that are wanted, or all. */
async function readServices(
  ipvs: IpvsClient, wanted: ReadonlyMap<string, Service>, everything: boolean, options?: CallOptions,
): Promise<ServicesByName> {
  if (!everything && wanted.size <= FEW_SERVICES) {
    const found = await Promise.all(Array.from(wanted.values(), service => findService(ipvs, service, options)))
    return byName(found.filter(service => service !== undefined), serviceName)
  }
  const list = (): Promise<ServicesByName> => listServices(ipvs, options)
  return await settled(await list(), list, present => hasAll(present, wanted), present => present.keys())
}

function hasAll(present: ServicesByName, wanted: ReadonlyMap<string, Service>): boolean {
  for (const name of wanted.keys()) if (!present.has(name)) return false
  return true
}

// In functions of their own, here and below: V8 compiles what lasts, and forgets it with closures.

/** Of each wanted service what is present, which is taken. */
function readings(
  ipvs: IpvsClient, wanted: readonly (readonly [name: string, service: Service])[], present: ServicesByName, options?: CallOptions,
): Promise<Service | undefined>[] {
  const all: Promise<Service | undefined>[] = []
  for (const [name, { realServers }] of wanted) {
    const state = present.get(name)
    all.push(state ? readSettings(ipvs, state, realServers, options) : Promise.resolve(undefined))
    present.delete(name)
  }
  return all
}

async function readSettings(ipvs: IpvsClient, service: ServiceAlone, sought: readonly RealServerSettings[], options?: CallOptions): Promise<Service> {
  const first = await listRealServers(ipvs, service, ofSettings, options)
  if (areIn(first, sought)) return { ...service, realServers: first }
  const again = (): Promise<RealServerSettings[]> => listRealServers(ipvs, service, ofSettings, options)
  return { ...service, realServers: await settled(first, again, rows => areIn(rows, sought), rows => rows.map(realServerName)) }
}

function areIn(rows: readonly RealServerSettings[], sought: readonly RealServerSettings[]): boolean {
  const servers = new Servers(rows)
  for (const server of sought) if (!servers.take(server)) return false
  return true
}

/** So many dumps at most: a table that is never twice the same is taken as it was last. */
const MOST_DUMPS = 5

/** Reads again until what is looked for is there, or until two readings in a row have the same keys. */
async function settled<T>(first: T, read: () => Promise<T>, complete: (rows: T) => boolean, keysOf: (rows: T) => Iterable<string>): Promise<T> {
  let rows = first
  for (let dumps = 1; dumps < MOST_DUMPS && !complete(rows); dumps++) {
    const before = new Set(keysOf(rows))
    rows = await read()
    const now = [...keysOf(rows)]
    if (now.length === before.size && now.every(key => before.has(key))) break
  }
  return rows
}

type ServiceAlone = ReturnType<typeof readService>
type ServicesByName = Map<string, ServiceAlone>

async function findService(ipvs: IpvsClient, key: ServiceKey, options?: CallOptions): Promise<ServiceAlone | undefined> {
  try {
    const { service = {} } = await ipvs.call('getService', { service: keyAttributes(key) }, options)
    return readService(service)
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ESRCH') return undefined
    throw error
  }
}

const ofService = ({ service = {} }: CommandAttributes): ServiceAlone => readService(service)

/** While others add and remove, a dump may repeat an entry; the last one is the freshest. */
const listServices = async (ipvs: IpvsClient, options?: CallOptions): Promise<ServicesByName> =>
  byName(await ipvs.dump('getService', {}, ofService, options), serviceName)

const NOTHING: DestinationAttributes = {}
const ofState = ({ dest = NOTHING }: CommandAttributes): RealServerState => readRealServer(dest)
const ofSettings = ({ dest = NOTHING }: CommandAttributes): RealServerSettings => readRealServerSettings(dest)

/** Those of one service, with as much of each as `read` keeps. Of those that a dump repeats the last counts here, too. */
async function listRealServers<T extends RealServerSettings>(
  ipvs: IpvsClient, service: ServiceKey, read: (answer: CommandAttributes) => T, options?: CallOptions,
): Promise<T[]> {
  const servers = await ipvs.dump('getDest', { service: keyAttributes(service) }, read, options)
  return twins(servers) ? [...byName(servers, realServerName).values()] : servers
}
