/** IPVS in this network namespace: its commands, and errors that say what was asked of what. */

import {
  Connection, FamilyClient, ipvs, NETLINK_GENERIC, sequence, withItem,
  type Attributes, type CallOptions, type Command, type CommandAttributes, type ConnectionOptions, type Reply, type Sequence,
} from '../../generic-netlink/index.js'
import { Drains } from './overrides.js'
import { explained } from './explain.js'
import { Turns } from './edit-lock.js'

type IpvsTable = typeof ipvs.commands

/** A command to IPVS, ready to be sent. */
export type IpvsCommand = Command<IpvsTable>

/** A conversation with IPVS, and what all who hold it must agree on: who edits when, and which real servers are being taken out. */
export class IpvsClient {
  readonly #connection: Connection
  readonly #family: FamilyClient<IpvsTable>
  readonly drains = new Drains()
  readonly turns = new Turns()
  #closed = false

  private constructor(connection: Connection, family: FamilyClient<IpvsTable>) {
    this.#connection = connection
    this.#family = family
  }

  /** Opens it. The kernel loads its module ip_vs if it must. Rejects with `ENOENT` where there is none. */
  static async open({ signal, ...options }: CallOptions & ConnectionOptions = {}): Promise<IpvsClient> {
    const connection = new Connection(NETLINK_GENERIC, options)
    try {
      return new IpvsClient(connection, await FamilyClient.find(connection, ipvs, { signal }))
    } catch (error) {
      connection.close()
      throw explained(error, 'getFamily', {})
    }
  }

  /** One command and its answer. */
  async call<K extends keyof IpvsTable>(command: K, attributes: Attributes<IpvsTable[K]>, options?: CallOptions): Promise<Reply<IpvsTable[K]>> {
    try {
      return await this.#family.call(command, attributes, options)
    } catch (error) {
      throw explained(error, command, attributes)
    }
  }

  /** Lists, keeping of each answer only what `map` makes of it. */
  async dump<T>(
    command: 'getService' | 'getDest' | 'getDaemon', attributes: CommandAttributes, map: (answer: CommandAttributes) => T, options?: CallOptions,
  ): Promise<T[]> {
    try {
      return await this.#family.dump(command, attributes, { ...options, map })
    } catch (error) {
      throw explained(error, command, attributes)
    }
  }

  /** Sends commands together. The error of each, undefined where it was done; never rejects. */
  async attempt(commands: readonly IpvsCommand[] | Sequence<IpvsCommand>, options?: CallOptions): Promise<unknown[]> {
    return errorsOf(sequence(commands), await this.#family.batch(commands, options))
  }

  /** Sends commands together and rejects with the first error; the others are still carried out. */
  async run(commands: readonly IpvsCommand[], options?: CallOptions): Promise<void> {
    throwFirst(await this.attempt(commands, options))
  }

  get closed(): boolean { return this.#closed }

  /** Closes the sockets. What is pending rejects with `ECANCELED`. */
  close(): void {
    this.#closed = true
    this.#connection.close()
  }
}

/** Opens IPVS, for the steps of a plan. */
export const openIpvs = (options?: CallOptions): Promise<IpvsClient> => IpvsClient.open(options)

function errorsOf(commands: Sequence<IpvsCommand>, outcomes: readonly PromiseSettledResult<unknown>[]): unknown[] {
  const errors = new Array<unknown>(outcomes.length).fill(undefined)
  for (let i = 0; i < outcomes.length; i++) {
    const outcome = outcomes[i]!
    if (outcome.status === 'fulfilled') continue
    errors[i] = withItem(commands, i, ([command, attributes]) => explained(outcome.reason, command, attributes))
  }
  return errors
}

/** Throws the first error; it tells of the others. */
export function throwFirst(errors: readonly unknown[]): void {
  const [first, ...more] = errors.filter(error => error !== undefined)
  if (first === undefined) return
  if (more.length > 0 && first instanceof Error) {
    first.message += `; ${more.length} more failed, listed in cause`
    first.cause = new AggregateError(more)
  }
  throw first as Error
}
