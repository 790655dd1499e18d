/** `struct ifinfomsg`: the header of messages about links. */

import { bits, s32, struct, u16, u32 } from '../../../generic-netlink/core.js'
import { family } from './scalars.js'

/** `struct ifinfomsg` */
export const ifinfomsg = struct({
  family,
  type:   u16,
  index:  s32,
  flags:  bits(u32, [
    'up', 'broadcast', 'debug', 'loopback', 'pointopoint', 'notrailers', 'running', 'noarp', 'promisc', 'allmulti',
    'master', 'slave', 'multicast', 'portsel', 'automedia', 'dynamic', 'lowerUp', 'dormant', 'echo',
  ]),
  change: bits(
    u32,
    ['up', 'broadcast', 'debug', 'loopback', 'pointopoint', 'notrailers', 'running', 'noarp', 'promisc', 'allmulti'],
  ),
})
