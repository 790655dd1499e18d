/** Routes, as specs declare them and as states describe them. */

import type { Family } from '../../base/address.js'
import type { Scope } from '../address/spec.js'
import type { AttributesOf } from '../client.js'
import type { PROTOCOLS } from '../wire/route.js'

/** A routing table: its number, or its name where it has one. */
export type RouteTable = keyof typeof TABLES | number

/** The program that set a route. */
export type RouteProtocol = keyof typeof PROTOCOLS | number

/** What a route does with packets. The last three drop them, and two of these answer the sender. */
export type RouteType = typeof TYPES[number]

/** The next hop of packets. */
export interface Nexthop {
  /** The gateway, of either family for IPv4; without one the destination is on the link itself. */
  readonly via?: string
  /** The link; not required with a gateway that leads to it. */
  readonly link?: string
  /** Takes the gateway to be on the link, though no address says so. @defaultValue false */
  readonly onlink?: boolean
}

/** One of several next hops. */
export interface WeightedNexthop extends Nexthop {
  /** Its share of the packets in relation to the other weights, 1 to 256. @defaultValue 1 */
  readonly weight?: number
}

/** The fields that identify a route of the host. */
export interface RouteId {
  /** `192.168.52.0/24`, `2001:db8::/32`, an address alone (/32, /128), or `default`. */
  readonly to: string
  /**
   * Tells the two defaults apart.
   * @defaultValue that of `to`; of `default` that of its gateway, and `inet` without one
   */
  readonly family?: Family
  /** @defaultValue `main` */
  readonly table?: RouteTable
  /** The route with the least metric is used. @defaultValue 0, and 1024 of IPv6 */
  readonly metric?: number
  /** IPv4 only: the type of service that packets must have. @defaultValue 0: any */
  readonly tos?: number
  /** IPv6 only: the network that packets must come from. */
  readonly from?: string
}

/** An id that may also name a next hop, for routes that differ in nothing else. */
export type RouteQuery = RouteId & Nexthop

/** The fields of every route but its next hops. */
export interface RouteSettings extends RouteId {
  /** IPv4 only. @defaultValue `link` without a gateway, `global` with one */
  readonly scope?: Scope
  /** The address of this host that its own packets get. */
  readonly source?: string
  /** The largest packet for the path, in bytes. */
  readonly mtu?: number
  /** The largest segment that TCP announces, in bytes. */
  readonly advmss?: number
  /** @defaultValue `boot`, as `ip` sets it */
  readonly protocol?: RouteProtocol
}

/** A route that should exist: over one next hop, over several, or to nowhere. */
export type RouteSpec = RouteSettings & (
  | { readonly type?: 'unicast'; readonly nexthops?: undefined } & Nexthop
  | { readonly type?: 'unicast'; readonly nexthops: readonly WeightedNexthop[] }
  & { readonly [K in keyof Nexthop]?: undefined }
  | { readonly type: 'blackhole' | 'unreachable' | 'prohibit' }
  & { readonly [K in keyof Nexthop | 'nexthops']?: undefined }
)

/**
 * A change of a route: the fields that identify it, and those that change. A next hop or a type
 * replaces all next hops.
 */
export type RoutePatch = RouteId & Partial<RouteSettings & Nexthop> & {
  readonly type?: RouteType
  readonly nexthops?: readonly WeightedNexthop[]
}

/** A route that exists. One of a type that a spec can have can be given back as a spec. */
export interface RouteState extends RouteSettings, Nexthop {
  readonly family: Family
  /** The kernel's own have other types: `local`, `broadcast`, `multicast`, …, or a number. */
  readonly type: RouteType | (string & {}) | number
  readonly table: RouteTable
  readonly metric: number
  readonly scope: Scope
  readonly protocol: RouteProtocol
  /** Several next hops. */
  readonly nexthops?: readonly Required<Pick<WeightedNexthop, 'weight'>>[] & readonly WeightedNexthop[]
  /** No packet can use it now: its link is down. */
  readonly dead: boolean
  /** The nexthop object that it uses (`ip nexthop`). */
  readonly nexthopId?: number
  /** The attributes that specs do not have. */
  readonly kept?: KeptAttributes
}

/**
 * The attributes of a route that specs do not have, in the kernel's form. They stay when the route
 * is changed, and come back when its change or removal is reverted. Those of the next hops
 * (`encap`, `encapType`, `multipath`, `nhId`) stay as long as the next hops do.
 */
export interface KeptAttributes extends Pick<
  AttributesOf<'route'>, 'pref' | 'flow' | 'ttlPropagate' | 'encapType' | 'encap' | 'multipath' | 'nhId'
> {
  readonly metrics?: Omit<NonNullable<AttributesOf<'route'>['metrics']>, 'mtu' | 'advmss'>
}

/** Which routes are listed; all conditions must hold. */
export interface RouteFilter {
  readonly family?: Family
  readonly table?: RouteTable
  /** The link of one of its next hops. */
  readonly link?: string
  /** Exactly this destination. */
  readonly to?: string
  readonly protocol?: RouteProtocol
}

/** `RT_TABLE_*` */
export const TABLES = { main: 254, local: 255, default: 253 } as const
/** The types that a spec can have. */
export const TYPES = ['unicast', 'blackhole', 'unreachable', 'prohibit'] as const
