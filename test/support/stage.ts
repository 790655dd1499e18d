/**
 * A client with many addresses, a director, and three real servers that serve by NAT, tunnels of all types and direct routing:
 *
 *     front 10.1.0.0/16   client .0.1 and .1.1 to .1.40, director .0.253, servers .0.11 to .0.13
 *     back  10.2.0.0/16   director .0.253, servers .0.11 to .0.13, whose replies from there go to the director
 */

import { TestHosts } from './hosts.js'
import { run } from './run.js'

export const VIP = '10.1.0.100'
/** Where the servers answer. */
export const PORT = 8080
/** The addresses of the client, besides its own. */
export const CLIENTS = Array.from({ length: 40 }, (_, i) => `10.1.1.${i + 1}`)
/** The servers, by their addresses in the back. */
export const SERVERS = { '10.2.0.11': 'r1', '10.2.0.12': 'r2', '10.2.0.13': 'r3' } as const

/** Sets all of it up, with the servers answering. */
export async function stage(): Promise<TestHosts> {
  run('modprobe', ['fou'])
  const hosts = await TestHosts.up([
    { name: 'client', links: { eth0: ['front', '10.1.0.1/16', ...CLIENTS.map(address => `${address}/16`)] } },
    { name: 'director', links: { eth0: ['front', '10.1.0.253/16'], eth1: ['back', '10.2.0.253/16'] } },
    ...Object.entries(SERVERS).map(([address, name]) => ({
      name, links: { eth0: ['front', `${address.replace('10.2', '10.1')}/16`] as const, eth1: ['back', `${address}/16`] as const },
      ip: ['rule add from 10.2.0.0/16 lookup 100', 'route add default via 10.2.0.253 table 100'],
    })),
  ])
  try {
    await hosts.host('director').call('direct', {
      spec: {
        network: {
          addresses: [{ address: `${VIP}/32`, link: 'eth0' }],
          sysctls: [{ key: 'net.ipv4.ip_forward', value: 1 }, ...['all', 'eth0', 'eth1'].map(name => ({ key: ['net', 'ipv4', 'conf', name, 'send_redirects'], value: 0 }))],
        },
      },
    })
    await Promise.all(Object.entries(SERVERS).map(async ([address, name]) => {
      const server = hosts.host(name)
      await server.call('prepare', { vip: VIP, tunnel: { kind: 'ipip', name: 'tun0', local: address } })
      await server.call('prepare', { vip: VIP, tunnel: { kind: 'gue', name: 'tun0', local: address, port: 6080 } })
      await server.call('prepare', { vip: VIP, tunnel: { kind: 'gre', name: 'tun1', local: address } })
      await server.call('named', { name, port: PORT })
    }))
    return hosts
  } catch (error) {
    await hosts[Symbol.asyncDispose]()
    throw error
  }
}
