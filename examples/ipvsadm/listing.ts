/** The formats of `ipvsadm -L`: pure text, byte by byte. */

import type { ConnectionState, OtherTunnel, RealServerState, ServiceState, Stats, SyncDaemonState } from 'ipvs-nl'
import type { Naming } from './naming.js'

/** What a list shows. */
export interface Format {
  readonly view: View
  /** Counters in full, however wide. */
  readonly exact: boolean
}

/** What is shown of each row. Where several are asked for, the first of these is. */
export const VIEWS = ['stats', 'rate', 'thresholds', 'persistent-conn', 'tun-info', 'rules'] as const
export type View = typeof VIEWS[number]

const left = (width: number, value: string | number): string => String(value).padEnd(width)
const right = (width: number, value: string | number | bigint): string => String(value).padStart(width)
const columns = (...cells: readonly (readonly [width: number, value: string | number])[]): string =>
  cells.map(([width, value]) => left(width, value)).join(' ')

// ── titles ──

const PLAIN = 'Prot LocalAddress:Port Scheduler Flags\n'
const REMOTE = '  -> RemoteAddress:Port'
const counters = (...names: readonly string[]): string =>
  `${left(33, 'Prot LocalAddress:Port')}${names.map(name => right(9, name)).join('')}\n${REMOTE}\n`
const wide = (...names: readonly (readonly [number, string])[]): string =>
  `${columns([33, 'Prot LocalAddress:Port'], ...names)}\n${REMOTE}\n`

const TITLES: Readonly<Record<View, string>> = {
  'stats':           counters('Conns', 'InPkts', 'OutPkts', 'InBytes', 'OutBytes'),
  'rate':            counters('CPS', 'InPPS', 'OutPPS', 'InBPS', 'OutBPS'),
  'thresholds':      wide([10, 'Uthreshold'], [10, 'Lthreshold'], [10, 'ActiveConn'], [10, 'InActConn']),
  'persistent-conn': wide([9, 'Weight'], [11, 'PersistConn'], [10, 'ActiveConn'], [10, 'InActConn']),
  'tun-info':        `${PLAIN}${REMOTE}           Forward TunnelInfo    Weight ActiveConn InActConn\n`,
  'rules':           `${PLAIN}${REMOTE}           Forward Weight ActiveConn InActConn\n`,
}

/** The first line of the list of all services. */
export const banner = (version: string, size: number): string => `IP Virtual Server version ${version} (size=${size})\n`

/** The names of the columns. */
export const title = ({ view }: Format): string => TITLES[view]

// ── a service ──

/** A service and its real servers. */
export function serviceRows(service: ServiceState, format: Format, naming: Naming): string {
  const name = serviceNameIn(service, naming)
  const rest = format.view === 'stats' || format.view === 'rate'
    ? `${serviceCounters(service.stats, format)}\n`
    : ` ${service.scheduler}${flagsOf(service)}${persistenceOf(service)}${service.onePacket ? ' ops' : ''}\n`
  const protocol = service.fwmark === undefined ? service.protocol : 0
  const rows = service.realServers.map(server =>
    `  -> ${left(28, serverName(server, protocol, naming))}${ROWS[format.view](server, format)}\n`)
  return `${format.view === 'stats' || format.view === 'rate' ? left(33, name) : name}${rest}${rows.join('')}`
}

const PROTOCOLS: Readonly<Record<string, string>> = { tcp: 'TCP', udp: 'UDP', sctp: 'SCTP' }

function serviceNameIn(service: ServiceState, naming: Naming): string {
  if (service.fwmark !== undefined) return `FWM  ${service.fwmark | 0}${service.family === 'inet6' ? ' IPv6' : ''}`
  const name = `${left(4, PROTOCOLS[service.protocol] ?? '?')} ${naming(service.vip, service.port, service.protocol)}`
  return service.vip.includes(':') ? name : name.slice(0, 33)
}

function serverName({ address, port }: RealServerState, protocol: string | number, naming: Naming): string {
  const name = naming(address, port, protocol)
  return address.includes(':') ? name : name.slice(0, 28)
}

/** Of a scheduler with names of its own, no others. */
function flagsOf({ scheduler, schedulerFlags }: ServiceState): string {
  if (schedulerFlags.length === 0) return ''
  const own = scheduler === 'sh' || scheduler === 'mh'
  return ` (${schedulerFlags.filter(flag => !own || flag.startsWith(`${scheduler}-`)).join(',')})`
}

function persistenceOf({ persistence }: ServiceState): string {
  if (!persistence) return ''
  const { timeout, netmask, engine } = persistence
  const mask = netmask === '255.255.255.255' || netmask === 128 ? '' : ` mask ${netmask}`
  return ` persistent ${timeout}${mask}${engine === undefined ? '' : ` pe ${engine}`}`
}

// ── a real server ──

const METHODS: Readonly<Record<string, string>> = { masq: 'Masq', local: 'Local', tunnel: 'Tunnel', route: 'Route' }
const methodOf = ({ forward }: RealServerState): string =>
  METHODS[typeof forward === 'object' ? 'tunnel' : forward] ?? '(null)'

const ROWS: Readonly<Record<View, (server: RealServerState, format: Format) => string>> = {
  'stats': ({ stats }, format) => serviceCounters(stats, format),
  'rate': ({ stats: { rates } }, { exact }) =>
    [rates.connections, rates.packetsIn, rates.packetsOut].map(n => ` ${right(8, n)}`).join('')
    + [rates.bytesIn, rates.bytesOut].map(n => counter(BigInt(n), exact)).join(''),
  'thresholds': server =>
    ` ${columns([10, server.thresholds.upper], [10, server.thresholds.lower], ...connectionsOf(server))}`,
  'persistent-conn': server =>
    ` ${columns([9, server.weight], [11, server.persistentConnections], ...connectionsOf(server))}`,
  'tun-info': server =>
    ` ${columns([7, methodOf(server)], [13, tunnelOf(server)], [6, server.weight], ...connectionsOf(server))}`,
  'rules': server =>
    ` ${columns([7, methodOf(server)], [6, server.weight], ...connectionsOf(server))}`,
}

const connectionsOf = ({ activeConnections, inactiveConnections }: RealServerState): [[10, number], [10, number]] =>
  [[10, activeConnections], [10, inactiveConnections]]

const CHECKSUMS: Readonly<Record<string, string>> = { none: '-c', csum: '+c', remcsum: 'r+c' }
/** Of other flags, which no tool sets, ipvsadm reads past its table. */
const checksumOf = (checksum: string | number): string => CHECKSUMS[checksum] ?? '(null)'

function tunnelOf({ forward }: RealServerState): string {
  if (forward === 'tunnel') return 'ipip'
  if (typeof forward !== 'object') return 'n/a'
  const { kind, port = 0, checksum = 'none' } = forward as OtherTunnel
  if (kind === 'ipip') return 'ipip'
  if (kind === 'gue') return `gue:${port}:${checksumOf(checksum)}`.slice(0, 15)
  return kind === 'gre' ? `gre:${checksumOf(checksum)}` : 'n/a'
}

// ── counters ──

function serviceCounters({ rates, ...stats }: Stats, { view, exact }: Format): string {
  const { connections, packetsIn, packetsOut, bytesIn, bytesOut } = view === 'rate' ? rates : stats
  return [connections, packetsIn, packetsOut, bytesIn, bytesOut].map(n => counter(BigInt(n), exact)).join('')
}

/** From how much on a counter is told in thousands, millions and so on. */
const UNITS = [
  [10n ** 14n, 10n ** 12n, 'T'],
  [10n ** 11n, 10n ** 9n, 'G'],
  [10n ** 9n, 10n ** 6n, 'M'],
  [10n ** 8n, 10n ** 3n, 'K'],
] as const

/** A counter, nine columns wide or wider. */
export function counter(n: bigint, exact: boolean): string {
  const unit = exact ? undefined : UNITS.find(([from]) => n >= from)
  if (unit) return `${right(8, n / unit[1])}${unit[2]}`
  return exact ? ` ${right(8, n)}` : right(9, n)
}

// ── what else is listed ──

/** `-L --timeout` */
export const timeoutsRow = ({ tcp, tcpFin, udp }: { tcp: number; tcpFin: number; udp: number }): string =>
  `Timeout (tcp tcpfin udp): ${tcp} ${tcpFin} ${udp}\n`

/** `-L --daemon` */
export const daemonRow = ({ state, link, syncId, maxLength, group, port, ttl }: SyncDaemonState): string =>
  `${state} sync daemon (mcast=${link}, syncid=${syncId}, maxlen=${maxLength}, `
  + `group=${group}, port=${port}, ttl=${ttl})\n`

/** The head of `-L -c`. */
export function connectionsTitle(engines: boolean): string {
  const ends = engines
    ? columns([18, 'destination'], [16, 'pe name'], [0, 'pe_data'])
    : columns([0, 'destination'])
  return `IPVS connection entries\npro expire ${columns([11, 'state'], [18, 'source'], [18, 'virtual'])} ${ends}\n`
}

const LISTED_PROTOCOLS: Readonly<Record<string, string>> = {
  tcp: 'TCP', udp: 'UDP', sctp: 'SCTP', 0: 'IP', 1: 'ICMP', 58: 'ICMPv6',
}

/** A connection or template. A mark stands where the first four bytes of the VIP would. */
export function connectionRow(
  { protocol, client, virtual, server, state, expires, engine }: ConnectionState, engines: boolean, naming: Naming,
): string {
  const two = (n: number): string => String(n).padStart(2, '0')
  const vip = virtual.fwmark === undefined
    ? virtual
    : { address: addressOfMark(virtual.fwmark, client.address.includes(':')), port: 0 }
  const [source, destination, real] = [client, vip, server]
    .map(({ address, port }) => naming(address, port, protocol)) as [string, string, string]
  const cells = [
    [3, LISTED_PROTOCOLS[protocol] ?? `IP_${protocol}`],
    [6, `${two(Math.floor(expires / 60))}:${two(expires % 60)}`],
    [11, state], [18, source], [18, destination],
  ] as const
  const ends = engines && engine
    ? columns(...cells, [16, real], [18, engine.name], [0, engine.data])
    : columns(...cells, [0, real])
  return `${ends}\n`
}

function addressOfMark(mark: number, v6: boolean): string {
  if (!v6) return [24, 16, 8, 0].map(bits => mark >>> bits & 255).join('.')
  return `${(mark >>> 16).toString(16)}:${(mark & 0xffff).toString(16)}::`
}
