/** The sender of all edits of services and real servers. Combines each edit with the overrides. */

import { NetlinkError, type CallOptions, type Sequence } from '../../generic-netlink/core.js'
import type { ServiceAttributes } from '../../generic-netlink/families/ipvs.js'
import type { Outcome } from '../plan/plan.js'
import { additions, type Change } from './changes.js'
import { throwFirst, type IpvsClient, type IpvsCommand } from './client.js'
import { destinationKey, keyAttributes } from './key.js'
import type { RealServerKey, RealServerSettings, ServiceKey, ServiceSettings } from './model.js'
import { serviceName } from './names.js'
import type { Overrides } from './overrides.js'
import { destinationAttributes, emptyDestination } from './real-server.js'
import { serviceAttributes } from './service.js'

/** An edit of a service, or of a real server of the service that a key names. */
export type Edit =
  | { readonly action: 'add' | 'change'; readonly service: ServiceKey & ServiceSettings; readonly server?: undefined }
  | { readonly action: 'add' | 'change'; readonly service: ServiceKey; readonly server: RealServerSettings }
  | { readonly action: 'remove'; readonly service: ServiceKey; readonly server?: RealServerKey | undefined }

// ── edits ──

/** Sends edits together, in order. Resolves with the error of each, or undefined. Never rejects. */
export async function attempt(ipvs: IpvsClient, edits: readonly Edit[], options?: CallOptions): Promise<unknown[]> {
  const commands = edits.map(edit =>
    commandOf(edit, ipvs.overrides, new ServerCommands(), edit.server as RealServerSettings | undefined))
  return await ipvs.attempt(commands, options)
}

/** Sends edits together, in order. Rejects with the first error; the others are still made. */
export async function send(ipvs: IpvsClient, edits: readonly Edit[], options?: CallOptions): Promise<void> {
  throwFirst(await attempt(ipvs, edits, options))
}

/** {@link send} beside other edits. */
export const edit = (ipvs: IpvsClient, edits: readonly Edit[], options?: CallOptions): Promise<void> =>
  ipvs.lock.shared(() => send(ipvs, edits, options))

// ── changes ──

const DONE: Outcome = Object.freeze({ done: true })
const SKIPPED: Outcome = Object.freeze({ done: false, skipped: true })

/** Retries when another process undoes a change. */
const ATTEMPTS = 4

/**
 * Makes changes together, in order, whatever other processes changed since the plan. Never rejects.
 * An addition of an object that exists becomes a change; a change of an object that is gone becomes
 * an addition; a removal of an object that is gone is done.
 *
 * @param failedServices - The names of services that could not be made so far; grows.
 */
export async function applyChanges(
  ipvs: IpvsClient, changes: readonly Change[], failedServices: Set<string>, options?: CallOptions,
): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(changes.length).fill(DONE)
  for (let attempt = 1, batch = new Batch(changes, ipvs.overrides); batch.length > 0; attempt++) {
    const errors = await ipvs.attempt(batch, options)
    batch = batch.next(errors, attempt < ATTEMPTS, failedServices, outcomes)
  }
  return outcomes
}

/** {@link applyChanges}, rejecting with the first error. */
export async function applyAll(ipvs: IpvsClient, changes: readonly Change[], options?: CallOptions): Promise<void> {
  const outcomes = await applyChanges(ipvs, changes, new Set(), options)
  throwFirst(outcomes.map(outcome => 'error' in outcome ? outcome.error : undefined))
}

/** Changes as the commands that are sent for them. */
class Batch implements Sequence<IpvsCommand> {
  readonly #changes: readonly Change[]
  readonly #overrides: Overrides
  /** For each change, the index of the original change; absent where these are the originals. */
  readonly #indices: readonly number[] | undefined
  readonly #servers = new ServerCommands()

  constructor(changes: readonly Change[], overrides: Overrides, indices?: readonly number[]) {
    this.#changes = changes
    this.#overrides = overrides
    this.#indices = indices
  }

  get length(): number { return this.#changes.length }

  each(send: (command: IpvsCommand) => boolean, from: number, to: number): void {
    for (let i = from; i < to && send(this.#command(i)); i++);
  }

  #command(i: number): IpvsCommand { return commandOf(this.#changes[i]!, this.#overrides, this.#servers) }

  /** Notes the outcomes, and returns the changes to try next. */
  next(errors: readonly unknown[], again: boolean, failedServices: Set<string>, outcomes: Outcome[]): Batch {
    const changes: Change[] = [], indices: number[] = []
    for (let i = 0; i < errors.length; i++) {
      const error = errors[i]
      if (error === undefined) continue
      const change = this.#changes[i]!, index = this.#indices?.[i] ?? i
      const name = serviceName(change.service)
      const retried = again && !failedServices.has(name)
      const substitutes = retried ? substitutesOf(change, error, this.#command(i)[0]) : undefined
      if (substitutes) {
        for (const substitute of substitutes) {
          changes.push(substitute)
          indices.push(index)
        }
      } else if (change.server && failedServices.has(name)) outcomes[index] = SKIPPED
      else {
        outcomes[index] = { done: false, error }
        if (!change.server && change.action !== 'remove') failedServices.add(name)
      }
    }
    return new Batch(changes, this.#overrides, indices)
  }
}

/** The changes to make where another process was quicker; undefined where the error stands. */
function substitutesOf(change: Change, error: unknown, command: IpvsCommand[0]): Change[] | undefined {
  if (!(error instanceof NetlinkError)) return undefined
  const { service, server } = change
  const add = (): Change => ({ action: 'add', service, ...server && { server } })
  switch (`${command} ${error.code}`) {
    case 'newService EEXIST': case 'newDest EEXIST': return [{ ...add(), action: 'change' }]
    case 'setDest ENOENT': return [add()]
    // The service has gone, and its real servers with it.
    case 'setService ESRCH': case 'newDest ESRCH': case 'setDest ESRCH': return additions(service)
    case 'delService ESRCH': case 'delDest ESRCH': case 'delDest ENOENT': return []
    // The outcome is unknown: the same command again finds the object, or makes it.
    default: return error.code === 'ENOBUFS' ? [change] : undefined
  }
}

// ── commands ──

/** Commands for real servers. There may be thousands, so each is written over the last one. */
class ServerCommands {
  readonly #attributes = { service: {} as ServiceAttributes, dest: emptyDestination() }
  readonly #newDest = ['newDest', this.#attributes] as const
  readonly #setDest = ['setDest', this.#attributes] as const
  /** The real servers of one service follow one another: the service's key is made once. */
  #service: ServiceKey | undefined

  key(service: ServiceKey): ServiceAttributes {
    if (service !== this.#service) this.#attributes.service = keyAttributes(this.#service = service)
    return this.#attributes.service
  }

  get(action: 'add' | 'change', service: ServiceKey, server: RealServerSettings): IpvsCommand {
    this.key(service)
    destinationAttributes(server, this.#attributes.dest)
    return action === 'add' ? this.#newDest : this.#setDest
  }
}

/**
 * The command for an edit, combined with the overrides; valid until `servers` make the next one.
 *
 * @param ifAbsent - The settings to send for a real server that an override keeps absent;
 * none removes it, as a plan does.
 */
function commandOf(
  edit: Edit | Change, overrides: Overrides, servers: ServerCommands, ifAbsent?: RealServerSettings,
): IpvsCommand {
  const { action, service, server } = edit
  if (!server) {
    if (action === 'remove') return ['delService', { service: keyAttributes(service) }]
    const command = action === 'add' ? 'newService' : 'setService'
    return [command, { service: serviceAttributes(overrides.settings(service)) }]
  }
  const effective = action === 'remove' ? undefined : overrides.server(service, server) ?? ifAbsent
  if (action === 'remove' || !effective) {
    return ['delDest', { service: servers.key(service), dest: destinationKey(server) }]
  }
  return servers.get(action, service, effective)
}
