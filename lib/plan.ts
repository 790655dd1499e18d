/** Plans: what must change, shown before it is done, and undone as it was done. */

import createDebug from 'debug'
import type { CallOptions } from '../generic-netlink/index.js'
import { Host } from './host.js'

const debug = createDebug('ipvs-nl:plan')

/** What a step is about. */
export type StepObject = 'service' | 'real server' | 'timeouts' | 'link' | 'address' | 'route' | 'neighbour' | 'sysctl' | 'fou port' | 'module'

const SIGNS = { add: '+', change: '~', remove: '-' } as const

/** One change. */
export interface Step {
  readonly action: 'add' | 'change' | 'remove'
  readonly object: StepObject
  /** The command that an operator would type for it: `ip addr add 192.0.2.1/32 dev tun0`. */
  readonly line: string
  /** Why it is needed, where that does not show. */
  readonly why?: string
  /** The link that goes, if only to be made anew: what stands on it goes with it. */
  readonly removes?: string
  /** Makes the change. */
  run(host: Host, options?: CallOptions): Promise<void>
  /** Takes it back. */
  undo(host: Host, options?: CallOptions): Promise<void>
}

/** A plan stopped at a step that failed. What was done before it stays done; applying again goes on from there. */
export class PlanError extends Error {
  static { this.prototype.name = 'PlanError' }
  /** The step that failed; `cause` says how. */
  readonly step: Step
  constructor(step: Step, done: number, total: number, cause: unknown) {
    super(`step ${done + 1} of ${total} failed: ${step.line}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
    this.step = step
  }
}

/**
 * What must change for the host to be as wanted; empty where it is.
 *
 * Printed, it shows the commands that an operator would type, with `+`, `~` and `-` for what is added, changed and removed.
 *
 * @example
 * ```ts
 * import { RealServer } from 'ipvs-nl'
 *
 * const plan = await RealServer.plan({ vip: '192.168.50.100', tunnel: { kind: 'ipip', name: 'tun0', local: '192.168.52.100' } })
 * console.log(`${plan}`)
 * await plan.apply()
 * await plan.revert() // as it was before
 * ```
 */
export class Plan {
  /** In the order in which they are made. */
  readonly steps: readonly Step[]
  #done = 0

  constructor(steps: readonly Step[]) { this.steps = steps }

  /** Whether nothing has to change. */
  get empty(): boolean { return this.steps.length === 0 }

  /** How many steps are done, from the first. */
  get done(): number { return this.#done }

  /** Makes the changes that are not made yet, in order. Rejects with {@link PlanError} at the first that fails. */
  async apply(options?: CallOptions): Promise<void> {
    await using host = new Host()
    for (; this.#done < this.steps.length; this.#done++) {
      const step = this.steps[this.#done]!
      options?.signal?.throwIfAborted()
      debug('%s %s', SIGNS[step.action], step.line)
      try { await step.run(host, options) } catch (error) { throw new PlanError(step, this.#done, this.steps.length, error) }
    }
  }

  /** Takes back what {@link Plan.apply} did, last first. */
  async revert(options?: CallOptions): Promise<void> {
    await using host = new Host()
    while (this.#done > 0) {
      const step = this.steps[this.#done - 1]!
      debug('undo %s %s', SIGNS[step.action], step.line)
      await step.undo(host, options)
      this.#done--
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
