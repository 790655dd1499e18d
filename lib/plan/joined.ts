/** Steps of a group that follow one another, as one part of a plan. */

import type { CallOptions } from '../../generic-netlink/core.js'
import type { Session } from './session.js'
import type { Outcome, Step, StepBatch, StepGroup } from './step.js'

/** Steps of one group that follow one another, and need the same. */
class Joined implements StepBatch {
  readonly needs: readonly Step[] | undefined
  readonly #group: StepGroup
  readonly #steps: Step[] = []

  constructor(group: StepGroup, needs: readonly Step[] | undefined) {
    this.#group = group
    this.needs = needs
  }

  get length(): number { return this.#steps.length }
  at(index: number): Step { return this.#steps[index]! }

  /** Takes a step where it fits; says whether it does. */
  takes(step: Step): boolean {
    const { needs = [] } = step, own = this.needs ?? []
    const fits = step.group === this.#group && needs.length === own.length && needs.every((each, i) => each === own[i])
    if (fits) this.#steps.push(step)
    return fits
  }

  run(indices: readonly number[], session: Session, options?: CallOptions): Promise<readonly Outcome[]> {
    return this.#group.run(indices.map(i => this.#steps[i]!), session, options)
  }

  undo(indices: readonly number[], session: Session, options?: CallOptions): Promise<readonly Outcome[]> {
    return this.#group.undo(indices.map(i => this.#steps[i]!), session, options)
  }
}

/** The parts of a plan, in which steps of a group are together. */
export function joined(given: readonly (Step | StepBatch)[]): (Step | StepBatch)[] {
  const parts: (Step | StepBatch)[] = []
  for (const part of given) {
    if ('at' in part || part.group === undefined) parts.push(part)
    else {
      const last = parts.at(-1)
      if (last instanceof Joined && last.takes(part)) continue
      const own = new Joined(part.group, part.needs)
      own.takes(part)
      parts.push(own)
    }
  }
  return parts
}
