/** ipvsadm's listings: the order of services and servers, the form of addresses. @module */

import { parseIPv4, parseIPv6 } from '../../../generic-netlink/core.js'
import type { RealServerSettings, Service, ServiceKey } from '../model.js'

/** Services and their real servers in ipvsadm's order; exact for states in the kernel's order. */
export const sortServices = <S extends Service>(services: readonly S[]): S[] =>
  sort(services, serviceOrder, compareServices)
    .map(service => ({ ...service, realServers: sort(service.realServers, serverOrder, compareServers) }))

/** An address as the C library prints it: `::102:304` as an IPv4 address in IPv6 form. */
export function addressInC(address: string): string {
  if (!address.startsWith('::')) return address
  const bytes = parseIPv6(address)!
  const zeros = bytes.findIndex(byte => byte !== 0)
  const embedded = zeros === 12 || zeros === 13 || (zeros === 10 && bytes[10] === 255 && bytes[11] === 255)
  return embedded ? `::${zeros === 10 ? 'ffff:' : ''}${bytes.subarray(12).join('.')}` : address
}

/** Numbers that are compared one after another. */
type Keys = readonly number[]
const PROTOCOLS = { tcp: 6, udp: 17, sctp: 132 }

const serviceOrder = (key: ServiceKey): Keys => key.fwmark !== undefined
  ? [key.fwmark, key.family === 'inet6' ? 10 : 2]
  : [
      0, key.vip.includes(':') ? 10 : 2, typeof key.protocol === 'number' ? key.protocol : PROTOCOLS[key.protocol],
      ...addressWords(key.vip), key.port,
    ]

const compareServices = (a: Keys, b: Keys): number => subtract(a, b, 0, a.length)

const serverOrder = ({ address, port }: RealServerSettings): Keys =>
  [...addressWords(address), port, address.includes(':') ? 4 : 1]

/** Compares the words of the first address: an IPv4 address can equal a different IPv6 address. */
const compareServers = (a: Keys, b: Keys): number => subtract(a, b, 0, a[5]!) || subtract(a, b, 4, 5)

/** ipvsadm subtracts in 32 bits, so that 224.0.0.1 comes before 10.0.0.1. */
function subtract(a: Keys, b: Keys, from: number, to: number): number {
  for (let i = from; i < to; i++) {
    const difference = a[i]! - b[i]! | 0
    if (difference !== 0) return difference
  }
  return 0
}

function addressWords(address: string): [number, number, number, number] {
  if (!address.includes(':')) return [parseIPv4(address), 0, 0, 0]
  const bytes = parseIPv6(address)!
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  return [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)]
}

/** A merge sort as in the C library: the result of inconsistent comparisons depends on it. */
function sort<T>(items: readonly T[], order: (item: T) => Keys, compare: (a: Keys, b: Keys) => number): T[] {
  const keyed = items.map(item => ({ item, keys: order(item) }))
  const halve = (from: typeof keyed): typeof keyed => {
    if (from.length < 2) return from
    const left = halve(from.slice(0, from.length >> 1)), right = halve(from.slice(from.length >> 1))
    const merged = []
    let l = 0, r = 0
    while (l < left.length && r < right.length) {
      merged.push(compare(left[l]!.keys, right[r]!.keys) <= 0 ? left[l++]! : right[r++]!)
    }
    return merged.concat(left.slice(l), right.slice(r))
  }
  return halve(keyed).map(({ item }) => item)
}
