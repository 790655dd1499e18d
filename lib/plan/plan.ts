/** Plans: steps that are shown, applied and reverted. */

import { logger, type CallOptions } from '../../generic-netlink/core.js'
import { abortSignal, among, callback, optionsOf, type OptionChecks } from '../base/check.js'
import { joined } from './joined.js'
import { Session } from './session.js'
import type { Outcome, Step, StepBatch } from './step.js'

export type { Step, StepObject } from './step.js'
/** @internal */
export type { Outcome, StepBatch, StepGroup } from './step.js'

const debug = logger('ipvs-nl:plan')

const SIGNS = { add: '+', change: '~', remove: '-' } as const

/** A failed step and its error. */
export interface StepFailure { readonly step: Step; readonly error: unknown }

/** The progress of a plan. */
export interface PlanProgress {
  /** The numbers of applied steps, of failed steps, and of all. */
  readonly done: number
  readonly failed: number
  readonly total: number
  /** The last step. */
  readonly step: Step
}

/** Options of {@link Plan.revert}. */
export interface RevertOptions extends CallOptions {
  /**
   * On the failure of a step, stops, or continues with the steps that do not depend on it.
   * @defaultValue `'stop'`
   */
  readonly onFailure?: 'stop' | 'continue'
}

/** Options of {@link Plan.apply}. */
export interface ApplyOptions extends RevertOptions {
  /**
   * Called after each step, or after each thousand steps that are sent together.
   * An error that it throws ends the application, and is thrown on.
   */
  readonly progress?: (progress: PlanProgress) => void
}

const checks = { signal: abortSignal, onFailure: among(['stop', 'continue']) }
const revertOptions = optionsOf<RevertOptions>(checks)
/** The checks of {@link ApplyOptions}. */
export const applyChecks: OptionChecks<ApplyOptions> = { ...checks, progress: callback }
const applyOptions = optionsOf(applyChecks)

/**
 * Steps of a plan could not be applied, or not be reverted. The others keep their state; a second
 * apply or revert continues from there.
 */
export class PlanError extends Error {
  static { this.prototype.name = 'PlanError' }
  /** The first step that failed; `cause` is its error. */
  readonly step: Step
  /** All steps that failed. */
  readonly failed: readonly StepFailure[]
  constructor(plan: Plan, [first, ...more]: readonly [StepFailure, ...StepFailure[]]) {
    const { step, error } = first
    const others = more.length > 0 ? `; ${more.length} more failed` : ''
    const why = error instanceof Error ? error.message : String(error)
    const place = `step ${plan.steps.indexOf(step) + 1} of ${plan.steps.length}`
    super(`${place} failed: ${step.line}: ${why}${others}`, { cause: error })
    this.step = step
    this.failed = [first, ...more]
  }
}

/** The refusal of a plan that removes too much. */
export class BrakeError extends Error { static { this.prototype.name = 'BrakeError' } }

/** The steps that are sent together, between two calls of `progress` and checks of the signal. */
const LARGEST_GROUP = 1024

/** A part of a plan, and the steps of it to apply or to undo now. */
interface Group {
  readonly part: Step | StepBatch
  /** The index of the part's first step among all steps. */
  readonly start: number
  readonly indices: readonly number[]
}

/**
 * The steps from the actual to the wanted state; empty where they are the same. As text, the
 * operator's commands, with `+`, `~` and `-` for additions, changes and removals.
 *
 * @example
 * ```ts
 * import { planRealServer } from 'ipvs-nl'
 *
 * const plan = await planRealServer({
 *   vip: '192.168.50.100',
 *   tunnel: { kind: 'ipip', name: 'tun0', local: '192.168.52.100' },
 * })
 * console.log(`${plan}`)
 * await plan.apply()
 * await plan.revert() // restores the state before
 * ```
 */
export class Plan {
  /** The reason that {@link Plan.apply} refuses the plan; undefined where it does not. */
  readonly brake: string | undefined
  readonly #parts: readonly (Step | StepBatch)[]
  readonly #session: () => Session
  /** For each step 1 where it is applied. */
  readonly #made: Uint8Array
  /** The index of each part's first step among all steps. */
  readonly #starts = new Map<Step | StepBatch, number>()
  /** The parts that need others. */
  readonly #needy: readonly (Step | StepBatch)[]
  #steps: readonly Step[] | undefined
  #failed: StepFailure[] = []

  /** @internal */
  constructor(
    given: readonly (Step | StepBatch)[],
    { session = () => new Session(), brake }: { session?: () => Session; brake?: string | undefined } = {},
  ) {
    const parts = joined(given)
    this.brake = brake
    this.#parts = parts
    this.#needy = parts.filter(({ needs }) => needs !== undefined)
    this.#session = session
    let length = 0
    for (const part of parts) {
      this.#starts.set(part, length)
      length += lengthOf(part)
    }
    this.#made = new Uint8Array(length)
  }

  /** The steps, in the order in which they are applied. */
  get steps(): readonly Step[] {
    return this.#steps ??= this.#parts.flatMap(part =>
      'at' in part ? Array.from({ length: part.length }, (_, i) => part.at(i)) : part)
  }

  /** Whether there are no steps. */
  get empty(): boolean { return this.#made.length === 0 }

  /** The numbers of additions, changes and removals. */
  get counts(): Record<Step['action'], number> {
    const counts = { add: 0, change: 0, remove: 0 }
    for (const { action } of this.steps) counts[action]++
    return counts
  }

  /** The number of applied steps. */
  get done(): number { return this.#made.reduce((sum, made) => sum + made, 0) }

  /** The applied steps. */
  get applied(): Step[] { return this.steps.filter((_, i) => this.#made[i]) }

  /** The failures of the last apply; not the steps that depend on them, which were not tried. */
  get failed(): readonly StepFailure[] { return this.#failed }

  /**
   * Applies the steps that are not applied yet, in order.
   *
   * Steps of IPVS are sent a thousand at a time; where one fails, the others of its thousand may be
   * applied. A step that another program has made meanwhile is no failure. Rejects with
   * {@link PlanError} where a step failed, with {@link BrakeError} where the plan removes too much,
   * and with the signal's reason; {@link Plan.applied} lists the applied steps. Where the director
   * of the plan is closed meanwhile, no further step begins, whatever `onFailure` says, and the
   * application rejects with `ECANCELED`.
   */
  async apply(given?: ApplyOptions): Promise<void> {
    const options = applyOptions(given)
    if (this.brake !== undefined) throw new BrakeError(this.brake)
    await this.#perform('run', options, this.#failed = [])
  }

  /**
   * Undoes the applied steps, last first: each object is again as its step found it, whatever
   * others did since. A step that found its object added already undoes no addition; an added
   * object that has gone is done. A step that fails stays applied; a second revert tries it again.
   *
   * Rejects with {@link PlanError} where a step failed, with the signal's reason, and, where the
   * director of the plan is closed meanwhile, with `ECANCELED`.
   */
  async revert(options?: RevertOptions): Promise<void> { await this.#perform('undo', revertOptions(options), []) }

  async #perform(
    direction: 'run' | 'undo', { signal, onFailure = 'stop', progress }: ApplyOptions, failed: StepFailure[],
  ): Promise<void> {
    await using session = this.#session()
    const made = direction === 'run' ? 1 : 0
    let { done } = this
    for (const group of this.#groups(direction === 'undo')) {
      throwIfEnded(session, signal)
      if (direction === 'run' ? this.#lacksNeeds(group.part) : this.#isNeeded(group.part)) continue
      const outcomes = await perform(direction, group, session, { signal })
      done += this.#note(group, outcomes, made, isEnded(session, signal) ? [] : failed)
      const step = stepOf(group, group.indices.length - 1)
      progress?.({ done, failed: failed.length, total: this.#made.length, step })
      if (failed.length > 0 && onFailure === 'stop') break
    }
    const [first, ...more] = failed
    if (first) throw new PlanError(this, [first, ...more])
    if (this.#made.includes(1 - made)) throwIfEnded(session, signal)
  }

  /** Whether a step of a part is applied. */
  #isMade(part: Step | StepBatch): boolean {
    const start = this.#starts.get(part)
    if (start === undefined) return true // a step of another plan
    return this.#made.subarray(start, start + lengthOf(part)).includes(1)
  }

  /** Whether a step that this one needs is not applied. */
  #lacksNeeds({ needs }: Step | StepBatch): boolean { return needs?.every(step => this.#isMade(step)) === false }

  /** Whether an applied step needs this one. */
  #isNeeded(part: Step | StepBatch): boolean {
    return this.#needy.some(each => each.needs!.some(step => step === part) && this.#isMade(each))
  }

  /** Notes the outcomes of a group. Returns the number of steps that are done. */
  #note({ start, indices }: Group, outcomes: readonly Outcome[], made: 0 | 1, failed: StepFailure[]): number {
    let done = 0
    for (let n = 0; n < indices.length; n++) {
      const i = start + indices[n]!, outcome = outcomes[n]!
      if (outcome.done) {
        this.#made[i] = made
        done++
      } else if ('error' in outcome) failed.push({ step: this.steps[i]!, error: outcome.error })
    }
    return done
  }

  /** Groups the steps to apply, or, last first, the steps to undo. */
  * #groups(backwards = false): Generator<Group> {
    for (const part of backwards ? this.#parts.toReversed() : this.#parts) {
      const start = this.#starts.get(part)!, end = start + lengthOf(part)
      const indices: number[] = []
      for (let i = start; i < end; i++) if (this.#made[i] === (backwards ? 1 : 0)) indices.push(i - start)
      if (backwards) indices.reverse()
      for (let n = 0; n < indices.length; n += LARGEST_GROUP) {
        yield { part, start, indices: indices.slice(n, n + LARGEST_GROUP) }
      }
    }
  }

  /** A line for each step. */
  toString(): string {
    return this.steps.map(({ action, line, why }) =>
      `${SIGNS[action]} ${line}${why === undefined ? '' : `   # ${why}`}`).join('\n')
  }

  /** The steps as plain data. */
  toJSON(): Pick<Step, 'action' | 'object' | 'line' | 'why'>[] {
    return this.steps.map(({ action, object, line, why }) =>
      ({ action, object, line, ...why !== undefined && { why } }))
  }
}

const lengthOf = (part: Step | StepBatch): number => 'at' in part ? part.length : 1

const stepOf = ({ part, indices }: Group, n: number): Step => 'at' in part ? part.at(indices[n]!) : part

/** Whether no further step may begin. */
const isEnded = (session: Session, signal?: AbortSignal): boolean =>
  signal?.aborted === true || session.ended !== undefined

/** @throws the signal's reason, or `ECANCELED` where the director is closed */
function throwIfEnded({ ended }: Session, signal?: AbortSignal): void {
  signal?.throwIfAborted()
  if (ended) throw ended
}

/** Applies or undoes a group. Never rejects. */
async function perform(
  direction: 'run' | 'undo', group: Group, session: Session, options?: CallOptions,
): Promise<readonly Outcome[]> {
  const { part, indices } = group
  if (debug.enabled) {
    indices.forEach((_, n) => {
      const { action, line } = stepOf(group, n)
      debug('%s %s %s', direction, SIGNS[action], line)
    })
  }
  try {
    if ('at' in part) return await part[direction](indices, session, options)
    await part[direction](session, options)
    return [{ done: true }]
  } catch (error) {
    return indices.map(() => ({ done: false, error }))
  }
}
