/**
 * ipvsadm's command line to what it asks for, in the order and with the mistakes of ipvsadm:
 * an option is read in the light of those before it, and the first error counts.
 */

import type {
  CommandAttributes, DaemonAttributes, DestinationAttributes, ServiceAttributes,
} from 'ipvs-nl/generic-netlink'
import type { Names } from './names.js'
import { byName, options } from './popt.js'
import { KNOWN, misused, misusedTunnel, type CommandName, type KnownOption, type OptionName } from './rules.js'
import { endpoint, ipv4Of, ipv6Of, leadingNumber, number } from './values.js'

/** What a line asks for, in the kernel's words. */
export interface Line {
  command: CommandName
  given: Set<OptionName>
  service: ServiceAttributes
  /** The service's flags. */
  flags: Partial<Record<'persistent' | 'onePacket' | 'sched1' | 'sched2' | 'sched3', boolean>>
  server: DestinationAttributes
  /** The real server's flags. */
  tunnelFlags: { csum?: boolean; remcsum?: boolean }
  daemon: DaemonAttributes
  timeouts: Pick<CommandAttributes, 'timeoutTcp' | 'timeoutTcpFin' | 'timeoutUdp'>
}

/** The line is wrong, so that the program ends: in the midst of a restore, too. */
export class Exit extends Error {
  readonly status: number
  constructor(text: string, status = 2) {
    super(text)
    this.status = status
  }
}

/** An option is none, has no value or too much of one. A restore goes on after such a line. */
export class BadOption extends Error {}

const BY_NAME = byName(KNOWN)
const INT_MAX = 0x7fffffff
const LONGEST_TIMEOUT = 31 * 24 * 3600

/** Reads a line. @throws Exit, BadOption with what ipvsadm would print */
export async function readLine(words: readonly string[], program: string, names: Names): Promise<Line> {
  const leftover: string[] = []
  const tokens = options(words, BY_NAME, leftover)
  const first = tokens.next().value
  const command = first?.option?.command
  if (command === undefined) throw tryHelp(program)
  const line = blank(command, first!.value ?? '')
  if (command === 'help' || command === 'version') return line // whatever comes after
  let schedulerFlags = ''
  for (const { option, value, word, error } of tokens) {
    if (option === undefined) throw new BadOption(`${word}: ${error}`)
    if (option.command) throw new Exit(`invalid option \`${word}'`)
    if (option.name !== undefined) {
      if (line.given.has(option.name)) throw new Exit(`multiple '${option.name}' options specified`)
      line.given.add(option.name)
    }
    if (option.name === 'sched-flags') schedulerFlags = value!
    else await read(line, option, value, names)
  }

  if (command === 'set') {
    const [tcp, fin, udp] = leftover.splice(0, 3)
    if (udp === undefined) throw new Exit('--set option requires 3 timeout values')
    line.timeouts = { timeoutTcp: timeout(tcp!, 0), timeoutTcpFin: timeout(fin!, 0), timeoutUdp: timeout(udp, 0) }
  }
  if (leftover.length > 0) throw new Exit(`unexpected argument ${leftover[0]!}`)
  addFlags(line, schedulerFlags)
  check(line)
  return line
}

function blank(command: CommandName, value: string): Line {
  const flags = {}, tunnelFlags = {}
  return {
    command,
    given:    new Set(),
    flags,
    service:  { port: 0, schedName: '', flags: { flags, mask: EVERY_BIT }, timeout: 0, netmask: '255.255.255.255' },
    tunnelFlags,
    server: {
      port: 0, fwdMethod: 'route', weight: 1, uThresh: 0, lThresh: 0,
      tunType: 'ipip', tunPort: 0, tunFlags: tunnelFlags,
    },
    daemon: command === 'start-daemon' || command === 'stop-daemon'
      ? { state: stateOf(command, value), mcastIfn: '', syncId: 0 }
      : {},
    timeouts: {},
  }
}

/** How ipvsadm says that it does not know what to do. */
export const tryHelp = (program: string): Exit =>
  new Exit(`Try \`${program} -h' or '${program} --help' for more information.`, 255)

/** The kernel changes the flags that are masked; ipvsadm masks all of them. */
const EVERY_BIT = {
  persistent: true, hashed: true, onePacket: true, sched1: true, sched2: true, sched3: true,
  ...Object.fromEntries(Array.from({ length: 26 }, (_, i) => [i + 6, true])),
}

function stateOf(command: CommandName, value: string): 'master' | 'backup' {
  if (value === 'master' || value === 'backup') return value
  throw new Exit(command === 'start-daemon'
    ? 'illegal start-daemon parameter specified'
    : 'illegal start_daemon specified')
}

// ── options with a meaning of their own ──

type Read = (line: Line, value: string, names: Names) => void | Promise<void>

const READ: Readonly<Record<string, Read>> = {
  'tcp-service':     (line, value, names) => readService(line, 'tcp', value, names),
  'udp-service':     (line, value, names) => readService(line, 'udp', value, names),
  'sctp-service':    (line, value, names) => readService(line, 'sctp', value, names),
  'fwmark-service':  ({ service }, value) => {
    const fwmark = number(value, 1, 0xffffffff)
    if (fwmark === undefined) throw new Exit(`invalid fwmark value \`${value}' specified`)
    Object.assign(service, { af: 'inet', protocol: 'tcp', fwmark }) // by the protocol, ports of real servers have names
  },
  'ipv6':            ({ service }) => {
    if (service.fwmark === undefined) throw new Exit('-6 used before -f\n')
    Object.assign(service, { af: 'inet6', netmask: 128 })
  },
  'scheduler':       ({ service }, value) => { service.schedName = cut(value) },
  'netmask':         readNetmask,
  'pe':              ({ service }, value) => { service.peName = cut(value) },
  'ops':             ({ flags }) => { flags.onePacket = true },
  'real-server':     readServer,
  'masquerading':    ({ server }) => { server.fwdMethod = 'masq' },
  'ipip':            ({ server }) => { server.fwdMethod = 'tunnel' },
  'gatewaying':      ({ server }) => { server.fwdMethod = 'route' },
  'weight':          ({ server }, value) => { server.weight = inRange(value, 0, INT_MAX, 'weight') },
  'u-threshold':     ({ server }, value) => { server.uThresh = inRange(value, 0, INT_MAX, 'u_threshold') },
  'l-threshold':     ({ server }, value) => { server.lThresh = inRange(value, 0, INT_MAX, 'l_threshold') },
  'tun-type':        ({ server }, value) => {
    if (value !== 'ipip' && value !== 'gue' && value !== 'gre') throw new Exit('illegal tunnel type specified')
    server.tunType = value
  },
  'tun-port':        ({ server }, value) => { server.tunPort = inRange(value, 1, 65535, 'tunnel port') },
  'tun-csum':        ({ tunnelFlags }) => { tunnelFlags.csum = true },
  'tun-remcsum':     ({ tunnelFlags }) => { tunnelFlags.remcsum = true },
  'mcast-interface': ({ daemon }, value) => { daemon.mcastIfn = cut(value) },
  'syncid':          ({ daemon }, value) => { daemon.syncId = inRange(value, 0, 255, 'syncid') },
  'mcast-group':     readGroup,
  'mcast-port':      ({ daemon }, value) => { daemon.mcastPort = inRange(value, 1, 65535, 'mcast-port') },
  'mcast-ttl':       ({ daemon }, value) => { daemon.mcastTtl = inRange(value, 1, 255, 'mcast-ttl') },
  'sync-maxlen':     ({ daemon }, value) => { daemon.syncMaxlen = inRange(value, 1, 65535 - 20 - 8, 'sync-maxlen') },
}

async function read(line: Line, { long }: KnownOption, value: string | undefined, names: Names): Promise<void> {
  if (long === 'persistent') {
    line.flags.persistent = true
    line.service.timeout = value === undefined ? 360 : timeout(value, 1)
  } else {
    await READ[long]?.(line, value ?? '', names)
  }
}

/** As many characters as 15 bytes hold, which is what the kernel has for a name. */
function cut(name: string): string {
  let text = name
  while (Buffer.byteLength(text) > 15) text = text.slice(0, -1)
  return text
}

function inRange(value: string, min: number, max: number, what: string): number {
  const n = number(value, min, max)
  if (n === undefined) throw new Exit(`illegal ${what} specified`)
  return n
}

function timeout(value: string, min: number): number {
  const seconds = number(value, min, LONGEST_TIMEOUT)
  if (seconds === undefined) throw new Exit(`invalid timeout value \`${value}' specified`)
  return seconds
}

async function readService(
  { service }: Line, protocol: 'tcp' | 'udp' | 'sctp', value: string, names: Names,
): Promise<void> {
  const at = await endpoint(value, protocol, names)
  if (!at) throw new Exit('illegal virtual server address[:port] specified')
  Object.assign(service, { protocol, ...at, ...at.af === 'inet6' && { netmask: 128 } })
}

async function readServer({ service, server }: Line, value: string, names: Names): Promise<void> {
  const at = await endpoint(value, service.protocol, names)
  if (!at) throw new Exit('illegal real server address[:port] specified')
  Object.assign(server, { addrFamily: at.af, addr: at.addr, port: at.port ?? service.port })
}

/** Of the family that is known by now. */
async function readNetmask({ service }: Line, value: string, names: Names): Promise<void> {
  if (service.af === 'inet6') {
    service.netmask = leadingNumber(value)
    if (service.netmask < 1 || service.netmask > 128) throw new Exit('illegal ipv6 netmask specified')
  } else {
    const mask = ipv4Of(value) ?? await names.addressOf(value)
    if (mask === undefined) throw new Exit('illegal virtual server persistent mask specified')
    service.netmask = mask
  }
}

function readGroup({ daemon }: Line, value: string): void {
  if (value.includes(':')) {
    const group = ipv6Of(value)
    if (!group?.startsWith('ff')) throw new Exit(`invalid IPv6 mcast-group \`${value}'`)
    daemon.mcastGroup6 = group
  } else {
    if (!/^(22[4-9]|23\d)(\.(0|[1-9]\d?|1\d\d|2[0-4]\d|25[0-5])){3}$/.test(value)) {
      throw new Exit(`invalid IPv4 mcast-group \`${value}'`)
    }
    daemon.mcastGroup = value
  }
}

/** Flags by name: the bit, and the scheduler that has it by this name. */
const FLAGS: Readonly<Record<string, readonly [bit: 'sched1' | 'sched2' | 'sched3', scheduler?: string]>> = {
  'flag-1':      ['sched1'],
  'flag-2':      ['sched2'],
  'flag-3':      ['sched3'],
  'sh-fallback': ['sched1', 'sh'],
  'sh-port':     ['sched2', 'sh'],
  'mh-fallback': ['sched1', 'mh'],
  'mh-port':     ['sched2', 'mh'],
}

function addFlags({ service: { schedName }, flags }: Line, text: string): void {
  const names = text.split(',').filter(name => name !== '')
  // Of nothing but commas ipvsadm dies.
  for (const name of names.length === 0 && text !== '' ? [text] : names) {
    const flag = Object.hasOwn(FLAGS, name) ? FLAGS[name] : undefined
    if (!flag) throw new Exit(`invalid scheduler flag \`${name}'`)
    const [bit, scheduler = schedName] = flag
    if (scheduler !== schedName) throw new Exit(`incompatible scheduler flag \`${name}'`)
    flags[bit] = true
  }
}

// ── the line as a whole ──

const TUNNEL_OPTIONS: readonly OptionName[] = ['tun-type', 'tun-port', 'tun-nocsum', 'tun-csum', 'tun-remcsum']
const has = ({ given }: Line, ...names: OptionName[]): boolean => names.some(name => given.has(name))

function check(line: Line): void {
  const { command, daemon } = line
  refuse(misused(command, line.given))
  if (command === 'add-service' || command === 'edit-service') checkService(line)
  if (command === 'start-daemon' && daemon.mcastIfn === '') daemon.mcastIfn = 'eth0'
  if (command === 'add-server' || command === 'edit-server') checkServer(line)
  if (command === 'list'
    && ((has(line, 'connection', 'timeout', 'daemon') && has(line, 'stats', 'rate', 'thresholds'))
      || (has(line, 'timeout', 'daemon') && has(line, 'persistent-conn')))) {
    refuse('options conflicts in the list command')
  }
}

function refuse(why: string | undefined): void {
  if (why !== undefined) throw new Exit(why)
}

function checkService({ service, flags: { persistent, onePacket } }: Line): void {
  if (service.fwmark === undefined && service.port === 0 && !persistent) {
    refuse('Zero port specified for non-persistent service')
  }
  if (onePacket && service.fwmark === undefined && service.protocol !== 'udp') {
    refuse('One-Packet Scheduling is only for UDP virtual services')
  }
  if (service.schedName === '') service.schedName = 'wlc'
}

function checkServer(line: Line): void {
  const { service, server } = line
  // Such packets arrive at the port that they were sent to.
  if (service.fwmark === undefined && server.fwdMethod !== 'masq') server.port = service.port
  if (server.fwdMethod !== 'tunnel') {
    if (server.addrFamily !== service.af) refuse('Different address family is allowed only for tunneling servers')
    if (has(line, ...TUNNEL_OPTIONS)) refuse('Tunnel options conflict with forward method')
  }
  refuse(misusedTunnel(server.tunType as 'ipip', line.given))
}
