/** Links by name and by number: people say the one, the kernel's messages the other. */

import type { CallOptions } from '../../generic-netlink/index.js'
import type { RouteClient } from './client.js'
import { explained, type Told } from './explain.js'
import type { LinkAttributes } from './wire/tables.js'

const ANY = { family: 'unspec', type: 0, index: 0, flags: {}, change: {} } as const

/** All links by their index, as they are now. */
export async function readLinks(route: RouteClient, options?: CallOptions): Promise<ReadonlyMap<number, LinkAttributes>> {
  return new Map((await route.list('link', ANY, {}, options)).map(({ header, attributes }) => [header.index, attributes]))
}

/** A link's name; `if7`, as `ip` says, where it is not of this network namespace, or gone. */
export const nameOf = (links: ReadonlyMap<number, LinkAttributes>, index: number): string => links.get(index)?.ifname ?? `if${index}`

/** A link's index, for the command that is to be sent; where there is no such link, that command is what failed. Rejects with `ENODEV`. */
export async function indexOf(route: RouteClient, ifname: string, told: Told, options?: CallOptions): Promise<number> {
  try {
    return (await route.get('link', ANY, { ifname }, options)).header.index
  } catch (error) {
    throw explained(error, told, `there is no link ${ifname} in this network namespace`)
  }
}
