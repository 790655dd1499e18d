/** The whole of the load balancer: DNS on one address, by UDP and TCP, from two servers behind IPIP tunnels. */

import { Director, VirtualService } from 'ipvs-nl'

await using dns = await VirtualService.open({
  vip: '192.168.50.100', port: 53, protocols: ['udp', 'tcp'],
  scheduler: 'rr', forward: 'tunnel',
  realServers: ['192.168.52.100', '192.168.52.101'],
})
await dns.apply() // makes it so; again changes nothing

// What the kernel has now, in ipvsadm's notation.
await using director = await Director.open()
process.stdout.write(await director.save({ strict: true }))
