/** The connections through this director, one after the other, of as many as there are. */

import type { CallOptions } from '../../generic-netlink/index.js'
import { address, boolean, checkList, checkObject, integer, oneOf } from '../base/check.js'
import { connectionStates, parseConnections, type ConnectionOrigin, type ConnectionState, type ConnectionStateName } from './connection-rows.js'
import { familyOf } from '../base/address.js'
import type { RealServerId, ServiceId, ServiceKey } from '../ipvs/model.js'
import { streamProcNet } from './files.js'
import { contains, parsePrefix } from '../base/prefix.js'
import { serviceKeys } from '../ipvs/key.js'

/** Which connections are wanted: those that match all that is said here. */
export interface ConnectionFilter {
  /**
   * Those to this virtual service; port 0 is every port of the VIP. Of a firewall mark's service the kernel shows only the
   * persistence templates as such: its connections are known by the addresses that they are for.
   */
  readonly service?: ServiceId | ServiceKey
  /** Those that this real server serves: at any port, or at this one. */
  readonly server?: string | RealServerId
  /** Those of this client, or of a network's: `'192.0.2.7'`, `'192.0.2.0/24'`, `'2001:db8::/32'`. A template's client is a network's first address. */
  readonly client?: string
  /** Those in this state, or in one of these. */
  readonly state?: ConnectionStateName | readonly ConnectionStateName[]
  /** Persistence templates alone, or connections alone. @defaultValue both */
  readonly templates?: boolean
  /** Those that this director scheduled, or those that another told it of. */
  readonly origin?: ConnectionOrigin
}

/** Options of {@link connections}. */
export interface ConnectionListOptions extends CallOptions {
  /**
   * Whether rows say their origin. The kernel shows it in another file than the data of persistence engines, so that rows
   * have either. @defaultValue true where the filter names an origin, else false
   */
  readonly origin?: boolean
}

type Match = (row: ConnectionState) => boolean

/**
 * The connections and persistence templates of this network namespace, without holding them all: a million take no more memory
 * than a thousand. Nobody needs to be root for it.
 *
 * The list is no snapshot: the kernel gives some fifty rows at a time, and finds its place again by counting. Where others come
 * and go meanwhile, a row may be there twice or be left out. Before Linux 6.14 it counts from the start each time, so that a long
 * list takes time by the square of its length. Datagrams of a one-packet service leave no connection.
 *
 * @throws TypeError, RangeError naming the field of a filter that matches nothing, when called. Reading rejects with `ENOENT` where
 * the kernel has no IPVS.
 *
 * @example
 * ```ts
 * import { connections, endpoint } from 'ipvs-nl'
 *
 * for await (const { client, server, expires } of connections({ client: '192.0.2.0/24', state: 'ESTABLISHED' })) {
 *   console.log(endpoint(client.address, client.port), endpoint(server.address, server.port), `${expires} s`)
 * }
 * ```
 */
export function connections(filter: ConnectionFilter = {}, options: ConnectionListOptions = {}): AsyncGenerator<ConnectionState, void, undefined> {
  const matches = matcher(filter)
  const { origin = filter.origin !== undefined, signal } = options
  if (!origin && filter.origin !== undefined) throw new TypeError('origin: the filter names one, and the options ask for none')
  return those(parseConnections(streamProcNet(origin ? 'ip_vs_conn_sync' : 'ip_vs_conn', { signal })), matches)
}

async function* those(rows: AsyncIterable<ConnectionState>, matches: Match): AsyncGenerator<ConnectionState, void, undefined> {
  for await (const row of rows) if (matches(row)) yield row
}

// ── filters ──

const FIELDS = new Set(['service', 'server', 'client', 'state', 'templates', 'origin'])
const SERVER_FIELDS = new Set(['address', 'port'])

/** What tells the rows that a filter wants. @throws TypeError, RangeError naming the field */
export function matcher(filter: ConnectionFilter): Match {
  checkObject('filter', filter, FIELDS)
  const { service, server, client, state, templates, origin } = filter
  const all = [
    ...service === undefined ? [] : [ofService(serviceKeys(service))],
    ...server === undefined ? [] : [ofServer(server)],
    ...client === undefined ? [] : [ofClient(client)],
    ...state === undefined ? [] : [inState(state)],
    ...templates === undefined ? [] : [ofKind(templates)],
    ...origin === undefined ? [] : [ofOrigin(origin)],
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
  if (!one) checkList('state', state)
  const wanted: readonly unknown[] = one ? [state] : state
  if (wanted.length === 0) throw new RangeError('state: the list is empty')
  const names = new Set<string>(wanted.map((each, i) => oneOf(one ? 'state' : `state[${i}]`, each, connectionStates)))
  return row => names.has(row.state)
}

function ofKind(templates: unknown): Match {
  const wanted = boolean('templates', templates)
  return row => row.template === wanted
}

function ofOrigin(origin: unknown): Match {
  const wanted = oneOf('origin', origin, ['local', 'sync'])
  return row => row.origin === wanted
}
