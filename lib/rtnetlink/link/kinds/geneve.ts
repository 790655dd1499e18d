/** `geneve`: Ethernet in UDP, of one network, to one other end. */

import type { Infer } from '../../../../generic-netlink/core.js'
import { SpecError } from '../../../base/check.js'
import { familyOf } from '../../../base/address.js'
import type { Values } from '../../../base/field.js'
import type { geneve as wire } from '../../wire/link-info.js'
import { byte, number, orNo, present, type LinkField } from '../fields.js'
import type { EthernetSettings } from '../settings.js'
import { parameters, type Kind } from './kind.js'
import { externalStays, unlessExternal } from './tunnel.js'
import { eitherEnd, id, inUdp, type UdpTunnel } from './udp.js'

/** Parameters of a `geneve` link: Ethernet in UDP, of the network with this identifier. */
export interface GeneveParameters extends UdpTunnel {
  /** The network identifier (VNI), 1 to 16777215. */
  readonly id?: number
  /** The address of the other end. */
  readonly remote?: string
  /** The UDP port of both ends. @defaultValue 6081 */
  readonly port?: number
  /** A UDP checksum over IPv4. @defaultValue false */
  readonly udpChecksum?: boolean
  /** Leaves out the UDP checksum over IPv6. @defaultValue false; true of the kernel and `ip` */
  readonly udp6ZeroChecksumTx?: boolean
  /** Whether each packet carries its own ends and network. @defaultValue false */
  readonly external?: boolean
  /** Whether it carries the inner protocol as it is, without Ethernet. @defaultValue false */
  readonly innerProtoInherit?: boolean
}

/** A `geneve` link: of one network and to one remote; or external. */
export type GeneveSpec = EthernetSettings & { readonly kind: 'geneve' } & GeneveParameters & (
  | { readonly id: number; readonly remote: string; readonly external?: false }
  | { readonly id?: never; readonly remote?: never; readonly external: true })

type Wire = Infer<typeof wire>

const overIPv6 = ({ remote }: Values): boolean => remote !== undefined && familyOf(remote as string) === 'inet6'

/** The kernel has one flag for both families, reported by the attribute of the remote's family. */
const udpChecksum: LinkField<Wire> = {
  ...byte('udpCsum', orNo('udpcsum'), false),
  absent: link => link.external === true || overIPv6(link) ? 'only a link to an IPv4 remote has one' : undefined,
}
/** Without either attribute the kernel sends none over IPv6; it takes packets without any. */
const udp6ZeroChecksumTx: LinkField<Wire> = {
  ...byte('udpZeroCsum6Tx', value => value === true ? 'udp6zerocsumtx' : 'udpcsum', false),
  explicit: true,
  write(to, value) {
    to.udpZeroCsum6Tx = Number(value)
    if (value === false) to.udpCsum = 1
  },
  absent: link => overIPv6(link) ? undefined : 'only a link to an IPv6 remote has one',
}

function verify({ id: vni, remote, external, label }: Values): void {
  for (const [name, value] of Object.entries({ id: vni, remote })) {
    if (external === true && value !== undefined) {
      throw new SpecError(name, 'an external Geneve link has none; each packet carries its own')
    }
    if (external !== true && value === undefined) {
      throw new SpecError(name, 'is required unless the Geneve link is external')
    }
  }
  if (label !== undefined && label !== 0 && !overIPv6({ remote })) {
    throw new SpecError('label', 'only packets through IPv6 have one')
  }
}

/** The parameters that the kernel changes in place. */
const CHANGEABLE = new Set(['remote', 'ttl', 'tos', 'label', 'df'])

function inPlace(wanted: Values, actual: Values, changed: readonly string[]): string | undefined {
  if (overIPv6(wanted) !== overIPv6(actual)) return 'the kernel changes the remote only to another of the same family'
  const stuck = changed.filter(name => !CHANGEABLE.has(name))
  if (stuck.length > 0) return `the kernel does not change ${stuck.join(', ')} of a Geneve link`
  return externalStays(wanted, actual, changed)
}

/** Why the kernel refuses one link because of another: an external one has its UDP port alone. */
function conflict(own: Values, other: Values): string | undefined {
  if (own.port !== other.port) return undefined
  if (own.external === true || other.external === true) {
    return 'has the same port, which an external Geneve link has alone'
  }
  return own.id === other.id && own.remote === other.remote ? 'has the same id, remote and port' : undefined
}

export const geneve: Kind = {
  fields: parameters<GeneveParameters, typeof wire>()({
    id, remote: eitherEnd('remote', 'remote6', 'remote', false),
    port: number('port', 'dstport', 1, 65535, 6081),
    ...unlessExternal(inUdp), udpChecksum, udp6ZeroChecksumTx,
    external: present('collectMetadata', 'external'),
    innerProtoInherit: present('innerProtoInherit', 'innerprotoinherit'),
  }, verify),
  module: 'geneve', ethernet: ({ innerProtoInherit }) => innerProtoInherit !== true, changes: 'some', inPlace, conflict,
  alike: ({ port }) => String(port),
}
