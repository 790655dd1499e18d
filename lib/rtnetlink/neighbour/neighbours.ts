/** Neighbours, and the forwarding databases of bridges and tunnels: listed, changed and planned. */

import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/core.js'
import { among, anyObject, atPath, interfaceName, optionsOf } from '../../base/check.js'
import type { Step } from '../../plan/plan.js'
import { byKey, Resource, type ResourceKind } from '../../plan/resource.js'
import { ANY_NEIGHBOUR, openRtnetlink, RouteClient, type RouteCommand, type Verb } from '../client.js'
import { Entries, type EntryStep } from '../entries.js'
import { refuse, refuseMissing } from '../explain.js'
import { namesOf, NO_LINKS, readLinks, sendNamed, type LinkNames } from '../link-names.js'
import {
  forwardingCommand, forwardingFields, isForwarding, keyOfForwarding, nameOfForwarding, normalizeForwarding,
  normalizeForwardingId, readForwarding, sameForwarding, settableForwarding, verbFor,
  type Forwarding, type ForwardingId, type ForwardingSpec, type ForwardingState,
} from './forwarding.js'
import {
  keyOfNeighbour, nameOfNeighbour, neighbourCommand, neighbourFields, normalizeNeighbour, normalizeNeighbourId,
  readNeighbour, settableNeighbour,
  type IpNeighbour, type IpNeighbourSpec, type IpNeighbourState, type NeighbourId,
} from './spec.js'

/** A neighbour, which has an address, or a forwarding entry, which has none. */
export type NeighbourSpec = IpNeighbourSpec | ForwardingSpec
/** A neighbour or a forwarding entry that exists; a neighbour has an `address`. */
export type NeighbourState = IpNeighbourState | ForwardingState
/** The fields that identify a neighbour or a forwarding entry. */
type Id = NeighbourId | ForwardingId
/** A change: the fields that identify a neighbour or a forwarding entry, and those that change. */
export type NeighbourPatch =
  | NeighbourId & Partial<Omit<IpNeighbourSpec, 'proxy'>>
  | ForwardingId & Partial<ForwardingSpec>

/** Which are listed; all conditions must hold. */
export interface NeighbourFilter {
  readonly link?: string
  /** Neighbours, addresses for which the host answers, or forwarding entries. */
  readonly kind?: 'neighbour' | 'proxy' | 'forwarding'
}

type Entry = IpNeighbour | Forwarding
const isIp = <T extends object>(entry: T): entry is Extract<T, { readonly address: string }> => 'address' in entry

// ── either kind ──

const kindOf = (id: Id): 'neighbour' | 'proxy' | 'forwarding' =>
  !isIp(id) ? 'forwarding' : id.proxy ? 'proxy' : 'neighbour'
const keyOf = (id: Id): string => isIp(id) ? keyOfNeighbour(id) : keyOfForwarding(id)
const nameOf = (id: Id): string => isIp(id) ? nameOfNeighbour(id) : nameOfForwarding(id)
function normalize(spec: NeighbourSpec, path = ''): Entry {
  anyObject(path || 'neighbour', spec)
  return isIp(spec) ? normalizeNeighbour(spec, path) : normalizeForwarding(spec, path)
}
function normalizeId(id: Id, path = ''): Id {
  anyObject(path || 'neighbour', id)
  return isIp(id) ? normalizeNeighbourId(id, path) : normalizeForwardingId(id, path)
}
const settable = (state: NeighbourState): Entry | undefined =>
  isIp(state) ? settableNeighbour(state) : settableForwarding(state)
const commandOf = (verb: Verb, entry: Entry, names: LinkNames): RouteCommand<'neighbour'> =>
  isIp(entry) ? neighbourCommand(verb, entry, names) : forwardingCommand(verb, entry, names)

/** The command that removes the object with an id. */
const entryOf = (id: Id): Entry =>
  isIp(id) ? { proxy: false, state: 'none', ...id } : { at: 'self', state: 'permanent', ...id }

/** The verb that sets an entry. */
const setting = (verb: 'add' | 'replace', entry: Entry): 'add' | 'replace' | 'append' =>
  isIp(entry) ? verb : verbFor(entry, verb)

const lineOf = (verb: 'add' | 'replace' | 'append' | 'del', entry: Entry): string => isIp(entry)
  ? `ip neigh ${verb} ${verb === 'del' ? nameOfNeighbour(entry) : neighbourFields.words(entry)}`
  : `bridge fdb ${verb} ${verb === 'del' ? nameOfForwarding(entry) : forwardingFields.words(entry)}`

const same = (wanted: Entry, actual: NeighbourState): boolean => isIp(wanted)
  ? isIp(actual) && neighbourFields.differences(wanted, actual).length === 0
  : !isIp(actual) && sameForwarding(wanted, actual)

/** The neighbours and forwarding entries of a host, by what identifies them. */
class Table {
  readonly #neighbours = new Map<string, IpNeighbourState>()
  /** Forwarding entries by MAC address. */
  readonly #forwarding = new Map<string, ForwardingState[]>()
  /** The bridges of ports, as far as entries show them; a port's own address always has one. */
  readonly #bridges = new Map<string, string>()

  constructor(states: readonly NeighbourState[]) {
    for (const state of states) {
      if (isIp(state)) {
        this.#neighbours.set(keyOfNeighbour(state), state)
        continue
      }
      const same = this.#forwarding.get(state.lladdr)
      if (same) same.push(state)
      else this.#forwarding.set(state.lladdr, [state])
      if (state.bridge !== undefined) this.#bridges.set(state.link, state.bridge)
    }
  }

  /** The object with this id. @throws naming the field */
  find(id: Id): NeighbourState | undefined {
    const normal = normalizeId(id)
    if (isIp(normal)) return this.#neighbours.get(keyOfNeighbour(normal))
    const bridge = this.#bridges.get(normal.link)
    return this.#forwarding.get(normal.lladdr)?.find(state => isForwarding(normal, state, bridge))
  }
}

// ── commands ──

const LISTINGS = {
  neighbour:  ANY_NEIGHBOUR,
  proxy:      { ...ANY_NEIGHBOUR, flags: { proxy: true } },
  forwarding: { ...ANY_NEIGHBOUR, family: 'bridge' },
} as const

async function listNeighbours(
  client: RouteClient, kind: NeighbourFilter['kind'], options?: CallOptions,
): Promise<NeighbourState[]> {
  const links = await readLinks(client, options)
  const names = namesOf(links)
  const headers = kind === undefined ? Object.values(LISTINGS) : [LISTINGS[kind]]
  const lists = await Promise.all(headers.map(header => client.list('neighbour', header, {}, options)))
  return lists.flat().flatMap((entry): NeighbourState[] => {
    const { family } = entry.header
    if (family === 'bridge') return [readForwarding(entry, names, links)]
    return family === 'inet' || family === 'inet6' ? [readNeighbour(entry, names)] : []
  })
}

/** Sends a command for each entry, in one datagram. Rejects with NetlinkError. */
const sendNeighbours = (
  client: RouteClient, verb: 'add' | 'replace' | 'remove', entries: readonly Entry[], options?: CallOptions,
): Promise<void> => sendNamed(
  client, entries, entry => isIp(entry) ? [entry.link] : [entry.link, entry.via],
  (entry, names) => commandOf(verb === 'remove' ? verb : setting(verb, entry), entry, names), options)

/** Adds entries. Of some that exist already the kernel would say OK. */
async function addNeighbours(client: RouteClient, entries: readonly Entry[], options?: CallOptions): Promise<void> {
  const silent = entries.filter(entry => setting('add', entry) === 'append' || kindOf(entry) === 'proxy')
  if (silent.length > 0) {
    const actual = await listNeighbours(client, filterOf(silent).kind, options)
    const table = new Table(actual)
    const existing = silent.find(entry => table.find(entry))
    if (existing) throw refuse('EEXIST', commandOf('add', existing, NO_LINKS), 'it exists already')
  }
  await sendNeighbours(client, 'add', entries, options)
}

// ── steps ──

const words = { add: 'add', append: 'append', replace: 'replace', remove: 'del' } as const

const entries: Entries<Entry> = new Entries({
  object: 'neighbour',
  lineOf: (verb, entry) => lineOf(words[verb], entry),
  linksOf: entry => isIp(entry) ? [entry.link] : [entry.link, entry.via],
  commandOf,
  async stepsNow(client, wanted, options) {
    const table = new Table(await listNeighbours(client, filterOf(wanted).kind, options))
    return wanted.map(entry => stepsTo(entry, table))
  },
})

const adding = (entry: Entry): EntryStep<Entry> =>
  entries.adding(entry, { verb: setting('add', entry) === 'append' ? 'append' : 'add' })

function replacing(entry: Entry, before: NeighbourState): EntryStep<Entry> {
  const old = settable(before)
  return entries.replacing(entry, old, {
    verb: setting('replace', entry) === 'append' ? 'append' : 'replace',
    why: !old ? 'the kernel is looking for it'
      : before.link === entry.link ? undefined : `it is behind ${before.link} now`,
  })
}

function removing(state: NeighbourState): Step[] {
  const old = settable(state)
  return !old ? [] : [entries.removing(old, { verb: setting('add', old) === 'append' ? 'append' : 'add' })]
}

function stepsTo(entry: Entry, table: Table): EntryStep<Entry>[] {
  const state = table.find(entry)
  return !state ? [adding(entry)] : same(entry, state) ? [] : [replacing(entry, state)]
}

/** The steps to the wanted neighbours and forwarding entries. All others stay. Pure. */
export function neighbourSteps(wanted: readonly NeighbourSpec[], actual: readonly NeighbourState[]): Step[] {
  const all = byKey('neighbours', wanted.map((spec, i) => normalize(spec, atPath('neighbours', i))), keyOf, nameOf)
  const table = new Table(actual)
  return [...all.values()].flatMap((entry): Step[] => stepsTo(entry, table))
}

/** The steps that remove those of the neighbours and forwarding entries that exist. Pure. */
export function neighbourRemovals(unwanted: readonly Id[], actual: readonly NeighbourState[]): Step[] {
  const table = new Table(actual)
  const found = unwanted.map((id, i) => table.find(normalizeId(id, atPath('neighbours', i))))
  return [...new Set(found)].flatMap(state => state === undefined ? [] : removing(state))
}

// ── the resource ──

/** The one kind that all ids are of, if there is one. */
function filterOf(ids: readonly Id[]): NeighbourFilter {
  const [kind, ...others] = new Set(ids.map(kindOf))
  return kind === undefined || others.length > 0 ? {} : { kind }
}

/** Whether a forwarding entry is behind the link, and at the end, that the id names. */
const atEnd = (id: Id, state: NeighbourState): boolean =>
  isIp(id) || isIp(state) || (id.link === state.link && (id.dst === undefined || id.dst === state.dst))

const missing = (verb: 'change' | 'remove', id: Id): Error =>
  refuseMissing('ENOENT', commandOf(verb, entryOf(normalizeId(id)), NO_LINKS))

const neighbourKind: ResourceKind<RouteClient, NeighbourSpec, Id, NeighbourState, NeighbourFilter, NeighbourPatch> = {
  plural: 'neighbours',
  open: openRtnetlink,
  filter: optionsOf<NeighbourFilter>({
    link: interfaceName, kind: among(['neighbour', 'proxy', 'forwarding']),
  }, 'filter'),
  async list(client, { link, kind }, options) {
    return (await listNeighbours(client, kind, options)).filter(state => link === undefined || state.link === link)
  },
  filterOf,
  finder(actual) {
    const table = new Table(actual)
    return id => table.find(id)
  },
  idOf: given => given,
  missing,
  check(spec, path) { normalize(spec, path) },
  add: (client, specs, options) => addNeighbours(client, specs.map(spec => normalize(spec)), options),
  changes(patch, state) {
    normalizeId(patch)
    const fields = isIp(patch) ? neighbourFields : forwardingFields
    fields.normalizePart(patch)
    return state ? [replacing(normalize({ ...settable(state), ...patch } as NeighbourSpec), state)] : []
  },
  replacement: (spec, actual) => [replacing(normalize(spec), new Table(actual).find(spec)!)],
  steps: neighbourSteps,
  async remove(client, ids, actual, options) {
    const table = new Table(actual)
    const found = ids.map(id => ({ id, state: table.find(id)! }))
    for (const { id, state } of found) if (!atEnd(normalizeId(id), state)) throw missing('remove', id)
    await sendNeighbours(
      client, 'remove', found.map(({ id, state }) => settable(state) ?? entryOf(normalizeId(id))), options,
    )
  },
  removals: neighbourRemovals,
}

/**
 * The neighbours of this host, and the forwarding databases of its bridges and tunnels.
 *
 * - `list` includes addresses that the kernel is looking for. Such an entry makes `add` reject with
 *   `EEXIST`.
 * - `remove` rejects with `ENOENT` for a tunnel's entry with another destination, of which the
 *   kernel would say OK.
 *
 * @example
 * ```ts
 * import { Neighbours } from 'ipvs-nl'
 *
 * await using neighbours = await Neighbours.open()
 * const plan = await neighbours.plan([
 *   { address: '192.168.10.21', link: 'vbr0', lladdr: '02:00:5e:10:00:21' },
 *   { lladdr: '00:00:00:00:00:00', link: 'vxlan42', dst: '192.0.2.21' },
 * ])
 * console.log(`${plan}`)
 * // + ip neigh add 192.168.10.21 lladdr 02:00:5e:10:00:21 dev vbr0
 * // + bridge fdb append 00:00:00:00:00:00 dev vxlan42 dst 192.0.2.21 self
 * await plan.apply()
 * ```
 */
export class Neighbours
  extends Resource<RouteClient, NeighbourSpec, Id, NeighbourState, NeighbourFilter, NeighbourPatch> {
  /** Opens a socket to the kernel. */
  static async open(options?: CallOptions & ConnectionOptions): Promise<Neighbours> {
    return new Neighbours(neighbourKind, await RouteClient.open(options))
  }

  /** Reads a neighbour, or a forwarding entry; undefined where there is none. */
  override get(id: NeighbourId, options?: CallOptions): Promise<IpNeighbourState | undefined>
  override get(id: ForwardingId, options?: CallOptions): Promise<ForwardingState | undefined>
  override get(id: Id, options?: CallOptions): Promise<NeighbourState | undefined> { return super.get(id, options) }
}
