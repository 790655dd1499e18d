/** All that a host needs of its network, in one plan: what stands on something else comes after it. */

import type { CallOptions } from '../generic-netlink/index.js'
import { FouPorts, fouSteps, type FouPortSpec } from './fou.js'
import { Plan, type Step } from './plan.js'
import { Addresses, addressSteps } from './rtnetlink/addresses.js'
import type { AddressSpec } from './rtnetlink/address-spec.js'
import { Links, linkSteps } from './rtnetlink/links.js'
import type { LinkSpec } from './rtnetlink/link-spec.js'
import { Neighbours, neighbourSteps, type NeighbourSpec } from './rtnetlink/neighbours.js'
import { Routes, routeSteps, type RouteSpec } from './rtnetlink/routes.js'
import { sysctl, sysctlSteps, type SysctlSetting } from './sysctl.js'

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

/** What all of them have: something opened, which lists what is there. */
type Opened<T> = AsyncDisposable & { list(filter?: undefined, options?: CallOptions): Promise<T[]> }

/** What is there, where anything of its sort is wanted; nobody has to have what nobody asks for. */
async function stepsOf<W, A>(
  wanted: readonly W[] = [], open: () => Promise<Opened<A>>, steps: (wanted: readonly W[], actual: readonly A[]) => Step[],
): Promise<Step[]> {
  if (wanted.length === 0) return []
  await using opened = await open()
  return steps(wanted, await opened.list())
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
  const { fouPorts, links, addresses, routes, neighbours, sysctls = [] } = spec
  return new Plan([
    ...await stepsOf(fouPorts, () => FouPorts.open(), fouSteps),
    ...await stepsOf(links, () => Links.open(), linkSteps),
    ...await stepsOf(addresses, () => Addresses.open(), addressSteps),
    // Of a link to come there is none yet: its steps look when they are made.
    ...sysctlSteps(sysctls, await sysctl.read(sysctls.map(({ key }) => key), options)),
    ...await stepsOf(routes, () => Routes.open(), routeSteps),
    ...await stepsOf(neighbours, () => Neighbours.open(), neighbourSteps),
  ])
}
