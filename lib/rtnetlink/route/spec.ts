/** Routes, as people say them and as the kernel has them. Pure. */

import type { Family } from '../../base/address.js'
import { address, integer, interfaceName, oneOf } from '../../base/check.js'
import type { Scope } from '../address/spec.js'
import type { Deed, Entry, RouteCommand } from '../client.js'
import { nameOf } from '../links-by-name.js'
import { networkOf, parsePrefix, unicast, widthOf, type Prefix } from '../../base/prefix.js'
import type { LinkAttributes, Nexthop as WireNexthop } from '../wire/tables.js'

/** A routing table: its number, or its name where it has one. */
export type RouteTable = 'main' | 'local' | 'default' | number

/** Who has set a route. */
export type RouteProtocol = keyof typeof PROTOCOLS | number

/** What becomes of the packets. The last three answer the sender, or do not. */
export type RouteType = 'unicast' | 'blackhole' | 'unreachable' | 'prohibit'

/** Where packets go next. */
export interface Nexthop {
  /** The gateway; without one the destination is on the link itself. A gateway of IPv4 packets may have an IPv6 address. */
  readonly via?: string
  /** The link; may be left out where there is a gateway, which shows it. */
  readonly dev?: string
  /** Take the gateway to be on the link, though no address says so; needs both. @defaultValue false */
  readonly onlink?: boolean
}

/** One of several ways. */
export interface WeightedNexthop extends Nexthop {
  /** Its share of the packets among those of all, 1 to 256. @defaultValue 1 */
  readonly weight?: number
}

/** What tells a route from the others of the host. */
export interface RouteId {
  /** `192.168.52.0/24`, `2001:db8::/32`, an address alone (/32, /128), or `default`. */
  readonly to: string
  /** Tells the two defaults apart. @defaultValue that of `to`; of `default` that of its gateway, and `inet` without one */
  readonly family?: Family
  /** @defaultValue `main` */
  readonly table?: RouteTable
  /** Of routes to one destination the one with the least is taken. @defaultValue 0, and 1024 of IPv6 */
  readonly metric?: number
  /** IPv4 only: the type of service that packets must have. @defaultValue 0: any */
  readonly tos?: number
  /** IPv6 only: the network that packets must come from. */
  readonly from?: string
}

/** What every route can be told. */
export interface RouteSettings extends RouteId {
  /** IPv4 only. @defaultValue `link` where there is no gateway, `global` where there is */
  readonly scope?: Scope
  /** The address of this host that its own packets get. */
  readonly source?: string
  /** The largest packet for the path, in bytes. */
  readonly mtu?: number
  /** The largest segment that TCP announces, in bytes. */
  readonly advmss?: number
  /** @defaultValue `boot`, as of `ip` */
  readonly protocol?: RouteProtocol
}

/** A route that should be there: over one way, over several, or to nowhere. */
export type RouteSpec = RouteSettings & (
  | { readonly type?: 'unicast'; readonly nexthops?: undefined } & Nexthop
  | {
    readonly type?: 'unicast'
    readonly nexthops: readonly WeightedNexthop[]
    readonly via?: undefined
    readonly dev?: undefined
    readonly onlink?: undefined
  }
  | {
    readonly type: 'blackhole' | 'unreachable' | 'prohibit'
    readonly nexthops?: undefined
    readonly via?: undefined
    readonly dev?: undefined
    readonly onlink?: undefined
  }
)

/** A route that is there. One of a type that a spec can have can be given back as one. */
export interface RouteState extends RouteSettings, Nexthop {
  readonly family: Family
  /** The kernel's own have others besides: `local`, `broadcast`, `multicast`, …, or a number. */
  readonly type: RouteType | (string & {}) | number
  readonly table: RouteTable
  readonly metric: number
  readonly scope: Scope
  readonly protocol: RouteProtocol
  /** Where there are several ways. */
  readonly nexthops?: readonly Required<Pick<WeightedNexthop, 'weight'>>[] & readonly WeightedNexthop[]
  /** No packet can go this way now, for its link is down. */
  readonly dead: boolean
  /** The nexthop object that it goes by, where it does (`ip nexthop`). */
  readonly nexthopId?: number
}

/** `RTPROT_*` */
const PROTOCOLS = { unspec: 0, redirect: 1, kernel: 2, boot: 3, static: 4, ra: 9, dhcp: 16, keepalived: 18, bgp: 186, ospf: 188 } as const
const TABLES = { default: 253, main: 254, local: 255 } as const
const TYPES = ['unicast', 'blackhole', 'unreachable', 'prohibit'] as const
const SCOPES = ['global', 'site', 'link', 'host', 'nowhere'] as const
const FIELDS = ['to', 'family', 'table', 'metric', 'tos', 'from', 'scope', 'source', 'mtu', 'advmss', 'protocol', 'type', 'via', 'dev', 'onlink', 'nexthops']
const STATE_FIELDS = ['dead', 'nexthopId']

const U32 = 0xffffffff
/** `IP6_RT_PRIO_USER`: what IPv6 makes of a metric of 0. */
const IPV6_METRIC = 1024

/** A route in its normal form: all that identifies it said, its ways as a list. Internal to plans. */
export interface Route extends RouteSettings {
  readonly family: Family
  readonly type: RouteState['type']
  readonly table: RouteTable
  readonly metric: number
  readonly tos: number
  readonly ways: readonly WeightedNexthop[]
  /** Said as a list, though it may have one way only. */
  readonly several: boolean
}

// ── specs ──

const tableNumber = (table: RouteTable): number => typeof table === 'number' ? table : TABLES[table]
const tableName = (table: number): RouteTable => (Object.keys(TABLES) as (keyof typeof TABLES)[]).find(name => TABLES[name] === table) ?? table

const textOf = (prefix: Prefix): string => prefix.length === widthOf(prefix.family) ? prefix.address : `${prefix.address}/${prefix.length}`

/** A network, without bits behind its prefix. @throws RangeError naming the path */
function network(path: string, value: unknown): Prefix {
  const prefix = parsePrefix(path, value)
  const whole = networkOf(prefix)
  if (whole !== prefix.address) throw new RangeError(`${path}: ${String(value)} has bits behind its prefix; the network is ${whole}/${prefix.length}`)
  return prefix
}

/**
 * What identifies a route, in its normal form; `hint` is the family of a default route that does not say its own.
 * @throws RangeError naming the field below `path`
 */
export function normalizeRouteId(
  { to, family, table = 'main', metric, tos = 0, from }: RouteId, path = '', hint: Family = 'inet',
): Pick<Route, 'to' | 'family' | 'table' | 'metric' | 'tos' | 'from'> {
  if (family !== undefined) oneOf(`${path}family`, family, ['inet', 'inet6'])
  const prefix = to === 'default' ? undefined : network(`${path}to`, to)
  if (prefix && family !== undefined && family !== prefix.family) throw new RangeError(`${path}family: ${to} is ${prefix.family}`)
  const own = prefix?.family ?? family ?? (from === undefined ? hint : 'inet6')
  const where = typeof table === 'string' ? oneOf(`${path}table`, table, ['main', 'local', 'default']) : tableName(integer(`${path}table`, table, 1, U32))
  if (own === 'inet6' && tos !== 0) throw new RangeError(`${path}tos: IPv6 has none`)
  if (own === 'inet' && from !== undefined) throw new RangeError(`${path}from: only IPv6 routes by source`)
  const source = from === undefined ? undefined : network(`${path}from`, from)
  if (source?.family === 'inet') throw new RangeError(`${path}from: ${from!} is no IPv6 network`)
  const said = metric === undefined ? 0 : integer(`${path}metric`, metric, 0, U32)
  return {
    to: prefix === undefined || prefix.length === 0 ? 'default' : textOf(prefix),
    family: own,
    table: where,
    metric: said === 0 && own === 'inet6' && where !== 'local' ? IPV6_METRIC : said,
    tos: integer(`${path}tos`, tos, 0, 255),
    ...source && source.length > 0 && { from: textOf(source) },
  }
}

function nexthop(path: string, { via, dev, onlink }: Nexthop, family: Family | undefined): Nexthop {
  const gateway = via === undefined ? undefined : unicast(`${path}via`, via)
  if (gateway !== undefined && family === 'inet6' && !gateway.includes(':')) throw new RangeError(`${path}via: IPv6 packets have no IPv4 gateway`)
  if (onlink !== undefined && typeof (onlink as unknown) !== 'boolean') throw new TypeError(`${path}onlink: ${JSON.stringify(onlink)} is not true or false`)
  if (onlink && (gateway === undefined || dev === undefined)) throw new TypeError(`${path}onlink: needs a gateway (via) and its link (dev)`)
  if (gateway === undefined && dev === undefined) throw new TypeError(`${path}via: a way has a gateway (via), a link (dev), or both`)
  if (gateway !== undefined && dev === undefined && (/^fe[89ab].:/.test(gateway) || (family === 'inet' && gateway.includes(':')))) {
    throw new TypeError(`${path}dev: the gateway ${gateway} does not show its link`)
  }
  return {
    ...gateway !== undefined && { via: gateway },
    ...dev !== undefined && { dev: interfaceName(`${path}dev`, dev) },
    ...onlink !== undefined && { onlink },
  }
}

/** A spec in its normal form; also a state whose type a spec can have. @throws TypeError, RangeError naming the field below `path` */
export function normalizeRoute(spec: RouteSpec | RouteState, path = ''): Route {
  if (typeof spec !== 'object' || (spec as unknown) === null) throw new TypeError(`${path || 'route'}: ${JSON.stringify(spec)} is not an object`)
  const stranger = Object.keys(spec).find(key => !FIELDS.includes(key) && !STATE_FIELDS.includes(key))
  if (stranger !== undefined) throw new TypeError(`${path}${stranger}: there is no such field; there are ${FIELDS.join(', ')}`)
  const { nexthops, via, dev, onlink, scope, source, mtu, advmss, protocol } = spec
  const type = oneOf(`${path}type`, spec.type ?? 'unicast', TYPES)
  if (type !== 'unicast' && (nexthops ?? via ?? dev ?? onlink) !== undefined) throw new TypeError(`${path}type: ${type} goes nowhere: no via, dev, nexthops`)
  if (nexthops !== undefined && (via ?? dev ?? onlink) !== undefined) throw new TypeError(`${path}nexthops: goes without via, dev and onlink`)
  const gateway = via ?? nexthops?.find(way => way.via !== undefined)?.via ?? source
  const who = normalizeRouteId(spec, path, gateway?.includes(':') ? 'inet6' : 'inet')
  const { family } = who
  if (nexthops?.length === 0) throw new RangeError(`${path}nexthops: the list is empty`)
  const ways = type !== 'unicast' ? [] : nexthops === undefined ? [nexthop(path, { via, dev, onlink }, family)]
    : nexthops.map((way, i) => {
        const at = `${path}nexthops[${i}].`
        return { ...nexthop(at, way, family), weight: integer(`${at}weight`, way.weight ?? 1, 1, 256) }
      })
  if (source !== undefined && unicast(`${path}source`, source).includes(':') !== (family === 'inet6')) {
    throw new RangeError(`${path}source: ${source} is of another family than the route`)
  }
  const reach = scope === undefined ? undefined : typeof scope === 'number' ? integer(`${path}scope`, scope, 0, 255) : oneOf(`${path}scope`, scope, SCOPES)
  if (family === 'inet6' && reach !== undefined && reach !== 'global') throw new RangeError(`${path}scope: IPv6 routes have none but global`)
  return {
    ...who,
    type,
    ways,
    several: ways.length > 1,
    ...reach !== undefined && { scope: reach },
    ...source !== undefined && { source: address(`${path}source`, source) },
    ...mtu !== undefined && { mtu: integer(`${path}mtu`, mtu, family === 'inet6' ? 1280 : 68, 65520) },
    ...advmss !== undefined && { advmss: integer(`${path}advmss`, advmss, 1, 65495) },
    ...protocol !== undefined && { protocol: protocolOf(`${path}protocol`, protocol) },
  }
}

/** A state in the normal form, whatever it is of. */
export function routeOf(state: RouteState): Route {
  const { nexthops, via, dev, onlink, dead: _, nexthopId: __, ...rest } = state
  const one = (via ?? dev) === undefined ? [] : [{ ...via !== undefined && { via }, ...dev !== undefined && { dev }, ...onlink !== undefined && { onlink } }]
  return { ...rest, tos: state.tos ?? 0, ways: nexthops ?? one, several: (nexthops?.length ?? 0) > 1 }
}

const protocolOf = (path: string, value: RouteProtocol): RouteProtocol => typeof value !== 'number'
  ? oneOf(path, value, Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[])
  : (Object.keys(PROTOCOLS) as (keyof typeof PROTOCOLS)[]).find(name => PROTOCOLS[name] === integer(path, value, 0, 255)) ?? value

/** What tells routes apart in the kernel. */
export const keyOfRoute = ({ family, table, to, metric = 0, tos = 0, from = '' }: RouteId): string => [family, table, to, metric, tos, from].join(' ')

// ── words ──

const ordinary = (family: Family): number => family === 'inet6' ? IPV6_METRIC : 0

function way({ via, dev, onlink, weight }: WeightedNexthop, family: Family): string {
  return [
    via !== undefined && `via ${family === 'inet' && via.includes(':') ? 'inet6 ' : ''}${via}`,
    dev !== undefined && `dev ${dev}`,
    weight !== undefined && `weight ${weight}`,
    onlink && 'onlink',
  ].filter(Boolean).join(' ')
}

/** What follows `ip route add`; with `-6` where the words alone do not show that it is IPv6. */
export function notationOfRoute(route: Route): string {
  const { to, family, type, table, metric, tos, from, ways, several, scope, source, mtu, advmss, protocol } = route
  return [
    type !== 'unicast' && type,
    to,
    from !== undefined && `from ${from}`,
    tos !== 0 && `tos 0x${tos.toString(16).padStart(2, '0')}`,
    !several && ways.map(each => way({ ...each, weight: undefined }, family)).join(''),
    table !== 'main' && `table ${table}`,
    metric !== ordinary(family) && `metric ${metric}`,
    protocol !== undefined && protocol !== 'boot' && `proto ${protocol}`,
    scope !== undefined && family === 'inet' && `scope ${scope}`,
    source !== undefined && `src ${source}`,
    mtu !== undefined && `mtu ${mtu}`,
    advmss !== undefined && `advmss ${advmss}`,
    several && ways.map(each => `nexthop ${way(each, family)}`).join(' '),
  ].filter(Boolean).join(' ')
}

/** `ip`, or `ip -6` for what does not show by itself that it is IPv6. */
export const program = ({ family, to, ways, from }: Route): string =>
  family === 'inet6' && to === 'default' && from === undefined && !ways.some(each => each.via !== undefined) ? 'ip -6' : 'ip'

/** `192.168.60.0/24 via 192.168.9.1` */
export function nameOfRoute({ to, family, ways = [], table, metric = 0, type = 'unicast' }: Partial<Route> & RouteId): string {
  return [
    type !== 'unicast' && type, to, ways.map(each => way({ ...each, weight: undefined, onlink: undefined }, family ?? 'inet')).join(', '),
    table !== undefined && table !== 'main' && `table ${table}`, metric !== 0 && metric !== ordinary(family ?? 'inet') && `metric ${metric}`,
  ].filter(Boolean).join(' ')
}

// ── wire ──

/** Where the kernel expects one, `ip` sends the scope that fits the ways. */
function scopeOf({ family, type, ways, several, scope }: Route): Scope {
  return scope ?? (family === 'inet' && type === 'unicast' && !several && ways.every(({ via }) => via === undefined) ? 'link' : 'global')
}

const wayAttributes = ({ via }: Nexthop, family: Family): WireNexthop['attributes'] =>
  via === undefined ? {} : family === 'inet' && via.includes(':') ? { via } : { gateway: via }

/** The command that does something with a route, whose links have these indices. */
export function routeCommand(deed: Deed, route: Route, indexOf: (link: string) => number = () => 0): RouteCommand<'route'> {
  const { to, family, type, table, metric, tos, from, ways, several, source, mtu, advmss, protocol = 'boot' } = route
  const dst = to === 'default' ? undefined : parsePrefix('to', to)
  const src = from === undefined ? undefined : parsePrefix('from', from)
  const number = tableNumber(table)
  const [only] = several ? [] : ways
  return {
    kind: 'route',
    deed,
    object: `route ${nameOfRoute(route)}`,
    header: {
      family, dstLen: dst?.length ?? 0, srcLen: src?.length ?? 0, tos, table: number > 255 ? 0 : number, protocol,
      scope: deed === 'remove' && route.scope === undefined ? 'nowhere' : scopeOf(route),
      type: type as 'unicast' | number, flags: { ...only?.onlink && { onlink: true } },
    },
    attributes: {
      ...dst && { dst: dst.address },
      ...src && { src: src.address },
      table: number,
      ...metric !== 0 && { priority: metric },
      ...source !== undefined && { prefsrc: source },
      ...(mtu ?? advmss) !== undefined && { metrics: { ...mtu !== undefined && { mtu }, ...advmss !== undefined && { advmss } } },
      ...only && { ...wayAttributes(only, family), ...only.dev !== undefined && { oif: indexOf(only.dev) } },
      ...several && {
        multipath: ways.map(each => ({
          flags: { ...each.onlink && { onlink: true } }, hops: (each.weight ?? 1) - 1, index: each.dev === undefined ? 0 : indexOf(each.dev),
          attributes: wayAttributes(each, family),
        })),
      },
    },
  }
}

/** What the kernel says of a route. */
export function readRoute({ header, attributes }: Entry<'route'>, links: ReadonlyMap<number, LinkAttributes>): RouteState {
  const { dst, src, table = header.table, priority = 0, gateway, via: other, oif, prefsrc, metrics = {}, multipath, nhId } = attributes
  const family = header.family as Family
  const type = header.type as RouteState['type']
  const text = (at: string | undefined, length: number): string | undefined => length === 0 ? undefined : textOf({ family, address: at ?? '', length })
  const via = gateway ?? other
  const nowhere = type === 'blackhole' || type === 'unreachable' || type === 'prohibit' // whose link IPv6 says is lo
  const from = text(src, header.srcLen)
  return {
    to: text(dst, header.dstLen) ?? 'default',
    family,
    type,
    table: tableName(table),
    metric: priority,
    ...header.tos !== 0 && { tos: header.tos },
    ...from !== undefined && { from },
    ...!multipath && !nowhere && {
      ...via !== undefined && { via }, ...oif !== undefined && { dev: nameOf(links, oif) }, ...header.flags.onlink && { onlink: true },
    },
    ...multipath && {
      nexthops: multipath.map(({ flags, hops, index, attributes: { gateway: near, via: far } }) => ({
        ...(near ?? far) !== undefined && { via: (near ?? far)! }, dev: nameOf(links, index), weight: hops + 1, ...flags.onlink && { onlink: true },
      })),
    },
    scope: header.scope,
    ...prefsrc !== undefined && { source: prefsrc },
    ...metrics.mtu !== undefined && { mtu: metrics.mtu },
    ...metrics.advmss !== undefined && { advmss: metrics.advmss },
    protocol: header.protocol,
    dead: multipath ? multipath.every(({ flags }) => flags.dead || flags.linkdown) : (header.flags.dead ?? header.flags.linkdown) === true,
    ...nhId !== undefined && { nexthopId: nhId },
  }
}
