/** Steps of plans: single ones, groups, and batches. */

import type { CallOptions } from '../../generic-netlink/core.js'
import type { Session } from './session.js'

/** The kind of object of a step. A plan needs no list of them: other kinds may join. */
export type StepObject =
  | 'service' | 'real server' | 'timeouts' | 'sync daemon' | 'link' | 'address' | 'route' | 'neighbour' | 'sysctl'
  | 'fou port' | 'module' | (string & {})

/** One change. */
export interface Step {
  readonly action: 'add' | 'change' | 'remove'
  readonly object: StepObject
  /** The operator's command for the step: `ip addr add 192.0.2.1/32 dev tun0`. */
  readonly line: string
  /** The reason of the step, where the line does not show it. */
  readonly why?: string | undefined
  /** The link that the step removes, with the objects on it; the next step may add it again. */
  readonly removes?: string
  /** The sysctl that the step sets: `net.ipv4.conf.all.arp_ignore`. */
  readonly sets?: string
  /**
   * Earlier steps of the plan. The step is not applied unless they are, whatever `onFailure` says,
   * and while it is applied they are not undone.
   */
  readonly needs?: readonly Step[] | undefined
  /** Applies this step together with steps of the same group that follow it. @internal */
  readonly group?: StepGroup
  /** Makes the change. @internal */
  run(session: Session, options?: CallOptions): Promise<void>
  /** Undoes the change. @internal */
  undo(session: Session, options?: CallOptions): Promise<void>
}

/** The outcome of a step. A skipped step depends on a failed step. @internal */
export type Outcome =
  | { readonly done: true }
  | { readonly done: false; readonly error: unknown }
  | { readonly done: false; readonly skipped: true }

/** Applies and undoes steps together. @internal */
export interface StepGroup {
  /** Applies steps, in this order. Resolves with the outcome of each. */
  run(steps: readonly Step[], session: Session, options?: CallOptions): Promise<readonly Outcome[]>
  /** Undoes steps, in this order. */
  undo(steps: readonly Step[], session: Session, options?: CallOptions): Promise<readonly Outcome[]>
}

/** Steps that are applied together, faster than one by one. @internal */
export interface StepBatch {
  readonly length: number
  /** As {@link Step.needs}, of all steps. */
  readonly needs?: readonly Step[] | undefined
  /** The step of this index, from 0. */
  at(index: number): Step
  /** Applies the steps of these indices, in this order. Resolves with the outcome of each. */
  run(indices: readonly number[], session: Session, options?: CallOptions): Promise<readonly Outcome[]>
  /** Undoes the steps of these indices, in this order. */
  undo(indices: readonly number[], session: Session, options?: CallOptions): Promise<readonly Outcome[]>
}
