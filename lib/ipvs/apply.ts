/** Changes made in the kernel, whoever else is changing it. */

import { NetlinkError, type CallOptions, type Sequence, type ServiceAttributes } from '../../generic-netlink/index.js'
import type { Change } from './diff.js'
import type { Drains } from './overrides.js'
import { throwFirst, type IpvsClient, type IpvsCommand } from './client.js'
import { serviceName, type RealServerSettings, type ServiceKey } from './model.js'
import type { Outcome } from '../plan/plan.js'
import { destinationAttributes, destinationKey, emptyDestination, keyAttributes, serviceAttributes } from './attributes.js'

const DONE: Outcome = Object.freeze({ done: true })
const SKIPPED: Outcome = Object.freeze({ done: false, skipped: true })

/** As often may somebody else undo what is being made before it is given up. */
const ATTEMPTS = 4

/**
 * Makes changes together, in order. Never rejects.
 *
 * What is there already is changed, what has gone is added again, and what should go and has gone is done: a plan was true
 * when it was made, and the kernel's answer is now.
 *
 * @param lost - The services that could not be made so far, by name; grows.
 */
export async function converge(ipvs: IpvsClient, changes: readonly Change[], lost: Set<string>, options?: CallOptions): Promise<Outcome[]> {
  const outcomes = new Array<Outcome>(changes.length).fill(DONE)
  for (let attempt = 1, asked = new Attempts(changes, ipvs.drains); asked.length > 0; attempt++) {
    const errors = await ipvs.attempt(asked, options)
    asked = asked.next(errors, attempt < ATTEMPTS, lost, outcomes)
  }
  return outcomes
}

/** Changes as the commands that are sent for them now. */
class Attempts implements Sequence<IpvsCommand> {
  readonly #changes: readonly Change[]
  readonly #drains: Drains
  /** Which of the changes that were asked for at first each stands for; absent where they are these. */
  readonly #indices: readonly number[] | undefined
  readonly #servers = new ServerCommands()

  constructor(changes: readonly Change[], drains: Drains, indices?: readonly number[]) {
    this.#changes = changes
    this.#drains = drains
    this.#indices = indices
  }

  get length(): number { return this.#changes.length }

  each(send: (command: IpvsCommand) => boolean, from: number, to: number): void {
    for (let i = from; i < to && send(this.#command(i)); i++);
  }

  #command(index: number): IpvsCommand {
    return commandOf(this.#changes[index]!, this.#drains, this.#servers)
  }

  /** Notes how they came out, and what is to be tried instead. */
  next(errors: readonly unknown[], again: boolean, lost: Set<string>, outcomes: Outcome[]): Attempts {
    const changes: Change[] = [], indices: number[] = []
    for (let i = 0; i < errors.length; i++) {
      const error = errors[i]
      if (error === undefined) continue
      const change = this.#changes[i]!, index = this.#indices?.[i] ?? i
      const name = serviceName(change.service)
      const others = again && !lost.has(name) ? instead(change, error, this.#command(i)[0]) : undefined
      if (others) {
        for (const other of others) {
          changes.push(other)
          indices.push(index)
        }
      } else if (change.server && lost.has(name)) outcomes[index] = SKIPPED
      else {
        outcomes[index] = { done: false, error }
        if (!change.server && change.action !== 'remove') lost.add(name)
      }
    }
    return new Attempts(changes, this.#drains, indices)
  }
}

/** {@link converge}, rejecting with the first error. */
export async function make(ipvs: IpvsClient, changes: readonly Change[], options?: CallOptions): Promise<void> {
  throwFirst((await converge(ipvs, changes, new Set(), options)).map(made => 'error' in made ? made.error : undefined))
}

/** Commands about real servers. There may be thousands, so each is written over the last. */
class ServerCommands {
  readonly #attributes = { service: {} as ServiceAttributes, dest: emptyDestination() }
  readonly #newDest = ['newDest', this.#attributes] as const
  readonly #setDest = ['setDest', this.#attributes] as const
  /** Those of one service follow one another: its key is made once. */
  #service: ServiceKey | undefined

  key(service: ServiceKey): ServiceAttributes {
    if (service !== this.#service) this.#attributes.service = keyAttributes(this.#service = service)
    return this.#attributes.service
  }

  get(command: 'newDest' | 'setDest', service: ServiceKey, server: RealServerSettings): IpvsCommand {
    this.key(service)
    destinationAttributes(server, this.#attributes.dest)
    return command === 'newDest' ? this.#newDest : this.#setDest
  }
}

/** What makes a change, given what is being taken out now. It holds until the next is made by the same `servers`. */
function commandOf({ action, service, server }: Change, drains: Drains, servers: ServerCommands): IpvsCommand {
  if (!server) {
    return action === 'remove'
      ? ['delService', { service: keyAttributes(service) }]
      : [action === 'add' ? 'newService' : 'setService', { service: serviceAttributes(drains.settings(service)) }]
  }
  const now = action === 'remove' ? undefined : drains.server(service, server)
  if (!now) return ['delDest', { service: servers.key(service), dest: destinationKey(server) }]
  return servers.get(action === 'add' ? 'newDest' : 'setDest', service, now)
}

/** What to do where somebody else was quicker; undefined where the error stands. */
function instead(change: Change, error: unknown, command: IpvsCommand[0]): Change[] | undefined {
  if (!(error instanceof NetlinkError)) return undefined
  const { service, server } = change
  const add = (): Change => ({ action: 'add', service, ...server && { server } })
  switch (`${command} ${error.code}`) {
    case 'newService EEXIST': case 'newDest EEXIST': return [{ ...add(), action: 'change' }]
    case 'setDest ENOENT': return [add()]
    // The service has gone, and its real servers with it.
    case 'setService ESRCH': case 'newDest ESRCH': case 'setDest ESRCH':
      return [{ action: 'add', service }, ...service.realServers.map((server): Change => ({ action: 'add', service, server }))]
    case 'delService ESRCH': case 'delDest ESRCH': case 'delDest ENOENT': return []
    // Nobody knows what became of it; asked again it is there already, or is made.
    default: return error.code === 'ENOBUFS' ? [change] : undefined
  }
}
