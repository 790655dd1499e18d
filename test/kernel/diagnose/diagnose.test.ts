/** Working services, each broken in one way: it is the only finding, the client fails by it, and its plan mends it. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { breaking, set, sh, upServices, VIP, web, type Group } from '../../support/breaking.js'
import type { TestHosts } from '../../support/hosts.js'

let hosts: TestHosts

beforeAll(async () => { hosts = await upServices({ name: 'bare', links: { eth0: ['front'] }, untouched: true }) })
afterAll(() => hosts[Symbol.asyncDispose]())

const routed = { link: 'eth0', routes: [{ to: '10.3.0.0/24', link: 'eth1' }] }

const groups: readonly Group[] = [
  {
    name: 'ipip',
    service: { ...web, vip: VIP, forward: 'tunnel', realServers: ['10.3.0.20'], network: routed },
    preparation: { vip: VIP, tunnel: { kind: 'ipip', local: '10.3.0.20' } },
    cases: [
      { problem: 'tunnel-missing', at: 'server', broken: [sh('ip link del tun0')] },
      { problem: 'tunnel-down', at: 'server', broken: [sh('ip link set tun0 down')] },
      { problem: 'tunnel-mode', how: 'from another director', at: 'server', broken: [
        sh('ip link del tun0'), sh('ip link add tun0 type ipip local 10.3.0.20 remote 10.9.9.9'), sh('ip link set tun0 up'), sh(`ip addr add ${VIP}/32 dev tun0`), set('tun0.rp_filter=2'),
      ] },
      { problem: 'tunnel-mode', how: 'of another kind', at: 'server', broken: [sh('ip link del tun0'), sh('ip link add tun0 type dummy'), sh('ip link set tun0 up'), sh(`ip addr add ${VIP}/32 dev tun0`), set('tun0.rp_filter=2')] },
      { problem: 'vip-missing', at: 'server', broken: [sh(`ip addr del ${VIP}/32 dev tun0`)] },
      { problem: 'rp-filter', how: 'of all, strict', at: 'server', broken: [set('all.rp_filter=1', 'tun0.rp_filter=0')] },
      {
        problem: 'arp-leak', at: 'server', broken: [set('all.arp_ignore=0', 'all.arp_announce=0')],
        served: 'the real server that took the VIP serves by itself, and alone',
      },
      { problem: 'no-local-address', at: 'server', broken: [sh('ip addr del 10.3.0.20/24 dev eth1')], byHand: [sh('ip addr add 10.3.0.20/24 dev eth1')] },
      { problem: 'vip-missing', at: 'director', broken: [sh(`ip addr del ${VIP}/32 dev eth0`)] },
      { problem: 'no-route', at: 'director', broken: [sh('ip route del 10.3.0.0/24')] },
      { problem: 'no-route', how: 'unreachable', at: 'director', broken: [sh('ip route replace unreachable 10.3.0.0/24')] },
      { problem: 'service-missing', at: 'director', broken: [sh(`ipvsadm -D -t ${VIP}:80`)] },
      { problem: 'service-differs', at: 'director', broken: [sh(`ipvsadm -d -t ${VIP}:80 -r 10.3.0.20:80`)] },
    ],
  },
  {
    name: 'gre with checksums',
    service: { ...web, vip: VIP, forward: { kind: 'gre', checksum: 'csum' }, realServers: ['10.3.0.20'], network: routed },
    preparation: { vip: VIP, tunnel: { kind: 'gre', checksum: 'csum', local: '10.3.0.20' } },
    cases: [{ problem: 'gre-checksum', at: 'server', broken: [sh('ip link set tun0 type gre nocsum')] }],
  },
  {
    name: 'gue',
    service: { ...web, vip: VIP, forward: { kind: 'gue', port: 6080 }, realServers: ['10.3.0.20'], network: routed },
    preparation: { vip: VIP, tunnel: { kind: 'gue', port: 6080, local: '10.3.0.20' } },
    cases: [
      { problem: 'fou-port-missing', at: 'server', broken: [sh('ip fou del port 6080')] },
      {
        problem: 'module-missing', at: 'server', broken: [sh('ip fou del port 6080'), sh('modprobe -r fou6 fou')],
        byHand: [sh('modprobe -a fou fou6'), sh('ip fou add port 6080 gue')],
      },
    ],
  },
  {
    name: 'IPv4 through IPv6',
    service: { ...web, vip: VIP, forward: 'tunnel', realServers: ['fd02::20'], network: { link: 'eth0' } },
    preparation: { vip: VIP, tunnel: { kind: 'ipip', local: 'fd02::20' } },
    cases: [{ problem: 'tunnel-mode', at: 'server', broken: [sh('ip -6 tunnel change tun0 mode ip6ip6 local fd02::20 remote ::')] }],
  },
  {
    name: 'ipip, the VIP on lo',
    service: { ...web, vip: VIP, forward: 'tunnel', realServers: ['10.3.0.20'], network: routed },
    preparation: { vip: VIP, tunnel: { kind: 'ipip', local: '10.3.0.20', carrier: 'lo' } },
    cases: [
      { problem: 'rp-filter', how: 'of all, loose', at: 'server', broken: [set('all.rp_filter=2')] },
      { problem: 'rp-filter', how: 'of the tunnel, loose', at: 'server', broken: [set('tun0.rp_filter=2')] },
    ],
  },
  {
    name: 'route',
    service: { ...web, vip: VIP, forward: 'route', realServers: ['10.1.0.20'], network: { link: 'eth0' } },
    preparation: { vip: VIP, route: { link: 'eth0', carrier: 'vips' } },
    cases: [
      { problem: 'vip-missing', at: 'server', broken: [sh(`ip addr del ${VIP}/32 dev vips`)] },
      { problem: 'vip-missing', how: 'its link is gone', at: 'server', broken: [sh('ip link del vips')] },
      {
        problem: 'arp-leak', at: 'server', broken: [set('eth0.arp_ignore=0', 'eth0.arp_announce=0')],
        served: 'the real server that took the VIP serves by itself, and alone',
      },
      {
        problem: 'port-mismatch', at: 'director', broken: [sh(`ipvsadm -d -t ${VIP}:80 -r 10.1.0.20:80`), 8080],
        served: 'packets arrive at port 80 all the same, where the server listens',
      },
    ],
  },
  {
    name: 'route of IPv6',
    service: { ...web, vip: 'fd01::100', forward: 'route', realServers: ['fd01::20'], network: { link: 'eth0' } },
    preparation: { vip: 'fd01::100', route: { link: 'eth0', carrier: 'vips' } },
    cases: [{ problem: 'vip-missing', how: 'its link went down', at: 'server', broken: [sh('ip link set vips down')] }],
  },
  {
    name: 'masq',
    service: { ...web, vip: VIP, forward: 'masq', realServers: [{ address: '10.2.0.30', port: 8080 }], network: { link: 'eth0' } },
    preparation: { masq: { director: '10.2.0.1' } },
    server: 'inner',
    cases: [
      { problem: 'no-route', at: 'server', broken: [sh('ip route del default')] },
      { problem: 'no-route', how: 'through another', at: 'server', broken: [sh('ip route replace default via 10.2.0.20')] },
      { problem: 'forwarding-off', at: 'director', broken: [sh('sysctl -qw net.ipv4.ip_forward=0')] },
    ],
  },
  {
    name: 'masq of IPv6',
    service: { ...web, vip: 'fd01::100', forward: 'masq', realServers: [{ address: 'fd02::30', port: 8080 }], network: { link: 'eth0' } },
    preparation: { masq: { director: 'fd02::1' } },
    server: 'inner',
    cases: [{ problem: 'forwarding-off', at: 'director', broken: [sh('sysctl -qw net.ipv6.conf.all.forwarding=0')] }],
  },
  {
    name: 'IPv6 through a narrow way',
    service: { ...web, vip: 'fd01::100', forward: 'tunnel', realServers: ['fd02::20'], network: { link: 'eth0' } },
    preparation: { vip: 'fd01::100', tunnel: { kind: 'ipip', local: 'fd02::20' } },
    bytes: 20_000,
    cases: [
      { problem: 'tunnel-down', at: 'server', broken: [sh('ip link set tun0 down')] },
      { problem: 'mtu', at: 'director', broken: [sh('ip link set eth1 mtu 1300')] },
    ],
  },
  {
    name: 'IPv4 through a narrow way',
    service: { ...web, vip: VIP, forward: 'tunnel', realServers: ['10.2.0.20'], network: { link: 'eth0' } },
    preparation: { vip: VIP, tunnel: { kind: 'ipip', local: '10.2.0.20' } },
    bytes: 20_000,
    cases: [{ problem: 'mtu', at: 'director', broken: [sh('ip route add 10.2.0.20 dev eth1 mtu lock 580')], served: 'Linux lets routers fragment where it is asked for less than 552, and its packets are small' }],
  },
  {
    name: 'IPv6 on one LAN',
    service: { ...web, vip: 'fd01::100', forward: 'tunnel', realServers: ['fd01::20'], network: { link: 'eth0' } },
    preparation: { vip: 'fd01::100', tunnel: { kind: 'ipip', local: 'fd01::20' } },
    cases: [{ problem: 'vip-as-source', at: 'director', broken: [sh('ip addr del fd01::100/128 dev eth0'), sh('ip addr add fd01::100/128 dev eth0')] }],
  },
]

breaking(() => hosts, groups)

describe('another place', () => {
  afterEach(() => hosts.host('bare').call('revert'))

  it('wrong-namespace: a director', async () => {
    const found = await hosts.host('bare').call('diagnoseService', { ...web, vip: VIP, realServers: ['10.1.0.20'], network: { link: 'eth1' } })
    expect(found).toEqual([expect.objectContaining({ problem: 'wrong-namespace', found: 'there is no link eth1 in this network namespace; its links are lo, eth0', plan: '' })])
  })

  it('wrong-namespace: a real server', async () => {
    const tunnelled = await hosts.host('bare').call('diagnose', { vip: VIP, tunnel: { kind: 'ipip', local: '10.3.0.20' } })
    const routed = await hosts.host('bare').call('diagnose', { vip: VIP, route: { link: 'eth1' } })
    expect([...tunnelled, ...routed].map(({ problem, plan }) => [problem, plan])).toEqual([['wrong-namespace', ''], ['wrong-namespace', '']])
  })

  it('no-local-address: a director whose namespace is new', async () => {
    const [client, bare, server] = ['client', 'bare', 'server'].map(name => hosts.host(name)) as [ReturnType<typeof hosts.host>, ReturnType<typeof hosts.host>, ReturnType<typeof hosts.host>]
    const vip = '10.1.0.101'
    const service = { ...web, vip, realServers: ['10.1.0.20'] }
    // It has no address to ask by, nor to be asked from: it knows the server beforehand.
    const [link] = JSON.parse(await server.call('run', sh('ip -j link show dev eth0'))) as [{ address: string }]
    bare.ip('route add 10.1.0.0/24 dev eth0', `neigh add 10.1.0.20 lladdr ${link.address} dev eth0`)
    await server.call('prepare', { vip, route: { link: 'eth0' } })
    try {
      await expect(bare.call('serve', service)).rejects.toThrow(/EINVAL/)
      await bare.call('revert')
      expect(await client.call('exchange', { host: vip, port: 80, timeout: 1500 })).not.toBe('echoed')
      const found = await bare.call('diagnoseService', { ...service, network: { link: 'eth0' } })
      expect(found.map(({ problem }) => problem)).toEqual(['no-local-address'])
      await bare.call('mend')
      client.ip(`neigh flush to ${vip}`) // the question of three seconds ago may still fail a new connection
      expect(await client.call('exchange', { host: vip, port: 80 })).toBe('echoed')
      expect(await bare.call('diagnoseService', { ...service, network: { link: 'eth0' } })).toEqual([])
    } finally {
      await server.call('revert')
    }
  })
})
