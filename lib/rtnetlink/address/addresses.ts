/** Addresses of links: listed, changed and planned. */

import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/core.js'
import { address as anyAddress, among, atPath, interfaceName, optionsOf } from '../../base/check.js'
import type { Family } from '../../base/address.js'
import type { Step } from '../../plan/plan.js'
import { byKey, Resource, type ResourceKind } from '../../plan/resource.js'
import { openRtnetlink, RouteClient } from '../client.js'
import { Entries, type EntryStep } from '../entries.js'
import { refuseMissing } from '../explain.js'
import { NO_LINKS } from '../link-names.js'
import { checkRemoval, listAddresses, removeAddress, removeAddresses, sendAddresses } from './commands.js'
import {
  addressCommand, addressFields, keyOfAddress, nameOfAddress, normalizeAddress, normalizeAddressId, notationOfAddress,
  type AddressFilter, type AddressId, type AddressSpec, type AddressState,
} from './spec.js'
import { AddressTable } from './table.js'

// ── steps ──

/**
 * The fields that a replacing command changes; for others it says OK and leaves them as they are.
 * Where it changes an IPv6 address that has a peer, or its metric, it adds routes, or leaves them,
 * that nothing removes later.
 */
const REPLACEABLE: Readonly<Record<Family, readonly string[]>> = {
  inet:  ['lifetimes', 'metric'],
  inet6: ['lifetimes', 'protocol', 'noprefixroute', 'nodad'],
}

const wordsOf = { add: 'add', append: 'add', replace: 'replace', remove: 'del' } as const

const entries: Entries<AddressSpec> = new Entries({
  object: 'address',
  lineOf: (verb, spec) =>
    `ip addr ${wordsOf[verb]} ${verb === 'remove' ? nameOfAddress(spec) : notationOfAddress(spec)}`,
  linksOf: ({ link }) => [link],
  commandOf: addressCommand,
  async stepsNow(client, specs, options) {
    const table = new AddressTable(await listAddresses(client, options))
    return specs.map(spec => stepsTo(spec, table))
  },
  remove: removeAddresses,
})

/** The further effects of the removal of an address, in words. */
function effects(state: AddressState, table: AddressTable): string[] {
  const secondaries = table.secondariesOf(state).map(other => other.address)
  return [
    ...secondaries.length > 0
      ? [`where promote_secondaries is 0 the kernel removes ${secondaries.join(', ')} with it, added again at once`]
      : [],
    ...table.isLast(state) ? [`it is the last IPv4 address of ${state.link}, whose routes go with it`] : [],
  ]
}

function stepsTo(spec: AddressSpec, table: AddressTable): EntryStep<AddressSpec>[] {
  const state = table.get(spec)
  if (!state) {
    const names = table.namesakes(spec).map(nameOfAddress).join(', ')
    return [entries.adding(spec, names === '' ? {} : { why: `this host has it as ${names} too, which stays` })]
  }
  const changes = addressFields.differences({ peer: undefined, ...spec }, state)
  if (changes.length === 0) return []
  const before = addressFields.settable(state)
  const whole = { ...before, peer: undefined, ...spec }
  const pair = state.family === 'inet6' && (state.peer ?? spec.peer) !== undefined
  const stuck = changes.filter(
    field => pair || !REPLACEABLE[state.family].includes(field) || spec[field as keyof AddressSpec] === 0)
  if (stuck.length === 0) return [entries.replacing(whole, before)]
  const fields = stuck.map(field => field === 'address' ? 'prefix length' : field).join(', ')
  const why = [`the kernel cannot change its ${fields}: it is removed and added again`, ...effects(state, table)]
  return [entries.removing(before, { why: why.join('; ') }), entries.adding(whole)]
}

/**
 * The steps to the wanted addresses. Fields left out, and other addresses, stay. `needsOf` returns
 * the steps that an address needs before it comes up. Pure.
 */
export function addressSteps(
  wanted: readonly AddressSpec[], actual: readonly AddressState[],
  needsOf: (spec: AddressSpec) => readonly Step[] | undefined = () => undefined,
): Step[] {
  const normal = wanted.map((spec, i) => normalizeAddress(spec, atPath('addresses', i)))
  const table = new AddressTable(actual)
  return [...byKey('addresses', normal, keyOfAddress, nameOfAddress).values()].flatMap(spec => {
    const needs = needsOf(spec)
    return stepsTo(spec, table).map(step => step.needing(needs))
  })
}

/** The steps that remove those of the addresses that exist, secondaries before primaries. Pure. */
export function addressRemovals(unwanted: readonly AddressId[], actual: readonly AddressState[]): Step[] {
  const keys = byKey(
    'addresses', unwanted.map((id, i) => normalizeAddressId(id, atPath('addresses', i))), keyOfAddress, nameOfAddress,
  )
  const table = new AddressTable(actual)
  const existing = actual.filter(state => keys.has(keyOfAddress(state)))
  return existing.toSorted((a, b) => Number(b.secondary) - Number(a.secondary)).map(state => {
    const why = effects(state, table).join('; ')
    table.remove(state)
    return entries.removing(addressFields.settable(state), { why })
  })
}

// ── the resource ──

const addressKind: ResourceKind<RouteClient, AddressSpec, AddressId, AddressState, AddressFilter, AddressSpec> = {
  plural: 'addresses',
  open: openRtnetlink,
  filter: optionsOf<AddressFilter>({
    link: interfaceName, family: among(['inet', 'inet6']), address: anyAddress,
  }, 'filter'),
  async list(client, { link, family, address: wanted }, options) {
    return (await listAddresses(client, options)).filter(state => (link === undefined || state.link === link)
      && (family === undefined || state.family === family)
      && (wanted === undefined || state.address.split('/')[0] === wanted))
  },
  finder(actual) {
    const table = new AddressTable(actual)
    return id => table.get(normalizeAddressId(id))
  },
  idOf: spec => spec,
  missing: (verb, id) => refuseMissing('EADDRNOTAVAIL', addressCommand(verb, normalizeAddressId(id), NO_LINKS)),
  check(spec, path) { normalizeAddress(spec, path) },
  add: (client, specs, options) => sendAddresses(client, 'add', specs.map(spec => normalizeAddress(spec)), options),
  changes: (spec, state, actual) => {
    const normal = normalizeAddress(spec)
    return state ? stepsTo(normal, new AddressTable(actual)) : []
  },
  replacement: (spec, actual) =>
    stepsTo(addressFields.complete(normalizeAddress(spec)) as AddressSpec, new AddressTable(actual)),
  steps: addressSteps,
  async remove(client, ids, actual, options) {
    for (const id of ids.map(each => normalizeAddressId(each))) {
      await checkRemoval(id, actual)
      await removeAddress(client, id, options)
    }
  },
  removals: addressRemovals,
}

/**
 * The addresses of this host's links.
 *
 * - The kernel cannot change some fields in place: label, scope, broadcast, for IPv4 also
 *   `noprefixroute`, the protocol and the peer, for IPv6 the prefix length. The address is removed
 *   and added again then; a plan says so.
 * - `remove` rejects with a SpecError where the kernel would remove other addresses too: the
 *   secondaries of the same network, while `promote_secondaries` is 0.
 * - `get` finds IPv6 addresses whatever their prefix.
 *
 * @example
 * ```ts
 * import { Addresses } from 'ipvs-nl'
 *
 * await using addresses = await Addresses.open()
 * const vip = { address: '192.168.50.100/32', link: 'lo', label: 'lo:vip' }
 * const plan = await addresses.plan([vip])
 * console.log(`${plan}`) // + ip addr add 192.168.50.100/32 dev lo label lo:vip
 * await plan.apply()
 * ```
 */
export class Addresses extends Resource<RouteClient, AddressSpec, AddressId, AddressState, AddressFilter, AddressSpec> {
  /** Opens a socket to the kernel. */
  static async open(options?: CallOptions & ConnectionOptions): Promise<Addresses> {
    return new Addresses(addressKind, await RouteClient.open(options))
  }
}
