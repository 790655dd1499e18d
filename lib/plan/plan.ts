/** Plans: what must change, shown before it is done, and undone as it was done. */

import { logger, type CallOptions } from '../../generic-netlink/index.js'
import { Session } from './session.js'

const debug = logger('ipvs-nl:plan')

/** What a step is about. */
export type StepObject =
  'service' | 'real server' | 'timeouts' | 'sync daemon' | 'link' | 'address' | 'route' | 'neighbour' | 'sysctl' | 'fou port' | 'module'

const SIGNS = { add: '+', change: '~', remove: '-' } as const

/** One change. */
export interface Step {
  readonly action: 'add' | 'change' | 'remove'
  readonly object: StepObject
  /** The command that an operator would type for it: `ip addr add 192.0.2.1/32 dev tun0`. */
  readonly line: string
  /** Why it is needed, where that does not show. */
  readonly why?: string | undefined
  /** The link that goes, if only to be made anew: what stands on it goes with it. */
  readonly removes?: string
  /** Makes the change. */
  run(session: Session, options?: CallOptions): Promise<void>
  /** Takes it back. */
  undo(session: Session, options?: CallOptions): Promise<void>
}

/** How a step came out. One that was skipped needs another that failed. */
export type Outcome = { readonly done: true } | { readonly done: false; readonly error: unknown } | { readonly done: false; readonly skipped: true }

/** Steps that stand together and are made together, faster than one by one. */
export interface StepBatch {
  /** How many they are. */
  readonly length: number
  /** The step of this index, from 0. */
  at(index: number): Step
  /** Makes those of these indices, in this order, and tells of each how it came out. */
  run(indices: readonly number[], session: Session, options?: CallOptions): Promise<readonly Outcome[]>
  /** Takes them back, in this order. */
  undo(indices: readonly number[], session: Session, options?: CallOptions): Promise<readonly Outcome[]>
}

/** A step that failed, and how. */
export interface StepFailure { readonly step: Step; readonly error: unknown }

/** How far a plan is. */
export interface PlanProgress {
  /** Steps that are made. */
  readonly done: number
  /** Steps that failed. */
  readonly failed: number
  readonly total: number
  /** The last step that was tried. */
  readonly step: Step
}

/** Options of {@link Plan.apply}. */
export interface ApplyOptions extends CallOptions {
  /** What happens when a step fails: nothing more is sent, or all that does not need it. @defaultValue `'stop'` */
  readonly onFailure?: 'stop' | 'continue'
  /** Told after each step, or each thousand of those that are sent together. What it throws ends the application, and is passed on. */
  readonly progress?: (progress: PlanProgress) => void
}

/** Steps of a plan failed. Those that were made stay made; applying again goes on from there. */
export class PlanError extends Error {
  static { this.prototype.name = 'PlanError' }
  /** The first step that failed; `cause` says how. */
  readonly step: Step
  /** All steps that failed. */
  readonly failed: readonly StepFailure[]
  constructor(plan: Plan, [first, ...more]: readonly [StepFailure, ...StepFailure[]]) {
    const { step, error } = first
    const others = more.length > 0 ? `; ${more.length} more failed` : ''
    const why = error instanceof Error ? error.message : String(error)
    super(`step ${plan.steps.indexOf(step) + 1} of ${plan.steps.length} failed: ${step.line}: ${why}${others}`, { cause: error })
    this.step = step
    this.failed = [first, ...more]
  }
}

/** A plan that would take out too much is not applied. */
export class BrakeError extends Error {
  static { this.prototype.name = 'BrakeError' }
}

/** So many steps are sent together before progress is told and an abort is heard. */
const LARGEST_GROUP = 1024

/** A part of a plan, and which of its steps are to be made, or taken back, now. */
interface Group {
  readonly part: Step | StepBatch
  /** Where the part begins among all steps. */
  readonly start: number
  readonly indices: readonly number[]
}

/**
 * What must change for the host to be as wanted; empty where it is.
 *
 * Printed, it shows the commands that an operator would type, with `+`, `~` and `-` for what is added, changed and removed.
 *
 * @example
 * ```ts
 * import { planRealServer } from 'ipvs-nl'
 *
 * const plan = await planRealServer({ vip: '192.168.50.100', tunnel: { kind: 'ipip', name: 'tun0', local: '192.168.52.100' } })
 * console.log(`${plan}`)
 * await plan.apply()
 * await plan.revert() // as it was before
 * ```
 */
export class Plan {
  /** Why {@link Plan.apply} refuses it; undefined where it does not. */
  readonly brake: string | undefined
  readonly #parts: readonly (Step | StepBatch)[]
  readonly #session: () => Session
  /** Of each step, whether it is made: 1. */
  readonly #made: Uint8Array
  #steps: readonly Step[] | undefined
  #failed: readonly StepFailure[] = []

  /** @internal */
  constructor(parts: readonly (Step | StepBatch)[], { session = () => new Session(), brake }: { session?: () => Session; brake?: string | undefined } = {}) {
    this.brake = brake
    this.#parts = parts
    this.#session = session
    this.#made = new Uint8Array(parts.reduce((sum, part) => sum + lengthOf(part), 0))
  }

  /** In the order in which they are made. */
  get steps(): readonly Step[] {
    return this.#steps ??= this.#parts.flatMap(part => 'at' in part ? Array.from({ length: part.length }, (_, i) => part.at(i)) : part)
  }

  /** Whether nothing has to change. */
  get empty(): boolean { return this.#made.length === 0 }

  /** How many steps there are of each sort. */
  get counts(): Record<Step['action'], number> {
    const counts = { add: 0, change: 0, remove: 0 }
    for (const { action } of this.steps) counts[action]++
    return counts
  }

  /** How many steps are made. */
  get done(): number { return this.#made.reduce((sum, made) => sum + made, 0) }

  /** The steps that are made. */
  get applied(): Step[] { return this.steps.filter((_, i) => this.#made[i]) }

  /** The steps that failed when the plan was last applied, and how. What needed one of them was not tried, and is in neither list. */
  get failed(): readonly StepFailure[] { return this.#failed }

  /**
   * Makes the changes that are not made yet, in order.
   *
   * Steps of IPVS are sent a thousand at a time; where one fails, others that were sent with it may be made. What somebody
   * else has done meanwhile is no failure. Rejects with {@link PlanError} where a step failed, with {@link BrakeError} where
   * the plan takes out too much, and with the signal's reason; {@link Plan.applied} says what was made.
   */
  async apply({ signal, onFailure = 'stop', progress }: ApplyOptions = {}): Promise<void> {
    if (this.brake !== undefined) throw new BrakeError(this.brake)
    await using session = this.#session()
    const failed: StepFailure[] = []
    this.#failed = failed
    let done = this.done
    for (const group of this.#groups()) {
      signal?.throwIfAborted()
      done += this.#note(group, await perform('run', group, session, { signal }), signal?.aborted ? [] : failed)
      progress?.({ done, failed: failed.length, total: this.#made.length, step: stepOf(group, group.indices.length - 1) })
      if (failed.length > 0 && onFailure === 'stop') break
    }
    const [first, ...more] = failed
    if (first) throw new PlanError(this, [first, ...more])
    if (this.#made.includes(0)) signal?.throwIfAborted()
  }

  /** Takes back what {@link Plan.apply} did, last first. Rejects with the first error; reverting again goes on from there. */
  async revert(options?: CallOptions): Promise<void> {
    await using session = this.#session()
    for (const group of this.#groups(true)) {
      options?.signal?.throwIfAborted()
      const outcomes = await perform('undo', group, session, options)
      outcomes.forEach((outcome, n) => { if (outcome.done) this.#made[group.start + group.indices[n]!] = 0 })
      for (const outcome of outcomes) if ('error' in outcome) throw outcome.error
    }
  }

  /** Notes how the steps of a group came out; how many were made. */
  #note({ start, indices }: Group, outcomes: readonly Outcome[], failed: StepFailure[]): number {
    let made = 0
    for (let n = 0; n < indices.length; n++) {
      const i = start + indices[n]!, outcome = outcomes[n]!
      if (outcome.done) {
        this.#made[i] = 1
        made++
      } else if ('error' in outcome) failed.push({ step: this.steps[i]!, error: outcome.error })
    }
    return made
  }

  /** The steps to be made, or, last first, those to be taken back: together what may go together. */
  * #groups(backwards = false): Generator<Group> {
    const count = this.#parts.length
    for (let p = 0, start = backwards ? this.#made.length : 0; p < count; p++) {
      const part = this.#parts[backwards ? count - 1 - p : p]!
      const length = lengthOf(part)
      if (backwards) start -= length
      let indices: number[] = []
      for (let n = 0; n < length; n++) {
        const i = backwards ? length - 1 - n : n
        if (this.#made[start + i] === (backwards ? 1 : 0)) indices.push(i)
        if (indices.length === LARGEST_GROUP) {
          yield { part, start, indices }
          indices = []
        }
      }
      if (indices.length > 0) yield { part, start, indices }
      if (!backwards) start += length
    }
  }

  /** A line for each step. */
  toString(): string {
    return this.steps.map(({ action, line, why }) => `${SIGNS[action]} ${line}${why === undefined ? '' : `   # ${why}`}`).join('\n')
  }

  /** The steps without what makes them. */
  toJSON(): Pick<Step, 'action' | 'object' | 'line' | 'why'>[] {
    return this.steps.map(({ action, object, line, why }) => ({ action, object, line, ...why !== undefined && { why } }))
  }
}

const lengthOf = (part: Step | StepBatch): number => 'at' in part ? part.length : 1

const stepOf = ({ part, indices }: Group, n: number): Step => 'at' in part ? part.at(indices[n]!) : part

/** Makes, or takes back, a group. Never rejects. */
async function perform(deed: 'run' | 'undo', group: Group, session: Session, options?: CallOptions): Promise<readonly Outcome[]> {
  const { part, indices } = group
  if (debug.enabled) for (let n = 0; n < indices.length; n++) debug('%s %s %s', deed, SIGNS[stepOf(group, n).action], stepOf(group, n).line)
  try {
    if ('at' in part) return await part[deed](indices, session, options)
    await part[deed](session, options)
    return [{ done: true }]
  } catch (error) {
    return indices.map(() => ({ done: false, error }))
  }
}
