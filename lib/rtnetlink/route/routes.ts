/** Routes: listed, looked up, changed and planned. */

import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/core.js'
import { address, atPath, interfaceName, SpecError } from '../../base/check.js'
import { familyOf } from '../../base/address.js'
import { defined } from '../../base/field.js'
import { unicast, widthOf } from '../../base/prefix.js'
import type { Step } from '../../plan/plan.js'
import { Resource, stepOn, type ResourceKind } from '../../plan/resource.js'
import { openRtnetlink, RouteClient, type Verb } from '../client.js'
import { refuseMissing } from '../explain.js'
import { namesOf, readIndexes, readLinks, readNames, sendNamed } from '../link-names.js'
import {
  ANY_ROUTE, keyOfRoute, nameOfRoute, normalizeRoute, normalizeRouteId, notationOfRoute, program, readRoute,
  routeCommand, routeFields, routeOf, type Route,
} from './fields.js'
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

/**
 * Removes routes that exist: instead of a missing one, the kernel would remove the next best. IPv6
 * removes all next hops where none is named.
 */
function removeRoutes(client: RouteClient, states: readonly RouteState[], options?: CallOptions): Promise<void> {
  const routes = states.map(state => {
    const { nexthops, ...route } = routeOf(state)
    return route.family === 'inet6' || nexthops === undefined ? route : { ...route, nexthops }
  })
  return sendRoutes(client, 'remove', routes, options)
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

/** Whether a route has the wanted next hops, and the other fields that are given. */
const matches = (wanted: Route, actual: Route): boolean => sameNexthops(nexthopsOf(wanted), nexthopsOf(actual))
  && routeFields.differences(wanted, actual).every(name => NEXTHOPS.includes(name))

/** The routes that a query means; a default route without family and gateway is IPv4's. */
function findAll(query: RouteQuery, actual: readonly RouteState[], path = ''): RouteState[] {
  const via = query.via === undefined ? undefined : address(atPath(path, 'via'), query.via)
  const key = keyOfRoute(normalizeRouteId(query, path, via?.includes(':') ? 'inet6' : 'inet'))
  const has = (state: RouteState, name: 'via' | 'link', value: string | undefined): boolean =>
    value === undefined || nexthopsOf(state).some(hop => hop[name] === value)
  return actual.filter(state => keyOfRoute(state) === key && has(state, 'via', via) && has(state, 'link', query.link))
}

// ── steps ──

const adding = (route: Route, verb: 'add' | 'append'): Step => stepOn(openRtnetlink, {
  action: 'add', object: 'route', line: `${program(route)} route ${verb} ${notationOfRoute(route)}`,
  why: verb === 'append' ? 'beside the kernel\'s own to the same network' : undefined,
  run: (client, options) => sendRoutes(client, verb, [route], options),
  async undo(client, options) {
    const state = (await listRoutes(client, options)).find(
      each => keyOfRoute(each) === keyOfRoute(route) && matches(route, routeOf(each)),
    )
    if (state) await removeRoutes(client, [state], options) // it may be gone together with its link
  },
})

const replacing = (route: Route, before: RouteState): Step => stepOn(openRtnetlink, {
  action: 'change', object: 'route', line: `${program(route)} route replace ${notationOfRoute(route)}`,
  why: before.protocol === 'kernel' ? 'in place of the kernel\'s own to the same network' : undefined,
  run: (client, options) => sendRoutes(client, 'replace', [route], options),
  undo: (client, options) => sendRoutes(client, 'replace', [routeOf(before)], options),
})

const removing = (state: RouteState, why?: string): Step => stepOn(openRtnetlink, {
  action: 'remove', object: 'route', why,
  line: `${program(routeOf(state))} route del ${notationOfRoute(routeOf(state))}`,
  run: (client, options) => removeRoutes(client, [state], options),
  undo: (client, options) => sendRoutes(client, 'add', [routeOf(state)], options),
})

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

/**
 * The steps to the wanted routes. A route with other next hops is replaced:
 * fields that the spec leaves out get their defaults then. All other routes stay. Pure.
 */
export function routeSteps(wanted: readonly RouteSpec[], actual: readonly RouteState[]): Step[] {
  return [...normalizeAll(wanted)].flatMap(([key, route]): Step[] => {
    const all = actual.filter(state => keyOfRoute(state) === key)
    const match = all.findIndex(state => matches(route, routeOf(state)))
    // The kernel uses the first of equal routes; for IPv6 it has routes of its own on each link.
    const rivals = route.family === 'inet6' ? all.filter(state => state.protocol !== 'kernel') : all
    if (match >= 0) {
      const before = route.family === 'inet' ? all.slice(0, match) : []
      return before.map(state => removing(state, 'with the same destination and metric, it goes before the wanted one'))
    }
    return rivals.length === 0 ? [adding(route, all.length > 0 ? 'append' : 'add')] : [replacing(route, rivals[0]!)]
  })
}

/** The steps that remove those of the routes that exist. Pure. */
export function routeRemovals(unwanted: readonly RouteQuery[], actual: readonly RouteState[]): Step[] {
  const found = unwanted.flatMap((query, i) => findAll(query, actual, atPath('routes', i)))
  return [...new Set(found)].map(state => removing(state))
}

// ── the resource ──

/** A state with a patch: next hops or a type replace all next hops, and their scope. */
function patched(patch: RoutePatch, state: RouteState): Route {
  const { via, link, onlink, nexthops, type, scope, ...rest } = routeFields.existing(state) as unknown as Route
  const moves = [...NEXTHOPS, 'type'].some(name => name in patch)
  return normalizeRoute({ ...rest, ...!moves && { via, link, onlink, nexthops, type, scope }, ...patch } as RouteState)
}

const routeKind: ResourceKind<RouteClient, RouteSpec, RouteQuery, RouteState, RouteFilter, RoutePatch> = {
  plural: 'routes',
  open: openRtnetlink,
  async list(client, { family, table, link, to, protocol }, options) {
    const wanted = to === undefined || to === 'default' ? to : normalizeRouteId({ to }).to
    return (await listRoutes(client, options)).filter(state => (family === undefined || state.family === family)
      && (table === undefined || state.table === table) && (wanted === undefined || state.to === wanted)
      && (protocol === undefined || state.protocol === protocol)
      && (link === undefined || nexthopsOf(state).some(hop => hop.link === link)))
  },
  find: (query, actual) => findAll(query, actual)[0],
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
    const found = queries.map(query => findAll(query, actual))
    for (const several of found.filter(each => each.length > 1)) {
      const names = several.map(each => nameOfRoute(routeOf(each))).join(' and ')
      throw new SpecError('to', `there are ${several.length} such routes, ${names}; add via or link`)
    }
    await removeRoutes(client, found.flat(), options)
  },
  removals: routeRemovals,
}

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
  static open(options?: ConnectionOptions): Promise<Routes> {
    return Promise.resolve(new Routes(routeKind, new RouteClient(options)))
  }

  /**
   * The route that packets take, by the kernel's own lookup (`ip route get`): rules, tables and
   * metrics count, and no table is listed. With `source` it is that of packets from this address of
   * the host. Rejects with `ENETUNREACH` without a route.
   */
  async lookup(
    to: string, { source, link }: { readonly source?: string; readonly link?: string } = {}, options?: CallOptions,
  ): Promise<RouteState> {
    const dst = unicast('to', to)
    const src = source === undefined ? undefined : unicast('source', source)
    const family = familyOf(dst)
    const asked = { kind: 'route', verb: 'get', object: `route to ${dst}` } as const
    const oif = link === undefined
      ? undefined
      : (await readIndexes(this.client, [interfaceName('link', link)], asked, options)).indexOf(link)
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
