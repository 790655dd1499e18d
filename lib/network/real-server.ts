/** What a real server's network must have, for each way in which a director reaches it. Pure. */

import { familyOf, type Family } from '../base/address.js'
import type { NetworkSpec } from './network.js'
import type { LinkSpec, LinkState } from '../rtnetlink/link/spec.js'
import type { SysctlSetting } from '../sysctl/steps.js'
import { address, integer, interfaceName, oneOf } from '../base/check.js'

/** How the director's packets arrive where it forwards by `tunnel`: the same words as in its `forward`. */
export type RealServerTunnel = {
  /** The tunnel's link. @defaultValue `'tun0'` */
  readonly name?: string
  /** The address that the director has for this server: the tunnel's end here. */
  readonly local: string
  /** The director, where only it may send. @defaultValue any */
  readonly remote?: string
  /** Largest packet in bytes that the link would send. The director's packets come in whatever it is. @defaultValue the kernel's */
  readonly mtu?: number
  /** The link that carries the VIP: the tunnel itself, `lo`, or a dummy, which is made where there is none. @defaultValue the tunnel */
  readonly carrier?: string
} & (
  | { readonly kind: 'ipip'; readonly port?: never; readonly checksum?: never }
  | {
    readonly kind: 'gue'
    /** The UDP port on which to unwrap, 1 to 65535. */
    readonly port: number
    /** Unwrapping takes them all; said for the sake of symmetry. */
    readonly checksum?: 'csum' | 'remcsum'
  }
  | {
    readonly kind: 'gre'
    readonly port?: never
    /** Must be the director's: a link that expects none drops packets that have one, in silence. */
    readonly checksum?: 'csum'
  })

/** How a real server is reached: by `tunnel`, by `route` (LVS-DR) or by `masq` (LVS-NAT). */
export type RealServerPreparation =
  | {
    /** The VIPs that it answers for, all of one family. */
    readonly vip: string | readonly string[]
    readonly tunnel: RealServerTunnel
    readonly route?: never
    readonly masq?: never
  }
  | {
    /** The VIPs that it answers for. */
    readonly vip: string | readonly string[]
    readonly route: {
      /** The link on which the director's packets arrive. */
      readonly interface: string
      /** The link that carries the VIP, where nobody asks for it: `lo`, or a dummy, which is made where there is none. @defaultValue `'lo'` */
      readonly carrier?: string
    }
    readonly tunnel?: never
    readonly masq?: never
  }
  | {
    readonly masq: {
      /** The director's address on this server's network: replies must come back through it. */
      readonly director: string
      /** Which destinations are the clients'. @defaultValue `'default'`, all of them */
      readonly clients?: string
    }
    readonly vip?: never
    readonly tunnel?: never
    readonly route?: never
  }

/** What a tunnel takes of each packet, in bytes: the outer headers. */
const OVERHEAD = { ipip: { inet: 20, inet6: 40 }, gue: { inet: 32, inet6: 52 }, gre: { inet: 24, inet6: 44 } } as const
/** The private option of GUE that says where a checksum was left out. */
const REMCSUM = 8
const GRE_CSUM = 4

const CHECKSUMS = { ipip: [], gue: ['csum', 'remcsum'], gre: ['csum'] } as const

/** How many bytes of each packet a tunnel takes: a path of 1500 carries 1480 by IPIP. */
export const tunnelOverhead = ({ kind, local, checksum }: Pick<RealServerTunnel, 'kind' | 'local' | 'checksum'>): number =>
  OVERHEAD[kind][familyOf(local)] + (kind === 'gre' && checksum ? GRE_CSUM : checksum === 'remcsum' ? REMCSUM : 0)

/** The link that unwraps: which kind takes what the director sends for a VIP of the inner family to a server of the outer one. */
function tunnelLink({ kind, name = 'tun0', local, remote, mtu, checksum }: RealServerTunnel, inner: Family): LinkSpec {
  const common = { name, local, ...remote !== undefined && { remote }, ...mtu !== undefined && { mtu } }
  const outer = familyOf(local)
  if (kind === 'gre') return { ...common, kind: outer === 'inet' ? 'gre' : 'ip6gre', checksum: checksum === 'csum' }
  // A GUE port unwraps UDP and hands on what it finds, which is a packet of IPIP.
  if (outer === 'inet') return inner === 'inet' ? { ...common, kind: 'ipip' } : { ...common, kind: 'sit' }
  return { ...common, kind: 'ip6tnl', mode: 'any' } // the mode of `ip link`, ip6ip6, drops IPv4 in silence
}

const QUIET = 'the VIP is the director\'s to answer ARP for; a server that answers takes its clients away'

/** ARP must not tell of the VIP, neither by answers nor by questions. */
const quiet = (link: string): SysctlSetting[] => [
  { key: ['net', 'ipv4', 'conf', link, 'arp_ignore'], value: 1, why: QUIET },
  { key: ['net', 'ipv4', 'conf', link, 'arp_announce'], value: 2, why: QUIET },
]

const filter = (link: string, value: 0 | 2, why: string): SysctlSetting => ({ key: ['net', 'ipv4', 'conf', link, 'rp_filter'], value, why })

/** Clients' packets come out of a link that is not the way back to them. Of `all` and the link the larger value counts. */
function unfiltered(tunnel: string, addressless: boolean): SysctlSetting[] {
  if (!addressless) return [filter(tunnel, 2, `${DETOUR}; the strict filter (1) drops them, and the larger of all and this counts`)]
  const why = `${tunnel} has no address, so that even the loose filter (2) drops what comes out of it, and the larger of all and this counts`
  return ['all', tunnel].map(link => filter(link, 0, why))
}

const DETOUR = 'clients\' packets come out of a link that is not the way back to them'

/** A VIP alone on its network: as a secondary of a larger one it would go when that goes. */
const vipOn = (vip: string, link: string): { address: string; link: string; nodad?: boolean } =>
  familyOf(vip) === 'inet' ? { address: `${vip}/32`, link } : { address: `${vip}/128`, link, nodad: true }

const dummies = (carrier: string): LinkSpec[] => carrier === 'lo' ? [] : [{ kind: 'dummy', name: carrier }]

/** Where the carrier is there and is no dummy: it is somebody's, and not to be made anew. */
export const occupied = ({ links = [] }: NetworkSpec, actual: readonly LinkState[]): string | undefined =>
  links.find(({ kind, name }) => kind === 'dummy' && actual.some(link => link.name === name && link.kind !== 'dummy'))?.name

/** The VIPs of a preparation, in their correct form. */
export function vipsOf({ vip = [] }: RealServerPreparation): string[] {
  return (typeof vip === 'string' ? [vip] : vip).map((each, i) => address(typeof vip === 'string' ? 'vip' : `vip[${i}]`, each))
}

/** What the host needs. Pure. @throws TypeError, RangeError naming the field */
export function realServerNetwork(spec: RealServerPreparation): NetworkSpec {
  if (typeof spec !== 'object' || (spec as unknown) === null) throw new TypeError('a real server\'s preparation is an object')
  const ways = (['tunnel', 'route', 'masq'] as const).filter(way => spec[way] !== undefined)
  if (ways.length !== 1) throw new TypeError(`a real server is reached by one of tunnel, route and masq, not by ${ways.join(' and ') || 'nothing'}`)
  if (spec.masq) {
    const { director, clients = 'default' } = spec.masq
    return { routes: [{ to: clients, via: address('masq.director', director) }] }
  }
  const vips = vipsOf(spec)
  if (vips.length === 0) throw new RangeError('vip: the list is empty')
  const families = new Set(vips.map(familyOf))
  if (spec.route) {
    const receiving = interfaceName('route.interface', spec.route.interface)
    const carrier = interfaceName('route.carrier', spec.route.carrier ?? 'lo')
    if (carrier === receiving) throw new RangeError(`route.carrier: on ${carrier} itself the VIP is asked for; it goes on lo, or on a dummy`)
    return { links: dummies(carrier), addresses: vips.map(vip => vipOn(vip, carrier)), sysctls: families.has('inet') ? quiet(receiving) : [] }
  }
  const { tunnel } = spec
  const kind = oneOf('tunnel.kind', tunnel.kind, ['ipip', 'gue', 'gre'])
  const { checksum } = tunnel
  if (checksum !== undefined && !CHECKSUMS[kind].some(each => each === checksum)) {
    throw new RangeError(`tunnel.checksum: ${kind} has ${CHECKSUMS[kind].join(' and ') || 'none'}, not ${checksum}`)
  }
  const outer = familyOf(address('tunnel.local', tunnel.local))
  const [inner] = families
  if (families.size > 1) throw new RangeError('vip: a tunnel\'s link is for VIPs of one family; plan the others with another name')
  const link = tunnelLink(tunnel, inner!)
  const carrier = interfaceName('tunnel.carrier', tunnel.carrier ?? link.name)
  const addressless = carrier !== link.name
  return {
    ...kind === 'gue' && { fouPorts: [{ kind: 'gue' as const, port: integer('tunnel.port', tunnel.port, 1, 65535), family: outer }] },
    links: addressless ? [link, ...dummies(carrier)] : [link],
    addresses: vips.map(vip => vipOn(vip, carrier)),
    sysctls: inner === 'inet6' ? [] : [...quiet('all'), ...unfiltered(link.name, addressless)],
  }
}
