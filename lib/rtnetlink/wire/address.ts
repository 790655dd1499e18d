/** Messages about addresses: `linux/if_addr.h`, as tables. */

import { attributeSet, bits, ip, string, struct, u8, u32 } from '../../../generic-netlink/core.js'
import { family, scope } from './scalars.js'

/** `struct ifaddrmsg` */
export const ifaddrmsg = struct({ family, prefixlen: u8, flags: u8, scope, index: u32 })

/** `IFA_*` */
export const address = attributeSet('IFA', {
  /** The other end's address where there are two ends, the address itself elsewhere. */
  address:    [1,  ip],
  local:      [2,  ip],
  label:      [3,  string(15)],
  broadcast:  [4,  ip],
  /** Lifetimes in seconds; 4294967295 is for ever. */
  cacheinfo:  [6,  struct({ preferred: u32, valid: u32, created: u32, updated: u32 })],
  flags:      [8,  bits(u32, [
    'secondary', 'nodad', 'optimistic', 'dadfailed', 'homeaddress', 'deprecated', 'tentative', 'permanent',
    'managetempaddr', 'noprefixroute', 'mcautojoin', 'stablePrivacy',
  ])],
  rtPriority: [9,  u32],
  proto:      [11, u8],
})
