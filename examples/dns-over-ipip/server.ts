/**
 * A real server: its network, the tunnel that unwraps what the director sends, and the VIP on it.
 *
 *     node server.js 192.168.52.100
 */

import { planNetwork, planRealServer } from 'ipvs-nl'
import { apply } from '../support/print.js'
import { preparation } from './service.js'

const address = process.argv[2]
if (address === undefined) throw new Error('node server.js ADDRESS')

await apply(await planRealServer(preparation(address)))

await apply(await planNetwork({
  addresses: [{ address: `${address}/24`, link: 'eth0' }],
  routes: [{ to: 'default', via: '192.168.52.254' }],
  sysctls: [
    { key: 'net.ipv4.ip_forward', value: 1, why: 'customary; as the VIP is local, 0 works as well' },
    { key: 'net.ipv4.conf.tun0.arp_ignore', value: 1, why: 'customary; that of all counts for it' },
    { key: 'net.ipv4.conf.tun0.arp_announce', value: 2, why: 'customary; that of all counts for it' },
  ],
}))
