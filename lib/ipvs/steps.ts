/** Changes of the IPVS table as steps of a plan. */

import type { CallOptions } from '../../generic-netlink/core.js'
import type { Outcome, Step, StepBatch } from '../plan/plan.js'
import type { Session } from '../plan/session.js'
import { applyChanges } from './apply.js'
import { inverse, type Change, type Changes } from './changes.js'
import { openIpvs } from './client.js'
import { PlanRun } from './meanwhile.js'
import type { RealServerSettings, Service } from './model.js'
import { realServerArguments, realServerKeyArguments, serviceArguments, serviceKeyArguments } from './rules/format.js'
import { withDrains } from './schedulers.js'

/** Changes as steps, applied together. A step is made when it is read: there may be thousands. */
export class IpvsChanges implements StepBatch {
  readonly length: number
  readonly #changes: readonly Change[] | Changes
  readonly #why: string | undefined
  /** What steps made that met what other programs did meanwhile, by the index of the step. */
  readonly #made = new Map<number, readonly Change[]>()
  /** The application that goes on, or the last one. */
  #session: Session | undefined
  #run = new PlanRun()

  constructor(changes: readonly Change[] | Changes, why?: string) {
    this.length = changes.length
    this.#changes = changes
    this.#why = why
  }

  at(index: number): Step { return new IpvsStep(this.#changes.at(index)!, this.#why, this, index) }

  async run(indices: readonly number[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await session.use(openIpvs, options)
    const changes = indices.map(i => this.#changes.at(i)!)
    const run = this.#runOf(session, indices.at(-1)! + 1)
    const outcomes = await ipvs.edit(() => applyChanges(ipvs, changes, run, options))
    for (let n = 0; n < outcomes.length; n++) {
      const { made } = outcomes[n]!
      if (made) this.#made.set(indices[n]!, made)
      else if (this.#made.size > 0) this.#made.delete(indices[n]!)
    }
    return outcomes as Outcome[]
  }

  async undo(indices: readonly number[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await session.use(openIpvs, options)
    const wanted = indices.map(i =>
      (this.#made.get(i) ?? [this.#changes.at(i)!]).toReversed().flatMap(inverse))
    const run = this.#runOf(session, this.length)
    const outcomes = await ipvs.edit(() => applyChanges(ipvs, wanted.flat(), run, options))
    let next = 0
    return wanted.map(({ length }): Outcome =>
      outcomes.slice(next, next += length).find(({ done }) => !done) ?? { done: true })
  }

  /** The memory of this application, before the group of steps that ends at index `end`. */
  #runOf(session: Session, end: number): PlanRun {
    if (session !== this.#session) {
      this.#session = session
      this.#run = new PlanRun()
    }
    this.#run.later = service => this.#additionsFrom(end, service)
    return this.#run
  }

  /** The real servers of a service that steps from this index on add. They follow one another. */
  #additionsFrom(index: number, service: Service): Set<RealServerSettings> {
    const servers = new Set<RealServerSettings>()
    for (let i = index; i < this.length; i++) {
      const change = this.#changes.at(i)!
      if (change.service !== service) break
      if (change.action === 'add' && change.server) servers.add(change.server)
    }
    return servers
  }
}

/** A step of a batch. */
class IpvsStep implements Step {
  readonly change: Change
  readonly batch: IpvsChanges
  readonly index: number
  readonly #why: string | undefined

  constructor(change: Change, why: string | undefined, batch: IpvsChanges, index: number) {
    this.change = change
    this.#why = change.why ?? why
    this.batch = batch
    this.index = index
  }

  get action(): Change['action'] { return this.change.action }
  get object(): 'service' | 'real server' { return this.change.server ? 'real server' : 'service' }
  get line(): string { return lineOf(this.change) }
  get why(): string | undefined { return this.#why ?? lossOf(this.change) }

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
  if (!server) {
    return `ipvsadm ${ofService} ${removal ? serviceKeyArguments(service) : serviceArguments(withDrains(service))}`
  }
  const argumentsOf = removal ? realServerKeyArguments : realServerArguments
  return `ipvsadm ${ofServer} ${argumentsOf(service, server)}`
}

/** The real servers that go with a service. */
function lossOf({ action, service: { realServers: { length } }, server }: Change): string | undefined {
  if (action !== 'remove' || server || length === 0) return undefined
  return length === 1 ? 'with its real server' : `with its ${length} real servers`
}
