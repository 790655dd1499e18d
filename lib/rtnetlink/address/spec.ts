/** Addresses of links, declared field by field. Pure. */

import { familyOf, type Family } from '../../base/address.js'
import {
  address as anyAddress, anyObject, integer, interfaceName, invalid, oneOf, show, SpecError, within,
} from '../../base/check.js'
import { fieldSet, inRange, type Check, type Field, type Values } from '../../base/field.js'
import { networkOf, parsePrefix, unicast, type Prefix } from '../../base/prefix.js'
import type { Entry, RouteCommand, Verb } from '../client.js'
import { entryFields, unlessZero } from '../fields.js'
import type { LinkNames } from '../link-names.js'
import { lifetimes, type Lifetimes } from './lifetimes.js'

/** The range in which an address or a route is valid; a number where it has no name. */
export type Scope = typeof SCOPES[number] | number

/** The fields that identify an address of the host. */
export interface AddressId {
  /** `192.0.2.1/24`, `2001:db8::1/64`; without a length the prefix is the whole address. */
  readonly address: string
  /** The link that has it. */
  readonly link: string
  /** The address of the other end, on a link with two ends, whose prefix it is then. */
  readonly peer?: string
}

/** An address that a link should have. */
export interface AddressSpec extends AddressId {
  /** IPv4 only. @defaultValue none */
  readonly broadcast?: string
  /**
   * IPv4 only: another name of the link for old programs, which begins with the link's: `eth0:vip`.
   * @defaultValue the link's name
   */
  readonly label?: string
  /** The kernel derives that of IPv6. @defaultValue `global`, and `host` for 127.0.0.0/8 */
  readonly scope?: Scope
  /** @defaultValue for ever */
  readonly lifetimes?: Lifetimes
  /** The metric of the route to its network that the kernel adds; 0 is the kernel's own. */
  readonly metric?: number
  /** The program that set it, 0 (none) to 255: programs find theirs by it. Linux 5.18 and later. */
  readonly protocol?: number
  /** Adds no route to its network. @defaultValue false */
  readonly noprefixroute?: boolean
  /** IPv6 only: uses it at once, without asking whether another host has it. @defaultValue false */
  readonly nodad?: boolean
}

/** An address that a link has. It can be given back as a spec. */
export interface AddressState extends AddressSpec {
  readonly family: Family
  readonly scope: Scope
  /** The remaining lifetimes. */
  readonly lifetimes: Required<Lifetimes>
  readonly noprefixroute: boolean
  readonly nodad: boolean
  /**
   * IPv4: the link has an older address in the same network, with which the kernel removes this
   * one, unless `promote_secondaries` is set.
   */
  readonly secondary: boolean
  /** IPv6: the kernel made it for privacy, for a while. */
  readonly temporary: boolean
  /** IPv6: the kernel is still asking other hosts; it cannot be used yet. */
  readonly tentative: boolean
  /** IPv6: another host has it; it cannot be used. */
  readonly dadfailed: boolean
  /** No longer preferred. */
  readonly deprecated: boolean
}

/** Which addresses are listed; all conditions must hold. */
export interface AddressFilter {
  readonly link?: string
  readonly family?: Family
  /** Without a prefix length. */
  readonly address?: string
}

export const SCOPES = ['global', 'site', 'link', 'host', 'nowhere'] as const

// ── fields ──

type Wire = Entry<'address'>
type AddressField = Field<Wire, LinkNames>
const { header, attribute, link, flag } = entryFields<'address'>()

/** The prefix of an address in its normal form. */
export function prefixOf({ address }: AddressId): Prefix {
  const [own = '', length] = address.split('/')
  return { family: familyOf(own), address: own, length: Number(length) }
}

/** The scope that the kernel derives from an address. */
function scopeOf({ family, address }: Prefix): Scope {
  if (family === 'inet') return address.startsWith('127.') ? 'host' : 'global'
  if (address === '::1') return 'host'
  return /^fe[89ab].:/.test(address) ? 'link' : /^fe[c-f].:/.test(address) ? 'site' : 'global'
}

const isIPv6 = (object: Values): boolean => (object.address as string).includes(':')
/** What an address of one family lacks. */
const onlyIPv4 = { absent: (object: Values) => isIPv6(object) ? 'only IPv4 addresses have one' : undefined }
const onlyIPv6 = {
  absent: (object: Values) => isIPv6(object) ? undefined : 'only IPv6 asks whether another host has the address',
}

/** A scope, by name or by number. @throws SpecError naming the path */
export const checkScope = (path: string, value: unknown): Scope =>
  typeof value === 'number' ? integer(path, value, 0, 255) : oneOf(path, value, SCOPES)

/** normalizeAddressId checks an address together with its peer. */
const given: Check = (_, value) => value

const own: AddressField = {
  check: given,
  write({ header, attributes }, value) {
    const prefix = prefixOf({ address: value as string, link: '' })
    Object.assign(header, { family: prefix.family, prefixlen: prefix.length, scope: scopeOf(prefix) })
    Object.assign(attributes, { local: prefix.address, address: prefix.address })
  },
  read: ({ header, attributes: { address, local = address } }) => `${local ?? ''}/${header.prefixlen}`,
}
const peer = attribute('address', given, {
  otherwise: undefined,
  read: ({ attributes: { address, local = address } }) => address === local ? undefined : address,
})

function checkBroadcast(path: string, value: unknown): string {
  const text = anyAddress(path, value)
  if (text.includes(':')) throw new SpecError(path, `${text} is not an IPv4 address`)
  return text
}
function checkLabel(path: string, value: unknown): string {
  if (typeof value === 'string' && /^[A-Za-z0-9_.:-]{1,15}$/.test(value)) return value
  throw invalid(path, value, 'a label: at most 15 of A-Z, a-z, 0-9, _, ., : and -')
}

/** The fields of an address, in the order of `ip addr add`. */
export const addressFields = fieldSet<AddressSpec, Wire, LinkNames>()('address', {
  address: own, peer,
  broadcast: attribute('broadcast', checkBroadcast, { ...onlyIPv4, otherwise: undefined, word: 'brd' }),
  scope: header('scope', checkScope, {
    otherwise: (object: Values) => scopeOf(prefixOf(object as unknown as AddressId)), explicit: true, word: 'scope',
  }),
  link: link('header', 'index'),
  label: attribute('label', checkLabel, { ...onlyIPv4, otherwise: (object: Values) => object.link, word: 'label' }),
  metric: unlessZero(attribute('rtPriority', inRange(0, 0xffffffff), { otherwise: 0, word: 'metric' })),
  protocol: unlessZero(attribute('proto', inRange(0, 255), { otherwise: 0, word: 'proto' })),
  nodad: flag('attributes', 'nodad', { ...onlyIPv6, otherwise: false }),
  noprefixroute: flag('attributes', 'noprefixroute', { otherwise: false }),
  lifetimes,
}, {
  stateOnly: ['family', 'secondary', 'temporary', 'tentative', 'dadfailed', 'deprecated'],
  verify(spec) {
    const id = spec as unknown as AddressSpec
    const prefix = prefixOf(id)
    if (prefix.length === 0) throw new SpecError('address', '/0 would make every address of the Internet a neighbour')
    if (id.label !== undefined && !id.label.startsWith(id.link)) {
      throw new SpecError('label', `${show(id.label)} does not begin with ${id.link}`)
    }
    if (prefix.family === 'inet6' && id.scope !== undefined && id.scope !== scopeOf(prefix)) {
      throw new SpecError('scope', `that of ${prefix.address} is ${scopeOf(prefix)}`)
    }
    const { valid, preferred } = id.lifetimes ?? {}
    if (prefix.family === 'inet' && valid === 'forever' && preferred !== 'forever' && preferred !== 0) {
      throw new SpecError(
        'lifetimes.preferred', 'must be 0 or \'forever\' for an IPv4 address that is valid for ever;'
        + ' the kernel forgets other values',
      )
    }
  },
})

// ── normal forms ──

/** An id in its normal form, with a length. @throws SpecError naming the field below `path` */
export const normalizeAddressId = (given: AddressId, path = ''): AddressId => within(path, () => {
  anyObject(path === '' ? 'address' : '', given)
  const prefix = parsePrefix('address', given.address)
  unicast('address', prefix.address)
  const name = interfaceName('link', given.link)
  if (given.peer === undefined) return { address: `${prefix.address}/${prefix.length}`, link: name }
  const there = parsePrefix('peer', given.peer)
  unicast('peer', there.address)
  if (there.family !== prefix.family) {
    throw new SpecError('peer', `${there.address} is of another family than ${prefix.address}`)
  }
  const [mine, theirs] = [given.address.includes('/'), given.peer.includes('/')]
  if (mine && theirs && prefix.length !== there.length) {
    throw new SpecError('peer', `the two ends have one prefix length, and ${given.address} and ${given.peer} have two`)
  }
  return {
    address: `${prefix.address}/${mine ? prefix.length : there.length}`, link: name,
    ...there.address !== prefix.address && { peer: there.address },
  }
})

/** A spec in its normal form, without fields of states. @throws as {@link normalizeAddressId} */
export function normalizeAddress(spec: AddressSpec, path = ''): AddressSpec {
  const given = addressFields.checkNames(spec, path)
  const id = normalizeAddressId(spec, path)
  const { family } = prefixOf(id)
  const normal = addressFields.pick({
    ...given, peer: undefined, ...id, ...family === 'inet' && given.nodad === false && { nodad: undefined },
  }, path) as AddressSpec
  addressFields.verify(normal, path)
  const { scope: _, ...withoutScope } = normal
  return family === 'inet6' ? withoutScope : normal
}

// ── keys and words ──

/** The network of an address: the other end's, on a link with two ends. */
export function networkOfAddress(given: AddressId): string {
  const prefix = prefixOf(given)
  return `${networkOf({ ...prefix, address: given.peer ?? prefix.address })}/${prefix.length}`
}

/** The kernel's identity of an address: its link, the address, and for IPv4 the network. */
export function keyOfAddress(given: AddressId): string {
  const { family, address } = prefixOf(given)
  return `${given.link} ${address}${family === 'inet' ? ` ${networkOfAddress(given)}` : ''}`
}

/** `192.0.2.1/24`, `10.0.0.1 peer 10.0.0.2/32` */
function ends({ address, peer: other }: AddressId): string {
  const [local, length] = address.split('/')
  return other === undefined ? address : `${local!} peer ${other}/${length!}`
}

/** `192.0.2.1/24 dev eth0`, `10.0.0.1 peer 10.0.0.2/32 dev ppp0` */
export const nameOfAddress = (id: AddressId): string => `${ends(id)} dev ${id.link}`

/** The words after `ip addr add`. */
export const notationOfAddress = (spec: AddressSpec): string => `${ends(spec)} ${addressFields.words(spec)}`

// ── wire ──

const ID = ['address', 'peer', 'link', 'scope']

/** The command that does something with an address in its normal form. */
export const addressCommand = (verb: Verb, spec: AddressSpec, names: LinkNames): RouteCommand<'address'> => ({
  kind: 'address', verb, object: `address ${nameOfAddress(spec)}`,
  ...addressFields.write(
    { header: { family: 'unspec', prefixlen: 0, flags: 0, scope: 'global', index: 0 }, attributes: {} },
    spec, names, verb === 'remove' ? ID : undefined),
})

/** An address that the kernel describes. */
export function readAddress(entry: Wire, names: LinkNames): AddressState {
  const { header, attributes: { flags = {} } } = entry
  const { secondary = false } = flags
  return {
    ...addressFields.read(entry, names) as AddressState,
    nodad: flags.nodad ?? false,
    family: header.family as Family,
    secondary: header.family === 'inet' && secondary,
    temporary: header.family === 'inet6' && secondary,
    tentative: flags.tentative ?? false,
    dadfailed: flags.dadfailed ?? false,
    deprecated: flags.deprecated ?? false,
  }
}
