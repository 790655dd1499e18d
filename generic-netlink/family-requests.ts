/** The requests that the commands of a family make. */

import type { AttributeSet, Table } from './attributes.js'
import { Output, type Input } from './buffers.js'
import { genlmsghdr } from './controller.js'
import { DecodeError } from './errors.js'
import type { CommandRow, CommandTable, FamilyDeclaration } from './family.js'
import type { Request } from './request.js'
import type { Sequence } from './sequence.js'

/** Any command of any family. */
export type AnyCommand = readonly [name: string, attributes: object, object?: string]

const NO_SIBLINGS = Object.freeze({})

/** The common part of all requests of one command. */
export interface Kind {
  /** `IPVS newDest` */
  readonly name: string
  /** The family's id. */
  readonly type: number
  /** `struct genlmsghdr`, its four bytes as a little-endian number. */
  readonly header: number
  readonly request: Pick<AttributeSet<Table>, 'write'>
  readonly reply: AttributeSet<Table> | undefined
}

export function kindOf(
  { name, version }: FamilyDeclaration<CommandTable>, id: number, command: string, [cmd, request, reply]: CommandRow,
): Kind {
  const header = new Output(genlmsghdr.size)
  genlmsghdr.write(header, { cmd, version, reserved: 0 }, NO_SIBLINGS)
  return { name: `${name} ${command}`, type: id, header: header.view.getInt32(0, true), request, reply }
}

/** The commands of a family that the kernel has. */
export class Kinds {
  readonly #family: string
  readonly #byCommand: ReadonlyMap<string, Kind>

  constructor(family: FamilyDeclaration<CommandTable>, id: number) {
    this.#family = family.name
    const commands = Object.entries(family.commands)
    this.#byCommand = new Map(commands.map(([command, row]) => [command, kindOf(family, id, command, row)]))
  }

  /** The kind of a command. An unknown one fails when it is written, like a wrong value. */
  get(command: string): Kind { return this.#byCommand.get(command) ?? this.#unknown(command) }

  #unknown(command: string): Kind {
    const write = (): never => {
      throw new TypeError(`the family ${this.#family} has no command ${JSON.stringify(command)}`)
    }
    return { name: `${this.#family} ${command}`, type: 0, header: 0, request: { write }, reply: undefined }
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
export class QueryRequest extends CommandRequest {
  read(from: Input, at: number, length: number): unknown {
    return this.kind.reply!.read(from, at + genlmsghdr.size, this.size(length), NO_SIBLINGS)
  }

  /** Returns the number of bytes of an answer's attributes. @throws DecodeError */
  protected size(length: number): number {
    if (length < genlmsghdr.size) throw new DecodeError(`${this.name}: the answer has ${length} bytes and no header`)
    return length - genlmsghdr.size
  }
}

/** A command whose answers are mapped as they are read. */
export class MappedRequest extends QueryRequest {
  readonly #map: (answer: object) => unknown

  constructor(kind: Kind, attributes: object, object: string | undefined, map: (answer: never) => unknown) {
    super(kind, attributes, object)
    this.#map = map as (answer: object) => unknown
  }

  override read(from: Input, at: number, length: number): unknown {
    return this.kind.reply!.visit(from, at + genlmsghdr.size, this.size(length), this.#map)
  }
}

/** The requests of a batch. Commands without answers share one object. Performance: one request. */
export class CommandRequests implements Sequence<Request<unknown>> {
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
