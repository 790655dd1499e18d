/** One command to rtnetlink, and its error in words. */

import type { CallOptions } from '../../generic-netlink/index.js'
import type { KindName, RouteClient, RouteCommand } from './client.js'
import { explained } from './explain.js'

/** Carries out a command. Rejects with a NetlinkError that says what could not be done, and why. */
export async function perform<K extends KindName>(route: RouteClient, command: RouteCommand<K>, options?: CallOptions): Promise<void> {
  const [outcome] = await route.run([command], options)
  if (outcome?.status === 'rejected') throw explained(outcome.reason, command)
}
