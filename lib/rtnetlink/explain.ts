/** rtnetlink's errors in words: what was asked of what, why it was refused, and what to do. */

import { NetlinkError, type Errno } from '../../generic-netlink/index.js'
import type { Deed, KindName, RouteCommand } from './client.js'

/** What each deed does, for "cannot …". */
const DEEDS: Readonly<Record<Deed, string>> = { add: 'add', replace: 'set', change: 'change', append: 'add', remove: 'remove', get: 'read' }

type Asked = Pick<RouteCommand, 'kind' | 'deed' | 'attributes'>
type Reason = string | ((asked: Asked) => string | undefined)

const kindOf = ({ attributes }: Asked): string =>
  'linkinfo' in attributes ? (attributes as { linkinfo?: { kind?: string } }).linkinfo?.kind ?? 'this kind' : 'this kind'

/** The kernel's own word is better than a guess; without one, the usual suspects. */
function badLink({ attributes }: Asked): string | undefined {
  const data = (attributes as { linkinfo?: { data?: { encapType?: unknown } } }).linkinfo?.data
  if (data?.encapType !== undefined && data.encapType !== 'none') {
    return 'the kernel takes no such encapsulation: modprobe fou (for IPv6 also fou6), which it does not load by itself; or a value is out of its range'
  }
  return 'the kernel takes no such name, value or combination of them; a link that the kernel made by itself (tunl0) it does not change'
}

/** Why, by deed, kind of object and error; `*` stands for every deed, and for every kind. */
const REASONS: Readonly<Record<string, Reason>> = {
  // ── links ──
  'add link EEXIST':        'it is there already, or another link has the same parameters',
  'change link EEXIST':     'another link has the same parameters or name',
  'add link EOPNOTSUPP':    asked => `the kernel has no links of kind ${kindOf(asked)}, or no module for them (modprobe ${kindOf(asked)} says why), or not all of what was asked`,
  'change link EOPNOTSUPP': 'the link is of another kind, or this cannot be changed while it exists: remove it and add it anew',
  'remove link EOPNOTSUPP': 'the kernel does not let go of it: it is no link that was added',
  'add link ENODEV':        'a link that it is to use is not there',
  '* link ENODEV':          'there is no such link in this network namespace',
  '* link EINVAL':          badLink,
  '* link ERANGE':          'a number is out of the kernel\'s range, or a name is longer than 15 bytes',
  '* link EBUSY':           'it is in use: another link is its master, or it must be down for this',
  '* link EADDRNOTAVAIL':   'this is no address of an Ethernet link',
  '* link ELOOP':           'a bridge cannot be a port of a bridge, nor of itself',
  '* link EADDRINUSE':      'its UDP port is in use by other software',

  // ── all of them ──
  '* * EPERM':              'this needs CAP_NET_ADMIN in the user namespace that owns this network namespace',
  '* * EACCES':             'this needs CAP_NET_ADMIN in the user namespace that owns this network namespace',
  '* * EAFNOSUPPORT':       'the kernel has no such address family here; is IPv6 disabled?',
  '* * ENOMEM':             'the kernel is out of memory',
  '* * ENODEV':             'there is no such link in this network namespace',
}

/** What the connection says in its own words: the kernel was not asked, or not heard. */
const OURS = new Set<Errno>(['ECANCELED', 'ETIMEDOUT', 'ENOBUFS', 'EMSGSIZE', 'ENODATA'])

function reason(asked: Asked, code: Errno): string | undefined {
  for (const deed of [asked.deed, '*']) {
    for (const kind of [asked.kind, '*'] as (KindName | '*')[]) {
      const found = REASONS[`${deed} ${kind} ${code}`]
      const why = typeof found === 'function' ? found(asked) : found
      if (why !== undefined) return why
    }
  }
  return undefined
}

/** What a command was, as far as an error tells of it. */
export interface Told extends Asked {
  readonly object: string
}

/** An error of our own making, in the kernel's form: for what it lets pass in silence. */
export function refusal(errno: number, { deed, kind, object }: Omit<Told, 'attributes'>, why: string): NetlinkError {
  const plain = new NetlinkError(errno, `rtnetlink ${deed} ${kind}`)
  return new NetlinkError(errno, plain.request, { object, message: `cannot ${DEEDS[deed]} ${object}: ${why} (${plain.code})` })
}

/**
 * The same error with its object and its sentence: `cannot add link tun0: it is there already (EEXIST)`; anything else as it is.
 * `why` is what the caller found out, and goes before what is said of every such error.
 */
export function explained(error: unknown, told: Told, why?: string): unknown {
  if (!(error instanceof NetlinkError)) return error
  const { errno, code, request, extack } = error
  const { object } = told
  const because = why ?? reason(told, code)
  const said = extack?.message === undefined ? undefined : `the kernel says: ${extack.message}`
  const sentence = [because, said].filter(part => part !== undefined).join('; ')
  const message = OURS.has(code) ? error.message : `cannot ${DEEDS[told.deed]} ${object}: ${sentence === '' ? code : `${sentence} (${code})`}`
  const better = new NetlinkError(errno, request, { object, ...extack && { extack }, message, cause: error })
  Error.captureStackTrace(better, explained)
  return better
}
