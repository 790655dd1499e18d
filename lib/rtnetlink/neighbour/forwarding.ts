/** Forwarding entries: the bridge's port, or tunnel's end, behind which a MAC address is. Pure. */

import { address, SpecError } from '../../base/check.js'
import { among, fieldSet, inRange, type Values } from '../../base/field.js'
import type { Entry, RouteCommand, Verb } from '../client.js'
import { entryFields, hexBytes } from '../fields.js'
import type { LinkNames } from '../link-names.js'
import type { LinkAttributes } from '../wire/link.js'

/** The fields that identify a forwarding entry of the host. */
export interface ForwardingId {
  /** `02:00:5e:10:00:01`; at a vxlan link 00:00:00:00:00:00 stands for all unknown addresses. */
  readonly lladdr: string
  /** A bridge's port, a tunnel, the bridge itself, or any other link. */
  readonly link: string
  /** The owner: the link itself, or the bridge whose port it is. @defaultValue `self` */
  readonly at?: 'self' | 'master'
  /**
   * The VLAN, of a bridge that filters VLANs, 1 to 4094. Without one, entries are added for all
   * VLANs of the port.
   */
  readonly vlan?: number
  /** The tunnel's other end. */
  readonly dst?: string
  /** The UDP port of the other end. @defaultValue the tunnel's own */
  readonly port?: number
  /** The VNI at the other end. @defaultValue the tunnel's own */
  readonly vni?: number
  /** The VNI of the entry, of a tunnel for all VNIs. */
  readonly srcVni?: number
  /** The link on the way to the other end. */
  readonly via?: string
}

/** A forwarding entry that should exist. */
export interface ForwardingSpec extends ForwardingId {
  /**
   * `permanent` at a bridge is an address of this host; `static` stays; `dynamic` may be forgotten.
   * @defaultValue `permanent`
   */
  readonly state?: 'permanent' | 'static' | 'dynamic'
  /** Of a bridge: it does not move to another port automatically. */
  readonly sticky?: boolean
}

/** A forwarding entry that exists. */
export interface ForwardingState extends ForwardingId {
  readonly at: 'self' | 'master'
  readonly state: 'permanent' | 'static' | 'dynamic' | 'stale'
  readonly sticky: boolean
  /** Set by a program that learnt it elsewhere. */
  readonly external: boolean
  /** The bridge that has it. */
  readonly bridge?: string
  /** The tunnel's own port and VNI, for entries without another port or VNI. */
  readonly tunnel?: { readonly port: number; readonly vni: number }
}

/** An entry in its normal form. */
export type Forwarding = ForwardingId & Pick<ForwardingState, 'at' | 'state'>
  & Partial<Pick<ForwardingState, 'sticky' | 'external'>>

// ── fields ──

type Wire = Entry<'neighbour'>
const { attribute, link, flag } = entryFields<'neighbour'>()

/** The state bits that `bridge` sends: all but dynamic entries need no ARP. */
const BITS = {
  permanent: { noarp: true, permanent: true }, static: { noarp: true, reachable: true }, dynamic: { reachable: true },
}

function checkEnd(path: string, value: unknown): string {
  const text = address(path, value)
  if (text === '0.0.0.0' || text === '::') throw new SpecError(path, `${text} is the unspecified address`)
  return text
}

/** The fields of an entry, in the order of `bridge fdb add`. */
export const forwardingFields = fieldSet<ForwardingSpec, Wire, LinkNames>()('forwarding entry', {
  lladdr: attribute('lladdr', hexBytes('5', 'an Ethernet address'), {
    read: ({ attributes: { lladdr = '' } }) => lladdr, words: String,
  }),
  link: link('header', 'index'),
  dst: attribute('dst', checkEnd, { word: 'dst' }),
  at: {
    otherwise: 'self',
    explicit: true,
    check: among(['self', 'master']),
    write({ header }, value) { header.flags = { ...header.flags, [value as string]: true } },
    read: ({ header, attributes: { master } }) => master === undefined || master === header.index ? 'self' : 'master',
    words: String,
  },
  vlan: attribute('vlan', inRange(1, 4094), { word: 'vlan' }),
  port: attribute('port', inRange(1, 65535), { word: 'port' }),
  vni: attribute('vni', inRange(0, 0xffffff), { word: 'vni' }),
  srcVni: attribute('srcVni', inRange(0, 0xffffff), { word: 'src_vni' }),
  via: link('attributes', 'ifindex', { word: 'via' }),
  state: {
    otherwise: 'permanent',
    check: among(['permanent', 'static', 'dynamic']),
    write({ header }, value) { header.state = BITS[value as keyof typeof BITS] },
    read: ({ header: { state } }) =>
      state.permanent ? 'permanent' : state.noarp ? 'static' : state.stale ? 'stale' : 'dynamic',
    words: String,
  },
  sticky: flag('header', 'sticky'),
}, { stateOnly: ['external', 'bridge', 'tunnel'], verify })

function verify({ at, vlan, dst, port, vni, srcVni, via, state, sticky }: Values): void {
  if (dst === undefined && (port ?? vni ?? srcVni ?? via) !== undefined) {
    throw new SpecError('dst', 'is required with port, vni, srcVni and via')
  }
  if (dst !== undefined && at === 'master') {
    throw new SpecError('at', 'must be self with a destination, which belongs to the tunnel')
  }
  if (dst !== undefined && vlan !== undefined) {
    throw new SpecError('vlan', 'the kernel drops it from entries with a destination')
  }
  if (sticky === true && (at === 'self' || state === 'permanent')) {
    throw new SpecError('sticky', 'needs at: master, and a state that is not permanent')
  }
}

const ID: readonly string[] = ['lladdr', 'link', 'at', 'vlan', 'dst', 'port', 'vni', 'srcVni', 'via']
const idOf = (object: object): Values =>
  Object.fromEntries(Object.entries(object).filter(([name]) => ID.includes(name)))

/** An id in its normal form. @throws SpecError naming the field below `path` */
export function normalizeForwardingId(
  given: ForwardingId, path = '',
): ForwardingId & { readonly at: 'self' | 'master' } {
  const normal = { at: 'self', ...forwardingFields.pick({ lladdr: null, link: null, ...idOf(given) }, path) } as const
  forwardingFields.verify(normal, path)
  return normal as ForwardingId & { readonly at: 'self' | 'master' }
}

/** A spec in its normal form. @throws SpecError naming the field below `path` */
export function normalizeForwarding(spec: ForwardingSpec, path = ''): Forwarding {
  forwardingFields.checkNames(spec, path)
  normalizeForwardingId(spec, path)
  return forwardingFields.normalize(spec, path) as Forwarding
}

// ── identity ──

/** Whether entries for this address can have many destinations. */
const many = ({ lladdr, dst }: ForwardingId): boolean =>
  dst !== undefined && (lladdr === '00:00:00:00:00:00' || (parseInt(lladdr, 16) & 1) === 1)

/** The identity that the specs of a plan must not have twice. */
export const keyOfForwarding = (entry: ForwardingId): string => {
  const { lladdr, link, at = 'self', vlan, srcVni, dst, port, vni, via } = entry
  return [lladdr, link, at, vlan, srcVni, ...many(entry) ? [dst, port, vni, via] : []].join(' ')
}

/** Whether an entry has the identity: a bridge has one for each address, whatever the port. */
export function isForwarding(id: ForwardingId, state: ForwardingState, bridge: string | undefined): boolean {
  if (id.lladdr !== state.lladdr || id.vlan !== state.vlan || (id.srcVni ?? 0) !== (state.srcVni ?? 0)) return false
  if (id.at === 'master') return state.bridge === undefined ? false : state.bridge === bridge
  return state.at === 'self' && id.link === state.link && (!many(id) || sameEnd(id, state))
}

const sameEnd = (wanted: ForwardingId, { dst, port, vni, via, tunnel }: ForwardingState): boolean =>
  wanted.dst === dst && wanted.via === via
  && (wanted.port ?? tunnel?.port) === (port ?? tunnel?.port) && (wanted.vni ?? tunnel?.vni) === (vni ?? tunnel?.vni)

/** Whether an existing entry is the wanted one. */
export const sameForwarding = (wanted: Forwarding, actual: ForwardingState): boolean =>
  wanted.link === actual.link && sameEnd(wanted, actual)
  && (wanted.state === actual.state || (wanted.state === 'dynamic' && (actual.state === 'stale' || actual.external)))
  && (wanted.sticky === undefined || wanted.sticky === actual.sticky)

/** `02:00:5e:10:00:01 dev vxlan42 dst 192.0.2.1 self` */
export const nameOfForwarding = (id: ForwardingId): string => forwardingFields.words({ at: 'self', ...idOf(id) })

/** The verb that sets an entry: one with many destinations takes further ones; none is replaced. */
export const verbFor = (entry: ForwardingId, verb: 'add' | 'replace'): 'add' | 'replace' | 'append' =>
  many(entry) ? 'append' : verb

// ── wire ──

/** The command that does something with an entry. */
export function forwardingCommand(verb: Verb, entry: Forwarding, names: LinkNames): RouteCommand<'neighbour'> {
  const wire: Wire = {
    header: {
      family: 'bridge', index: 0, state: {}, flags: entry.external === true ? { extLearned: true } : {}, type: 'unspec',
    },
    attributes: {},
  }
  return {
    kind: 'neighbour', verb, object: `forwarding entry ${nameOfForwarding(entry)}`,
    ...forwardingFields.write(wire, entry, names),
  }
}

/** An entry that the kernel describes. */
export function readForwarding(
  entry: Wire, names: LinkNames, links: ReadonlyMap<number, LinkAttributes>,
): ForwardingState {
  const { header, attributes: { master } } = entry
  const info = links.get(header.index)?.linkinfo
  const tunnel = info?.kind === 'vxlan' ? info.data as { id?: number; port?: number } | undefined : undefined
  return {
    ...forwardingFields.read(entry, names) as ForwardingState,
    external: header.flags.extLearned ?? false,
    ...master !== undefined && { bridge: names.nameOf(master) },
    ...tunnel && { tunnel: { port: tunnel.port ?? 0, vni: tunnel.id ?? 0 } },
  }
}

/** A state in a form that can be set again. */
export const settableForwarding = (state: ForwardingState): Forwarding => ({
  ...forwardingFields.existing(state) as Forwarding, external: state.external,
  ...state.state === 'stale' && { state: 'dynamic' },
})
