/** Next hops of routes, declared field by field. Pure. */

import type { Family } from '../../base/address.js'
import { boolean, interfaceName, SpecError } from '../../base/check.js'
import { after, defined, fieldSet, inRange, type Values } from '../../base/field.js'
import { unicast } from '../../base/prefix.js'
import type { LinkNames } from '../link-names.js'
import type { WireNexthop } from '../wire/route.js'
import type { Nexthop, WeightedNexthop } from './spec.js'

/** The next hops of a route. */
export const nexthopsOf = (
  { via, link, onlink, nexthops }: Nexthop & { nexthops?: readonly WeightedNexthop[] | undefined },
): readonly WeightedNexthop[] => nexthops ?? ((via ?? link) === undefined ? [] : [defined({ via, link, onlink })])

/** The attribute of a gateway: IPv4 packets take one for a gateway of either family. */
export const gatewayAttribute = (via: string, family: unknown): 'via' | 'gateway' =>
  family === 'inet' && via.includes(':') ? 'via' : 'gateway'

/** Refuses a next hop that leads nowhere. @throws SpecError naming the field */
export function verifyNexthop({ via, link, onlink }: Nexthop, family: Family): void {
  if (via !== undefined && family === 'inet6' && !via.includes(':')) {
    throw new SpecError('via', 'IPv6 packets have no IPv4 gateway')
  }
  if (onlink === true && (via === undefined || link === undefined)) {
    throw new SpecError('onlink', 'needs a gateway (via) and its link (link)')
  }
  if (via === undefined && link === undefined) {
    throw new SpecError('via', 'a next hop has a gateway (via), a link (link), or both')
  }
  const foreign = via !== undefined && (/^fe[89ab].:/.test(via) || (family === 'inet' && via.includes(':')))
  if (foreign && link === undefined) {
    throw new SpecError('link', `is required: the gateway ${via} does not lead to it`)
  }
}

interface HopContext extends LinkNames { readonly family: Family }

export const viaWords = (via: unknown, { family }: Values): string =>
  `via ${family === 'inet' && (via as string).includes(':') ? 'inet6 ' : ''}${via as string}`

export const hopFields = fieldSet<WeightedNexthop, WireNexthop, HopContext>()('next hop', {
  via: {
    check: unicast,
    write({ attributes }, value, { family }) {
      attributes[gatewayAttribute(value as string, family)] = value as string
    },
    read: ({ attributes: { gateway, via } }) => gateway ?? via,
    words: viaWords,
  },
  link: {
    check: interfaceName,
    write(to, value, { indexOf }) { to.index = indexOf(value as string) },
    read: ({ index }, { nameOf }) => nameOf(index),
    words: after('dev'),
  },
  weight: {
    otherwise: 1, explicit: true,
    check: inRange(1, 256),
    write(to, value) { to.hops = value as number - 1 },
    read: ({ hops }) => hops + 1,
    words: after('weight'),
  },
  onlink: {
    check: boolean,
    write(to, value) { if (value === true) to.flags = { ...to.flags, onlink: true } },
    read: ({ flags }) => flags.onlink === true ? true : undefined,
    words: value => value === true ? 'onlink' : '',
  },
})

/** A next hop in words: `via 192.0.2.1 dev eth0 weight 2 onlink`. */
export const hopWords = (hop: WeightedNexthop, family: Family): string => hopFields.words({ ...hop, family })
