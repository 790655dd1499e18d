/** rtnetlink's errors in words: what was asked of what, why it was refused, and what to do. */

import { NetlinkError, type Errno } from '../../generic-netlink/index.js'
import type { Deed, KindName, RouteCommand } from './client.js'

/** What each deed does, for "cannot …". */
const DEEDS: Readonly<Record<Deed, string>> = { add: 'add', replace: 'set', change: 'change', append: 'add', remove: 'remove', get: 'read' }

type Asked = Pick<RouteCommand, 'kind' | 'deed' | 'attributes'>
type Reason = string | ((asked: Asked) => string | undefined)

interface LinkInfo { kind?: string; data?: { encapType?: unknown } }
const infoOf = ({ attributes }: Asked): LinkInfo => (attributes as { linkinfo?: LinkInfo }).linkinfo ?? {}

/** Modules by the kinds of links that they bring, where the two have different names. */
const MODULES: Readonly<Record<string, string>> = { ip6tnl: 'ip6_tunnel', gre: 'ip_gre', gretap: 'ip_gre', ip6gre: 'ip6_gre', ip6gretap: 'ip6_gre' }

/** The module that brings links of a kind. */
export const moduleOf = (kind: string): string => MODULES[kind] ?? kind

function noKind(asked: Asked): string {
  const { kind = '' } = infoOf(asked)
  return `the kernel has no links of kind ${kind} (modprobe ${moduleOf(kind)} says why), or not all that was asked of one`
}

function badLink(asked: Asked): string {
  const { data } = infoOf(asked)
  if (data?.encapType !== undefined && data.encapType !== 'none') {
    return 'the kernel cannot put UDP around it: its module fou is not loaded (modprobe -a fou fou6; it does not load them by itself), or it was'
      + ' built without CONFIG_NET_FOU_IP_TUNNELS, or a value is out of its range'
  }
  return 'the kernel takes no such name, value or combination of them'
}

/** Why, by deed, kind of object and error; `*` stands for every deed, and for every kind. */
const REASONS: Readonly<Record<string, Reason>> = {
  // ── links ──
  'add link EEXIST':        'it is there already, or another link has the same parameters',
  'change link EEXIST':     'another link has the same parameters or name',
  'add link EOPNOTSUPP':    noKind,
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

  // ── addresses ──
  'add address EEXIST':           'it is there already; change it instead (of IPv6 addresses a link has each but once, whatever the prefix)',
  'add address EADDRNOTAVAIL':    'the kernel takes no such address on this link: a loopback address belongs to lo',
  'remove address EADDRNOTAVAIL': 'it is not there',
  '* address EINVAL':             'the kernel takes no such prefix or lifetime; or one of its network has another scope; or the MTU is below 1280 (IPv6)',
  '* address EOPNOTSUPP':         'the kernel has no IPv6: its module is not loaded, or it was switched off when it started',
  '* address EACCES':             'IPv6 is switched off on this link (net.ipv6.conf.*.disable_ipv6)',

  // ── routes ──
  'add route EEXIST':             'there is one to this destination with this metric already; change it instead',
  'remove route ESRCH':           'it is not there',
  'get route ENETUNREACH':        'no route leads there',
  'get route EHOSTUNREACH':       'a route says that it is unreachable',
  'get route EACCES':             'a route prohibits it',
  'get route EINVAL':             'a route swallows it (blackhole), or it is no address that packets can go to',
  '* route ENETUNREACH':          'the gateway is not reachable over any link',
  '* route EHOSTUNREACH':         'the gateway is not reachable over any link',
  '* route ENETDOWN':             'the link is down; routes go when it goes down, and do not come back by themselves',
  '* route EINVAL':               'the kernel takes no such combination: the source is an address of this host, the gateway is none',
  '* route ESRCH':                'it is not there',
  '* route ENOENT':               'it is not there; add it first',
  '* route EOPNOTSUPP':           'the kernel has no IPv6: its module is not loaded, or it was switched off when it started',

  // ── neighbours and forwarding databases ──
  'add neighbour EEXIST':         'it is there already, or the kernel is resolving the address by itself; change it instead',
  'remove neighbour ENOENT':      'it is not there',
  '* neighbour ENOENT':           'it is not there; add it first',
  '* neighbour EINVAL':           'the kernel takes no such link-layer address, state or destination on this link',
  '* neighbour EOPNOTSUPP':       'the link has no forwarding database: for "master" it must be a port of a bridge',
  '* neighbour EAFNOSUPPORT':     'the kernel has no such address family here, or it is not the tunnel\'s',

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
