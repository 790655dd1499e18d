/** What is wrong with a host that should serve, why a client would fail for it, and what mends it. */

import type { CallOptions } from '../../generic-netlink/index.js'
import type { NetworkState } from '../network/network.js'
import { Plan, type Step } from '../plan/plan.js'
import { openRtnetlink } from '../rtnetlink/client.js'
import { Addresses } from '../rtnetlink/address/addresses.js'
import type { AddressState } from '../rtnetlink/address/spec.js'
import { setLink } from '../rtnetlink/link/commands.js'
import { FALLBACKS } from '../rtnetlink/link/kinds/index.js'
import type { Settings } from '../rtnetlink/link/settings.js'
import type { LinkState } from '../rtnetlink/link/spec.js'
import { Links } from '../rtnetlink/link/links.js'
import { Routes } from '../rtnetlink/route/routes.js'
import { sysctl } from '../sysctl/accessor.js'
import type { SysctlKey } from '../sysctl/keys.js'

/**
 * What can be wrong.
 *
 * - Of both: `wrong-namespace`, `no-local-address`, `vip-missing`, `no-route`.
 * - Of a real server: `module-missing`, `fou-port-missing`, `tunnel-missing`, `tunnel-down`, `tunnel-mode`, `gre-checksum`, `rp-filter`, `arp-leak`.
 * - Of a director: `service-missing`, `service-differs`, `port-mismatch`, `forwarding-off`, `vip-as-source`, `mtu`.
 */
export type Problem =
  | 'wrong-namespace' | 'no-local-address' | 'vip-missing' | 'no-route'
  | 'module-missing' | 'fou-port-missing' | 'tunnel-missing' | 'tunnel-down' | 'tunnel-mode' | 'gre-checksum' | 'rp-filter' | 'arp-leak'
  | 'service-missing' | 'service-differs' | 'port-mismatch' | 'forwarding-off' | 'vip-as-source' | 'mtu'

/** Something that is wrong. */
export interface Finding {
  readonly problem: Problem
  /** What was found. */
  readonly found: string
  /** Why a client would fail. */
  readonly consequence: string
  /** What to do, where no program may. */
  readonly advice?: string
  /** Mends it; empty where no program may, and `advice` says what to do. */
  readonly plan: Plan
}

/** A finding that some steps mend; without any, by what the advice says. */
export function finding(problem: Problem, found: string, consequence: string, steps: readonly Step[], advice?: string): Finding {
  return { problem, found, consequence, ...steps.length === 0 && advice !== undefined && { advice }, plan: new Plan(steps) }
}

/** What a host has: links, addresses, routes, and these sysctls. */
export async function readHost(keys: Iterable<SysctlKey>, options?: CallOptions): Promise<NetworkState> {
  await using links = await Links.open()
  await using addresses = await Addresses.open()
  await using routes = await Routes.open()
  return {
    fouPorts: [],
    neighbours: [],
    links: await links.list({}, options),
    addresses: await addresses.list({}, options),
    routes: await routes.list({}, options),
    sysctls: await sysctl.read(keys, options),
  }
}

/** A link as it is told to be; for links of any kind, also those that nobody made. */
export const linkSetting = (name: string, words: string, wanted: Settings, before: Settings): Step => ({
  action: 'change', object: 'link', line: `ip link set ${name} ${words}`,
  run: async (session, options) => setLink(await session.use(openRtnetlink), name, wanted, options),
  undo: async (session, options) => setLink(await session.use(openRtnetlink), name, before, options),
})

/** Sets up a link that is there and down. */
export const settingUp = (links: readonly LinkState[], name: string): Step[] =>
  links.some(link => link.name === name && !link.up) ? [linkSetting(name, 'up', { up: true }, { up: false })] : []

/** An address without the length of its prefix. */
export const bare = ({ address }: Pick<AddressState, 'address'>): string => address.split('/')[0]!

/** Where a link should be that is not: in words, what is there. */
export const otherLinks = (links: readonly LinkState[]): string =>
  links.map(({ name }) => name).filter(name => !FALLBACKS.has(name)).join(', ') || 'none'

/** What to do in another namespace. */
export const ELSEWHERE = 'run in the network namespace of the host (ip netns exec NAME …, nsenter -t PID -n …)'

/** What a sysctl holds, as a number. */
export const held = (sysctls: ReadonlyMap<string, string>, name: string): number => Number(sysctls.get(name) ?? 0)
