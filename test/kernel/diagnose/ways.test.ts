/** Links that carry nothing, and ways that lead elsewhere, at either end of a service. */

import { afterAll, beforeAll } from 'vitest'
import { breaking, set, sh, upServices, VIP, web, type Group } from '../../support/breaking.js'
import type { TestHosts } from '../../support/hosts.js'

let hosts: TestHosts

beforeAll(async () => { hosts = await upServices() })
afterAll(() => hosts[Symbol.asyncDispose]())

/** The other end of a host's link. */
const port = (name: string, state: 'up' | 'down'): string[] => sh(`ip -n switch link set ${name} ${state}`)
/** Whether a LAN carries questions for a link-layer address to a host. */
const questions = (name: string, state: 'on' | 'off'): string[] =>
  sh(`ip -n switch link set ${name} type bridge_slave bcast_flood ${state} flood ${state}`)
const routed = { link: 'eth0', routes: [{ to: '10.3.0.0/24', link: 'eth1' }] }
const direct = {
  service: { ...web, vip: VIP, forward: 'route', realServers: ['10.2.0.20'], network: { link: 'eth0' } },
  preparation: { vip: VIP, route: { link: 'eth1' } },
  // The clients' questions arrive on the other link too.
  before: { server: [set('eth0.arp_ignore=1', 'eth0.arp_announce=2')] },
} as const

const groups: readonly Group[] = [
  {
    name: 'IPv6 in IPv6',
    service: { ...web, vip: 'fd01::100', forward: 'tunnel', realServers: ['fd02::20'], network: { link: 'eth0' } },
    preparation: { vip: 'fd01::100', tunnel: { kind: 'ipip', local: 'fd02::20' } },
    cases: [{ problem: 'link-down', how: 'the real servers\', without carrier', at: 'director', broken: [port('director-eth1', 'down')], byHand: [port('director-eth1', 'up')] }],
  },
  {
    name: 'ipip',
    service: { ...web, vip: VIP, forward: 'tunnel', realServers: ['10.3.0.20'], network: routed },
    preparation: { vip: VIP, tunnel: { kind: 'ipip', local: '10.3.0.20' } },
    cases: [
      { problem: 'link-down', how: 'the clients\'', at: 'director', broken: [sh('ip link set eth0 down')] },
      { problem: 'link-down', how: 'the real servers\'', at: 'director', broken: [sh('ip link set eth1 down')] },
      { problem: 'link-down', how: 'the clients\', without carrier', at: 'director', broken: [port('director-eth0', 'down')], byHand: [port('director-eth0', 'up')] },
      { problem: 'link-down', how: 'the real servers\', without carrier', at: 'director', broken: [port('director-eth1', 'down')], byHand: [port('director-eth1', 'up')] },
      { problem: 'link-down', how: 'the director\'s', at: 'server', broken: [sh('ip link set eth1 down')] },
      { problem: 'link-down', how: 'the clients\'', at: 'server', broken: [sh('ip link set eth0 down')] },
      { problem: 'link-down', how: 'the director\'s, without carrier', at: 'server', broken: [port('server-eth1', 'down')], byHand: [port('server-eth1', 'up')] },
      {
        problem: 'neighbour-failed', at: 'director',
        broken: [questions('server-eth1', 'off'), sh('sysctl -qw net.ipv4.neigh.eth1.retrans_time_ms=50'), sh('ip neigh flush dev eth1')],
        byHand: [questions('server-eth1', 'on')],
      },
      { problem: 'arp-leak', how: 'the VIP on a LAN too', at: 'server', broken: [sh(`ip addr add ${VIP}/32 dev eth0`), sh('ip -n client neigh flush all')], served: 'the real server or the director answers, whoever is first' },
      {
        problem: 'tunnel-mode', how: 'from another director, far away', at: 'server', broken: [
          sh('ip route add 10.9.9.0/24 via 10.2.0.30'), sh('ip link del tun0'), sh('ip link add tun0 type ipip local 10.3.0.20 remote 10.9.9.9'),
          sh('ip link set tun0 up'), sh(`ip addr add ${VIP}/32 dev tun0`), set('tun0.rp_filter=2'),
        ], byHand: [sh('ip link del tun0'), sh('ip link add tun0 type ipip local 10.3.0.20'), sh('ip link set tun0 up'), sh(`ip addr add ${VIP}/32 dev tun0`), set('tun0.rp_filter=2'), sh('ip route del 10.9.9.0/24')],
      },
    ],
  },
  {
    name: 'ipip, the director as the only sender, that no spec names',
    service: { ...web, vip: VIP, forward: 'tunnel', realServers: ['10.3.0.20'], network: routed },
    preparation: { vip: VIP, tunnel: { kind: 'ipip', local: '10.3.0.20' } },
    after: { server: [
      sh('ip link del tun0'), sh('ip link add tun0 type ipip local 10.3.0.20 remote 10.2.0.1'), sh('ip link set tun0 up'), sh(`ip addr add ${VIP}/32 dev tun0`), set('tun0.rp_filter=2'),
    ] },
    cases: [{ problem: 'tunnel-down', at: 'server', broken: [sh('ip link set tun0 down')] }],
  },
  {
    name: 'ipip, clients named',
    service: { ...web, vip: VIP, forward: 'tunnel', realServers: ['10.3.0.20'], network: routed },
    preparation: { vip: VIP, tunnel: { kind: 'ipip', local: '10.3.0.20' }, clients: '10.1.0.0/24' },
    cases: [
      { problem: 'no-route', at: 'server', broken: [sh('ip addr del 10.1.0.20/24 dev eth0')], byHand: [sh('ip addr add 10.1.0.20/24 dev eth0')] },
      { problem: 'link-down', how: 'the clients\', without carrier', at: 'server', broken: [port('server-eth0', 'down')], byHand: [port('server-eth0', 'up')] },
    ],
  },
  {
    ...direct, name: 'route, the way back another link',
    cases: [
      { problem: 'rp-filter', at: 'server', broken: [set('eth1.rp_filter=1')] },
      { problem: 'arp-leak', how: 'on the clients\' link', at: 'server', broken: [set('eth0.arp_ignore=0')], served: 'the real server may take the VIP, and serves by itself then' },
    ],
  },
  {
    ...direct, name: 'route, the way back to clients another link', preparation: { ...direct.preparation, clients: '10.1.0.0/24' },
    cases: [{ problem: 'rp-filter', at: 'server', broken: [set('all.rp_filter=1', 'eth1.rp_filter=0')] }],
  },
  {
    ...direct, name: 'route over a network', service: { ...direct.service, realServers: ['10.3.0.20'] },
    before: { ...direct.before, director: [sh('ip route replace 10.3.0.0/24 dev eth1')] },
    cases: [{ problem: 'behind-gateway', at: 'director', broken: [sh('ip route replace 10.3.0.0/24 via 10.2.0.30')], byHand: [sh('ip route replace 10.3.0.0/24 dev eth1')] }],
  },
  {
    name: 'masq',
    service: { ...web, vip: VIP, forward: 'masq', realServers: [{ address: '10.2.0.30', port: 8080 }], network: { link: 'eth0' } },
    preparation: { masq: { director: '10.2.0.1' } }, server: 'inner',
    cases: [
      { problem: 'way-back', how: 'a more specific route', at: 'server', broken: [sh('ip route add 10.1.0.0/25 via 10.2.0.20')], byHand: [sh('ip route del 10.1.0.0/25')] },
      { problem: 'way-back', how: 'a rule', at: 'server', broken: [sh('ip route add default via 10.2.0.20 table 100'), sh('ip rule add from 10.2.0.30 lookup 100')], byHand: [sh('ip rule del from 10.2.0.30 lookup 100')] },
      { problem: 'link-down', at: 'server', broken: [sh('ip link set eth0 down')] },
    ],
  },
  {
    name: 'masq, clients named',
    service: { ...web, vip: VIP, forward: 'masq', realServers: [{ address: '10.2.0.30', port: 8080 }], network: { link: 'eth0' } },
    preparation: { masq: { director: '10.2.0.1', clients: '10.1.0.0/24' } }, server: 'inner',
    cases: [{ problem: 'way-back', at: 'server', broken: [sh('ip route add 10.1.0.0/25 via 10.2.0.20')] }],
  },
]

breaking(() => hosts, groups)
