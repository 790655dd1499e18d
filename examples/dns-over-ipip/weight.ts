/**
 * Sets the weight of one of the servers, for UDP and TCP; at 0 it gets no new connections.
 *
 *     node weight.js 192.168.52.101 0
 */

import { VirtualService } from 'ipvs-nl'
import { service } from './service.js'

const [server, weight] = process.argv.slice(2)
if (server === undefined || weight === undefined) throw new Error('node weight.js SERVER WEIGHT')

await using dns = await VirtualService.open(service)
await dns.realServer(server).setWeight(Number(weight))
