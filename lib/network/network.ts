/** All that a host needs of its network, in one plan: what stands on something else comes after it. */

import type { CallOptions } from '../../generic-netlink/index.js'
import { FouPorts, fouSteps, type FouPortSpec, type FouPortState } from './fou.js'
import { Plan, type Step } from '../plan/plan.js'
import { Addresses, addressSteps } from '../rtnetlink/address/addresses.js'
import type { AddressSpec, AddressState } from '../rtnetlink/address/spec.js'
import { Links, linkSteps } from '../rtnetlink/link/links.js'
import type { LinkSpec, LinkState } from '../rtnetlink/link/spec.js'
import { Neighbours, neighbourSteps, type NeighbourSpec, type NeighbourState } from '../rtnetlink/neighbour/neighbours.js'
import { Routes, routeSteps } from '../rtnetlink/route/routes.js'
import type { RouteSpec, RouteState } from '../rtnetlink/route/spec.js'
import { sysctl } from '../sysctl/accessor.js'
import { sysctlSteps, type SysctlSetting } from '../sysctl/steps.js'

/** What a host needs of its network. */
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

/** What a host has of it, read once. */
export interface NetworkState {
  readonly fouPorts: readonly FouPortState[]
  readonly links: readonly LinkState[]
  readonly addresses: readonly AddressState[]
  readonly routes: readonly RouteState[]
  readonly neighbours: readonly NeighbourState[]
  readonly sysctls: ReadonlyMap<string, string>
}

/** What all of them have: something opened, which lists what is there. */
type Opened<T> = AsyncDisposable & { list(): Promise<T[]> }

/** What is there, where anything of its sort is wanted; nobody has to have what nobody asks for. */
async function present<A>(wanted: readonly unknown[] = [], open: () => Promise<Opened<A>>): Promise<A[]> {
  if (wanted.length === 0) return []
  await using opened = await open()
  return await opened.list()
}

/** What the host has of the sorts of things that a spec names. */
export async function readNetwork({ fouPorts, links, addresses, routes, neighbours, sysctls = [] }: NetworkSpec, options?: CallOptions): Promise<NetworkState> {
  return {
    fouPorts: await present(fouPorts, () => FouPorts.open()),
    links: await present(links, () => Links.open()),
    addresses: await present(addresses, () => Addresses.open()),
    routes: await present(routes, () => Routes.open()),
    neighbours: await present(neighbours, () => Neighbours.open()),
    sysctls: await sysctl.read(sysctls.map(({ key }) => key), options),
  }
}

/** The steps from what is to what is wanted: ports and links, addresses, sysctls, routes, neighbours. Pure. */
export function networkSteps(wanted: NetworkSpec, actual: NetworkState): Step[] {
  const { fouPorts = [], links = [], addresses = [], routes = [], neighbours = [], sysctls = [] } = wanted
  const ofLinks = linkSteps(links, actual.links)
  const gone = ofLinks.flatMap(({ removes }) => removes ?? [])
  const onGone = new RegExp(`^net\\.\\w+\\.(conf|neigh)\\.(${gone.map(name => name.replaceAll('.', '/')).join('|')})\\.`)
  return [
    ...fouSteps(fouPorts, actual.fouPorts),
    ...ofLinks,
    ...addressSteps(addresses, actual.addresses.filter(({ link }) => !gone.includes(link))),
    // Of a link to come there is none yet: its steps look when they are made.
    ...sysctlSteps(sysctls, gone.length === 0 ? actual.sysctls : new Map([...actual.sysctls].filter(([name]) => !onGone.test(name)))),
    ...routeSteps(routes, actual.routes.filter(({ link }) => link === undefined || !gone.includes(link))),
    ...neighbourSteps(neighbours, actual.neighbours.filter(({ link }) => !gone.includes(link))),
  ]
}

/**
 * What must change for this host's network to have all of it: ports and links, addresses, sysctls, routes, neighbours.
 * Empty where it has. What is not named stays as it is.
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
  return new Plan(networkSteps(spec, await readNetwork(spec, options)))
}
