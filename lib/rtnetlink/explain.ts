/** rtnetlink's errors as sentences: the request, the reason for the refusal, and the remedy. */

import type { NetlinkError } from '../../generic-netlink/core.js'
import { explained, refusal, type Asked as Sentence, type Reasons } from '../base/explain.js'

/** A command, as far as an error describes it. */
export interface Asked {
  readonly kind: string
  readonly verb: 'add' | 'replace' | 'change' | 'append' | 'remove' | 'get'
  readonly object: string
  readonly attributes?: object
}

/** The verbs of sentences. */
const VERBS = { add: 'add', replace: 'set', change: 'change', append: 'add', remove: 'remove', get: 'read' } as const

interface Described extends Sentence { readonly attributes?: object }
const sentenceOf = ({ kind, verb, object, attributes = {} }: Asked): Described =>
  ({ kind, verb: VERBS[verb], object, attributes })

interface LinkInfo { linkinfo?: { kind?: string; data?: { encapType?: unknown } } }

function invalidLink({ attributes }: Described): string {
  const { encapType = 'none' } = (attributes as LinkInfo).linkinfo?.data ?? {}
  return encapType === 'none' ? 'the kernel takes no such name, value or combination of values'
    : 'the kernel cannot put UDP around it: its module fou is not loaded (modprobe -a fou fou6;'
      + ' nothing loads it automatically), or it was built without CONFIG_NET_FOU_IP_TUNNELS,'
      + ' or a value is out of its range'
}

const NO_IPV6 = 'the kernel has no IPv6: its module is not loaded, or was switched off at boot'
const PRIVILEGE = 'this needs CAP_NET_ADMIN in the user namespace that owns this network namespace'

const REASONS: Reasons<Described> = {
  // ── links ──
  'add link EEXIST':        'it exists already, or another link has the same parameters',
  'change link EEXIST':     'another link has the same parameters or name',
  'add link EOPNOTSUPP':    'the kernel has no links of this kind, or not all of the requested parameters',
  'change link EOPNOTSUPP': 'the kernel cannot change this in place: remove the link and add it again',
  'remove link EOPNOTSUPP': 'the kernel does not remove it: nobody added it',
  'add link ENODEV':        'a link that it needs does not exist',
  '* link ENODEV':          'there is no such link in this network namespace',
  '* link EINVAL':          invalidLink,
  '* link ERANGE':          'a number is out of the kernel\'s range, or a name is longer than 15 bytes',
  '* link EBUSY':           'it is in use: another link is its master, or it must be down first',
  '* link EADDRNOTAVAIL':   'this is no address of an Ethernet link',
  '* link ELOOP':           'a bridge cannot be a port of a bridge, nor of itself',
  '* link EADDRINUSE':      'other software uses its UDP port',

  // ── addresses ──
  'add address EEXIST':           'it exists already; change it instead (for IPv6 the prefix makes no difference)',
  'add address EADDRNOTAVAIL':    'the kernel takes no such address on this link: a loopback address belongs to lo',
  'remove address EADDRNOTAVAIL': 'it does not exist',
  '* address EINVAL':             'the kernel takes no such prefix or lifetime, or another address of its network has'
    + ' another scope, or the MTU is below 1280 (IPv6)',
  '* address EOPNOTSUPP':         NO_IPV6,
  '* address EACCES':             'IPv6 is switched off on this link (net.ipv6.conf.*.disable_ipv6)',

  // ── routes ──
  'add route EEXIST':             'a route to this destination with this metric exists already; change it instead',
  'remove route ESRCH':           'it does not exist',
  'read route ENETUNREACH':       'no route leads there',
  'read route EHOSTUNREACH':      'an unreachable route covers it',
  'read route EACCES':            'a prohibit route covers it',
  'read route EINVAL':            'a blackhole route covers it, or packets cannot go to such an address',
  '* route ENETUNREACH':          'the gateway is not reachable over any link',
  '* route EHOSTUNREACH':         'the gateway is not reachable over any link',
  '* route ENETDOWN':             'the link is down; its routes went with it, and do not come back automatically',
  '* route EINVAL':               'the kernel takes no such combination: the source must be an address of this host,'
    + ' the gateway must not',
  '* route ESRCH':                'it does not exist',
  '* route ENOENT':               'it does not exist; add it first',
  '* route EOPNOTSUPP':           NO_IPV6,

  // ── neighbours and forwarding entries ──
  'add neighbour EEXIST':         'it exists already, or the kernel is resolving the address; change it instead',
  'remove neighbour ENOENT':      'it does not exist',
  '* neighbour ENOENT':           'it does not exist; add it first',
  '* neighbour EINVAL':           'the kernel takes no such link-layer address, state or destination on this link',
  '* neighbour EOPNOTSUPP':       'the link has no forwarding database: for "master" it must be a port of a bridge',
  '* neighbour EAFNOSUPPORT':     'the kernel has no such address family, or the tunnel has another',

  // ── all of them ──
  '* * EPERM':              PRIVILEGE,
  '* * EACCES':             PRIVILEGE,
  '* * EAFNOSUPPORT':       'the kernel has no such address family; is IPv6 disabled?',
  '* * ENOMEM':             'the kernel is out of memory',
  '* * ENODEV':             'there is no such link in this network namespace',
}

/** The same error with its object and sentence. `why` goes first. Other values stay as they are. */
export const explainRefusal = (error: unknown, asked: Asked, why?: string): unknown =>
  explained(error, sentenceOf(asked), REASONS, why)

type Code = Parameters<typeof refusal>[0]

/** An error in the kernel's form, for a failure that the kernel does not report. */
export const refuse = (code: Code, asked: Asked, why: string): NetlinkError =>
  refusal(code, `rtnetlink ${asked.verb} ${asked.kind}`, sentenceOf(asked), why)

/** The error of a verb whose object is missing. */
export const refuseMissing = (code: Code, asked: Asked): NetlinkError =>
  refuse(code, asked, asked.verb === 'remove' ? 'it does not exist' : 'it does not exist; add it first')
