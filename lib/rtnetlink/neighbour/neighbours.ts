/** Neighbours, and the forwarding databases of bridges and tunnels: declared, planned, set. */

import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/index.js'
import { Plan, type Step } from '../../plan/plan.js'
import { openRtnetlink, RouteClient, type Deed, type RouteCommand } from '../client.js'
import { refusal } from '../explain.js'
import {
  bridgeOf, deedFor, forwardingCommand, isForwarding, keyOfForwarding, nameOfForwarding, normalizeForwarding, normalizeForwardingId, notationOfForwarding,
  readForwarding, sameForwarding, settableForwarding, type Forwarding, type ForwardingId, type ForwardingSpec, type ForwardingState,
} from './forwarding.js'
import { indexOf, readLinks } from '../links-by-name.js'
import {
  keyOfNeighbour, nameOfNeighbour, neighbourCommand, normalizeNeighbour, normalizeNeighbourId, notationOfNeighbour, readNeighbour, sameNeighbour,
  settableNeighbour, type IpNeighbour, type IpNeighbourSpec, type IpNeighbourState, type NeighbourId,
} from './spec.js'
import { perform } from '../perform.js'

/** A neighbour, which has an address, or a forwarding entry, which has none. */
export type NeighbourSpec = IpNeighbourSpec | ForwardingSpec
/** A neighbour or a forwarding entry that is there; the former has an `address`. */
export type NeighbourState = IpNeighbourState | ForwardingState

/** Which are listed; all that it says must be so. */
export interface NeighbourFilter {
  readonly link?: string
  /** Neighbours, addresses that the host answers for, or forwarding entries. */
  readonly kind?: 'neighbour' | 'proxy' | 'forwarding'
}

const EEXIST = -17, ENOENT = -2

type Either = IpNeighbour | Forwarding
const isIp = <T extends object>(entry: T): entry is Extract<T, { readonly address: string }> => 'address' in entry

const ANY = { family: 'unspec', index: 0, state: {}, flags: {}, type: 'unspec' } as const
const DUMPS = {
  neighbour:  ANY,
  proxy:      { ...ANY, flags: { proxy: true } },
  forwarding: { ...ANY, family: 'bridge' },
} as const

async function readNeighbours(route: RouteClient, kinds: readonly (keyof typeof DUMPS)[], options?: CallOptions): Promise<NeighbourState[]> {
  const links = await readLinks(route, options)
  const lists = await Promise.all(kinds.map(kind => route.list('neighbour', DUMPS[kind], {}, options)))
  return lists.flat().flatMap((entry): NeighbourState[] => {
    const { family } = entry.header
    return family === 'bridge' ? [readForwarding(entry, links)] : family === 'inet' || family === 'inet6' ? [readNeighbour(entry, links)] : []
  })
}

const ALL = ['neighbour', 'proxy', 'forwarding'] as const
const kindOf = (entry: NeighbourId | ForwardingId): keyof typeof DUMPS => !isIp(entry) ? 'forwarding' : entry.proxy ? 'proxy' : 'neighbour'
const kindsOf = (entries: readonly (NeighbourId | ForwardingId)[]): (keyof typeof DUMPS)[] => [...new Set(entries.map(kindOf))]

const normalize = (spec: NeighbourSpec, path = ''): Either => isIp(spec) ? normalizeNeighbour(spec, path) : normalizeForwarding(spec, path)

const commandOf = (deed: Deed, entry: Either, index: (link: string) => number = () => 0): RouteCommand<'neighbour'> =>
  isIp(entry) ? neighbourCommand(deed, entry, index(entry.link)) : forwardingCommand(deed, entry, index)

async function send(route: RouteClient, deed: Deed, entry: Either, options?: CallOptions): Promise<void> {
  const indices = new Map<string, number>()
  for (const link of isIp(entry) ? [entry.link] : [entry.link, entry.via]) {
    if (link !== undefined) indices.set(link, await indexOf(route, link, commandOf(deed, entry), options))
  }
  await perform(route, commandOf(deed, entry, link => indices.get(link)!), options)
}

// ── plans ──

/** The one that is meant, among those that are there. */
function find(meant: NeighbourId | ForwardingId, actual: readonly NeighbourState[]): NeighbourState | undefined {
  if (isIp(meant)) return actual.find(state => isIp(state) && keyOfNeighbour(state) === keyOfNeighbour(meant))
  const entries = actual.filter((state): state is ForwardingState => !isIp(state))
  const bridge = bridgeOf(meant.link, entries)
  return entries.find(state => isForwarding(meant, state, bridge))
}

const same = (wanted: Either, actual: NeighbourState): boolean =>
  isIp(wanted) ? isIp(actual) && sameNeighbour(wanted, actual) : !isIp(actual) && sameForwarding(wanted, actual)

const settable = (state: NeighbourState): Either | undefined => isIp(state) ? settableNeighbour(state) : settableForwarding(state)

function lineOf(verb: 'add' | 'replace' | 'append' | 'del', entry: Either): string {
  if (isIp(entry)) return `ip neigh ${verb} ${verb === 'del' ? nameOfNeighbour(entry) : notationOfNeighbour(entry)}`
  return `bridge fdb ${verb} ${verb === 'del' ? nameOfForwarding(entry) : notationOfForwarding(entry)}`
}

const step = (action: Step['action'], line: string, why: string | undefined, run: Step['run'], undo: Step['undo']): Step =>
  ({ action, object: 'neighbour', line, ...why !== undefined && { why }, run, undo })

/** Sets one: what is appended to others has no other verb. */
const set = (deed: 'add' | 'replace', entry: Either): Deed & ('add' | 'replace' | 'append') =>
  (isIp(entry) ? deed : deedFor(entry, deed)) as 'add' | 'replace' | 'append'

function adding(entry: Either): Step {
  const deed = set('add', entry)
  return step('add', lineOf(deed, entry), undefined,
    async (session, options) => send(await session.use(openRtnetlink), deed, entry, options),
    async (session, options) => send(await session.use(openRtnetlink), 'remove', entry, options))
}

function replacing(entry: Either, before: NeighbourState): Step {
  const deed = set('replace', entry)
  const old = settable(before)
  const elsewhere = before.link === entry.link ? undefined : `it is behind ${before.link} now`
  return step('change', lineOf(deed, entry), old ? elsewhere : 'the kernel is looking for it',
    async (session, options) => send(await session.use(openRtnetlink), deed, entry, options),
    async (session, options) => old ? send(await session.use(openRtnetlink), set('replace', old), old, options) : send(await session.use(openRtnetlink), 'remove', entry, options))
}

function removing(state: NeighbourState): Step[] {
  const old = settable(state)
  if (!old) return []
  return [step('remove', lineOf('del', old), undefined,
    async (session, options) => send(await session.use(openRtnetlink), 'remove', old, options),
    async (session, options) => send(await session.use(openRtnetlink), set('add', old), old, options))]
}

/** Specs in their normal form. @throws TypeError, RangeError naming the field, or where two say the same one */
function unique(specs: readonly NeighbourSpec[]): Either[] {
  const seen = new Set<string>()
  return specs.map((spec, i) => {
    const entry = normalize(spec, `neighbours[${i}].`)
    const key = isIp(entry) ? keyOfNeighbour(entry) : keyOfForwarding(entry)
    if (seen.has(key)) throw new RangeError(`neighbours[${i}]: ${isIp(entry) ? nameOfNeighbour(entry) : nameOfForwarding(entry)} is there twice`)
    seen.add(key)
    return entry
  })
}

/** The steps to the neighbours and forwarding entries that are wanted, from those that are there. All others stay. Pure. */
export function neighbourSteps(wanted: readonly NeighbourSpec[], actual: readonly NeighbourState[]): Step[] {
  return unique(wanted).flatMap((entry): Step[] => {
    const state = find(entry, actual)
    return !state ? [adding(entry)] : same(entry, state) ? [] : [replacing(entry, state)]
  })
}

const normalizeId = (who: NeighbourId | ForwardingId, path = ''): NeighbourId | ForwardingId =>
  isIp(who) ? normalizeNeighbourId(who, path) : normalizeForwardingId(who, path)

/** The steps that remove neighbours and forwarding entries, as far as they are there. Pure. */
export function neighbourRemovals(unwanted: readonly (NeighbourId | ForwardingId)[], actual: readonly NeighbourState[]): Step[] {
  const gone = unwanted.map((who, i) => find(normalizeId(who, `neighbours[${i}].`), actual)).filter(state => state !== undefined)
  return [...new Set(gone)].flatMap(removing)
}

// ── the class ──

/**
 * The neighbours of this host, and the forwarding databases of its bridges and tunnels.
 *
 * Every method rejects with a NetlinkError that says what was asked for which entry and why the kernel refused it, and
 * with a TypeError or RangeError that names the field, before anything is sent, where a spec is wrong.
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
export class Neighbours implements AsyncDisposable {
  readonly #route: RouteClient

  private constructor(route: RouteClient) { this.#route = route }

  /** Opens a socket to the kernel. */
  static open(options?: ConnectionOptions): Promise<Neighbours> {
    return Promise.resolve(new Neighbours(new RouteClient(options)))
  }

  /** Neighbours, proxies and forwarding entries, or those that the filter lets through; also what the kernel looks for and does not find. */
  async list({ link, kind }: NeighbourFilter = {}, options?: CallOptions): Promise<NeighbourState[]> {
    return (await readNeighbours(this.#route, kind === undefined ? ALL : [kind], options)).filter(state => link === undefined || state.link === link)
  }

  /** A neighbour, or a forwarding entry, where it is there. */
  get(who: NeighbourId, options?: CallOptions): Promise<IpNeighbourState | undefined>
  get(who: ForwardingId, options?: CallOptions): Promise<ForwardingState | undefined>
  async get(who: NeighbourId | ForwardingId, options?: CallOptions): Promise<NeighbourState | undefined> {
    return find(normalizeId(who), await readNeighbours(this.#route, [kindOf(who)], options))
  }

  /** Adds one. Rejects with `EEXIST` where it is there; the kernel's own attempts to find a neighbour count. */
  async add(spec: NeighbourSpec, options?: CallOptions): Promise<void> {
    const entry = normalize(spec)
    const deed = set('add', entry)
    // Of these the kernel says OK where they are there.
    if ((deed === 'append' || kindOf(entry) === 'proxy') && find(entry, await readNeighbours(this.#route, [kindOf(entry)], options))) {
      throw refusal(EEXIST, commandOf('add', entry), 'it is there already')
    }
    await send(this.#route, deed, entry, options)
  }

  /** Changes one to what the spec says; what it leaves out is as if it were added. Rejects with `ENOENT` where it is not there. */
  async change(spec: NeighbourSpec, options?: CallOptions): Promise<void> {
    const entry = normalize(spec)
    const state = find(entry, await readNeighbours(this.#route, [kindOf(entry)], options))
    if (!state) throw refusal(ENOENT, commandOf('change', entry), 'it is not there; add it first')
    await send(this.#route, set('replace', entry), entry, options)
  }

  /** Removes one. Rejects with `ENOENT` where it is not there; of a tunnel's entry with another destination the kernel would say OK. */
  async remove(who: NeighbourId | ForwardingId, options?: CallOptions): Promise<void> {
    const id = normalizeId(who)
    const state = find(id, await readNeighbours(this.#route, [kindOf(who)], options))
    const entry: Either = isIp(id) ? { proxy: false, state: 'none', ...id } : { at: 'self', state: 'permanent', ...id }
    if (!state || !reaches(id, state)) throw refusal(ENOENT, commandOf('remove', entry), 'it is not there')
    await send(this.#route, 'remove', settable(state) ?? entry, options)
  }

  /** What must change for these to be there; empty where they are. Others stay. */
  async plan(specs: readonly NeighbourSpec[], options?: CallOptions): Promise<Plan> {
    const entries = unique(specs) // before anything is sent
    return new Plan(neighbourSteps(specs, await readNeighbours(this.#route, kindsOf(entries), options)))
  }

  /** What must change for these not to be there; empty where they are not. */
  async planRemoval(ids: readonly (NeighbourId | ForwardingId)[], options?: CallOptions): Promise<Plan> {
    ids.forEach((who, i) => normalizeId(who, `neighbours[${i}].`))
    return new Plan(neighbourRemovals(ids, await readNeighbours(this.#route, kindsOf(ids), options)))
  }

  /** Closes the socket; neighbours stay. */
  close(): Promise<void> {
    this.#route.close()
    return Promise.resolve()
  }

  /** {@link Neighbours.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}

/** Whether an entry is behind the link, and at the tunnel's end, that is said. */
const reaches = (who: NeighbourId | ForwardingId, state: NeighbourState): boolean =>
  isIp(who) || isIp(state) || (who.link === state.link && (who.dst === undefined || who.dst === state.dst))
