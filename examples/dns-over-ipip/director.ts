/** The director: the service, and the network that it takes. */

import { Director, planNetwork, VirtualService } from 'ipvs-nl'
import { apply } from '../support/print.js'
import { service } from './service.js'

// Its addresses, and a link for each tunnel: customary, though IPVS itself adds the outer header.
await apply(await planNetwork({
  links: [
    { kind: 'ipip', name: 'tun0', local: '192.168.51.253', remote: '192.168.52.100' },
    { kind: 'ipip', name: 'tun1', local: '192.168.51.253', remote: '192.168.52.101' },
  ],
  addresses: [
    { address: '192.168.50.253/24', link: 'eth0' },
    { address: '192.168.51.253/24', link: 'eth1' },
    { address: '10.0.0.253/24', link: 'tun0' },
    { address: '10.0.0.253/24', link: 'tun1' },
  ],
  sysctls: [{
    key: 'net.ipv4.ip_forward', value: 0, why: 'IPVS takes what is addressed to the VIP; nothing else passes',
  }],
}))

// The service, the VIP on eth0, and the way to the servers.
await using dns = await VirtualService.open(service)
await apply(await dns.plan())

// What the kernel has now, in ipvsadm's notation.
await using director = await Director.open()
process.stdout.write(await director.save({ strict: true }))
