/** The IPVS table, read: services with their real servers. */

import { NetlinkError, type CallOptions, type CommandAttributes } from '../generic-netlink/index.js'
import type { IpvsClient } from './ipvs-client.js'
import { serviceName, type RealServerSettings, type Service, type ServiceKey, type ServiceState } from './model.js'
import { keyAttributes, readRealServer, readService } from './wire.js'

/** Real servers are asked for this many services at a time: enough to keep the kernel busy, few enough to hold. */
const WINDOW = 64

/** All services with their real servers and counters, one after the other, without holding them all. */
export async function* readTable(ipvs: IpvsClient, options?: CallOptions): AsyncGenerator<ServiceState, void, undefined> {
  const services = await listServices(ipvs, options)
  for (let i = 0; i < services.length; i += WINDOW) {
    yield* await Promise.all(services.slice(i, i + WINDOW).map(async service => ({ ...service, realServers: await listRealServers(ipvs, service, options) })))
  }
}

/** One of the kernel's services with its real servers and counters; undefined where it is not there. */
export async function readFromTable(ipvs: IpvsClient, key: ServiceKey, options?: CallOptions): Promise<ServiceState | undefined> {
  try {
    const { service = {} } = await ipvs.call('getService', { service: keyAttributes(key) }, options)
    return { ...readService(service), realServers: await listRealServers(ipvs, key, options) }
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ESRCH') return undefined
    throw error
  }
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
  const names = new Map(wanted.map(service => [serviceName(service), service]))
  const services = !everything && wanted.length <= FEW_SERVICES
    ? (await Promise.all(wanted.map(service => readFromTable(ipvs, service, options)))).filter(state => state !== undefined)
    : (await settled(() => listServices(ipvs, options), serviceName, [...names.keys()])).filter(state => everything || names.has(serviceName(state)))
  const read: Service[] = []
  for (let i = 0; i < services.length; i += WINDOW) {
    read.push(...await Promise.all(services.slice(i, i + WINDOW).map(async (service): Promise<Service> => {
      const missed = names.get(serviceName(service))?.realServers ?? []
      return { ...service, realServers: await settled(() => listRealServers(ipvs, service, options), realServerName, missed.map(realServerName)) }
    })))
  }
  return read
}

/** So many dumps at most: a table that is never twice the same is taken as it was last. */
const MOST_DUMPS = 5

/** Reads until nothing that is looked for is missing, or until two readings in a row have the same keys. */
async function settled<T>(read: () => Promise<T[]>, keyOf: (row: T) => string, soughtKeys: readonly string[]): Promise<T[]> {
  let rows = await read()
  for (let dumps = 1; dumps < MOST_DUMPS; dumps++) {
    const keys = new Set(rows.map(keyOf))
    if (soughtKeys.every(key => keys.has(key))) break
    rows = await read()
    if (rows.length === keys.size && rows.every(row => keys.has(keyOf(row)))) break
  }
  return rows
}

const listServices = async (ipvs: IpvsClient, options?: CallOptions): Promise<ReturnType<typeof readService>[]> =>
  unique(await ipvs.dump('getService', {}, ({ service = {} }: CommandAttributes) => readService(service), options), serviceName)

/** Those of one service. */
async function listRealServers(ipvs: IpvsClient, service: ServiceKey, options?: CallOptions): Promise<ReturnType<typeof readRealServer>[]> {
  return uniqueServers(await ipvs.dump('getDest', { service: keyAttributes(service) }, ({ dest = {} }) => readRealServer(dest), options))
}

const realServerName = ({ address, port }: Pick<RealServerSettings, 'address' | 'port'>): string => `${address} ${port}`

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
