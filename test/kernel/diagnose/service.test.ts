/** A service that takes no connections, a director that drops them, and a host on which nobody listens. */

import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { Routes } from '../../../lib/rtnetlink/route/routes.js'
import { VirtualService } from '../../../lib/api/virtual-service.js'
import { run } from '../../support/run.js'
import { breaking, sh, upServices, VIP, web, type Group } from '../../support/breaking.js'
import type { TestHosts } from '../../support/hosts.js'

let hosts: TestHosts

beforeAll(async () => {
  hosts = await upServices()
  await hosts.host('server').call('run', sh('sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2'))
})
afterAll(() => hosts[Symbol.asyncDispose]())

const vs = (...settings: string[]): string[] => ['sysctl', '-qw', ...settings.map(setting => `net.ipv4.vs.${setting}`)]
const service = { ...web, vip: VIP, forward: 'route', network: { link: 'eth0' } } as const
const preparation = { vip: VIP, route: { link: 'eth1' } } as const
const more = { upper: 100 } as const

const groups: readonly Group[] = [
  {
    name: 'route', service: { ...service, realServers: [{ address: '10.2.0.20', thresholds: more }] }, preparation: { ...preparation, ...web },
    cases: [
      { problem: 'service-differs', how: 'its weight is 0', at: 'director', broken: [sh(`ipvsadm -e -t ${VIP}:80 -r 10.2.0.20:80 -g -w 0 -x 100`)] },
      { problem: 'defence', how: 'packets', at: 'director', broken: [vs('am_droprate=1', 'drop_packet=3')] },
      { problem: 'defence', how: 'connections', at: 'director', broken: [vs('drop_entry=3')], served: 'a slow client would fail' },
      { problem: 'defence', how: 'states', at: 'director', broken: [vs('secure_tcp=3')], served: 'a silent client would fail' },
      {
        problem: 'backup-only', at: 'director', broken: [vs('backup_only=1'), sh('ipvsadm --start-daemon backup --mcast-interface eth0')],
        byHand: [sh('ipvsadm --stop-daemon backup')],
      },
    ],
  },
  {
    name: 'masq', service: { ...service, forward: 'masq', realServers: [{ address: '10.2.0.30', port: 8080 }] },
    preparation: { masq: { director: '10.2.0.1' }, port: 8080, protocols: ['tcp'] }, server: 'inner',
    cases: [{ problem: 'forwarding-off', at: 'director', broken: [sh('sysctl -qw net.ipv4.ip_forward=0')] }],
  },
]

breaking(() => hosts, groups)

/** What the client gets, and what each host finds. */
async function seen(spec: Group['service'], prepared: Group['preparation']): Promise<[string, string[], string[]]> {
  const answer = await hosts.host('client').call('exchange', { host: spec.vip, port: spec.port, timeout: 1500 })
  const [director, server] = [await hosts.host('director').call('diagnoseService', spec), await hosts.host('server').call('diagnose', prepared)]
  for (const { consequence, plan, advice } of [...director, ...server]) expect([consequence !== '', plan, advice !== undefined]).toEqual([true, '', true])
  return [answer, director.map(({ found }) => found), server.map(({ found }) => found)]
}

/** One that no connection has ever had: the kernel remembers those of removed real servers. */
const FRESH = '10.1.0.101'
it.each<[string, Group['service']['realServers'], number, string]>([
  ['none',             [],                                                             0, 'has no real server'],
  ['without weights',  [{ address: '10.2.0.20', weight: 0 }],                          0, 'has no real server with a weight above 0'],
  ['full',             [{ address: '10.2.0.20', thresholds: { upper: 2, lower: 1 } }], 2, 'has no real server that takes connections: 0 have weight 0, and 1 as many connections as they may'],
])('nobody takes connections: %s', async (_, realServers, before, found) => {
  const spec = { ...service, vip: FRESH, realServers }, prepared = { ...preparation, vip: FRESH }
  await hosts.host('server').call('prepare', prepared)
  await hosts.host('director').call('serve', spec)
  try {
    for (let i = 0; i < before; i++) {
      if (i < 1) expect(await seen(spec, prepared)).toEqual(['echoed', [], []])
      else expect(await hosts.host('client').call('exchange', { host: FRESH, port: 80 })).toBe('echoed')
    }
    const [answer, ...faults] = await seen(spec, prepared)
    expect(answer).not.toBe('echoed')
    expect(faults).toEqual([[`tcp ${FRESH}:80 ${found}`], []])
  } finally {
    await hosts.host('director').call('revert')
    await hosts.host('server').call('revert')
  }
})

it('nobody listens', async () => {
  const spec = { ...web, vip: VIP, port: 81, realServers: ['10.2.0.20'], network: { link: 'eth0' } } as const
  const use = { ...preparation, port: 81, protocols: ['tcp'] } as const
  await hosts.host('server').call('prepare', preparation)
  await hosts.host('director').call('serve', spec)
  try {
    expect(await seen(spec, use)).toEqual(['ECONNREFUSED', [], [`nobody listens on tcp port 81 of ${VIP}`]])
    expect((await seen(spec, { ...use, port: 81, protocols: ['udp', 'tcp'] }))[2]).toEqual([`nobody listens on udp and tcp port 81 of ${VIP}`])
    await hosts.host('server').call('echo', { port: 81, host: '10.2.0.20' })
    expect(await seen(spec, use)).toEqual(['ECONNREFUSED', [], [`nobody listens on tcp port 81 of ${VIP}, but at 10.2.0.20`]])
    await hosts.host('server').call('echo', { port: 81, host: VIP })
    expect(await seen(spec, use)).toEqual(['echoed', [], []])
  } finally {
    await hosts.host('director').call('revert')
    await hosts.host('server').call('revert')
  }
})

it('a drain is no difference, and no route is listed to be compared with none', async () => {
  run('ip', ['-batch', '-'], [
    'link set lo up', 'link add vips type dummy', 'addr add 10.9.0.1/24 dev vips', 'link set vips up',
    ...['10.9.0.2', '10.9.0.3'].map(address => `neigh add ${address} lladdr 02:00:00:00:00:01 dev vips`),
  ].join('\n'))
  const list = vi.spyOn(Routes.prototype, 'list')
  try {
    await using drained = await VirtualService.open({ ...web, vip: '10.9.0.100', forward: 'route', realServers: ['10.9.0.2', '10.9.0.3'], network: { link: 'vips' } })
    await drained.apply()
    expect(await drained.diagnose()).toEqual([])
    await drained.realServer('10.9.0.2').drain()
    expect(await drained.diagnose()).toEqual([])
    expect(list).not.toHaveBeenCalled()
    await drained.remove()
  } finally {
    list.mockRestore()
    run('ip', ['link', 'del', 'vips'])
  }
})
