/** The kernel's errors in words: what was asked of what, why it was refused, and what to do. */

import { NetlinkError, type CommandAttributes, type Errno } from '../../generic-netlink/index.js'
import { endpoint } from '../base/address.js'
import { serviceName } from './model.js'
import { readService } from './attributes.js'

/** What each command does, for "cannot …". */
const DEEDS: Readonly<Record<string, string>> = {
  newService: 'add',
  setService: 'change',
  delService: 'remove',
  getService: 'read',
  newDest:    'add',
  setDest:    'change',
  delDest:    'remove',
  getDest:    'list',
  newDaemon:  'start',
  delDaemon:  'stop',
  getDaemon:  'list',
  setConfig:  'set',
  getConfig:  'read',
  getInfo:    'read',
  zero:       'zero',
  flush:      'flush',
}

type Reason = string | ((sent: CommandAttributes) => string)

const NO_SERVICE = 'there is no such virtual service; add it first'
const BAD_SERVER = 'the kernel takes no such address: it is not unicast, or a subnet\'s broadcast, or this network namespace has no local address yet'
  + ' (ip link set lo up), or real server and service are of two families while a sync daemon runs'

/** Why, by command and error; `*` stands for every command. */
const REASONS: Readonly<Record<string, Reason>> = {
  'newService EEXIST':       'it is there already; change it instead',
  'newService ENOENT':       noScheduler,
  'setService ENOENT':       noScheduler,
  'newService EINVAL':       'the kernel takes no such netmask, timeout or name',
  'setService EINVAL':       'the kernel takes no such netmask, timeout or name',
  'setService ESRCH':        'it is not there; add it first',
  'delService ESRCH':        'it is not there',
  'getService ESRCH':        'it is not there',
  'zero ESRCH':              'it is not there',
  'newDest ESRCH':           NO_SERVICE,
  'setDest ESRCH':           NO_SERVICE,
  'delDest ESRCH':           NO_SERVICE,
  'newDest EEXIST':          'it is there already; change it instead',
  'setDest ENOENT':          'it is not among the service\'s real servers; add it first',
  'delDest ENOENT':          'it is not among the service\'s real servers',
  'newDest EINVAL':          BAD_SERVER,
  'setDest EINVAL':          BAD_SERVER,
  'newDest ERANGE':          'the weight is above 2147483647, or the lower threshold above the upper',
  'setDest ERANGE':          'the weight is above 2147483647, or the lower threshold above the upper',
  'newDaemon EEXIST':        'one runs already; stop it first',
  'delDaemon ESRCH':         'none runs',
  'newDaemon ENODEV':        'there is no such interface in this network namespace',
  'newDaemon EINVAL':        'the kernel takes no such multicast group, or some real server is of another family than its service, which cannot be told',
  'setConfig EINVAL':        'a timeout is too long for the kernel',
  'getFamily ENOENT':        'the kernel has no module ip_vs, or could not load it (modprobe ip_vs says why)',
  '* ENOENT':                'the kernel\'s IPVS module is gone (modprobe ip_vs brings it back, empty)',
  '* EPERM':                 'this needs CAP_NET_ADMIN in the initial user namespace; root of a container\'s own user namespace has it not',
  '* EAFNOSUPPORT':          'the kernel has no such address family here; is IPv6 disabled?',
  '* ENOPROTOOPT':           'the kernel is unloading IPVS, or cannot load it; try again',
  '* ENOMEM':                'the kernel is out of memory',
  '* EOPNOTSUPP':            'this kernel does not know the command; it is older than the feature',
}

function noScheduler({ service }: CommandAttributes): string {
  const scheduler = `the kernel has no scheduler ${JSON.stringify(service?.schedName)} (module ip_vs_${service?.schedName ?? ''})`
  if (service?.peName === undefined) return scheduler
  return `${scheduler}, or no persistence engine ${JSON.stringify(service.peName)} (module ip_vs_pe_${service.peName})`
}

/** What a command was about: `udp 192.168.50.100:53`, `real server 192.168.52.100:53 of udp 192.168.50.100:53`. */
export function objectOf(command: string, { service, dest, daemon }: CommandAttributes): string | undefined {
  const of = service && `virtual service ${serviceName(readService(service))}`
  if (command === 'getDest') return of && `real servers of ${of}`
  if (dest) return `real server ${endpoint(dest.addr ?? '?', dest.port ?? 0)} of ${of ?? 'no service'}`
  if (daemon) return `${daemon.state ?? ''} sync daemon${daemon.mcastIfn === undefined ? '' : ` on ${daemon.mcastIfn}`}`
  return of ?? OBJECTS[command]
}

/** What commands are about that name no object. */
const OBJECTS: Readonly<Record<string, string>> = {
  getService: 'virtual services',
  getDaemon:  'sync daemons',
  setConfig:  'timeouts',
  getConfig:  'timeouts',
  getInfo:    'IPVS',
  getFamily:  'IPVS',
  zero:       'all counters',
  flush:      'the IPVS table',
}

/** One sentence for a person: `cannot add virtual service udp 192.168.50.100:53: it is there already; change it instead (EEXIST)`. */
export function explain(command: string, code: Errno, sent: CommandAttributes): string {
  const reason = REASONS[`${command} ${code}`] ?? REASONS[`* ${code}`]
  const why = typeof reason === 'function' ? reason(sent) : reason
  const what = [DEEDS[command] ?? 'use', objectOf(command, sent)].filter(Boolean).join(' ')
  return `cannot ${what}: ${why === undefined ? code : `${why} (${code})`}`
}

/** The same error with its object and its sentence; anything else as it is. */
export function explained(error: unknown, command: string, sent: CommandAttributes): unknown {
  if (!(error instanceof NetlinkError)) return error
  const { errno, code, request, extack } = error
  const object = objectOf(command, sent)
  const message = OURS.has(code) ? error.message : explain(command, code, sent)
  const better = new NetlinkError(errno, request, { ...object !== undefined && { object }, ...extack && { extack }, message, cause: error })
  Error.captureStackTrace(better, explained)
  return better
}

/** What the connection says in its own words: the kernel was not asked, or not heard. */
const OURS = new Set<Errno>(['ECANCELED', 'ETIMEDOUT', 'ENOBUFS', 'EMSGSIZE', 'ENODATA'])
