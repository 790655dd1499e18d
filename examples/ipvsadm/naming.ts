/** What a list calls addresses and ports: by number, or by name where there is one. */

import { addressInC } from 'ipvs-nl/ipvsadm'
import type { Names } from './names.js'

/** An address and a port, as a list shows them. */
export type Naming = (address: string, port: number, protocol: string | number) => string

/** No more than this is shown of an address and port. */
const LONGEST = 59

const joined = (address: string, host: string, port: string | number): string =>
  (address.includes(':') ? `[${host}]:${port}` : `${host}:${port}`).slice(0, LONGEST)

/** By number. */
export const byNumber: Naming = (address, port) => joined(address, addressInC(address), port)

/** By name: asks for the names of these addresses, all at once. */
export async function byName(addresses: Iterable<string>, names: Names): Promise<Naming> {
  const named = [...new Set(addresses)].map(async address => [address, await names.hostOf(address)] as const)
  const hosts = new Map(await Promise.all(named))
  return (address, port, protocol) => {
    const hasNames = protocol === 'tcp' || protocol === 'udp' || protocol === 'sctp'
    const service = hasNames ? names.serviceOf(port, protocol) : undefined
    return joined(address, hosts.get(address) ?? addressInC(address), service ?? port)
  }
}
