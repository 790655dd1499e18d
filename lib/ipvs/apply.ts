/** The sender of all edits of services and real servers. Combines each edit with the overrides. */

import { NetlinkError, type CallOptions, type Sequence } from '../../generic-netlink/core.js'
import type { ServiceAttributes } from '../../generic-netlink/families/ipvs.js'
import type { Change } from './changes.js'
import { throwFirst, type IpvsClient, type IpvsCommand } from './client.js'
import { destinationKey, keyAttributes } from './key.js'
import { Meanwhile, PlanRun, type ChangeOutcome } from './meanwhile.js'
import type { RealServerKey, RealServerSettings, ServiceKey, ServiceSettings } from './model.js'
import { Modules } from './modules.js'
import { serviceName } from './names.js'
import { Overrides } from './overrides.js'
import { findService } from './read.js'
import { destinationAttributes, emptyDestination } from './real-server.js'
import { unmet } from './requirements.js'
import { choosesWeightZero } from './schedulers.js'
import { serviceAttributes } from './service.js'

/** An edit of a service, or of a real server of the service that a key names. */
export type Edit =
  | { readonly action: 'add' | 'change'; readonly service: ServiceKey & ServiceSettings; readonly server?: undefined }
  | {
    readonly action: 'add' | 'change'
    readonly service: ServiceKey
    readonly server: RealServerSettings
    /** Whether it ends an operator's override. */
    readonly undrains?: boolean
  }
  | { readonly action: 'remove'; readonly service: ServiceKey; readonly server?: RealServerKey | undefined }

// ── edits ──

/**
 * Sends edits together, in order, combined with the overrides, which note what the kernel took.
 * A real server that its override keeps absent is only noted. Resolves with the error of each edit,
 * or undefined. Never rejects. The caller holds the lock.
 */
export async function attempt(ipvs: IpvsClient, edits: readonly Edit[], options?: CallOptions): Promise<unknown[]> {
  const { overrides } = ipvs
  const isAbsent = (edit: Edit): boolean =>
    edit.server !== undefined && !undrains(edit) && overrides.get(edit.service, edit.server)?.by === 'absence'
  const refused = await unmet(ipvs, edits, new Modules(), options)
  const sent = edits.filter((edit, i) => !isAbsent(edit) && !refused.has(i))
  const outcomes = await ipvs.attempt(sent.map(edit =>
    commandOf(edit, undrains(edit) ? NO_OVERRIDES : overrides, new ServerCommands())), options)
  const errors = sent.length === edits.length ? outcomes
    : edits.map((edit, i) => refused.get(i) ?? outcomes[sent.indexOf(edit)])
  edits.forEach((edit, i) => {
    const error = errors[i]
    if (error !== undefined && !(edit.action === 'remove' && isGone(error))) return
    if (edit.server && undrains(edit)) overrides.end('operator', edit.service, edit.server)
    overrides.took(edit)
  })
  const unsettled = await settle(ipvs)
  if (unsettled.size === 0) return errors
  return errors.map((error, i) => error ?? unsettled.get(serviceName(edits[i]!.service)))
}

const NO_OVERRIDES = new Overrides()

const undrains = (edit: Edit): boolean => 'undrains' in edit && edit.undrains === true

const isGone = (error: unknown): boolean =>
  error instanceof NetlinkError && (error.code === 'ENOENT' || error.code === 'ESRCH')

/** Sends edits together, in order. Rejects with the first error; the others are still made. */
export async function send(ipvs: IpvsClient, edits: readonly Edit[], options?: CallOptions): Promise<void> {
  throwFirst(await attempt(ipvs, edits, options))
}

/** {@link send} beside other edits. */
export const edit = (ipvs: IpvsClient, edits: readonly Edit[], options?: CallOptions): Promise<void> =>
  ipvs.edit(() => send(ipvs, edits, options))

/** Removes all services, and ends all overrides where the kernel did so. */
export const flush = (ipvs: IpvsClient, options?: CallOptions): Promise<void> => ipvs.edit(async () => {
  await ipvs.call('flush', {}, options)
  ipvs.overrides.clear()
})

// ── overrides ──

/**
 * Sends edits together as they are, for a task that then writes the overrides. Resolves with the
 * error of each edit, or undefined. Never rejects. The caller holds the exclusive lock.
 */
export async function enforce(ipvs: IpvsClient, edits: readonly Edit[], options?: CallOptions): Promise<unknown[]> {
  return await ipvs.attempt(edits.map(edit => commandOf(edit, NO_OVERRIDES, new ServerCommands())), options)
}

/**
 * Corrects the settings of services whose overrides began or ended: without overrides they get back
 * their scheduler and flags. Settings of another program stay. A service that the kernel refuses is
 * tried again by the next edit. Resolves with the errors, by the names of services.
 */
export async function settle(ipvs: IpvsClient): Promise<ReadonlyMap<string, unknown>> {
  const { overrides } = ipvs, errors = new Map<string, unknown>()
  for (const record of overrides.unsettled()) {
    try {
      const { key, settings: declared } = record
      const actual = declared && choosesWeightZero(declared) ? await findService(ipvs, key) : undefined
      const settings = actual && overrides.correction(record, actual)
      const service = settings && { ...key, ...settings }
      if (service) throwFirst(await enforce(ipvs, [{ action: 'change', service }]))
      overrides.settled(record)
    } catch (error) {
      errors.set(serviceName(record.key), error)
    }
  }
  return errors
}

// ── changes ──

/**
 * Makes changes together, in order, whatever other programs changed since the plan: see
 * {@link Meanwhile}. Never rejects.
 *
 * @param run - What the application of a plan remembers from one group of steps to the next.
 */
export async function applyChanges(
  ipvs: IpvsClient, changes: readonly Change[], run: PlanRun, options?: CallOptions,
): Promise<readonly ChangeOutcome[]> {
  const meanwhile = new Meanwhile(ipvs, changes, run, await unmet(ipvs, changes, run.modules, options))
  while (meanwhile.pending.length > 0) {
    const errors = await ipvs.attempt(new Batch(meanwhile.pending, ipvs.overrides), options)
    await meanwhile.next(errors, options)
  }
  return meanwhile.outcomes(await settle(ipvs))
}

/** Changes as the commands that are sent for them. */
class Batch implements Sequence<IpvsCommand> {
  readonly #changes: readonly Change[]
  readonly #overrides: Overrides
  readonly #servers = new ServerCommands()

  constructor(changes: readonly Change[], overrides: Overrides) {
    this.#changes = changes
    this.#overrides = overrides
  }

  get length(): number { return this.#changes.length }

  each(send: (command: IpvsCommand) => boolean, from: number, to: number): void {
    for (let i = from; i < to && send(commandOf(this.#changes[i]!, this.#overrides, this.#servers)); i++);
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

/** The command for an edit, combined with overrides; valid until `servers` make the next one. */
function commandOf(edit: Edit | Change, overrides: Overrides, servers: ServerCommands): IpvsCommand {
  const { action, service, server } = edit
  if (!server) {
    if (action === 'remove') return ['delService', { service: keyAttributes(service) }]
    const command = action === 'add' ? 'newService' : 'setService'
    return [command, { service: serviceAttributes(overrides.settings(service)) }]
  }
  const effective = action === 'remove' ? undefined : overrides.server(service, server)
  if (action === 'remove' || !effective) {
    return ['delDest', { service: servers.key(service), dest: destinationKey(server) }]
  }
  return servers.get(action, service, effective)
}
