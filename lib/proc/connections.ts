/** The connections through this director. */

import type { CallOptions } from '../../generic-netlink/core.js'
import {
  abortSignal, address, boolean, checkList, checkObject, integer, oneOf, optionsOf, SpecError,
} from '../base/check.js'
import {
  connectionStates, parseConnections, type ConnectionOrigin, type ConnectionState, type ConnectionStateName,
} from './connection-rows.js'
import { familyOf } from '../base/address.js'
import type { RealServerId, ServiceId, ServiceKey } from '../ipvs/model.js'
import { streamProcNet } from './files.js'
import { contains, parsePrefix } from '../base/prefix.js'
import { serviceKeys } from '../ipvs/key.js'

/** A filter of connections: a connection must match every field. */
export interface ConnectionFilter {
  /**
   * The virtual service; port 0 is every port of the VIP. For a firewall mark only persistence
   * templates match: the kernel lists its connections by their addresses, without the mark.
   */
  readonly service?: ServiceId | ServiceKey
  /** The real server, at any port or at a given port. */
  readonly server?: string | RealServerId
  /**
   * The client, or its network: `'192.0.2.7'`, `'192.0.2.0/24'`, `'2001:db8::/32'`.
   * A template's client is the first address of a network.
   */
  readonly client?: string
  /** The state, or several states. */
  readonly state?: ConnectionStateName | readonly ConnectionStateName[]
  /** Only persistence templates, or only connections. @defaultValue both */
  readonly templates?: boolean
  /** Connections that this director scheduled, or connections from another one's sync daemon. */
  readonly origin?: ConnectionOrigin
}

/** Options of {@link connections}. */
export interface ConnectionListOptions extends CallOptions {
  /**
   * Reads the origin of each connection. The kernel shows the origin in another file than the data
   * of engines: a connection has either. @defaultValue true where the filter names an origin
   */
  readonly origin?: boolean
}

const listOptions = optionsOf<ConnectionListOptions>({ signal: abortSignal, origin: boolean })

type Match = (row: ConnectionState) => boolean

/**
 * Yields the connections and persistence templates of this network namespace.
 * A million connections take no more memory than a thousand. Reading needs no privileges.
 *
 * The list is not a snapshot: the kernel returns about fifty rows at a time, and finds its place
 * again by counting. While connections come and go, a row may be repeated or missing. Before Linux
 * 6.14 the kernel counts from the start each time, so the time grows with the square of the length.
 * Datagrams of a one-packet service leave no connection.
 *
 * @throws SpecError naming the field of a wrong filter, when called.
 * Reading rejects with `ENOENT` where the kernel has no IPVS.
 *
 * @example
 * ```ts
 * import { connections, endpoint } from 'ipvs-nl'
 *
 * const established = connections({ client: '192.0.2.0/24', state: 'ESTABLISHED' })
 * for await (const { client, server, expires } of established) {
 *   const ends = [client, server].map(({ address, port }) => endpoint(address, port))
 *   console.log(...ends, `${expires} s`)
 * }
 * ```
 */
export function connections(
  filter: ConnectionFilter = {}, options?: ConnectionListOptions,
): AsyncGenerator<ConnectionState, void, undefined> {
  const matches = matcher(filter)
  const { origin = filter.origin !== undefined, signal } = listOptions(options)
  if (!origin && filter.origin !== undefined) {
    throw new SpecError('origin', 'the filter needs the origin; set origin: true in the options, or leave it out')
  }
  return filtered(parseConnections(streamProcNet(origin ? 'ip_vs_conn_sync' : 'ip_vs_conn', { signal })), matches)
}

async function* filtered(
  rows: AsyncIterable<ConnectionState>, matches: Match,
): AsyncGenerator<ConnectionState, void, undefined> {
  for await (const row of rows) if (matches(row)) yield row
}

// ── filters ──

const FIELDS = new Set(['service', 'server', 'client', 'state', 'templates', 'origin'])
const SERVER_FIELDS = new Set(['address', 'port'])

/** The predicate of a filter. @throws SpecError naming the field */
export function matcher(filter: ConnectionFilter): Match {
  checkObject('filter', filter, FIELDS)
  const { service, server, client, state, templates, origin } = filter
  const all = [
    ...service === undefined ? [] : [ofService(serviceKeys(service))],
    ...server === undefined ? [] : [ofServer(server)],
    ...client === undefined ? [] : [ofClient(client)],
    ...state === undefined ? [] : [inState(state)],
    ...templates === undefined ? [] : [having('template', boolean('templates', templates))],
    ...origin === undefined ? [] : [having('origin', oneOf('origin', origin, ['local', 'sync']))],
  ]
  return row => all.every(match => match(row))
}

function ofService(keys: readonly ServiceKey[]): Match {
  return ({ protocol, client, virtual }) => keys.some(key => key.fwmark !== undefined
    ? virtual.fwmark === key.fwmark && familyOf(client.address) === key.family
    : protocol === key.protocol && virtual.address === key.vip && (key.port === 0 || virtual.port === key.port))
}

function ofServer(server: string | RealServerId): Match {
  const given = typeof server === 'string' ? { address: server } : server
  checkObject('server', given, SERVER_FIELDS)
  const wanted = address('server.address', given.address)
  const port = given.port === undefined ? undefined : integer('server.port', given.port, 0, 65535)
  return ({ server }) => server.address === wanted && (port === undefined || server.port === port)
}

function ofClient(client: string): Match {
  const inNetwork = contains(parsePrefix('client', client))
  return ({ client }) => inNetwork(client.address)
}

function inState(state: ConnectionStateName | readonly ConnectionStateName[]): Match {
  const one = typeof state === 'string'
  const wanted = one ? [state] : checkList('state', state)
  if (wanted.length === 0) throw new SpecError('state', 'the list is empty')
  const names = new Set<string>(wanted.map((each, i) => oneOf(one ? 'state' : `state[${i}]`, each, connectionStates)))
  return row => names.has(row.state)
}

const having = <K extends 'template' | 'origin'>(key: K, value: ConnectionState[K]): Match => row => row[key] === value
