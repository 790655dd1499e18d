/** How long connections are kept. */

import type { CommandAttributes } from '../../generic-netlink/index.js'
import { integer, checkObject } from '../base/check.js'
import { LONGEST_TIMEOUT } from './normalize.js'

/** How long the kernel keeps a connection that nothing is heard of, in seconds. */
export interface Timeouts {
  /** Of an established TCP connection. */
  tcp: number
  /** Of a TCP connection after a FIN. */
  tcpFin: number
  /** After a UDP datagram. */
  udp: number
}

const FIELDS = new Set(['tcp', 'tcpFin', 'udp'])

/** What `setConfig` takes: 0 keeps what is. @throws TypeError, RangeError naming the field */
export function timeoutAttributes(timeouts: Partial<Timeouts>, path = 'timeouts'): CommandAttributes {
  const given = checkObject(path, timeouts, FIELDS)
  const seconds = (name: keyof Timeouts): number => {
    const { [name]: value = 0 } = given
    return value === 0 ? 0 : integer(name, value, 1, LONGEST_TIMEOUT)
  }
  return { timeoutTcp: seconds('tcp'), timeoutTcpFin: seconds('tcpFin'), timeoutUdp: seconds('udp') }
}

/** What `getConfig` answers. */
export const readTimeouts = ({ timeoutTcp = 0, timeoutTcpFin = 0, timeoutUdp = 0 }: CommandAttributes): Timeouts =>
  ({ tcp: timeoutTcp, tcpFin: timeoutTcpFin, udp: timeoutUdp })
