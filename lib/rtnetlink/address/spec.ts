/** Addresses of links, as people say them and as the kernel has them. Pure. */

import type { Family } from '../../base/address.js'
import { address, integer, interfaceName, oneOf } from '../../base/check.js'
import type { Deed, Entry, RouteCommand } from '../client.js'
import { nameOf } from '../links-by-name.js'
import { networkOf, parsePrefix, unicast, type Prefix } from '../../base/prefix.js'
import type { LinkAttributes } from '../wire/tables.js'

/** How far an address or a route is of use; a number where the kernel has no name for it. */
export type Scope = 'global' | 'site' | 'link' | 'host' | 'nowhere' | number

/** A time in seconds, or for ever. */
export type Lifetime = number | 'forever'

/** How long an address lives. */
export interface Lifetimes {
  /** Until it is removed, in seconds from now; 1 to 4294967294. */
  readonly valid: Lifetime
  /** Until no new connection uses it, in seconds from now; 0 is at once. Of IPv4 addresses valid for ever, 0 or for ever. @defaultValue `valid` */
  readonly preferred?: Lifetime
}

/** What tells an address from the others of the host. */
export interface AddressId {
  /** `192.0.2.1/24`, `2001:db8::1/64`; without a length it is all of the address, /32 or /128. */
  readonly address: string
  /** The link that has it. */
  readonly link: string
  /** The other end's address, where there are two ends; the length of the prefix is its. */
  readonly peer?: string
}

/** An address that a link should have. */
export interface AddressSpec extends AddressId {
  /** IPv4 only; none is set where this is left out. */
  readonly broadcast?: string
  /** IPv4 only: another name of the link for old programs, which begins with the link's: `eth0:vip`. @defaultValue the link's name */
  readonly label?: string
  /** @defaultValue `global`, and `host` for 127.0.0.0/8; of IPv6 addresses the kernel sees it by itself */
  readonly scope?: Scope
  /** @defaultValue for ever */
  readonly lifetimes?: Lifetimes
  /** Metric of the route to its network that the kernel adds; 0 is the kernel's own. */
  readonly metric?: number
  /** Who has set it, for programs that want to know their own: 0 (nobody) to 255. Linux 5.18 and later. */
  readonly protocol?: number
  /** Add no route to its network. @defaultValue false */
  readonly noprefixroute?: boolean
  /** IPv6 only: use it at once, without asking whether another host has it. @defaultValue false */
  readonly nodad?: boolean
}

/** An address that a link has. It can be given back as a spec. */
export interface AddressState extends AddressSpec {
  readonly family: Family
  readonly scope: Scope
  /** What is left of them. */
  readonly lifetimes: Required<Lifetimes>
  readonly noprefixroute: boolean
  readonly nodad: boolean
  /** IPv4: another address of the same network and link came first, and the kernel removes this one with it, unless `promote_secondaries` is set. */
  readonly secondary: boolean
  /** IPv6: made by the kernel for privacy, for a while. */
  readonly temporary: boolean
  /** IPv6: other hosts are still being asked; it cannot be used yet. */
  readonly tentative: boolean
  /** IPv6: another host has it; it cannot be used. */
  readonly dadfailed: boolean
  /** No longer preferred. */
  readonly deprecated: boolean
}

/** Which addresses are listed; all that it says must be so. */
export interface AddressFilter {
  readonly link?: string
  readonly family?: Family
  /** Without a prefix's length. */
  readonly address?: string
}

const FIELDS = ['address', 'link', 'peer', 'broadcast', 'label', 'scope', 'lifetimes', 'metric', 'protocol', 'noprefixroute', 'nodad']
const STATE_FIELDS = ['family', 'secondary', 'temporary', 'tentative', 'dadfailed', 'deprecated']
const SCOPES = ['global', 'site', 'link', 'host', 'nowhere'] as const

const FOREVER = 0xffffffff

// ── specs ──

/** The scope that the kernel sees in an address. */
function scopeOf({ family, address }: Prefix): Scope {
  if (family === 'inet') return address.startsWith('127.') ? 'host' : 'global'
  return address === '::1' ? 'host' : /^fe[89ab].:/.test(address) ? 'link' : /^fe[c-f].:/.test(address) ? 'site' : 'global'
}

/** What an id says, in its normal form: the address with the length of its prefix. @throws RangeError naming the field below `path` */
export function normalizeAddressId(given: AddressId, path = ''): AddressId {
  const own = parsePrefix(`${path}address`, given.address)
  unicast(`${path}address`, own.address)
  const link = interfaceName(`${path}link`, given.link)
  if (given.peer === undefined) return { address: `${own.address}/${own.length}`, link }
  const there = parsePrefix(`${path}peer`, given.peer)
  unicast(`${path}peer`, there.address)
  if (there.family !== own.family) throw new RangeError(`${path}peer: ${there.address} is of another family than ${own.address}`)
  const [mine, theirs] = [given.address.includes('/'), given.peer.includes('/')]
  if (mine && theirs && own.length !== there.length) {
    throw new RangeError(`${path}peer: the two ends have one prefix length, and ${given.address} and ${given.peer} have two`)
  }
  return { address: `${own.address}/${mine ? own.length : there.length}`, link, ...there.address !== own.address && { peer: there.address } }
}

function lifetimes(path: string, value: Lifetimes, family: Family): Required<Lifetimes> {
  if (typeof value !== 'object' || (value as unknown) === null) throw new TypeError(`${path}: ${JSON.stringify(value)} is not an object`)
  const { valid, preferred = valid } = value
  const time = (name: string, t: Lifetime, min: number): Lifetime => t === 'forever' ? t : integer(`${path}.${name}`, t, min, FOREVER - 1)
  const normal = { valid: time('valid', valid, 1), preferred: time('preferred', preferred, 0) }
  if (seconds(normal.preferred) > seconds(normal.valid)) throw new RangeError(`${path}.preferred: ${preferred} is longer than the address is valid`)
  if (family === 'inet' && normal.valid === 'forever' && normal.preferred !== 'forever' && normal.preferred > 0) {
    throw new RangeError(`${path}.preferred: the kernel forgets it where an IPv4 address is valid for ever; it takes 0 and 'forever'`)
  }
  return normal
}

const seconds = (time: Lifetime): number => time === 'forever' ? FOREVER : time
const lifetime = (time: number): Lifetime => time === FOREVER ? 'forever' : time

function flag(path: string, value: unknown): boolean {
  if (typeof value !== 'boolean') throw new TypeError(`${path}: ${JSON.stringify(value)} is not true or false`)
  return value
}

/** A spec in its normal form, without what only states have. @throws TypeError, RangeError naming the field below `path` */
export function normalizeAddress(spec: AddressSpec, path = ''): AddressSpec {
  if (typeof spec !== 'object' || (spec as unknown) === null) throw new TypeError(`${path || 'address'}: ${JSON.stringify(spec)} is not an object`)
  const stranger = Object.keys(spec).find(key => !FIELDS.includes(key) && !STATE_FIELDS.includes(key))
  if (stranger !== undefined) throw new TypeError(`${path}${stranger}: there is no such field; there are ${FIELDS.join(', ')}`)
  const who = normalizeAddressId(spec, path)
  const prefix = prefixOf(who)
  if (prefix.length === 0) throw new RangeError(`${path}address: /0 would make every address of the Internet a neighbour`)
  const { broadcast, label, scope, lifetimes: times, metric, protocol, noprefixroute, nodad } = spec
  const v4 = prefix.family === 'inet'
  if (!v4 && broadcast !== undefined) throw new TypeError(`${path}broadcast: IPv6 has none`)
  if (!v4 && label !== undefined) throw new TypeError(`${path}label: IPv6 addresses have none`)
  if (v4 && nodad) throw new TypeError(`${path}nodad: only IPv6 asks whether another host has the address`)
  if (broadcast !== undefined && address(`${path}broadcast`, broadcast).includes(':')) {
    throw new RangeError(`${path}broadcast: ${broadcast} is not an IPv4 address`)
  }
  if (label !== undefined && !(typeof label === 'string' && /^[A-Za-z0-9_.:-]{1,15}$/.test(label) && label.startsWith(who.link))) {
    throw new RangeError(`${path}label: ${JSON.stringify(label)} is not a name that begins with ${who.link}: at most 15 of A-Z, a-z, 0-9, _, ., : and -`)
  }
  const reach = scope === undefined ? undefined : typeof scope === 'number' ? integer(`${path}scope`, scope, 0, 255) : oneOf(`${path}scope`, scope, SCOPES)
  if (!v4 && reach !== undefined && reach !== scopeOf(prefix)) throw new RangeError(`${path}scope: of ${prefix.address} it is ${scopeOf(prefix)}`)
  return {
    ...who,
    ...broadcast !== undefined && { broadcast },
    ...label !== undefined && { label },
    ...reach !== undefined && v4 && { scope: reach },
    ...times !== undefined && { lifetimes: lifetimes(`${path}lifetimes`, times, prefix.family) },
    ...metric !== undefined && { metric: integer(`${path}metric`, metric, 0, FOREVER) },
    ...protocol !== undefined && { protocol: integer(`${path}protocol`, protocol, 0, 255) },
    ...noprefixroute !== undefined && { noprefixroute: flag(`${path}noprefixroute`, noprefixroute) },
    ...nodad !== undefined && !v4 && { nodad: flag(`${path}nodad`, nodad) },
  }
}

/** The address of an id in its normal form, or of a state. */
export function prefixOf({ address }: AddressId): Prefix {
  const [own = '', length] = address.split('/')
  return { family: own.includes(':') ? 'inet6' : 'inet', address: own, length: Number(length) }
}

/** The network that an address is in: the other end's, where there are two. */
export function networkOfAddress(given: AddressId): string {
  const prefix = prefixOf(given)
  return `${networkOf({ ...prefix, address: given.peer ?? prefix.address })}/${prefix.length}`
}

/** What tells addresses apart in the kernel: of IPv4 link, address, and network; of IPv6 link and address alone. */
export function keyOfAddress(given: AddressId): string {
  const { family, address } = prefixOf(given)
  return `${given.link} ${address}${family === 'inet' ? ` ${networkOfAddress(given)}` : ''}`
}

/** `192.0.2.1/24 dev eth0`, `10.0.0.1 peer 10.0.0.2/32 dev ppp0` */
export function nameOfAddress({ address, peer, link }: AddressId): string {
  const [own, length] = address.split('/')
  return `${peer === undefined ? address : `${own!} peer ${peer}/${length!}`} dev ${link}`
}

/** What follows `ip addr add`. */
export function notationOfAddress(spec: AddressSpec): string {
  const { link, broadcast, label, scope, lifetimes: times, metric, protocol, noprefixroute, nodad } = spec
  return [
    nameOfAddress(spec).replace(/ dev .*$/, ''),
    broadcast !== undefined && `brd ${broadcast}`,
    scope !== undefined && `scope ${scope}`,
    `dev ${link}`,
    label !== undefined && label !== link && `label ${label}`,
    metric && `metric ${metric}`,
    protocol && `proto ${protocol}`,
    nodad && 'nodad',
    noprefixroute && 'noprefixroute',
    times && times.valid !== 'forever' && `valid_lft ${times.valid}`,
    times?.preferred !== undefined && times.preferred !== 'forever' && `preferred_lft ${times.preferred}`,
  ].filter(Boolean).join(' ')
}

// ── wire ──

/** The command that does something with an address, given in its normal form, of the link with this index. */
export function addressCommand(deed: Deed, spec: AddressSpec, index: number): RouteCommand<'address'> {
  const prefix = prefixOf(spec)
  const { broadcast, label, scope = scopeOf(prefix), lifetimes: times, metric, protocol, noprefixroute, nodad } = spec
  const who = { local: prefix.address, address: spec.peer ?? prefix.address }
  return {
    kind: 'address',
    deed,
    object: `address ${nameOfAddress(spec)}`,
    header: { family: prefix.family, prefixlen: prefix.length, flags: 0, scope, index },
    attributes: deed === 'remove' ? who : {
      ...who,
      ...label !== undefined && { label },
      ...broadcast !== undefined && { broadcast },
      ...times && { cacheinfo: { preferred: seconds(times.preferred ?? times.valid), valid: seconds(times.valid), created: 0, updated: 0 } },
      ...(noprefixroute ?? nodad) !== undefined && { flags: { ...noprefixroute && { noprefixroute }, ...nodad && { nodad } } },
      ...metric && { rtPriority: metric },
      ...protocol && { proto: protocol },
    },
  }
}

/** What the kernel says of an address. */
export function readAddress({ header, attributes }: Entry<'address'>, links: ReadonlyMap<number, LinkAttributes>): AddressState {
  const { address: there = '', local = there, label, broadcast, cacheinfo, flags = {}, rtPriority, proto } = attributes
  const family = header.family as Family
  const { secondary = false } = flags
  return {
    address: `${local}/${header.prefixlen}`,
    link: nameOf(links, header.index),
    family,
    ...there !== local && { peer: there },
    ...broadcast !== undefined && { broadcast },
    ...label !== undefined && { label },
    scope: header.scope,
    // Of an IPv4 address that is valid for ever the kernel says that it is preferred for ever, even where it is not at all.
    lifetimes: { valid: lifetime(cacheinfo?.valid ?? FOREVER), preferred: flags.deprecated ? 0 : lifetime(cacheinfo?.preferred ?? FOREVER) },
    ...rtPriority && { metric: rtPriority },
    ...proto && { protocol: proto },
    noprefixroute: flags.noprefixroute ?? false,
    nodad: flags.nodad ?? false,
    secondary: family === 'inet' && secondary,
    temporary: family === 'inet6' && secondary,
    tentative: flags.tentative ?? false,
    dadfailed: flags.dadfailed ?? false,
    deprecated: flags.deprecated ?? false,
  }
}

/** What of a state a spec can say. */
export function settable(state: AddressState): AddressSpec {
  return Object.fromEntries(Object.entries(state).filter(([key]) => FIELDS.includes(key))) as unknown as AddressSpec
}
