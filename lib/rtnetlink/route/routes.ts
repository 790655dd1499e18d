/** Routes: declared, planned, set. */

import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/index.js'
import type { Family } from '../../base/address.js'
import { Plan, type Step } from '../../plan/plan.js'
import { address, interfaceName } from '../../base/check.js'
import { openRtnetlink, RouteClient, type Deed } from '../client.js'
import { explained, refusal } from '../explain.js'
import { indexOf, readLinks } from '../links-by-name.js'
import { perform } from '../perform.js'
import { unicast, widthOf } from '../../base/prefix.js'
import {
  keyOfRoute, nameOfRoute, normalizeRoute, normalizeRouteId, notationOfRoute, program, readRoute, routeCommand, routeOf,
  type Nexthop, type Route, type RouteId, type RouteProtocol, type RouteSpec, type RouteState, type RouteTable, type WeightedNexthop,
} from './spec.js'

/** Which routes are listed; all that it says must be so. */
export interface RouteFilter {
  readonly family?: Family
  readonly table?: RouteTable
  /** The link, of any of its ways. */
  readonly dev?: string
  /** Exactly this destination. */
  readonly to?: string
  readonly protocol?: RouteProtocol
}

const ENOENT = -2, ESRCH = -3

const ANY = { family: 'unspec', dstLen: 0, srcLen: 0, tos: 0, table: 0, protocol: 'unspec', scope: 'global', type: 'unspec', flags: {} } as const
/** `RTM_F_CLONED`: what the kernel has learnt of a path, and lists as if it were a route. `RTM_F_LOOKUP_TABLE`: say in which table it was found. */
const CLONED = 9, LOOKUP_TABLE = 12

async function readRoutes(route: RouteClient, options?: CallOptions): Promise<RouteState[]> {
  const links = await readLinks(route, options)
  const entries = await route.list('route', ANY, {}, options)
  return entries.filter(({ header: { family, flags } }) => (family === 'inet' || family === 'inet6') && !flags[CLONED]).map(entry => readRoute(entry, links))
}

async function send(client: RouteClient, deed: Deed, route: Route, options?: CallOptions): Promise<void> {
  const told = routeCommand(deed, route)
  const indices = new Map<string, number>()
  for (const { dev } of route.ways) if (dev !== undefined && !indices.has(dev)) indices.set(dev, await indexOf(client, dev, told, options))
  await perform(client, routeCommand(deed, route, link => indices.get(link)!), options)
}

/** Removes a route that is there: of one that is not, the kernel would take the next best. IPv6 removes all ways where none is named. */
async function remove(client: RouteClient, state: RouteState, options?: CallOptions): Promise<void> {
  const route = routeOf(state)
  await send(client, 'remove', state.family === 'inet6' && route.several ? { ...route, ways: [], several: false } : route, options)
}

// ── plans ──

/** Whether a way that is there is one that is wanted; a link that is not said is any. */
const sameWay = (wanted: WeightedNexthop, actual: WeightedNexthop, several: boolean): boolean => wanted.via === actual.via
  && (wanted.dev === undefined || wanted.dev === actual.dev) && (wanted.onlink === undefined || wanted.onlink === (actual.onlink ?? false))
  && (!several || (wanted.weight ?? 1) === (actual.weight ?? 1))

const SETTINGS = ['scope', 'source', 'mtu', 'advmss', 'protocol'] as const

/** Whether a route is as wanted, as far as that says anything. */
function matches(wanted: Route, actual: Route): boolean {
  const left = [...actual.ways]
  return wanted.type === actual.type && wanted.ways.length === left.length && SETTINGS.every(key => wanted[key] === undefined || wanted[key] === actual[key])
    && wanted.ways.every(way => {
      const i = left.findIndex(other => sameWay(way, other, wanted.several))
      if (i >= 0) left.splice(i, 1)
      return i >= 0
    })
}

const step = (action: Step['action'], verb: string, route: Route, why: string | undefined, run: Step['run'], undo: Step['undo']): Step =>
  ({ action, object: 'route', line: `${program(route)} route ${verb} ${notationOfRoute(route)}`, ...why !== undefined && { why }, run, undo })

const adding = (route: Route, deed: 'add' | 'append'): Step => step(
  'add', deed, route, deed === 'append' ? 'beside the kernel\'s own to the same network' : undefined,
  async (session, options) => send(await session.use(openRtnetlink), deed, route, options),
  async (session, options) => {
    const state = (await readRoutes(await session.use(openRtnetlink), options)).find(each => keyOfRoute(each) === keyOfRoute(route) && matches(route, routeOf(each)))
    if (state) await remove(await session.use(openRtnetlink), state, options) // it went by itself where its link did
  },
)

const replacing = (route: Route, before: RouteState): Step => step(
  'change', 'replace', route, before.protocol === 'kernel' ? 'in place of the kernel\'s own to the same network' : undefined,
  async (session, options) => send(await session.use(openRtnetlink), 'replace', route, options),
  async (session, options) => send(await session.use(openRtnetlink), 'replace', routeOf(before), options),
)

const removing = (state: RouteState, why?: string): Step => step(
  'remove', 'del', routeOf(state), why,
  async (session, options) => remove(await session.use(openRtnetlink), state, options),
  async (session, options) => send(await session.use(openRtnetlink), 'add', routeOf(state), options),
)

/** Specs in their normal form, by what they say the route of. @throws RangeError where two say the same one */
function unique(specs: readonly RouteSpec[]): Map<string, Route> {
  const byKey = new Map<string, Route>()
  for (const [i, spec] of specs.entries()) {
    const route = normalizeRoute(spec, `routes[${i}].`)
    const key = keyOfRoute(route)
    const other = byKey.get(key)
    if (other) {
      const both = `${nameOfRoute(other)} and ${nameOfRoute(route)}`
      throw new RangeError(`routes[${i}]: ${both} have one destination and metric; give them two metrics, or one list of nexthops`)
    }
    byKey.set(key, route)
  }
  return byKey
}

/**
 * The steps to the routes that are wanted, from those that are there. A route that is there with another way is replaced:
 * what a spec leaves out is then as if it were added. All other routes stay. Pure.
 */
export function routeSteps(wanted: readonly RouteSpec[], actual: readonly RouteState[]): Step[] {
  return [...unique(wanted)].flatMap(([key, route]): Step[] => {
    const all = actual.filter(state => keyOfRoute(state) === key)
    const match = all.findIndex(state => matches(route, routeOf(state)))
    // The kernel tries equal routes in this order; IPv6 has some of its own for each link.
    const rivals = route.family === 'inet6' ? all.filter(state => state.protocol !== 'kernel') : all
    if (match >= 0) {
      const before = route.family === 'inet' ? all.slice(0, match) : []
      return before.map(state => removing(state, 'with the same destination and metric, it goes before the one that is wanted'))
    }
    if (rivals.length === 0) return [adding(route, all.length > 0 ? 'append' : 'add')]
    return [replacing(route, rivals[0]!)]
  })
}

/** The routes that an id means; a default route that says neither family nor gateway is IPv4's. */
function find(who: RouteId & Nexthop, actual: readonly RouteState[], path = ''): RouteState[] {
  const via = who.via === undefined ? undefined : address(`${path}via`, who.via)
  const key = keyOfRoute(normalizeRouteId(who, path, via?.includes(':') ? 'inet6' : 'inet'))
  return actual.filter(state => keyOfRoute(state) === key && (via === undefined || routeOf(state).ways.some(way => way.via === via))
    && (who.dev === undefined || routeOf(state).ways.some(way => way.dev === who.dev)))
}

/** The steps that remove routes, as far as they are there. Pure. */
export function routeRemovals(unwanted: readonly (RouteId & Nexthop)[], actual: readonly RouteState[]): Step[] {
  const gone = new Set(unwanted.flatMap((who, i) => find(who, actual, `routes[${i}].`)))
  return [...gone].map(state => removing(state))
}

// ── the class ──

/**
 * The routes of this host.
 *
 * Every method rejects with a NetlinkError that says what was asked for which route and why the kernel refused it, and
 * with a TypeError or RangeError that names the field, before anything is sent, where a spec is wrong.
 *
 * When a link goes down the kernel drops its routes, and does not bring them back: plan again after that.
 *
 * @example
 * ```ts
 * import { Routes } from 'ipvs-nl'
 *
 * await using routes = await Routes.open()
 * const plan = await routes.plan([{ to: '192.168.52.0/24', via: '192.168.51.1', metric: 100 }])
 * console.log(`${plan}`) // + ip route add 192.168.52.0/24 via 192.168.51.1 metric 100
 * await plan.apply()
 * ```
 */
export class Routes implements AsyncDisposable {
  readonly #route: RouteClient

  private constructor(route: RouteClient) { this.#route = route }

  /** Opens a socket to the kernel. */
  static open(options?: ConnectionOptions): Promise<Routes> {
    return Promise.resolve(new Routes(new RouteClient(options)))
  }

  /** The routes of all tables, or those that the filter lets through; of equal ones the first is used. */
  async list({ family, table, dev, to, protocol }: RouteFilter = {}, options?: CallOptions): Promise<RouteState[]> {
    const wanted = to === undefined || to === 'default' ? to : normalizeRouteId({ to }).to
    return (await readRoutes(this.#route, options)).filter(state => (family === undefined || state.family === family)
      && (table === undefined || state.table === table) && (wanted === undefined || state.to === wanted)
      && (protocol === undefined || state.protocol === protocol) && (dev === undefined || routeOf(state).ways.some(way => way.dev === dev)))
  }

  /** A route, where it is there; of equal ones the first. */
  async get(who: RouteId & Nexthop, options?: CallOptions): Promise<RouteState | undefined> {
    return find(who, await readRoutes(this.#route, options))[0]
  }

  /** The way that packets to an address take (`ip route get`). Rejects with `ENETUNREACH` where none leads there. */
  async lookup(to: string, { source, dev }: { readonly source?: string; readonly dev?: string } = {}, options?: CallOptions): Promise<RouteState> {
    const dst = unicast('to', to)
    const src = source === undefined ? undefined : unicast('source', source)
    const family: Family = dst.includes(':') ? 'inet6' : 'inet'
    const told = { kind: 'route', deed: 'get', attributes: {}, object: `route to ${dst}` } as const
    const links = await readLinks(this.#route, options)
    const oif = dev === undefined ? undefined : await indexOf(this.#route, interfaceName('dev', dev), told, options)
    try {
      const width = widthOf(family)
      const header = { ...ANY, family, dstLen: width, srcLen: src === undefined ? 0 : width, flags: { [LOOKUP_TABLE]: true } }
      return readRoute(await this.#route.get('route', header, { dst, ...src !== undefined && { src }, ...oif !== undefined && { oif } }, options), links)
    } catch (error) {
      throw explained(error, told)
    }
  }

  /** Adds a route. Rejects with `EEXIST` where there is one to this destination with this metric, whatever its way. */
  async add(spec: RouteSpec, options?: CallOptions): Promise<void> {
    await send(this.#route, 'add', normalizeRoute(spec), options)
  }

  /** Changes a route to what the spec says; what it leaves out is as if it were added. Rejects with `ENOENT` where it is not there. */
  async change(spec: RouteSpec, options?: CallOptions): Promise<void> {
    const route = normalizeRoute(spec)
    const key = keyOfRoute(route)
    if (!(await readRoutes(this.#route, options)).some(state => keyOfRoute(state) === key)) {
      throw refusal(ENOENT, routeCommand('change', route), 'it is not there; add it first')
    }
    await send(this.#route, 'replace', route, options)
  }

  /**
   * Removes a route. Rejects with `ESRCH` where it is not there, and with a RangeError where several are equal but for
   * their ways and the id does not say which. (The kernel would take one of another metric, and the first of equal ones.)
   */
  async remove(who: RouteId & Nexthop, options?: CallOptions): Promise<void> {
    const found = find(who, await readRoutes(this.#route, options))
    const [state] = found
    if (!state) throw refusal(ESRCH, { kind: 'route', deed: 'remove', object: `route ${nameOfRoute({ ...who, ways: [who] })}` }, 'it is not there')
    if (found.length > 1) {
      throw new RangeError(`to: there are ${found.length} such routes, ${found.map(each => nameOfRoute(routeOf(each))).join(' and ')}; say which (via, dev)`)
    }
    await remove(this.#route, state, options)
  }

  /** What must change for these routes to be there; empty where they are. Other routes stay. */
  async plan(specs: readonly RouteSpec[], options?: CallOptions): Promise<Plan> {
    unique(specs) // before anything is sent
    return new Plan(routeSteps(specs, await readRoutes(this.#route, options)))
  }

  /** What must change for these routes not to be there; empty where they are not. */
  async planRemoval(ids: readonly (RouteId & Nexthop)[], options?: CallOptions): Promise<Plan> {
    ids.forEach((who, i) => find(who, [], `routes[${i}].`)) // before anything is sent
    return new Plan(routeRemovals(ids, await readRoutes(this.#route, options)))
  }

  /** Closes the socket; routes stay. */
  close(): Promise<void> {
    this.#route.close()
    return Promise.resolve()
  }

  /** {@link Routes.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}
