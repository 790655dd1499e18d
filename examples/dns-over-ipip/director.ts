/** The director: DNS on one address, by UDP and TCP, from two servers behind IPIP tunnels; and the network that this takes. */

import { Director, planNetwork, VirtualService } from 'ipvs-nl'
import { apply } from '../support/print.js'

const realServers = ['192.168.52.100', '192.168.52.101']

// Its addresses, and a link for each tunnel: customary, though IPVS puts the outer header on by itself.
await apply(await planNetwork({
  links: realServers.map((remote, i) => ({ kind: 'ipip', name: `tun${i}`, local: '192.168.51.253', remote })),
  addresses: [
    { address: '192.168.50.253/24', link: 'eth0' },
    { address: '192.168.51.253/24', link: 'eth1' },
    { address: '10.0.0.253/24', link: 'tun0' },
    { address: '10.0.0.253/24', link: 'tun1' },
  ],
  sysctls: [{ key: 'net.ipv4.ip_forward', value: 0, why: 'IPVS takes what is addressed to the VIP; nothing else passes' }],
}))

// The service, the VIP on eth0, and the way to the servers.
await using dns = await VirtualService.open({
  vip: '192.168.50.100', port: 53, protocols: ['udp', 'tcp'],
  network: { interface: 'eth0', routes: [{ to: '192.168.52.0/24', via: '192.168.51.254' }] },
  scheduler: 'rr', forward: 'tunnel',
  realServers,
})
await apply(await dns.plan())

// What the kernel has now, in ipvsadm's notation.
await using director = await Director.open()
process.stdout.write(await director.save({ strict: true }))
