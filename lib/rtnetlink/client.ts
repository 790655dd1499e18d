/** rtnetlink's conversation: objects of four kinds, each added, changed, removed, read and listed in the same way. */

import {
  Connection, NETLINK_ROUTE,
  type AttributeSet, type CallOptions, type ConnectionOptions, type Fixed, type Infer, type Request, type Table,
} from '../../generic-netlink/index.js'
import { address, ifaddrmsg, ifinfomsg, link, ndmsg, neighbour, route, rtmsg } from './wire/tables.js'

/** A kind of object: what its messages are called in the kernel, and what they hold. */
interface Kind<H, T extends Table> {
  readonly name: string
  /** `RTM_NEW…`; `RTM_DEL…` and `RTM_GET…` follow it. */
  readonly first: number
  readonly header: Fixed<H>
  readonly attributes: AttributeSet<T>
}

const kind = <H, T extends Table>(name: string, first: number, header: Fixed<H>, attributes: AttributeSet<T>): Kind<H, T> =>
  ({ name, first, header, attributes })

/** The kinds, by the name of their messages: `RTM_NEWLINK`, `RTM_DELADDR`, … */
export const kinds = {
  link:      kind('link', 16, ifinfomsg, link),
  address:   kind('address', 20, ifaddrmsg, address),
  route:     kind('route', 24, rtmsg, route),
  neighbour: kind('neighbour', 28, ndmsg, neighbour),
}

type Kinds = typeof kinds
/** A kind's name. */
export type KindName = keyof Kinds
/** The fixed header of a kind's messages. */
export type Header<K extends KindName> = Infer<Kinds[K]['header']>
/** The attributes of a kind's messages. */
export type AttributesOf<K extends KindName> = Infer<Kinds[K]['attributes']>
/** An object, as the wire has it. */
export interface Entry<K extends KindName> { header: Header<K>; attributes: AttributesOf<K> }

/** What is done with an object. `change` and `replace` differ where the kernel does: routes and neighbours know only the latter. */
export type Deed = 'add' | 'replace' | 'change' | 'append' | 'remove' | 'get'

const NLM_F_REPLACE = 0x100, NLM_F_EXCL = 0x200, NLM_F_CREATE = 0x400, NLM_F_APPEND = 0x800
const NEW = 0, DELETE = 1, GET = 2

const DEEDS: Readonly<Record<Deed, { offset: number; flags: number }>> = {
  add:     { offset: NEW, flags: NLM_F_CREATE | NLM_F_EXCL },
  replace: { offset: NEW, flags: NLM_F_CREATE | NLM_F_REPLACE },
  change:  { offset: NEW, flags: 0 },
  append:  { offset: NEW, flags: NLM_F_CREATE | NLM_F_APPEND },
  remove:  { offset: DELETE, flags: 0 },
  get:     { offset: GET, flags: 0 },
}

/** A command to rtnetlink, ready to be sent. */
export interface RouteCommand<K extends KindName = KindName> {
  readonly kind: K
  readonly deed: Deed
  readonly header: Header<K>
  readonly attributes: AttributesOf<K>
  /** What it is about, for errors: `link tun0`. */
  readonly object: string
}

function request<K extends KindName>(name: K, deed: Deed, header: Header<K>, attributes: AttributesOf<K>, object?: string): Request<Entry<K>> {
  const { first, header: head, attributes: set } = kinds[name] as unknown as Kind<Header<K>, Table>
  const { offset, flags } = DEEDS[deed]
  return {
    name: `rtnetlink ${deed} ${name}`,
    ...object !== undefined && { object },
    type: first + offset,
    flags,
    write(to) {
      head.write(to, header, {})
      set.write(to, attributes, {})
    },
    ...offset === GET && {
      read: (from, at, length) => ({
        header: head.read(from, at, head.size, {}),
        attributes: set.read(from, at + head.size, length - head.size, {}) as AttributesOf<K>,
      }),
    },
  }
}

/** rtnetlink in this network namespace. */
export class RouteClient implements AsyncDisposable {
  readonly #connection: Connection

  constructor(options?: ConnectionOptions) { this.#connection = new Connection(NETLINK_ROUTE, options) }

  /** Lists the objects of a kind that match the header's family, or the attributes that the kernel filters by. Rejects with NetlinkError. */
  list<K extends KindName>(name: K, header: Header<K>, attributes?: AttributesOf<K>, options?: CallOptions): Promise<Entry<K>[]> {
    return this.#connection.dump(request(name, 'get', header, attributes ?? {} as AttributesOf<K>), options)
  }

  /** Reads one object. Rejects with NetlinkError. */
  get<K extends KindName>(
    name: K, header: Header<K>, attributes: AttributesOf<K>, { object, ...options }: CallOptions & { object?: string } = {},
  ): Promise<Entry<K>> {
    return this.#connection.ask(request(name, 'get', header, attributes, object), options)
  }

  /** Adds, changes or removes objects, in order, together. Resolves with the outcome of each. */
  run(commands: readonly RouteCommand[], options?: CallOptions): Promise<PromiseSettledResult<unknown>[]> {
    const requests = commands.map(({ kind, deed, header, attributes, object }) => request(kind, deed, header as never, attributes as never, object))
    return this.#connection.batch(requests, options)
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
