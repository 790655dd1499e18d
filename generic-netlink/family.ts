/** Generic netlink families: commands declared as a table, and called by name. */

import type { AttributeSet, Table } from './attributes.js'
import { Output, type Input } from './buffers.js'
import type { Infer } from './codec.js'
import type { Connection } from './connection.js'
import { controller, GENL_ID_CTRL, genlmsghdr, type FamilyAttributes } from './controller.js'
import { DecodeError, NetlinkError } from './errors.js'
import { logger } from './log.js'
import { unwrap, type CallOptions, type Request } from './request.js'
import { sequence, withItem, type Sequence } from './sequence.js'

const debug = logger('ipvs-nl:netlink')

/** A row of a family: the command's number, the attributes of the request, and the attributes of the reply. */
export type CommandRow = readonly [number: number, request: AttributeSet<Table>, reply?: AttributeSet<Table>]

/** Commands by name. The names are the kernel's, in camelCase. */
export type CommandTable = Readonly<Record<string, CommandRow>>

/** A declared family. */
export interface FamilyDeclaration<C extends CommandTable> {
  readonly name: string
  readonly version: number
  readonly commands: C
}

/** Declares a family. */
export function family<const C extends CommandTable>(name: string, version: number, commands: C): FamilyDeclaration<C> {
  return { name, version, commands }
}

/** The attributes of a command's request. */
export type Attributes<R extends CommandRow> = Infer<R[1]>

/** The attributes of a command's reply; undefined where its row has no reply. */
export type Reply<R extends CommandRow> = R extends readonly [number, AttributeSet<Table>, infer S] ? Infer<S> : undefined

/** A command of a batch: its name, its attributes, and the object for errors. */
export type Command<C extends CommandTable> = {
  [K in keyof C & string]: readonly [name: K, attributes: Attributes<C[K]>, object?: string]
}[keyof C & string]

/** Any command of any family. */
type AnyCommand = readonly [name: string, attributes: object, object?: string]

/** Options of one command. */
export interface CommandOptions extends CallOptions {
  /** The object, for errors and logs: `udp 192.168.50.100:53`. */
  readonly object?: string
}

/** Options of a dump. */
export interface DumpOptions<A, T> extends CommandOptions {
  /**
   * Makes a row of each answer; the dump resolves with the rows. A row that keeps little saves most
   * of a long listing's memory. The answer, with all objects in it, is valid until `map` returns: the
   * next answer may overwrite it. Where the table changes during a listing, the listing starts again.
   */
  readonly map?: (answer: Readonly<A>) => T
}

const NO_SIBLINGS = Object.freeze({})

/** The common part of all requests of one command. */
interface Kind {
  /** `IPVS newDest` */
  readonly name: string
  /** The family's id. */
  readonly type: number
  /** `struct genlmsghdr`, its four bytes as a little-endian number. */
  readonly header: number
  readonly request: Pick<AttributeSet<Table>, 'write'>
  readonly reply: AttributeSet<Table> | undefined
}

function kindOf({ name, version }: FamilyDeclaration<CommandTable>, id: number, command: string, [cmd, request, reply]: CommandRow): Kind {
  const header = new Output(genlmsghdr.size)
  genlmsghdr.write(header, { cmd, version, reserved: 0 }, NO_SIBLINGS)
  return { name: `${name} ${command}`, type: id, header: header.view.getInt32(0, true), request, reply }
}

/** The commands of a family that the kernel has. */
class Kinds {
  readonly #family: string
  readonly #byCommand: ReadonlyMap<string, Kind>

  constructor(family: FamilyDeclaration<CommandTable>, id: number) {
    this.#family = family.name
    this.#byCommand = new Map(Object.entries(family.commands).map(([command, row]) => [command, kindOf(family, id, command, row)]))
  }

  /** Returns the kind of a command. An unknown command fails when it is written, like a value that does not fit. */
  get(command: string): Kind {
    return this.#byCommand.get(command) ?? {
      name: `${this.#family} ${command}`, type: 0, header: 0, reply: undefined,
      request: { write: () => { throw new TypeError(`the family ${this.#family} has no command ${JSON.stringify(command)}`) } },
    }
  }
}

/** A command that the kernel acknowledges. */
class CommandRequest implements Request<unknown> {
  kind: Kind
  attributes: object
  object: string | undefined

  constructor(kind: Kind, attributes: object, object?: string) {
    this.kind = kind
    this.attributes = attributes
    this.object = object
  }

  get name(): string { return this.kind.name }
  get type(): number { return this.kind.type }

  write(to: Output): void {
    const at = to.take(genlmsghdr.size)
    to.view.setInt32(at, this.kind.header, true)
    this.kind.request.write(to, this.attributes, NO_SIBLINGS)
  }
}

/** A command that the kernel answers by a message, or by many. */
class QueryRequest extends CommandRequest {
  read(from: Input, at: number, length: number): unknown {
    return this.kind.reply!.read(from, at + genlmsghdr.size, this.size(length), NO_SIBLINGS)
  }

  /** Returns the number of bytes of an answer's attributes. @throws DecodeError */
  protected size(length: number): number {
    if (length < genlmsghdr.size) throw new DecodeError(`${this.name}: the answer has ${length} bytes, which is less than its header`)
    return length - genlmsghdr.size
  }
}

/** A command whose answers are mapped as they are read. */
class MappedRequest extends QueryRequest {
  readonly #map: (answer: object) => unknown

  constructor(kind: Kind, attributes: object, object: string | undefined, map: (answer: never) => unknown) {
    super(kind, attributes, object)
    this.#map = map as (answer: object) => unknown
  }

  override read(from: Input, at: number, length: number): unknown {
    return this.kind.reply!.visit(from, at + genlmsghdr.size, this.size(length), this.#map)
  }
}

/** The requests of a batch. One object serves all commands that the kernel only acknowledges. */
class CommandRequests implements Sequence<Request<unknown>> {
  readonly length: number
  readonly #commands: Sequence<AnyCommand>
  readonly #kinds: Kinds
  #shared: CommandRequest | undefined

  constructor(commands: Sequence<AnyCommand>, kinds: Kinds) {
    this.length = commands.length
    this.#commands = commands
    this.#kinds = kinds
  }

  each(send: (request: Request<unknown>) => boolean, from: number, to: number): void {
    this.#commands.each(command => send(this.#request(command)), from, to)
  }

  #request(command: AnyCommand): CommandRequest {
    const kind = this.#kinds.get(command[0])
    if (kind.reply) return new QueryRequest(kind, command[1], command[2])
    const shared = this.#shared ??= new CommandRequest(kind, command[1])
    shared.kind = kind
    shared.attributes = command[1]
    shared.object = command.length > 2 ? command[2] : undefined
    return shared
  }
}

const ENOENT = -2

const isUnknown = (outcome: PromiseSettledResult<unknown>): boolean =>
  outcome.status === 'rejected' && outcome.reason instanceof NetlinkError && outcome.reason.errno === ENOENT

/**
 * A family of the running kernel.
 *
 * Its id is valid until its module is unloaded; then every command answers ENOENT, as for a missing
 * object. So after an ENOENT the client looks the id up again and, where it is another one, repeats
 * the command.
 */
export class FamilyClient<C extends CommandTable> {
  readonly #connection: Connection
  readonly #family: FamilyDeclaration<C>
  #id: number
  #kinds: Kinds

  private constructor(connection: Connection, family: FamilyDeclaration<C>, id: number) {
    this.#connection = connection
    this.#family = family
    this.#id = id
    this.#kinds = new Kinds(family, id)
  }

  /** Finds a family by its name. The kernel loads the family's module on demand. Rejects with `ENOENT` where there is none. */
  static async find<C extends CommandTable>(connection: Connection, family: FamilyDeclaration<C>, options?: CallOptions): Promise<FamilyClient<C>> {
    const { familyId } = await describeFamily(connection, family.name, options)
    return new FamilyClient(connection, family, familyId!)
  }

  /** Runs one command. Rejects with NetlinkError. */
  async call<K extends keyof C & string>(
    command: K, attributes: Attributes<C[K]>, { signal, object }: CommandOptions = {},
  ): Promise<Reply<C[K]>> {
    return unwrap(await this.#batch([[command, attributes, object]], signal)) as Reply<C[K]>
  }

  /** Runs many commands, in order, in as few datagrams as possible. Resolves with the outcome of each; never rejects. */
  async batch(
    commands: readonly Command<C>[] | Sequence<Command<C>>, { signal }: CallOptions = {},
  ): Promise<PromiseSettledResult<Reply<C[keyof C]>>[]> {
    return await this.#batch(commands, signal) as PromiseSettledResult<Reply<C[keyof C]>>[]
  }

  /** Lists all objects that match the attributes. Rejects with NetlinkError. */
  async dump<K extends keyof C & string, T = Reply<C[K]>>(
    command: K, attributes: Attributes<C[K]>, { signal, object, map }: DumpOptions<Reply<C[K]>, T> = {},
  ): Promise<T[]> {
    const id = this.#id
    try {
      return await this.#list(command, attributes, object, map, signal) as T[]
    } catch (error) {
      if (!(error instanceof NetlinkError && error.errno === ENOENT && await this.#idChanged(id, signal))) throw error
      return await this.#list(command, attributes, object, map, signal) as T[]
    }
  }

  #list(command: string, attributes: object, object?: string, map?: (answer: never) => unknown, signal?: AbortSignal): Promise<unknown[]> {
    const kind = this.#kinds.get(command)
    const request = map ? new MappedRequest(kind, attributes, object, map) : new QueryRequest(kind, attributes, object)
    return this.#connection.dump(request, { signal })
  }

  async #batch(given: readonly AnyCommand[] | Sequence<AnyCommand>, signal?: AbortSignal): Promise<PromiseSettledResult<unknown>[]> {
    const commands = sequence(given)
    const run = (some: Sequence<AnyCommand>): Promise<PromiseSettledResult<unknown>[]> =>
      this.#connection.batch(new CommandRequests(some, this.#kinds), { signal })
    const id = this.#id
    const outcomes = await run(commands)
    if (!outcomes.some(isUnknown) || !await this.#idChanged(id, signal)) return outcomes
    const unknown = outcomes.flatMap((outcome, i) => isUnknown(outcome) ? [i] : [])
    const again = await run({
      length: unknown.length,
      each(send, from, to) { for (let i = from; i < to && withItem(commands, unknown[i]!, send); i++); },
    })
    return outcomes.map(outcome => isUnknown(outcome) ? again.shift()! : outcome)
  }

  /** Tells whether the family has another id than `from`: its module was loaded again, and its state is gone. */
  async #idChanged(from: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#id !== from) return true // another call has found out meanwhile
    try {
      const { familyId } = await describeFamily(this.#connection, this.#family.name, { signal })
      if (familyId === from) return false
      debug('the module of %s was loaded again: id %d became %d', this.#family.name, from, familyId)
      this.#id = familyId!
      this.#kinds = new Kinds(this.#family, familyId!)
      return true
    } catch (error) {
      debug('cannot look up the id of %s: %o', this.#family.name, error)
      return false
    }
  }
}

/** The family of families; its id is the same on every kernel. `CTRL_CMD_*` */
const controllerFamily = family('nlctrl', 2, { getFamily: [3, controller, controller] })

/** Describes a family: its id, version, commands and multicast groups. Rejects with `ENOENT` where there is no such family. */
export async function describeFamily(connection: Connection, name: string, { signal }: CallOptions = {}): Promise<FamilyAttributes> {
  const kind = kindOf(controllerFamily, GENL_ID_CTRL, 'getFamily', controllerFamily.commands.getFamily)
  const request = new QueryRequest(kind, { familyName: name }, name)
  const description = await connection.ask(request, { signal }) as FamilyAttributes
  if (description.familyId === undefined) throw new DecodeError(`the description of the family ${name} has no id`)
  return description
}
