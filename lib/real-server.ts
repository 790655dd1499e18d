/** The real server's side: whatever it takes for a host to answer for a VIP that is another's. */

import type { CallOptions } from '../generic-netlink/index.js'
import { familyOf, type Family } from './model.js'
import { planNetwork, type NetworkSpec } from './network.js'
import type { Plan } from './plan.js'
import type { LinkSpec } from './rtnetlink/link-spec.js'
import type { SysctlSetting } from './sysctl.js'
import { address, integer, interfaceName, oneOf } from './validate.js'

/** How the director's packets arrive where it forwards by `tunnel`: the same words as in its `forward`. */
export type RealServerTunnel = {
  /** The tunnel's link. @defaultValue `'tun0'` */
  readonly name?: string
  /** The address that the director has for this server: the tunnel's end here. */
  readonly local: string
  /** The director, where only it may send. @defaultValue any */
  readonly remote?: string
  /** Largest packet in bytes. @defaultValue that of the link below less what the tunnel takes */
  readonly mtu?: number
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
      /** The link that carries the VIP, where nobody asks for it. @defaultValue `'lo'` */
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

/** The link that unwraps: which kind takes what the director sends for a VIP of the inner family to a server of the outer one. */
function tunnelLink({ kind, name = 'tun0', local, remote, mtu, checksum }: RealServerTunnel, inner: Family): LinkSpec {
  const common = { name, local, ...remote !== undefined && { remote }, ...mtu !== undefined && { mtu } }
  const outer = familyOf(local)
  if (kind === 'gre') return { ...common, kind: outer === 'inet' ? 'gre' : 'ip6gre', csum: checksum === 'csum' }
  // A GUE port unwraps UDP and hands on what it finds, which is a packet of IPIP.
  if (outer === 'inet') return inner === 'inet' ? { ...common, kind: 'ipip' } : { ...common, kind: 'sit' }
  return { ...common, kind: 'ip6tnl', mode: 'any' } // the default mode, ip6ip6, drops IPv4 in silence
}

const QUIET = 'the VIP is the director\'s to answer ARP for; a server that answers takes its clients away'

/** ARP must not tell of the VIP, neither by answers nor by questions. */
const quiet = (link: string): SysctlSetting[] => [
  { key: ['net', 'ipv4', 'conf', link, 'arp_ignore'], value: 1, why: QUIET },
  { key: ['net', 'ipv4', 'conf', link, 'arp_announce'], value: 2, why: QUIET },
]

/** What the host needs. Pure. @throws TypeError, RangeError naming the field */
export function realServerNetwork(spec: RealServerPreparation): NetworkSpec {
  if (spec.masq) {
    const { director, clients = 'default' } = spec.masq
    return { routes: [{ to: clients, via: address('masq.director', director) }] }
  }
  const vips = (typeof spec.vip === 'string' ? [spec.vip] : spec.vip).map((vip, i) => address(typeof spec.vip === 'string' ? 'vip' : `vip[${i}]`, vip))
  const families = new Set(vips.map(familyOf))
  if (spec.route) {
    const { interface: receiving, carrier = 'lo' } = spec.route
    interfaceName('route.interface', receiving)
    return {
      addresses: vips.map(vip => vipOn(vip, interfaceName('route.carrier', carrier))),
      sysctls: families.has('inet') ? quiet(receiving) : [],
    }
  }
  const { tunnel } = spec
  oneOf('tunnel.kind', tunnel.kind, ['ipip', 'gue', 'gre'])
  const outer = familyOf(address('tunnel.local', tunnel.local))
  const [inner] = families
  if (inner === undefined || families.size > 1) throw new RangeError('vip: a tunnel\'s link is for VIPs of one family; plan the others with another name')
  const link = tunnelLink(tunnel, inner)
  return {
    ...tunnel.kind === 'gue' && { fouPorts: [{ type: 'gue' as const, port: integer('tunnel.port', tunnel.port, 1, 65535), family: outer }] },
    links: [link],
    addresses: vips.map(vip => vipOn(vip, link.name)),
    sysctls: inner === 'inet6' ? [] : [
      ...quiet('all'),
      ...quiet(link.name),
      {
        key: ['net', 'ipv4', 'conf', link.name, 'rp_filter'], value: 2,
        why: 'clients\' packets come out of a link that is not the way back to them; a strict filter (1) drops them, and the larger of all and this counts',
      },
    ],
  }
}

/** A VIP alone on its network: as a secondary of a larger one it would go when that goes. */
const vipOn = (vip: string, link: string): { address: string; link: string; nodad?: boolean } =>
  familyOf(vip) === 'inet' ? { address: `${vip}/32`, link } : { address: `${vip}/128`, link, nodad: true }

/** How many bytes of each packet a tunnel takes: a path of 1500 carries 1480 by IPIP. */
export const tunnelOverhead = ({ kind, local, checksum }: RealServerTunnel): number =>
  OVERHEAD[kind][familyOf(local)] + (kind === 'gre' && checksum ? 4 : 0)

/** The other side: a host that answers for a VIP. */
export const RealServer = {
  /**
   * What must change for this host to be a real server: the tunnel that unwraps, the VIP, the sysctls that keep it out of ARP
   * and let its packets in; or for `masq` the way back. Empty where all is so. `plan.revert()` makes it as it was.
   *
   * @example
   * ```ts
   * import { RealServer } from 'ipvs-nl'
   *
   * const plan = await RealServer.plan({ vip: '192.168.50.100', tunnel: { kind: 'ipip', name: 'tun0', local: '192.168.52.100' } })
   * console.log(`${plan}`)
   * await plan.apply()
   * ```
   */
  async plan(spec: RealServerPreparation, options?: CallOptions): Promise<Plan> {
    return await planNetwork(realServerNetwork(spec), options)
  },
}
