/** Generic netlink families: commands declared once, as a table, and called by name. */

import type { AttributeSet, Table } from './attributes.js'
import { Output, type Input } from './buffers.js'
import type { Infer } from './codec.js'
import type { Connection } from './connection.js'
import { controller, GENL_ID_CTRL, genlmsghdr, type FamilyAttributes } from './controller.js'
import { DecodeError, NetlinkError } from './errors.js'
import { logger } from './log.js'
import { unwrap, type CallOptions, type Outcome, type Request, type Requests } from './request.js'

const debug = logger('ipvs-nl:netlink')

/** One line of a family: the command's number, what it takes, and what it answers. */
export type CommandRow = readonly [number: number, request: AttributeSet<Table>, reply?: AttributeSet<Table>]

/** Commands by name. The names are the kernel's, in camelCase. */
export type CommandTable = Readonly<Record<string, CommandRow>>

/** A declared family. */
export interface Family<C extends CommandTable> {
  readonly name: string
  readonly version: number
  readonly commands: C
}

/** Declares a family. */
export function family<const C extends CommandTable>(name: string, version: number, commands: C): Family<C> {
  return { name, version, commands }
}

/** What a command takes. */
export type Attributes<R extends CommandRow> = Infer<R[1]>

/** What a command answers; nothing, where its row names no reply. */
export type Reply<R extends CommandRow> = R extends readonly [number, AttributeSet<Table>, infer S] ? Infer<S> : undefined

/** A command of a batch: its name, its attributes, and what it is about, for errors. */
export type Command<C extends CommandTable> = { [K in keyof C & string]: readonly [name: K, attributes: Attributes<C[K]>, object?: string] }[keyof C & string]

/** What makes each of many commands when it is sent, so that they are never in memory whole. */
export interface CommandSource<C extends CommandTable> {
  /** How many they are. */
  readonly length: number
  /** The command of this index, from 0. It holds until the next is asked for, and may be asked for again: for its error, or to be repeated. */
  at(index: number): Command<C> | undefined
}

type AnyCommand = readonly [name: string, attributes: object, object?: string]
type AnyCommands = readonly AnyCommand[] | { readonly length: number; at(index: number): AnyCommand | undefined }

/** Options of a dump. */
export interface DumpOptions<A, T> extends CommandOptions {
  /**
   * Makes of each answer, as it is read, what the dump resolves with. Dropping here what is not needed saves most of
   * a long listing's memory and much of its time. The answer is lent, with all within: the next one is written over it.
   * A listing that was disturbed begins anew.
   */
  readonly map?: (answer: Readonly<A>) => T
}

/** Options of one command. */
export interface CommandOptions extends CallOptions {
  /** The object it is about, for errors and logs: `udp 192.168.50.100:53`. */
  readonly object?: string
}

/** What all requests of one command have in common, so that a batch of many is little in memory. */
interface Kind {
  /** `IPVS newDest` */
  readonly name: string
  /** The family's id. */
  readonly type: number
  /** `struct genlmsghdr`, its four bytes as a little-endian number: the same before all of them. */
  readonly header: number
  readonly request: Pick<AttributeSet<Table>, 'write'>
  readonly reply: AttributeSet<Table> | undefined
}

function kindOf({ name, version }: Family<CommandTable>, id: number, command: string, [cmd, request, reply]: CommandRow): Kind {
  const header = new Output(genlmsghdr.size)
  genlmsghdr.write(header, { cmd, version, reserved: 0 }, NO_SIBLINGS)
  return { name: `${name} ${command}`, type: id, header: header.view.getInt32(0, true), request, reply }
}

const NO_SIBLINGS = Object.freeze({})

/** The commands of a family that was found. */
class Kinds {
  readonly #family: string
  readonly #byCommand: ReadonlyMap<string, Kind>

  constructor(family: Family<CommandTable>, id: number) {
    this.#family = family.name
    this.#byCommand = new Map(Object.entries(family.commands).map(([command, row]) => [command, kindOf(family, id, command, row)]))
  }

  /** One that is in no table is refused when it should be written, like what cannot be encoded. */
  get(command: string): Kind {
    return this.#byCommand.get(command) ?? {
      name: `${this.#family} ${command}`, type: 0, header: 0, reply: undefined,
      request: { write: () => { throw new TypeError(`the family ${this.#family} has no command ${JSON.stringify(command)}`) } },
    }
  }
}

/** A command that is answered by "done". */
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

/** A command that is answered by a message, or by many. */
class QueryRequest extends CommandRequest {
  read(from: Input, at: number, length: number): unknown {
    return this.kind.reply!.read(from, at + genlmsghdr.size, this.contents(length), NO_SIBLINGS)
  }

  /** How many bytes of an answer's are attributes. @throws DecodeError */
  protected contents(length: number): number {
    if (length < genlmsghdr.size) throw new DecodeError(`${this.name}: an answer of ${length} bytes`)
    return length - genlmsghdr.size
  }
}

/** A command whose answers become something else as they are read. */
class MappedRequest extends QueryRequest {
  readonly #map: (answer: never) => unknown

  constructor(kind: Kind, attributes: object, object: string | undefined, map: (answer: never) => unknown) {
    super(kind, attributes, object)
    this.#map = map
  }

  override read(from: Input, at: number, length: number): unknown {
    return this.kind.reply!.visit(from, at + genlmsghdr.size, this.contents(length), answer => this.#map(answer as never))
  }
}

/** The requests of a batch. Those that are answered by "done" are one object, which is each of them in turn. */
class CommandRequests implements Requests<unknown> {
  readonly length: number
  readonly #commands: AnyCommands
  readonly #kinds: Kinds
  #shared: CommandRequest | undefined

  constructor(commands: AnyCommands, kinds: Kinds) {
    this.length = commands.length
    this.#commands = commands
    this.#kinds = kinds
  }

  at(index: number): CommandRequest {
    const command = this.#commands.at(index)!
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

const isUnknown = (outcome: Outcome<unknown>): boolean =>
  outcome.status === 'rejected' && outcome.reason instanceof NetlinkError && outcome.reason.errno === ENOENT

/**
 * A family, found in the running kernel.
 *
 * Its id holds until its module is unloaded; then every command answers ENOENT, the same as for a missing
 * object. So after an ENOENT the id is looked up again, and if it is another one the command is repeated.
 */
export class FamilyClient<C extends CommandTable> {
  readonly #connection: Connection
  readonly #family: Family<C>
  #id: number
  #kinds: Kinds

  private constructor(connection: Connection, family: Family<C>, id: number) {
    this.#connection = connection
    this.#family = family
    this.#id = id
    this.#kinds = new Kinds(family, id)
  }

  /** Looks a family up by name. The kernel loads the family's module if it must. Rejects with `ENOENT` where there is none. */
  static async find<C extends CommandTable>(connection: Connection, family: Family<C>, options?: CallOptions): Promise<FamilyClient<C>> {
    const { familyId } = await describeFamily(connection, family.name, options)
    return new FamilyClient(connection, family, familyId!)
  }

  /** Runs one command. Rejects with NetlinkError. */
  async call<K extends keyof C & string>(command: K, attributes: Attributes<C[K]>, { signal, object }: CommandOptions = {}): Promise<Reply<C[K]>> {
    return unwrap(await this.#batch([[command, attributes, object]], signal)) as Reply<C[K]>
  }

  /** Runs many commands, in order, in as few datagrams as possible. Resolves with the outcome of each; never rejects. */
  async batch(commands: readonly Command<C>[] | CommandSource<C>, { signal }: CallOptions = {}): Promise<Outcome<Reply<C[keyof C]>>[]> {
    return await this.#batch(commands, signal) as Outcome<Reply<C[keyof C]>>[]
  }

  /** Lists all that the command knows. Rejects with NetlinkError. */
  async dump<K extends keyof C & string, T = Reply<C[K]>>(
    command: K, attributes: Attributes<C[K]>, { signal, object, map }: DumpOptions<Reply<C[K]>, T> = {},
  ): Promise<T[]> {
    const id = this.#id
    try {
      return await this.#list(command, attributes, object, map, signal) as T[]
    } catch (error) {
      if (!(error instanceof NetlinkError && error.errno === ENOENT && await this.#moved(id, signal))) throw error
      return await this.#list(command, attributes, object, map, signal) as T[]
    }
  }

  #list(command: string, attributes: object, object?: string, map?: (answer: never) => unknown, signal?: AbortSignal): Promise<unknown[]> {
    const kind = this.#kinds.get(command)
    return this.#connection.dump(map ? new MappedRequest(kind, attributes, object, map) : new QueryRequest(kind, attributes, object), { signal })
  }

  async #batch(commands: AnyCommands, signal?: AbortSignal): Promise<Outcome<unknown>[]> {
    const run = (which: AnyCommands): Promise<Outcome<unknown>[]> => this.#connection.batch(new CommandRequests(which, this.#kinds), { signal })
    const id = this.#id
    const outcomes = await run(commands)
    if (!outcomes.some(isUnknown) || !await this.#moved(id, signal)) return outcomes
    const unknown = outcomes.flatMap((outcome, i) => isUnknown(outcome) ? [i] : [])
    const again = await run({ length: unknown.length, at: n => commands.at(unknown[n]!) })
    return outcomes.map(outcome => isUnknown(outcome) ? again.shift()! : outcome)
  }

  /** Whether the family has another id than the one asked under: its module was loaded anew, and its state is gone. */
  async #moved(from: number, signal?: AbortSignal): Promise<boolean> {
    if (this.#id !== from) return true // somebody else has learnt of it meanwhile
    try {
      const { familyId } = await describeFamily(this.#connection, this.#family.name, { signal })
      if (familyId === from) return false
      debug('the module of %s was loaded anew: id %d became %d', this.#family.name, from, familyId)
      this.#id = familyId!
      this.#kinds = new Kinds(this.#family, familyId!)
      return true
    } catch (error) {
      debug('whether the module of %s was loaded anew, nobody can say: %o', this.#family.name, error)
      return false
    }
  }
}

/** The family of families; its id is the same on every kernel. `CTRL_CMD_*` */
const controllerFamily = family('nlctrl', 2, { getFamily: [3, controller, controller] })

/** What the controller knows of a family: its id, version, commands and multicast groups. Rejects with `ENOENT` where there is no such family. */
export async function describeFamily(connection: Connection, name: string, { signal }: CallOptions = {}): Promise<FamilyAttributes> {
  const kind = kindOf(controllerFamily, GENL_ID_CTRL, 'getFamily', controllerFamily.commands.getFamily)
  const request = new QueryRequest(kind, { familyName: name }, name)
  const description = await connection.ask(request, { signal }) as FamilyAttributes
  if (description.familyId === undefined) throw new DecodeError(`the family ${name} has no id`)
  return description
}
