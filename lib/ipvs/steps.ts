/** Differences of IPVS as the steps of a plan. */

import type { CallOptions } from '../../generic-netlink/index.js'
import { converge } from './apply.js'
import { inverse, type Change, type Changes } from './diff.js'
import type { Session } from '../plan/session.js'
import { serviceName } from './model.js'
import type { Outcome, Step, StepBatch } from '../plan/plan.js'
import { openIpvs } from './client.js'
import { realServerArguments, realServerKeyArguments, serviceArguments, serviceKeyArguments } from './rules/format.js'

/** Changes as steps that are made together. There may be many thousands: a step is made when somebody looks at it. */
export class IpvsChanges implements StepBatch {
  readonly length: number
  readonly #changes: readonly Change[] | Changes
  readonly #why: string | undefined
  /** Services that could not be made: their real servers are not tried. */
  readonly #lost = new Set<string>()

  constructor(changes: readonly Change[] | Changes, why?: string) {
    this.length = changes.length
    this.#changes = changes
    this.#why = why
  }

  at(index: number): Step { return new IpvsStep(this.#changes.at(index)!, this.#why, this, index) }

  async run(indices: readonly number[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await session.use(openIpvs, options)
    const changes = this.#pick(indices)
    if (this.#lost.size > 0) for (const { server, service } of changes) if (!server) this.#lost.delete(serviceName(service)) // it is tried again
    return await ipvs.turns.beside(() => converge(ipvs, changes, this.#lost, options))
  }

  async undo(indices: readonly number[], session: Session, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await session.use(openIpvs, options)
    const wanted = this.#pick(indices).map(inverse)
    const made = await ipvs.turns.beside(() => converge(ipvs, wanted.flat(), this.#lost, options))
    let next = 0
    return wanted.map(({ length }): Outcome => made.slice(next, next += length).find(({ done }) => !done) ?? { done: true })
  }

  #pick(indices: readonly number[]): Change[] {
    const changes: Change[] = []
    for (const i of indices) changes.push(this.#changes.at(i)!)
    return changes
  }
}

/** One of them. */
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

  run(session: Session, options?: CallOptions): Promise<void> { return this.#alone('run', session, options) }
  undo(session: Session, options?: CallOptions): Promise<void> { return this.#alone('undo', session, options) }

  async #alone(deed: 'run' | 'undo', session: Session, options?: CallOptions): Promise<void> {
    const [outcome] = await this.batch[deed]([this.index], session, options)
    if (outcome && 'error' in outcome) throw outcome.error
  }
}

/** A step for each change; its line is what ipvsadm would be told. */
export function ipvsSteps(changes: readonly Change[], why?: string): Step[] {
  const batch = new IpvsChanges(changes, why)
  return changes.map((_, i) => batch.at(i))
}

/** ipvsadm's commands by ours: of services, and of real servers. */
const LETTERS = { add: ['-A', '-a'], change: ['-E', '-e'], remove: ['-D', '-d'] } as const

function lineOf({ action, service, server }: Change): string {
  const [ofService, ofServer] = LETTERS[action]
  if (!server) return `ipvsadm ${ofService} ${action === 'remove' ? serviceKeyArguments(service) : serviceArguments(service)}`
  return `ipvsadm ${ofServer} ${action === 'remove' ? realServerKeyArguments(service, server) : realServerArguments(service, server)}`
}
