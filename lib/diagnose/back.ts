/** The ways from a real server back to its clients, and the filter that compares them. */

import type { CallOptions } from '../../generic-netlink/core.js'
import { familyOf, type Family } from '../base/address.js'
import { address } from '../base/check.js'
import { contains, parsePrefix } from '../base/prefix.js'
import { networkSteps, type NetworkSpec, type NetworkState } from '../network/network.js'
import { vipsOf, type RealServerSetup } from '../network/real-server.js'
import { nexthopsOf } from '../rtnetlink/route/nexthops.js'
import { Routes, routeSteps } from '../rtnetlink/route/routes.js'
import type { RouteState } from '../rtnetlink/route/spec.js'
import { hostIn, readWay, strangerTo, type Way } from './facts.js'
import { bare, finding, type Finding } from './finding.js'
import { effectiveConf } from './conf.js'
import { idleLink, idleTowards, linkDown } from './links.js'

/** The kernel's route to the clients of a network; `default` are clients from anywhere. */
export interface WayBack {
  readonly clients: string
  readonly family: Family
  readonly way: Way
  /** The listed route to the network, if it is not that of all clients. */
  readonly route?: RouteState
}

const clientsOf = (spec: RealServerSetup): string => spec.masq?.clients ?? spec.clients ?? 'default'

/** Whether a diagnosis lists the routes: to compare them, or to find out who the clients are. */
export const listsRoutes = (spec: RealServerSetup): boolean => spec.masq !== undefined || spec.clients === undefined

/** Looks up the ways back, as packets from the VIP or, with `masq`, from this host take them. */
export async function readWaysBack(
  spec: RealServerSetup, { addresses, routes: listed }: NetworkState, options?: CallOptions,
): Promise<WayBack[]> {
  await using routes = await Routes.open()
  const clients = clientsOf(spec)
  const named = clients === 'default' ? undefined : familyOf(clients)
  const vips = vipsOf(spec)
  const families = new Set(named ? [named] : [...vips, ...spec.masq ? [spec.masq.director] : []].map(familyOf))
  const back: WayBack[] = []
  for (const family of families) {
    const vip = vips.find(each => familyOf(each) === family && addresses.some(state => bare(state) === each))
    const towards = spec.masq ? await readWay(routes, spec.masq.director, undefined, options) : undefined
    const source = vip ?? (typeof towards === 'object' ? towards.source : undefined)
    const ask = async (network: string, route?: RouteState): Promise<void> => {
      const host = network === 'default' ? strangerTo(listed, family) : hostIn(network)
      const way = await readWay(routes, host, source, options)
      // An address of this host has no way.
      if (typeof way === 'string' || way.type !== 'local') {
        back.push({ clients: network, family, way, ...route && { route } })
      }
    }
    await ask(named || listed.some(route => route.family === family && route.to === 'default')
      ? clients : networkOfVip(vip, addresses) ?? clients)
    for (const route of spec.masq ? elsewhere(spec.masq, listed) : []) await ask(route.to, route)
  }
  return back
}

/** Whose clients a host serves that has no default route: those of the VIP's network. */
const networkOfVip = (vip: string | undefined, addresses: NetworkState['addresses']): string | undefined =>
  vip === undefined ? undefined : addresses.find(state => bare(state) !== vip
    && contains(parsePrefix('address', state.address))(vip))?.address

/**
 * Routes to some of the clients that do not pass through the director. Where no clients are named,
 * a network on a link is taken for one without clients.
 */
function elsewhere(
  { director, clients = 'default' }: NonNullable<RealServerSetup['masq']>, routes: readonly RouteState[],
): RouteState[] {
  const family = familyOf(director), whole = clients === 'default' ? undefined : parsePrefix('clients', clients)
  return routes.filter(route => route.family === family && route.table !== 'local' && route.to !== 'default'
    && !nexthopsOf(route).some(({ via }) => via === address('masq.director', director))
    && (whole ? parsePrefix('to', route.to).length > whole.length && contains(whole)(hostIn(route.to))
      : nexthopsOf(route).some(({ via }) => via !== undefined)))
}

/** With masq a reply on another route keeps the real server's address, unknown to the client. */
export function throughDirector(
  masq: NonNullable<RealServerSetup['masq']>, wanted: NetworkSpec, network: NetworkState, back: readonly WayBack[],
): Finding[] {
  const consequence = 'only the director can set the VIP as the source of replies: '
    + 'clients get no replies, or replies from an unknown address'
  const { director } = masq
  const steps = networkSteps(wanted, network)
  const idle = idleTowards(director, network)
  if (idle) {
    return [linkDown(idle, network.links, `by which replies reach the director, ${director},`,
      'the director\'s packets do not arrive, or no replies reach it', steps)]
  }
  const [{ to } = { to: 'default' }] = wanted.routes!
  if (steps.length > 0) {
    return [finding('no-route', `the route to ${to} does not pass through the director, ${director}`,
      consequence, steps)]
  }
  const past = back.filter(({ way }) => typeof way === 'string' || way.via !== director)
  const some = past.filter(({ route }) => route !== undefined)
  return [...(some.length > 0 ? some : past).map(({ clients, way, route }) => {
    const found = typeof way === 'string' ? way
      : `replies to ${clients} go ${way.via === undefined ? 'directly' : `by ${way.via}`} on ${way.link ?? 'no link'}`
    // Only where the clients are named is the route known to be one to clients.
    const repair = masq.clients === undefined || route === undefined || route.via === undefined ? []
      : routeSteps([{ to: route.to, table: route.table, metric: route.metric, via: director }], network.routes)
    return finding('way-back', `${found}, and not by the director, ${director}`, consequence, repair,
      `route ${clients} by ${director} (ip route, ip rule); where no client is there, `
      + 'name the clients\' network in masq.clients')
  }), ...unanswered(back, network)]
}

/** Whether packets that the tunnel or the link brings find their way back to clients. */
export function toClients(
  spec: RealServerSetup, receiving: string, carriers: ReadonlySet<string>, network: NetworkState,
  back: readonly WayBack[],
): Finding[] {
  const consequence = 'replies are dropped: clients get no answer'
  return [...back.flatMap(({ clients, family, way }) => {
    if (typeof way === 'object') {
      const idle = way.link === receiving ? undefined : idleLink(network.links, way.link)
      return idle ? [linkDown(idle, network.links, `by which replies to clients (${clients}) leave,`, consequence)] : []
    }
    const links = network.addresses.filter(each => each.family === family && each.scope === 'global'
      && !carriers.has(each.link) && each.link !== receiving).map(({ link }) => idleLink(network.links, link))
    const idle = clients === 'default' ? links.find(link => link !== undefined) : idleTowards(hostIn(clients), network)
    if (idle) return [linkDown(idle, network.links, 'which may be the way back to clients,', consequence)]
    return spec.clients === undefined ? [] : [finding('no-route', `there is no way back to ${clients}: ${way}`,
      consequence, [], `add a route to ${clients}`)]
  }), ...unanswered(back, network)]
}

/** Gateways that answered no question for their link-layer address. */
function unanswered(back: readonly WayBack[], { neighbours }: NetworkState): Finding[] {
  const hops = new Set(back.flatMap(({ way }) =>
    typeof way === 'object' && way.via !== undefined ? [`${way.via} on ${way.link ?? ''}`] : []))
  return neighbours.filter(each => 'address' in each && each.state === 'failed'
    && hops.has(`${each.address} on ${each.link}`)).map(each =>
    finding('neighbour-failed', `${'address' in each ? each.address : ''} on ${each.link} does not answer, `
    + 'by which replies go', 'replies are dropped: clients get no answer', [],
    'look whether this host is up, has this address and is on this network; the next packet asks it again'))
}

/** Whether the strict filter drops clients' packets that arrive on a link by direct routing. */
export function reversePath(receiving: string, network: NetworkState, back: readonly WayBack[]): Finding[] {
  const { value, sentence } = effectiveConf('rp_filter', receiving, network.sysctls)
  if (value !== 1) return []
  const away = back.find(({ family, way }) => family === 'inet' && typeof way === 'object' && way.link !== receiving)
  if (typeof away?.way !== 'object') return []
  return [finding('rp-filter', `${sentence}, and the way back to clients is ${away.way.link ?? 'another link'}`,
    `the strict filter drops, in silence, packets on ${receiving} whose way back is another link`,
    networkSteps({ sysctls: [{
      key: ['net', 'ipv4', 'conf', receiving, 'rp_filter'], value: 2,
      why: 'the loose filter takes packets of clients behind any link; the larger of all and this counts',
    }] }, network))]
}
