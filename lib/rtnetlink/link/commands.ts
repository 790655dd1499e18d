/** Links in their normal form, from specs and from the kernel; and what is asked of the kernel for them. */

import { NetlinkError, type CallOptions } from '../../../generic-netlink/index.js'
import { boolean, checkObject, interfaceName } from '../../base/check.js'
import type { Entry, RouteClient, RouteCommand } from '../client.js'
import { explained, refusal } from '../explain.js'
import { checkMtu, macAddress, type IndexOf, type Parameters } from './fields.js'
import { FALLBACKS, isKind, kinds, normalizeParameters, readParameters, verifyParameters, writeParameters } from './kinds.js'
import type { LinkKind, LinkSpec, LinkState } from './spec.js'
import { indexOf } from '../links-by-name.js'
import { perform } from '../perform.js'
import type { LinkAttributes } from '../wire/tables.js'

const ANY = { family: 'unspec', type: 0, index: 0, flags: {}, change: {} } as const
const ARPHRD_ETHER = 1
const EOPNOTSUPP = -95

// ── reading ──

/** What the kernel says of a link. */
function readLink({ header, attributes }: Entry<'link'>, nameOf: (index: number) => string): LinkState {
  const { ifname = '', mtu = 0, address, operstate = 'unknown', carrier = 0, master = 0, ifalias, propList = [], stats64, linkinfo } = attributes
  const { kind, data } = linkinfo ?? {}
  const below = attributes.link !== undefined && attributes.link !== 0 && attributes.linkNetnsid === undefined ? nameOf(attributes.link) : undefined
  const parameters = isKind(kind) ? readParameters(kind, data ?? {}, { nameOf, link: attributes }) : { data, dev: below }
  return {
    index: header.index,
    name: ifname,
    ...kind !== undefined && { kind },
    up: header.flags.up === true,
    operstate,
    carrier: carrier !== 0,
    mtu,
    ...address !== undefined && header.type === ARPHRD_ETHER && { address },
    ...master !== 0 && { master: nameOf(master) },
    ...ifalias !== undefined && { alias: ifalias },
    altNames: propList,
    statistics: stats64!,
    ...Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined)),
  }
}

/** All links of this network namespace. Rejects with NetlinkError. */
export async function listLinks(route: RouteClient, options?: CallOptions): Promise<LinkState[]> {
  let entries: Entry<'link'>[]
  try {
    entries = await route.list('link', ANY, {}, options)
  } catch (error) {
    throw explained(error, { kind: 'link', deed: 'get', attributes: {}, object: 'links' })
  }
  const names = new Map(entries.map(({ header, attributes }) => [header.index, attributes.ifname]))
  return entries.map(entry => readLink(entry, index => names.get(index) ?? `if${index}`))
}

// ── specs ──

/** Settings in their normal form. */
export interface Settings {
  mtu?: number
  address?: string
  alias?: string
  master?: string | null
  up?: boolean
}

/** A link in its normal form: what is wanted, or what there is. */
export interface Link extends Settings {
  readonly name: string
  readonly kind: string | undefined
  readonly parameters: Parameters
  /** The number that it had, and gets again. */
  readonly index?: number
}

/** In the order in which they are made. */
export const SETTINGS = ['mtu', 'address', 'alias', 'master', 'up'] as const
/** What only states have, so that one can be edited and given back. */
const STATE_FIELDS = ['index', 'operstate', 'carrier', 'altNames', 'statistics', 'data']

function checkAlias(path: string, value: unknown): string {
  if (typeof value !== 'string' || value.includes('\0') || Buffer.byteLength(value) > 255) throw new RangeError(`${path}: it is not text of at most 255 bytes`)
  return value
}

/** Settings that are said. `ethernet` undefined: nobody knows. @throws TypeError, RangeError naming the field below `path` */
export function normalizeSettings(path: string, given: Record<string, unknown>, ethernet = true): Settings {
  const { mtu, address, alias, master, up } = given
  if (!ethernet && (address ?? master) !== undefined) {
    throw new TypeError(`${path}${address === undefined ? 'master' : 'address'}: only links that carry Ethernet have one`)
  }
  return {
    ...mtu !== undefined && { mtu: checkMtu(`${path}mtu`, mtu) },
    ...address !== undefined && { address: macAddress(`${path}address`, address) },
    ...alias !== undefined && { alias: checkAlias(`${path}alias`, alias) },
    ...master !== undefined && { master: master === null ? null : interfaceName(`${path}master`, master) },
    ...up !== undefined && { up: boolean(`${path}up`, up) },
  }
}

/** The kind that a spec names, and that it has no fields of others. @throws TypeError */
export function checkKind(path: string, given: Record<string, unknown>, kind: unknown): LinkKind {
  if (!isKind(kind)) throw new TypeError(`${path}kind: ${JSON.stringify(kind)} is not one of ${Object.keys(kinds).join(', ')}`)
  checkObject(path === '' ? 'link' : path.slice(0, -1), given, new Set(['name', 'kind', ...SETTINGS, ...Object.keys(kinds[kind].fields), ...STATE_FIELDS]))
  return kind
}

/** A spec in its normal form. @throws TypeError, RangeError naming the field below `path` */
export function normalizeLink(spec: LinkSpec, path = ''): Link & { readonly kind: LinkKind; readonly said: readonly string[] } {
  if (typeof spec !== 'object' || (spec as unknown) === null) throw new TypeError(`${path || 'link'}: ${JSON.stringify(spec)} is not an object`)
  const given = spec as unknown as Record<string, unknown>
  const kind = checkKind(path, given, given.kind)
  const name = interfaceName(`${path}name`, given.name)
  const parameters = normalizeParameters(path, kind, given, true)
  const fallback = FALLBACKS.get(name)
  if (fallback !== undefined && fallback !== kind) throw new RangeError(`${path}name: the kernel has ${name} for a link of kind ${fallback}`)
  if (fallback === undefined) verifyParameters(path, kind, parameters)
  if (kind === 'veth' && parameters.peer === undefined) throw new TypeError(`${path}peer: a pair has another end`)
  const { peer } = parameters as { peer?: { name: string; netns?: number } }
  if (peer?.name === name && peer.netns === undefined) throw new RangeError(`${path}peer.name: ${name} is this end`)
  if (parameters.dev === name) throw new RangeError(`${path}dev: ${name} is the link itself`)
  return {
    name, kind, parameters, up: true, ...normalizeSettings(path, given, kinds[kind].ethernet && parameters.gpe !== true),
    said: Object.keys(kinds[kind].fields).filter(key => given[key] !== undefined),
  }
}

/** A state in its normal form. */
export function linkOf(state: LinkState): Link {
  const { index, name, kind, up, operstate: _, carrier: __, mtu, address, master, alias, altNames: ___, statistics: ____, ...parameters } = state
  return {
    index, name, kind, up, mtu, ...address !== undefined && { address }, ...master !== undefined && { master }, ...alias !== undefined && { alias }, parameters,
  }
}

// ── commands ──

/** What errors call a link. */
export const objectOf = (name: string): string => `link ${name}`

/** The indexes of the links that a command names. */
async function resolve(route: RouteClient, names: readonly unknown[], told: Omit<RouteCommand<'link'>, 'header'>, options?: CallOptions): Promise<IndexOf> {
  const wanted = [...new Set(names.filter(name => typeof name === 'string'))]
  const found = new Map(await Promise.all(wanted.map(async name => [name, await indexOf(route, name, told, options)] as const)))
  return name => found.get(name)!
}

/** What is sent as a link's kind and parameters. */
function info({ kind, parameters }: Pick<Link, 'kind' | 'parameters'>, indexes: IndexOf, only?: readonly string[]): LinkAttributes['linkinfo'] {
  if (!isKind(kind)) throw new TypeError(`${kind ?? 'a network card'} is no kind that can be made`)
  const data = writeParameters(kind, parameters, indexes, only)
  return { kind, ...Object.keys(kinds[kind].fields).length > 0 && { data } }
}

/** Makes a link; it is down, and no port, and has no alias. Rejects with a NetlinkError that tells the causes of `EEXIST` apart. */
export async function makeLink(route: RouteClient, link: Link, options?: CallOptions): Promise<void> {
  const { name, kind, mtu, address, parameters, index = 0 } = link
  const told = { kind: 'link', deed: 'add', object: objectOf(name), attributes: { linkinfo: { kind } } } as const
  const indexes = await resolve(route, [parameters.dev], told, options)
  const command: RouteCommand<'link'> = {
    ...told,
    header: { ...ANY, index },
    attributes: {
      ifname: name, ...mtu !== undefined && { mtu }, ...address !== undefined && { address },
      linkinfo: info(link, indexes)!,
    },
  }
  const [outcome] = await route.run([command], options)
  if (outcome?.status !== 'rejected') return
  const why = outcome.reason instanceof NetlinkError && outcome.reason.code === 'EEXIST' ? whyExists(link, await listLinks(route, options)) : undefined
  throw explained(outcome.reason, command, why)
}

/** Changes parameters in place; a tunnel's MTU goes along, as the kernel finds another one otherwise. */
export async function changeParameters(route: RouteClient, link: Link, changed: readonly string[], options?: CallOptions): Promise<void> {
  const { name, kind, mtu, parameters } = link
  const told = { kind: 'link', deed: 'change', object: objectOf(name), attributes: { linkinfo: { kind } } } as const
  const indexes = await resolve(route, [parameters.dev], told, options)
  const only = isKind(kind) && kinds[kind].changes === 'some' ? changed : undefined
  await perform(route, {
    ...told, header: ANY, attributes: { ifname: name, ...only === undefined && mtu !== undefined && { mtu }, linkinfo: info(link, indexes, only)! },
  }, options)
}

/** Changes settings. */
export async function setLink(route: RouteClient, name: string, { mtu, address, alias, master, up }: Settings, options?: CallOptions): Promise<void> {
  const told = { kind: 'link', deed: 'change', object: objectOf(name), attributes: {} } as const
  const indexes = await resolve(route, [master], told, options)
  await perform(route, {
    ...told,
    header: { ...ANY, ...up !== undefined && { flags: { up }, change: { up: true } } },
    attributes: {
      ifname: name, ...mtu !== undefined && { mtu }, ...address !== undefined && { address }, ...alias !== undefined && { ifalias: alias },
      ...master !== undefined && { master: master === null ? 0 : indexes(master) },
    },
  }, options)
}

/** Removes a link and sees to it that it is gone: of its own links the kernel says OK, and keeps them. Rejects with NetlinkError. */
export async function removeLink(route: RouteClient, name: string, options?: CallOptions): Promise<void> {
  const asked = { kind: 'link', header: ANY, attributes: { ifname: name }, object: objectOf(name) } as const
  const commands = [{ ...asked, deed: 'remove' }, { ...asked, deed: 'get' }] as unknown as RouteCommand[]
  const [outcome, still] = await route.run(commands, options)
  if (outcome?.status === 'rejected') throw explained(outcome.reason, commands[0]!)
  if (still?.status !== 'fulfilled') return
  throw refusal(EOPNOTSUPP, { ...asked, deed: 'remove' }, `the kernel said OK and kept it, for as long as the module of its kind is loaded${
    FALLBACKS.has(name) ? ': it made it by itself, for packets that belong to no other link' : ''}; set it down instead`)
}

// ── why not ──

/** Where the kernel has one external link for the two kinds. */
const slotOf = (kind: string | undefined): string | undefined => kind === 'ip6gretap' ? 'ip6gre' : kind
const isExternal = ({ kind, parameters }: Link): boolean => kind !== 'vxlan' && parameters.external === true

/** Whether the kernel could not tell two links apart, names aside. */
function sameIdentity(a: Link, b: Link): boolean {
  if (isExternal(a) || isExternal(b)) return isExternal(a) && isExternal(b) && slotOf(a.kind) === slotOf(b.kind)
  if (a.kind !== b.kind || !isKind(a.kind)) return false
  const { identity } = kinds[a.kind]
  const keyOf = ({ parameters }: Link, key: string): unknown => key !== 'key' ? parameters[key]
    : typeof parameters.key === 'object' ? (parameters.key as { in?: number }).in : parameters.key
  return identity.length > 0 && identity.every(key => keyOf(a, key) === keyOf(b, key))
}

/** Another link that stands in the way of this one, in words. */
export function rivalOf(link: Link, links: readonly Link[]): string | undefined {
  const rival = links.find(other => other.name !== link.name && sameIdentity(link, other))
  if (!rival) return undefined
  if (FALLBACKS.has(rival.name)) {
    return `without local and remote it would have the parameters of ${rival.name}, the kernel's own link for packets that belong to no other: say one of them,`
      + ` or use ${rival.name} itself`
  }
  if (link.kind === 'vxlan') return `link ${rival.name} has the same id and port`
  if (isExternal(link)) return `link ${rival.name} is external, and there can be one of ${rival.kind === link.kind ? 'a kind' : 'the two kinds'}`
  return `link ${rival.name} has the same local, remote and device${link.kind?.includes('gre') ? ', and the same key' : ''}`
}

/** Which of the causes of `EEXIST` it was. */
export function whyExists(link: Link, states: readonly LinkState[]): string | undefined {
  const namesake = states.find(({ name }) => name === link.name)
  if (namesake && FALLBACKS.has(link.name)) {
    return `the kernel makes ${link.name} by itself when it loads the module of its kind: it is there already, and can be set up but not added`
  }
  if (namesake) {
    const another = namesake.kind === link.kind ? '' : ` (of kind ${namesake.kind ?? 'none'})`
    return `a link of this name is there already${another}; change it, or remove it first`
  }
  const other = states.find(({ altNames }) => altNames.includes(link.name))
  if (other) return `link ${other.name} goes by this name too`
  return rivalOf(link, states.map(linkOf))
}
