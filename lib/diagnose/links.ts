/** Links that carry nothing. Pure. */

import type { NetworkState } from '../network/network.js'
import type { Step } from '../plan/plan.js'
import { contains, parsePrefix } from '../base/prefix.js'
import type { LinkState } from '../rtnetlink/link/spec.js'
import { finding, linkSetting, type Finding } from './finding.js'

/** The reason that a link carries nothing; undefined where it does. */
const idle = ({ up, carrier }: LinkState): string | undefined =>
  !up ? 'is down' : carrier ? undefined : 'has no carrier'

/** Whether a link has no wire: an address on it is as good while the link is down. */
const wireless = ({ kind, name }: LinkState): boolean => kind === 'dummy' || name === 'lo'

/** The link of a name, if it should carry packets and does not. */
export const idleLink = (links: readonly LinkState[], name: string | undefined): LinkState | undefined =>
  links.find(link => link.name === name && !wireless(link) && idle(link) !== undefined)

/** The lowest link below that is down: a VLAN goes down and up with its link. */
function lowest(links: readonly LinkState[], link: LinkState): LinkState {
  const below = 'link' in link ? links.find(({ name }) => name === link.link) : undefined
  return below && !below.up ? lowest(links, below) : link
}

/** The first idle link with an address in the same network as a host. */
export const idleTowards = (host: string, { links, addresses }: NetworkState): LinkState | undefined =>
  addresses.filter(({ address }) => contains(parsePrefix('address', address))(host))
    .map(({ link }) => idleLink(links, link)).find(link => link !== undefined)

/** The finding about an idle link. Its plan sets the link up, and goes on with more steps. */
export function linkDown(
  link: LinkState, links: readonly LinkState[], use: string, consequence: string, more: readonly Step[] = [],
): Finding {
  const { name, up } = lowest(links, link)
  const cause = name === link.name ? '' : `, for ${name} below it is down`
  const steps = up ? [] : [linkSetting(name, 'up', { up: true }, { up: false }), ...more]
  return finding('link-down', `${link.name}, ${use}, ${idle(link)!}${cause}`, consequence, steps,
    `plug in the cable of ${link.name}, or set up the other end: the port of the switch, or the link's peer`)
}
