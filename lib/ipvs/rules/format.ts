/**
 * Services to ipvsadm's rules.
 *
 * The lossless form is a superset of what ipvsadm reads: thresholds (`-x`, `-y`) and the netmask of a service without
 * persistence (`-M`), which ipvsadm reads but never prints; marks from 2147483648 on as they are, which it prints
 * negative; and `--local` for forwarding to the director itself, for which it has no option at all.
 */

import { parseIPv4, parseIPv6 } from '../../../generic-netlink/index.js'
import {
  schedulerBits, schedulerFlagName, serviceFamily, serviceName, singleClient,
  type ActualForwarding, type RealServerSettings, type SchedulerFlag, type Service, type ServiceKey, type ServiceSettings, type ServiceState,
  type VirtualServiceSpec,
} from '../model.js'
import { normalize } from '../normalize.js'

/**
 * Services as text that `ipvsadm -R` and {@link parseRules} read: a line for each service and real server.
 *
 * `strict` gives what `ipvsadm -S -n` prints for a table with these services, byte by byte, with all that it leaves out
 * or gets wrong. Its order depends on the kernel's own where addresses or marks lie 2147483648 or more apart: give
 * states in the order listed, and it is exact; of specs, only the order of real servers can be known.
 * Without it every difference between two services shows, and {@link parseRules} reads back the same services.
 *
 * @throws TypeError, RangeError naming the field of a spec that is not valid
 * @throws RangeError naming the service for what a foreign program set and no rule can say
 */
export function formatRules(services: readonly (VirtualServiceSpec | ServiceState | Service)[], { strict = false }: { strict?: boolean } = {}): string {
  const lines: string[] = []
  for (const service of sortServices(services.flatMap(asListed))) {
    if (!strict) refuse(service, unknownProtocol(service))
    lines.push(`-A ${strict ? strictService(service) : serviceArguments(service)}\n`)
    const key = strict ? strictKey(service) : serviceKeyArguments(service)
    for (const server of service.realServers) {
      refuse(service, (strict ? unprintable : unknownForwarding)(server.forward), server)
      lines.push(`-a ${key} ${strict ? strictServer(server) : serverOptions(server)}\n`)
    }
  }
  return lines.join('')
}

/** Services, and the real servers of each, in the order in which ipvsadm lists them; of states in the order listed it is exact. */
export const sortServices = <S extends Service>(services: readonly S[]): S[] =>
  sort(services, serviceOrder, compareServices).map(service => ({ ...service, realServers: sort(service.realServers, serverOrder, compareServers) }))

/** The kernel lists real servers newest first. */
const asListed = (service: VirtualServiceSpec | ServiceState | Service): Service[] =>
  'stats' in service ? [service] : normalize(service as VirtualServiceSpec).map(s => ({ ...s, realServers: s.realServers.toReversed() }))

function refuse(service: Service, what: string | undefined, server?: RealServerSettings): void {
  if (what === undefined) return
  throw new RangeError(`${serviceName(service)}${server ? ` to ${endpoint(server.address, server.port)}` : ''}: no rule can say ${what}`)
}

// ── words ──

/** What names a service: `-t 10.0.0.1:80`, `-f 7 -6`. */
export function serviceKeyArguments(key: ServiceKey): string {
  if (key.fwmark !== undefined) return `-f ${key.fwmark}${key.family === 'inet6' ? ' -6' : ''}`
  return `${typeof key.protocol === 'number' ? `--protocol ${key.protocol}` : PROTOCOLS[key.protocol].option} ${endpoint(key.vip, key.port)}`
}

/** A service without its real servers, as ipvsadm's arguments: `-t 10.0.0.1:80 -s rr -p 60`. */
export function serviceArguments(service: ServiceKey & ServiceSettings): string {
  const { persistence, engine, netmask, onePacket } = service
  const flags = flagNames(service)
  return `${serviceKeyArguments(service)} -s ${service.scheduler}${
    persistence ? persistenceOptions(persistence, serviceFamily(service)) : netmask === undefined ? '' : ` -M ${netmask}`}${
    engineOption(persistence?.engine ?? engine)}${onePacket ? ' -o' : ''}${flags.length > 0 ? ` -b ${flags.join(',')}` : ''}`
}

/** What names a real server of a service: `-t 10.0.0.1:80 -r 192.168.9.2:80`. */
export const realServerKeyArguments = (key: ServiceKey, { address, port }: Pick<RealServerSettings, 'address' | 'port'>): string =>
  `${serviceKeyArguments(key)} -r ${endpoint(address, port)}`

/** A real server of a service, as ipvsadm's arguments: `-t 10.0.0.1:80 -r 192.168.9.2:80 -m -w 1`. */
export const realServerArguments = (key: ServiceKey, server: RealServerSettings): string => `${serviceKeyArguments(key)} ${serverOptions(server)}`

const PROTOCOLS = {
  tcp:  { option: '-t', number: 6 },
  udp:  { option: '-u', number: 17 },
  sctp: { option: '--sctp-service', number: 132 },
}
const METHODS: Readonly<Record<string, string>> = { masq: '-m', route: '-g', local: '--local' }

const persistenceOptions = ({ timeout, netmask }: NonNullable<ServiceSettings['persistence']>, family: 'inet' | 'inet6'): string =>
  ` -p ${timeout}${netmask === singleClient(family) ? '' : ` -M ${netmask}`}`

const engineOption = (engine: string | undefined): string => engine === undefined ? '' : ` --pe ${engine}`

/** Each bit by the scheduler's own name for it, in the bits' order. */
function flagNames({ scheduler, schedulerFlags }: ServiceSettings): SchedulerFlag[] {
  if (schedulerFlags.length === 0) return []
  const bits = new Set(schedulerFlags.map(flag => schedulerBits[flag]))
  return (['sched1', 'sched2', 'sched3'] as const).filter(bit => bits.has(bit)).map(bit => schedulerFlagName(scheduler, bit))
}

function serverOptions({ address, port, forward, weight, thresholds: { upper, lower } }: RealServerSettings): string {
  const tunnel = tunnelOf(forward)
  const method = tunnel ? '-i' : METHODS[forward as string] ?? `--forward ${forward as string | number}`
  return `-r ${endpoint(address, port)} ${method} -w ${weight}${tunnel ? tunnelOptions(tunnel) : ''}${
    upper !== 0 || lower !== 0 ? ` -x ${upper} -y ${lower}` : ''}`
}

interface AnyTunnel { type: string | number; port: number; flags: number }

function tunnelOf(forward: ActualForwarding): AnyTunnel | undefined {
  if (forward === 'tunnel') return { type: 'ipip', port: 0, flags: 0 }
  if (typeof forward !== 'object') return undefined
  const { tunnel, port = 0, checksum } = forward as { tunnel: string | number; port?: number; checksum?: 'csum' | 'remcsum' | number }
  return { type: tunnel, port, flags: checksum === undefined ? 0 : checksum === 'csum' ? 1 : checksum === 'remcsum' ? 2 : checksum }
}

const CHECKSUMS = ['--tun-nocsum', '--tun-csum', '--tun-remcsum']

const tunnelOptions = ({ type, port, flags }: AnyTunnel): string =>
  ` --tun-type ${type}${port !== 0 ? ` --tun-port ${port}` : ''}${
    type === 'ipip' && flags === 0 ? '' : ` ${CHECKSUMS[flags] ?? `--tun-flags ${flags}`}`}`

/** `192.168.50.100:53` or `[2001:db8::53]:53`. */
const endpoint = (address: string, port: number): string => address.includes(':') ? `[${addressInC(address)}]:${port}` : `${address}:${port}`

/** An address as the C library writes it: it takes `::102:304` for an IPv4 address in IPv6 form. */
export function addressInC(address: string): string {
  if (!address.startsWith('::')) return address
  const bytes = parseIPv6(address)!
  const zeros = bytes.findIndex(byte => byte !== 0)
  const embedded = zeros === 12 || zeros === 13 || (zeros === 10 && bytes[10] === 255 && bytes[11] === 255)
  return embedded ? `::${zeros === 10 ? 'ffff:' : ''}${bytes.subarray(12).join('.')}` : address
}

// ── what cannot be said ──

const unknownProtocol = ({ protocol }: ServiceKey): string | undefined => typeof protocol === 'number' ? `protocol ${protocol}` : undefined

function unknownForwarding(forward: ActualForwarding): string | undefined {
  const tunnel = tunnelOf(forward)
  if (!tunnel) return (forward as string) in METHODS ? undefined : `forwarding ${forward as string | number}`
  const { type, port, flags } = tunnel
  const most = { ipip: 0, gre: 1, gue: 2 }[type]
  return most === undefined ? `tunnel type ${type}`
    : flags > most ? `tunnel flags ${flags} of ${type}`
      : port !== 0 && type !== 'gue' ? `port ${port} of ${type}`
        : undefined
}

// ── what `ipvsadm -S -n` prints ──

/** It prints marks as signed. */
const strictKey = (key: ServiceKey): string =>
  key.fwmark !== undefined ? serviceKeyArguments({ ...key, fwmark: key.fwmark | 0 })
    : typeof key.protocol === 'number' ? `--xxx-service ${endpoint(key.vip, key.port)}` : serviceKeyArguments(key)

function strictService(service: ServiceKey & ServiceSettings): string {
  const { scheduler, schedulerFlags, persistence, engine, onePacket } = service
  // A scheduler with names of its own has no other.
  const flags = flagNames(service).filter(flag => !(scheduler === 'sh' || scheduler === 'mh') || !flag.startsWith('flag-'))
  return `${strictKey(service)} -s ${scheduler}${persistence ? persistenceOptions(persistence, serviceFamily(service)) : ''}${
    engineOption(persistence?.engine ?? engine)}${onePacket ? ' -o' : ''}${schedulerFlags.length > 0 ? ` -b ${flags.join(',')}` : ''}`
}

function strictServer({ address, port, forward, weight }: RealServerSettings): string {
  const tunnel = tunnelOf(forward)
  const method = tunnel ? '-i' : forward === 'masq' ? '-m' : forward === 'route' || forward === 'local' ? '-g' : '(null)'
  return `-r ${endpoint(address, port)} ${method} -w ${weight}${tunnel ? strictTunnel(tunnel) : ''}`
}

const strictTunnel = ({ type, port, flags }: AnyTunnel): string =>
  type === 'ipip' ? ' --tun-type ipip'
    : type === 'gre' ? ` --tun-type gre ${CHECKSUMS[flags]!}`
      : type === 'gue' ? ` --tun-type gue --tun-port ${port} ${CHECKSUMS[flags]!}`
        : ''

/** There it reads past the end of its table, and prints anything or crashes. */
function unprintable(forward: ActualForwarding): string | undefined {
  const tunnel = tunnelOf(forward)
  return tunnel && (tunnel.type === 'gre' || tunnel.type === 'gue') && tunnel.flags > 2 ? `tunnel flags ${tunnel.flags}` : undefined
}

// ── order ──

/** Numbers to compare one after another. */
type Keys = readonly number[]

const serviceOrder = (key: ServiceKey): Keys => key.fwmark !== undefined
  ? [key.fwmark, key.family === 'inet6' ? 10 : 2]
  : [
      0, key.vip.includes(':') ? 10 : 2, typeof key.protocol === 'number' ? key.protocol : PROTOCOLS[key.protocol].number,
      ...addressWords(key.vip), key.port,
    ]

const compareServices = (a: Keys, b: Keys): number => subtract(a, b, 0, a.length)

const serverOrder = ({ address, port }: RealServerSettings): Keys => [...addressWords(address), port, address.includes(':') ? 4 : 1]

/** Looks at as many words of both addresses as the first has: an IPv4 address can equal an IPv6 one that does not equal it. */
const compareServers = (a: Keys, b: Keys): number => subtract(a, b, 0, a[5]!) || subtract(a, b, 4, 5)

/** It subtracts in 32 bits, so that 224.0.0.1 comes before 10.0.0.1. */
function subtract(a: Keys, b: Keys, from: number, to: number): number {
  for (let i = from; i < to; i++) {
    const difference = a[i]! - b[i]! | 0
    if (difference !== 0) return difference
  }
  return 0
}

function addressWords(address: string): [number, number, number, number] {
  if (!address.includes(':')) return [parseIPv4(address), 0, 0, 0]
  const bytes = parseIPv6(address)!
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16)
  return [view.getInt32(0), view.getInt32(4), view.getInt32(8), view.getInt32(12)]
}

/** By merging sorted halves, as the C library does: what a comparison that is no order gives depends on it. */
function sort<T>(items: readonly T[], order: (item: T) => Keys, compare: (a: Keys, b: Keys) => number): T[] {
  const keyed = items.map(item => ({ item, keys: order(item) }))
  const halve = (from: typeof keyed): typeof keyed => {
    if (from.length < 2) return from
    const left = halve(from.slice(0, from.length >> 1)), right = halve(from.slice(from.length >> 1))
    const merged = []
    let l = 0, r = 0
    while (l < left.length && r < right.length) merged.push(compare(left[l]!.keys, right[r]!.keys) <= 0 ? left[l++]! : right[r++]!)
    return merged.concat(left.slice(l), right.slice(r))
  }
  return halve(keyed).map(({ item }) => item)
}
