/** Neighbours: the link-layer addresses of addresses. Pure. */

import { familyOf, type Family } from '../../base/address.js'
import { boolean, integer, interfaceName, oneOf, show } from '../../base/check.js'
import { fieldSet, type Field, type Values } from '../../base/field.js'
import { unicast } from '../../base/prefix.js'
import type { Entry, RouteCommand, Verb } from '../client.js'
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

/**
 * A neighbour with a given link-layer address; or an address for which the host answers (`proxy`).
 */
export type IpNeighbourSpec = Pick<NeighbourId, 'address' | 'link'> & ({
  readonly proxy?: false
  /** `02:00:5e:10:00:01` */
  readonly lladdr: string
  /**
   * `permanent` stays for ever; `noarp` is never probed; the others may be forgotten.
   * @defaultValue `permanent`
   */
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

// ── fields ──

type Wire = Entry<'neighbour'>
type NeighbourField = Field<Wire, LinkNames>

const KNOWN: readonly Reachability[] = [
  'permanent', 'noarp', 'reachable', 'stale', 'delay', 'probe', 'incomplete', 'failed',
]

/** A flag of the header that a spec may leave out. */
const headerFlag = (flag: 'proxy' | 'router', words: (value: unknown) => string): NeighbourField => ({
  check: boolean,
  write({ header }, value) { if (value === true) header.flags = { ...header.flags, [flag]: true } },
  read: ({ header }) => header.flags[flag] ?? false,
  words,
})

/** States that pass into one another by themselves. */
const passing = (state: unknown): boolean =>
  state === 'reachable' || state === 'stale' || state === 'delay' || state === 'probe'

/** The fields of a neighbour, in the order of `ip neigh add`. */
export const neighbourFields = fieldSet<IpNeighbourSpec, Wire, LinkNames>()('neighbour', {
  proxy: { otherwise: false, ...headerFlag('proxy', () => 'proxy') },
  address: {
    check: unicast,
    write({ header, attributes }, value) {
      header.family = familyOf(value as string)
      attributes.dst = value as string
    },
    read: ({ attributes: { dst = '' } }) => dst,
    words: String,
  },
  lladdr: {
    check(path, value) {
      if (typeof value === 'string' && /^[0-9a-f]{2}(:[0-9a-f]{2}){0,31}$/i.test(value)) return value.toLowerCase()
      throw new RangeError(`${path}: ${show(value)} is not a link-layer address such as 02:00:5e:10:00:01`)
    },
    write({ attributes }, value) { attributes.lladdr = value as string },
    read: ({ attributes }) => attributes.lladdr,
    words: value => `lladdr ${value as string}`,
  },
  link: {
    check: interfaceName,
    write({ header }, value, { indexOf }) { header.index = indexOf(value as string) },
    read: ({ header: { index } }, { nameOf }) => index === 0 ? '*' : nameOf(index),
    words: value => `dev ${value as string}`,
  },
  state: {
    otherwise: ({ proxy }: Values) => proxy === true ? 'none' : 'permanent',
    check: (path, value) => oneOf(path, value, ['permanent', 'noarp', 'reachable', 'stale', 'none']),
    write({ header }, value) { if (value !== 'none') header.state = { [value as string]: true } },
    read: ({ header }) => KNOWN.find(name => (header.state as Partial<Record<Reachability, boolean>>)[name]) ?? 'none',
    words: value => `nud ${value as Reachability}`,
    same: (wanted, actual) => wanted === 'none' || wanted === actual || (passing(wanted) && passing(actual)),
  },
  router: headerFlag('router', value => value === true ? 'router' : ''),
  protocol: {
    check: (path, value) => integer(path, value, 0, 255),
    write({ attributes }, value) { if (value !== 0) attributes.protocol = value as number },
    read: ({ attributes: { protocol } }) => protocol === 0 ? undefined : protocol,
    words: value => value === 0 ? '' : `protocol ${value as number}`,
    same: (wanted, actual = 0) => wanted === actual,
  },
}, {
  stateOnly: ['family', 'external'],
  verify({ proxy, lladdr, state, router, address }) {
    if (proxy === true && (lladdr !== undefined || router === true || state !== 'none')) {
      throw new TypeError(
        'proxy: goes without lladdr, state and router: the host answers with its own link-layer address, for ever',
      )
    }
    if (proxy !== true && lladdr === undefined) throw new TypeError('lladdr: is required')
    if (proxy !== true && state === 'none') {
      throw new RangeError('state: none is not one of permanent, noarp, reachable, stale')
    }
    if (router === true && !(address as string).includes(':')) {
      throw new RangeError('router: only IPv6 neighbours say so')
    }
  },
})

/**
 * The fields that identify a neighbour, in their normal form.
 * @throws RangeError naming the field below `path`
 */
export const normalizeNeighbourId = (given: NeighbourId, path = ''): Required<NeighbourId> => {
  const { address = null, link = null, proxy = false } = given as Partial<NeighbourId>
  return { proxy, ...neighbourFields.pick({ address, link }, path) } as Required<NeighbourId>
}

/** A spec in its normal form. @throws TypeError, RangeError naming the field below `path` */
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

/**
 * A state in a form that can be set again;
 * undefined while the kernel is still looking for the neighbour.
 */
export function settableNeighbour(state: IpNeighbourState): IpNeighbour | undefined {
  if (!state.proxy && state.lladdr === undefined) return undefined
  return {
    ...neighbourFields.existing(state) as IpNeighbour, external: state.external,
    state: state.state === 'delay' || state.state === 'probe' ? 'stale' : state.state,
  }
}
