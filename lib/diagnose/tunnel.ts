/** What unwraps the director's packets at a real server. */

import { access } from 'node:fs/promises'
import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import { SpecError } from '../base/check.js'
import { FouPorts, fouSteps, type FouPortState } from '../network/fou.js'
import { networkSteps, type NetworkSpec, type NetworkState } from '../network/network.js'
import type { Step } from '../plan/plan.js'
import type { LinkSpec, LinkState } from '../rtnetlink/link/spec.js'
import { effectiveConf } from './conf.js'
import type { Way } from './facts.js'
import { finding, type Finding } from './finding.js'

export type MissingModule = 'fou' | 'fou6'

/** Reads the ports, and which module is not loaded; the kernel does not load it by itself. */
export async function readPorts(
  six: boolean, options?: CallOptions,
): Promise<{ fouPorts: readonly FouPortState[]; missingModule?: MissingModule }> {
  try {
    await using ports = await FouPorts.open(options)
    const fouPorts = await ports.list({}, options)
    // A kernel that has fou built in has fou6 too, and shows neither as a module.
    const loaded = (name: string): Promise<boolean> => access(`/sys/module/${name}`).then(() => true, () => false)
    return { fouPorts, ...six && await loaded('fou') && !await loaded('fou6') && { missingModule: 'fou6' } }
  } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENOENT') return { fouPorts: [], missingModule: 'fou' }
    throw error
  }
}

/** The ports and links that unwrap packets. */
export function unwrapping(
  wanted: NetworkSpec, network: NetworkState, missingModule: MissingModule | undefined, sender: Way | undefined,
): Finding[] {
  const ports = fouSteps(wanted.fouPorts ?? [], network.fouPorts)
  const port = wanted.fouPorts?.[0]?.port ?? 0
  return [
    ...missingModule === undefined ? [] : [finding('module-missing',
      `the kernel's module ${missingModule} is not loaded`,
      'GUE is not unwrapped: the director\'s packets are answered with ICMP port unreachable', [],
      `modprobe ${missingModule}, then plan again; the kernel does not load it by itself`)],
    ...missingModule !== undefined || ports.length === 0 ? [] : [finding('fou-port-missing',
      `UDP port ${port} does not unwrap GUE`,
      'the director\'s packets are answered with ICMP port unreachable', ports)],
    ...link(wanted, network, sender),
  ]
}

/** The sender to which a tunnel is restricted, where the spec leaves it open. */
export function senderOf({ links: [tunnel] = [] }: NetworkSpec, { links }: NetworkState): string | undefined {
  const there = links.find(({ name }) => name === tunnel?.name)
  return tunnel && there?.kind === tunnel.kind && !('remote' in tunnel) && 'remote' in there ? there.remote : undefined
}

function link(wanted: NetworkSpec, network: NetworkState, sender: Way | undefined): Finding[] {
  const [{ mtu: _, ...declared }] = wanted.links as [LinkSpec]
  const there = network.links.find(({ name }) => name === declared.name)
  // A tunnel with one sender is right where that is the director: only one without a way is not.
  const remote = typeof sender === 'object' ? senderOf(wanted, network) : undefined
  const tunnel = { ...declared, ...remote !== undefined && { remote } } as typeof declared
  // A new link needs its addresses and sysctls too.
  const own = ({ key }: { key: unknown }): boolean => Array.isArray(key) && key[3] === tunnel.name
  const whole: NetworkSpec = {
    links: [tunnel],
    addresses: wanted.addresses!.filter(address => address.link === tunnel.name),
    sysctls: wanted.sysctls!.filter(own),
  }
  let steps: Step[]
  try { steps = networkSteps(whole, network) } catch (error) {
    if (!(error instanceof SpecError)) throw error
    return [finding('tunnel-mode', error.message,
      'the link that should unwrap the director\'s packets cannot be added', [],
      'remove the conflicting link, or use another name')]
  }
  const changes = steps.filter(({ object }) => object === 'link')
  if (changes.length === 0) {
    const far = typeof sender === 'object' && sender.via !== undefined
    return !far || !there || there.statistics.rxPackets > 0n ? [] : [finding('tunnel-mode',
      `${tunnel.name} takes packets of ${remote!} alone, and has never got one`,
      'the packets of another director are answered with ICMP or dropped', [],
      `name ${remote!} in tunnel.remote if it is the director; otherwise let the tunnel take those of the director`)]
  }
  if (!there) {
    return [finding('tunnel-missing', `there is no link ${tunnel.name}`,
      'the director\'s packets are not unwrapped, but answered with ICMP or dropped', steps)]
  }
  if (changes.every(({ line }) => line === `ip link set ${tunnel.name} up`)) {
    return [finding('tunnel-down', `${tunnel.name} is down`,
      'the link takes no packets: the director\'s packets are answered with ICMP or dropped', steps)]
  }
  if ('checksum' in tunnel && there.kind === tunnel.kind && checks(there) !== tunnel.checksum) {
    const found = tunnel.checksum ? 'expects no checksum, and the director sends one'
      : 'expects a checksum, and the director sends none'
    return [finding('gre-checksum', `${tunnel.name} ${found}`, 'the director\'s packets are dropped in silence', steps)]
  }
  return [finding('tunnel-mode', `${tunnel.name} has wrong parameters: ${changes.map(({ line }) => line).join('; ')}`,
    'the link does not take the director\'s packets, which are answered with ICMP or dropped in silence', steps)]
}

const checks = (link: LinkState): boolean => 'checksum' in link && (link.checksum === true || link.checksum === 'in')

/** Whether the reverse path filter lets clients' packets out of the tunnel. */
export function reversePathOf(wanted: NetworkSpec, { name }: LinkSpec, network: NetworkState): Finding[] {
  const filters = wanted.sysctls!.filter(({ key }) => key.at(-1) === 'rp_filter')
  if (filters.length === 0) return []
  const addressless = filters.length > 1
  const { value, sentence } = effectiveConf('rp_filter', name, network.sysctls)
  if (value === 0 || (value === 2 && !addressless)) return []
  const why = addressless ? 'has no address, so that even the loose filter (2) drops its packets'
    : 'is not the route back to clients'
  return [finding('rp-filter', sentence, `${name} ${why}: clients' packets are dropped in silence`,
    networkSteps({ sysctls: filters }, network))]
}
