/** What a director's plan includes of its network: each only where it is not so, each with its reason, and all taken back. */

import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { VirtualServiceSpec } from '../../../lib/ipvs/model.js'
import { TestHosts } from '../../support/hosts.js'
import { run } from '../../support/run.js'

let hosts: TestHosts
let before: object

const links = { eth0: ['front', '10.1.0.1/24', 'fd01::1/64'], eth1: ['back', '10.2.0.1/24', 'fd02::1/64'] } as const

beforeAll(async () => {
  run('modprobe', ['-a', 'ip_vs', 'ip_vs_sh', 'ip_vs_wlc', 'fou'])
  hosts = await TestHosts.up([{ name: 'director', links }])
  before = await hosts.host('director').call('state')
})
afterAll(() => hosts[Symbol.asyncDispose]())
afterEach(async () => {
  const director = hosts.host('director')
  await director.call('revert')
  expect(await director.call('state')).toEqual(before)
  expect(await director.call('run', ['ipvsadm', '-S', '-n'])).toBe('')
})

const web = { port: 80, protocols: ['tcp'] } as const
const ADDED = ['+ ipvsadm -A -t 10.1.0.100:80 -s wlc', '+ ipvsadm -a -t 10.1.0.100:80 -r 10.3.0.20:80 -i -w 1 --tun-type ipip']
const REPLIES = 'with masq the real servers\' replies pass through the director'

const cases: readonly [string, VirtualServiceSpec, readonly string[]][] = [
  ['an address and routes', {
    ...web, vip: '10.1.0.100', forward: 'tunnel', realServers: ['10.3.0.20'],
    network: { link: 'eth0', prefix: 24, label: 'eth0:vip', routes: [{ to: '10.3.0.0/24', via: '10.2.0.20' }] },
  }, ['+ ip addr add 10.1.0.100/24 dev eth0 label eth0:vip', '+ ip route add 10.3.0.0/24 via 10.2.0.20', ...ADDED]],
  ['the way alone', {
    ...web, vip: '10.1.0.100', forward: 'tunnel', realServers: ['10.3.0.20'], network: { routes: [{ to: '10.3.0.0/24', link: 'eth1' }] },
  }, ['+ ip route add 10.3.0.0/24 dev eth1', ...ADDED]],
  ['sysctls of forwarding, persistence and scheduler', {
    ...web, vip: '10.1.0.100', forward: 'masq', scheduler: 'sh', persistence: { timeout: 20 }, realServers: ['10.2.0.20'], network: { link: 'eth0' },
  }, [
    `~ sysctl -w net.ipv4.ip_forward=1   # ${REPLIES}`,
    '~ sysctl -w net.ipv4.vs.expire_quiescent_template=1   # persistent clients would stay on a real server of weight 0',
    '~ sysctl -w net.ipv4.vs.expire_nodest_conn=1   # this scheduler refuses clients of a real server of weight 0, so the real server is removed, and its connections would hang',
    '+ ip addr add 10.1.0.100/32 dev eth0',
    '+ ipvsadm -A -t 10.1.0.100:80 -s sh -p 20', '+ ipvsadm -a -t 10.1.0.100:80 -r 10.2.0.20:80 -m -w 1',
  ]],
  ['IPv6', {
    ...web, vip: 'fd01::100', forward: 'masq', realServers: ['fd02::20'], network: { link: 'eth0', routes: [{ to: 'fd03::/64', via: 'fd02::20' }] },
  }, [
    `~ sysctl -w net.ipv6.conf.all.forwarding=1   # ${REPLIES}`, '+ ip addr add fd01::100/128 dev eth0 preferred_lft 0', '+ ip route add fd03::/64 via fd02::20',
    '+ ipvsadm -A -t [fd01::100]:80 -s wlc', '+ ipvsadm -a -t [fd01::100]:80 -r [fd02::20]:80 -m -w 1',
  ]],
]

it.each(cases)('%s', async (_, spec, lines) => {
  const director = hosts.host('director')
  expect((await director.call('serve', spec)).split('\n')).toEqual(lines)
  expect(await director.call('planService', spec)).toBe('')
  // Each only where it is not so.
  const line = lines.find(each => /^\+ ip (addr|route)/.test(each))
  if (line !== undefined) {
    await director.call('run', line.slice(2).replace(' add ', ' del ').replace(/ label .*| preferred_lft .*/, '').split(' '))
    expect(await director.call('planService', spec)).toBe(line)
    await director.call('run', line.slice(2).split(' '))
    expect(await director.call('planService', spec)).toBe('')
  }
})
