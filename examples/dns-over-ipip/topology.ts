/**
 * The stage: five hosts on three LANs.
 * Director and servers have only cables; ipvs-nl does the rest.
 */

import type { HostSpec } from '../support/hosts.js'
import { TAP } from '../support/nlmon.js'

/** What all this is for: the one address of the DNS service. */
export const vip = '192.168.50.100'

/** The hosts that answer. */
export const servers = ['192.168.52.100', '192.168.52.101'] as const

export const hosts: readonly HostSpec[] = [
  {
    name:  'client',
    links: { eth0: ['lan50', '192.168.50.10/24'] },
    ip:    ['route add default via 192.168.50.254'],
  },
  {
    name:  'director',
    links: { eth0: ['lan50'], eth1: ['lan51'] },
    ip:    TAP, // a witness of what ipvs-nl sends
  },
  {
    name:   'router',
    links: {
      eth0: ['lan50', '192.168.50.254/24'],
      eth1: ['lan51', '192.168.51.254/24'],
      eth2: ['lan52', '192.168.52.254/24'],
    },
    // Responses come in on eth2 with the VIP as their source, which lives behind eth0:
    // a strict filter would drop them.
    sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.all.rp_filter': 2 },
  },
  { name: 'server1', links: { eth0: ['lan52'] } },
  { name: 'server2', links: { eth0: ['lan52'] } },
]
