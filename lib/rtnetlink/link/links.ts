/** Links: network interfaces, above all those made of software. */

import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/core.js'
import {
  abortSignal, boolean, callOptions, checkList, inRange, interfaceName, optionsOf, text,
} from '../../base/check.js'
import type { Values } from '../../base/field.js'
import { Resource, type ResourceKind } from '../../plan/resource.js'
import { openRtnetlink, RouteClient } from '../client.js'
import { refuse } from '../explain.js'
import { createLink, listLinks, objectOf, removeLink, setLink } from './commands.js'
import { kinds } from './kinds/index.js'
import { checkKind, linkOf, normalizeLink } from './link.js'
import { laterSettings, normalizeSettings } from './settings.js'
import type { LinkFilter, LinkPatch, LinkSpec, LinkState } from './spec.js'
import { changeSteps, linkRemovals, linkSteps } from './steps.js'

export { linkRemovals, linkSteps }

/** A link that was added, changed or removed. */
export interface LinkChange {
  readonly action: 'add' | 'change' | 'remove'
  /** The link now; a removed one as it was last. */
  readonly link: LinkState
  /** The link before a change. */
  readonly before?: LinkState
}

/** Options of {@link Links.watch}. */
export interface LinkWatchOptions extends CallOptions {
  /** Milliseconds between two listings, 10 to 86400000. @defaultValue 1000 */
  readonly interval?: number
}

const watchOptions = optionsOf<LinkWatchOptions>({ signal: abortSignal, interval: inRange(10, 86_400_000) })

/** Adds a link and sets it up. Removes it again where a setting (a bridge, an alias) is refused. */
async function addLink(client: RouteClient, spec: LinkSpec, options?: CallOptions): Promise<void> {
  const { name, alias, master, up, ...link } = normalizeLink(spec)
  await createLink(client, { name, ...link }, options)
  try { await setLink(client, name, laterSettings({ alias, master, up }), options) } catch (error) {
    await removeLink(client, name)
    throw error
  }
}

const linkKind: ResourceKind<RouteClient, LinkSpec, string, LinkState, LinkFilter, LinkPatch> = {
  plural: 'links',
  open: openRtnetlink,
  filter: optionsOf<LinkFilter>({ kind: text, master: text, up: boolean }, 'filter'),
  async list(client, { kind, master, up }, options) {
    return (await listLinks(client, options)).filter(link => (kind === undefined || link.kind === kind)
      && (master === undefined || link.master === master) && (up === undefined || link.up === up))
  },
  finder(actual) {
    const links = new Map(actual.flatMap(link => [link.name, ...link.altNames].map(name => [name, link])))
    return name => links.get(text('name', name))
  },
  idOf: ({ name }) => name,
  missing: (verb, name) =>
    refuse('ENODEV', { kind: 'link', verb, object: objectOf(name) }, 'there is no such link in this network namespace'),
  check(spec, path) { normalizeLink(spec, path) },
  async add(client, specs, options) { for (const spec of specs) await addLink(client, spec, options) },
  changes(patch, state) {
    interfaceName('name', patch.name)
    const values = patch as unknown as Values
    const wanted = normalizeSettings('', values)
    const kind = values.kind === undefined ? undefined : checkKind('', values)
    const parameters = kind === undefined ? {} : kinds[kind].fields.pick(values)
    return state ? changeSteps(linkOf(state), kind, parameters as Values, wanted) : []
  },
  replacement: (spec, actual) => linkSteps([spec], actual),
  steps: linkSteps,
  async remove(client, names, _, options) { for (const name of names) await removeLink(client, name, options) },
  removals: linkRemovals,
}

/**
 * The links of this host's network namespace.
 *
 * - `add` also sets the link up. Its `EEXIST` says whether the name is taken or another link has
 *   the same parameters.
 * - `change` rejects with `EOPNOTSUPP`, and says why, where the kernel can only add the link again,
 *   which `replace` and plans do.
 * - `remove` removes the link's addresses and routes with it, and both ends of a `veth` pair. It
 *   rejects with `EOPNOTSUPP` for links that the kernel keeps: `lo`, network cards, and `tunl0` and
 *   the like, which the kernel itself reports as removed.
 * - `get` also finds links by their alternative names.
 *
 * @example
 * ```ts
 * import { Links } from 'ipvs-nl'
 *
 * await using links = await Links.open()
 * const plan = await links.plan([{ kind: 'ipip', name: 'tun0', local: '192.168.52.100' }])
 * console.log(`${plan}`) // + ip link add tun0 type ipip local 192.168.52.100
 * await plan.apply()     // planned again, it is empty
 * ```
 */
export class Links extends Resource<RouteClient, LinkSpec, string, LinkState, LinkFilter, LinkPatch> {
  /** Opens a socket to the kernel. */
  static async open(options?: CallOptions & ConnectionOptions): Promise<Links> {
    return new Links(linkKind, await RouteClient.open(options))
  }

  /** Removes links, also of kinds that cannot be added here. Rejects with NetlinkError. */
  override async remove(names: string | readonly string[], options?: CallOptions): Promise<void> {
    const list = typeof names === 'string' ? [names] : checkList('names', names) as readonly string[]
    for (const name of list) interfaceName('name', name)
    const call = callOptions(options)
    for (const name of list) await removeLink(this.client, name, call)
  }

  /**
   * Yields each link that is added, changed or removed, counters aside, until the signal aborts;
   * then it throws the signal's reason. It lists the links again and again: notifications of the
   * kernel could overrun the socket, which ends the process.
   */
  watch(options?: LinkWatchOptions): AsyncGenerator<LinkChange, never, undefined> {
    return this.#watch(watchOptions(options))
  }

  async* #watch({ interval = 1_000, signal }: LinkWatchOptions): AsyncGenerator<LinkChange, never, undefined> {
    let before = await this.#snapshot(signal)
    for (;;) {
      signal?.throwIfAborted()
      await pause(interval, undefined, { signal }).catch(() => { signal?.throwIfAborted() })
      const now = await this.#snapshot(signal)
      for (const [index, link] of before) if (!now.has(index)) yield { action: 'remove', link }
      for (const [index, link] of now) {
        const old = before.get(index)
        if (!old) yield { action: 'add', link }
        else if (!isDeepStrictEqual(withoutCounters(old), withoutCounters(link))) {
          yield { action: 'change', link, before: old }
        }
      }
      before = now
    }
  }

  async #snapshot(signal: AbortSignal | undefined): Promise<Map<number, LinkState>> {
    return new Map((await this.list({}, { signal })).map(link => [link.index, link]))
  }
}

const withoutCounters = ({ statistics: _, ...link }: LinkState): object => link
