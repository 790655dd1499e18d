import { expect, it } from 'vitest'
import { networkSteps, type NetworkState } from '../../../../lib/network/network.js'
import { realServerNetwork } from '../../../../lib/network/real-server.js'

const nothing: NetworkState = { fouPorts: [], links: [], addresses: [], routes: [], neighbours: [], sysctls: new Map() }

it('is made in an order that is safe at every moment, however it is declared', () => {
  const steps = networkSteps({
    neighbours: [{ address: '192.0.2.9', link: 'd0', lladdr: '02:00:00:00:00:09' }],
    routes: [{ to: '198.51.100.0/24', link: 'd0' }],
    addresses: [{ address: '192.0.2.1/32', link: 'd0' }, { address: '2001:db8::1', link: 'd0' }, { address: '2001:db8::2', link: 'e.0' }],
    sysctls: [
      { key: 'net.ipv4.ip_forward', value: 1 }, { key: 'net.ipv4.conf.all.arp_ignore', value: 1 }, { key: 'net.ipv6.conf.e/0.disable_ipv6', value: 0 },
    ],
    links: [{ kind: 'dummy', name: 'd0' }],
  }, nothing)
  expect(steps.map(({ object }) => object))
    .toEqual(['link', 'link', 'sysctl', 'sysctl', 'sysctl', 'address', 'address', 'address', 'route', 'neighbour'])
  const needs = steps.map(step => step.needs?.map(({ sets }) => sets))
  expect(needs.slice(5)).toEqual([['net.ipv4.conf.all.arp_ignore'], undefined, ['net.ipv6.conf.e/0.disable_ipv6'], undefined, undefined])
})

it('lets no VIP come up on a real server that is not quiet', () => {
  const steps = networkSteps(realServerNetwork({ vip: '192.0.2.1', route: { link: 'eth0' } }), nothing)
  expect(steps.map(({ line }) => line)).toEqual([
    'sysctl -w net.ipv4.conf.eth0.arp_ignore=1', 'sysctl -w net.ipv4.conf.eth0.arp_announce=2', 'ip addr add 192.0.2.1/32 dev lo',
  ])
  expect(steps[2]!.needs).toEqual(steps.slice(0, 2))
})
