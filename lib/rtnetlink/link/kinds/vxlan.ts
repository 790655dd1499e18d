/** `vxlan`: Ethernet in UDP, of one network, between many ends. */

import type { Infer } from '../../../../generic-netlink/core.js'
import { familyOf } from '../../../base/address.js'
import { checkObject, integer, SpecError } from '../../../base/check.js'
import type { Values } from '../../../base/field.js'
import type { vxlan as wire } from '../../wire/link-info.js'
import { byte, ifTrue, linkBelow, number, orNo, present, specified, type LinkField } from '../fields.js'
import type { EthernetSettings } from '../settings.js'
import { parameters, type Kind } from './kind.js'
import { verifyEnds, verifyFamilies } from './tunnel.js'
import { eitherEnd, id, inUdp, type UdpTunnel } from './udp.js'

/** Parameters of a `vxlan` link: Ethernet in UDP, of the network with this identifier. */
export interface VxlanParameters extends UdpTunnel {
  /** The network identifier (VNI), 1 to 16777215. */
  readonly id?: number
  /** The address of the other end, if there is one. Of the same family as `local`. */
  readonly remote?: string
  /** The multicast group of all ends. Needs `link`. */
  readonly group?: string
  /** The address of this end. @defaultValue as routed */
  readonly local?: string
  /** The link by which outer packets leave. @defaultValue as routed */
  readonly link?: string
  /**
   * The UDP port of both ends. The default is IANA's; that of the kernel and of `ip link` is 8472.
   * @defaultValue 4789
   */
  readonly port?: number
  /** Source ports, chosen by flow. @defaultValue the kernel's local port range, as 0 to 0 */
  readonly portRange?: { readonly low: number; readonly high: number }
  /** Learns the end behind which an address is. @defaultValue true; false for an external link */
  readonly learning?: boolean
  /** Seconds until a learnt address is forgotten; the kernel makes 300 of 0. @defaultValue 300 */
  readonly ageing?: number
  /** The number of addresses that it learns; 0 is no limit. @defaultValue 0 */
  readonly limit?: number
  /** Answers ARP for addresses that it knows. @defaultValue false */
  readonly proxy?: boolean
  /** Route short circuit. @defaultValue false */
  readonly rsc?: boolean
  /** Reports unknown MAC addresses over netlink. @defaultValue false */
  readonly l2miss?: boolean
  /** Reports unknown IP addresses over netlink. @defaultValue false */
  readonly l3miss?: boolean
  /** A UDP checksum over IPv4. @defaultValue true */
  readonly udpChecksum?: boolean
  /** Leaves the UDP checksum out over IPv6. @defaultValue false */
  readonly udp6ZeroChecksumTx?: boolean
  /** Takes packets without a UDP checksum over IPv6. @defaultValue false */
  readonly udp6ZeroChecksumRx?: boolean
  /** Remote checksum offload, sending. @defaultValue false */
  readonly remcsumTx?: boolean
  /** Remote checksum offload, receiving. @defaultValue false */
  readonly remcsumRx?: boolean
  /** Group-based policy. @defaultValue false */
  readonly gbp?: boolean
  /** Generic protocol extension: no Ethernet inside. For external links. @defaultValue false */
  readonly gpe?: boolean
  /** Whether each packet carries its own ends and network. @defaultValue false */
  readonly external?: boolean
}

/**
 * A `vxlan` link: of one network, to one remote, to a group, or to the ends of its forwarding
 * entries; or external.
 */
export type VxlanSpec = EthernetSettings & { readonly kind: 'vxlan' } & VxlanParameters & (
  | { readonly id: number; readonly external?: false; readonly gpe?: false; readonly group?: never }
  | {
    readonly id: number
    readonly external?: false
    readonly gpe?: false
    readonly group: string
    readonly link: string
    readonly remote?: never
  }
  | { readonly id?: never; readonly external: true; readonly group?: never; readonly remote?: never })

type Wire = Infer<typeof wire>

const local: LinkField<Wire> = {
  ...eitherEnd('local', 'local6', 'local', false),
  read: from => specified(from.local ?? from.local6), // a multicast address of another program's making included
}

const RANGE = new Set(['low', 'high'])
const portRange: LinkField<Wire> = {
  otherwise: { low: 0, high: 0 },
  check(path, value) {
    const { low, high } = checkObject(path, value, RANGE)
    const normal = { low: integer(`${path}.low`, low, 0, 65535), high: integer(`${path}.high`, high, 0, 65535) }
    if (normal.low > normal.high) throw new SpecError(`${path}.high`, `${normal.high} is less than ${normal.low}`)
    return normal
  },
  write(to, value) { to.portRange = value as NonNullable<Wire['portRange']> },
  read: ({ portRange: range = { low: 0, high: 0 } }) => range,
  words(value) {
    const { low, high } = value as NonNullable<Wire['portRange']>
    return `srcport ${low} ${high}`
  },
}

/** The parameters that the kernel does not know together with `gpe`. */
const NOT_WITH_GPE = ['gbp', 'learning', 'proxy', 'rsc', 'l2miss', 'l3miss', 'remcsumTx', 'remcsumRx']

function verify(wanted: Values): void {
  const { id: vni, external, remote, group, local: here, link, gpe, label } = wanted
  if (external !== true && vni === undefined) {
    throw new SpecError('id', 'is required (1 to 16777215) unless the VXLAN is external')
  }
  for (const [name, value] of Object.entries({ id: vni, remote, group })) {
    if (external === true && value !== undefined) {
      throw new SpecError(name, 'an external VXLAN has none; each packet carries its own')
    }
  }
  if (remote !== undefined && group !== undefined) {
    throw new SpecError('group', 'a VXLAN has a remote or a group, not both')
  }
  if (group !== undefined && link === undefined) {
    throw new SpecError('link', 'is required with a group, which is joined on it')
  }
  verifyFamilies(here, remote ?? group)
  if (label !== 0 && ![here, remote, group].some(text => text !== undefined && familyOf(text as string) === 'inet6')) {
    throw new SpecError('label', 'only packets through IPv6 have one')
  }
  if (gpe === true) {
    if (external !== true) throw new SpecError('gpe', 'only an external VXLAN can have it')
    const other = NOT_WITH_GPE.find(name => wanted[name] === true)
    if (other !== undefined) throw new SpecError(other, 'the kernel does not know it together with gpe')
  }
  verifyEnds(wanted)
}

/** The parameters that the kernel changes in place. */
const CHANGEABLE = new Set(['remote', 'group', 'local', 'link', 'ttl', 'tos', 'label', 'df', 'learning', 'ageing'])
const families = ({ remote, group, local: here }: Values): string =>
  [remote ?? group, here].map(text => text === undefined ? '' : familyOf(text as string)).join(' ')

function inPlace(wanted: Values, actual: Values, changed: readonly string[]): string | undefined {
  const stuck = changed.filter(name => !CHANGEABLE.has(name))
  if (stuck.length > 0) return `the kernel does not change ${stuck.join(', ')} of a VXLAN`
  if ((wanted.link === undefined) !== (actual.link === undefined)) {
    return 'the kernel does not take the link below away from a VXLAN'
  }
  if (families(wanted) !== families(actual)) {
    return 'the kernel changes an end of a VXLAN only to another of the same family'
  }
  if (changed.includes('ttl') && [wanted.ttl, actual.ttl].includes('inherit')) {
    return 'the kernel does not change whether ttl is inherited'
  }
  return undefined
}

export const vxlan: Kind = {
  fields: parameters<VxlanParameters, typeof wire>()({
    id, remote: eitherEnd('group', 'group6', 'remote', false), group: eitherEnd('group', 'group6', 'group', true),
    local, link: linkBelow,
    port: { ...number('port', 'dstport', 1, 65535, 4789), explicit: true }, portRange,
    ...inUdp,
    // To `ip` it means nolearning as well, to the kernel it does not.
    external: byte('collectMetadata', ifTrue('external'), false),
    learning: byte('learning', orNo('learning'), ({ external }: Values) => external !== true),
    ageing: number('ageing', 'ageing', 1, 0xffffffff, 300), limit: number('limit', 'maxaddress', 0, 0xffffffff, 0),
    proxy: byte('proxy', orNo('proxy'), false), rsc: byte('rsc', orNo('rsc'), false),
    l2miss: byte('l2miss', orNo('l2miss'), false), l3miss: byte('l3miss', orNo('l3miss'), false),
    udpChecksum: byte('udpCsum', orNo('udpcsum'), true),
    udp6ZeroChecksumTx: byte('udpZeroCsum6Tx', orNo('udp6zerocsumtx'), false),
    udp6ZeroChecksumRx: byte('udpZeroCsum6Rx', orNo('udp6zerocsumrx'), false),
    remcsumTx: byte('remcsumTx', orNo('remcsumtx'), false), remcsumRx: byte('remcsumRx', orNo('remcsumrx'), false),
    gbp: present('gbp', 'gbp'), gpe: present('gpe', 'gpe'),
  }, verify),
  module: 'vxlan', ethernet: ({ gpe }) => gpe !== true, changes: 'some', inPlace, removedWithLink: true,
  conflict: (own, other) => own.id === other.id && own.port === other.port ? 'has the same id and port' : undefined,
  alike: ({ id, port }) => [id, port].join(' '),
}
