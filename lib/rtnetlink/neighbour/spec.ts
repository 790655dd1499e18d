/** Neighbours: which link-layer address an address has. As people say them and as the kernel has them. Pure. */

import type { Family } from '../../base/address.js'
import { integer, interfaceName, oneOf } from '../../base/check.js'
import type { Deed, Entry, RouteCommand } from '../client.js'
import { nameOf } from '../links-by-name.js'
import { unicast } from '../../base/prefix.js'
import type { LinkAttributes } from '../wire/tables.js'

/** How sure the kernel is of a neighbour. `none` is a place kept for one that nobody has asked for. */
export type Reachability = 'permanent' | 'noarp' | 'reachable' | 'stale' | 'delay' | 'probe' | 'incomplete' | 'failed' | 'none'

/** What tells a neighbour from the others of the host. */
export interface NeighbourId {
  readonly address: string
  /** The link that it is on. */
  readonly link: string
  /** Whether this is one that the host answers for. @defaultValue false */
  readonly proxy?: boolean
}

/** A neighbour whose link-layer address is said, not asked for; or an address that the host answers for (`proxy`). */
export type IpNeighbourSpec = Pick<NeighbourId, 'address' | 'link'> & ({
  readonly proxy?: false
  /** `02:00:5e:10:00:01` */
  readonly lladdr: string
  /** `permanent` is for ever; `noarp` is never asked for; the others may be forgotten. @defaultValue `permanent` */
  readonly state?: 'permanent' | 'noarp' | 'reachable' | 'stale'
  /** IPv6 only: it is a router. */
  readonly router?: boolean
  /** Who has set it, 0 (nobody) to 255, numbered as of routes. */
  readonly protocol?: number
} | {
  readonly proxy: true
  readonly lladdr?: undefined
  readonly state?: 'none'
  readonly router?: false
  readonly protocol?: number
})

/** A neighbour that the kernel knows, or looks for. */
export interface IpNeighbourState extends NeighbourId {
  readonly family: Family
  /** `*` of a proxy on all links. */
  readonly link: string
  readonly proxy: boolean
  /** Where it is known. */
  readonly lladdr?: string
  readonly state: Reachability
  readonly router: boolean
  readonly protocol?: number
  /** Set by a program that has learnt it elsewhere. */
  readonly external: boolean
}

/** A neighbour in its normal form. */
export interface IpNeighbour {
  readonly address: string
  readonly link: string
  readonly proxy: boolean
  readonly lladdr?: string
  readonly state: Reachability
  readonly router?: boolean
  readonly protocol?: number
  readonly external?: boolean
}

const FIELDS = ['address', 'link', 'proxy', 'lladdr', 'state', 'router', 'protocol']
const STATE_FIELDS = ['family', 'external']
const KNOWN: readonly Reachability[] = ['permanent', 'noarp', 'reachable', 'stale', 'delay', 'probe', 'incomplete', 'failed']

/** A link-layer address in lower case. @throws RangeError naming the path */
export function linkLayer(path: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){0,31}$/i.test(value)) {
    throw new RangeError(`${path}: ${JSON.stringify(value)} is not a link-layer address such as 02:00:5e:10:00:01`)
  }
  return value.toLowerCase()
}

/** An object without fields that nobody knows. @throws TypeError naming the path */
export function fields(path: string, value: object, known: readonly string[], besides: readonly string[]): void {
  const stranger = Object.keys(value).find(key => !known.includes(key) && !besides.includes(key))
  if (stranger !== undefined) throw new TypeError(`${path}${stranger}: there is no such field; there are ${known.join(', ')}`)
}

/** What identifies a neighbour, in its normal form. @throws RangeError naming the field below `path` */
export const normalizeNeighbourId = ({ address, link, proxy = false }: NeighbourId, path = ''): Required<NeighbourId> =>
  ({ address: unicast(`${path}address`, address), link: interfaceName(`${path}link`, link), proxy })

/** A spec in its normal form. @throws TypeError, RangeError naming the field below `path` */
export function normalizeNeighbour(spec: IpNeighbourSpec, path = ''): IpNeighbour {
  fields(path, spec, FIELDS, STATE_FIELDS)
  const who = normalizeNeighbourId(spec, path)
  const { proxy, lladdr, state = 'permanent', router, protocol } = spec as Partial<IpNeighbourState>
  if (proxy && (lladdr !== undefined || router === true || (spec.state ?? 'none') !== 'none')) {
    throw new TypeError(`${path}proxy: the host answers with its own link-layer address, for ever`)
  }
  if (!proxy && lladdr === undefined) throw new TypeError(`${path}lladdr: a neighbour has one`)
  if (router && !who.address.includes(':')) throw new RangeError(`${path}router: only IPv6 neighbours say so`)
  return {
    ...who,
    ...!proxy && { lladdr: linkLayer(`${path}lladdr`, lladdr) },
    state: proxy ? 'none' : oneOf(`${path}state`, state, ['permanent', 'noarp', 'reachable', 'stale']),
    ...router !== undefined && { router },
    ...protocol !== undefined && { protocol: integer(`${path}protocol`, protocol, 0, 255) },
  }
}

/** What tells neighbours apart in the kernel. */
export const keyOfNeighbour = ({ address, link, proxy = false }: NeighbourId): string => `${proxy ? 'proxy ' : ''}${address} ${link}`

/** `10.0.0.1 dev eth0` */
export const nameOfNeighbour = ({ address, link, proxy }: NeighbourId): string => `${proxy ? 'proxy ' : ''}${address} dev ${link}`

/** What follows `ip neigh add`. */
export function notationOfNeighbour(spec: IpNeighbour): string {
  const { address, link, proxy, lladdr, state, router, protocol } = spec
  return [
    proxy && 'proxy', address, lladdr !== undefined && `lladdr ${lladdr}`, `dev ${link}`, !proxy && state !== 'permanent' && `nud ${state}`,
    router && 'router', protocol && `protocol ${protocol}`,
  ].filter(Boolean).join(' ')
}

/** States that pass into one another by themselves. */
const passing = (state: Reachability): boolean => state === 'reachable' || state === 'stale' || state === 'delay' || state === 'probe'

/** Whether a neighbour is as wanted. */
export const sameNeighbour = (wanted: IpNeighbour, actual: IpNeighbourState): boolean => wanted.lladdr === actual.lladdr
  && (wanted.proxy || wanted.state === actual.state || (passing(wanted.state) && passing(actual.state)))
  && (wanted.router === undefined || wanted.router === actual.router) && (wanted.protocol === undefined || wanted.protocol === (actual.protocol ?? 0))

/** The command that does something with a neighbour of the link with this index. */
export function neighbourCommand(deed: Deed, { lladdr, state, router, protocol, external, ...who }: IpNeighbour, index: number): RouteCommand<'neighbour'> {
  const bits = deed === 'remove' || who.proxy || state === 'none' ? {} : { [state]: true }
  return {
    kind: 'neighbour',
    deed,
    object: `neighbour ${nameOfNeighbour(who)}`,
    header: {
      family: who.address.includes(':') ? 'inet6' : 'inet', index, state: bits, type: 'unspec',
      flags: { ...who.proxy && { proxy: true }, ...router && { router: true }, ...external && { extLearned: true } },
    },
    attributes: { dst: who.address, ...lladdr !== undefined && deed !== 'remove' && { lladdr }, ...protocol && { protocol } },
  }
}

/** What the kernel says of a neighbour. */
export function readNeighbour({ header, attributes }: Entry<'neighbour'>, links: ReadonlyMap<number, LinkAttributes>): IpNeighbourState {
  const { dst = '', lladdr, protocol } = attributes
  const { flags } = header
  return {
    address: dst,
    link: header.index === 0 ? '*' : nameOf(links, header.index),
    family: header.family as Family,
    proxy: flags.proxy ?? false,
    ...lladdr !== undefined && { lladdr },
    state: KNOWN.find(name => (header.state as Partial<Record<Reachability, boolean>>)[name]) ?? 'none',
    router: flags.router ?? false,
    ...protocol && { protocol },
    external: flags.extLearned ?? false,
  }
}

/** A state as what can be set again; a neighbour that is still being looked for is not. */
export function settableNeighbour({ address, link, proxy, lladdr, state, router, protocol, external }: IpNeighbourState): IpNeighbour | undefined {
  if (!proxy && lladdr === undefined) return undefined
  return {
    address, link, proxy, ...lladdr !== undefined && { lladdr }, state: state === 'delay' || state === 'probe' ? 'stale' : state, router, external,
    ...protocol !== undefined && { protocol },
  }
}
