/** Neighbours: the link-layer addresses of addresses. Pure. */

import { SpecError } from '../../base/check.js'
import { familyOf, type Family } from '../../base/address.js'
import { after, among, fieldSet, inRange, type Values } from '../../base/field.js'
import { unicast } from '../../base/prefix.js'
import type { Entry, RouteCommand, Verb } from '../client.js'
import { entryFields, hexBytes, unlessZero } from '../fields.js'
import type { LinkNames } from '../link-names.js'

/** The kernel's certainty about a neighbour. `none` is an entry that nobody has asked for. */
export type Reachability =
  'permanent' | 'noarp' | 'reachable' | 'stale' | 'delay' | 'probe' | 'incomplete' | 'failed' | 'none'

/** The fields that identify a neighbour of the host. */
export interface NeighbourId {
  readonly address: string
  /** The link that it is on. */
  readonly link: string
  /** Whether the host answers for this address. @defaultValue false */
  readonly proxy?: boolean
}

/** A neighbour with a link-layer address; or an address for which the host answers (`proxy`). */
export type IpNeighbourSpec = Pick<NeighbourId, 'address' | 'link'> & ({
  readonly proxy?: false
  /** `02:00:5e:10:00:01` */
  readonly lladdr: string
  /** `permanent` stays, `noarp` is never probed, others may go. @defaultValue `permanent` */
  readonly state?: 'permanent' | 'noarp' | 'reachable' | 'stale'
  /** IPv6 only: it is a router. */
  readonly router?: boolean
  /** The program that set it, 0 (none) to 255, numbered as for routes. */
  readonly protocol?: number
} | {
  readonly proxy: true
  readonly lladdr?: undefined
  readonly state?: 'none'
  readonly router?: false
  readonly protocol?: number
})

/** A neighbour that the kernel knows, or is looking for. */
export interface IpNeighbourState extends NeighbourId {
  readonly family: Family
  /** `*` for a proxy on all links. */
  readonly link: string
  readonly proxy: boolean
  /** Undefined while it is unknown. */
  readonly lladdr?: string
  readonly state: Reachability
  readonly router: boolean
  readonly protocol?: number
  /** Set by a program that learnt it elsewhere. */
  readonly external: boolean
}

/** A neighbour in its normal form. */
export type IpNeighbour = Pick<IpNeighbourState, 'address' | 'link' | 'proxy' | 'lladdr' | 'state'>
  & Partial<Pick<IpNeighbourState, 'router' | 'protocol' | 'external'>>

// ── fields ──

type Wire = Entry<'neighbour'>
const { attribute, link, flag } = entryFields<'neighbour'>()

const KNOWN: readonly Reachability[] = [
  'permanent', 'noarp', 'reachable', 'stale', 'delay', 'probe', 'incomplete', 'failed',
]

/** States that pass into one another by themselves. */
const passing = (state: unknown): boolean =>
  state === 'reachable' || state === 'stale' || state === 'delay' || state === 'probe'

/** The fields of a neighbour, in the order of `ip neigh add`. */
export const neighbourFields = fieldSet<IpNeighbourSpec, Wire, LinkNames>()('neighbour', {
  proxy: flag('header', 'proxy', { otherwise: false }),
  address: {
    check: unicast,
    write({ header, attributes }, value) {
      header.family = familyOf(value as string)
      attributes.dst = value as string
    },
    read: ({ attributes: { dst = '' } }) => dst,
    words: String,
  },
  lladdr: attribute('lladdr', hexBytes('0,31', 'a link-layer address'), { word: 'lladdr' }),
  link: link('header', 'index', { read: ({ header: { index } }, { nameOf }) => index === 0 ? '*' : nameOf(index) }),
  state: {
    otherwise: ({ proxy }: Values) => proxy === true ? 'none' : 'permanent',
    check: among(['permanent', 'noarp', 'reachable', 'stale', 'none']),
    write({ header }, value) { if (value !== 'none') header.state = { [value as string]: true } },
    read: ({ header }) => KNOWN.find(name => (header.state as Partial<Record<Reachability, boolean>>)[name]) ?? 'none',
    words: after('nud'),
    same: (wanted, actual) => wanted === 'none' || wanted === actual || (passing(wanted) && passing(actual)),
  },
  router: flag('header', 'router'),
  protocol: unlessZero(attribute('protocol', inRange(0, 255), {
    words: value => value === 0 ? '' : after('protocol')(value),
  })),
}, {
  stateOnly: ['family', 'external'],
  verify({ proxy, lladdr, state, router, address }) {
    if (proxy === true && (lladdr !== undefined || router === true || state !== 'none')) {
      throw new SpecError(
        'proxy', 'goes without lladdr, state and router: the host answers with its own link-layer address, for ever',
      )
    }
    if (proxy !== true && lladdr === undefined) throw new SpecError('lladdr', 'is required')
    if (proxy !== true && state === 'none') {
      throw new SpecError('state', 'none is not one of permanent, noarp, reachable, stale')
    }
    if (router === true && !(address as string).includes(':')) {
      throw new SpecError('router', 'only IPv6 neighbours say so')
    }
  },
})

/** An id in its normal form. @throws SpecError naming the field below `path` */
export const normalizeNeighbourId = (given: NeighbourId, path = ''): Required<NeighbourId> => {
  const { address = null, link = null, proxy = false } = given as Partial<NeighbourId>
  return { proxy, ...neighbourFields.pick({ address, link }, path) } as Required<NeighbourId>
}

/** A spec in its normal form. @throws SpecError naming the field below `path` */
export function normalizeNeighbour(spec: IpNeighbourSpec, path = ''): IpNeighbour {
  neighbourFields.checkNames(spec, path)
  normalizeNeighbourId(spec, path)
  return neighbourFields.normalize(spec, path) as IpNeighbour
}

// ── keys and words ──

/** The kernel's identity of a neighbour. */
export const keyOfNeighbour = ({ address, link, proxy = false }: NeighbourId): string =>
  `${proxy ? 'proxy ' : ''}${address} ${link}`

/** `10.0.0.1 dev eth0` */
export const nameOfNeighbour = ({ address, link, proxy }: NeighbourId): string =>
  `${proxy ? 'proxy ' : ''}${address} dev ${link}`

// ── wire ──

const ID = ['address', 'link', 'proxy']

/** The command that does something with a neighbour. */
export function neighbourCommand(verb: Verb, neighbour: IpNeighbour, names: LinkNames): RouteCommand<'neighbour'> {
  const entry: Wire = {
    header: {
      family: 'unspec', index: 0, state: {}, flags: neighbour.external === true ? { extLearned: true } : {},
      type: 'unspec',
    },
    attributes: {},
  }
  return {
    kind: 'neighbour', verb, object: `neighbour ${nameOfNeighbour(neighbour)}`,
    ...neighbourFields.write(entry, neighbour, names, verb === 'remove' ? ID : undefined),
  }
}

/** A neighbour that the kernel describes. */
export const readNeighbour = (entry: Wire, names: LinkNames): IpNeighbourState => ({
  ...neighbourFields.read(entry, names) as IpNeighbourState,
  family: entry.header.family as Family,
  external: entry.header.flags.extLearned ?? false,
})

/** A state in a form that can be set again; undefined while the kernel is looking for it. */
export function settableNeighbour(state: IpNeighbourState): IpNeighbour | undefined {
  if (!state.proxy && state.lladdr === undefined) return undefined
  return {
    ...neighbourFields.existing(state) as IpNeighbour, external: state.external,
    state: state.state === 'delay' || state.state === 'probe' ? 'stale' : state.state,
  }
}
