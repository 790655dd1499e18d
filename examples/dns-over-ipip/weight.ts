/**
 * Sets the weight of one of the servers, for UDP and TCP; at 0 it gets no new connections.
 *
 *     node weight.js 192.168.52.101 0
 */

import { VirtualService } from 'ipvs-nl'

const [server, weight] = process.argv.slice(2)
if (server === undefined || weight === undefined) throw new Error('node weight.js SERVER WEIGHT')

await using dns = await VirtualService.open({ vip: '192.168.50.100', port: 53, protocols: ['udp', 'tcp'], realServers: [server] })
await dns.realServer(server).setWeight(Number(weight))
