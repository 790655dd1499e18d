/**
 * Steps that add, change and remove entries of the kernel's tables: addresses, routes, neighbours.
 *
 * Steps that follow one another are sent together. Others edit the tables too: an entry that exists
 * as wanted, or is gone already, is done. An entry that exists with other values becomes the steps
 * from these, and undoing the step restores what it found.
 */

import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import type { Outcome, Step, StepGroup, StepObject } from '../plan/plan.js'
import type { Session } from '../plan/session.js'
import { openRtnetlink, type RouteClient, type RouteCommand, type Verb } from './client.js'
import { explainRefusal, refuse } from './explain.js'
import { findIndexes, namesFrom, NO_LINKS, type LinkNames } from './link-names.js'

/** The verbs of steps. */
export type EntryVerb = Extract<Verb, 'add' | 'append' | 'replace' | 'remove'>

/** One command about an entry. */
interface Job<T> { readonly verb: EntryVerb; readonly entry: T }

/** What became of a job: `exists` and `gone` are the work of others. */
type Result = Outcome | 'exists' | 'gone'

/** What a step does, and what undoes it; without `undo` nothing does. */
interface Change<T> { readonly run: Job<T>; readonly undo: Job<T> | undefined; readonly why?: string | undefined }

/** How one kind of entry reaches the kernel. */
export interface EntryKind<T> {
  readonly object: StepObject
  /** The operator's command. */
  lineOf(verb: EntryVerb, entry: T): string
  /** The names of the links that a command needs. */
  linksOf(entry: T): readonly unknown[]
  commandOf(verb: EntryVerb, entry: T, names: LinkNames): RouteCommand
  /** The steps to these entries, whose places are taken, from the table as it is now. */
  stepsNow(client: RouteClient, entries: readonly T[], options?: CallOptions): Promise<EntryStep<T>[][]>
  /** Removes entries, where a command for each is not enough. @defaultValue the commands */
  remove?(client: RouteClient, entries: readonly T[], send: Send<T>, options?: CallOptions): Promise<Result[]>
}

/** Sends a command for each entry. */
type Send<T> = (verb: EntryVerb, entries: readonly T[], options?: CallOptions) => Promise<Result[]>

const ACTIONS = { add: 'add', append: 'add', replace: 'change', remove: 'remove' } as const

/** A step of a table. */
export class EntryStep<T> implements Step {
  readonly group: Entries<T>
  readonly change: Change<T>
  readonly needs: readonly Step[] | undefined
  /** The steps in place of this one, where others had edited the entry; none where it was done. */
  became: readonly EntryStep<T>[] | undefined

  constructor(group: Entries<T>, change: Change<T>, needs?: readonly Step[]) {
    this.group = group
    this.change = change
    this.needs = needs
  }

  get action(): Step['action'] { return ACTIONS[this.change.run.verb] }
  get object(): StepObject { return this.group.kind.object }
  get line(): string { return this.group.kind.lineOf(this.change.run.verb, this.change.run.entry) }
  get why(): string | undefined { return this.change.why === '' ? undefined : this.change.why }

  /** The same step, which needs others. */
  needing(needs: readonly Step[] | undefined): EntryStep<T> {
    return needs ? new EntryStep(this.group, this.change, needs) : this
  }

  run(session: Session, options?: CallOptions): Promise<void> { return alone(this.group.run([this], session, options)) }
  undo(session: Session, options?: CallOptions): Promise<void> {
    return alone(this.group.undo([this], session, options))
  }
}

async function alone(outcomes: Promise<readonly Outcome[]>): Promise<void> {
  const [outcome] = await outcomes
  if (outcome && 'error' in outcome) throw outcome.error
}

const DONE: Outcome = { done: true }
/** The errors of removals that say that there is nothing to remove. */
const GONE = new Set(['EADDRNOTAVAIL', 'ENODEV', 'ENOENT', 'ESRCH'])

/** The steps of one kind of entry. */
export class Entries<T> implements StepGroup {
  readonly kind: EntryKind<T>
  constructor(kind: EntryKind<T>) { this.kind = kind }

  /** A step that adds an entry. */
  adding(entry: T, { verb = 'add', why }: { verb?: 'add' | 'append'; why?: string | undefined } = {}): EntryStep<T> {
    return new EntryStep(this, { run: { verb, entry }, undo: { verb: 'remove', entry }, why })
  }

  /** A step that replaces an entry. Undone it is removed where there is none to restore. */
  replacing(
    entry: T, before: T | undefined,
    { verb = 'replace', why }: { verb?: 'append' | 'replace'; why?: string | undefined } = {},
  ): EntryStep<T> {
    const undo: Job<T> = before === undefined ? { verb: 'remove', entry } : { verb, entry: before }
    return new EntryStep(this, { run: { verb, entry }, undo, why })
  }

  /** A step that removes an entry; undone it is added again. */
  removing(entry: T, { verb = 'add', why }: { verb?: 'add' | 'append'; why?: string | undefined } = {}): EntryStep<T> {
    return new EntryStep(this, { run: { verb: 'remove', entry }, undo: { verb, entry }, why })
  }

  async run(steps: readonly EntryStep<T>[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const client = await session.use(openRtnetlink)
    for (const step of steps) step.became = undefined
    const results = await this.#send(client, steps.map(({ change }) => change.run), options)
    const taken = steps.filter((_, i) => results[i] === 'exists')
    const now = await this.#now(client, taken.map(({ change }) => change.run.entry), options)
    const outcomes: Outcome[] = []
    for (const [i, step] of steps.entries()) {
      const result = results[i]!
      if (result === 'gone') step.became = []
      if (result === 'exists') outcomes.push(await this.#become(client, step, now.shift()!, options))
      else outcomes.push(result === 'gone' ? DONE : result)
    }
    return outcomes
  }

  async undo(steps: readonly EntryStep<T>[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const client = await session.use(openRtnetlink)
    const jobs = steps.map(step => step.became === undefined
      ? [step.change.undo]
      : step.became.map(({ change }) => change.undo).reverse())
    const results = await this.#settle(client, jobs.flat().filter(job => job !== undefined), options)
    return jobs.map(own => {
      const outcomes = results.splice(0, own.filter(job => job !== undefined).length)
      return outcomes.find(({ done }) => !done) ?? DONE
    })
  }

  /** Makes the steps in place of one whose entry exists. Takes back what it did where one fails. */
  async #become(
    client: RouteClient, step: EntryStep<T>, steps: readonly EntryStep<T>[], options?: CallOptions,
  ): Promise<Outcome> {
    const results = await this.#send(client, steps.map(({ change }) => change.run), options)
    const outcomes = results.map((result, i) => this.#final(result, steps[i]!.change.run))
    const failed = outcomes.find(({ done }) => !done)
    step.became = steps.filter((_, i) => outcomes[i]!.done)
    if (failed === undefined) return DONE
    await this.#settle(client, step.became.flatMap(({ change }) => change.undo ?? []).reverse(), options)
    return failed
  }

  /** Carries out jobs; entries that exist are changed. */
  async #settle(client: RouteClient, jobs: readonly Job<T>[], options?: CallOptions): Promise<Outcome[]> {
    const results = await this.#send(client, jobs, options)
    const taken = jobs.filter((_, i) => results[i] === 'exists')
    const now = await this.#now(client, taken.map(({ entry }) => entry), options)
    const outcomes: Outcome[] = []
    for (const result of results) {
      if (result !== 'exists') outcomes.push(result === 'gone' ? DONE : result)
      else {
        const again = now.shift()!.map(({ change }) => change.run)
        const all = (await this.#send(client, again, options)).map((each, n) => this.#final(each, again[n]!))
        outcomes.push(all.find(({ done }) => !done) ?? DONE)
      }
    }
    return outcomes
  }

  async #now(client: RouteClient, entries: readonly T[], options?: CallOptions): Promise<EntryStep<T>[][]> {
    return entries.length === 0 ? [] : await this.kind.stepsNow(client, entries, options)
  }

  /** The outcome of a job whose entry was read just before. */
  #final(result: Result, { verb, entry }: Job<T>): Outcome {
    if (result === 'gone') return DONE
    if (result !== 'exists') return result
    return { done: false, error: refuse('EEXIST', this.kind.commandOf(verb, entry, NO_LINKS),
      'another program sets it again and again') }
  }

  /** Sends jobs in order: those that follow one another together. */
  async #send(client: RouteClient, jobs: readonly Job<T>[], options?: CallOptions): Promise<Result[]> {
    const results: Result[] = []
    const send = (verb: EntryVerb, entries: readonly T[], more?: CallOptions): Promise<Result[]> =>
      this.#commands(client, entries.map(entry => ({ verb, entry })), more)
    for (let i = 0, end = 0; i < jobs.length; i = end) {
      const removal = jobs[i]!.verb === 'remove'
      while (end < jobs.length && (jobs[end]!.verb === 'remove') === removal) end++
      const some = jobs.slice(i, end)
      results.push(...removal && this.kind.remove
        ? await this.kind.remove(client, some.map(({ entry }) => entry), send, options)
        : await this.#commands(client, some, options))
    }
    return results
  }

  /** Sends a command for each job, in one datagram. */
  async #commands(client: RouteClient, jobs: readonly Job<T>[], options?: CallOptions): Promise<Result[]> {
    const { kind } = this
    const indexes = await findIndexes(client, jobs.flatMap(({ entry }) => kind.linksOf(entry)), options)
    const names = namesFrom(indexes)
    const commands: RouteCommand[] = [], results: Result[] = [], sent: number[] = []
    for (const [i, { verb, entry }] of jobs.entries()) {
      const missing = kind.linksOf(entry).find(name => typeof name === 'string' && !indexes.has(name))
      if (missing === undefined) {
        sent.push(i)
        commands.push(kind.commandOf(verb, entry, names))
      } else {
        results[i] = verb === 'remove' ? 'gone' : { done: false, error: refuse(
          'ENODEV', kind.commandOf(verb, entry, NO_LINKS),
          `there is no link ${missing as string} in this network namespace`,
        ) }
      }
    }
    const outcomes = commands.length === 0 ? [] : await client.run(commands, options)
    for (const [n, outcome] of outcomes.entries()) results[sent[n]!] = resultOf(outcome, commands[n]!)
    return results
  }
}

function resultOf(outcome: PromiseSettledResult<unknown>, command: RouteCommand): Result {
  if (outcome.status === 'fulfilled') return DONE
  const error: unknown = outcome.reason
  const code = error instanceof NetlinkError ? error.code : ''
  if (command.verb === 'remove' && GONE.has(code)) return 'gone'
  if ((command.verb === 'add' || command.verb === 'append') && code === 'EEXIST') return 'exists'
  return { done: false, error: explainRefusal(error, command) }
}
