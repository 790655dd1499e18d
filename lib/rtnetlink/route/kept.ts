/** Attributes of routes that specs do not have, and that no change loses. Pure. */

import { isDeepStrictEqual } from 'node:util'
import { defined } from '../../base/field.js'
import type { AttributesOf } from '../client.js'
import type { KeptAttributes } from './spec.js'

/** The kept attributes of a route; undefined where there are none. */
export function keptOf(attributes: AttributesOf<'route'>): KeptAttributes | undefined {
  const { metrics = {}, multipath, pref, flow, ttlPropagate, encapType, encap, nhId } = attributes
  const { mtu: _, advmss: __, ...others } = metrics
  const metricsLeft = defined(others)
  const kept = defined({
    metrics: Object.keys(metricsLeft).length > 0 ? metricsLeft : undefined,
    pref: pref === 0 ? undefined : pref, flow, ttlPropagate, encapType, encap, nhId,
    multipath: multipath?.some(hop => (hop.attributes.encapType ?? hop.attributes.flow) !== undefined)
      ? multipath : undefined,
  })
  return Object.keys(kept).length > 0 ? kept : undefined
}

/** Attributes of a command with the kept ones. A nexthop object takes the place of next hops. */
export function withKept(own: AttributesOf<'route'>, { metrics, ...kept }: KeptAttributes): AttributesOf<'route'> {
  const { gateway: _, via: __, oif: ___, multipath: ____, ...rest } = own
  return {
    ...kept.nhId === undefined ? own : rest, ...kept, ...metrics && { metrics: { ...metrics, ...own.metrics } },
  }
}

/** The kept attributes that belong to the route, whatever its next hops are. */
export function withoutNexthops(kept: KeptAttributes = {}): KeptAttributes {
  const { encap: _, encapType: __, multipath: ___, nhId: ____, ...own } = kept
  return own
}

/** What wraps the packets of a route on their way to each next hop. */
const wrapping = ({ encapType, encap, multipath }: KeptAttributes = {}): unknown =>
  [encapType, encap, multipath?.map(({ attributes }) => [attributes.encapType, attributes.encap])]

/** Whether two routes wrap their packets alike. A spec asks for no wrapping. */
export const sameWrapping = (a: KeptAttributes | undefined, b: KeptAttributes | undefined): boolean =>
  a === b || isDeepStrictEqual(wrapping(a), wrapping(b))
