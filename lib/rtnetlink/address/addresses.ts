/** Addresses of links: declared, planned, set. */

import { readFile } from 'node:fs/promises'
import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/index.js'
import { Session } from '../../plan/session.js'
import type { Family } from '../../base/address.js'
import { Plan, type Step } from '../../plan/plan.js'
import { address } from '../../base/check.js'
import {
  addressCommand, keyOfAddress, nameOfAddress, networkOfAddress, normalizeAddress, normalizeAddressId, notationOfAddress, readAddress, settable,
  type AddressFilter, type AddressId, type AddressSpec, type AddressState, type Lifetime,
} from './spec.js'
import { openRtnetlink, RouteClient, type Deed, type RouteCommand } from '../client.js'
import { refusal } from '../explain.js'
import { indexOf, readLinks } from '../links-by-name.js'
import { perform } from '../perform.js'

const EADDRNOTAVAIL = -99

const ANY = { family: 'unspec', prefixlen: 0, flags: 0, scope: 'global', index: 0 } as const

async function readAddresses(route: RouteClient, options?: CallOptions): Promise<AddressState[]> {
  const links = await readLinks(route, options)
  const entries = await route.list('address', ANY, {}, options)
  return entries.filter(({ header }) => header.family === 'inet' || header.family === 'inet6').map(entry => readAddress(entry, links))
}

// ── doing ──

async function send(route: RouteClient, deed: Deed, spec: AddressSpec, options?: CallOptions): Promise<void> {
  const index = await indexOf(route, spec.link, addressCommand(deed, spec, 0), options)
  await perform(route, addressCommand(deed, spec, index), options)
}

/** The secondaries that the kernel may remove together with this address. */
function secondariesOf(primary: AddressState, actual: readonly AddressState[]): AddressState[] {
  if (primary.family !== 'inet' || primary.secondary) return []
  const network = networkOfAddress(primary)
  return actual.filter(other => other.secondary && other.link === primary.link && networkOfAddress(other) === network)
}

/** Removes an address: adds again the secondaries that the kernel removed with it, and removes the routes that it left behind. */
async function removeAlone(route: RouteClient, spec: AddressId, options?: CallOptions): Promise<void> {
  const before = await readAddresses(route, options)
  await send(route, 'remove', spec, options)
  const state = before.find(other => keyOfAddress(other) === keyOfAddress(spec))
  if (!state) return
  const secondaries = secondariesOf(state, before) // from here on not to be aborted
  if (secondaries.length > 0) {
    const left = new Set((await readAddresses(route)).map(keyOfAddress))
    for (const secondary of secondaries.filter(each => !left.has(keyOfAddress(each)))) await send(route, 'add', settable(secondary))
  }
  if (leavesRoutes(state)) await removeRoutes(route, state, before)
}

/** Set by the kernel, from a router's announcement (`IFAPROT_KERNEL_RA`): its routes are the router's. */
const ANNOUNCED = 2

/** With an IPv6 address that does not live for ever the kernel leaves the route to its network behind, to expire. */
const leavesRoutes = ({ family, lifetimes, noprefixroute, protocol, temporary }: AddressState): boolean =>
  family === 'inet6' && lifetimes.valid !== 'forever' && !noprefixroute && !temporary && protocol !== ANNOUNCED

/** Removes the kernel's own routes to an address's networks that no other address of its link is in. */
async function removeRoutes(route: RouteClient, state: AddressState, all: readonly AddressState[]): Promise<void> {
  const networks = (each: AddressState): string[] => [networkOfAddress(each), networkOfAddress({ ...each, peer: undefined })]
  const used = new Set(all.filter(other => other !== state && other.link === state.link).flatMap(networks))
  const oif = await indexOf(route, state.link, addressCommand('remove', state, 0))
  const commands = [...new Set(networks(state))].filter(network => !used.has(network)).map((network): RouteCommand<'route'> => {
    const [dst, length] = network.split('/')
    return {
      kind: 'route', deed: 'remove', object: `route ${network} dev ${state.link}`,
      header: { family: 'inet6', dstLen: Number(length), srcLen: 0, tos: 0, table: MAIN, protocol: 'kernel', scope: 'nowhere', type: 'unspec', flags: {} },
      attributes: { dst, oif, priority: state.metric ?? ADDRCONF_METRIC },
    }
  })
  await route.run(commands) // where there is none, so much the better
}

/** `RT_TABLE_MAIN`, and the metric of the routes that come with IPv6 addresses (`IP6_RT_PRIO_ADDRCONF`). */
const MAIN = 254, ADDRCONF_METRIC = 256

// ── plans ──

/**
 * Attributes that a replacing command changes; of the others it says OK and leaves them as they are. Where it changes an IPv6
 * address that has a peer, or its metric, it makes routes, or leaves them, that nothing removes later.
 */
const REPLACEABLE: Readonly<Record<Family, readonly (keyof AddressSpec)[]>> = {
  inet:  ['lifetimes', 'metric', 'protocol'],
  inet6: ['lifetimes', 'protocol', 'noprefixroute', 'nodad'],
}

/** A lifetime passes. It is as wanted while at least half of it is left; then it is renewed. */
const lasts = (wanted: Lifetime, actual: Lifetime): boolean =>
  wanted === actual || (wanted !== 'forever' && actual !== 'forever' && actual <= wanted && actual >= wanted / 2)

/** What a spec says and a state has otherwise. */
function differences(spec: AddressSpec, state: AddressState): (keyof AddressSpec)[] {
  const { valid, preferred } = state.lifetimes
  const changed = (Object.keys(spec) as (keyof AddressSpec)[]).filter(key => key === 'lifetimes'
    ? !lasts(spec.lifetimes!.valid, valid) || !lasts(spec.lifetimes!.preferred!, preferred)
    : spec[key] !== (state[key] ?? (key === 'metric' || key === 'protocol' ? 0 : undefined)))
  return spec.peer === undefined && state.peer !== undefined ? [...changed, 'peer'] : changed
}

/** The spec of a state that is to be kept but for what a spec says. */
function merged(spec: AddressSpec, state: AddressState): AddressSpec {
  const { peer: _, ...kept } = settable(state)
  return { ...kept, ...spec }
}

function step(action: Step['action'], verb: string, spec: AddressSpec, why: string | undefined, run: Step['run'], undo: Step['undo']): Step {
  const line = `ip addr ${verb} ${verb === 'del' ? nameOfAddress(spec) : notationOfAddress(spec)}`
  return { action, object: 'address', line, ...why !== undefined && { why }, run, undo }
}

const adding = (spec: AddressSpec, why?: string): Step => step(
  'add', 'add', spec, why,
  async (session, options) => send(await session.use(openRtnetlink), 'add', spec, options),
  async (session, options) => removeAlone(await session.use(openRtnetlink), spec, options),
)

const replacing = (spec: AddressSpec, before: AddressSpec): Step => step(
  'change', 'replace', spec, undefined,
  async (session, options) => send(await session.use(openRtnetlink), 'replace', spec, options),
  async (session, options) => send(await session.use(openRtnetlink), 'replace', before, options),
)

const removing = (state: AddressState, why?: string): Step => step(
  'remove', 'del', state, why,
  async (session, options) => removeAlone(await session.use(openRtnetlink), state, options),
  async (session, options) => send(await session.use(openRtnetlink), 'add', settable(state), options),
)

/** Says what else goes when an address goes. */
function tidings(state: AddressState, actual: readonly AddressState[], gone: ReadonlySet<AddressState> = new Set()): string[] {
  const secondaries = secondariesOf(state, actual).filter(other => !gone.has(other)).map(other => other.address)
  const last = state.family === 'inet' && !actual.some(other => other !== state && !gone.has(other) && other.family === 'inet' && other.link === state.link)
  return [
    ...secondaries.length > 0 ? [`where promote_secondaries is 0 the kernel removes ${secondaries.join(', ')} with it, added again at once`] : [],
    ...last ? [`it is the last IPv4 address of ${state.link}, whose routes go with it`] : [],
  ]
}

/** Specs in their normal form, by what they say the address of. @throws RangeError where two say the same one */
function unique<T extends AddressId>(specs: readonly T[], normal: (spec: T, path: string) => T): Map<string, T> {
  const byKey = new Map<string, T>()
  for (const [i, spec] of specs.entries()) {
    const each = normal(spec, `addresses[${i}].`)
    const key = keyOfAddress(each)
    if (byKey.has(key)) throw new RangeError(`addresses[${i}]: ${nameOfAddress(each)} is there twice`)
    byKey.set(key, each)
  }
  return byKey
}

/**
 * The steps to the addresses that are wanted, from those that are there. What a spec does not say stays as it is, and so
 * do all other addresses. Pure.
 */
export function addressSteps(wanted: readonly AddressSpec[], actual: readonly AddressState[]): Step[] {
  const present = new Map(actual.map(state => [keyOfAddress(state), state]))
  return [...unique(wanted, normalizeAddress)].flatMap(([key, spec]): Step[] => {
    const state = present.get(key)
    if (!state) {
      const twins = actual.filter(other => other.address.split('/')[0] === spec.address.split('/')[0])
      return [adding(spec, twins.length > 0 ? `this host has it as ${twins.map(nameOfAddress).join(', ')} too, which stays` : undefined)]
    }
    const changes = differences(spec, state)
    if (changes.length === 0) return []
    const better = merged(spec, state)
    const pair = state.family === 'inet6' && (state.peer ?? spec.peer) !== undefined
    const stuck = changes.filter(field => pair || !REPLACEABLE[state.family].includes(field) || spec[field] === 0)
    if (stuck.length === 0) return [replacing(better, settable(state))]
    const why = [`the kernel cannot change its ${stuck.map(field => field === 'address' ? 'prefix length' : field).join(', ')}: it is removed and added again`]
    return [removing(state, [...why, ...tidings(state, actual)].join('; ')), adding(better)]
  })
}

/**
 * The steps that remove addresses, as far as they are there; secondaries go before their primary, and those that are to
 * stay do. Pure.
 */
export function addressRemovals(unwanted: readonly AddressId[], actual: readonly AddressState[]): Step[] {
  const keys = unique(unwanted, normalizeAddressId)
  const gone = new Set<AddressState>() // as the steps go
  return actual.filter(state => keys.has(keyOfAddress(state))).toSorted((a, b) => Number(b.secondary) - Number(a.secondary)).map(state => {
    const why = tidings(state, actual, gone).join('; ')
    gone.add(state)
    return removing(state, why === '' ? undefined : why)
  })
}

// ── the class ──

/**
 * The addresses of this host's links.
 *
 * Every method rejects with a NetlinkError that says what was asked for which address and why the kernel refused it, and
 * with a TypeError or RangeError that names the field, before anything is sent, where a spec is wrong.
 *
 * @example
 * ```ts
 * import { Addresses } from 'ipvs-nl'
 *
 * await using addresses = await Addresses.open()
 * const plan = await addresses.plan([{ address: '192.168.50.100/32', link: 'lo', label: 'lo:vip' }])
 * console.log(`${plan}`) // + ip addr add 192.168.50.100/32 dev lo label lo:vip
 * await plan.apply()
 * ```
 */
export class Addresses implements AsyncDisposable {
  readonly #route: RouteClient

  private constructor(route: RouteClient) { this.#route = route }

  /** Opens a socket to the kernel. */
  static open(options?: ConnectionOptions): Promise<Addresses> {
    return Promise.resolve(new Addresses(new RouteClient(options)))
  }

  /** The addresses of all links, or of those that the filter lets through. */
  async list({ link, family, address: text }: AddressFilter = {}, options?: CallOptions): Promise<AddressState[]> {
    const wanted = text === undefined ? undefined : address('address', text)
    return (await readAddresses(this.#route, options)).filter(state => (link === undefined || state.link === link)
      && (family === undefined || state.family === family) && (wanted === undefined || state.address.split('/')[0] === wanted))
  }

  /** An address, where it is there. IPv6 addresses are found whatever their prefix. */
  async get(who: AddressId, options?: CallOptions): Promise<AddressState | undefined> {
    const key = keyOfAddress(normalizeAddressId(who))
    return (await readAddresses(this.#route, options)).find(state => keyOfAddress(state) === key)
  }

  /** Adds an address. Rejects with `EEXIST` where it is there. */
  async add(spec: AddressSpec, options?: CallOptions): Promise<void> {
    await send(this.#route, 'add', normalizeAddress(spec), options)
  }

  /**
   * Changes an address to what the spec says; what it leaves out stays. What the kernel cannot change in place (label,
   * scope, broadcast, of IPv4 also noprefixroute and the peer, of IPv6 the prefix length) takes removing it and adding it again;
   * a plan says so before. Rejects with `EADDRNOTAVAIL` where it is not there.
   */
  async change(spec: AddressSpec, options?: CallOptions): Promise<void> {
    const normal = normalizeAddress(spec)
    const actual = await readAddresses(this.#route, options)
    if (!actual.some(state => keyOfAddress(state) === keyOfAddress(normal))) {
      throw refusal(EADDRNOTAVAIL, addressCommand('change', normal, 0), 'it is not there; add it first')
    }
    await this.#apply(addressSteps([normal], actual), options)
  }

  /**
   * Removes an address. Rejects with `EADDRNOTAVAIL` where it is not there, and with a RangeError where the kernel would
   * remove other addresses with it: the secondaries of the same network, while `promote_secondaries` is 0.
   */
  async remove(who: AddressId, options?: CallOptions): Promise<void> {
    const normal = normalizeAddressId(who)
    const actual = await readAddresses(this.#route, options)
    const state = actual.find(other => keyOfAddress(other) === keyOfAddress(normal))
    const secondaries = state ? secondariesOf(state, actual) : []
    if (secondaries.length > 0 && !await promotes(normal.link)) {
      throw new RangeError(`address: the kernel would remove ${secondaries.map(other => other.address).join(', ')} with ${nameOfAddress(normal)}; remove `
        + `${secondaries.length === 1 ? 'it' : 'them'} first, or set net.ipv4.conf.${normal.link}.promote_secondaries to 1`)
    }
    await removeAlone(this.#route, normal, options)
  }

  /** What must change for the links to have these addresses; empty where they do. Other addresses stay. */
  async plan(specs: readonly AddressSpec[], options?: CallOptions): Promise<Plan> {
    unique(specs, normalizeAddress) // before anything is sent
    return new Plan(addressSteps(specs, await readAddresses(this.#route, options)))
  }

  /** What must change for the links not to have these addresses; empty where they have none of them. */
  async planRemoval(ids: readonly AddressId[], options?: CallOptions): Promise<Plan> {
    unique(ids, normalizeAddressId)
    return new Plan(addressRemovals(ids, await readAddresses(this.#route, options)))
  }

  /** Closes the socket; addresses stay. */
  close(): Promise<void> {
    this.#route.close()
    return Promise.resolve()
  }

  /** {@link Addresses.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }

  async #apply(steps: readonly Step[], options?: CallOptions): Promise<void> {
    await using session = new Session()
    for (const each of steps) await each.run(session, options)
  }
}

/** Whether the kernel makes the first secondary a primary when the primary goes. */
async function promotes(link: string): Promise<boolean> {
  const values = await Promise.all(['all', link].map(name => readFile(`/proc/sys/net/ipv4/conf/${name}/promote_secondaries`, 'latin1').catch(() => '0')))
  return values.some(value => Number(value) !== 0)
}
