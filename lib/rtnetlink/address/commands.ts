/** Commands about addresses, and what the kernel removes together with an address. */

import { readFile } from 'node:fs/promises'
import type { CallOptions } from '../../../generic-netlink/core.js'
import { SpecError } from '../../base/check.js'
import { ANY_ADDRESS, type RouteClient, type RouteCommand, type Verb } from '../client.js'
import { NO_LINKS, namesOf, readIndexes, readLinks, sendNamed } from '../link-names.js'
import {
  addressCommand, addressFields, keyOfAddress, nameOfAddress, networkOfAddress, readAddress,
  type AddressId, type AddressSpec, type AddressState,
} from './spec.js'
import { AddressTable } from './table.js'

/** All IPv4 and IPv6 addresses. Rejects with NetlinkError. */
export async function listAddresses(client: RouteClient, options?: CallOptions): Promise<AddressState[]> {
  const names = namesOf(await readLinks(client, options))
  const entries = await client.list('address', ANY_ADDRESS, {}, options)
  return entries.filter(({ header: { family } }) => family === 'inet' || family === 'inet6')
    .map(entry => readAddress(entry, names))
}

/** Sends the same command for several addresses. Rejects with NetlinkError. */
export const sendAddresses = (
  client: RouteClient, verb: Verb, specs: readonly AddressSpec[], options?: CallOptions,
): Promise<void> =>
  sendNamed(client, specs, ({ link }) => [link], (spec, names) => addressCommand(verb, spec, names), options)

/** Removes addresses alone: adds their secondaries again, removes the routes that they leave. */
export async function removeAddresses<R>(
  client: RouteClient, specs: readonly AddressId[],
  send: (verb: 'remove', specs: readonly AddressSpec[], options?: CallOptions) => Promise<R>, options?: CallOptions,
): Promise<R> {
  const all = await listAddresses(client, options)
  const before = new AddressTable(all)
  const outcomes = await send('remove', specs, options)
  const states = specs.flatMap(spec => before.get(spec) ?? [])
  const removed = new Set(states)
  const secondaries = states.flatMap(state => before.secondariesOf(state)).filter(state => !removed.has(state))
  if (secondaries.length > 0) { // no abort between here and the end
    const left = new AddressTable(await listAddresses(client))
    const lost = secondaries.filter(state => left.get(state) === undefined)
    await sendAddresses(client, 'add', lost.map(state => addressFields.settable(state)))
  }
  const others = all.filter(state => !removed.has(state))
  for (const state of states.filter(leavesRoutes)) await removeRoutes(client, state, others)
  return outcomes
}

/** Removes one address alone. Rejects with NetlinkError. */
export const removeAddress = (client: RouteClient, spec: AddressId, options?: CallOptions): Promise<void> =>
  removeAddresses(client, [spec], (verb, specs, more) => sendAddresses(client, verb, specs, more), options)

/** From a router's announcement (`IFAPROT_KERNEL_RA`): its routes are the router's. */
const ANNOUNCED = 2

/** Whether the kernel leaves its route, to expire: that of IPv6 addresses with a lifetime. */
const leavesRoutes = ({ family, lifetimes, noprefixroute, protocol, temporary }: AddressState): boolean =>
  family === 'inet6' && lifetimes.valid !== 'forever' && !noprefixroute && !temporary && protocol !== ANNOUNCED

/** `RT_TABLE_MAIN`, and the metric of the routes of IPv6 addresses (`IP6_RT_PRIO_ADDRCONF`). */
const MAIN = 254, ADDRCONF_METRIC = 256

/** Removes the kernel's routes to those networks of an address that no other of its link needs. */
async function removeRoutes(client: RouteClient, state: AddressState, all: readonly AddressState[]): Promise<void> {
  const networks = (each: AddressState): string[] =>
    [networkOfAddress(each), networkOfAddress({ ...each, peer: undefined })]
  const used = new Set(all.filter(other => other !== state && other.link === state.link).flatMap(networks))
  const { indexOf } = await readIndexes(client, [state.link], addressCommand('remove', state, NO_LINKS))
  const unused = [...new Set(networks(state))].filter(network => !used.has(network))
  const commands = unused.map((network): RouteCommand<'route'> => {
    const [dst, length] = network.split('/')
    return {
      kind: 'route', verb: 'remove', object: `route ${network} dev ${state.link}`,
      header: {
        family: 'inet6', dstLen: Number(length), srcLen: 0, tos: 0, table: MAIN, protocol: 'kernel', scope: 'nowhere',
        type: 'unspec', flags: {},
      },
      attributes: { dst, oif: indexOf(state.link), priority: state.metric ?? ADDRCONF_METRIC },
    }
  })
  await client.run(commands) // a route that is missing is no failure
}

/** Whether the kernel makes the first secondary the primary when the primary goes. */
async function promotes(link: string): Promise<boolean> {
  const values = await Promise.all(
    ['all', link].map(
      name => readFile(`/proc/sys/net/ipv4/conf/${name}/promote_secondaries`, 'latin1').catch(() => '0'),
    ),
  )
  return values.some(value => Number(value) !== 0)
}

/** @throws SpecError where the kernel would remove secondaries of other owners with it */
export async function checkRemoval(id: AddressId, actual: readonly AddressState[]): Promise<void> {
  const state = actual.find(other => keyOfAddress(other) === keyOfAddress(id))
  const secondaries = state ? new AddressTable(actual).secondariesOf(state).map(({ address }) => address) : []
  if (secondaries.length === 0 || await promotes(id.link)) return
  throw new SpecError('address', `the kernel would remove ${secondaries.join(', ')} with ${nameOfAddress(id)}; remove `
    + `${secondaries.length === 1 ? 'it' : 'them'} first, or set net.ipv4.conf.${id.link}.promote_secondaries to 1`)
}
