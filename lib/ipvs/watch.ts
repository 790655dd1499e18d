/** Changes of the IPVS table, found by polling: the kernel has no notifications. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CallOptions } from '../../generic-netlink/core.js'
import { differences } from './diff.js'
import { abortSignal, boolean, inRange, integer, optionsOf } from '../base/check.js'
import type { IpvsClient } from './client.js'
import type { RealServerKey, RealServerState, ServiceKey, ServiceState } from './model.js'
import { byName, findRealServer, realServerName, serviceName } from './names.js'
import { readServiceState, readTable } from './read.js'
import { sameStats } from './stats.js'

/** Options of watching. */
export interface WatchOptions extends CallOptions {
  /** Milliseconds between two polls while the table changes, 10 to 86400000. @defaultValue 1000 */
  readonly interval?: number
  /** The longest pause while nothing changes, in milliseconds. @defaultValue 8 times `interval` */
  readonly idleInterval?: number
  /** Reports numbers of connections, counters and rates too. @defaultValue true */
  readonly traffic?: boolean
}

/** The longest interval: a day. */
const LONGEST_INTERVAL = 86_400_000

/** The check of {@link WatchOptions}. */
export const watchOptions = optionsOf<WatchOptions>({
  signal: abortSignal, traffic: boolean,
  interval: inRange(10, LONGEST_INTERVAL), idleInterval: inRange(10, LONGEST_INTERVAL),
})

/**
 * A change between two polls. A change that is undone between two polls is not seen.
 *
 * `traffic` is a change of connections, counters or rates; a `change` is of settings.
 * The real servers of a service that is added or removed are not reported one by one.
 */
export type TableChange =
  | Readonly<{ action: 'add' | 'remove'; service: ServiceState; server?: RealServerState; before?: undefined }>
  | Readonly<{ action: 'change' | 'traffic'; service: ServiceState; server?: undefined; before: ServiceState }>
  | Readonly<{ action: 'change' | 'traffic'; service: ServiceState; server: RealServerState; before: RealServerState }>

/** A poll takes at most this share of the time between polls: a large table has fewer polls. */
const LARGEST_SHARE = 0.1

/**
 * Yields the changes from now on, in these services or in all. Polls only after the last changes
 * were consumed, and never twice at once. Ends by throwing the signal's reason; `return()` ends it
 * at once, also while a `next()` waits, which then is done.
 */
export function watchTable(
  ipvs: IpvsClient, keys: readonly ServiceKey[] | undefined, { signal, ...options }: WatchOptions = {},
): AsyncGenerator<TableChange, never, undefined> {
  const left = new AbortController()
  const either = signal ? AbortSignal.any([signal, left.signal]) : left.signal
  const changes = changesFrom(ipvs, keys, { ...options, signal: either })
  const end = (): void => {
    left.abort(LEFT)
    changes.return(undefined as never).catch(() => {})
  }
  const watch: AsyncGenerator<TableChange, never, undefined> = {
    next: () => changes.next().catch((error: unknown) => {
      if (error === LEFT) return DONE
      throw error
    }),
    async return(value) {
      end()
      return { done: true, value: await value }
    },
    throw(error) {
      end()
      return Promise.reject(error as Error)
    },
    [Symbol.asyncIterator]: () => watch,
    async [Symbol.asyncDispose]() {
      end()
      await Promise.resolve()
    },
  }
  return watch
}

/** The reason with which a reader who has left aborts the poll or the pause. */
const LEFT = new Error('the reader has left')
const DONE = { done: true, value: undefined as never } as const

async function* changesFrom(
  ipvs: IpvsClient, keys: readonly ServiceKey[] | undefined,
  {
    interval = 1000, idleInterval = Math.min(interval * 8, LONGEST_INTERVAL), traffic = true, signal,
  }: WatchOptions,
): AsyncGenerator<TableChange, never, undefined> {
  integer('idleInterval', idleInterval, interval, LONGEST_INTERVAL)
  let before = await poll(ipvs, keys, new Map(), { signal })
  for (let pause = interval, took = 0; ;) {
    const wait = Math.min(Math.max(pause, took / LARGEST_SHARE), LONGEST_INTERVAL)
    await sleep(wait, undefined, { signal }).catch(() => { signal?.throwIfAborted() })
    const began = performance.now()
    const now = await poll(ipvs, keys, before, { signal })
    took = performance.now() - began
    const changes = [...changesOf(before, now, traffic)]
    before = now
    yield* changes
    signal?.throwIfAborted()
    pause = changes.length > 0 ? interval : Math.min(pause * 2, idleInterval)
  }
}

/** Reads the table. A listing may miss services during removals: reads earlier services by name. */
async function poll(
  ipvs: IpvsClient, keys: readonly ServiceKey[] | undefined, before: ReadonlyMap<string, ServiceState>,
  options: CallOptions,
): Promise<Map<string, ServiceState>> {
  const now = new Map<string, ServiceState>()
  if (!keys) for await (const service of readTable(ipvs, options)) now.set(serviceName(service), service)
  for (const key of keys ?? [...before.values()].filter(service => !now.has(serviceName(service)))) {
    const service = await readServiceState(ipvs, key, options)
    if (service) now.set(serviceName(service), service)
  }
  return now
}

/** The changes from one poll to the next. Pure. */
export function* changesOf(
  before: ReadonlyMap<string, ServiceState>, after: ReadonlyMap<string, ServiceState>, traffic: boolean,
): Generator<TableChange> {
  for (const [name, service] of before) if (!after.has(name)) yield { action: 'remove', service }
  for (const [name, service] of after) {
    const earlier = before.get(name)
    if (!earlier) {
      yield { action: 'add', service }
      continue
    }
    for (const { action, server } of differences([service], [earlier], { prune: true })) {
      if (!server) yield { action: 'change', service, before: earlier }
      else if (action === 'change') {
        yield { action, service, server: find(service, server), before: find(earlier, server) }
      } else yield { action, service, server: find(action === 'add' ? service : earlier, server) }
    }
    if (traffic) yield* trafficOf(earlier, service)
  }
}

function* trafficOf(before: ServiceState, service: ServiceState): Generator<TableChange> {
  if (!sameStats(before.stats, service.stats)) yield { action: 'traffic', service, before }
  const earlier = byName(before.realServers, realServerName)
  for (const server of service.realServers) {
    const was = earlier.get(realServerName(server))
    if (was && !(sameConnections(was, server) && sameStats(was.stats, server.stats))) {
      yield { action: 'traffic', service, server, before: was }
    }
  }
}

const find = ({ realServers }: ServiceState, server: RealServerKey): RealServerState =>
  findRealServer(realServers, server)!

const sameConnections = (a: RealServerState, b: RealServerState): boolean =>
  a.activeConnections === b.activeConnections && a.inactiveConnections === b.inactiveConnections
  && a.persistentConnections === b.persistentConnections
