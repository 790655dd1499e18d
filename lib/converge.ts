/** Changes made in the kernel, whoever else is changing it. */

import { NetlinkError, type CallOptions } from '../generic-netlink/index.js'
import type { Change } from './diff.js'
import type { Drains } from './drains.js'
import { throwFirst, type IpvsClient, type IpvsCommand } from './ipvs-client.js'
import { serviceName } from './model.js'
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
  const errors = new Array<unknown>(changes.length).fill(undefined)
  let open = changes.map((change, index) => ({ change, index }))
  for (let attempt = 1; open.length > 0; attempt++) {
    const asked = open.flatMap(({ change, index }) => {
      const command = commandOf(change, ipvs.drains)
      return command ? [{ change, index, command }] : []
    })
    const answers = await ipvs.attempt(asked.map(({ command }) => command), options)
    open = []
    for (const [i, { change, index, command }] of asked.entries()) {
      const error = answers[i]
      if (error === undefined) continue
      const others = attempt < ATTEMPTS ? instead(change, command, error) : undefined
      if (!others || lost.has(serviceName(change.service))) {
        errors[index] ??= error
        if (!change.server && change.action !== 'remove') lost.add(serviceName(change.service))
      } else for (const other of others) open.push({ change: other, index })
    }
  }
  return changes.map(({ server, service }, i): Outcome => {
    if (errors[i] === undefined) return DONE
    return server && lost.has(serviceName(service)) ? SKIPPED : { done: false, error: errors[i] }
  })
}

/** {@link converge}, rejecting with the first error. */
export async function make(ipvs: IpvsClient, changes: readonly Change[], options?: CallOptions): Promise<void> {
  throwFirst((await converge(ipvs, changes, new Set(), options)).map(made => 'error' in made ? made.error : undefined))
}

/** What makes a change, given what is being taken out now; undefined where that leaves nothing to do. */
export function commandOf({ action, service, server }: Change, drains: Drains): IpvsCommand | undefined {
  if (!server) {
    return action === 'remove'
      ? ['delService', { service: keyAttributes(service) }]
      : [action === 'add' ? 'newService' : 'setService', { service: serviceAttributes(drains.settings(service)) }]
  }
  const key = keyAttributes(service)
  if (action === 'remove') return ['delDest', { service: key, dest: destinationKey(server) }]
  const now = drains.server(service, server)
  return now && [action === 'add' ? 'newDest' : 'setDest', { service: key, dest: destinationAttributes(now) }]
}

/** What to do where somebody else was quicker; undefined where the error stands. */
function instead(change: Change, [command]: IpvsCommand, error: unknown): Change[] | undefined {
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
