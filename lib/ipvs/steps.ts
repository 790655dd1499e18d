/** Changes of the IPVS table as steps of a plan. */

import type { CallOptions } from '../../generic-netlink/core.js'
import type { Outcome, Step, StepBatch } from '../plan/plan.js'
import type { Session } from '../plan/session.js'
import { applyChanges } from './apply.js'
import { inverse, type Change, type Changes } from './changes.js'
import { openIpvs } from './client.js'
import { serviceName } from './names.js'
import { realServerArguments, realServerKeyArguments, serviceArguments, serviceKeyArguments } from './rules/format.js'

/** Changes as steps, applied together. A step is made when it is read: there may be thousands. */
export class IpvsChanges implements StepBatch {
  readonly length: number
  readonly #changes: readonly Change[] | Changes
  readonly #why: string | undefined
  /** The names of services that could not be made: their real servers are not tried. */
  readonly #failedServices = new Set<string>()

  constructor(changes: readonly Change[] | Changes, why?: string) {
    this.length = changes.length
    this.#changes = changes
    this.#why = why
  }

  at(index: number): Step { return new IpvsStep(this.#changes.at(index)!, this.#why, this, index) }

  async run(indices: readonly number[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await session.use(openIpvs, options)
    const changes = this.#pick(indices)
    const failed = this.#failedServices
    // A service that failed before is tried again.
    if (failed.size > 0) for (const { server, service } of changes) if (!server) failed.delete(serviceName(service))
    return await ipvs.lock.shared(() => applyChanges(ipvs, changes, this.#failedServices, options))
  }

  async undo(indices: readonly number[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await session.use(openIpvs, options)
    const wanted = this.#pick(indices).map(inverse)
    const outcomes = await ipvs.lock.shared(() => applyChanges(ipvs, wanted.flat(), this.#failedServices, options))
    let next = 0
    return wanted.map(({ length }): Outcome =>
      outcomes.slice(next, next += length).find(({ done }) => !done) ?? { done: true })
  }

  #pick(indices: readonly number[]): Change[] {
    const changes: Change[] = []
    for (const i of indices) changes.push(this.#changes.at(i)!)
    return changes
  }
}

/** A step of a batch. */
class IpvsStep implements Step {
  readonly change: Change
  readonly why: string | undefined
  readonly batch: IpvsChanges
  readonly index: number

  constructor(change: Change, why: string | undefined, batch: IpvsChanges, index: number) {
    this.change = change
    this.why = why
    this.batch = batch
    this.index = index
  }

  get action(): Change['action'] { return this.change.action }
  get object(): 'service' | 'real server' { return this.change.server ? 'real server' : 'service' }
  get line(): string { return lineOf(this.change) }

  run(session: Session, options?: CallOptions): Promise<void> { return this.#perform('run', session, options) }
  undo(session: Session, options?: CallOptions): Promise<void> { return this.#perform('undo', session, options) }

  async #perform(direction: 'run' | 'undo', session: Session, options?: CallOptions): Promise<void> {
    const [outcome] = await this.batch[direction]([this.index], session, options)
    if (outcome && 'error' in outcome) throw outcome.error
  }
}

/** A step for each change; its line is ipvsadm's command. */
export function ipvsSteps(changes: readonly Change[], why?: string): Step[] {
  const batch = new IpvsChanges(changes, why)
  return changes.map((_, i) => batch.at(i))
}

/** ipvsadm's commands, for services and for real servers. */
const LETTERS = { add: ['-A', '-a'], change: ['-E', '-e'], remove: ['-D', '-d'] } as const

function lineOf({ action, service, server }: Change): string {
  const [ofService, ofServer] = LETTERS[action]
  const removal = action === 'remove'
  if (!server) return `ipvsadm ${ofService} ${removal ? serviceKeyArguments(service) : serviceArguments(service)}`
  const argumentsOf = removal ? realServerKeyArguments : realServerArguments
  return `ipvsadm ${ofServer} ${argumentsOf(service, server)}`
}
