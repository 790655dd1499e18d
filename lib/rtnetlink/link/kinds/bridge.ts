/** `bridge`: a switch for Ethernet frames. */

import type { bridge as wire } from '../../wire/link-info.js'
import { byte, number, time } from '../fields.js'
import type { EthernetSettings } from '../settings.js'
import { always, parameters, type Kind } from './kind.js'

/** Parameters of a `bridge`. Parameters that are left out stay as they are. */
export interface BridgeParameters {
  /** Spanning tree. The kernel begins without. */
  readonly stp?: boolean
  /** Seconds that a port listens and learns: 2 to 30 with spanning tree. The kernel's own: 15. */
  readonly forwardDelay?: number
  /** Seconds between greetings of spanning tree, 1 to 10. The kernel begins with 2. */
  readonly helloTime?: number
  /** Seconds until spanning tree forgets its root, 6 to 40. The kernel begins with 20. */
  readonly maxAge?: number
  /** Seconds until a learnt address is forgotten. The kernel begins with 300. */
  readonly ageing?: number
  /** The least one is the spanning tree's root, 0 to 65535. The kernel begins with 32768. */
  readonly priority?: number
  /** Whether it keeps VLANs apart. The kernel begins without. */
  readonly vlanFiltering?: boolean
  /** Multicast goes only to ports that ask for it. The kernel begins with it, if built with it. */
  readonly mcastSnooping?: boolean
}

/** A bridge. */
export type BridgeSpec = Omit<EthernetSettings, 'master'> & { readonly kind: 'bridge' } & BridgeParameters

export const bridge: Kind = {
  fields: parameters<BridgeParameters, typeof wire>()({
    stp: byte('stpState', value => `stp_state ${Number(value)}`),
    forwardDelay: time('forwardDelay', 'forward_delay', 30), helloTime: time('helloTime', 'hello_time', 10),
    maxAge: time('maxAge', 'max_age', 40),
    ageing: time('ageingTime', 'ageing_time'),
    priority: number('priority', 'priority', 0, 65535),
    vlanFiltering: byte('vlanFiltering', value => `vlan_filtering ${Number(value)}`),
    mcastSnooping: byte('mcastSnooping', value => `mcast_snooping ${Number(value)}`),
  }),
  module: 'bridge', ethernet: always, changes: 'some',
}
