/** Neighbours, and the forwarding databases of bridges and tunnels: listed, changed and planned. */

import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/core.js'
import { atPath } from '../../base/check.js'
import type { Step } from '../../plan/plan.js'
import { byKey, Resource, stepOn, type ResourceKind } from '../../plan/resource.js'
import { openRtnetlink, RouteClient, type RouteCommand, type Verb } from '../client.js'
import { refuse, refuseMissing } from '../explain.js'
import { namesOf, NO_LINKS, readLinks, sendNamed, type LinkNames } from '../link-names.js'
import {
  bridgeOf, forwardingCommand, forwardingFields, isForwarding, keyOfForwarding, nameOfForwarding, normalizeForwarding,
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
const normalize = (spec: NeighbourSpec, path = ''): Entry =>
  isIp(spec) ? normalizeNeighbour(spec, path) : normalizeForwarding(spec, path)
const normalizeId = (id: Id, path = ''): Id =>
  isIp(id) ? normalizeNeighbourId(id, path) : normalizeForwardingId(id, path)
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

function find(id: Id, actual: readonly NeighbourState[]): NeighbourState | undefined {
  const normal = normalizeId(id)
  if (isIp(normal)) return actual.find(state => isIp(state) && keyOfNeighbour(state) === keyOfNeighbour(normal))
  const entries = actual.filter((state): state is ForwardingState => !isIp(state))
  const bridge = bridgeOf(normal.link, entries)
  return entries.find(state => isForwarding(normal, state, bridge))
}

// ── commands ──

const ANY = { family: 'unspec', index: 0, state: {}, flags: {}, type: 'unspec' } as const
const LISTINGS = {
  neighbour:  ANY,
  proxy:      { ...ANY, flags: { proxy: true } },
  forwarding: { ...ANY, family: 'bridge' },
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
    const existing = silent.find(entry => find(entry, actual))
    if (existing) throw refuse('EEXIST', commandOf('add', existing, NO_LINKS), 'it exists already')
  }
  await sendNeighbours(client, 'add', entries, options)
}

// ── steps ──

const adding = (entry: Entry): Step => stepOn(openRtnetlink, {
  action: 'add', object: 'neighbour', line: lineOf(setting('add', entry), entry),
  run: (client, options) => sendNeighbours(client, 'add', [entry], options),
  undo: (client, options) => sendNeighbours(client, 'remove', [entry], options),
})

function replacing(entry: Entry, before: NeighbourState): Step {
  const old = settable(before)
  return stepOn(openRtnetlink, {
    action: 'change', object: 'neighbour', line: lineOf(setting('replace', entry), entry),
    why: !old ? 'the kernel is looking for it'
      : before.link === entry.link ? undefined : `it is behind ${before.link} now`,
    run: (client, options) => sendNeighbours(client, 'replace', [entry], options),
    undo: (client, options) =>
      old ? sendNeighbours(client, 'replace', [old], options) : sendNeighbours(client, 'remove', [entry], options),
  })
}

function removing(state: NeighbourState): Step[] {
  const old = settable(state)
  return !old ? [] : [stepOn(openRtnetlink, {
    action: 'remove', object: 'neighbour', line: lineOf('del', old),
    run: (client, options) => sendNeighbours(client, 'remove', [old], options),
    undo: (client, options) => sendNeighbours(client, 'add', [old], options),
  })]
}

/** The steps to the wanted neighbours and forwarding entries. All others stay. Pure. */
export function neighbourSteps(wanted: readonly NeighbourSpec[], actual: readonly NeighbourState[]): Step[] {
  const entries = byKey('neighbours', wanted.map((spec, i) => normalize(spec, atPath('neighbours', i))), keyOf, nameOf)
  return [...entries.values()].flatMap((entry): Step[] => {
    const state = find(entry, actual)
    return !state ? [adding(entry)] : same(entry, state) ? [] : [replacing(entry, state)]
  })
}

/** The steps that remove those of the neighbours and forwarding entries that exist. Pure. */
export function neighbourRemovals(unwanted: readonly Id[], actual: readonly NeighbourState[]): Step[] {
  const found = unwanted.map((id, i) => find(normalizeId(id, atPath('neighbours', i)), actual))
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
  async list(client, { link, kind }, options) {
    return (await listNeighbours(client, kind, options)).filter(state => link === undefined || state.link === link)
  },
  filterOf,
  find,
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
  replacement: (spec, actual) => [replacing(normalize(spec), find(spec, actual)!)],
  steps: neighbourSteps,
  async remove(client, ids, actual, options) {
    const found = ids.map(id => ({ id, state: find(id, actual)! }))
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
  static open(options?: ConnectionOptions): Promise<Neighbours> {
    return Promise.resolve(new Neighbours(neighbourKind, new RouteClient(options)))
  }

  /** Reads a neighbour, or a forwarding entry; undefined where there is none. */
  override get(id: NeighbourId, options?: CallOptions): Promise<IpNeighbourState | undefined>
  override get(id: ForwardingId, options?: CallOptions): Promise<ForwardingState | undefined>
  override get(id: Id, options?: CallOptions): Promise<NeighbourState | undefined> { return super.get(id, options) }
}
