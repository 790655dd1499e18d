/** What is wanted: DNS on one address, by UDP and TCP, from two servers behind IPIP tunnels. */

import type { RealServerSetup, VirtualServiceSpec } from 'ipvs-nl'

export const service: VirtualServiceSpec = {
  vip: '192.168.50.100', port: 53, protocols: ['udp', 'tcp'],
  network: { link: 'eth0', routes: [{ to: '192.168.52.0/24', via: '192.168.51.254' }] },
  scheduler: 'rr', forward: 'tunnel',
  realServers: ['192.168.52.100', '192.168.52.101'],
}

/**
 * Makes a host one of its real servers. With `remote` it takes packets from this director alone;
 * leave it out where there are several.
 */
export const preparation = (address: string): RealServerSetup => ({
  vip: '192.168.50.100',
  tunnel: { kind: 'ipip', name: 'tun0', local: address, remote: '192.168.51.253' },
})
