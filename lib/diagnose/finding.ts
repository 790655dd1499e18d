/** Findings: a fault of a host, its consequence for clients, and its repair. */

import { Plan, type Step } from '../plan/plan.js'
import { openRtnetlink } from '../rtnetlink/client.js'
import type { AddressState } from '../rtnetlink/address/spec.js'
import { setLink } from '../rtnetlink/link/commands.js'
import { FALLBACKS } from '../rtnetlink/link/kinds/index.js'
import type { Settings } from '../rtnetlink/link/settings.js'
import type { LinkState } from '../rtnetlink/link/spec.js'

/** The faults that a diagnosis finds: first of both hosts, then of a real server, of a director. */
export type Problem =
  | 'wrong-namespace' | 'no-local-address' | 'vip-missing' | 'link-down' | 'no-route' | 'neighbour-failed'
  | 'no-listener' | 'packets-lost'
  | 'module-missing' | 'fou-port-missing' | 'tunnel-missing' | 'tunnel-down' | 'tunnel-mode' | 'gre-checksum'
  | 'rp-filter' | 'arp-leak' | 'way-back'
  | 'service-missing' | 'service-differs' | 'port-mismatch' | 'no-real-server' | 'defence' | 'backup-only'
  | 'forwarding-off' | 'vip-as-source' | 'behind-gateway' | 'mtu'

/** A fault of a host. */
export interface Finding {
  readonly problem: Problem
  /** The fault, and its consequence for clients. */
  readonly found: string
  readonly consequence: string
  /** The repair for a person, where a program cannot decide it. */
  readonly advice?: string
  /** The repair; empty where `advice` has it. */
  readonly plan: Plan
}

/** A finding whose repair is these steps; without steps, the advice. */
export function finding(
  problem: Problem, found: string, consequence: string, steps: readonly Step[], advice?: string,
): Finding {
  const advised = steps.length === 0 && advice !== undefined && { advice }
  return { problem, found, consequence, ...advised, plan: new Plan(steps) }
}

/** The step that sets a link of any kind, also the kernel's own links. */
export const linkSetting = (name: string, words: string, wanted: Settings, before: Settings): Step => ({
  action: 'change', object: 'link', line: `ip link set ${name} ${words}`,
  run: async (session, options) => setLink(await session.use(openRtnetlink), name, wanted, options),
  undo: async (session, options) => setLink(await session.use(openRtnetlink), name, before, options),
})

/** The step that sets an existing link up, if it is down. */
export const settingUp = (links: readonly LinkState[], name: string): Step[] =>
  links.some(link => link.name === name && !link.up) ? [linkSetting(name, 'up', { up: true }, { up: false })] : []

/** An address without the length of its prefix. */
export const bare = ({ address }: Pick<AddressState, 'address'>): string => address.split('/')[0]!

/** The names of the links that exist, for a sentence about a missing link. */
export const otherLinks = (links: readonly LinkState[]): string =>
  links.map(({ name }) => name).filter(name => !FALLBACKS.has(name)).join(', ') || 'none'

/** A list for a sentence: its first three, and the number of the others. */
export const some = (names: readonly string[]): string => names.length > 4
  ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')

/** The advice for a diagnosis in the wrong namespace. */
export const ELSEWHERE = 'run in the network namespace of the host (ip netns exec NAME …, nsenter -t PID -n …)'

/** The value of a sysctl as a number. */
export const numberOf = (sysctls: ReadonlyMap<string, string>, name: string): number => Number(sysctls.get(name) ?? 0)
