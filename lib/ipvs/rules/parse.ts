/** ipvsadm's rules to specs. */

import { formatIPv6, parseIPv4, parseIPv6 } from '../../../generic-netlink/core.js'
import { familyOf } from '../../base/address.js'
import { SpecError, text as checkText, within } from '../../base/check.js'
import type {
  Forwarding, Protocol, RealServerSpec, SchedulerFlag, ServiceKey, ServiceSpec, VirtualServiceSpec,
} from '../model.js'
import { realServerName, serviceName } from '../names.js'
import { normalizeRealServer } from '../real-server.js'
import { schedulerBits, schedulerFlagName } from '../schedulers.js'
import { normalizeService } from '../service.js'
import { checksumsOf, isTunnelKind, tunnels } from '../tunnels.js'
import type { Field } from './options.js'
import { Rule, wordsOf, type Given, type Word } from './rule.js'

/**
 * Rules of `ipvsadm -S` and `-R` to specs: a spec for each `-A` line. An `-a` line belongs
 * to the service that it names, which an earlier line adds. Options that a line leaves out
 * have ipvsadm's defaults.
 *
 * Options may be short, long or bundled as for ipvsadm itself, with `#` comments and blank lines
 * between. `--local` and the other output of {@link formatRules} is accepted too. Refused, though
 * ipvsadm accepts them: values that cannot work, such as a multicast VIP; host names, because names
 * are not resolved; and IPv4 addresses of fewer than four numbers or with octal numbers. A mask is
 * of the service's family at any place of the line.
 *
 * @throws RulesError for the first line that is wrong; SpecError where the rules are no text
 */
export function parseRules(text: string): VirtualServiceSpec[] {
  checkText('text', text)
  const services = new Map<string, Added>()
  text.split('\n').forEach((line, i) => {
    const words = wordsOf(line)
    if (words.length === 0) return
    const rule = new Rule(words, i + 1)
    if (rule.command.name === 'add-service') addService(rule, services)
    else addServer(rule, services)
  })
  return [...services.values()].map(({ spec }) => spec)
}

/** A service that a line adds, with the lines that add its real servers. */
interface Added {
  line: number
  key: ServiceKey
  spec: VirtualServiceSpec
  realServers: RealServerSpec[]
  lines: Map<string, number>
}

const PROTOCOLS: Readonly<Record<string, Protocol>> = {
  'tcp-service': 'tcp', 'udp-service': 'udp', 'sctp-service': 'sctp',
}
const METHODS: Readonly<Record<string, Forwarding>> = {
  masquerading: 'masq', gatewaying: 'route', ipip: 'tunnel', local: 'local',
}

/** Names of commonly balanced ports, which ipvsadm prints without `-n`. */
const PORTS: Readonly<Record<Protocol, Readonly<Record<string, number>>>> = {
  tcp: {
    ftp: 21, ssh: 22, telnet: 23, smtp: 25, domain: 53, http: 80, kerberos: 88, pop3: 110, imap2: 143, ldap: 389,
    https: 443, submissions: 465, submission: 587, ldaps: 636, 'domain-s': 853, rsync: 873, imaps: 993, pop3s: 995,
    openvpn: 1194, radius: 1812, mqtt: 1883, nfs: 2049, mysql: 3306, 'ms-wbt-server': 3389, sip: 5060, 'sip-tls': 5061,
    'xmpp-client': 5222, postgresql: 5432, amqps: 5671, amqp: 5672, 'syslog-tls': 6514, 'http-alt': 8080,
  },
  udp: {
    domain: 53, tftp: 69, kerberos: 88, ntp: 123, snmp: 161, 'snmp-trap': 162, https: 443, isakmp: 500, syslog: 514,
    'domain-s': 853, openvpn: 1194, radius: 1812, 'radius-acct': 1813, 'ipsec-nat-t': 4500, sip: 5060,
  },
  sctp: {},
}

// ── the commands ──

function addService(rule: Rule, services: Map<string, Added>): void {
  const { id, at } = serviceOf(rule)
  const family = id.fwmark !== undefined ? id.family : familyOf(id.vip)
  const mask = valueOf(rule, 'netmask')
  const netmask = mask && { netmask: family === 'inet6' ? numberOf(rule, mask) : mask.word }
  const persistent = rule.options.has('persistence')
  const timeout = valueOf(rule, 'persistence')
  const engine = valueOf(rule, 'persistence.engine')
  const scheduler = valueOf(rule, 'scheduler')?.word
  const flags = valueOf(rule, 'schedulerFlags')
  if (engine && !persistent) throw rule.fail(rule.options.get('persistence.engine')!, 'has no effect without -p')
  const clients = { ...netmask, ...engine && { engine: engine.word } }
  const realServers: RealServerSpec[] = []
  const spec: ServiceSpec = {
    ...id.fwmark !== undefined ? id : { vip: id.vip, port: id.port, protocols: [id.protocol] },
    ...scheduler !== undefined && { scheduler },
    ...flags && { schedulerFlags: flagsOf(rule, flags, scheduler ?? 'wlc') },
    ...rule.options.has('onePacket') && { onePacket: true },
    ...persistent ? { persistence: { ...timeout && { timeout: numberOf(rule, timeout) }, ...clients } } : netmask,
  }
  const [key] = checked(rule, () => normalizeService(spec))
  const name = serviceName(key!)
  const before = services.get(name)
  if (before) throw rule.fail(at, `duplicates the service of line ${before.line}`)
  services.set(name, { line: rule.line, key: key!, spec: { ...spec, realServers }, realServers, lines: new Map() })
}

function addServer(rule: Rule, services: Map<string, Added>): void {
  const { id, at } = serviceOf(rule)
  const added = services.get(serviceName(id))
  if (!added) throw rule.fail(at, 'no earlier line adds this service')
  const { key, realServers, lines } = added
  const where = valueOf(rule, 'server.address')
  if (!where) throw rule.fail(rule.command, 'the real server, -r, is missing')
  const named = endpointOf(rule, where, key.fwmark !== undefined ? 'tcp' : key.protocol as Protocol)
  const forward = forwardOf(rule)
  const [weight, upper, lower] = (['server.weight', 'server.thresholds.upper', 'server.thresholds.lower'] as const)
    .map(field => valueOf(rule, field)).map(value => value && numberOf(rule, value))
  // Packets that are not rewritten arrive at the service's port: ipvsadm ignores the line's port.
  const rewritten = forward === 'masq' || forward === 'local'
  const port = (rewritten || key.fwmark !== undefined ? named.port : undefined) ?? key.port ?? 0
  const spec: RealServerSpec = {
    address: named.address, port, forward, weight: weight ?? 1,
    ...(upper !== undefined || lower !== undefined) && { thresholds: { upper: upper ?? 0, lower: lower ?? 0 } },
    ...rule.options.has('server.drain') && { drain: true },
  }
  const name = realServerName(checked(rule, () => within('server', () => normalizeRealServer(spec, key))))
  const before = lines.get(name)
  if (before !== undefined) throw rule.fail(where, `duplicates the real server of line ${before}`)
  lines.set(name, rule.line)
  realServers.push(spec)
}

/** Options whose field is not the path of the refusal, or the beginning of that path. */
const OPTION_OF: Readonly<Record<string, Field>> = {
  vip: 'service', port: 'service', protocol: 'service', fwmark: 'service',
  'persistence.netmask': 'netmask', 'server.port': 'server.address',
}

/** Runs the check of a spec: a refusal, which names a field, becomes the refusal of a word. */
function checked<T>(rule: Rule, check: () => T): T {
  try {
    return check()
  } catch (error) {
    if (!(error instanceof SpecError)) throw error
    let given: Given | undefined
    for (let p = error.path.replace(/\[.*/, ''); !given && p !== ''; p = p.slice(0, Math.max(0, p.lastIndexOf('.')))) {
      given = rule.options.get(OPTION_OF[p] ?? p as Field)
    }
    throw rule.fail(given?.value ?? given ?? rule.command, error.why)
  }
}

// ── values ──

const valueOf = (rule: Rule, field: Field): Word | undefined => rule.options.get(field)?.value

function numberOf(rule: Rule, value: Word): number {
  if (!/^\+?\d+$/.test(value.word)) throw rule.fail(value, 'is not a number')
  return Number(value.word)
}

type OneService =
  | { vip: string; port: number; protocol: Protocol; fwmark?: never; family?: never }
  | { fwmark: number; family: 'inet' | 'inet6'; vip?: never; port?: never; protocol?: never }

function serviceOf(rule: Rule): { id: OneService; at: Word } {
  const given = rule.options.get('service')
  if (!given) throw rule.fail(rule.command, 'the service is missing: -t, -u, --sctp-service or -f')
  const at = given.value!
  const protocol = PROTOCOLS[given.name]
  if (!protocol) {
    return { id: { fwmark: numberOf(rule, at), family: rule.options.has('family') ? 'inet6' : 'inet' }, at }
  }
  const { address, port = 0 } = endpointOf(rule, at, protocol)
  return { id: { vip: address, port, protocol }, at }
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`, or an address alone. */
function endpointOf(rule: Rule, value: Word, protocol: Protocol): { address: string; port?: number } {
  const bracketed = /^\[([^\]]*)\]:(.+)$/.exec(value.word)
  const colon = value.word.indexOf(':'), several = colon !== value.word.lastIndexOf(':')
  if (value.word.startsWith('[') && !bracketed?.[1]!.includes(':')) {
    throw rule.fail(value, 'brackets enclose an IPv6 address before a port: [2001:db8::1]:80')
  }
  const [host, port] = bracketed ? [bracketed[1]!, bracketed[2]!]
    : several || colon < 0 ? [value.word]
      : [value.word.slice(0, colon), value.word.slice(colon + 1)]
  const bytes = host.includes(':') ? parseIPv6(host) : null
  if (!bytes && parseIPv4(host) < 0) {
    throw rule.fail(value, several ? 'is not an IPv6 address'
      : /^[\d.]*$|^0x/i.test(host) ? 'an IPv4 address has four decimal numbers'
        : 'is a host name, and names are not resolved: write the address')
  }
  const address = bytes ? formatIPv6(bytes) : host
  return port === undefined ? { address } : { address, port: portOf(rule, value, port, protocol) }
}

function portOf(rule: Rule, value: Word, port: string, protocol: Protocol): number {
  const number = /^\+?\d+$/.test(port) ? Number(port)
    : Object.hasOwn(PORTS[protocol], port) ? PORTS[protocol][port]! : NaN
  if (port === '') throw rule.fail(value, 'the port is missing')
  if (Number.isNaN(number)) {
    throw rule.fail(value, `${JSON.stringify(port)} is not a known port of ${protocol}: write the number`)
  }
  if (number > 65535) throw rule.fail(value, `${port} is not a port from 0 to 65535`)
  return number
}

/** The scheduler's own names where it has any, each bit once: `flag-1` of sh is `sh-fallback`. */
function flagsOf(rule: Rule, value: Word, scheduler: string): SchedulerFlag[] {
  const flags = value.word.split(',').filter(flag => flag !== '')
  const unknown = flags.find(flag => !Object.hasOwn(schedulerBits, flag))
  if (unknown !== undefined) {
    throw rule.fail(value, `${JSON.stringify(unknown)} is not one of ${Object.keys(schedulerBits).join(', ')}`)
  }
  const named = (flags as SchedulerFlag[]).map(flag =>
    flag.startsWith('flag-') ? schedulerFlagName(scheduler, schedulerBits[flag]) : flag)
  return [...new Set(named)].sort((a, b) => schedulerBits[a] < schedulerBits[b] ? -1 : 1)
}

function forwardOf(rule: Rule): Forwarding {
  const method = rule.options.get('server.forward')
  const forward = method ? METHODS[method.name]! : 'route'
  const [type, port, checksum] = (['kind', 'port', 'checksum'] as const)
    .map(field => rule.options.get(`server.forward.${field}`))
  const first = type ?? port ?? checksum
  if (!first) return forward
  if (forward !== 'tunnel') throw rule.fail(first, 'requires -i')
  const kind = type?.value?.word ?? 'ipip'
  if (isTunnelKind(kind)) {
    if (checksum && checksumsOf(kind).length === 0) throw rule.fail(checksum, `${kind} has no checksum`)
    if (tunnels[kind].port && !port) throw rule.fail(type!.value!, `${kind} requires --tun-port`)
  }
  const word = checksum?.name.slice('tun-'.length)
  return kind === 'ipip' && !port ? 'tunnel' : {
    kind,
    ...port && { port: numberOf(rule, port.value!) },
    ...word !== undefined && word !== 'nocsum' && { checksum: word },
  } as Forwarding
}
