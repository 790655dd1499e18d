/** Changes that meet what other programs did since the plan. */

import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import type { Outcome } from '../plan/plan.js'
import type { Change } from './changes.js'
import type { IpvsClient } from './client.js'
import { ServerMatcher } from './match.js'
import type { RealServerSettings, Service } from './model.js'
import { Modules } from './modules.js'
import { realServerName, serviceName } from './names.js'
import type { Overrides } from './overrides.js'
import { readServiceSettings } from './read.js'
import { sameRealServer } from './real-server.js'
import { sameSettings } from './service.js'

/** The outcome of a change; `made` lists what was really made where that is something else. */
export type ChangeOutcome = Outcome & { readonly made?: readonly Change[] }

/** What the application of a plan remembers from one group of steps to the next. */
export class PlanRun {
  /** The names of services that could not be made: their real servers are not tried. */
  readonly failedServices = new Set<string>()
  /** The modules that were looked for. */
  readonly modules = new Modules()
  /** The real servers of a service that later groups of the plan add. */
  later: (service: Service) => ReadonlySet<RealServerSettings> = () => NONE
}

const NONE: ReadonlySet<RealServerSettings> = new Set()
const DONE: ChangeOutcome = Object.freeze({ done: true })
const SKIPPED: ChangeOutcome = Object.freeze({ done: false, skipped: true })

/** The most times that changes are sent: another program may undo them each time. */
const ATTEMPTS = 4

/**
 * The outcomes of changes, and what to send again.
 *
 * - An addition of an object that exists becomes its change; where it is as wanted, it is done.
 * - A change of an object that is gone becomes its addition.
 * - Where a service is gone, it is added again, once, with all real servers that it should have.
 * - A removal of an object that is gone is done; that of a real server whose connections a drain
 *   awaits is left to the drain.
 * - A change whose answer was lost is sent again.
 */
export class Meanwhile {
  readonly #ipvs: IpvsClient
  readonly #changes: readonly Change[]
  readonly #run: PlanRun
  readonly #outcomes: ChangeOutcome[]
  /** What was made in place of a change, by the index of the change. */
  readonly #made = new Map<number, Change[]>()
  /** The indices of changes that an answer was lost of: they may have been made. */
  readonly #lost = new Set<number>()
  #attempt = 0
  /** The changes on their way, and the index that each is made for, where they are not all. */
  #sent: readonly Change[]
  #indices: readonly number[] | undefined

  /** @param refused - The errors of changes that are not sent, by index. */
  constructor(
    ipvs: IpvsClient, changes: readonly Change[], run: PlanRun, refused: ReadonlyMap<number, unknown>,
  ) {
    this.#ipvs = ipvs
    this.#run = run
    this.#outcomes = new Array<ChangeOutcome>(changes.length).fill(DONE)
    this.#changes = changes
    this.#sent = changes
    for (const [i, error] of refused) this.#fail(changes[i]!, serviceName(changes[i]!.service), i, error)
    const { overrides } = ipvs
    if (refused.size === 0 && overrides.empty) return
    const indices: number[] = []
    for (const [i, { action, service, server }] of changes.entries()) {
      // Removals of real servers are left to the drains that wait for their connections.
      if (refused.has(i) || (action === 'remove' && server && overrides.leave(service, server))) continue
      indices.push(i)
    }
    if (indices.length === changes.length) return
    this.#sent = indices.map(i => changes[i]!)
    this.#indices = indices
  }

  /** The changes to send next. */
  get pending(): readonly Change[] { return this.#sent }

  /**
   * The outcome of each change.
   *
   * @param errors - Of services that could not be settled, by name.
   */
  outcomes(errors: ReadonlyMap<string, unknown>): readonly ChangeOutcome[] {
    const outcomes = this.#outcomes
    for (const [index, made] of this.#made) if (outcomes[index]!.done) outcomes[index] = { done: true, made }
    if (errors.size === 0) return outcomes
    return outcomes.map((outcome, i) => {
      const error = errors.get(serviceName(this.#changes[i]!.service))
      return error === undefined || !outcome.done ? outcome : { done: false, error }
    })
  }

  /** Takes the error of each change that was sent. Then `pending` has the changes to send next. */
  async next(errors: readonly unknown[], options?: CallOptions): Promise<void> {
    const { overrides } = this.#ipvs
    const again = new Again(this.#run)
    const present: { readonly change: Change; readonly index: number }[] = []
    const mayRetry = ++this.#attempt < ATTEMPTS
    for (let i = 0; i < errors.length; i++) {
      const error = errors[i], index = this.#indices?.[i] ?? i, change = this.#sent[i]!
      if (error === undefined) {
        overrides.took(change)
        if (this.#indices) this.#made.get(index)?.push(change)
        continue
      }
      const name = serviceName(change.service)
      const met = mayRetry && !this.#run.failedServices.has(name) ? metBy(change, error, overrides) : undefined
      if (met === undefined) this.#fail(change, name, index, error)
      else if (met === 'lost') {
        this.#lost.add(index)
        again.push(change, index)
      } else if (met === 'kept absent') overrides.took(change)
      else {
        if (!this.#lost.has(index) && !this.#made.has(index)) this.#made.set(index, [])
        if (met === 'exists') present.push({ change, index })
        else if (met === 'no real server') again.push({ ...change, action: 'add' }, index)
        else if (met === 'no service') again.pushService(name, change, index)
        else overrides.took(change)
      }
    }
    if (present.length > 0) await this.#compare(present, again, options)
    this.#sent = again.changes
    this.#indices = again.indices
  }

  #fail(change: Change, name: string, index: number, error: unknown): void {
    const { failedServices } = this.#run
    if (change.server && failedServices.has(name)) {
      this.#outcomes[index] = SKIPPED
      return
    }
    this.#outcomes[index] = { done: false, error }
    if (!change.server && change.action !== 'remove') failedServices.add(name)
  }

  /** Compares what should have been added with what is there; changes what differs. */
  async #compare(
    present: readonly { readonly change: Change; readonly index: number }[], again: Again, options?: CallOptions,
  ): Promise<void> {
    const { overrides } = this.#ipvs
    const found = new Map<string, Found>()
    for (const { change, index } of present) {
      const { service, server } = change, name = serviceName(service)
      let there = found.get(name)
      if (!there) found.set(name, there = await this.#find(service, options))
      if ('error' in there) {
        this.#fail(change, name, index, there.error)
        continue
      }
      const was = there.service
      if (!was) again.push(change, index)
      else if (!server) {
        if (!sameSettings(overrides.settings(service), was)) {
          again.push({ action: 'change', service, before: was }, index)
        } else overrides.took(change)
      } else {
        const before = there.servers.take(server), wanted = overrides.server(service, server)
        if (!before) again.push(change, index)
        else if (!wanted || !sameRealServer(wanted, before)) {
          const declared = overrides.get(service, server)?.declared ?? before
          again.push({ action: 'change', service, server, before: declared, was }, index)
        } else overrides.took(change)
      }
    }
  }

  async #find(key: Service, options?: CallOptions): Promise<Found> {
    try {
      const service = await readServiceSettings(this.#ipvs, key, options)
      return { service, servers: new ServerMatcher(service?.realServers ?? []) }
    } catch (error) {
      return { error }
    }
  }
}

/** A service that exists already, or the error of reading it. */
type Found = { readonly service: Service | undefined; readonly servers: ServerMatcher } | { readonly error: unknown }

/** Changes to send again. */
class Again {
  readonly changes: Change[] = []
  /** The index of the change that was asked for, for each of these. */
  readonly indices: number[] = []
  readonly #run: PlanRun
  /** Where the real servers of each service that is gone stand in `changes`. */
  readonly #gone = new Map<string, ReadonlyMap<string, number>>()

  constructor(run: PlanRun) { this.#run = run }

  push(change: Change, index: number): void {
    this.changes.push(change)
    this.indices.push(index)
  }

  /** Adds a service that is gone once; a real server of it is then made for its own change. */
  pushService(name: string, { service, server }: Change, index: number): void {
    let places = this.#gone.get(name)
    if (!places) this.#gone.set(name, places = this.#pushAll(service, index))
    if (!server) return
    const place = places.get(realServerName(server))
    if (place === undefined) this.push({ action: 'add', service, server }, index)
    else this.indices[place] = index
  }

  #pushAll(service: Service, index: number): Map<string, number> {
    const places = new Map<string, number>(), later = this.#run.later(service)
    this.push({ action: 'add', service }, index)
    for (const server of service.realServers) {
      if (later.has(server)) continue
      places.set(realServerName(server), this.changes.length)
      this.push({ action: 'add', service, server }, index)
    }
    return places
  }
}

/** What a change met in the kernel; undefined where its error stands. */
function metBy({ action, service, server }: Change, error: unknown, overrides: Overrides):
'exists' | 'gone' | 'kept absent' | 'no real server' | 'no service' | 'lost' | undefined {
  if (!(error instanceof NetlinkError)) return undefined
  switch (error.code) {
    case 'EEXIST': return 'exists'
    case 'ESRCH': return action === 'remove' ? 'gone' : 'no service'
    // Of a service, the scheduler is missing.
    case 'ENOENT':
      if (!server || action === 'remove') return server && 'gone'
      return overrides.server(service, server) ? 'no real server' : 'kept absent'
    case 'ENOBUFS': return 'lost'
    default: return undefined
  }
}
