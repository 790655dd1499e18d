/** Commands about links, and the errors that the kernel does not report. */

import { NetlinkError, type CallOptions } from '../../../generic-netlink/core.js'
import { defined } from '../../base/field.js'
import type { RouteClient, RouteCommand } from '../client.js'
import { explainRefusal, refuse } from '../explain.js'
import { ANY_LINK, namesOf, readIndexes, readNames, type LinkNames } from '../link-names.js'
import type { LinkAttributes } from '../wire/link.js'
import { reasonOfExistence } from './conflicts.js'
import { FALLBACKS, isKind, kinds } from './kinds/index.js'
import { readLink, type Link } from './link.js'
import { settings, type Settings } from './settings.js'
import type { LinkState } from './spec.js'

/** The object of a command, for errors. */
export const objectOf = (name: string): string => `link ${name}`

/** All links of this network namespace. Rejects with NetlinkError. */
export async function listLinks(client: RouteClient, options?: CallOptions): Promise<LinkState[]> {
  const entries = await client.list('link', ANY_LINK, {}, options)
  const names = namesOf(new Map(entries.map(({ header, attributes }) => [header.index, attributes])))
  return entries.map(entry => readLink(entry, names))
}

/** The attribute for a link's kind and parameters: all parameters, or only the named ones. */
function linkInfo(
  { kind, parameters }: Pick<Link, 'kind' | 'parameters'>, names: LinkNames, only?: readonly string[],
): NonNullable<LinkAttributes['linkinfo']> {
  if (!isKind(kind)) throw new TypeError(`links of kind ${kind ?? 'none'} cannot be added`)
  const { fields } = kinds[kind]
  return { kind, ...fields.names.length > 0 && { data: fields.write({}, parameters, { ...names, link: {} }, only) } }
}

/** Adds a link: down, no master, no alias. Rejects with the cause of `EEXIST`. */
export async function createLink(client: RouteClient, link: Link, options?: CallOptions): Promise<void> {
  const { name, kind, mtu, address, parameters, index = 0 } = link
  const asked = { kind: 'link', verb: 'add', object: objectOf(name), attributes: { linkinfo: { kind } } } as const
  const names = await readIndexes(client, [parameters.link], asked, options)
  const command: RouteCommand<'link'> = {
    ...asked,
    header: { ...ANY_LINK, index },
    attributes: defined({ ifname: name, mtu, address, linkinfo: linkInfo(link, names) }),
  }
  const [outcome] = await client.run([command], options)
  if (outcome?.status !== 'rejected') return
  throw explainRefusal(outcome.reason, command, await reasonFor(client, link, outcome.reason, options))
}

/** The reason of the two refusals whose cause the links that exist, or the kind, show. */
async function reasonFor(
  client: RouteClient, link: Link, error: unknown, options?: CallOptions,
): Promise<string | undefined> {
  if (!(error instanceof NetlinkError)) return undefined
  if (error.code === 'EEXIST') return reasonOfExistence(link, await listLinks(client, options))
  if (error.code !== 'EOPNOTSUPP' || !isKind(link.kind)) return undefined
  return `the kernel has no links of kind ${link.kind} (modprobe ${kinds[link.kind].module} says why), or not`
    + ' all of the requested parameters'
}

/** Changes parameters in place, with a tunnel's MTU: the kernel would compute another one. */
export async function changeParameters(
  client: RouteClient, link: Link, changed: readonly string[], options?: CallOptions,
): Promise<void> {
  const { name, kind, mtu, parameters } = link
  const asked = { kind: 'link', verb: 'change', object: objectOf(name), attributes: { linkinfo: { kind } } } as const
  const names = await readIndexes(client, [parameters.link], asked, options)
  const only = isKind(kind) && kinds[kind].changes === 'some' ? changed : undefined
  await client.send([{
    ...asked, header: ANY_LINK,
    attributes: defined({
      ifname: name, mtu: only === undefined ? mtu : undefined, linkinfo: linkInfo(link, names, only),
    }),
  }], options)
}

/** Reads the settings of a link. Rejects with NetlinkError. */
export async function readSettings(client: RouteClient, name: string, options?: CallOptions): Promise<Settings> {
  const entry = await client.get(
    { kind: 'link', header: ANY_LINK, attributes: { ifname: name }, object: objectOf(name) }, options)
  const names = await readNames(client, entry.attributes.master, options)
  return settings.complete(settings.read(entry, { ...names, link: entry.attributes }))
}

/** Changes settings. */
export async function setLink(
  client: RouteClient, name: string, wanted: Settings, options?: CallOptions,
): Promise<void> {
  const asked = { kind: 'link', verb: 'change', object: objectOf(name) } as const
  const names = await readIndexes(client, [wanted.master], asked, options)
  const entry = settings.write(
    { header: { ...ANY_LINK }, attributes: { ifname: name } }, wanted, { ...names, link: {} },
  )
  await client.send([{ ...asked, ...entry }], options)
}

/**
 * Removes a link and checks that it is gone: for its own links the kernel says OK, and keeps them.
 * Rejects with NetlinkError.
 */
export async function removeLink(client: RouteClient, name: string, options?: CallOptions): Promise<void> {
  const command = { kind: 'link', header: ANY_LINK, attributes: { ifname: name }, object: objectOf(name) } as const
  const [outcome, reading] = await client.run([{ ...command, verb: 'remove' }, { ...command, verb: 'get' }], options)
  const removal = { ...command, verb: 'remove' } as const
  if (outcome?.status === 'rejected') throw explainRefusal(outcome.reason, removal)
  if (reading?.status !== 'fulfilled') return
  const own = FALLBACKS.has(name) ? ': it is the kernel\'s own link, for packets that belong to no other link' : ''
  throw refuse('EOPNOTSUPP', removal,
    `the kernel said OK and kept it, for as long as the module of its kind is loaded${own}; set it down instead`)
}
