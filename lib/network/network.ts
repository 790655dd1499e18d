/**
 * A host's network in one plan, in an order that is safe at every moment: links, sysctls,
 * addresses, routes, neighbours. An address comes up on a host that is quiet already.
 */

import type { CallOptions } from '../../generic-netlink/core.js'
import { atPath, callOptions, checkList, checkObject, within } from '../base/check.js'
import { FouPorts, fouSteps, type FouPortSpec, type FouPortState } from './fou.js'
import { Plan, type Step } from '../plan/plan.js'
import { Addresses, addressSteps } from '../rtnetlink/address/addresses.js'
import type { AddressSpec, AddressState } from '../rtnetlink/address/spec.js'
import { Links, linkSteps } from '../rtnetlink/link/links.js'
import type { LinkSpec, LinkState } from '../rtnetlink/link/spec.js'
import {
  Neighbours, neighbourSteps, type NeighbourSpec, type NeighbourState,
} from '../rtnetlink/neighbour/neighbours.js'
import { Routes, routeSteps } from '../rtnetlink/route/routes.js'
import type { RouteSpec, RouteState } from '../rtnetlink/route/spec.js'
import { sysctl } from '../sysctl/accessor.js'
import { checkSettings, sysctlSteps, type SysctlSetting } from '../sysctl/steps.js'

/** The network that a host should have. */
export interface NetworkSpec {
  /** UDP ports that unwrap GUE. */
  readonly fouPorts?: readonly FouPortSpec[]
  readonly links?: readonly LinkSpec[]
  readonly addresses?: readonly AddressSpec[]
  readonly routes?: readonly RouteSpec[]
  /** Neighbours and forwarding entries. */
  readonly neighbours?: readonly NeighbourSpec[]
  readonly sysctls?: readonly SysctlSetting[]
}

/** The network that a host has, read once. */
export interface NetworkState {
  readonly fouPorts: readonly FouPortState[]
  readonly links: readonly LinkState[]
  readonly addresses: readonly AddressState[]
  readonly routes: readonly RouteState[]
  readonly neighbours: readonly NeighbourState[]
  readonly sysctls: ReadonlyMap<string, string>
}

const PARTS = new Set(
  ['fouPorts', 'links', 'addresses', 'routes', 'neighbours', 'sysctls'] satisfies (keyof NetworkSpec)[])
const NOTHING: NetworkState = {
  fouPorts: [], links: [], addresses: [], routes: [], neighbours: [], sysctls: new Map(),
}

/** Checks a whole network before anything is read. @throws SpecError naming the field */
export function checkNetwork(spec: NetworkSpec, path = 'network'): void {
  const given = checkObject(path, spec, PARTS)
  for (const part of PARTS) if (given[part] !== undefined) checkList(atPath(path, part), given[part])
  if (spec.sysctls) checkSettings(spec.sysctls, atPath(path, 'sysctls'))
  within(path, () => networkSteps(spec, NOTHING))
}

/** Lists a table where any entry of its kind is wanted: a kernel need not have the others. */
async function listWanted<T>(
  wanted: readonly unknown[] = [], table: { open(): Promise<AsyncDisposable & { list(): Promise<T[]> }> },
): Promise<T[]> {
  if (wanted.length === 0) return []
  await using opened = await table.open()
  return await opened.list()
}

/** Reads the tables of the objects that a spec names. */
export async function readNetwork(
  { fouPorts, links, addresses, routes, neighbours, sysctls = [] }: NetworkSpec, options?: CallOptions,
): Promise<NetworkState> {
  return {
    fouPorts: await listWanted(fouPorts, FouPorts),
    links: await listWanted(links, Links),
    addresses: await listWanted(addresses, Addresses),
    routes: await listWanted(routes, Routes),
    neighbours: await listWanted(neighbours, Neighbours),
    sysctls: await sysctl.read(sysctls.map(({ key }) => key), options),
  }
}

/** The sysctls without which a host answers ARP for an address that is another host's too. */
const QUIETING = /^net\.ipv4\.conf\..+\.arp_(ignore|announce)$/

/** Whether an address needs a step: IPv4 a quiet host, and IPv6 a link that has IPv6. */
const isNeeded = ({ address, link }: AddressSpec, { sets = '' }: Step): boolean => !address.includes(':')
  ? QUIETING.test(sets)
  : ['all', link.replaceAll('.', '/')].some(device => sets === `net.ipv6.conf.${device}.disable_ipv6`)

/**
 * The steps to the wanted network: ports, links, sysctls, addresses, routes, neighbours. An address
 * does not come up unless the steps are applied that keep the host quiet, or that switch IPv6 on.
 * Pure.
 */
export function networkSteps(wanted: NetworkSpec, actual: NetworkState): Step[] {
  const { fouPorts = [], links = [], addresses = [], routes = [], neighbours = [], sysctls = [] } = wanted
  // A link that is to be added has no sysctls yet: their steps read them when they run.
  const settings = sysctlSteps(sysctls, actual.sysctls)
  const needsOf = (address: AddressSpec): Step[] | undefined => {
    const needs = settings.filter(step => isNeeded(address, step))
    return needs.length > 0 ? needs : undefined
  }
  return [
    ...fouSteps(fouPorts, actual.fouPorts),
    // A link that is added again gets back what stood on it.
    ...linkSteps(links, actual.links),
    ...settings,
    ...addressSteps(addresses, actual.addresses, needsOf),
    ...routeSteps(routes, actual.routes),
    ...neighbourSteps(neighbours, actual.neighbours),
  ]
}

/**
 * Plans this host's network: ports and links, sysctls, addresses, routes, neighbours.
 * The plan is empty where the network is as wanted. Objects that the spec does not name stay.
 *
 * Where a step fails that keeps the host from answering ARP (`arp_ignore`, `arp_announce`), no IPv4
 * address comes up, whatever `onFailure` says; where `disable_ipv6` stays set, no IPv6 address of
 * that link. Reverting takes the addresses away before the host answers again.
 *
 * @example
 * ```ts
 * import { planNetwork } from 'ipvs-nl'
 *
 * const plan = await planNetwork({
 *   links: [{ kind: 'dummy', name: 'vips' }],
 *   addresses: [{ address: '192.0.2.1/32', link: 'vips' }],
 *   routes: [{ to: '198.51.100.0/24', via: '192.0.2.254' }],
 *   sysctls: [{ key: 'net.ipv4.ip_forward', value: 1, why: 'packets pass through' }],
 * })
 * console.log(`${plan}`)
 * await plan.apply()
 * ```
 */
export async function planNetwork(spec: NetworkSpec, options?: CallOptions): Promise<Plan> {
  const call = callOptions(options)
  checkNetwork(spec)
  return new Plan(networkSteps(spec, await readNetwork(spec, call)))
}
