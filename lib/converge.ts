/** Changes made in the kernel, whoever else is changing it. */

import { NetlinkError, type CallOptions } from '../generic-netlink/index.js'
import type { Change } from './diff.js'
import type { Drains } from './drains.js'
import { throwFirst, type IpvsClient, type IpvsCommand } from './ipvs-client.js'
import { serviceName, type ServiceKey } from './model.js'
import type { Outcome } from './plan.js'
import { destinationAttributes, destinationKey, keyAttributes, serviceAttributes } from './wire.js'

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
  const keyOf = lastKey()
  let asked: readonly Attempt[] = []
  for (let attempt = 1, count = changes.length; count > 0; attempt++, count = asked.length) {
    // At first there is nothing to note but the changes themselves, and there may be many thousands.
    const changeAt = (i: number): Change => attempt === 1 ? changes[i]! : asked[i]!.change
    const errors = await ipvs.attempt({ length: count, at: i => commandOf(changeAt(i), ipvs.drains, keyOf) }, options)
    const again: Attempt[] = []
    errors.forEach((error, i) => {
      if (error === undefined) return
      const change = changeAt(i), index = attempt === 1 ? i : asked[i]!.index
      const name = serviceName(change.service)
      const others = attempt < ATTEMPTS && !lost.has(name) ? instead(change, error, ipvs.drains) : undefined
      if (others) for (const other of others) again.push({ change: other, index })
      else if (change.server && lost.has(name)) outcomes[index] = SKIPPED
      else {
        outcomes[index] = { done: false, error }
        if (!change.server && change.action !== 'remove') lost.add(name)
      }
    })
    asked = again
  }
  return outcomes
}

/** A change, and which of those that were asked for it stands for. */
interface Attempt { readonly change: Change; readonly index: number }

/** {@link converge}, rejecting with the first error. */
export async function make(ipvs: IpvsClient, changes: readonly Change[], options?: CallOptions): Promise<void> {
  throwFirst((await converge(ipvs, changes, new Set(), options)).map(made => 'error' in made ? made.error : undefined))
}

/** {@link keyAttributes}, kept for the real servers of one service, which follow one another. */
function lastKey(): typeof keyAttributes {
  let last: ServiceKey | undefined
  let key: ReturnType<typeof keyAttributes> = {}
  return service => {
    if (service !== last) key = keyAttributes(last = service)
    return key
  }
}

/** What makes a change, given what is being taken out now. */
export function commandOf({ action, service, server }: Change, drains: Drains, keyOf = keyAttributes): IpvsCommand {
  if (!server) {
    return action === 'remove'
      ? ['delService', { service: keyAttributes(service) }]
      : [action === 'add' ? 'newService' : 'setService', { service: serviceAttributes(drains.settings(service)) }]
  }
  const key = keyOf(service)
  const now = action === 'remove' ? undefined : drains.server(service, server)
  if (!now) return ['delDest', { service: key, dest: destinationKey(server) }]
  return [action === 'add' ? 'newDest' : 'setDest', { service: key, dest: destinationAttributes(now) }]
}

/** What to do where somebody else was quicker; undefined where the error stands. */
function instead(change: Change, error: unknown, drains: Drains): Change[] | undefined {
  if (!(error instanceof NetlinkError)) return undefined
  const [command] = commandOf(change, drains)
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
