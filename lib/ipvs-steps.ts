/** Differences of IPVS as the steps of a plan. */

import type { CallOptions } from '../generic-netlink/index.js'
import { commandOf, inverseOf, type Change, type IpvsCommand } from './diff.js'
import { explained } from './explain.js'
import type { Host } from './host.js'
import type { Step } from './plan.js'
import { realServerArguments, serviceArguments } from './rules-format.js'

/** ipvsadm's commands by ours. */
const LETTERS = { newService: '-A', setService: '-E', newDest: '-a', setDest: '-e' } as const

async function send(host: Host, [command, attributes]: IpvsCommand, options?: CallOptions): Promise<void> {
  try {
    await (await host.ipvs(options)).call(command, attributes, options)
  } catch (error) {
    throw explained(error, command, attributes)
  }
}

/** A step for each change; its line is what ipvsadm would be told. */
export const ipvsSteps = (changes: readonly Change[]): Step[] => changes.map((change): Step => {
  const { service, server, before } = change
  const command = commandOf(change)
  const letter = LETTERS[command[0] as keyof typeof LETTERS]
  return {
    action: before ? 'change' : 'add',
    object: server ? 'real server' : 'service',
    line: `ipvsadm ${letter} ${server ? realServerArguments(service, server) : serviceArguments(service)}`,
    run: (host, options) => send(host, command, options),
    undo: (host, options) => send(host, inverseOf(change), options),
  }
})
