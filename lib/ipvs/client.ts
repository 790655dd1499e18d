/** A conversation with IPVS in this network namespace. */

import {
  Connection, FamilyClient, NETLINK_GENERIC, sequence, withItem,
  type Attributes, type CallOptions, type Command, type ConnectionOptions, type Reply, type Sequence,
} from '../../generic-netlink/core.js'
import { ipvs, type CommandAttributes } from '../../generic-netlink/families/ipvs.js'
import type { EditLock } from './edit-lock.js'
import { explained } from './explain.js'
import type { Overrides } from './overrides.js'
import { Registry } from './registry.js'

type IpvsTable = typeof ipvs.commands

/** A command to IPVS. */
export type IpvsCommand = Command<IpvsTable>

/** A conversation with IPVS, with the lock and the overrides of its network namespace. */
export class IpvsClient {
  readonly #connection: Connection
  readonly #family: FamilyClient<IpvsTable>
  readonly #registry: Registry
  /** Whether edits look for modules of this machine: not where a test passes its own kernel. */
  readonly loadsModules: boolean
  #closed = false

  private constructor(
    connection: Connection, family: FamilyClient<IpvsTable>, registry: Registry, loadsModules: boolean,
  ) {
    this.#connection = connection
    this.#family = family
    this.#registry = registry
    this.loadsModules = loadsModules
  }

  /** Opens a conversation. The kernel loads its module; without one, rejects with `ENOENT`. */
  static async open({ signal, ...options }: CallOptions & ConnectionOptions = {}): Promise<IpvsClient> {
    const connection = new Connection(NETLINK_GENERIC, options)
    const registry = Registry.join(options.openSocket?.namespace)
    try {
      const family = await FamilyClient.find(connection, ipvs, { signal })
      return new IpvsClient(connection, family, registry, options.openSocket === undefined)
    } catch (error) {
      registry.leave()
      connection.close()
      throw explained(error, 'getFamily', {})
    }
  }

  /** Sends one command. Resolves with its answer. */
  async call<K extends keyof IpvsTable>(
    command: K, attributes: Attributes<IpvsTable[K]>, options?: CallOptions,
  ): Promise<Reply<IpvsTable[K]>> {
    try { return await this.#family.call(command, attributes, options) } catch (error) {
      throw explained(error, command, attributes)
    }
  }

  /** Lists a table; `map` makes a row of each answer, which it must not keep. */
  async dump<T>(
    command: 'getService' | 'getDest' | 'getDaemon', attributes: CommandAttributes,
    map: (answer: CommandAttributes) => T, options?: CallOptions,
  ): Promise<T[]> {
    try { return await this.#family.dump(command, attributes, { ...options, map }) } catch (error) {
      throw explained(error, command, attributes)
    }
  }

  /** Sends commands together. Resolves with the error of each, or undefined. Never rejects. */
  async attempt(commands: readonly IpvsCommand[] | Sequence<IpvsCommand>, options?: CallOptions): Promise<unknown[]> {
    return errorsOf(sequence(commands), await this.#family.batch(commands, options))
  }

  get overrides(): Overrides { return this.#registry.overrides }
  get lock(): EditLock { return this.#registry.lock }

  /** Runs an edit under the lock: beside other edits, and alone while there are overrides. */
  edit<T>(task: () => Promise<T>): Promise<T> { return this.lock.shared(task, () => !this.overrides.empty) }

  get closed(): boolean { return this.#closed }

  /** Closes the sockets. Pending calls reject with `ECANCELED`. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#registry.leave()
    this.#connection.close()
  }
}

/** Opens the conversation of a plan's steps. */
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

/** Throws the first error; its message counts the others, and its cause lists them. */
export function throwFirst(errors: readonly unknown[]): void {
  const [first, ...more] = errors.filter(error => error !== undefined)
  if (first === undefined) return
  if (more.length > 0 && first instanceof Error) {
    first.message += `; ${more.length} more failed, listed in cause`
    first.cause = new AggregateError(more)
  }
  throw first as Error
}
