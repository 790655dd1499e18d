/** The sender of all edits of services and real servers. Combines each edit with the overrides. */

import type { CallOptions, Sequence } from '../../generic-netlink/core.js'
import type { ServiceAttributes } from '../../generic-netlink/families/ipvs.js'
import type { Change } from './changes.js'
import { throwFirst, type IpvsClient, type IpvsCommand } from './client.js'
import { destinationKey, keyAttributes } from './key.js'
import { Meanwhile, PlanRun, type ChangeOutcome } from './meanwhile.js'
import type { RealServerKey, RealServerSettings, ServiceKey, ServiceSettings } from './model.js'
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

/**
 * Makes changes together, in order, whatever other programs changed since the plan: see
 * {@link Meanwhile}. Never rejects.
 *
 * @param run - What the application of a plan remembers from one group of steps to the next.
 */
export async function applyChanges(
  ipvs: IpvsClient, changes: readonly Change[], run: PlanRun, options?: CallOptions,
): Promise<readonly ChangeOutcome[]> {
  const meanwhile = new Meanwhile(ipvs, changes, run)
  for (let pending = changes; pending.length > 0;) {
    const errors = await ipvs.attempt(new Batch(pending, ipvs.overrides), options)
    pending = await meanwhile.next(errors, options)
  }
  return meanwhile.outcomes()
}

/** {@link applyChanges}, rejecting with the first error. */
export async function applyAll(ipvs: IpvsClient, changes: readonly Change[], options?: CallOptions): Promise<void> {
  const outcomes = await applyChanges(ipvs, changes, new PlanRun(), options)
  throwFirst(outcomes.map(outcome => 'error' in outcome ? outcome.error : undefined))
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
