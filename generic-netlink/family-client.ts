/** The client of a generic netlink family: commands called by name. */

import { abortSignal, callback, optionsOf, text } from './check.js'
import type { Connection } from './connection.js'
import { controller, GENL_ID_CTRL, type FamilyAttributes } from './controller.js'
import { DecodeError, NetlinkError } from './errors.js'
import {
  family, type Attributes, type Command, type CommandTable, type FamilyDeclaration, type Reply,
} from './family.js'
import { CommandRequests, kindOf, Kinds, MappedRequest, QueryRequest, type AnyCommand } from './family-requests.js'
import { logger } from './log.js'
import { callOptions, unwrap, type CallOptions } from './request.js'
import { sequence, withItem, type Sequence } from './sequence.js'

const debug = logger('ipvs-nl:netlink')

/** Options of one command. */
export interface CommandOptions extends CallOptions {
  /** The object, for errors and logs: `udp 192.168.50.100:53`. */
  readonly object?: string
}

/** Options of a dump. */
export interface DumpOptions<A, T> extends CommandOptions {
  /**
   * Makes a row of each answer; the dump resolves with the rows. A row that keeps little
   * saves most of a long listing's memory. The answer, with all objects in it, is valid until
   * `map` returns: the next answer may overwrite it. Where the table changes during a
   * listing, the listing starts again.
   */
  readonly map?: (answer: Readonly<A>) => T
}

const commandChecks = { signal: abortSignal, object: text }
const commandOptions = optionsOf<CommandOptions>(commandChecks)
const dumpOptions = optionsOf<DumpOptions<never, unknown>>({ ...commandChecks, map: callback })

const ENOENT = -2

const isUnknown = (outcome: PromiseSettledResult<unknown>): boolean =>
  outcome.status === 'rejected' && outcome.reason instanceof NetlinkError && outcome.reason.errno === ENOENT

/**
 * A family of the running kernel.
 *
 * Its id is valid until its module is unloaded; then every command answers ENOENT, as for a
 * missing object. So after an ENOENT the client looks the id up again and, where it is another
 * one, repeats the command.
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

  /** Finds a family, whose module the kernel loads on demand. Rejects with `ENOENT` without one. */
  static async find<C extends CommandTable>(
    connection: Connection, family: FamilyDeclaration<C>, options?: CallOptions,
  ): Promise<FamilyClient<C>> {
    const { familyId } = await describeFamily(connection, family.name, options)
    return new FamilyClient(connection, family, familyId!)
  }

  /** Runs one command. Rejects with NetlinkError. */
  async call<K extends keyof C & string>(
    command: K, attributes: Attributes<C[K]>, options?: CommandOptions,
  ): Promise<Reply<C[K]>> {
    const { signal, object } = commandOptions(options)
    return unwrap(await this.#batch([[command, attributes, object]], signal)) as Reply<C[K]>
  }

  /**
   * Runs many commands in order, in few datagrams. Resolves with their outcomes; rejects with
   * nothing but the SpecError of a wrong option.
   */
  async batch(
    commands: readonly Command<C>[] | Sequence<Command<C>>, options?: CallOptions,
  ): Promise<PromiseSettledResult<Reply<C[keyof C]>>[]> {
    const { signal } = callOptions(options)
    return await this.#batch(commands, signal) as PromiseSettledResult<Reply<C[keyof C]>>[]
  }

  /** Lists all objects that match the attributes. Rejects with NetlinkError. */
  async dump<K extends keyof C & string, T = Reply<C[K]>>(
    command: K, attributes: Attributes<C[K]>, options?: DumpOptions<Reply<C[K]>, T>,
  ): Promise<T[]> {
    const { signal, object, map } = dumpOptions(options)
    const list = (): Promise<unknown[]> => {
      const kind = this.#kinds.get(command)
      return this.#connection.dump(
        map ? new MappedRequest(kind, attributes, object, map) : new QueryRequest(kind, attributes, object), { signal })
    }
    const id = this.#id
    try { return await list() as T[] } catch (error) {
      if (!(error instanceof NetlinkError && error.errno === ENOENT && await this.#idChanged(id, signal))) throw error
      return await list() as T[]
    }
  }

  async #batch(
    given: readonly AnyCommand[] | Sequence<AnyCommand>, signal?: AbortSignal,
  ): Promise<PromiseSettledResult<unknown>[]> {
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

  /** Whether the family's id is not `from` any more: its module was loaded again, without state. */
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

/** Describes a family: id, version, commands, multicast groups. Rejects with `ENOENT`. */
export async function describeFamily(
  connection: Connection, name: string, options?: CallOptions,
): Promise<FamilyAttributes> {
  const kind = kindOf(controllerFamily, GENL_ID_CTRL, 'getFamily', controllerFamily.commands.getFamily)
  const request = new QueryRequest(kind, { familyName: name }, name)
  const description = await connection.ask(request, options) as FamilyAttributes
  if (description.familyId === undefined) throw new DecodeError(`the description of the family ${name} has no id`)
  return description
}
