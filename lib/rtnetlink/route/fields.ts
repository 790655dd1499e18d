/** Routes, declared field by field: normal form, words and wire. Pure. */

import { familyOf, type Family } from '../../base/address.js'
import { checkList, integer, oneOf, SpecError, within } from '../../base/check.js'
import { after, among, defined, fieldSet, inRange, type Field, type Values } from '../../base/field.js'
import { networkOf, parsePrefix, unicast, widthOf, type Prefix } from '../../base/prefix.js'
import { checkScope, type Scope } from '../address/spec.js'
import { ANY_ROUTE, type Entry, type RouteCommand, type Verb } from '../client.js'
import { entryFields, unlessZero } from '../fields.js'
import type { LinkNames } from '../link-names.js'
import { PROTOCOLS } from '../wire/route.js'
import { keptOf, withKept } from './kept.js'
import { gatewayAttribute, hopFields, hopWords, nexthopsOf, verifyNexthop, viaWords } from './nexthops.js'
import {
  TABLES, TYPES, type KeptAttributes, type Nexthop, type RouteId, type RouteProtocol, type RouteQuery,
  type RouteSettings, type RouteSpec, type RouteState, type RouteTable, type WeightedNexthop,
} from './spec.js'

/** A route in its normal form, with its whole id. It has `nexthops` only if there are several. */
export interface Route extends RouteSettings, Nexthop {
  readonly family: Family
  readonly type: RouteState['type']
  readonly table: RouteTable
  readonly metric: number
  readonly tos: number
  readonly nexthops?: readonly WeightedNexthop[] | undefined
  readonly kept?: KeptAttributes | undefined
}

const U32 = 0xffffffff
/** `IP6_RT_PRIO_USER`: the metric that IPv6 makes of 0. */
const IPV6_METRIC = 1024

// ── values ──

const nameIn = <T extends Readonly<Record<string, number>>>(names: T, value: number): keyof T & string | number =>
  (Object.keys(names) as (keyof T & string)[]).find(name => names[name] === value) ?? value

/** A name, or a number without one; named numbers get it. @throws SpecError naming the path */
const checkNamed = <T extends Readonly<Record<string, number>>>(
  names: T, path: string, value: unknown, min: number, max: number,
): keyof T & string | number =>
  typeof value === 'number'
    ? nameIn(names, integer(path, value, min, max))
    : oneOf(path, value, Object.keys(names) as (keyof T & string)[])

/** A table, by its name or number. @throws SpecError naming the path */
export const checkTable = (path: string, value: unknown): RouteTable => checkNamed(TABLES, path, value, 1, U32)
/** The protocol of a route, by its name or number. @throws SpecError naming the path */
export const checkProtocol = (path: string, value: unknown): RouteProtocol => checkNamed(PROTOCOLS, path, value, 0, 255)

const tableNumber = (table: RouteTable): number => typeof table === 'number' ? table : TABLES[table]

const textOf = (prefix: Prefix): string =>
  prefix.length === widthOf(prefix.family) ? prefix.address : `${prefix.address}/${prefix.length}`
/** A network on the wire. */
const textOfNetwork = (family: Family, address: string | undefined, length: number): string | undefined =>
  length === 0 ? undefined : textOf({ family, address: address ?? '', length })

/** A network, without bits behind its prefix. @throws SpecError naming the path */
function network(path: string, value: unknown): Prefix {
  const prefix = parsePrefix(path, value)
  const address = networkOf(prefix)
  if (address === prefix.address) return prefix
  const right = `${address}/${prefix.length}`
  throw new SpecError(path, `${String(value)} has bits behind its prefix; the network is ${right}`)
}

const ordinaryMetric = (family: unknown): number => family === 'inet6' ? IPV6_METRIC : 0

// ── fields ──

type Wire = Entry<'route'>
type RouteField = Field<Wire, LinkNames>
const { header, attribute, link, flag } = entryFields<'route'>()

/** A network among the attributes, and the length of its prefix in the header. */
const networkField = (
  attribute: 'dst' | 'src', length: 'dstLen' | 'srcLen', words: (value: unknown) => string,
): RouteField => ({
  check: (_, value) => value, // normalizeRouteId checks it
  write({ header, attributes }, value) {
    if (value === 'default') return
    const prefix = parsePrefix(attribute, value)
    header[length] = prefix.length
    attributes[attribute] = prefix.address
  },
  read: ({ header, attributes }) =>
    textOfNetwork(header.family as Family, attributes[attribute], header[length])
    ?? (attribute === 'dst' ? 'default' : undefined),
  words,
})
const metricField = (name: 'mtu' | 'advmss', min: number, max: number): RouteField =>
  attribute('metrics', inRange(min, max), {
    write({ attributes }, value) { attributes.metrics = { ...attributes.metrics, [name]: value as number } },
    read: ({ attributes: { metrics = {} } }) => metrics[name],
    word: name,
  })

/** Whether the kernel names a link although packets go nowhere: IPv6 says lo. */
const leadsNowhere = ({ header: { type } }: Wire): boolean =>
  type === 'blackhole' || type === 'unreachable' || type === 'prohibit'
const single = (from: Wire): boolean => from.attributes.multipath === undefined && !leadsNowhere(from)

/** The fields of a route, in the order of `ip route add`. */
export const routeFields = fieldSet<RouteSpec, Wire, LinkNames>()('route', {
  family: header('family', among(['inet', 'inet6'])),
  type: header('type', among(TYPES), { otherwise: 'unicast', words: String }),
  to: networkField('dst', 'dstLen', String),
  from: networkField('src', 'srcLen', after('from')),
  tos: unlessZero(header('tos', inRange(0, 255), {
    otherwise: 0, words: value => `tos 0x${(value as number).toString(16).padStart(2, '0')}`,
  })),
  via: {
    check: unicast,
    write({ header, attributes }, value) {
      attributes[gatewayAttribute(value as string, header.family)] = value as string
    },
    read: from => single(from) ? from.attributes.gateway ?? from.attributes.via : undefined,
    words: viaWords,
  },
  link: link('attributes', 'oif', {
    read: (from, { nameOf }) =>
      single(from) && from.attributes.oif !== undefined ? nameOf(from.attributes.oif) : undefined,
  }),
  onlink: flag('header', 'onlink', {
    read: from => single(from) && from.header.flags.onlink === true ? true : undefined,
  }),
  table: {
    otherwise: 'main',
    check: checkTable,
    write({ header, attributes }, value) {
      const number = tableNumber(value as RouteTable)
      header.table = number > 255 ? 0 : number
      attributes.table = number
    },
    read: ({ header, attributes: { table = header.table } }) => nameIn(TABLES, table),
    words: after('table'),
  },
  metric: attribute('priority', inRange(0, U32), {
    otherwise: ({ family }: Values) => ordinaryMetric(family),
    write({ attributes }, value) { if (value !== 0) attributes.priority = value as number },
    read: ({ attributes: { priority = 0 } }) => priority,
    word: 'metric',
  }),
  protocol: header('protocol', checkProtocol, {
    otherwise: 'boot', word: 'proto',
  }),
  scope: header('scope', checkScope, {
    otherwise: ({ family }: Values) => family === 'inet6' ? 'global' : undefined, word: 'scope',
  }),
  source: attribute('prefsrc', unicast, { word: 'src' }),
  mtu: metricField('mtu', 68, 65520),
  advmss: metricField('advmss', 1, 65495),
  nexthops: {
    check: (path, value) => checkList(path, value).map((hop, i) => hopFields.normalize(hop, `${path}[${i}]`)),
    write({ header, attributes }, value, names) {
      const context = { ...names, family: header.family as Family }
      attributes.multipath = (value as readonly WeightedNexthop[]).map(
        hop => hopFields.write({ flags: {}, hops: 0, index: 0, attributes: {} }, hop, context),
      )
    },
    read: ({ header, attributes: { multipath } }, names) =>
      multipath?.map(hop => hopFields.read(hop, { ...names, family: header.family as Family })),
    words: (value, { family }) =>
      (value as readonly WeightedNexthop[]).map(hop => `nexthop ${hopWords(hop, family as Family)}`).join(' '),
  },
}, {
  stateOnly: ['dead', 'nexthopId', 'kept'],
  verify(spec) {
    const route = spec as unknown as Route
    const { family, type, nexthops, source, scope, mtu } = route
    if (type !== 'unicast' && nexthopsOf(route).length > 0) {
      throw new SpecError('type', `${type} goes nowhere: no via, link, nexthops`)
    }
    if (type === 'unicast' && nexthops === undefined) verifyNexthop(route, family)
    nexthops?.forEach((hop, i) => { within(`nexthops[${i}]`, () => { verifyNexthop(hop, family) }) })
    if (source !== undefined && familyOf(source) !== family) {
      throw new SpecError('source', `${source} is of another family than the route`)
    }
    if (family === 'inet6' && scope !== undefined && scope !== 'global') {
      throw new SpecError('scope', 'IPv6 routes have none but global')
    }
    if (mtu !== undefined && family === 'inet6') integer('mtu', mtu, 1280, 65520)
  },
})

// ── normal forms ──

/**
 * The fields that identify a route, in their normal form; `hint` is the family of a default route
 * that does not say its own.
 * @throws SpecError naming the field below `path`
 */
export const normalizeRouteId = (
  { to, family, table = 'main', metric = 0, tos = 0, from }: RouteId, path = '', hint: Family = 'inet',
): Pick<Route, 'to' | 'family' | 'table' | 'metric' | 'tos' | 'from'> => within(path, () => {
  if (family !== undefined) oneOf('family', family, ['inet', 'inet6'])
  const prefix = to === 'default' ? undefined : network('to', to)
  if (prefix && family !== undefined && family !== prefix.family) {
    throw new SpecError('family', `${to} is ${prefix.family}`)
  }
  const own = prefix?.family ?? family ?? (from === undefined ? hint : 'inet6')
  if (own === 'inet6' && tos !== 0) throw new SpecError('tos', 'IPv6 has none')
  if (own === 'inet' && from !== undefined) throw new SpecError('from', 'only IPv6 routes by source')
  const source = from === undefined ? undefined : network('from', from)
  if (source?.family === 'inet') throw new SpecError('from', `${from!} is not an IPv6 network`)
  const [number, where] = [integer('metric', metric, 0, U32), checkNamed(TABLES, 'table', table, 1, U32)]
  return {
    to: prefix === undefined || prefix.length === 0 ? 'default' : textOf(prefix), family: own, table: where,
    metric: number === 0 && own === 'inet6' && where !== 'local' ? IPV6_METRIC : number,
    tos: integer('tos', tos, 0, 255),
    ...source && source.length > 0 && { from: textOf(source) },
  }
})

/** A spec, or a state of a type that specs have, in its normal form. @throws naming the field */
export function normalizeRoute(spec: RouteSpec | RouteState, path = ''): Route {
  const given = routeFields.checkNames(spec, path)
  const { nexthops, via, link, onlink, source } = given as unknown as Route
  return within(path, () => {
    if (nexthops !== undefined && (via ?? link ?? onlink) !== undefined) {
      throw new SpecError('nexthops', 'goes without via, link and onlink')
    }
    if (nexthops !== undefined && checkList('nexthops', nexthops).length === 0) {
      throw new SpecError('nexthops', 'the list is empty')
    }
    const gateway: unknown = via ?? nexthops?.find(hop => hop.via !== undefined)?.via ?? source
    const id = normalizeRouteId(spec, '', typeof gateway === 'string' && gateway.includes(':') ? 'inet6' : 'inet')
    const normal = routeFields.pick({ type: 'unicast', ...given, from: undefined, ...id }) as unknown as Route
    routeFields.verify(normal)
    return alone('kept' in spec && spec.kept ? { ...normal, kept: spec.kept } : normal)
  })
}

/** A list of one next hop is that next hop. */
function alone(route: Route): Route {
  const { nexthops, ...rest } = route
  if (nexthops?.length !== 1) return route
  const { weight: _, ...hop } = nexthops[0]!
  return { ...rest, ...hop }
}

/** A state in the normal form, of any type. */
export function routeOf(state: RouteState): Route {
  const { tos = 0, kept } = state
  return alone({ ...routeFields.existing(state) as unknown as Route, tos, ...kept && { kept } })
}

/** The kernel's identity of a route. */
export const keyOfRoute = ({ family, table, to, metric = 0, tos = 0, from = '' }: RouteId): string =>
  [family, table, to, metric, tos, from].join(' ')

// ── words ──

/** The words after `ip route add`. */
export const notationOfRoute = (route: Route): string => routeFields.words(route)

/** `ip`, or `ip -6` for a route whose words do not show that it is IPv6. */
export const program = (route: Route): string =>
  route.family === 'inet6' && route.to === 'default' && route.from === undefined
  && !nexthopsOf(route).some(hop => hop.via !== undefined) ? 'ip -6' : 'ip'

/** `192.168.60.0/24 via 192.168.9.1` */
export function nameOfRoute(route: Partial<Route> & RouteQuery): string {
  const { to, family = 'inet', table = 'main', metric = 0, type = 'unicast' } = route
  const hops = nexthopsOf(route).map(({ via, link }) => hopWords(defined({ via, link }), family))
  return [
    type !== 'unicast' && type, to, hops.join(', '), table !== 'main' && `table ${table}`,
    metric !== 0 && metric !== ordinaryMetric(family) && `metric ${metric}`,
  ].filter(Boolean).join(' ')
}

// ── wire ──

/** The scope that `ip` sends where the kernel expects one: it fits the next hops. */
function scopeOf(route: Route): Scope {
  const { family, type, nexthops, scope } = route
  return scope ?? (family === 'inet' && type === 'unicast' && !nexthops && route.via === undefined ? 'link' : 'global')
}

/** The command that does something with a route. */
export function routeCommand(verb: Verb, route: Route, names: LinkNames): RouteCommand<'route'> {
  const wire = routeFields.write({ header: { ...ANY_ROUTE, flags: {} }, attributes: {} }, {
    protocol: 'boot', ...route, scope: verb === 'remove' && route.scope === undefined ? 'nowhere' : scopeOf(route),
  }, names)
  const attributes = route.kept ? withKept(wire.attributes, route.kept) : wire.attributes
  return { kind: 'route', verb, object: `route ${nameOfRoute(route)}`, header: wire.header, attributes }
}

/** A route that the kernel describes. */
export function readRoute(entry: Wire, names: LinkNames): RouteState {
  const { header: { flags }, attributes } = entry
  const { multipath, nhId } = attributes
  return {
    ...routeFields.read(entry, names) as unknown as RouteState,
    dead: multipath ? multipath.every(hop => hop.flags.dead || hop.flags.linkdown)
      : (flags.dead ?? flags.linkdown) === true,
    ...defined({ nexthopId: nhId, kept: keptOf(attributes) }),
  }
}
