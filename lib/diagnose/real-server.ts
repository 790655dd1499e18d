/** The faults of a real server. */

import { familyOf } from '../base/address.js'
import { contains, parsePrefix } from '../base/prefix.js'
import { address } from '../base/check.js'
import { networkSteps, type NetworkSpec, type NetworkState } from '../network/network.js'
import { occupied, quiet, realServerNetwork, vipsOf, type RealServerSetup } from '../network/real-server.js'
import { addressRemovals } from '../rtnetlink/address/addresses.js'
import { sysctl } from '../sysctl/accessor.js'
import { isSegment } from '../sysctl/keys.js'
import { listsRoutes, readWaysBack, reversePath, throughDirector, toClients, type WayBack } from './back.js'
import { CONF, effectiveConf } from './conf.js'
import { readHost, readWays, type Way } from './facts.js'
import { bare, ELSEWHERE, finding, otherLinks, type Finding, type Problem } from './finding.js'
import { idleLink, linkDown } from './links.js'
import { readListeners, unheard, type Socket } from './listeners.js'
import { lookAtRealServer, lookTwice, lostAtRealServer, type DiagnoseOptions, type Looks } from './looks.js'
import { readPorts, reversePathOf, senderOf, unwrapping, type MissingModule } from './tunnel.js'

/** The state of the real server, read once. */
export interface RealServerFacts {
  readonly network: NetworkState
  /** A module that is not loaded; the kernel does not load it by itself. */
  readonly missingModule?: MissingModule
  /** The way to the only sender of the tunnel, where the spec leaves the sender open. */
  readonly sender?: Way
  readonly back: readonly WayBack[]
  /** Who listens at the port that the spec names. */
  readonly listeners: readonly Socket[]
  /** What clients did while it was read. */
  readonly looks?: Looks
}

/** Reads the state that a diagnosis needs. */
export async function readRealServer(
  spec: RealServerSetup, { observe, ...options }: DiagnoseOptions = {},
): Promise<RealServerFacts> {
  const wanted = realServerNetwork(spec)
  const looks = await lookTwice(each => lookAtRealServer(spec, tunnelOf(wanted), each), { observe, ...options })
  const host = await readHost([], { routes: listsRoutes(spec) }, options)
  const links = wanted.sysctls?.length ? ['all', ...host.links.map(({ name }) => name).filter(isSegment)] : []
  const keys = links.flatMap(link => CONF.map(name => ['net', 'ipv4', 'conf', link, name]))
  const [port] = wanted.fouPorts ?? []
  const { fouPorts, ...module } = port ? await readPorts(port.family === 'inet6', options) : { fouPorts: [] }
  const network = { ...host, sysctls: await sysctl.read(keys, options), fouPorts }
  const sender = senderOf(wanted, network)
  return {
    network, looks, ...module, ...sender !== undefined && { sender: (await readWays([sender], options)).get(sender)! },
    back: await readWaysBack(spec, network, options),
    listeners: spec.port === undefined ? [] : await readListeners(spec.port, options),
  }
}

/** Findings whose plans contain the addresses of the link. */
const OF_LINK = new Set<Problem>(['tunnel-missing', 'tunnel-down', 'tunnel-mode', 'gre-checksum'])

/** The link that unwraps, if the director forwards by a tunnel. */
const tunnelOf = ({ links }: NetworkSpec): string | undefined => links?.find(({ kind }) => kind !== 'dummy')?.name

/** The faults, each with its own repair. Omits faults that only follow from another one. Pure. */
export function realServerFindings(spec: RealServerSetup, facts: RealServerFacts): Finding[] {
  const wanted = realServerNetwork(spec)
  const findings = faultsOf(spec, wanted, facts)
  return findings.length > 0 ? findings : lostAtRealServer(facts.looks, tunnelOf(wanted))
}

function faultsOf(spec: RealServerSetup, wanted: NetworkSpec, facts: RealServerFacts): Finding[] {
  const { network, back } = facts
  if (spec.masq) return [...throughDirector(spec.masq, wanted, network, back), ...heard(spec, [undefined], facts)]
  const receiving = spec.route ? network.links.find(({ name }) => name === spec.route.link)?.name
    : network.addresses.find(each => bare(each) === address('tunnel.local', spec.tunnel.local))?.link
  if (receiving === undefined) return [wrongHost(spec, network)]
  const down = idleLink(network.links, receiving)
  const tunnel = spec.tunnel ? unwrapping(wanted, network, facts.missingModule, facts.sender) : []
  const [link] = spec.tunnel ? wanted.links! : []
  const there = network.links.find(({ name }) => name === link?.name)
  const { links = [], addresses: vips = [] } = wanted
  const carriers = new Set(['lo', ...links.map(({ name }) => name), ...vips.map(each => each.link)])
  const inet = vipsOf(spec).some(vip => familyOf(vip) === 'inet')
  return [
    ...down ? [linkDown(down, network.links, 'on which the director\'s packets arrive,', 'they do not arrive')] : [],
    ...tunnel,
    ...addresses(wanted, network, tunnel.some(({ problem }) => OF_LINK.has(problem)) ? link?.name : undefined),
    ...there && link ? reversePathOf(wanted, link, network) : [],
    ...spec.route && inet ? reversePath(receiving, network, back) : [],
    ...inet ? [...noisy(wanted, receiving, network), ...spec.route ? besides(wanted, receiving, network) : []] : [],
    ...answering(wanted, carriers, network),
    ...down ? [] : toClients(spec, receiving, carriers, network, back),
    ...heard(spec, vipsOf(spec), facts),
  ]
}

const heard = (
  { port, protocols }: RealServerSetup, at: readonly (string | undefined)[], { listeners }: RealServerFacts,
): Finding[] => port === undefined ? [] : at.flatMap(each => unheard(each, port, protocols, listeners))

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

const CONSEQUENCE = 'clients and routers send to this host in place of the director: '
  + 'no balancing, and no service while this host is down'

/** Values of arp_ignore with which a VIP on another link stays silent. */
const SILENT = [1, 2, 8]

/** Whether ARP on the receiving link names the VIP of another link. */
function noisy(wanted: NetworkSpec, receiving: string, network: NetworkState): Finding[] {
  const ignore = effectiveConf('arp_ignore', receiving, network.sysctls)
  const announce = effectiveConf('arp_announce', receiving, network.sysctls)
  const quiet = wanted.sysctls!.filter(({ key }) => /^arp_/.test(String(key.at(-1))))
  if (SILENT.includes(ignore.value) && announce.value >= 2) return []
  const found = [!SILENT.includes(ignore.value) && ignore.sentence, announce.value < 2 && announce.sentence]
    .filter(Boolean).join('. ')
  // A larger value of `all` would count.
  const all = ignore.value > 2 ? [{ key: ['net', 'ipv4', 'conf', 'all', 'arp_ignore'], value: 1 }] : []
  return [finding('arp-leak', found, CONSEQUENCE, networkSteps({ sysctls: [...all, ...quiet] }, network))]
}

/** Other links on the network of a VIP, whose clients ask there. */
function besides(wanted: NetworkSpec, receiving: string, network: NetworkState): Finding[] {
  const vips = wanted.addresses!.map(bare)
  const near = network.addresses.filter(each => each.link !== receiving && each.link !== 'lo'
    && !vips.includes(bare(each)) && vips.some(contains(parsePrefix('address', each.address))))
  return [...new Set(near.map(({ link }) => link))].flatMap(link => {
    const { value, sentence } = effectiveConf('arp_ignore', link, network.sysctls)
    return SILENT.includes(value) ? [] : [finding('arp-leak', `${sentence}, and ${link} is on a VIP's network`,
      CONSEQUENCE, networkSteps({ sysctls: quiet(link) }, network))]
  })
}

/** VIPs on links that answer for their own addresses: not their carriers, nor links without ARP. */
function answering(wanted: NetworkSpec, carriers: ReadonlySet<string>, network: NetworkState): Finding[] {
  const vips = new Set(wanted.addresses!.map(bare))
  return network.addresses.filter(each => vips.has(bare(each)) && !carriers.has(each.link)).flatMap(here => {
    const link = network.links.find(({ name }) => name === here.link)
    const mute = here.family === 'inet' && effectiveConf('arp_ignore', here.link, network.sysctls).value === 8
    if (!link?.up || !/^..(:..){5}$/.test(link.address ?? '') || link.kind === 'dummy' || mute) return []
    return [finding('arp-leak', `${here.link} has the VIP ${bare(here)}, and answers for it`, CONSEQUENCE,
      addressRemovals([here], network.addresses))]
  })
}
