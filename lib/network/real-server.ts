/** The network of a real server, for each way in which a director forwards to it. Pure. */

import { familyOf, type Family } from '../base/address.js'
import {
  address, atPath, checkList, checkObject, integer, interfaceName, oneOf, SpecError, within,
} from '../base/check.js'
import { parsePrefix } from '../base/prefix.js'
import type { Protocol } from '../ipvs/model.js'
import { checkTunnel, tunnels, type Tunnel } from '../ipvs/tunnels.js'
import type { LinkSpec, LinkState } from '../rtnetlink/link/spec.js'
import type { SysctlSetting } from '../sysctl/steps.js'
import type { NetworkSpec } from './network.js'

/** The tunnel in which the director's packets arrive, in the words of the director's `forward`. */
export type RealServerTunnel = Tunnel & {
  /** The tunnel's link. @defaultValue `'tun0'` */
  readonly name?: string
  /** The real server's address for the director: the tunnel's end on this host. */
  readonly local: string
  /** The director, as the only sender. @defaultValue any sender */
  readonly remote?: string
  /** Largest packet in bytes that the link sends; any size arrives. @defaultValue the kernel's */
  readonly mtu?: number
  /**
   * The link that carries the VIP: the tunnel itself, `lo`, or a dummy, added where there is none.
   * @defaultValue the tunnel
   */
  readonly carrier?: string
}

/** What serves the clients. Diagnoses look at it; plans need none of it. */
export interface RealServerUse {
  /** The port of the service; with `masq` the real server's own. @defaultValue not looked at */
  readonly port?: number
  /** The protocols of the service. @defaultValue either of TCP and UDP is enough */
  readonly protocols?: readonly Protocol[]
}

/** The real server's side of a service, by `tunnel`, `route` (LVS-DR) or `masq` (LVS-NAT). */
export type RealServerSetup = RealServerUse & (
  | {
    /** The VIPs of the services; with `tunnel` all of one family. */
    readonly vip: string | readonly string[]
    /**
     * The network of the clients: diagnoses look at the way back to it.
     * @defaultValue anywhere, by the default route; without one, the VIP's network
     */
    readonly clients?: string
    readonly masq?: never
  } & (
    | { readonly tunnel: RealServerTunnel; readonly route?: never }
    | {
      readonly route: {
        /** The link on which the director's packets arrive. */
        readonly link: string
        /**
         * The link that carries the VIP, without ARP: `lo`, or a dummy, added where there is none.
         * @defaultValue `'lo'`
         */
        readonly carrier?: string
      }
      readonly tunnel?: never
    }
  )
  | {
    readonly masq: {
      /** The director's address in the real server's network: replies must pass through it. */
      readonly director: string
      /** The network of the clients. @defaultValue `'default'`, all destinations */
      readonly clients?: string
    }
    readonly vip?: never
    readonly clients?: never
    readonly tunnel?: never
    readonly route?: never
  }
)

/** The link that unwraps packets for a VIP of the inner family. */
function tunnelLink(
  { kind, name = 'tun0', local, remote, mtu, checksum }: RealServerTunnel, inner: Family,
): LinkSpec {
  return {
    name, local, ...remote !== undefined && { remote }, ...mtu !== undefined && { mtu },
    ...tunnels[kind].unwrap(familyOf(local), inner, checksum),
  }
}

const QUIET = 'only the director may answer ARP for the VIP; a real server that answers takes its clients away'

/** No ARP answer and no ARP question may name the VIP. */
export const quiet = (link: string): SysctlSetting[] => [
  { key: ['net', 'ipv4', 'conf', link, 'arp_ignore'], value: 1, why: QUIET },
  { key: ['net', 'ipv4', 'conf', link, 'arp_announce'], value: 2, why: QUIET },
]

const filter = (link: string, value: 0 | 2, why: string): SysctlSetting =>
  ({ key: ['net', 'ipv4', 'conf', link, 'rp_filter'], value, why })

/** The larger value of `all` and the link counts. */
function unfiltered(tunnel: string, addressless: boolean): SysctlSetting[] {
  const why = addressless
    ? `${tunnel} has no address, so that even the loose filter (2) drops its packets`
    : 'clients\' packets arrive on a link that is not the route back to the clients; the strict filter (1) drops them'
  return (addressless ? ['all', tunnel] : [tunnel])
    .map(link => filter(link, addressless ? 0 : 2, `${why}, and the larger of all and this counts`))
}

/** A VIP as its network's only address: a larger network's secondary goes with the first one. */
const vipOn = (vip: string, link: string): { address: string; link: string; nodad?: boolean } =>
  familyOf(vip) === 'inet' ? { address: `${vip}/32`, link } : { address: `${vip}/128`, link, nodad: true }

const dummies = (carrier: string): LinkSpec[] => carrier === 'lo' ? [] : [{ kind: 'dummy', name: carrier }]

/** The carrier that exists and is no dummy: another program's link, which must not be replaced. */
export const occupied = ({ links = [] }: NetworkSpec, actual: readonly LinkState[]): string | undefined =>
  links.find(({ kind, name }) => kind === 'dummy' && actual.some(l => l.name === name && l.kind !== 'dummy'))?.name

/** The VIPs of a real server, in their correct form. */
export function vipsOf({ vip = [] }: RealServerSetup): string[] {
  if (typeof vip === 'string') return [address('vip', vip)]
  return checkList('vip', vip).map((each, i) => address(atPath('vip', i), each))
}

/** The check of what only diagnoses look at. @throws SpecError naming the field */
function checkUse({ port, protocols, clients }: RealServerSetup): void {
  if (port !== undefined) integer('port', port, 1, 65535)
  if (clients !== undefined && clients !== 'default') parsePrefix('clients', clients)
  if (protocols === undefined) return
  checkList('protocols', protocols).forEach((each, i) => oneOf(atPath('protocols', i), each, ['tcp', 'udp', 'sctp']))
}

const SETUP = new Set(['vip', 'port', 'protocols', 'clients', 'tunnel', 'route', 'masq'])
const TUNNEL = new Set(['kind', 'port', 'checksum', 'name', 'local', 'remote', 'mtu', 'carrier'])
const ROUTE = new Set(['link', 'carrier'])
const MASQ = new Set(['director', 'clients'])

/** The network that the real server needs. Pure. @throws SpecError naming the field */
export function realServerNetwork(spec: RealServerSetup): NetworkSpec {
  checkObject('spec', spec, SETUP)
  if (spec.tunnel !== undefined) checkObject('tunnel', spec.tunnel, TUNNEL)
  if (spec.route !== undefined) checkObject('route', spec.route, ROUTE)
  if (spec.masq !== undefined) checkObject('masq', spec.masq, MASQ)
  checkUse(spec)
  const ways = (['tunnel', 'route', 'masq'] as const).filter(way => spec[way] !== undefined)
  if (ways.length !== 1) {
    throw new SpecError('spec', `set one of tunnel, route and masq, not ${ways.join(' and ') || 'none'}`)
  }
  if (spec.masq) {
    const { director, clients = 'default' } = spec.masq
    if (clients !== 'default') parsePrefix('masq.clients', clients)
    return { routes: [{ to: clients, via: address('masq.director', director) }] }
  }
  const vips = vipsOf(spec)
  if (vips.length === 0) throw new SpecError('vip', 'the list is empty')
  const families = new Set(vips.map(familyOf))
  if (spec.route) {
    const receiving = interfaceName('route.link', spec.route.link)
    const carrier = interfaceName('route.carrier', spec.route.carrier ?? 'lo')
    if (carrier === receiving) {
      throw new SpecError('route.carrier', `${carrier} answers ARP for its addresses; use lo or a dummy`)
    }
    return {
      links: dummies(carrier),
      addresses: vips.map(vip => vipOn(vip, carrier)),
      sysctls: families.has('inet') ? quiet(receiving) : [],
    }
  }
  const { tunnel } = spec
  const { kind, port } = within('tunnel', () => checkTunnel(tunnel))
  const outer = familyOf(address('tunnel.local', tunnel.local))
  const [inner] = families
  if (families.size > 1) {
    throw new SpecError(
      'vip', 'a tunnel\'s link unwraps packets for VIPs of one family; plan the other family with another name')
  }
  const link = tunnelLink(tunnel, inner!)
  const carrier = interfaceName('tunnel.carrier', tunnel.carrier ?? link.name)
  const addressless = carrier !== link.name
  return {
    ...tunnels[kind].port && { fouPorts: [{ kind: 'gue' as const, port: port!, family: outer }] },
    links: addressless ? [link, ...dummies(carrier)] : [link],
    addresses: vips.map(vip => vipOn(vip, carrier)),
    sysctls: inner === 'inet6' ? [] : [...quiet('all'), ...unfiltered(link.name, addressless)],
  }
}
