/** Addresses that IPVS can balance to and from. */

import { parseIPv4 } from '../../generic-netlink/core.js'
import { SpecError } from '../base/check.js'
import { isMulticast } from '../base/address.js'

/** The reason that an address cannot be an end of a connection through a director, if any. */
function unusable(text: string, ipv4: number): string | undefined {
  if (ipv4 >= 0) {
    return ipv4 === 0 ? 'the unspecified address'
      : ipv4 === 0xffffffff ? 'the broadcast address'
        : ipv4 >>> 28 === 14 ? 'a multicast address'
          : ipv4 >>> 24 === 127 ? 'a loopback address' : undefined
  }
  return text === '::' ? 'the unspecified address'
    : text === '::1' ? 'the loopback address'
      : isMulticast(text) ? 'a multicast address'
        : text.startsWith('::ffff:') ? 'an IPv4 address in IPv6 form, which the kernel refuses' : undefined
}

/**
 * Refuses an address that cannot be an end of a connection; `ipv4` is negative for IPv6.
 * @throws SpecError naming the path
 */
export function checkUsable(path: string, text: string, ipv4 = parseIPv4(text)): void {
  const why = unusable(text, ipv4)
  if (why !== undefined) throw new SpecError(path, `${text} is ${why}`)
}
