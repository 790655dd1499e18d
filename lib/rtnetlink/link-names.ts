/** Links by name and by index: specs have names, the kernel's messages have indexes. */

import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import type { RouteClient, RouteCommand } from './client.js'
import { refuse, type Asked } from './explain.js'
import type { LinkAttributes } from './wire/link.js'

/** A lookup in both directions. */
export interface LinkNames {
  /** Its name; `if7`, as `ip` prints it, if it is gone or in another network namespace. */
  readonly nameOf: (index: number) => string
  /** The index of a link that a command names. */
  readonly indexOf: (name: string) => number
}

/** The header of messages that name a link by an attribute, or ask for all links. */
export const ANY_LINK = { family: 'unspec', type: 0, index: 0, flags: {}, change: {} } as const

/** Reads all links by their index. */
export async function readLinks(
  client: RouteClient, options?: CallOptions,
): Promise<ReadonlyMap<number, LinkAttributes>> {
  return new Map(
    (await client.list('link', ANY_LINK, {}, options)).map(({ header, attributes }) => [header.index, attributes]),
  )
}

/** The names of links that were read. */
export const namesOf = (links: ReadonlyMap<number, LinkAttributes>): LinkNames => ({
  nameOf: index => links.get(index)?.ifname ?? `if${index}`,
  indexOf: name => [...links].find(([, { ifname }]) => ifname === name)?.[0] ?? 0,
})

/** Reads the name of one link, by its index. */
export async function readNames(
  client: RouteClient, index: number | undefined, options?: CallOptions,
): Promise<LinkNames> {
  if (index === undefined) return NO_LINKS
  const request = { kind: 'link', header: { ...ANY_LINK, index }, attributes: {}, object: `link if${index}` } as const
  try { return namesOf(new Map([[index, (await client.get(request, options)).attributes]])) } catch (error) {
    if (error instanceof NetlinkError && error.code === 'ENODEV') return NO_LINKS // gone meanwhile
    throw error
  }
}

/** No names: for commands that only describe an object. */
export const NO_LINKS: LinkNames = namesOf(new Map())

/** Reads the indexes of links; those that are missing are left out. Rejects with NetlinkError. */
export async function findIndexes(
  client: RouteClient, names: Iterable<unknown>, options?: CallOptions,
): Promise<ReadonlyMap<string, number>> {
  const wanted = [...new Set(names)].filter(name => typeof name === 'string')
  const found = new Map<string, number>()
  await Promise.all(wanted.map(async ifname => {
    try {
      const { header } = await client.get(
        { kind: 'link', header: ANY_LINK, attributes: { ifname }, object: `link ${ifname}` }, options,
      )
      found.set(ifname, header.index)
    } catch (error) { if (!(error instanceof NetlinkError && error.code === 'ENODEV')) throw error }
  }))
  return found
}

/** The names of links by their indexes. */
export const namesFrom = (indexes: ReadonlyMap<string, number>): LinkNames =>
  ({ ...NO_LINKS, indexOf: name => indexes.get(name) ?? 0 })

/** Reads the indexes of a command's links. Rejects with `ENODEV`, as that command's failure. */
export async function readIndexes(
  client: RouteClient, names: Iterable<unknown>, asked: Asked, options?: CallOptions,
): Promise<LinkNames> {
  const wanted = [...names]
  const indexes = await findIndexes(client, wanted, options)
  const missing = wanted.find(name => typeof name === 'string' && !indexes.has(name))
  if (missing === undefined) return namesFrom(indexes)
  throw refuse('ENODEV', asked, `there is no link ${missing as string} in this network namespace`)
}

/** Sends a command for each object, in one datagram. Rejects with NetlinkError. */
export async function sendNamed<T>(
  client: RouteClient, objects: readonly T[], linksOf: (object: T) => readonly unknown[],
  commandOf: (object: T, names: LinkNames) => RouteCommand, options?: CallOptions,
): Promise<void> {
  const [first] = objects
  if (first === undefined) return
  const names = await readIndexes(client, objects.flatMap(linksOf), commandOf(first, NO_LINKS), options)
  await client.send(objects.map(object => commandOf(object, names)), options)
}
