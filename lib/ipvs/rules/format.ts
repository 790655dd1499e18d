/**
 * Services to ipvsadm's rules.
 *
 * The lossless form is a superset of ipvsadm's: thresholds (`-x`, `-y`) and the netmask of a
 * service without persistence (`-M`), which ipvsadm reads but never prints; marks from 2147483648
 * on unchanged, which ipvsadm prints negative; `--local` for forwarding to the director itself, for
 * which ipvsadm has no option; and `--drain` for a declared drain, which ipvsadm does not know.
 */

import type {
  ActualForwarding, OtherTunnel, RealServerKey, RealServerSettings, SchedulerFlag, Service, ServiceKey, ServiceSettings,
  ServiceState, VirtualServiceSpec,
} from '../model.js'
import { boolean, checkList, optionsOf, SpecError } from '../../base/check.js'
import { serviceFamily, serviceName } from '../names.js'
import { normalize } from '../normalize.js'
import { schedulerBits, schedulerFlagNames, withDrains } from '../schedulers.js'
import { singleClient } from '../service.js'
import { checksumsOf, isTunnelKind, tunnels } from '../tunnels.js'
import { addressInC, sortServices } from './order.js'

const formatOptions = optionsOf<{ readonly strict?: boolean }>({ strict: boolean })

/**
 * Services as text that `ipvsadm -R` and {@link parseRules} read:
 * a line for each service and real server.
 *
 * `strict` prints the output of `ipvsadm -S -n` for a table with these services, byte by byte, with
 * its omissions and errors. Its order depends on the kernel's where addresses or marks are
 * 2147483648 or more apart: it is exact for states in the order of a listing; for specs only the
 * order of real servers is known. Without `strict` every difference between two services shows, and
 * {@link parseRules} reads back the same services.
 *
 * @throws SpecError naming the field of a spec that is not valid
 * @throws SpecError naming the service where a foreign program's value has no option
 */
export function formatRules(
  services: readonly (VirtualServiceSpec | ServiceState | Service)[], options?: { readonly strict?: boolean },
): string {
  checkList('services', services)
  const { strict = false } = formatOptions(options)
  const lines: string[] = []
  for (const service of sortServices(services.flatMap(asListed))) {
    if (!strict) refuse(service, unknownProtocol(service))
    lines.push(`-A ${strict ? strictService(withDrains(service)) : serviceArguments(service)}\n`)
    const key = strict ? strictKey(service) : serviceKeyArguments(service)
    for (const server of service.realServers) {
      refuse(service, (strict ? unprintable : unknownForwarding)(server.forward), server)
      lines.push(`-a ${key} ${strict ? strictServer(server) : losslessServer(server)}\n`)
    }
  }
  return lines.join('')
}

/** The kernel lists real servers newest first. */
const asListed = (service: VirtualServiceSpec | ServiceState | Service): Service[] =>
  'stats' in service ? [service]
    : normalize(service as VirtualServiceSpec).map(s => ({ ...s, realServers: s.realServers.toReversed() }))

function refuse(service: Service, what: string | undefined, server?: RealServerSettings): void {
  if (what === undefined) return
  const to = server ? ` to ${endpoint(server.address, server.port)}` : ''
  throw new SpecError(`${serviceName(service)}${to}`, `ipvsadm has no option for ${what}`)
}

// ── words ──

/** The key of a service: `-t 10.0.0.1:80`, `-f 7 -6`. */
export function serviceKeyArguments(key: ServiceKey): string {
  if (key.fwmark !== undefined) return `-f ${key.fwmark}${key.family === 'inet6' ? ' -6' : ''}`
  const protocol = typeof key.protocol === 'number' ? `--protocol ${key.protocol}` : PROTOCOLS[key.protocol]
  return `${protocol} ${endpoint(key.vip, key.port)}`
}

/** A service without its real servers, as ipvsadm's arguments: `-t 10.0.0.1:80 -s rr -p 60`. */
export const serviceArguments = (service: ServiceKey & ServiceSettings): string =>
  serviceOptions(service, serviceKeyArguments(service), service.netmask, flagNames(service))

/** The key of a real server of a service: `-t 10.0.0.1:80 -r 192.168.9.2:80`. */
export const realServerKeyArguments = (key: ServiceKey, { address, port }: RealServerKey): string =>
  `${serviceKeyArguments(key)} -r ${endpoint(address, port)}`

/** A real server of a service, as ipvsadm's arguments: `-t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1`. */
export const realServerArguments = (key: ServiceKey, server: RealServerSettings): string =>
  `${serviceKeyArguments(key)} ${serverOptions(server)}`

const PROTOCOLS = { tcp: '-t', udp: '-u', sctp: '--sctp-service' }
const METHODS: Readonly<Record<string, string>> = { masq: '-m', route: '-g', local: '--local' }

/** `mask` is that of a service without persistence. */
function serviceOptions(
  service: ServiceKey & ServiceSettings, key: string, mask: string | number | undefined, flags: readonly string[],
): string {
  const { scheduler, schedulerFlags, persistence, onePacket } = service
  const engine = persistence?.engine ?? service.engine
  const own = persistence?.netmask
  const netmask = own === singleClient(serviceFamily(service)) ? undefined : own ?? mask
  return `${key} -s ${scheduler}${persistence ? ` -p ${persistence.timeout}` : ''}`
    + `${netmask === undefined ? '' : ` -M ${netmask}`}${engine === undefined ? '' : ` --pe ${engine}`}`
    + `${onePacket ? ' -o' : ''}${schedulerFlags.length > 0 ? ` -b ${flags.join(',')}` : ''}`
}

/** Each bit by the scheduler's own name, in the order of the bits. */
function flagNames({ scheduler, schedulerFlags }: ServiceSettings): SchedulerFlag[] {
  if (schedulerFlags.length === 0) return []
  const bits = new Set(schedulerFlags.map(flag => schedulerBits[flag]))
  return schedulerFlagNames(scheduler, bit => bits.has(bit))
}

function serverOptions(server: RealServerSettings, weight = server.drain ? 0 : server.weight): string {
  const { address, port, forward, thresholds: { upper, lower } } = server
  const tunnel = tunnelOf(forward)
  const method = tunnel ? '-i' : METHODS[forward as string] ?? `--forward ${forward as string | number}`
  return `-r ${endpoint(address, port)} ${method} -w ${weight}${tunnel ? tunnelOptions(tunnel) : ''}${
    upper !== 0 || lower !== 0 ? ` -x ${upper} -y ${lower}` : ''}`
}

/** With the weight that counts after the drain. */
const losslessServer = (server: RealServerSettings): string =>
  `${serverOptions(server, server.weight)}${server.drain ? ' --drain' : ''}`

/** A tunnel with all its values; the checksum as the kernel's flags. */
interface AnyTunnel { kind: string | number; port: number; flags: number }

function tunnelOf(forward: ActualForwarding): AnyTunnel | undefined {
  if (forward === 'tunnel') return { kind: 'ipip', port: 0, flags: 0 }
  if (typeof forward !== 'object') return undefined
  const { kind, port = 0, checksum = 0 } = forward as OtherTunnel
  return { kind, port, flags: typeof checksum === 'number' ? checksum : FLAGS.indexOf(checksum) }
}

/** ipvsadm's words for the flags that have a name. */
const FLAGS = ['nocsum', 'csum', 'remcsum']
const flagsWord = (flags: number): string => `--tun-${FLAGS[flags]!}`

const tunnelOptions = ({ kind, port, flags }: AnyTunnel): string =>
  ` --tun-type ${kind}${port !== 0 ? ` --tun-port ${port}` : ''}${
    kind === 'ipip' && flags === 0 ? '' : ` ${flags in FLAGS ? flagsWord(flags) : `--tun-flags ${flags}`}`}`

/** `192.168.50.100:53` or `[2001:db8::53]:53`. */
const endpoint = (address: string, port: number): string =>
  address.includes(':') ? `[${addressInC(address)}]:${port}` : `${address}:${port}`

// ── values without an option ──

const unknownProtocol = ({ protocol }: ServiceKey): string | undefined =>
  typeof protocol === 'number' ? `protocol ${protocol}` : undefined

function unknownForwarding(forward: ActualForwarding): string | undefined {
  const tunnel = tunnelOf(forward)
  if (!tunnel) return (forward as string) in METHODS ? undefined : `forwarding ${forward as string | number}`
  const { kind, port, flags } = tunnel
  return !isTunnelKind(kind) ? `tunnel type ${kind}`
    : flags > checksumsOf(kind).length ? `tunnel flags ${flags} of ${kind}`
      : port !== 0 && !tunnels[kind].port ? `port ${port} of ${kind}`
        : undefined
}

// ── the output of `ipvsadm -S -n` ──

/** ipvsadm prints marks as signed numbers. */
const strictKey = (key: ServiceKey): string =>
  key.fwmark !== undefined ? serviceKeyArguments({ ...key, fwmark: key.fwmark | 0 })
    : typeof key.protocol === 'number' ? `--xxx-service ${endpoint(key.vip, key.port)}` : serviceKeyArguments(key)

function strictService(service: ServiceKey & ServiceSettings): string {
  // ipvsadm does not print other names for a scheduler that has names of its own.
  const hasOwn = service.scheduler === 'sh' || service.scheduler === 'mh'
  const flags = flagNames(service).filter(flag => !hasOwn || !flag.startsWith('flag-'))
  return serviceOptions(service, strictKey(service), undefined, flags)
}

function strictServer({ address, port, forward, weight, drain }: RealServerSettings): string {
  const tunnel = tunnelOf(forward)
  const method = tunnel ? '-i'
    : forward === 'masq' ? '-m' : forward === 'route' || forward === 'local' ? '-g' : '(null)'
  return `-r ${endpoint(address, port)} ${method} -w ${drain ? 0 : weight}${tunnel ? strictTunnel(tunnel) : ''}`
}

function strictTunnel({ kind, port, flags }: AnyTunnel): string {
  if (!isTunnelKind(kind)) return ''
  const checksum = checksumsOf(kind).length > 0 ? ` ${flagsWord(flags)}` : ''
  return ` --tun-type ${kind}${tunnels[kind].port ? ` --tun-port ${port}` : ''}${checksum}`
}

/** For these flags ipvsadm reads past the end of a table, and prints garbage or crashes. */
function unprintable(forward: ActualForwarding): string | undefined {
  const tunnel = tunnelOf(forward)
  if (!tunnel || !isTunnelKind(tunnel.kind) || checksumsOf(tunnel.kind).length === 0) return undefined
  return tunnel.flags > 2 ? `tunnel flags ${tunnel.flags}` : undefined
}
