/**
 * Says what is wrong with the director, or with a server, and what would mend it.
 *
 *     node diagnose.js
 *     node diagnose.js 192.168.52.100
 */

import { diagnoseRealServer, VirtualService } from 'ipvs-nl'
import { report } from '../support/print.js'
import { preparation, service } from './service.js'

const address = process.argv[2]
if (address === undefined) {
  await using dns = await VirtualService.open(service)
  report(await dns.diagnose())
} else {
  report(await diagnoseRealServer(preparation(address)))
}
