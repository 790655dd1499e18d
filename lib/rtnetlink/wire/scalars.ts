/** Values that several messages of rtnetlink have in common. */

import { bytes, enumeration, EncodeError, u8, type Codec } from '../../../generic-netlink/core.js'

/** `AF_*`, as message headers have them. */
export const family = enumeration(u8, { unspec: 0, inet: 2, bridge: 7, inet6: 10 })

/** A link-layer address, of Ethernet or of a tunnel, in colon-separated hexadecimal. */
export const linkLayerAddress: Codec<string> = {
  read: (from, at, length) =>
    Array.from(from.bytes.subarray(at, at + length), byte => byte.toString(16).padStart(2, '0')).join(':'),
  write(to, value) {
    if (!/^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2})*$/.test(value)) {
      throw new EncodeError(`${JSON.stringify(value)} is not a link-layer address`)
    }
    bytes.write(to, Uint8Array.from(value.split(':'), byte => parseInt(byte, 16)), {})
  },
}

/** `RT_SCOPE_*`, of addresses and routes */
export const scope = enumeration(u8, { global: 0, site: 200, link: 253, host: 254, nowhere: 255 })

/** `RTN_*` */
export const routeType = enumeration(u8, {
  unspec: 0, unicast: 1, local: 2, broadcast: 3, anycast: 4, multicast: 5,
  blackhole: 6, unreachable: 7, prohibit: 8, throw: 9,
})
