/** Forwarding databases: behind which port of a bridge, or at which end of a tunnel, a link-layer address is. Pure. */

import { address, integer, interfaceName, oneOf } from '../../base/check.js'
import type { Deed, Entry, RouteCommand } from '../client.js'
import { nameOf } from '../links-by-name.js'
import { fields } from './spec.js'
import type { LinkAttributes } from '../wire/tables.js'

/** What tells a forwarding entry from the others of the host. */
export interface ForwardingId {
  /** `02:00:5e:10:00:01`; at a vxlan link 00:00:00:00:00:00 is all that are not known. */
  readonly lladdr: string
  /** A bridge's port, a tunnel, the bridge itself, or any other link. */
  readonly link: string
  /** Whose entry it is: the link's own, or that of the bridge that the link is a port of. @defaultValue `self` */
  readonly at?: 'self' | 'master'
  /** Of a bridge that filters VLANs, 1 to 4094. Without one, entries are made for all VLANs of the port. */
  readonly vlan?: number
  /** The tunnel's other end. */
  readonly dst?: string
  /** The UDP port there. @defaultValue the tunnel's own */
  readonly port?: number
  /** The VNI there. @defaultValue the tunnel's own */
  readonly vni?: number
  /** Of a tunnel for all VNIs, the one that the entry is for. */
  readonly srcVni?: number
  /** The link on the way to the other end. */
  readonly via?: string
}

/** A forwarding entry that should be there. */
export interface ForwardingSpec extends ForwardingId {
  /** `permanent` at a bridge is an address of this host; `static` stays; `dynamic` may be forgotten. @defaultValue `permanent` */
  readonly state?: 'permanent' | 'static' | 'dynamic'
  /** Of a bridge: it does not move to another port by itself. */
  readonly sticky?: boolean
}

/** A forwarding entry that is there. */
export interface ForwardingState extends ForwardingId {
  readonly at: 'self' | 'master'
  readonly state: 'permanent' | 'static' | 'dynamic' | 'stale'
  readonly sticky: boolean
  /** Set by a program that has learnt it elsewhere. */
  readonly external: boolean
  /** The bridge that has it. */
  readonly bridge?: string
  /** Of a tunnel: its own port and VNI, which entries have that do not say another. */
  readonly tunnel?: { readonly port: number; readonly vni: number }
}

/** An entry in its normal form. */
export interface Forwarding extends ForwardingId {
  readonly at: 'self' | 'master'
  readonly state: ForwardingState['state']
  readonly sticky?: boolean
  readonly external?: boolean
}

const FIELDS = ['lladdr', 'link', 'at', 'vlan', 'dst', 'port', 'vni', 'srcVni', 'via', 'state', 'sticky']
const STATE_FIELDS = ['external', 'bridge', 'tunnel']

/** Whether entries for this address can have many destinations. */
const many = ({ lladdr, dst }: ForwardingId): boolean => dst !== undefined && (lladdr === '00:00:00:00:00:00' || (parseInt(lladdr, 16) & 1) === 1)

/** What identifies an entry, in its normal form. @throws TypeError, RangeError naming the field below `path` */
export function normalizeForwardingId(given: ForwardingId, path = ''): ForwardingId & { readonly at: 'self' | 'master' } {
  const { lladdr, link, at = 'self', vlan, dst, port, vni, srcVni, via } = given
  if (typeof lladdr !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(lladdr)) {
    throw new RangeError(`${path}lladdr: ${JSON.stringify(lladdr)} is not an address of Ethernet such as 02:00:5e:10:00:01`)
  }
  oneOf(`${path}at`, at, ['self', 'master'])
  if (dst === undefined && (port ?? vni ?? srcVni ?? via) !== undefined) throw new TypeError(`${path}dst: port, vni, srcVni, via belong to it`)
  if (dst !== undefined && at === 'master') throw new TypeError(`${path}at: a destination is the tunnel's own: self`)
  if (dst !== undefined && vlan !== undefined) throw new TypeError(`${path}vlan: the kernel forgets it where there is a destination`)
  const end = dst === undefined ? undefined : address(`${path}dst`, dst)
  if (end === '0.0.0.0' || end === '::') throw new RangeError(`${path}dst: ${end} is the unspecified address`)
  return {
    lladdr: lladdr.toLowerCase(),
    link: interfaceName(`${path}link`, link),
    at,
    ...vlan !== undefined && { vlan: integer(`${path}vlan`, vlan, 1, 4094) },
    ...end !== undefined && { dst: end },
    ...port !== undefined && { port: integer(`${path}port`, port, 1, 65535) },
    ...vni !== undefined && { vni: integer(`${path}vni`, vni, 0, 0xffffff) },
    ...srcVni !== undefined && { srcVni: integer(`${path}srcVni`, srcVni, 0, 0xffffff) },
    ...via !== undefined && { via: interfaceName(`${path}via`, via) },
  }
}

/** A spec in its normal form. @throws TypeError, RangeError naming the field below `path` */
export function normalizeForwarding(spec: ForwardingSpec, path = ''): Forwarding {
  fields(path, spec, FIELDS, STATE_FIELDS)
  const who = normalizeForwardingId(spec, path)
  const { state = 'permanent', sticky } = spec
  oneOf(`${path}state`, state, ['permanent', 'static', 'dynamic'])
  if (sticky && (who.at === 'self' || state === 'permanent')) throw new TypeError(`${path}sticky: goes with at: master, and not with permanent`)
  return { ...who, state, ...sticky !== undefined && { sticky } }
}

/** What the specs of a plan must not have twice. */
export const keyOfForwarding = (entry: ForwardingId): string => {
  const { lladdr, link, at = 'self', vlan, srcVni, dst, port, vni, via } = entry
  return [lladdr, link, at, vlan, srcVni, ...many(entry) ? [dst, port, vni, via] : []].join(' ')
}

/** Whether an entry that is there is the one that is meant: a bridge has one for each address, whatever the port. */
export function isForwarding(meant: ForwardingId, state: ForwardingState, bridge: string | undefined): boolean {
  if (meant.lladdr !== state.lladdr || meant.vlan !== state.vlan || (meant.srcVni ?? 0) !== (state.srcVni ?? 0)) return false
  if (meant.at === 'master') return state.bridge === undefined ? false : state.bridge === bridge
  return state.at === 'self' && meant.link === state.link && (!many(meant) || sameEnd(meant, state))
}

const sameEnd = (meant: ForwardingId, { dst, port, vni, via, tunnel }: ForwardingState): boolean => meant.dst === dst && meant.via === via
  && (meant.port ?? tunnel?.port) === (port ?? tunnel?.port) && (meant.vni ?? tunnel?.vni) === (vni ?? tunnel?.vni)

/** The bridge that a link is a port of, as far as entries show; a port's own address is always one. */
export const bridgeOf = (link: string, actual: readonly ForwardingState[]): string | undefined =>
  actual.find(state => state.link === link && state.bridge)?.bridge

/** Whether an entry is as wanted. */
export const sameForwarding = (wanted: Forwarding, actual: ForwardingState): boolean => wanted.link === actual.link && sameEnd(wanted, actual)
  && (wanted.state === actual.state || (wanted.state === 'dynamic' && (actual.state === 'stale' || actual.external)))
  && (wanted.sticky === undefined || wanted.sticky === actual.sticky)

/** `02:00:5e:10:00:01 dev vxlan42 dst 192.0.2.1` */
export function nameOfForwarding({ lladdr, link, at = 'self', vlan, dst, port, vni, srcVni, via }: ForwardingId): string {
  return [
    `${lladdr} dev ${link}`, dst !== undefined && `dst ${dst}`, at, vlan !== undefined && `vlan ${vlan}`, port !== undefined && `port ${port}`,
    vni !== undefined && `vni ${vni}`, srcVni !== undefined && `src_vni ${srcVni}`, via !== undefined && `via ${via}`,
  ].filter(Boolean).join(' ')
}

/** What follows `bridge fdb add`. */
export const notationOfForwarding = (entry: Forwarding): string =>
  [nameOfForwarding(entry), entry.state !== 'permanent' && entry.state, entry.sticky && 'sticky'].filter(Boolean).join(' ')

/** How an entry is set: of one with many destinations each is appended, and replacing is not possible. */
export const deedFor = (entry: ForwardingId, deed: 'add' | 'replace'): Deed => many(entry) ? 'append' : deed

/** As `bridge` sends them: all but the dynamic need no asking. */
const BITS = { permanent: { noarp: true, permanent: true }, static: { noarp: true, reachable: true }, dynamic: { reachable: true }, stale: { reachable: true } }

/** The command that does something with an entry, whose links have these indices. */
export function forwardingCommand(deed: Deed, entry: Forwarding, indexOf: (link: string) => number = () => 0): RouteCommand<'neighbour'> {
  const { lladdr, link, at, vlan, dst, port, vni, srcVni, via, state, sticky, external } = entry
  return {
    kind: 'neighbour',
    deed,
    object: `forwarding entry ${nameOfForwarding(entry)}`,
    header: {
      family: 'bridge', index: indexOf(link), state: BITS[state], type: 'unspec',
      flags: { [at]: true, ...sticky && { sticky: true }, ...external && { extLearned: true } },
    },
    attributes: {
      lladdr,
      ...dst !== undefined && { dst },
      ...vlan !== undefined && { vlan },
      ...port !== undefined && { port },
      ...vni !== undefined && { vni },
      ...srcVni !== undefined && { srcVni },
      ...via !== undefined && { ifindex: indexOf(via) },
    },
  }
}

/** What the kernel says of an entry. */
export function readForwarding({ header, attributes }: Entry<'neighbour'>, links: ReadonlyMap<number, LinkAttributes>): ForwardingState {
  const { lladdr = '', dst, vlan, port, vni, srcVni, ifindex, master } = attributes
  const { flags, state: bits } = header
  const link = nameOf(links, header.index)
  const bridge = master === undefined ? undefined : nameOf(links, master)
  const info = links.get(header.index)?.linkinfo
  const data = info?.kind === 'vxlan' ? info.data as { id?: number; port?: number } | undefined : undefined
  return {
    lladdr,
    link,
    at: bridge === undefined || bridge === link ? 'self' : 'master',
    state: bits.permanent ? 'permanent' : bits.noarp ? 'static' : bits.stale ? 'stale' : 'dynamic',
    ...vlan !== undefined && { vlan },
    ...dst !== undefined && { dst },
    ...port !== undefined && { port },
    ...vni !== undefined && { vni },
    ...srcVni !== undefined && { srcVni },
    ...ifindex !== undefined && { via: nameOf(links, ifindex) },
    sticky: flags.sticky ?? false,
    external: flags.extLearned ?? false,
    ...bridge !== undefined && { bridge },
    ...data && { tunnel: { port: data.port ?? 0, vni: data.id ?? 0 } },
  }
}

/** A state as what can be set again. */
export function settableForwarding({ bridge: _, tunnel: __, ...entry }: ForwardingState): Forwarding { return entry }
