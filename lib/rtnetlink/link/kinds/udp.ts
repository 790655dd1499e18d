/** Parameters that VXLAN and Geneve have in common: tunnels in UDP, through IPv4 or IPv6. */

import { familyOf, isMulticast } from '../../../base/address.js'
import { address, SpecError } from '../../../base/check.js'
import { number, numberOrWord, specified, tos, word, type LinkField } from '../fields.js'
import { LARGEST_LABEL } from './tunnel.js'

/** Ethernet in UDP, of one network. */
export interface UdpTunnel {
  /** The network identifier (VNI). */
  readonly id?: number
  /** The address of the other end. */
  readonly remote?: string
  /**
   * Time to live of outer packets; `auto` is that of other packets of this host (1 to a group).
   * @defaultValue `'auto'`
   */
  readonly ttl?: number | 'auto' | 'inherit'
  /** Type of service of outer packets: 0, 2 to 255, or that of inner ones. @defaultValue 0 */
  readonly tos?: number | 'inherit'
  /** Flow label of outer packets, through IPv6. @defaultValue 0 */
  readonly label?: number
  /** The flag "don't fragment" of outer IPv4 packets. @defaultValue `'unset'` */
  readonly df?: 'unset' | 'set' | 'inherit'
}

/** An end of either family, an attribute for each; with `multicast` a group, otherwise none. */
export const eitherEnd = <K4 extends string, K6 extends string>(
  inet: K4, inet6: K6, name: string, multicast: boolean,
): LinkField<{ [P in K4 | K6]?: string }> => ({
  otherwise: undefined,
  check(path, value) {
    const text = specified(address(path, value))
    if (text !== undefined && isMulticast(text) !== multicast) {
      throw new SpecError(path, `${text} is ${multicast ? 'not a multicast address' : 'a multicast address'}`)
    }
    return text
  },
  write(to, value) {
    if (value !== undefined) to[familyOf(value as string) === 'inet' ? inet : inet6] = value as string
  },
  read(from) {
    const text = specified(from[inet] ?? from[inet6])
    return text !== undefined && isMulticast(text) === multicast ? text : undefined
  },
  words: value => `${name} ${value as string}`,
})

interface TtlWire { ttl?: number; ttlInherit?: boolean }
const ttl: LinkField<TtlWire> = {
  otherwise: 'auto',
  check: (path, value) => numberOrWord(path, value, 1, 255, ['auto', 'inherit']),
  write(to, value) {
    if (value === 'inherit') to.ttlInherit = true
    else to.ttl = value === 'auto' ? 0 : value as number
  },
  read: ({ ttl: hops = 0, ttlInherit = false }) => ttlInherit ? 'inherit' : hops === 0 ? 'auto' : hops,
  words: value => `ttl ${value as string}`,
}

/** The fields that stand on the wire alike. */
export const inUdp = {
  ttl, tos, label: number('label', 'flowlabel', 0, LARGEST_LABEL, 0), df: word('df', ['unset', 'set', 'inherit']),
}

/** The identifier of a network; an external link has none. */
export const id = {
  ...number('id', 'id', 1, 0xffffff), read: ({ id: vni }: { id?: number }) => vni === 0 ? undefined : vni,
}
