/** The faults of a director. */

import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import { familyOf } from '../base/address.js'
import {
  bare, ELSEWHERE, finding, numberOf, linkSetting, otherLinks, readHost, settingUp, type Finding,
} from './finding.js'
import type { Change } from '../ipvs/changes.js'
import { differences } from '../ipvs/diff.js'
import { directorNetwork, FORWARDING } from '../network/director.js'
import { ipvsSteps } from '../ipvs/steps.js'
import type { OtherTunnel, RealServerSettings, Service, ServiceState, VirtualServiceSpec } from '../ipvs/model.js'
import { serviceFamily, serviceName } from '../ipvs/names.js'
import { networkSteps, type NetworkState } from '../network/network.js'
import { isTunnelKind, tunnelOverhead, type TunnelChecksum, type TunnelKind } from '../ipvs/tunnels.js'
import { routeSteps, Routes } from '../rtnetlink/route/routes.js'
import type { RouteState } from '../rtnetlink/route/spec.js'
import { sysctlSteps } from '../sysctl/steps.js'

/** The state of the director, read once. */
export interface DirectorFacts {
  readonly network: NetworkState
  /** The route to the VIP and to each real server, by address; or the reason that there is none. */
  readonly ways: ReadonlyMap<string, RouteState | string>
  /** The service in IPVS. */
  readonly states: readonly ServiceState[]
}

const PMTU_DISC = 'net.ipv4.vs.pmtu_disc'

/** Reads the state that a diagnosis needs. */
export async function readDirector(
  services: readonly Service[], states: readonly ServiceState[], options?: CallOptions,
): Promise<DirectorFacts> {
  const network = await readHost([...FORWARDING.map(({ key }) => key), PMTU_DISC], options)
  const addresses = new Set(services.flatMap(({ vip, realServers }) =>
    [...vip === undefined ? [] : [vip], ...realServers.map(({ address }) => address)]))
  await using routes = await Routes.open()
  const ways = new Map<string, RouteState | string>()
  for (const address of addresses) {
    try { ways.set(address, await routes.lookup(address, {}, options)) } catch (error) {
      if (!(error instanceof NetlinkError)) throw error
      ways.set(address, error.message)
    }
  }
  return { network, ways, states }
}

/** The faults, each with its own repair. Omits faults that only follow from another one. Pure. */
export function directorFindings(
  spec: VirtualServiceSpec, services: readonly Service[], facts: DirectorFacts,
): Finding[] {
  const { network, states } = facts
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
  return [
    ...vipMissing(spec, services, facts),
    ...wayToServers(spec, services, facts),
    ...kernelDiffers(changes, states),
    ...forwardingOff(services, network),
  ]
}

const needsIPv4 = ({ realServers }: Service): boolean =>
  realServers.some(({ address, forward }) => forward !== 'local' && familyOf(address) === 'inet')

function vipMissing(
  spec: VirtualServiceSpec, [service]: readonly Service[], { network, ways }: DirectorFacts,
): Finding[] {
  const vip = service?.vip
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

// ── the routes to the real servers ──

interface TunnelTo { readonly kind: TunnelKind; readonly local: string; readonly checksum?: TunnelChecksum }

/** The tunnel to a real server, if its forwarding is a known tunnel. */
function tunnelTo({ address, forward }: RealServerSettings): TunnelTo | undefined {
  if (forward === 'tunnel') return { kind: 'ipip', local: address }
  if (typeof forward !== 'object') return undefined
  const { kind, checksum } = forward as OtherTunnel
  return isTunnelKind(kind) ? { kind, local: address, ...typeof checksum === 'string' && { checksum } } : undefined
}

/** The size of packets in bytes that every path must carry: hosts ignore ICMP that demands less. */
const LEAST = { inet: 576, inet6: 1280 } as const

/** The reason that a route carries no packets; undefined where it does. */
const lost = (way: RouteState | string | undefined): string | undefined => typeof way === 'string' ? way
  : way && way.type !== 'unicast' && way.type !== 'local' ? `the route to it is ${way.type}` : undefined

function wayToServers(
  spec: VirtualServiceSpec, services: readonly Service[], { network, ways }: DirectorFacts,
): Finding[] {
  const remote = services.flatMap(service =>
    service.realServers.filter(({ forward }) => forward !== 'local').map(server => ({ service, server })))
  const servers = new Map(remote.map(each => [each.server.address, each]))
  const findings: Finding[] = []
  const steps = routeSteps(spec.network?.routes ?? [], network.routes)
  const cut = [...servers.keys()].filter(address => lost(ways.get(address)) !== undefined)
  if (steps.length > 0 || cut.length > 0) {
    const found = cut.length === 0 ? steps.map(({ line }) => `not as declared: ${line}`)
      : cut.map(address => `${address}: ${lost(ways.get(address))!}`)
    findings.push(finding('no-route', found.join('; '),
      'packets to real servers are dropped, or take another route; '
      + 'the scheduler does not know, and still chooses these real servers', steps,
      'add a route, or name it in network.routes; a link that goes down loses its routes for good'))
  }
  for (const { server, service } of servers.values()) {
    const way = ways.get(server.address)
    const tunnel = tunnelTo(server)
    if (typeof way !== 'object' || !tunnel || way.type !== 'unicast') continue
    findings.push(...source(spec, service, server, way, network), ...narrow(service, server, tunnel, way, network))
  }
  return findings
}

/** The outer packets' source: IPVS keeps its first lookup until the real server is set again. */
function source(
  spec: VirtualServiceSpec, service: Service, server: RealServerSettings, way: RouteState, network: NetworkState,
): Finding[] {
  const { vip } = service
  if (vip === undefined || way.source !== vip) return []
  const steps = networkSteps({ addresses: directorNetwork(spec, []).addresses ?? [] }, network)
  const change: Change = { action: 'change', service, server, before: server }
  const again = ipvsSteps([change], 'IPVS keeps its first source until then')
  return [finding('vip-as-source', `the director's packets to ${server.address} have the VIP ${vip} as their source`,
    'the real server has the VIP too, and drops packets from its own address',
    steps.length > 0 ? [...steps, ...again] : [],
    `give ${way.link ?? 'the link'} an address of its own besides the VIP, `
    + 'set the preferred lifetime of an IPv6 VIP to 0, and set the real server again')]
}

/** Whether the smallest packet fits. */
function narrow(
  service: Service, { address }: RealServerSettings, tunnel: TunnelTo, way: RouteState, network: NetworkState,
): Finding[] {
  const inner = serviceFamily(service)
  const link = network.links.find(({ name }) => name === way.link)
  const carries = Math.min(link?.mtu ?? 65535, way.mtu ?? 65535)
  const overhead = tunnelOverhead(tunnel)
  const needs = LEAST[inner] + overhead
  if (carries >= needs || (inner === 'inet' && numberOf(network.sysctls, PMTU_DISC) === 0)) return []
  const why = 'the director then fragments packets that do not fit into the tunnel'
  const steps = inner === 'inet' ? sysctlSteps([{ key: PMTU_DISC, value: 0, why }], network.sysctls)
    : link && link.mtu < needs ? [linkSetting(link.name, `mtu ${needs}`, { mtu: needs }, { mtu: link.mtu })] : []
  const found = `the path to ${address} carries packets of ${carries} bytes, `
    + `and the tunnel takes ${overhead} of them: ${carries - overhead} are left`
  const consequence = `clients may send packets of ${LEAST[inner]} bytes in spite of ICMP; `
    + 'packets that do not fit are dropped, and long requests hang'
  return [finding('mtu', found, consequence, steps, `raise the MTU of the path to ${needs} bytes`)]
}

// ── IPVS ──

function kernelDiffers(changes: readonly Change[], states: readonly ServiceState[]): Finding[] {
  const findings: Finding[] = []
  const repaired = new Set<Change>()
  for (const state of states) {
    if (state.fwmark !== undefined || state.port === 0) continue
    for (const server of state.realServers) {
      if (server.port === state.port || server.forward === 'masq' || server.forward === 'local') continue
      const own = changes.filter(({ service, server: changed }) =>
        serviceName(service) === serviceName(state) && changed?.address === server.address)
      own.forEach(change => repaired.add(change))
      findings.push(finding('port-mismatch',
        `${serviceName(state)} has ${server.address} with port ${server.port}, and forwards to it unchanged`,
        `packets still arrive at port ${state.port} of the VIP, `
        + `where a program that listens on ${server.port} does not get them`,
        ipvsSteps([{ action: 'remove', service: state, server, before: server }, ...own])))
    }
  }
  const left = changes.filter(change => !repaired.has(change))
  const present = new Set(states.map(serviceName))
  const absent = left.filter(({ service, server }) => !server && !present.has(serviceName(service)))
  const names = new Set(absent.map(({ service }) => serviceName(service)))
  const rest = left.filter(({ service }) => !names.has(serviceName(service)))
  const linesOf = (some: readonly Change[]): string => ipvsSteps(some).map(({ line }) => line).join('; ')
  if (names.size > 0) {
    findings.push(finding('service-missing', `IPVS does not have ${[...names].join(' and ')}`,
      'the director itself gets the clients\' packets, and refuses them',
      ipvsSteps(left.filter(change => !rest.includes(change)))))
  }
  if (rest.length > 0) {
    findings.push(finding('service-differs', `IPVS differs from the declared service; missing: ${linesOf(rest)}`,
      'connections go to wrong real servers, or to none', ipvsSteps(rest)))
  }
  return findings
}

function forwardingOff(services: readonly Service[], { sysctls }: NetworkState): Finding[] {
  return FORWARDING.filter(({ key, needed }) => services.some(needed) && numberOf(sysctls, key) === 0).map(setting =>
    finding('forwarding-off', `${setting.key} is 0`,
      'with masq the replies pass through the director, which drops them: clients get no answer',
      sysctlSteps([setting], sysctls)))
}
