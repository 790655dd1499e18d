/** The faults of a real server. */

import { access } from 'node:fs/promises'
import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import { familyOf } from '../base/address.js'
import { bare, ELSEWHERE, finding, numberOf, otherLinks, readHost, type Finding, type Problem } from './finding.js'
import { address, SpecError } from '../base/check.js'
import { FouPorts, fouSteps } from '../network/fou.js'
import { effectiveSysctl, type EffectiveSysctl } from '../sysctl/effective.js'
import { networkSteps, type NetworkSpec, type NetworkState } from '../network/network.js'
import type { Step } from '../plan/plan.js'
import { occupied, realServerNetwork, vipsOf, type RealServerSetup } from '../network/real-server.js'
import { addressRemovals } from '../rtnetlink/address/addresses.js'
import type { LinkSpec, LinkState } from '../rtnetlink/link/spec.js'
import { sysctl } from '../sysctl/accessor.js'
import { isSegment, sysctlName } from '../sysctl/keys.js'

/** The state of the real server, read once. */
export interface RealServerFacts {
  readonly network: NetworkState
  /** A module that is not loaded; the kernel does not load it by itself. */
  readonly missingModule?: 'fou' | 'fou6'
}

const conf = (link: string, name: string): string => sysctlName(['net', 'ipv4', 'conf', link, name])
const CONF = ['rp_filter', 'arp_ignore', 'arp_announce'] as const

/** Reads the state that a diagnosis needs. */
export async function readRealServer(spec: RealServerSetup, options?: CallOptions): Promise<RealServerFacts> {
  const wanted = realServerNetwork(spec)
  const network = await readHost([], options)
  const links = wanted.sysctls?.length ? ['all', ...network.links.map(({ name }) => name).filter(isSegment)] : []
  const keys = links.flatMap(link => CONF.map(name => ['net', 'ipv4', 'conf', link, name]))
  const sysctls = await sysctl.read(keys, options)
  const [port] = wanted.fouPorts ?? []
  if (!port) return { network: { ...network, sysctls } }
  const { fouPorts, ...module } = await readPorts(port.family === 'inet6', options)
  return { network: { ...network, sysctls, fouPorts }, ...module }
}

type Ports = Pick<NetworkState, 'fouPorts'> & Pick<RealServerFacts, 'missingModule'>

async function readPorts(six: boolean, options?: CallOptions): Promise<Ports> {
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

/** Findings whose plans contain the addresses of the link. */
const OF_LINK = new Set<Problem>(['tunnel-missing', 'tunnel-down', 'tunnel-mode', 'gre-checksum'])

/** The faults, each with its own repair. Omits faults that only follow from another one. Pure. */
export function realServerFindings(spec: RealServerSetup, facts: RealServerFacts): Finding[] {
  const wanted = realServerNetwork(spec)
  if (spec.masq) return wayBack(spec.masq.director, wanted, facts.network)
  const { network } = facts
  const receiving = spec.route ? network.links.find(({ name }) => name === spec.route.link)?.name
    : network.addresses.find(each => bare(each) === address('tunnel.local', spec.tunnel.local))?.link
  if (receiving === undefined) return [wrongHost(spec, network)]
  const tunnel = spec.tunnel ? unwrapping(wanted, facts) : []
  const [link] = spec.tunnel ? wanted.links! : []
  const there = network.links.find(({ name }) => name === link?.name)
  return [
    ...tunnel,
    ...addresses(wanted, network, tunnel.some(({ problem }) => OF_LINK.has(problem)) ? link?.name : undefined),
    ...there && link ? reversePath(wanted, link, network) : [],
    ...vipsOf(spec).some(vip => familyOf(vip) === 'inet') ? leaks(spec, wanted, receiving, network) : [],
  ]
}

/** This host has neither the tunnel's end nor the receiving link. */
function wrongHost({ route, tunnel }: RealServerSetup, { links, addresses }: NetworkState): Finding {
  if (route) {
    return finding('wrong-namespace',
      `there is no link ${route.link} in this network namespace; its links are ${otherLinks(links)}`,
      'the director\'s packets do not arrive here', [],
      `${ELSEWHERE}, or name the link on which the director's packets arrive`)
  }
  const { local } = tunnel!
  return addresses.every(each => each.link === 'lo' || each.scope === 'link')
    ? finding('wrong-namespace',
        `no link but lo has a global address in this network namespace, and the tunnel's end should be ${local}`,
        'the director\'s packets do not arrive here', [], ELSEWHERE)
    : finding('no-local-address', `no link of this network namespace has the address ${local} of the tunnel's end`,
        'the director\'s packets do not arrive, or are dropped', [],
        `add ${local} to the link on the director's network, or set local to the address that the director forwards to`)
}

/** With masq a reply on another route keeps the real server's address, unknown to the client. */
function wayBack(director: string, wanted: NetworkSpec, network: NetworkState): Finding[] {
  const steps = networkSteps(wanted, network)
  if (steps.length === 0) return []
  const [{ to } = { to: 'default' }] = wanted.routes!
  return [finding('no-route', `the route to ${to} does not pass through the director, ${director}`,
    'only the director can set the VIP as the source of replies: '
    + 'clients get no replies, or replies from an unknown address', steps)]
}

/** The ports and links that unwrap packets. */
function unwrapping(wanted: NetworkSpec, { network, missingModule }: RealServerFacts): Finding[] {
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
    ...link(wanted, network),
  ]
}

function link(wanted: NetworkSpec, network: NetworkState): Finding[] {
  const [{ mtu: _, ...tunnel }] = wanted.links as [LinkSpec]
  const there = network.links.find(({ name }) => name === tunnel.name)
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
  if (changes.length === 0) return []
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

/** The VIPs, except those on a link that is reported itself. */
function addresses(wanted: NetworkSpec, network: NetworkState, wrong: string | undefined): Finding[] {
  return wanted.addresses!.filter(({ link }) => link !== wrong).flatMap((spec): Finding[] => {
    const vip = bare(spec)
    const there = network.addresses.find(address => bare(address) === vip && address.link === spec.link)
    // Also on a link that is down: IPv4 accepts that, and IPv6 removes the address with the link.
    if (there && !there.dadfailed && !there.tentative) return []
    const carriers = wanted.links!.filter(({ kind, name }) => kind === 'dummy' && name === spec.link)
    const taken = occupied({ links: carriers }, network.links) !== undefined
    const steps = taken ? [] : networkSteps({ links: carriers, addresses: [spec] }, network)
    const found = there ? `another host of the network has ${vip} too, and the kernel does not use it`
      : `${spec.link} does not have the VIP ${vip}`
    return [finding('vip-missing', found, 'this host drops packets to the VIP, or forwards them', steps,
      `${spec.link} is not a dummy link; use lo, or another name, as the carrier`)]
  })
}

const effective = (name: typeof CONF[number], link: string, sysctls: NetworkState['sysctls']): EffectiveSysctl =>
  effectiveSysctl(name, link,
    { all: numberOf(sysctls, conf('all', name)), device: numberOf(sysctls, conf(link, name)) })

/** Whether the reverse path filter lets clients' packets out of the tunnel. */
function reversePath(wanted: NetworkSpec, { name }: LinkSpec, network: NetworkState): Finding[] {
  const filters = wanted.sysctls!.filter(({ key }) => key.at(-1) === 'rp_filter')
  if (filters.length === 0) return []
  const addressless = filters.length > 1
  const { value, sentence } = effective('rp_filter', name, network.sysctls)
  if (value === 0 || (value === 2 && !addressless)) return []
  const why = addressless ? 'has no address, so that even the loose filter (2) drops its packets'
    : 'is not the route back to clients'
  return [finding('rp-filter', sentence, `${name} ${why}: clients' packets are dropped in silence`,
    networkSteps({ sysctls: filters }, network))]
}

/** Values of arp_ignore with which a VIP on another link stays silent. */
const SILENT = [1, 2, 8]

/** Whether ARP names a VIP. */
function leaks({ route }: RealServerSetup, wanted: NetworkSpec, receiving: string, network: NetworkState): Finding[] {
  const ignore = effective('arp_ignore', receiving, network.sysctls)
  const announce = effective('arp_announce', receiving, network.sysctls)
  const quiet = wanted.sysctls!.filter(({ key }) => /^arp_/.test(String(key.at(-1))))
  const consequence = 'clients and routers send to this host in place of the director: '
    + 'no balancing, and no service while this host is down'
  const findings: Finding[] = []
  if (!SILENT.includes(ignore.value) || announce.value < 2) {
    const found = [!SILENT.includes(ignore.value) && ignore.sentence, announce.value < 2 && announce.sentence]
      .filter(Boolean).join('. ')
    // A larger value of `all` would count.
    const all = ignore.value > 2 ? [{ key: ['net', 'ipv4', 'conf', 'all', 'arp_ignore'], value: 1 }] : []
    findings.push(finding('arp-leak', found, consequence, networkSteps({ sysctls: [...all, ...quiet] }, network)))
  }
  for (const { address } of wanted.addresses!) {
    const here = network.addresses.find(each => bare(each) === address.split('/')[0] && each.link === receiving)
    if (route && here) {
      findings.push(finding('arp-leak',
        `${receiving}, on which the director's packets arrive, has the VIP ${bare(here)}, and answers for it`,
        consequence, addressRemovals([here], network.addresses)))
    }
  }
  return findings
}
