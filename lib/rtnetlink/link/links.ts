/** Links: network interfaces, and above all those that are made of software. */

import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { CallOptions, ConnectionOptions } from '../../../generic-netlink/index.js'
import { Session } from '../../plan/session.js'
import { Plan } from '../../plan/plan.js'
import { integer, interfaceName } from '../../base/check.js'
import { RouteClient } from '../client.js'
import { refusal } from '../explain.js'
import { checkKind, linkOf, listLinks, makeLink, normalizeLink, normalizeSettings, removeLink, setLink } from './commands.js'
import { normalizeParameters } from './kinds.js'
import type { LinkChanges, LinkSpec, LinkState } from './spec.js'
import { linkRemovals, linkSteps, parameterChange } from './steps.js'

export { linkRemovals, linkSteps }

/** Something that became of a link. */
export interface LinkChange {
  readonly action: 'add' | 'change' | 'remove'
  /** As it is now; when removed, as it was. */
  readonly link: LinkState
  /** As it was. */
  readonly before?: LinkState
}

/** Options of {@link Links.watch}. */
export interface LinkWatchOptions extends CallOptions {
  /** Milliseconds between two looks, 10 to 86400000. @defaultValue 1000 */
  readonly interval?: number
}

const ENODEV = -19

/**
 * The links of this host's network namespace.
 *
 * Every method rejects with a NetlinkError that says what was asked for which link and why the kernel refused it, and with a
 * TypeError or RangeError that names the field, before anything is sent, where a spec is wrong.
 *
 * @example
 * ```ts
 * import { Links } from 'ipvs-nl'
 *
 * await using links = await Links.open()
 * const plan = await links.plan([{ kind: 'ipip', name: 'tun0', local: '192.168.52.100' }])
 * console.log(`${plan}`) // + ip link add tun0 type ipip local 192.168.52.100
 * await plan.apply()     // again, it would be empty
 * ```
 */
export class Links implements AsyncDisposable {
  readonly #route: RouteClient

  private constructor(route: RouteClient) { this.#route = route }

  /** Opens a socket to the kernel. */
  static open(options?: ConnectionOptions): Promise<Links> {
    return Promise.resolve(new Links(new RouteClient(options)))
  }

  /** All links, with their counters. */
  list(options?: CallOptions): Promise<LinkState[]> { return listLinks(this.#route, options) }

  /** A link by its name, or by another that it goes by; undefined where there is none. */
  async get(name: string, options?: CallOptions): Promise<LinkState | undefined> {
    return (await this.list(options)).find(link => link.name === name || link.altNames.includes(name))
  }

  /**
   * Adds a link and sets it up. Rejects with `EEXIST` where it is there, and says whether its name is in the way or another
   * link's parameters. Where it cannot have what it is to have besides (a bridge, an alias), it is not there afterwards.
   */
  async add(spec: LinkSpec, options?: CallOptions): Promise<void> {
    const { name, kind, mtu, address, parameters, alias, master, up } = normalizeLink(spec)
    await makeLink(this.#route, { name, kind, parameters, ...mtu !== undefined && { mtu }, ...address !== undefined && { address } }, options)
    try {
      await setLink(this.#route, name, { ...alias !== undefined && { alias }, ...master != null && { master }, ...up === true && { up } }, options)
    } catch (error) {
      await removeLink(this.#route, name)
      throw error
    }
  }

  /**
   * Changes a link in place; what is left out stays. Rejects with `EOPNOTSUPP`, and says why, where the kernel can only make it anew,
   * which a plan does.
   */
  async change(name: string, changes: LinkChanges, options?: CallOptions): Promise<void> {
    interfaceName('name', name)
    const given = changes as Record<string, unknown>
    const settings = normalizeSettings('', given)
    const kind = given.kind === undefined ? undefined : checkKind('', given, given.kind)
    const parameters = kind === undefined ? {} : normalizeParameters('', kind, given, false)
    const state = await this.get(name, options)
    if (!state) throw refusal(ENODEV, { kind: 'link', deed: 'change', object: `link ${name}` }, 'there is no such link in this network namespace')
    const step = kind === undefined ? undefined : parameterChange(linkOf(state), kind, parameters)
    if (step) {
      await using session = new Session()
      await step.run(session, options)
    }
    if (Object.keys(settings).length > 0) await setLink(this.#route, state.name, settings, options)
  }

  /**
   * Removes a link, with its addresses and routes; of a `veth` pair both ends. Rejects with `EOPNOTSUPP` where the kernel keeps
   * it: `lo`, network cards, and `tunl0` and the like, of which the kernel itself says that they are gone.
   */
  async remove(name: string, options?: CallOptions): Promise<void> {
    await removeLink(this.#route, interfaceName('name', name), options)
  }

  /** What must change for these links to be there and as they are wanted; empty where they are. Others stay. */
  async plan(specs: readonly LinkSpec[], options?: CallOptions): Promise<Plan> {
    linkSteps(specs, []) // what is wrong in itself, before anything is sent
    return new Plan(linkSteps(specs, await this.list(options)))
  }

  /** What must change for these links not to be there; empty where none of them is. Undone, they are made again as they were. */
  async planRemoval(names: readonly string[], options?: CallOptions): Promise<Plan> {
    linkRemovals(names, [])
    return new Plan(linkRemovals(names, await this.list(options)))
  }

  /**
   * What becomes of links from now on, counters aside; runs until the signal aborts, and throws its reason then. It looks again and
   * again: the kernel's notifications could overrun the socket, which ends the process.
   */
  async* watch({ interval = 1_000, signal }: LinkWatchOptions = {}): AsyncGenerator<LinkChange, never, undefined> {
    integer('interval', interval, 10, 86_400_000)
    let before = await this.#snapshot(signal)
    for (;;) {
      signal?.throwIfAborted()
      await pause(interval, undefined, { signal }).catch(() => { signal?.throwIfAborted() })
      const now = await this.#snapshot(signal)
      for (const [index, link] of before) if (!now.has(index)) yield { action: 'remove', link }
      for (const [index, link] of now) {
        const was = before.get(index)
        if (!was) yield { action: 'add', link }
        else if (!isDeepStrictEqual(plain(was), plain(link))) yield { action: 'change', link, before: was }
      }
      before = now
    }
  }

  async #snapshot(signal: AbortSignal | undefined): Promise<Map<number, LinkState>> {
    return new Map((await this.list({ signal })).map(link => [link.index, link]))
  }

  /** Closes the socket; links stay. */
  close(): Promise<void> {
    this.#route.close()
    return Promise.resolve()
  }

  /** {@link Links.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}

/** What changes only when somebody changes it. */
const plain = ({ statistics: _, ...link }: LinkState): object => link
