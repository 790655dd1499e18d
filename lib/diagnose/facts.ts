/** The state of a host that a diagnosis needs, read once. */

import { formatIPv6, NetlinkError, parseIPv6, type CallOptions } from '../../generic-netlink/core.js'
import type { Family } from '../base/address.js'
import { contains, networkOf, parsePrefix } from '../base/prefix.js'
import type { NetworkState } from '../network/network.js'
import { Addresses } from '../rtnetlink/address/addresses.js'
import { Links } from '../rtnetlink/link/links.js'
import { Neighbours } from '../rtnetlink/neighbour/neighbours.js'
import { Routes } from '../rtnetlink/route/routes.js'
import type { RouteState } from '../rtnetlink/route/spec.js'
import { sysctl } from '../sysctl/accessor.js'
import type { SysctlKey } from '../sysctl/keys.js'

/** The route that the kernel's own lookup finds; or the reason that there is none. */
export type Way = RouteState | string

/**
 * Reads a host's links, addresses, neighbours and these sysctls. Routes are listed only where a
 * diagnosis compares them with declared ones: a table may have a million.
 */
export async function readHost(
  keys: Iterable<SysctlKey>, listed: { readonly routes: boolean }, options?: CallOptions,
): Promise<NetworkState> {
  await using links = await Links.open()
  await using addresses = await Addresses.open()
  await using neighbours = await Neighbours.open()
  await using routes = await Routes.open()
  return {
    fouPorts: [],
    links: await links.list({}, options),
    addresses: await addresses.list({}, options),
    neighbours: await neighbours.list({ kind: 'neighbour' }, options),
    routes: listed.routes ? await routes.list({}, options) : [],
    sysctls: await sysctl.read(keys, options),
  }
}

/** Looks a route up, for packets from an address of this host. */
export async function readWay(routes: Routes, to: string, source?: string, options?: CallOptions): Promise<Way> {
  try { return await routes.lookup(to, source === undefined ? {} : { source }, options) } catch (error) {
    if (!(error instanceof NetlinkError)) throw error
    return error.message
  }
}

/** Looks routes up. */
export async function readWays(addresses: Iterable<string>, options?: CallOptions): Promise<Map<string, Way>> {
  await using routes = await Routes.open()
  const ways = new Map<string, Way>()
  for (const address of new Set(addresses)) ways.set(address, await readWay(routes, address, undefined, options))
  return ways
}

/** A host of a network, to look its route up. */
export function hostIn(network: string): string {
  const prefix = parsePrefix('network', network)
  const first = networkOf(prefix)
  if (prefix.family === 'inet') return prefix.length > 31 ? first : first.replace(/\d+$/, last => `${Number(last) | 1}`)
  return prefix.length > 127 ? first : formatIPv6(parseIPv6(first)!.map((byte, i) => i === 15 ? byte | 1 : byte))
}

/** A host that no listed route leads to but the default: whom a client from anywhere stands for. */
export function strangerTo(routes: readonly RouteState[], family: Family): string {
  const networks = routes.filter(route => route.family === family && route.to !== 'default')
    .map(({ to }) => contains(parsePrefix('to', to)))
  for (let i = 223; ; i--) {
    const host = family === 'inet' ? `${i}.0.0.1` : `2a00:${i.toString(16)}::1`
    if (i === 1 || !networks.some(has => has(host))) return host
  }
}
