/** Routes: listed, looked up, changed and planned. */

import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/core.js'
import {
  address, among, anyObject, atPath, callOptions, interfaceName, optionsOf, SpecError,
} from '../../base/check.js'
import { familyOf } from '../../base/address.js'
import { defined } from '../../base/field.js'
import { unicast, widthOf } from '../../base/prefix.js'
import type { Step } from '../../plan/plan.js'
import { Resource, type ResourceKind } from '../../plan/resource.js'
import { ANY_ROUTE, openRtnetlink, RouteClient, type Verb } from '../client.js'
import { Entries, type EntryStep } from '../entries.js'
import { refuseMissing } from '../explain.js'
import { namesOf, readIndexes, readLinks, readNames, sendNamed } from '../link-names.js'
import {
  checkProtocol, checkTable, keyOfRoute, nameOfRoute, normalizeRoute, normalizeRouteId, notationOfRoute, program,
  readRoute, routeCommand, routeFields, routeOf, type Route,
} from './fields.js'
import { sameWrapping, withoutNexthops } from './kept.js'
import { nexthopsOf } from './nexthops.js'
import type { RouteFilter, RoutePatch, RouteQuery, RouteSpec, RouteState, WeightedNexthop } from './spec.js'

// ── commands ──

/**
 * `RTM_F_CLONED`: a path that the kernel has learnt, and lists like a route. `RTM_F_LOOKUP_TABLE`:
 * asks in which table a route was found.
 */
const CLONED = 9, LOOKUP_TABLE = 12

async function listRoutes(client: RouteClient, options?: CallOptions): Promise<RouteState[]> {
  const names = namesOf(await readLinks(client, options))
  const entries = await client.list('route', ANY_ROUTE, {}, options)
  return entries.filter(({ header: { family, flags } }) => (family === 'inet' || family === 'inet6') && !flags[CLONED])
    .map(entry => readRoute(entry, names))
}

const sendRoutes = (
  client: RouteClient, verb: Verb, routes: readonly Route[], options?: CallOptions,
): Promise<void> => sendNamed(
  client, routes, route => nexthopsOf(route).map(({ link }) => link),
  (route, names) => routeCommand(verb, route, names), options)

/** A route as its removal names it: IPv6 removes all next hops where none is named. */
function forRemoval(state: RouteState): Route {
  const { nexthops, ...route } = routeOf(state)
  return route.family === 'inet6' || nexthops === undefined ? route : { ...route, nexthops }
}

// ── comparison ──

/** Whether an actual next hop is the wanted one; a link that is left out is any. */
const sameNexthop = (wanted: WeightedNexthop, actual: WeightedNexthop): boolean => wanted.via === actual.via
  && (wanted.link === undefined || wanted.link === actual.link)
  && (wanted.onlink === undefined || wanted.onlink === (actual.onlink ?? false))
  && (wanted.weight === undefined || wanted.weight === (actual.weight ?? 1))

function sameNexthops(wanted: readonly WeightedNexthop[], actual: readonly WeightedNexthop[]): boolean {
  const left = [...actual]
  return wanted.length === left.length && wanted.every(hop => {
    const i = left.findIndex(other => sameNexthop(hop, other))
    if (i >= 0) left.splice(i, 1)
    return i >= 0
  })
}

const NEXTHOPS = ['via', 'link', 'onlink', 'nexthops']

/** Whether a route has the wanted next hops, unwrapped, and the other fields that are given. */
const matches = (wanted: Route, actual: Route): boolean => sameNexthops(nexthopsOf(wanted), nexthopsOf(actual))
  && routeFields.differences(wanted, actual).every(name => NEXTHOPS.includes(name))
  && sameWrapping(wanted.kept, actual.kept)

/** The routes that a query means; a default route without family and gateway is IPv4's. */
function findAll(query: RouteQuery, actual: ReadonlyMap<string, RouteState[]>, path = ''): RouteState[] {
  anyObject(path || 'route', query)
  const via = query.via === undefined ? undefined : address(atPath(path, 'via'), query.via)
  const key = keyOfRoute(normalizeRouteId(query, path, via?.includes(':') ? 'inet6' : 'inet'))
  const has = (state: RouteState, name: 'via' | 'link', value: string | undefined): boolean =>
    value === undefined || nexthopsOf(state).some(hop => hop[name] === value)
  return (actual.get(key) ?? []).filter(state => has(state, 'via', via) && has(state, 'link', query.link))
}

// ── steps ──

const words = { add: 'add', append: 'append', replace: 'replace', remove: 'del' } as const

const entries: Entries<Route> = new Entries({
  object: 'route',
  lineOf: (verb, route) => `${program(route)} route ${words[verb]} ${notationOfRoute(route)}`,
  linksOf: route => nexthopsOf(route).map(({ link }) => link),
  commandOf: routeCommand,
  async stepsNow(client, routes, options) {
    const actual = byId(await listRoutes(client, options))
    return routes.map(route => stepsTo(route, actual.get(keyOfRoute(route)) ?? []))
  },
  // Instead of a missing route the kernel would remove the next best.
  async remove(client, routes, send, options) {
    const actual = byId(await listRoutes(client, options))
    const states = routes.map(route => actual.get(keyOfRoute(route))?.find(state => matches(route, routeOf(state))))
    const results = await send('remove', states.flatMap(state => state ? forRemoval(state) : []), options)
    return states.map(state => state ? results.shift()! : 'gone')
  },
})

/** Routes by their identity: the kernel has several with the same. */
function byId(states: readonly RouteState[]): Map<string, RouteState[]> {
  const found = new Map<string, RouteState[]>()
  for (const state of states) {
    const key = keyOfRoute(state), same = found.get(key)
    if (same) same.push(state)
    else found.set(key, [state])
  }
  return found
}

/** The step that replaces a route, whose kept attributes stay as far as its next hops do. */
function replacing(route: Route, state: RouteState): EntryStep<Route> {
  const before = routeOf(state)
  const own = withoutNexthops(before.kept)
  const stays = sameNexthops(nexthopsOf(route), nexthopsOf(before)) && sameWrapping(undefined, before.kept)
  const kept = route.kept ?? (stays && before.kept ? before.kept : own)
  return entries.replacing(Object.keys(kept).length > 0 ? { ...route, kept } : route, before, {
    why: state.protocol === 'kernel' ? 'in place of the kernel\'s own to the same network' : undefined,
  })
}

/** Specs in their normal form, by their identity. @throws SpecError where two have the same */
function normalizeAll(specs: readonly RouteSpec[]): Map<string, Route> {
  const found = new Map<string, Route>()
  specs.forEach((spec, i) => {
    const route = normalizeRoute(spec, atPath('routes', i))
    const other = found.get(keyOfRoute(route))
    if (other) {
      const both = `${nameOfRoute(other)} and ${nameOfRoute(route)}`
      throw new SpecError(
        atPath('routes', i), `${both} have one destination and metric; give them two metrics,`
        + ' or one list of nexthops',
      )
    }
    found.set(keyOfRoute(route), route)
  })
  return found
}

/** The steps to a route, from those with its identity. */
function stepsTo(route: Route, all: readonly RouteState[]): EntryStep<Route>[] {
  const match = all.findIndex(state => matches(route, routeOf(state)))
  // The kernel uses the first of equal routes; for IPv6 it has routes of its own on each link.
  const rivals = route.family === 'inet6' ? all.filter(state => state.protocol !== 'kernel') : all
  if (match >= 0) {
    const before = route.family === 'inet' ? all.slice(0, match) : []
    const why = 'with the same destination and metric, it goes before the wanted one'
    return before.map(state => entries.removing(routeOf(state), { why }))
  }
  if (rivals.length > 0) return [replacing(route, rivals[0]!)]
  return [all.length === 0 ? entries.adding(route)
    : entries.adding(route, { verb: 'append', why: 'beside the kernel\'s own to the same network' })]
}

/**
 * The steps to the wanted routes. A route with other next hops, or whose packets are wrapped
 * (`encap`), is replaced: fields that the spec leaves out get their defaults then, and attributes
 * that no spec has stay. All other routes stay. Pure.
 */
export function routeSteps(wanted: readonly RouteSpec[], actual: readonly RouteState[]): Step[] {
  const present = byId(actual)
  return [...normalizeAll(wanted)].flatMap(([key, route]): Step[] => stepsTo(route, present.get(key) ?? []))
}

/** The steps that remove those of the routes that exist. Pure. */
export function routeRemovals(unwanted: readonly RouteQuery[], actual: readonly RouteState[]): Step[] {
  const present = byId(actual)
  const found = unwanted.flatMap((query, i) => findAll(query, present, atPath('routes', i)))
  return [...new Set(found)].map(state => entries.removing(routeOf(state)))
}

// ── the resource ──

/** A state with a patch: next hops or a type replace all next hops, and their scope. */
function patched(patch: RoutePatch, state: RouteState): Route {
  const { via, link, onlink, nexthops, type, scope, ...rest } = routeFields.existing(state) as unknown as Route
  const moves = [...NEXTHOPS, 'type'].some(name => name in patch)
  const kept = moves ? withoutNexthops(state.kept) : state.kept
  return normalizeRoute(
    { ...rest, ...!moves && { via, link, onlink, nexthops, type, scope }, ...patch, kept } as RouteState)
}

const routeKind: ResourceKind<RouteClient, RouteSpec, RouteQuery, RouteState, RouteFilter, RoutePatch> = {
  plural: 'routes',
  open: openRtnetlink,
  filter: optionsOf<RouteFilter>({
    family: among(['inet', 'inet6']), table: checkTable, link: interfaceName, protocol: checkProtocol,
    to: (path, value) => value === 'default' ? value : normalizeRouteId({ to: value as string }, path).to,
  }, 'filter'),
  async list(client, { family, table, link, to: wanted, protocol }, options) {
    return (await listRoutes(client, options)).filter(state => (family === undefined || state.family === family)
      && (table === undefined || state.table === table) && (wanted === undefined || state.to === wanted)
      && (protocol === undefined || state.protocol === protocol)
      && (link === undefined || nexthopsOf(state).some(hop => hop.link === link)))
  },
  finder(actual) {
    const present = byId(actual)
    return query => findAll(query, present)[0]
  },
  /** The next hops of a spec or patch are new and no part of the id; a gateway tells the family. */
  idOf(given) {
    const addresses = [...nexthopsOf(given).map(({ via }) => via), given.source]
    return normalizeRouteId(given, '', addresses.some(text => text?.includes(':')) ? 'inet6' : 'inet')
  },
  missing(verb, query) {
    const asked = { kind: 'route', verb, object: `route ${nameOfRoute(query)}` }
    return refuseMissing(verb === 'remove' ? 'ESRCH' : 'ENOENT', asked)
  },
  check(spec, path) { normalizeRoute(spec, path) },
  add: (client, specs, options) => sendRoutes(client, 'add', specs.map(spec => normalizeRoute(spec)), options),
  changes(patch, state) {
    routeFields.pick(routeFields.checkNames(patch))
    return state ? [replacing(patched(patch, state), state)] : []
  },
  replacement(spec, actual) {
    const route = normalizeRoute(spec)
    return [replacing(route, actual.find(state => keyOfRoute(state) === keyOfRoute(route))!)]
  },
  steps: routeSteps,
  async remove(client, queries, actual, options) {
    const present = byId(actual)
    const found = queries.map(query => findAll(query, present))
    for (const several of found.filter(each => each.length > 1)) {
      const names = several.map(each => nameOfRoute(routeOf(each))).join(' and ')
      throw new SpecError('to', `there are ${several.length} such routes, ${names}; add via or link`)
    }
    await sendRoutes(client, 'remove', found.flat().map(forRemoval), options)
  },
  removals: routeRemovals,
}

const lookupWay = optionsOf<{ readonly source?: string; readonly link?: string }>(
  { source: unicast, link: interfaceName }, 'way')

/**
 * The routes of this host.
 *
 * - `get` and `remove` take a gateway or a link besides the id, for routes that differ in nothing
 *   else. `remove` rejects with a SpecError where the id means several. (The kernel would remove
 *   the first, and for a missing route one of another metric.)
 * - When a link goes down the kernel drops its routes, and does not bring them back: plan again
 *   after that.
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
export class Routes extends Resource<RouteClient, RouteSpec, RouteQuery, RouteState, RouteFilter, RoutePatch> {
  /** Opens a socket to the kernel. */
  static async open(options?: CallOptions & ConnectionOptions): Promise<Routes> {
    return new Routes(routeKind, await RouteClient.open(options))
  }

  /**
   * The route that packets take, by the kernel's own lookup (`ip route get`): rules, tables and
   * metrics count, and no table is listed. With `source` it is that of packets from this address of
   * the host. Rejects with `ENETUNREACH` without a route.
   */
  async lookup(
    to: string, way?: { readonly source?: string; readonly link?: string }, given?: CallOptions,
  ): Promise<RouteState> {
    const { source: src, link } = lookupWay(way), options = callOptions(given)
    const dst = unicast('to', to)
    const family = familyOf(dst)
    const asked = { kind: 'route', verb: 'get', object: `route to ${dst}` } as const
    const oif = link === undefined
      ? undefined
      : (await readIndexes(this.client, [link], asked, options)).indexOf(link)
    const width = widthOf(family)
    const found = await this.client.get({
      kind: 'route', object: asked.object,
      header: {
        ...ANY_ROUTE, family, dstLen: width, srcLen: src === undefined ? 0 : width, flags: { [LOOKUP_TABLE]: true },
      },
      attributes: defined({ dst, src, oif }),
    }, options)
    return readRoute(found, await readNames(this.client, found.attributes.oif, options))
  }
}
