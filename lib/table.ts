/** The IPVS table, read: services with their real servers. */

import { NetlinkError, type CallOptions, type CommandAttributes, type DestinationAttributes } from '../generic-netlink/index.js'
import { Servers } from './diff.js'
import type { IpvsClient } from './ipvs-client.js'
import { realServerName, serviceName, type RealServerSettings, type Service, type ServiceKey, type ServiceState } from './model.js'
import { keyAttributes, readRealServer, readRealServerSettings, readService } from './wire.js'

/** Real servers are asked for this many services at a time: enough to keep the kernel busy, few enough to hold. */
const WINDOW = 64

/** All services with their real servers and counters, one after the other, without holding them all. */
export async function* readTable(ipvs: IpvsClient, options?: CallOptions): AsyncGenerator<ServiceState, void, undefined> {
  const services = await listServices(ipvs, options)
  for (let i = 0; i < services.length; i += WINDOW) {
    yield* await Promise.all(services.slice(i, i + WINDOW).map(async service =>
      ({ ...service, realServers: await listRealServers(ipvs, service, readRealServer, options) })))
  }
}

/** One of the kernel's services with its real servers and counters; undefined where it is not there. */
export async function readFromTable(ipvs: IpvsClient, key: ServiceKey, options?: CallOptions): Promise<ServiceState | undefined> {
  const service = await findService(ipvs, key, options)
  return service && { ...service, realServers: await listRealServers(ipvs, key, readRealServer, options) }
}

/** Below this many services each is asked for by its name. */
const FEW_SERVICES = 16

/**
 * What the kernel has of wanted services, and of all others where `everything` is asked for.
 *
 * While others add and remove, a dump may leave out what was never touched. So what is missed in one is looked for again
 * until two dumps in a row agree.
 */
export async function readWanted(ipvs: IpvsClient, wanted: readonly Service[], everything: boolean, options?: CallOptions): Promise<Service[]> {
  const byName = new Map(wanted.map(service => [serviceName(service), service]))
  const services = !everything && wanted.length <= FEW_SERVICES
    ? (await Promise.all(wanted.map(service => findService(ipvs, service, options)))).filter(service => service !== undefined)
    : (await settled(() => listServices(ipvs, options), hasAll(byName), serviceName)).filter(service => everything || byName.has(serviceName(service)))
  const read: Service[] = []
  for (let i = 0; i < services.length; i += WINDOW) {
    read.push(...await Promise.all(services.slice(i, i + WINDOW).map(async (service): Promise<Service> => {
      const sought = byName.get(serviceName(service))?.realServers ?? []
      const complete = (rows: readonly RealServerSettings[]): boolean => {
        const servers = new Servers(rows)
        return sought.every(server => servers.take(server))
      }
      return { ...service, realServers: await settled(() => listRealServers(ipvs, service, readRealServerSettings, options), complete, realServerName) }
    })))
  }
  return read
}

const hasAll = (sought: ReadonlyMap<string, Service>) => (rows: readonly ServiceKey[]): boolean => {
  const names = new Set(rows.map(serviceName))
  return [...sought.keys()].every(name => names.has(name))
}

/** So many dumps at most: a table that is never twice the same is taken as it was last. */
const MOST_DUMPS = 5

/** Reads until what is looked for is there, or until two readings in a row have the same keys. */
async function settled<T>(read: () => Promise<T[]>, complete: (rows: readonly T[]) => boolean, keyOf: (row: T) => string): Promise<T[]> {
  let rows = await read()
  for (let dumps = 1; dumps < MOST_DUMPS && !complete(rows); dumps++) {
    const keys = new Set(rows.map(keyOf))
    rows = await read()
    if (rows.length === keys.size && rows.every(row => keys.has(keyOf(row)))) break
  }
  return rows
}

type ServiceAlone = ReturnType<typeof readService>

async function findService(ipvs: IpvsClient, key: ServiceKey, options?: CallOptions): Promise<ServiceAlone | undefined> {
  try {
    const { service = {} } = await ipvs.call('getService', { service: keyAttributes(key) }, options)
    return readService(service)
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ESRCH') return undefined
    throw error
  }
}

const listServices = async (ipvs: IpvsClient, options?: CallOptions): Promise<ServiceAlone[]> =>
  unique(await ipvs.dump('getService', {}, ({ service = {} }: CommandAttributes) => readService(service), options), serviceName)

/** Those of one service, with as much of each as `read` keeps. */
async function listRealServers<T extends RealServerSettings>(
  ipvs: IpvsClient, service: ServiceKey, read: (attributes: DestinationAttributes) => T, options?: CallOptions,
): Promise<T[]> {
  return uniqueServers(await ipvs.dump('getDest', { service: keyAttributes(service) }, ({ dest = {} }) => read(dest), options))
}

/** While others add and remove, a dump may repeat an entry; the last one is the freshest. */
const unique = <T>(rows: readonly T[], keyOf: (row: T) => string): T[] => [...new Map(rows.map(row => [keyOf(row), row])).values()]

/** So few are compared with one another faster than they are looked up. */
const FEW = 32

function uniqueServers<T extends RealServerSettings>(servers: T[]): T[] {
  const repeats = servers.length > FEW || servers.some(({ address, port }, i) => {
    for (let j = 0; j < i; j++) if (servers[j]!.port === port && servers[j]!.address === address) return true
    return false
  })
  return repeats ? unique(servers, realServerName) : servers
}
