/** What changes in the IPVS table, by looking again and again: the kernel tells nobody. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CallOptions } from '../../generic-netlink/index.js'
import { differences } from './diff.js'
import { integer } from '../base/check.js'
import type { IpvsClient } from './client.js'
import {
  findRealServer, realServerName, serviceName, type RealServerKey, type RealServerState, type ServiceKey, type ServiceState, type Stats,
} from './model.js'
import { readFromTable, readTable } from './read.js'

/** Options of watching. */
export interface WatchOptions extends CallOptions {
  /** Between two looks while something changes, in milliseconds, 10 to 86400000. @defaultValue 1000 */
  readonly interval?: number
  /** Between two looks after a while in which nothing changed, in milliseconds. @defaultValue eight times `interval` */
  readonly idleInterval?: number
  /** Whether counts of connections, counters and rates are changes too. @defaultValue true */
  readonly traffic?: boolean
}

/**
 * Something that changed between two looks. What changed and changed back in between is not seen.
 *
 * `traffic` are connections, counters and rates; all else that differs is a `change`. Of a service that comes or goes the real
 * servers are not told one by one.
 */
export type TableChange =
  | { readonly action: 'add' | 'remove'; readonly service: ServiceState; readonly server?: RealServerState; readonly before?: undefined }
  | { readonly action: 'change' | 'traffic'; readonly service: ServiceState; readonly server?: undefined; readonly before: ServiceState }
  | { readonly action: 'change' | 'traffic'; readonly service: ServiceState; readonly server: RealServerState; readonly before: RealServerState }

/** Of the time between two looks one may take this share: a large table is looked at less often. */
const LARGEST_SHARE = 0.1

/**
 * Yields what changes from now on: in these services, or in all. Looks only when the last changes were taken, and never
 * twice at once. Ends by throwing the signal's reason.
 */
export async function* watchTable(
  ipvs: IpvsClient, keys: readonly ServiceKey[] | undefined,
  { interval = 1000, idleInterval = Math.min(interval * 8, LONGEST_INTERVAL), traffic = true, signal }: WatchOptions = {},
): AsyncGenerator<TableChange, never, undefined> {
  integer('interval', interval, 10, LONGEST_INTERVAL)
  integer('idleInterval', idleInterval, interval, LONGEST_INTERVAL)
  let before = await look(ipvs, keys, new Map(), { signal })
  for (let pause = interval, took = 0; ;) {
    await sleep(Math.min(Math.max(pause, took / LARGEST_SHARE), LONGEST_INTERVAL), undefined, { signal }).catch(() => { signal?.throwIfAborted() })
    const began = performance.now()
    const now = await look(ipvs, keys, before, { signal })
    took = performance.now() - began
    const changes = [...changesOf(before, now, traffic)]
    before = now
    yield* changes
    signal?.throwIfAborted()
    pause = changes.length > 0 ? interval : Math.min(pause * 2, idleInterval)
  }
}

const LONGEST_INTERVAL = 86_400_000

/** All that is there now. What a listing has not proves nothing while others remove services: what was there is asked for. */
async function look(
  ipvs: IpvsClient, keys: readonly ServiceKey[] | undefined, before: ReadonlyMap<string, ServiceState>, options: CallOptions,
): Promise<Map<string, ServiceState>> {
  const now = new Map<string, ServiceState>()
  if (!keys) for await (const service of readTable(ipvs, options)) now.set(serviceName(service), service)
  for (const key of keys ?? [...before.values()].filter(service => !now.has(serviceName(service)))) {
    const service = await readFromTable(ipvs, key, options)
    if (service) now.set(serviceName(service), service)
  }
  return now
}

/** What changed from one look to the next. Pure. */
export function* changesOf(before: ReadonlyMap<string, ServiceState>, after: ReadonlyMap<string, ServiceState>, traffic: boolean): Generator<TableChange> {
  for (const [name, service] of before) if (!after.has(name)) yield { action: 'remove', service }
  for (const [name, service] of after) {
    const earlier = before.get(name)
    if (!earlier) {
      yield { action: 'add', service }
      continue
    }
    for (const { action, server } of differences([service], [earlier], { prune: true })) {
      if (!server) yield { action: 'change', service, before: earlier }
      else if (action === 'change') yield { action, service, server: find(service, server), before: find(earlier, server) }
      else yield { action, service, server: find(action === 'add' ? service : earlier, server) }
    }
    if (traffic) yield* trafficOf(earlier, service)
  }
}

function* trafficOf(before: ServiceState, service: ServiceState): Generator<TableChange> {
  if (!sameStats(before.stats, service.stats)) yield { action: 'traffic', service, before }
  const earlier = new Map(before.realServers.map(server => [realServerName(server), server]))
  for (const server of service.realServers) {
    const was = earlier.get(realServerName(server))
    if (was && !(sameConnections(was, server) && sameStats(was.stats, server.stats))) yield { action: 'traffic', service, server, before: was }
  }
}

const find = ({ realServers }: ServiceState, server: RealServerKey): RealServerState => findRealServer(realServers, server)!

const sameConnections = (a: RealServerState, b: RealServerState): boolean =>
  a.activeConnections === b.activeConnections && a.inactiveConnections === b.inactiveConnections && a.persistentConnections === b.persistentConnections

const sameStats = (a: Stats, b: Stats): boolean => a === b || (
  a.connections === b.connections && a.packetsIn === b.packetsIn && a.packetsOut === b.packetsOut && a.bytesIn === b.bytesIn && a.bytesOut === b.bytesOut
  && a.rates.connections === b.rates.connections && a.rates.packetsIn === b.rates.packetsIn && a.rates.packetsOut === b.rates.packetsOut
  && a.rates.bytesIn === b.rates.bytesIn && a.rates.bytesOut === b.rates.bytesOut)
