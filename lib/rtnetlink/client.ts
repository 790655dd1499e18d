/** Conversations with rtnetlink: its messages, and the verbs that they stand for. */

import {
  Connection, DecodeError, NETLINK_ROUTE,
  type AttributeSet, type CallOptions, type ConnectionOptions, type Fixed, type Infer, type Input, type Request,
  type Table,
} from '../../generic-netlink/core.js'
import { openOptions } from '../base/check.js'
import { explainRefusal } from './explain.js'
import { address, ifaddrmsg } from './wire/address.js'
import { ifinfomsg, link } from './wire/link.js'
import { ndmsg, neighbour } from './wire/neighbour.js'
import { route, rtmsg } from './wire/route.js'

/** The messages about one kind of object. */
interface Kind<H, T extends Table> {
  readonly name: string
  /** `RTM_NEW…`; `RTM_DEL…` and `RTM_GET…` follow it. */
  readonly first: number
  readonly header: Fixed<H>
  readonly attributes: AttributeSet<T>
}

const kind = <H, T extends Table>(
  name: string, first: number, header: Fixed<H>, attributes: AttributeSet<T>,
): Kind<H, T> =>
  ({ name, first, header, attributes })

/** The kinds of objects: `RTM_NEWLINK`, `RTM_DELADDR`, … */
export const kinds = {
  link:      kind('link', 16, ifinfomsg, link),
  address:   kind('address', 20, ifaddrmsg, address),
  route:     kind('route', 24, rtmsg, route),
  neighbour: kind('neighbour', 28, ndmsg, neighbour),
  /** `RTM_NEWLINKPROP`: further names of links. */
  altName:   kind('altName', 108, ifinfomsg, link),
}

type Kinds = typeof kinds
/** The name of a kind of object. */
export type KindName = keyof Kinds
/** The fixed header of a kind's messages. */
export type Header<K extends KindName> = Infer<Kinds[K]['header']>
/** The attributes of a kind's messages. */
export type AttributesOf<K extends KindName> = Infer<Kinds[K]['attributes']>
/** An object on the wire. */
export interface Entry<K extends KindName> { header: Header<K>; attributes: AttributesOf<K> }

/** What a command does. Routes and neighbours know no `change`: only `replace`. */
export type Verb = 'add' | 'replace' | 'change' | 'append' | 'remove' | 'get'

const NLM_F_REPLACE = 0x100, NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_APPEND = 0x800
const NEW = 0, DELETE = 1, GET = 2

const VERBS: Readonly<Record<Verb, { offset: number; flags: number }>> = {
  add:     { offset: NEW, flags: NLM_F_CREATE | NLM_F_EXCL },
  replace: { offset: NEW, flags: NLM_F_CREATE | NLM_F_REPLACE },
  change:  { offset: NEW, flags: 0 },
  append:  { offset: NEW, flags: NLM_F_CREATE | NLM_F_APPEND },
  remove:  { offset: DELETE, flags: 0 },
  get:     { offset: GET, flags: 0 },
}

/** A command to rtnetlink. */
export interface RouteCommand<K extends KindName = KindName> {
  readonly kind: K
  readonly verb: Verb
  readonly header: Header<K>
  readonly attributes: AttributesOf<K>
  /** The object, for errors: `link tun0`. */
  readonly object: string
}

/** Reads an answer. @throws DecodeError */
export function readEntry<K extends KindName>(name: K, from: Input, at: number, length: number): Entry<K> {
  const { header, attributes } = kinds[name] as unknown as Kind<Header<K>, Table>
  if (length < header.size) {
    throw new DecodeError(`rtnetlink ${name}: the answer has ${length} bytes, and its header ${header.size}`)
  }
  return {
    header: header.read(from, at, header.size, {}),
    attributes: attributes.read(from, at + header.size, length - header.size, {}) as AttributesOf<K>,
  }
}

function requestOf<K extends KindName>(
  { kind: name, verb, header, attributes, object }: RouteCommand<K>,
): Request<Entry<K>> {
  const { first, header: head, attributes: set } = kinds[name] as unknown as Kind<Header<K>, Table>
  const { offset, flags } = VERBS[verb]
  return {
    name: `rtnetlink ${verb} ${name}`,
    object,
    type: first + offset,
    flags,
    write(to) {
      head.write(to, header, {})
      set.write(to, attributes, {})
    },
    ...offset === GET && {
      read: (from, at, length) => readEntry(name, from, at, length),
    },
  }
}

// ── headers that match all objects ──

export const ANY_ADDRESS = { family: 'unspec', prefixlen: 0, flags: 0, scope: 'global', index: 0 } as const
export const ANY_ROUTE = {
  family: 'unspec', dstLen: 0, srcLen: 0, tos: 0, table: 0, protocol: 'unspec', scope: 'global', type: 'unspec',
  flags: {},
} as const
export const ANY_NEIGHBOUR = { family: 'unspec', index: 0, state: {}, flags: {}, type: 'unspec' } as const

/** rtnetlink in this network namespace. Rejects with a NetlinkError that explains the refusal. */
export class RouteClient implements AsyncDisposable {
  readonly #connection: Connection

  constructor(options?: ConnectionOptions) { this.#connection = new Connection(NETLINK_ROUTE, options) }

  /** Opens a conversation. Rejects with the signal's reason where it is aborted. */
  static async open(given?: CallOptions & ConnectionOptions): Promise<RouteClient> {
    const { signal, ...options } = openOptions(given)
    signal?.throwIfAborted()
    return Promise.resolve(new RouteClient(options))
  }

  /** Lists objects of the header's family, or with attributes by which the kernel filters. */
  async list<K extends KindName>(
    name: K, header: Header<K>, attributes?: AttributesOf<K>, options?: CallOptions,
  ): Promise<Entry<K>[]> {
    const command: RouteCommand<K> = {
      kind: name, verb: 'get', header, attributes: attributes ?? {} as AttributesOf<K>, object: `${name}s`,
    }
    try { return await this.#connection.dump(requestOf(command), options) } catch (error) {
      throw explainRefusal(error, command)
    }
  }

  /** Reads one object. */
  async get<K extends KindName>(command: Omit<RouteCommand<K>, 'verb'>, options?: CallOptions): Promise<Entry<K>> {
    const request = { ...command, verb: 'get' } as RouteCommand<K>
    try { return await this.#connection.ask(requestOf(request), options) } catch (error) {
      throw explainRefusal(error, request)
    }
  }

  /** Sends commands in one datagram, in order. Resolves with the outcome of each, unexplained. */
  run(commands: readonly RouteCommand[], options?: CallOptions): Promise<PromiseSettledResult<unknown>[]> {
    return this.#connection.batch(commands.map(command => requestOf(command as RouteCommand<'link'>)), options)
  }

  /** Sends commands in one datagram. Rejects with the first refusal; the others are carried out. */
  async send(commands: readonly RouteCommand[], options?: CallOptions): Promise<void> {
    const outcomes = await this.run(commands, options)
    outcomes.forEach((outcome, i) => {
      if (outcome.status === 'rejected') throw explainRefusal(outcome.reason, commands[i]!)
    })
  }

  /** Closes the socket. */
  close(): void { this.#connection.close() }
  /** {@link RouteClient.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }
}

/** Opens rtnetlink, for the steps of a plan. */
export const openRtnetlink = (): RouteClient => new RouteClient()
