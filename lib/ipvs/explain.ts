/** IPVS's errors as sentences: the reasons by verb, object and error. */

import type { CommandAttributes, ipvs } from '../../generic-netlink/families/ipvs.js'
import { endpoint } from '../base/address.js'
import { explained as explainedBy, type Asked, type Reasons } from '../base/explain.js'
import { serviceName } from './names.js'
import { readService } from './service.js'

type CommandName = keyof typeof ipvs.commands | 'getFamily'

/** Each command's verb, and its kind of object. */
const COMMANDS: Readonly<Record<CommandName, readonly [verb: string, kind: string]>> = {
  newService: ['add',    'service'],
  setService: ['change', 'service'],
  delService: ['remove', 'service'],
  getService: ['read',   'service'],
  newDest:    ['add',    'server'],
  setDest:    ['change', 'server'],
  delDest:    ['remove', 'server'],
  getDest:    ['list',   'server'],
  newDaemon:  ['start',  'daemon'],
  delDaemon:  ['stop',   'daemon'],
  getDaemon:  ['list',   'daemon'],
  setConfig:  ['set',    'timeouts'],
  getConfig:  ['read',   'timeouts'],
  setInfo:    ['set',    'IPVS'],
  getInfo:    ['read',   'IPVS'],
  getFamily:  ['use',    'IPVS'],
  zero:       ['zero',   'counters'],
  flush:      ['flush',  'table'],
}

interface AskedOfIpvs extends Asked { readonly sent: CommandAttributes }

const BAD_SERVER = 'the kernel takes no such address: it is not unicast, or a subnet\'s broadcast, '
  + 'or this network namespace has no local address yet (ip link set lo up), '
  + 'or real server and service have different families while a sync daemon runs'

const REASONS: Reasons<AskedOfIpvs> = {
  'add service EEXIST':     'it is there already; change it instead',
  'add service ENOENT':     noScheduler,
  'change service ENOENT':  noScheduler,
  '* service EINVAL':       'the kernel takes no such netmask, timeout or name',
  'change service ESRCH':   'it is not there; add it first',
  '* service ESRCH':        'it is not there',
  'zero counters ESRCH':    'it is not there',

  '* server ESRCH':         'there is no such virtual service; add it first',
  'add server EEXIST':      'it is there already; change it instead',
  'change server ENOENT':   'it is not among the service\'s real servers; add it first',
  'remove server ENOENT':   'it is not among the service\'s real servers',
  '* server EINVAL':        BAD_SERVER,
  '* server ERANGE':        'the weight is above 2147483647, or the lower threshold above the upper',

  'start daemon EEXIST':    'one runs already; stop it first',
  'stop daemon ESRCH':      'none runs',
  'start daemon ENODEV':    'there is no such interface in this network namespace',
  'start daemon EINVAL':    'the kernel takes no such multicast group, '
    + 'or some real server is of another family than its service, which the daemon cannot transmit',

  'set timeouts EINVAL':    'a timeout is too long for the kernel',
  'use IPVS ENOENT':        'the kernel has no module ip_vs, or could not load it (modprobe ip_vs says why)',

  '* * ENOENT':             'the kernel\'s IPVS module is gone (modprobe ip_vs brings it back, empty)',
  '* * EPERM':              'this needs CAP_NET_ADMIN in the initial user namespace, '
    + 'which root of a container\'s own user namespace does not have',
  '* * EAFNOSUPPORT':       'the kernel has no such address family here; is IPv6 disabled?',
  '* * ENOPROTOOPT':        'the kernel is unloading IPVS, or cannot load it; try again',
  '* * ENOMEM':             'the kernel is out of memory',
  '* * EOPNOTSUPP':         'this kernel does not know the command; it is older than the feature',
}

function noScheduler({ sent: { service: { schedName: name, peName: engine } = {} } }: AskedOfIpvs): string {
  const missing = [
    ...name === undefined ? [] : [`scheduler ${JSON.stringify(name)} (module ip_vs_${name})`],
    ...engine === undefined ? [] : [`persistence engine ${JSON.stringify(engine)} (module ip_vs_pe_${engine})`],
  ]
  return `the kernel has no ${missing.join(', or no ')}`
}

/** The objects of commands that name none. */
const OBJECTS: Readonly<Record<string, string>> = {
  service: 'virtual services', daemon: 'sync daemons', counters: 'all counters', table: 'the IPVS table',
}

/** The object of a command: `real server 10.1.0.1:53 of virtual service udp 10.0.0.1:53`. */
function objectOf(kind: string, { service, dest, daemon }: CommandAttributes): string {
  const of = service && `virtual service ${serviceName(readService(service))}`
  const address = dest && ` ${endpoint(dest.addr ?? '?', dest.port ?? 0)}`
  if (kind === 'server') return `real server${address ?? 's'} of ${of ?? 'no service'}`
  if (daemon) return `${daemon.state ?? ''} sync daemon${daemon.mcastIfn === undefined ? '' : ` on ${daemon.mcastIfn}`}`
  return of ?? OBJECTS[kind] ?? kind
}

/** Adds the object and the sentence to the error of a command. */
export function explained(error: unknown, command: CommandName, sent: CommandAttributes): unknown {
  const [verb, kind] = COMMANDS[command]
  return explainedBy(error, { verb, kind, object: objectOf(kind, sent), sent }, REASONS)
}
