/** ipvsadm's rules to specs. */

import { formatIPv6, parseIPv4, parseIPv6 } from '../../../generic-netlink/index.js'
import { familyOf } from '../../base/address.js'
import {
  realServerName, schedulerBits, schedulerFlagName, serviceName, type Forwarding, type Protocol, type RealServerSpec, type SchedulerFlag, type ServiceKey,
  type ServiceSpec, type VirtualServiceSpec,
} from '../model.js'
import { within } from '../../base/check.js'
import { normalizeRealServer, normalizeService } from '../normalize.js'

/** A line that is not a rule. The message names line, column and word. */
export class RulesError extends SyntaxError {
  override readonly name = 'RulesError'
  /** From 1. */
  readonly line: number
  /** Where in the line the word begins, from 1. */
  readonly column: number
  /** The option or value that is wrong. */
  readonly word: string
  constructor(line: number, { word, column }: Word, why: string) {
    super(`line ${line}, column ${column}: ${JSON.stringify(word)}: ${why}`)
    this.line = line
    this.column = column
    this.word = word
  }
}

/**
 * Rules as ipvsadm saves and restores them, to a spec for each `-A` line; an `-a` line belongs to the service that it
 * names, which an earlier line has added. What a line leaves out has ipvsadm's defaults.
 *
 * Options may be short, long or bundled as for ipvsadm itself, with `#` comments and blank lines between. Accepted
 * besides: `--local`, and what {@link formatRules} prints. Refused, though ipvsadm accepts it: what cannot work,
 * such as a multicast VIP; host names, since nothing is looked up; and IPv4 addresses of less than four numbers or with
 * octal ones. A mask is of the service's family wherever it stands on the line.
 *
 * @throws RulesError for the first line that is wrong
 */
export function parseRules(text: string): VirtualServiceSpec[] {
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

/** A service that a line added, with the lines that added its real servers. */
interface Added { line: number; key: ServiceKey; spec: VirtualServiceSpec; realServers: RealServerSpec[]; lines: Map<string, number> }

// ── the options ──

/** What an option is about: its field's path in validate.ts. A line has one option about each. */
type Field =
  'command' | 'service' | 'family' | 'scheduler' | 'persistence' | 'netmask' | 'persistence.engine' | 'onePacket' | 'schedulerFlags' |
  'server.address' | 'server.forward' | 'server.weight' | 'server.thresholds.upper' | 'server.thresholds.lower' |
  'server.forward.tunnel' | 'server.forward.port' | 'server.forward.checksum'

interface Option { name: string; short: string; field: Field; takes: 'nothing' | 'value' | 'maybe'; commands: readonly string[] }

const OPTIONS: readonly Option[] = ([
  ['add-service',    'A', 'command',                 'nothing', 'Aa'],
  ['add-server',     'a', 'command',                 'nothing', 'Aa'],
  ['tcp-service',    't', 'service',                 'value',   'Aa'],
  ['udp-service',    'u', 'service',                 'value',   'Aa'],
  ['sctp-service',   '',  'service',                 'value',   'Aa'],
  ['fwmark-service', 'f', 'service',                 'value',   'Aa'],
  ['ipv6',           '6', 'family',                  'nothing', 'Aa'],
  ['scheduler',      's', 'scheduler',               'value',   'A'],
  ['persistent',     'p', 'persistence',             'maybe',   'A'],
  ['netmask',        'M', 'netmask',                 'value',   'A'],
  ['pe',             '',  'persistence.engine',      'value',   'A'],
  ['ops',            'o', 'onePacket',               'nothing', 'A'],
  ['sched-flags',    'b', 'schedulerFlags',          'value',   'A'],
  ['real-server',    'r', 'server.address',          'value',   'a'],
  ['masquerading',   'm', 'server.forward',          'nothing', 'a'],
  ['gatewaying',     'g', 'server.forward',          'nothing', 'a'],
  ['ipip',           'i', 'server.forward',          'nothing', 'a'],
  ['local',          '',  'server.forward',          'nothing', 'a'],
  ['weight',         'w', 'server.weight',           'value',   'a'],
  ['u-threshold',    'x', 'server.thresholds.upper', 'value',   'a'],
  ['l-threshold',    'y', 'server.thresholds.lower', 'value',   'a'],
  ['tun-type',       '',  'server.forward.tunnel',   'value',   'a'],
  ['tun-port',       '',  'server.forward.port',     'value',   'a'],
  ['tun-nocsum',     '',  'server.forward.checksum', 'nothing', 'a'],
  ['tun-csum',       '',  'server.forward.checksum', 'nothing', 'a'],
  ['tun-remcsum',    '',  'server.forward.checksum', 'nothing', 'a'],
] as const).map(([name, short, field, takes, on]) =>
  ({ name, short, field, takes, commands: on === 'A' ? ['add-service'] : on === 'a' ? ['add-server'] : ['add-service', 'add-server'] }))

const BY_WORD = new Map(OPTIONS.flatMap(option => [[`--${option.name}`, option], ...option.short ? [[`-${option.short}`, option] as const] : []]))

/** The rest of ipvsadm's commands: what they do is not in a table of rules. */
const OTHER_COMMANDS = new Set([
  '-E', '--edit-service', '-D', '--delete-service', '-e', '--edit-server', '-d', '--delete-server', '-C', '--clear', '-L', '-l', '--list', '-Z', '--zero',
  '-S', '--save', '-R', '--restore', '--set', '--start-daemon', '--stop-daemon', '-h', '--help',
])

const PROTOCOLS: Readonly<Record<string, Protocol>> = { 'tcp-service': 'tcp', 'udp-service': 'udp', 'sctp-service': 'sctp' }
const METHODS: Readonly<Record<string, Forwarding>> = { masquerading: 'masq', gatewaying: 'route', ipip: 'tunnel', local: 'local' }

/** Names of ports, as ipvsadm prints them without `-n`: what is commonly balanced. */
const PORTS: Readonly<Record<Protocol, Readonly<Record<string, number>>>> = {
  tcp: {
    ftp: 21, ssh: 22, telnet: 23, smtp: 25, domain: 53, http: 80, kerberos: 88, pop3: 110, imap2: 143, ldap: 389, https: 443, submissions: 465,
    submission: 587, ldaps: 636, 'domain-s': 853, rsync: 873, imaps: 993, pop3s: 995, openvpn: 1194, radius: 1812, mqtt: 1883, nfs: 2049, mysql: 3306,
    'ms-wbt-server': 3389, sip: 5060, 'sip-tls': 5061, 'xmpp-client': 5222, postgresql: 5432, amqps: 5671, amqp: 5672, 'syslog-tls': 6514, 'http-alt': 8080,
  },
  udp: {
    domain: 53, tftp: 69, kerberos: 88, ntp: 123, snmp: 161, 'snmp-trap': 162, https: 443, isakmp: 500, syslog: 514, 'domain-s': 853, openvpn: 1194,
    radius: 1812, 'radius-acct': 1813, 'ipsec-nat-t': 4500, sip: 5060,
  },
  sctp: {},
}

// ── a line ──

interface Word { word: string; column: number }

/** An option on a line. The value is where it stands, be it a word of its own or the end of one. */
interface Given extends Word { name: string; value: Word | undefined }

/** A line, split as ipvsadm's library for options does. */
class Rule {
  readonly line: number
  readonly options = new Map<Field, Given>()
  #command: Given | undefined
  readonly #words: readonly Word[]
  #next = 0

  constructor(words: readonly Word[], line: number) {
    this.#words = words
    this.line = line
    while (this.#next < words.length) this.#read(words[this.#next++]!)
    if (!this.#command) throw this.fail(words[0]!, 'the command comes first, -A or -a')
  }

  get command(): Given { return this.#command! }

  fail(at: Word, why: string): RulesError { return new RulesError(this.line, at, why) }

  #read(at: Word): void {
    const { word, column } = at
    if (word === '--') {
      if (this.#next < this.#words.length) throw this.fail(this.#words[this.#next]!, 'is not an option')
    } else if (word.startsWith('--')) {
      const equals = word.indexOf('=')
      if (equals < 0) this.#take(at)
      else this.#take({ word: word.slice(0, equals), column }, { word: word.slice(equals + 1), column: column + equals + 1 })
    } else if (word.length === 2 && word.startsWith('-')) {
      this.#take(at)
    } else if (word.length > 2 && word.startsWith('-')) {
      this.#bundle(at)
    } else {
      throw this.fail(at, 'is not an option')
    }
  }

  /** Letters in one word, the last of them with its value attached or not. */
  #bundle({ word, column }: Word): void {
    for (let i = 1; i < word.length; i++) {
      const letter = { word: `-${word[i]!}`, column: i === 1 ? column : column + i }
      const from = word[i + 1] === '=' ? i + 2 : i + 1
      if ((BY_WORD.get(letter.word)?.takes ?? 'nothing') === 'nothing') {
        this.#take(letter)
      } else {
        this.#take(letter, i + 1 < word.length ? { word: word.slice(from), column: column + from } : undefined)
        return
      }
    }
  }

  #take(at: Word, attached?: Word): void {
    const option = BY_WORD.get(at.word)
    const command = this.#command
    if (!option) throw this.fail(at, OTHER_COMMANDS.has(at.word) ? 'rules only add, by -A and -a' : 'there is no such option')
    const { name, field, takes, commands } = option
    if (!command && field !== 'command') throw this.fail(at, 'the command comes first, -A or -a')
    if (command && !commands.includes(command.name)) throw this.fail(at, `${command.word} has no such option`)
    const before = this.options.get(field)
    if (before) throw this.fail(at, `the line has ${before.word} already`)
    if (field === 'family' && this.options.get('service')?.name !== 'fwmark-service') throw this.fail(at, 'goes after -f; an address names its own family')

    const value = takes === 'nothing' ? attached : attached ?? this.#following(takes)
    if (takes === 'nothing' && value) throw this.fail(at, 'takes no value')
    if (value ? value.word === '' : takes === 'value') throw this.fail(at, 'the value is missing')
    const given: Given = { word: at.word, column: at.column, name, value }
    this.options.set(field, given)
    this.#command ??= given
  }

  #following(takes: 'value' | 'maybe'): Word | undefined {
    const next = this.#words[this.#next]
    if (next === undefined || (takes === 'maybe' && next.word.startsWith('-'))) return undefined
    this.#next++
    return next
  }
}

const BLANKS = ' \t\r'

/** Blanks part words. ipvsadm leaves out its own name; a word that begins with `#` begins a comment. */
function wordsOf(text: string): Word[] {
  const words: Word[] = []
  for (let end = 0, begin = 0; begin < text.length; begin = end + 1) {
    for (end = begin; end < text.length && !BLANKS.includes(text[end]!);) end++
    const word = text.slice(begin, end)
    if (word.startsWith('#')) break
    if (word !== '' && word !== 'ipvsadm') words.push({ word, column: begin + 1 })
  }
  return words
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
  if (engine && !persistent) throw rule.fail(rule.options.get('persistence.engine')!, 'does nothing without -p')
  const realServers: RealServerSpec[] = []
  const spec: ServiceSpec = {
    ...id.fwmark !== undefined ? id : { vip: id.vip, port: id.port, protocols: [id.protocol] },
    ...scheduler !== undefined && { scheduler },
    ...flags && { schedulerFlags: flagsOf(rule, flags, scheduler ?? 'wlc') },
    ...rule.options.has('onePacket') && { onePacket: true },
    ...persistent
      ? { persistence: { ...timeout && { timeout: numberOf(rule, timeout) }, ...netmask, ...engine && { engine: engine.word } } }
      : netmask,
  }
  const [key] = checked(rule, () => normalizeService(spec))
  const name = serviceName(key!)
  const before = services.get(name)
  if (before) throw rule.fail(at, `line ${before.line} adds this service already`)
  services.set(name, { line: rule.line, key: key!, spec: { ...spec, realServers }, realServers, lines: new Map() })
}

function addServer(rule: Rule, services: Map<string, Added>): void {
  const { id, at } = serviceOf(rule)
  const added = services.get(serviceName(id))
  if (!added) throw rule.fail(at, 'no line before adds this service')
  const { key, realServers, lines } = added
  const where = valueOf(rule, 'server.address')
  if (!where) throw rule.fail(rule.command, 'a real server is missing, -r')
  const named = endpointOf(rule, where, key.fwmark !== undefined ? 'tcp' : key.protocol as Protocol)
  const forward = forwardOf(rule)
  const [weight, upper, lower] = (['server.weight', 'server.thresholds.upper', 'server.thresholds.lower'] as const).map(field => {
    const value = valueOf(rule, field)
    return value && numberOf(rule, value)
  })
  // Packets that are not rewritten arrive at the service's port: as ipvsadm does, whatever port the line says.
  const rewritten = forward === 'masq' || forward === 'local'
  const port = (rewritten || key.fwmark !== undefined ? named.port : undefined) ?? key.port ?? 0
  const spec: RealServerSpec = {
    address: named.address, port, forward, weight: weight ?? 1,
    ...(upper !== undefined || lower !== undefined) && { thresholds: { upper: upper ?? 0, lower: lower ?? 0 } },
  }
  checked(rule, () => within('server', () => normalizeRealServer(spec, key)))
  const name = realServerName({ address: spec.address, port })
  const before = lines.get(name)
  if (before !== undefined) throw rule.fail(where, `line ${before} adds this real server already`)
  lines.set(name, rule.line)
  realServers.push(spec)
}

/** The path of a field in validate.ts, where the option about it is not found by that path or by one that it begins with. */
const ABOUT: Readonly<Record<string, Field>> = {
  vip: 'service', port: 'service', fwmark: 'service', 'persistence.netmask': 'netmask', 'server.port': 'server.address',
}

/** Checks by validate.ts: a refusal, which names a field, becomes one that names the word. */
function checked<T>(rule: Rule, check: () => T): T {
  try {
    return check()
  } catch (error) {
    const [, path, why] = /^([\w.]+)(?:\[\d+\])?: (.*)$/s.exec((error as Error).message) ?? []
    if (path === undefined || !(error instanceof TypeError || error instanceof RangeError)) throw error
    let given: Given | undefined
    for (let p = path; !given && p !== ''; p = p.slice(0, Math.max(0, p.lastIndexOf('.')))) given = rule.options.get(ABOUT[p] ?? p as Field)
    throw rule.fail(given?.value ?? given ?? rule.command, why!)
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
  if (!protocol) return { id: { fwmark: numberOf(rule, at), family: rule.options.has('family') ? 'inet6' : 'inet' }, at }
  const { address, port = 0 } = endpointOf(rule, at, protocol)
  return { id: { vip: address, port, protocol }, at }
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`, or an address alone. */
function endpointOf(rule: Rule, value: Word, protocol: Protocol): { address: string; port?: number } {
  const bracketed = /^\[([^\]]*)\]:(.+)$/.exec(value.word)
  const colon = value.word.indexOf(':')
  const several = colon !== value.word.lastIndexOf(':')
  if (value.word.startsWith('[') && !bracketed?.[1]!.includes(':')) throw rule.fail(value, 'brackets are around an IPv6 address with a port, [2001:db8::1]:80')
  const [host, port] = bracketed ? [bracketed[1]!, bracketed[2]!]
    : several || colon < 0 ? [value.word]
      : [value.word.slice(0, colon), value.word.slice(colon + 1)]
  const bytes = host.includes(':') ? parseIPv6(host) : null
  if (!bytes && parseIPv4(host) < 0) {
    throw rule.fail(value, several ? 'is not an IPv6 address'
      : /^[\d.]*$|^0x/i.test(host) ? 'an IPv4 address has four decimal numbers'
        : 'host names are not looked up: write the address')
  }
  const address = bytes ? formatIPv6(bytes) : host
  return port === undefined ? { address } : { address, port: portOf(rule, value, port, protocol) }
}

function portOf(rule: Rule, value: Word, port: string, protocol: Protocol): number {
  const number = /^\+?\d+$/.test(port) ? Number(port) : Object.hasOwn(PORTS[protocol], port) ? PORTS[protocol][port]! : NaN
  if (port === '') throw rule.fail(value, 'the port is missing')
  if (Number.isNaN(number)) throw rule.fail(value, `${JSON.stringify(port)} is not known as a port of ${protocol}: write the number`)
  if (number > 65535) throw rule.fail(value, `${port} is not a port, 0 to 65535`)
  return number
}

/** The scheduler's own names where it has them, each bit once: `flag-1` of sh is `sh-fallback`. */
function flagsOf(rule: Rule, value: Word, scheduler: string): SchedulerFlag[] {
  const flags = value.word.split(',').filter(flag => flag !== '')
  const unknown = flags.find(flag => !Object.hasOwn(schedulerBits, flag))
  if (unknown !== undefined) throw rule.fail(value, `${JSON.stringify(unknown)} is none of ${Object.keys(schedulerBits).join(', ')}`)
  const named = (flags as SchedulerFlag[]).map(flag => flag.startsWith('flag-') ? schedulerFlagName(scheduler, schedulerBits[flag]) : flag)
  return [...new Set(named)].sort((a, b) => schedulerBits[a] < schedulerBits[b] ? -1 : 1)
}

function forwardOf(rule: Rule): Forwarding {
  const method = rule.options.get('server.forward')
  const forward = method ? METHODS[method.name]! : 'route'
  const [type, port, checksum] = (['server.forward.tunnel', 'server.forward.port', 'server.forward.checksum'] as const).map(field => rule.options.get(field))
  const first = type ?? port ?? checksum
  if (!first) return forward
  if (forward !== 'tunnel') throw rule.fail(first, 'goes with -i')
  const tunnel = type?.value?.word ?? 'ipip'
  if (tunnel === 'ipip' && checksum) throw rule.fail(checksum, 'ipip has no checksum')
  if (tunnel === 'gue' && !port) throw rule.fail(type!.value!, 'gue needs --tun-port')
  const kind = checksum?.name.slice('tun-'.length)
  return tunnel === 'ipip' && !port ? 'tunnel' : {
    tunnel,
    ...port && { port: numberOf(rule, port.value!) },
    ...kind !== undefined && kind !== 'nocsum' && { checksum: kind },
  } as Forwarding
}
