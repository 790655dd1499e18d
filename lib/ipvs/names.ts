/** Names of services and real servers: for people, and as keys of maps. */

import { endpoint, familyOf, type Family } from '../base/address.js'
import type { RealServerKey, ServiceKey } from './model.js'

/** The family of a service. */
export const serviceFamily = (key: ServiceKey): Family => key.family ?? familyOf(key.vip)

/** A service in words: `udp 192.168.50.100:53`, `fwmark 7 inet6`. */
export function serviceName(key: ServiceKey): string {
  if (key.fwmark !== undefined) return `fwmark ${key.fwmark}${key.family === 'inet6' ? ' inet6' : ''}`
  const protocol = typeof key.protocol === 'number' ? `protocol ${key.protocol}` : key.protocol
  return `${protocol} ${endpoint(key.vip, key.port)}`
}

/** A real server among the others of its service, as a key of maps. */
export const realServerName = ({ address, port }: RealServerKey): string => `${address} ${port}`

/** Services, or real servers, by their names. Of equal names the last counts. */
export function byName<T>(rows: readonly T[], nameOf: (row: T) => string): Map<string, T> {
  const named = new Map<string, T>()
  for (const row of rows) named.set(nameOf(row), row)
  return named
}

/** The real server with this address and port, if there is one. */
export const findRealServer = <S extends RealServerKey>(
  servers: readonly S[], { address, port }: RealServerKey,
): S | undefined => servers.find(server => server.address === address && server.port === port)

/** The addresses seen last, by their last characters: for each, the number of the list. */
const endings = new Uint32Array(4096)
let lists = 0

/** Finds most lists free of duplicates without making a set of names. */
function mayHaveDuplicate(servers: readonly RealServerKey[]): boolean {
  lists = (lists + 1) >>> 0
  for (const { address, port } of servers) {
    const last = address.length - 1
    const tail = address.charCodeAt(last) + 10 * address.charCodeAt(last - 1) + 100 * address.charCodeAt(last - 2)
    const place = tail + port & 4095
    if (endings[place] === lists) return true
    endings[place] = lists
  }
  return false
}

/** The indices of the first two real servers with the same address and port, if there are any. */
export function duplicateOf(servers: readonly RealServerKey[]): [first: number, second: number] | undefined {
  if (!mayHaveDuplicate(servers)) return undefined
  const seen = new Map<string, number>()
  for (let i = 0; i < servers.length; i++) {
    const name = realServerName(servers[i]!), first = seen.get(name)
    if (first !== undefined) return [first, i]
    seen.set(name, i)
  }
  return undefined
}
