/** The table that everybody programs and lists: 1,000 services × 20 destinations, or BENCH_SERVICES. floor.c has the same. */

import type { Command } from '../../generic-netlink/index.js'
import type { ipvs } from '../../generic-netlink/index.js'

export const SERVICES = Number(process.env.BENCH_SERVICES ?? 1000)
export const DESTINATIONS = 20

export type Forwarding = 'masq' | 'tunnel'

/** Text in one piece, as it comes out of a file; V8 puts the pieces of a template together at their first use. */
const text = (n: readonly number[]): string => Buffer.from(n.join('.')).toString('latin1')

export const vip = (i: number): string => text([10, 0, i >> 8, i & 255])
export function rip(i: number, j: number): string {
  const n = i * DESTINATIONS + j
  return text([192, 168 + (n >> 16), n >> 8 & 255, n & 255])
}

/** As commands of the family. */
export function commands(port: number, fwdMethod: Forwarding): Command<typeof ipvs.commands>[] {
  return Array.from({ length: SERVICES }, (_, i): Command<typeof ipvs.commands>[] => {
    const service = { af: 'inet', protocol: 'udp', addr: vip(i), port } as const
    return [
      ['newService', { service: { ...service, schedName: 'rr', flags: { flags: {}, mask: {} }, timeout: 0, netmask: '255.255.255.255' } }],
      ...Array.from({ length: DESTINATIONS }, (_, j): Command<typeof ipvs.commands> => ['newDest', {
        service,
        dest: { addr: rip(i, j), port: 1000, fwdMethod, weight: 1, uThresh: 0, lThresh: 0, addrFamily: 'inet', tunType: 'ipip', tunPort: 0, tunFlags: {} },
      }]),
    ]
  }).flat()
}

/** As ipvsadm's rules. */
export function rules(port: number, fwdMethod: Forwarding, services = SERVICES): string {
  const how = fwdMethod === 'masq' ? '-m' : '-i'
  return Array.from({ length: services }, (_, i) => {
    const service = `-u ${vip(i)}:${port}`
    return [`-A ${service} -s rr`, ...Array.from({ length: DESTINATIONS }, (_, j) => `-a ${service} -r ${rip(i, j)}:1000 ${how} -w 1`), ''].join('\n')
  }).join('')
}
