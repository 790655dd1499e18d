/**
 * What stands on a link: addresses, routes, neighbours, forwarding entries, ports, sysctls, names.
 * The kernel removes all of it with the link. It is read before, in the kernel's own form, and
 * given back to the link that takes the place.
 */

import { readdir, readFile, writeFile } from 'node:fs/promises'
import { NetlinkError, type CallOptions } from '../../../generic-netlink/core.js'
import { defined } from '../../base/field.js'
import {
  ANY_ADDRESS, ANY_NEIGHBOUR, ANY_ROUTE, type Entry, type KindName, type RouteClient, type RouteCommand, type Verb,
} from '../client.js'
import { explainRefusal } from '../explain.js'
import { ANY_LINK } from '../link-names.js'

/** What stood on a link. Indexes in its entries are those of the link, which stay. */
export interface Standing {
  readonly name: string
  readonly link: Entry<'link'>
  readonly ports: readonly Entry<'link'>[]
  readonly addresses: readonly Entry<'address'>[]
  readonly routes: readonly Entry<'route'>[]
  readonly neighbours: readonly Entry<'neighbour'>[]
  /** Texts of sysctls by their paths. */
  readonly sysctls: ReadonlyMap<string, string>
}

/** `RTM_F_CLONED`, and `RT_TABLE_LOCAL`. */
const CLONED = 9, LOCAL = 255

/** Reads what stands on a link; undefined where there is none. Rejects with NetlinkError. */
export async function readStanding(
  client: RouteClient, name: string, options?: CallOptions,
): Promise<Standing | undefined> {
  const links = await client.list('link', ANY_LINK, {}, options)
  const link = links.find(({ attributes }) => attributes.ifname === name)
  if (!link) return undefined
  const { index } = link.header
  const addresses = (await client.list('address', ANY_ADDRESS, {}, options)).filter(each => stays(each, index))
  const own = new Set(addresses.map(({ attributes: { local, address } }) => local ?? address))
  const macs = new Set(links.map(({ attributes }) => attributes.address).filter(mac => !isZero(mac)))
  const listings = [ANY_NEIGHBOUR, { ...ANY_NEIGHBOUR, flags: { proxy: true } }, { ...ANY_NEIGHBOUR, family: 'bridge' }]
  const neighbours: Entry<'neighbour'>[] = []
  for (const header of listings) {
    neighbours.push(...(await client.list('neighbour', header as typeof ANY_NEIGHBOUR, {}, options))
      .filter(each => (each.header.index === index || each.attributes.master === index) && isSet(each, link, macs)))
  }
  return {
    name, link, addresses, neighbours,
    ports: links.filter(({ attributes }) => attributes.master === index),
    routes: (await client.list('route', ANY_ROUTE, {}, options)).filter(route => isOn(route, index, own)),
    sysctls: await readSysctls(name),
  }
}

const isZero = (mac = ''): boolean => /^[0:]*$/.test(mac)

/** Whether an address is the link's, and no temporary one, which the kernel makes by itself. */
const stays = ({ header, attributes: { flags } }: Entry<'address'>, index: number): boolean =>
  header.index === index && !(header.family === 'inet6' && flags?.secondary === true)

/** Whether a route goes with a link or its addresses, and does not come with them. */
function isOn(
  { header, attributes: { oif, multipath, prefsrc, table = header.table } }: Entry<'route'>, index: number,
  addresses: ReadonlySet<string | undefined>,
): boolean {
  if (table === LOCAL || header.protocol === 'kernel' || header.protocol === 'ra') return false
  if (header.family !== 'inet' && header.family !== 'inet6') return false
  if (header.flags[CLONED]) return false
  return oif === index || multipath?.some(hop => hop.index === index) === true
    || (prefsrc !== undefined && addresses.has(prefsrc))
}

/** Whether somebody set an entry: the kernel learns the others, or makes them with the link. */
function isSet(
  { header, attributes: { lladdr, dst, vni } }: Entry<'neighbour'>, link: Entry<'link'>, macs: ReadonlySet<unknown>,
): boolean {
  const { state, flags } = header
  if (flags.proxy) return true
  if (lladdr === undefined || lladdr === '' || !(state.permanent || state.noarp || flags.extLearned)) return false
  const group = (parseInt(lladdr, 16) & 1) === 1
  if (header.family !== 'bridge') return !group
  const { remote, group: to } = (link.attributes.linkinfo?.data ?? {}) as { remote?: string; group?: string }
  const byDefault = dst !== undefined && vni === undefined && isZero(lladdr) && [remote, to].includes(dst)
  return !byDefault && !macs.has(lladdr) && !(group && dst === undefined)
}

// ── sysctls ──

const DIRECTORIES = ['ipv4/conf', 'ipv6/conf', 'ipv4/neigh', 'ipv6/neigh']
const textOf = (path: string): Promise<string | undefined> => readFile(path, 'latin1').catch(() => undefined)

async function readSysctls(name: string): Promise<ReadonlyMap<string, string>> {
  const texts = new Map<string, string>()
  for (const directory of DIRECTORIES.map(each => `/proc/sys/net/${each}/${name}`)) {
    const keys = await readdir(directory).catch(() => [])
    // A secret also sets the mode in which it is used.
    for (const key of keys.toSorted((a, b) => Number(a === 'addr_gen_mode') - Number(b === 'addr_gen_mode'))) {
      const path = `${directory}/${key}`, text = await textOf(path)
      if (text !== undefined) texts.set(path, text)
    }
  }
  return texts
}

/** Sets the sysctls that differ. A link of another kind lacks some; some can only be read. */
async function restoreSysctls(sysctls: ReadonlyMap<string, string>): Promise<void> {
  for (const [path, text] of sysctls) {
    const now = await textOf(path)
    if (now !== undefined && now !== text) await writeFile(path, text).catch(() => undefined)
  }
}

// ── giving back ──

const changing = (name: string, index: number, attributes: Entry<'link'>['attributes']): RouteCommand =>
  ({ kind: 'link', verb: 'change', object: `link ${name}`, header: { ...ANY_LINK, index }, attributes })

const commandsOf = <K extends KindName>(
  kind: K, verb: Verb, what: string, entries: readonly Entry<K>[],
): RouteCommand[] => entries.map(({ header, attributes }) =>
  ({ kind, verb, header, attributes, object: what }))

/** A route in a form that can be set again: that a next hop is dead is no order. */
function settableRoute({ header, attributes }: Entry<'route'>): Entry<'route'> {
  const { onlink } = header.flags
  const multipath = attributes.multipath?.map(hop => ({ ...hop, flags: hop.flags.onlink ? { onlink: true } : {} }))
  return { header: { ...header, flags: onlink ? { onlink } : {} }, attributes: defined({ ...attributes, multipath }) }
}

/** The same route without its nexthop object, which went with the link. */
const withoutObject = ({ header, attributes: { nhId: _, ...attributes } }: Entry<'route'>): Entry<'route'> =>
  ({ header, attributes })

/** A forwarding entry names its owner by a flag. */
function settableNeighbour({ header, attributes }: Entry<'neighbour'>): Entry<'neighbour'> {
  if (header.family !== 'bridge') return { header, attributes }
  const { master, ...others } = attributes
  const owner = master === undefined || master === header.index ? { self: true } : { master: true }
  return { header: { ...header, flags: { ...header.flags, ...owner } }, attributes: others }
}

/**
 * Gives back what stood on a link to the link that has its name and index now. Rejects with the
 * first refusal; the others are given back. Routes come back only to a link that is up.
 */
export async function restoreStanding(
  client: RouteClient, standing: Standing, options?: CallOptions,
): Promise<void> {
  const { name, link, ports, addresses, routes, neighbours, sysctls } = standing
  const { index } = link.header
  const { txqlen, group, propList = [] } = link.attributes
  const now = (await client.list('link', ANY_LINK, {}, options)).find(({ attributes }) => attributes.ifname === name)
  if (!now) return // the other end of a pair, which the new link does not have
  await restoreSysctls(sysctls)
  const missing = propList.filter(each => now.attributes.propList?.includes(each) !== true)
  const up = now.header.flags.up === true
  const settable = routes.map(settableRoute)
  const direct = (route: Entry<'route'>): boolean =>
    (route.attributes.gateway ?? route.attributes.via ?? route.attributes.multipath) === undefined
  const groups: RouteCommand[][] = [
    [
      changing(name, index, defined({ txqlen, group })),
      ...missing.map((altName): RouteCommand => ({
        kind: 'altName', verb: 'add', object: `name ${altName}`, header: { ...ANY_LINK, index },
        attributes: { propList: [altName] },
      })),
      ...ports.map(({ header, attributes: { ifname = '' } }) => changing(ifname, header.index, { master: index })),
    ],
    commandsOf('address', 'replace', `the addresses of ${name}`, addresses),
    // A gateway is reached by another route.
    ...up ? [
      commandsOf('route', 'append', `the routes of ${name}`, settable.filter(direct)),
      commandsOf('route', 'append', `the routes of ${name}`, settable.filter(route => !direct(route))),
    ] : [],
    commandsOf('neighbour', 'replace', `the neighbours of ${name}`, neighbours.map(settableNeighbour)
      .filter(({ attributes }) => !isMany(attributes))),
    commandsOf('neighbour', 'append', `the forwarding entries of ${name}`, neighbours.map(settableNeighbour)
      .filter(({ attributes }) => isMany(attributes))),
  ]
  const failed: unknown[] = []
  for (const commands of groups.filter(({ length }) => length > 0)) {
    const outcomes = await client.run(commands, options)
    for (const [i, outcome] of outcomes.entries()) {
      if (outcome.status === 'fulfilled' || isThere(outcome.reason)) continue
      const command = commands[i]!
      const again = command.kind === 'route' && (command.attributes as Entry<'route'>['attributes']).nhId !== undefined
        ? commandsOf('route', 'append', command.object, [withoutObject(command as unknown as Entry<'route'>)]) : []
      const [second] = again.length > 0 ? await client.run(again, options) : []
      if (second?.status !== 'fulfilled') failed.push(explainRefusal(outcome.reason, command))
    }
  }
  if (failed.length > 0) throw failed[0]
}

/** Whether a forwarding entry's address can have many destinations. */
const isMany = ({ lladdr = '', dst }: Entry<'neighbour'>['attributes']): boolean =>
  dst !== undefined && (isZero(lladdr) || (parseInt(lladdr, 16) & 1) === 1)

const isThere = (error: unknown): boolean => error instanceof NetlinkError && error.code === 'EEXIST'
