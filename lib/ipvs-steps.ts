/** Differences of IPVS as the steps of a plan. */

import type { CallOptions } from '../generic-netlink/index.js'
import { converge } from './converge.js'
import { inverse, type Change } from './diff.js'
import type { Host } from './host.js'
import { serviceName } from './model.js'
import type { Outcome, Step, Together } from './plan.js'
import { realServerArguments, realServerKeyArguments, serviceArguments, serviceKeyArguments } from './rules-format.js'

/** A change as a step. There may be many thousands: what is printed of one is made when it is asked for. */
class IpvsStep implements Step {
  readonly change: Change
  readonly together: Together
  readonly why: string | undefined

  constructor(change: Change, together: Together, why: string | undefined) {
    this.change = change
    this.together = together
    this.why = why
  }

  get action(): Change['action'] { return this.change.action }
  get object(): 'service' | 'real server' { return this.change.server ? 'real server' : 'service' }
  get line(): string { return lineOf(this.change) }

  run(host: Host, options?: CallOptions): Promise<void> { return this.#alone('run', host, options) }
  undo(host: Host, options?: CallOptions): Promise<void> { return this.#alone('undo', host, options) }

  async #alone(deed: 'run' | 'undo', host: Host, options?: CallOptions): Promise<void> {
    const [outcome] = await this.together[deed]([this], host, options)
    if (outcome && 'error' in outcome) throw outcome.error
  }
}

/** A step for each change; its line is what ipvsadm would be told. Steps that stand together are sent together. */
export function ipvsSteps(changes: readonly Change[], why?: string): Step[] {
  const together = new SentTogether()
  const steps: Step[] = []
  for (const change of changes) steps.push(new IpvsStep(change, together, why))
  return steps
}

/** The steps of one plan on their way to the kernel. */
class SentTogether implements Together {
  /** Services that could not be made: their real servers are not tried. */
  readonly #lost = new Set<string>()

  async run(steps: readonly Step[], host: Host, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await host.ipvs(options)
    const changes = changesOf(steps)
    if (this.#lost.size > 0) for (const { server, service } of changes) if (!server) this.#lost.delete(serviceName(service)) // it is tried again
    return await ipvs.turns.beside(() => converge(ipvs, changes, this.#lost, options))
  }

  async undo(steps: readonly Step[], host: Host, options?: CallOptions): Promise<Outcome[]> {
    const ipvs = await host.ipvs(options)
    const wanted = changesOf(steps).map(inverse)
    const made = await ipvs.turns.beside(() => converge(ipvs, wanted.flat(), this.#lost, options))
    let next = 0
    return wanted.map(({ length }): Outcome => made.slice(next, next += length).find(({ done }) => !done) ?? { done: true })
  }
}

function changesOf(steps: readonly Step[]): Change[] {
  const changes: Change[] = []
  for (const step of steps) if (step instanceof IpvsStep) changes.push(step.change)
  return changes
}

/** ipvsadm's commands by ours: of services, and of real servers. */
const LETTERS = { add: ['-A', '-a'], change: ['-E', '-e'], remove: ['-D', '-d'] } as const

function lineOf({ action, service, server }: Change): string {
  const [ofService, ofServer] = LETTERS[action]
  if (!server) return `ipvsadm ${ofService} ${action === 'remove' ? serviceKeyArguments(service) : serviceArguments(service)}`
  return `ipvsadm ${ofServer} ${action === 'remove' ? realServerKeyArguments(service, server) : realServerArguments(service, server)}`
}
