/**
 * Takes one of the servers out of service without losing a question,
 * and says when that began and ended.
 *
 *     node drain.js 192.168.52.101
 */

import { VirtualService } from 'ipvs-nl'
import { patience } from '../support/patience.js'
import { service } from './service.js'

const server = process.argv[2]
if (server === undefined) throw new Error('node drain.js SERVER')

await using dns = await VirtualService.open(service)
const begun = Date.now()
await dns.realServer(server).drain({ until: 'active', deadline: patience(10_000) })
console.log(JSON.stringify({ begun, ended: Date.now() }))
