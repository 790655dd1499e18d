/** The ways from a director to its real servers. Pure. */

import { contains, parsePrefix } from '../base/prefix.js'
import type { Change } from '../ipvs/changes.js'
import type { OtherTunnel, RealServerSettings, Service, VirtualServiceSpec } from '../ipvs/model.js'
import { serviceFamily } from '../ipvs/names.js'
import { ipvsSteps } from '../ipvs/steps.js'
import { isTunnelKind, tunnelOverhead, type TunnelChecksum, type TunnelKind } from '../ipvs/tunnels.js'
import { directorNetwork } from '../network/director.js'
import { networkSteps, type NetworkState } from '../network/network.js'
import type { Step } from '../plan/plan.js'
import { routeSteps } from '../rtnetlink/route/routes.js'
import type { RouteState } from '../rtnetlink/route/spec.js'
import { sysctlSteps } from '../sysctl/steps.js'
import type { Way } from './facts.js'
import { finding, linkSetting, numberOf, some, type Finding } from './finding.js'
import { idleLink, idleTowards } from './links.js'

/** A remote real server and the way to it. */
export interface Path { readonly service: Service; readonly server: RealServerSettings; readonly way: Way }

/** The remote real servers, each once. */
export function pathsTo(services: readonly Service[], ways: ReadonlyMap<string, Way>): Path[] {
  const paths = services.flatMap(service => service.realServers.filter(({ forward }) => forward !== 'local')
    .map(server => ({ service, server, way: ways.get(server.address) ?? 'nobody looked for a route' })))
  return [...new Map(paths.map(path => [path.server.address, path])).values()]
}

/** The reason that a route carries no packets; undefined where it does. */
const lost = (way: Way): string | undefined => typeof way === 'string' ? way
  : way.type === 'unicast' || way.type === 'local' ? undefined : `the route to it is ${way.type}`

/** The idle link over which packets should go: that of the route; without one, of a network. */
export function idleTo(
  { server: { address }, way }: Path, spec: VirtualServiceSpec, network: NetworkState,
): string | undefined {
  const direct = typeof way === 'object' && (way.via === undefined || way.type !== 'unicast') ? way : undefined
  if (direct) return direct.type === 'local' ? undefined : idleLink(network.links, direct.link)?.name
  const declared = spec.network?.routes?.find(({ to }) => to !== 'default' && contains(parsePrefix('to', to))(address))
  const idle = idleTowards(address, network) ?? idleLink(network.links, declared?.link)
  return (idle ?? idleLink(network.links, typeof way === 'object' ? way.link : undefined))?.name
}

/** The faults of these ways. Routes are declared, and not listed by a fault of their link. */
export function faultsOf(
  paths: readonly Path[], spec: VirtualServiceSpec, routes: readonly Step[], network: NetworkState,
): Finding[] {
  const remote = paths.flatMap(({ way, ...path }): Remote[] =>
    typeof way === 'object' && way.type === 'unicast' ? [{ ...path, way }] : [])
  return [
    ...noRoute(paths, routes),
    ...behindGateway(remote),
    ...silent(remote, network),
    ...remote.flatMap(path => {
      const tunnel = tunnelTo(path.server)
      return tunnel ? [...source(spec, path, network), ...narrow(path, tunnel, network)] : []
    }),
  ]
}

/** The steps to the declared routes over some links. */
export const declaredRoutes = (
  { network }: VirtualServiceSpec, actual: NetworkState, over: (link: string | undefined) => boolean,
): Step[] => routeSteps((network?.routes ?? []).filter(({ link }) => over(link)), actual.routes)

function noRoute(paths: readonly Path[], steps: readonly Step[]): Finding[] {
  const cut = paths.filter(({ way }) => lost(way) !== undefined)
  if (steps.length === 0 && cut.length === 0) return []
  const found = cut.length === 0 ? steps.map(({ line }) => `not as declared: ${line}`)
    : cut.map(({ server, way }) => `${server.address}: ${lost(way)!}`)
  return [finding('no-route', found.join('; '),
    'packets to real servers are dropped, or take another route; '
    + 'the scheduler does not know, and still chooses these real servers', steps,
    'add a route, or name it in network.routes; a link that goes down loses its routes for good')]
}

/** A real server to which a route leads. */
interface Remote extends Path { readonly way: RouteState }

/** Paths by what they share. */
function groups(paths: readonly Remote[], keyOf: (path: Remote) => string): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const path of paths) found.set(keyOf(path), [...found.get(keyOf(path)) ?? [], path.server.address])
  return found
}

/** Direct routing reaches the neighbours of the director alone. */
function behindGateway(paths: readonly Remote[]): Finding[] {
  const far = paths.filter(({ server, way }) => server.forward === 'route' && way.via !== undefined)
  return [...groups(far, ({ way }) => way.via!)].map(([via, addresses]) =>
    finding('behind-gateway', `direct routing to ${some(addresses)} passes through the gateway ${via}`,
      'packets keep the VIP as their destination: the gateway sends them back to the director, or nowhere', [],
      'forward by a tunnel or masq, or give director and real server a common network'))
}

/** Next hops that answered no question for their link-layer address. */
function silent(paths: readonly Remote[], { neighbours }: NetworkState): Finding[] {
  const failed = new Set(neighbours.flatMap(each =>
    'address' in each && each.state === 'failed' ? [`${each.address} on ${each.link}`] : []))
  const hops = groups(paths, ({ server, way }) => `${way.via ?? server.address} on ${way.link ?? ''}`)
  return [...hops].filter(([hop]) => failed.has(hop)).map(([hop, addresses]) =>
    finding('neighbour-failed', `${hop} does not answer, by which packets reach ${some(addresses)}`,
      'packets to these real servers are dropped; the scheduler does not know, and still chooses them', [],
      'look whether this host is up, has this address and is on this network; the next packet asks it again'))
}

// ── tunnels ──

interface TunnelTo { readonly kind: TunnelKind; readonly local: string; readonly checksum?: TunnelChecksum }

/** The tunnel to a real server, if its forwarding is a known tunnel. */
function tunnelTo({ address, forward }: RealServerSettings): TunnelTo | undefined {
  if (forward === 'tunnel') return { kind: 'ipip', local: address }
  if (typeof forward !== 'object') return undefined
  const { kind, checksum } = forward as OtherTunnel
  return isTunnelKind(kind) ? { kind, local: address, ...typeof checksum === 'string' && { checksum } } : undefined
}

/** The outer packets' source: IPVS keeps its first lookup until the real server is set again. */
function source(spec: VirtualServiceSpec, { service, server, way }: Remote, network: NetworkState): Finding[] {
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

/** The size of packets in bytes that every path must carry: hosts ignore ICMP that demands less. */
const LEAST = { inet: 576, inet6: 1280 } as const
/** Whether IPVS refuses packets that do not fit, or fragments them. */
export const PMTU_DISC = 'net.ipv4.vs.pmtu_disc'

/** Whether the smallest packet fits. */
function narrow({ service, server: { address }, way }: Remote, tunnel: TunnelTo, network: NetworkState): Finding[] {
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
