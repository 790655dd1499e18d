/** The faults of a director. */

import { familyOf } from '../base/address.js'
import type { IpvsClient } from '../ipvs/client.js'
import { differences } from '../ipvs/diff.js'
import type { Service, ServiceState, VirtualServiceSpec } from '../ipvs/model.js'
import { ipvsSteps } from '../ipvs/steps.js'
import { readDaemon, type SyncDaemonState } from '../ipvs/sync-daemon.js'
import { directorNetwork } from '../network/director.js'
import { networkSteps, type NetworkState } from '../network/network.js'
import { readHost, readWays, type Way } from './facts.js'
import { bare, ELSEWHERE, finding, otherLinks, settingUp, some, type Finding } from './finding.js'
import { idleLink, linkDown } from './links.js'
import { readListeners, unheard, type Socket } from './listeners.js'
import { lookAtDirector, lookTwice, lostAfterDirector, type DiagnoseOptions, type Looks } from './looks.js'
import { drops, kernelDiffers, nobodyServes, SERVICE_SYSCTLS } from './service.js'
import { declaredRoutes, faultsOf, idleTo, pathsTo, PMTU_DISC, type Path } from './ways.js'

/** The state of the director, read once. */
export interface DirectorFacts {
  readonly network: NetworkState
  /** The ways to the VIP and to each real server, by address. */
  readonly ways: ReadonlyMap<string, Way>
  /** The service in IPVS. */
  readonly states: readonly ServiceState[]
  readonly daemons: readonly SyncDaemonState[]
  /** Who listens at the ports at which the director serves by itself. */
  readonly listeners: readonly Socket[]
  /** What clients did while it was read. */
  readonly looks?: Looks
}

/** Reads the state that a diagnosis needs. */
export async function readDirector(
  ipvs: IpvsClient, spec: VirtualServiceSpec, services: readonly Service[], read: () => Promise<ServiceState[]>,
  { observe, ...options }: DiagnoseOptions = {},
): Promise<DirectorFacts> {
  const masq = services.some(({ realServers }) => realServers.some(({ forward }) => forward === 'masq'))
  const looks = await lookTwice(each => lookAtDirector(services, read, each), { observe, ...options }, masq)
  const states = await read()
  const routes = (spec.network?.routes ?? []).length > 0
  const network = await readHost([...SERVICE_SYSCTLS, PMTU_DISC], { routes }, options)
  const ways = await readWays(services.flatMap(({ vip, realServers }) =>
    [...vip === undefined ? [] : [vip], ...realServers.map(({ address }) => address)]), options)
  const daemons = await ipvs.dump('getDaemon', {}, ({ daemon = {} }) => readDaemon(daemon), options)
  const [port] = services.filter(servesItself).map(service => service.port)
  const listeners = port === undefined ? [] : await readListeners(port, options)
  return { network, ways, states, daemons, listeners, looks }
}

const servesItself = ({ realServers, port }: Service): boolean =>
  port !== undefined && port > 0 && realServers.some(({ forward }) => forward === 'local')

/** The faults, each with its own repair. Omits faults that only follow from another one. Pure. */
export function directorFindings(
  spec: VirtualServiceSpec, services: readonly Service[], facts: DirectorFacts,
): Finding[] {
  const { network, states, daemons } = facts
  const wanted = directorNetwork(spec, services)
  const link = spec.network?.link
  if (link !== undefined && !network.links.some(({ name }) => name === link)) {
    return [finding('wrong-namespace',
      `there is no link ${link} in this network namespace; its links are ${otherLinks(network.links)}`,
      'this host cannot have the VIP, and clients do not reach it', [],
      `${ELSEWHERE}, or name the link of the clients`)]
  }
  const changes = differences(services, states)
  if (changes.length > 0 && services.some(needsIPv4) && !network.addresses.some(({ family }) => family === 'inet')) {
    return [finding('no-local-address', 'no link of this network namespace has an IPv4 address, not even lo',
      'the kernel refuses every IPv4 real server (EINVAL), and the service has none',
      [...settingUp(network.links, 'lo'), ...networkSteps(wanted, network), ...ipvsSteps(changes)])]
  }
  const [vip] = services.map(service => service.vip)
  const paths = pathsTo(services, facts.ways)
  const links = idleLinks(spec, vip, paths, network)
  const reached = paths.filter(path => ![...links.values()].some(({ to }) => to.includes(path)))
  const findings = [
    ...[...links].map(([name, use], i) => downAt(spec, name, use, i === links.size - 1, network)),
    ...[...links.values()].some(({ receives }) => receives) ? [] : vipMissing(spec, vip, facts),
    ...faultsOf(reached, spec,
      declaredRoutes(spec, network, over => over === undefined ? links.size === 0 : !links.has(over)), network),
    ...kernelDiffers(changes, states),
    ...nobodyServes(changes, states),
    ...drops(services, network, daemons),
    ...services.filter(servesItself).flatMap(({ port, protocol }) =>
      typeof protocol === 'string' ? unheard(vip, port, [protocol], facts.listeners) : []),
  ]
  return findings.length > 0 ? findings : lostAfterDirector(facts.looks)
}

const needsIPv4 = ({ realServers }: Service): boolean =>
  realServers.some(({ address, forward }) => forward !== 'local' && familyOf(address) === 'inet')

// ── links ──

/** What an idle link is for: clients' packets arrive on it, or others leave by it. */
interface Use { receives: boolean; readonly to: Path[] }

/** The links that should carry packets and do not, with their uses. */
function idleLinks(
  spec: VirtualServiceSpec, vip: string | undefined, paths: readonly Path[], network: NetworkState,
): Map<string, Use> {
  const found = new Map<string, Use>()
  const use = (name: string): Use => found.get(name) ?? found.set(name, { receives: false, to: [] }).get(name)!
  const receiving = spec.network?.link ?? network.addresses.find(address => bare(address) === vip)?.link
  if (idleLink(network.links, receiving)) use(receiving!).receives = true
  for (const path of paths) {
    const idle = idleTo(path, spec, network)
    if (idle !== undefined) use(idle).to.push(path)
  }
  return found
}

/** The finding about an idle link: with it go the IPv6 addresses and the routes over it. */
function downAt(
  spec: VirtualServiceSpec, name: string, { receives, to }: Use, last: boolean, network: NetworkState,
): Finding {
  const uses = [
    ...receives ? ['on which clients\' packets arrive'] : [],
    ...to.length > 0 ? [`by which packets reach ${some(to.map(({ server }) => server.address))}`] : [],
  ]
  const { addresses = [] } = receives ? directorNetwork(spec, []) : {}
  const more = [...networkSteps({ addresses }, network),
    ...declaredRoutes(spec, network, over => over === name || (over === undefined && last))]
  return linkDown(network.links.find(link => link.name === name)!, network.links, uses.join(', and '),
    receives ? 'clients get no answer' : 'packets to these real servers are dropped, or take another route; '
      + 'the scheduler does not know, and still chooses them', more)
}

function vipMissing(spec: VirtualServiceSpec, vip: string | undefined, { network, ways }: DirectorFacts): Finding[] {
  if (vip === undefined) return []
  const way = ways.get(vip)
  if (typeof way === 'object' && way.type === 'local') return []
  const { addresses = [] } = directorNetwork(spec, [])
  const there = network.addresses.find(address => bare(address) === vip)
  const steps = [...there ? settingUp(network.links, there.link) : [], ...networkSteps({ addresses }, network)]
  const why = there?.dadfailed ? 'found the address at another host'
    : there?.tentative ? 'still checks for the address at other hosts' : 'is down'
  const found = there ? `${there.link}, which has the VIP ${vip}, ${why}` : `no link has the VIP ${vip}`
  return [finding('vip-missing', found,
    'no host answers for the VIP, and IPVS takes only packets to addresses of this host', steps,
    'set network.link, add the VIP, or wait for the program that moves the VIP (keepalived)')]
}
