/** Resources: objects that are listed, added, changed, replaced, removed and planned alike. */

import type { CallOptions } from '../../generic-netlink/core.js'
import { atPath, callOptions, checkList, SpecError, type Checked } from '../base/check.js'
import { Plan, type Step } from './plan.js'
import { Session, type Conversation, type Open } from './session.js'

/** A patch: the fields that identify an object, and those that change. */
export type Patch<Spec, Id> = Spec extends unknown ? Partial<Spec> & Id : never

/** One kind of object, for {@link Resource}. All but `list`, `add` and `remove` is pure. */
export interface ResourceKind<Client extends Conversation, Spec, Id, State, Filter, Change> {
  /** The name of a list in paths of fields: `routes`. */
  readonly plural: string
  /** Opens the conversation with the kernel, for steps. */
  readonly open: Open<Client>
  /** The check of a filter. */
  readonly filter: Checked<Filter>
  /** Reads the objects that match a filter. Rejects with NetlinkError. */
  list(client: Client, filter: Filter, options?: CallOptions): Promise<State[]>
  /** A filter that lets at least these objects pass. @defaultValue none */
  filterOf?(ids: readonly Id[]): Filter
  /** The lookup of objects by id. It throws {@link SpecError} where the id is wrong. */
  finder(actual: readonly State[]): (id: Id) => State | undefined
  /** The id that a spec or a change contains. */
  idOf(given: Spec | Change): Id
  /** The error of a verb whose object is missing. */
  missing(verb: 'change' | 'remove', id: Id): Error
  /** Refuses an invalid spec. @throws SpecError naming the field below `path` */
  check(spec: Spec, path: string): void
  /** Adds objects; where the kernel allows, in one datagram. Rejects with NetlinkError. */
  add(client: Client, specs: readonly Spec[], options?: CallOptions): Promise<void>
  /**
   * The steps that change the named fields of an object. Without a state it only checks.
   * @throws SpecError naming the field
   */
  changes(change: Change, state: State | undefined, actual: readonly State[]): Step[]
  /** The steps that replace an object: fields that the spec leaves out get their defaults. */
  replacement(spec: Spec, actual: readonly State[]): Step[]
  /**
   * The steps to the wanted objects; all others stay.
   * @throws SpecError naming the field, or an object that is there twice
   */
  steps(wanted: readonly Spec[], actual: readonly State[]): Step[]
  /** Removes objects, all of which exist. Rejects with NetlinkError. */
  remove(client: Client, ids: readonly Id[], actual: readonly State[], options?: CallOptions): Promise<void>
  /** The steps that remove existing objects. @throws SpecError naming the field */
  removals(unwanted: readonly Id[], actual: readonly State[]): Step[]
}

/**
 * The objects of one kind.
 *
 * Every method rejects with a NetlinkError that says which request for which object the kernel
 * refused, and why. A wrong spec is a SpecError that names the field; nothing is
 * sent then.
 */
export abstract class Resource<
  Client extends Conversation, Spec, Id, State, Filter extends object, Change = Patch<Spec, Id>,
> implements AsyncDisposable {
  /** @internal */
  protected readonly client: Client
  readonly #kind: ResourceKind<Client, Spec, Id, State, Filter, Change>

  /** @internal */
  protected constructor(kind: ResourceKind<Client, Spec, Id, State, Filter, Change>, client: Client) {
    this.#kind = kind
    this.client = client
  }

  /** Lists the objects that match a filter; without one, all. */
  async list(filter?: Filter, options?: CallOptions): Promise<State[]> {
    return await this.#kind.list(this.client, this.#kind.filter(filter), callOptions(options))
  }

  /** Reads one object; undefined where there is none. */
  async get(id: Id, options?: CallOptions): Promise<State | undefined> {
    this.#kind.finder([])(id)
    return this.#kind.finder(await this.#listFor([id], options))(id)
  }

  /**
   * Adds an object, or several in one datagram where the kernel allows it. Rejects with `EEXIST`
   * where one exists already. Where some of several are refused, the others are added.
   */
  async add(specs: Spec | readonly Spec[], options?: CallOptions): Promise<void> {
    const several = Array.isArray(specs)
    const list = (several ? specs : [specs]) as readonly Spec[]
    list.forEach((spec, i) => { this.#kind.check(spec, several ? atPath(this.#kind.plural, i) : '') })
    await this.#kind.add(this.client, list, callOptions(options))
  }

  /** Changes the named fields of an object, which must exist; the others stay. */
  async change(change: Change, given?: CallOptions): Promise<void> {
    const options = callOptions(given)
    this.#kind.changes(change, undefined, [])
    const [state, actual] = await this.#existing('change', this.#kind.idOf(change), options)
    await this.#run(this.#kind.changes(change, state, actual), options)
  }

  /** Replaces an object, which must exist: fields that the spec leaves out get their defaults. */
  async replace(spec: Spec, given?: CallOptions): Promise<void> {
    const options = callOptions(given)
    this.#kind.check(spec, '')
    const [, actual] = await this.#existing('change', this.#kind.idOf(spec), options)
    await this.#run(this.#kind.replacement(spec, actual), options)
  }

  /** Removes an object, or several. Rejects with NetlinkError where one of them does not exist. */
  async remove(ids: Id | readonly Id[], given?: CallOptions): Promise<void> {
    const options = callOptions(given)
    const list = (Array.isArray(ids) ? ids : [ids]) as readonly Id[]
    this.#kind.removals(list, [])
    const actual = await this.#listFor(list, options)
    const find = this.#kind.finder(actual)
    for (const id of list) if (find(id) === undefined) throw this.#kind.missing('remove', id)
    await this.#kind.remove(this.client, list, actual, options)
  }

  /** The changes after which these objects exist as specified; empty where they do. Others stay. */
  async plan(specs: readonly Spec[], options?: CallOptions): Promise<Plan> {
    checkList(this.#kind.plural, specs)
    this.#kind.steps(specs, [])
    return new Plan(this.#kind.steps(specs, await this.#listFor(specs.map(spec => this.#kind.idOf(spec)), options)))
  }

  /** The changes after which none of these objects exists; empty where none does. */
  async planRemoval(ids: readonly Id[], options?: CallOptions): Promise<Plan> {
    checkList(this.#kind.plural, ids)
    this.#kind.removals(ids, [])
    return new Plan(this.#kind.removals(ids, await this.#listFor(ids, options)))
  }

  /** Closes the socket; the kernel's objects stay. */
  async close(): Promise<void> { await this.client.close() }

  /** {@link Resource.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }

  #listFor(ids: readonly Id[], options?: CallOptions): Promise<State[]> {
    return this.list(this.#kind.filterOf?.(ids), options)
  }

  async #existing(verb: 'change', id: Id, options?: CallOptions): Promise<[State, readonly State[]]> {
    const actual = await this.#listFor([id], options)
    const state = this.#kind.finder(actual)(id)
    if (state === undefined) throw this.#kind.missing(verb, id)
    return [state, actual]
  }

  async #run(steps: readonly Step[], options?: CallOptions): Promise<void> {
    await using session = new Session().share(this.#kind.open, this.client)
    for (const step of steps) await step.run(session, options)
  }
}

/** A step as its command does it, and as its undoing does it, on one conversation. */
interface ClientStep<Client> extends Omit<Step, 'run' | 'undo'> {
  run(client: Client, options?: CallOptions): Promise<void>
  undo(client: Client, options?: CallOptions): Promise<void>
}

/** A step on the conversation that `open` opens. */
export function stepOn<Client extends Conversation>(open: Open<Client>, step: ClientStep<Client>): Step {
  const { why = '', ...rest } = step
  return {
    ...rest, ...why !== '' && { why },
    run: async (session, options) => step.run(await session.use(open), options),
    undo: async (session, options) => step.undo(await session.use(open), options),
  }
}

/** Objects by key, each once. @throws SpecError naming the second one of a key */
export function byKey<T>(
  plural: string, objects: readonly T[], keyOf: (object: T) => string, nameOf: (object: T) => string,
): Map<string, T> {
  const found = new Map<string, T>()
  objects.forEach((object, i) => {
    const key = keyOf(object)
    if (found.has(key)) throw new SpecError(atPath(plural, i), `${nameOf(object)} is there twice`)
    found.set(key, object)
  })
  return found
}
