/** `veth`: a pair of links; packets that enter one leave the other. */

import type { Infer } from '../../../../generic-netlink/core.js'
import { checkObject, integer, interfaceName, SpecError } from '../../../base/check.js'
import { defined } from '../../../base/field.js'
import { ANY_LINK } from '../../link-names.js'
import type { veth as wire } from '../../wire/link-info.js'
import type { LinkField } from '../fields.js'
import { checkMtu, macAddress, type EthernetSettings } from '../settings.js'
import { always, parameters, type Kind } from './kind.js'

/** Parameters of a `veth` link. */
export interface VethParameters {
  /** The other end. When one end is removed, so is the other. */
  readonly peer?: VethPeer
}

/** The other end of a `veth` pair. A spec of its own can have further settings (up, a bridge). */
export interface VethPeer {
  readonly name: string
  /** Largest packet in bytes, when the pair is added. @defaultValue 1500 */
  readonly mtu?: number
  /** The MAC address, when the pair is added. @defaultValue a random one */
  readonly address?: string
  /** A process in whose network namespace it is added. @defaultValue this process */
  readonly netns?: number
}

/** One end of a `veth` pair. */
export type VethSpec = EthernetSettings & { readonly kind: 'veth' } & VethParameters & { readonly peer: VethPeer }

/** A peer in its normal form; one that is added again has its old index. */
interface Peer extends VethPeer { readonly index?: number }

const PEER = new Set(['name', 'mtu', 'address', 'netns'])
const peer: LinkField<Infer<typeof wire>> = {
  check(path, value) {
    const { name, mtu, address, netns } = checkObject(path, value, PEER)
    return {
      name: interfaceName(`${path}.name`, name),
      ...mtu !== undefined && { mtu: checkMtu(`${path}.mtu`, mtu) },
      ...address !== undefined && { address: macAddress(`${path}.address`, address) },
      ...netns !== undefined && { netns: integer(`${path}.netns`, netns, 1, 0x7fffffff) },
    }
  },
  write(to, value) {
    if (value === undefined) return
    const { name, mtu, address, netns, index = 0 } = value as Peer
    to.peer = {
      header: { ...ANY_LINK, index },
      attributes: defined({ ifname: name, mtu, address, netNsPid: netns }),
    }
  },
  read: (_, { nameOf, link }) =>
    link.link === undefined || link.linkNetnsid !== undefined ? undefined : { name: nameOf(link.link) },
  words(value) {
    const { name, mtu, address, netns } = value as Peer
    return ['peer', ...Object.entries(defined({ name, mtu, address, netns })).flat()].join(' ')
  },
  // A peer in another namespace may have any name; the name of a peer here identifies it.
  same: (wanted, actual) =>
    (wanted as Peer).netns !== undefined
      ? actual === undefined
      : (wanted as Peer).name === (actual as Peer | undefined)?.name,
}

export const veth: Kind = {
  fields: parameters<VethParameters, typeof wire>()({ peer }, wanted => {
    if (wanted.peer === undefined) throw new SpecError('peer', 'is required: a pair has two ends')
  }),
  module: 'veth', ethernet: always, changes: 'some', inPlace: () => 'a pair keeps its ends',
  peer: parameters => parameters.peer as Peer | undefined,
  peerOf: name => ({ peer: { name } }),
}
