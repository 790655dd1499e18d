/** What shows only in counters and connections: packets that come, and go no further. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { breaking, set, sh, upServices, VIP, web, type Group } from '../../support/breaking.js'
import type { Told } from '../../support/agent.js'
import type { TestHosts } from '../../support/hosts.js'

let hosts: TestHosts

beforeAll(async () => {
  hosts = await upServices()
  for (const name of ['server', 'inner']) await hosts.host(name).call('reflect', 53)
})
afterAll(() => hosts[Symbol.asyncDispose]())

const service = { ...web, vip: VIP, forward: 'tunnel', realServers: ['10.2.0.20'], network: { link: 'eth0' } } as const
const preparation = { vip: VIP, tunnel: { kind: 'ipip', local: '10.2.0.20' } } as const
const masq = { ...web, vip: VIP, forward: 'masq', realServers: [{ address: '10.2.0.30', port: 8080 }], network: { link: 'eth0' } } as const
const inner = { masq: { director: '10.2.0.1' } } as const

/** A firewall that drops what arrives on a link: rules of routing are in every kernel. */
const wall = (link: string, found: readonly unknown[]): { readonly up: string[][]; readonly down: string[][]; readonly found: readonly unknown[] } => ({
  up: ['ip rule add pref 10 lookup local', 'ip rule del pref 0', `ip rule add pref 5 iif ${link} blackhole`].map(sh),
  down: ['ip rule del pref 5', 'ip rule add pref 0 lookup local', 'ip rule del pref 10'].map(sh),
  found,
})
const FIREWALL = {
  server: wall('tun0', [expect.stringMatching(/^tun0 unwrapped \d+ packets meanwhile, and this host dropped \d+ before their delivery$/)]),
  inner: wall('eth0', []), // without a tunnel, its packets are not told from others
}

const groups: readonly Group[] = [
  {
    name: 'masq', service: masq, preparation: inner, server: 'inner', observe: 1000,
    cases: [{
      problem: 'rp-filter', how: 'seen by its counter', at: 'director',
      broken: [set('eth0.rp_filter=1'), sh('ip route add 10.1.0.10/32 via 10.2.0.20')], byHand: [sh('ip route del 10.1.0.10/32')],
    }],
  },
]

breaking(() => hosts, groups)

describe.each([['tunnel', service, preparation, 'server'], ['masq', masq, inner, 'inner']] as const)('%s', (_, spec, prepared, name) => {
  const seen = async (protocol: 'tcp' | 'udp' = 'tcp'): Promise<Record<'director' | 'server', Told[]>> => {
    const udp = protocol === 'udp'
    const asked = udp ? { ...spec, port: 53, protocols: ['udp'] as const, realServers: [{ address: spec.forward === 'masq' ? '10.2.0.30' : '10.2.0.20', port: 53 }] } : spec
    const client = hosts.host('client')
    if (udp) await hosts.host('director').call('serve', asked)
    await client.call('come', { host: VIP, port: asked.port, protocol })
    const [director, server] = await Promise.all([
      hosts.host('director').call('diagnoseService', { ...asked, observe: 1000 }),
      hosts.host(name).call('diagnose', { ...prepared, ...udp ? {} : { port: spec.forward === 'masq' ? 8080 : 80, protocols: ['tcp'] as const }, observe: 1000 }),
    ])
    await client.call('leave')
    return { director, server }
  }
  const told = ({ director, server }: Awaited<ReturnType<typeof seen>>): Record<'director' | 'server', string[]> => {
    for (const { consequence, plan, advice } of [...director, ...server]) expect([consequence !== '', plan, advice !== undefined]).toEqual([true, '', true])
    return { director: director.map(({ found }) => found), server: server.map(({ found }) => found) }
  }
  const ask = (timeout = 5000): Promise<string> => hosts.host('client').call('exchange', { host: VIP, port: 80, timeout })
  const at = async (host: string, commands: readonly (readonly string[])[]): Promise<void> => {
    for (const command of commands) await hosts.host(host).call('run', [...command])
  }

  beforeAll(async () => {
    for (const each of ['client', 'director', name]) hosts.host(each).forget()
    await hosts.host(name).call('prepare', prepared)
    await hosts.host('director').call('serve', spec)
    expect(await ask()).toBe('echoed')
  })
  afterAll(async () => {
    await hosts.host('director').call('revert')
    await hosts.host(name).call('revert')
  })

  it('works, and is idle: nothing', async () => {
    expect(told(await seen())).toEqual({ director: [], server: [] })
    expect(told(await seen('udp'))).toEqual({ director: [], server: [] })
  })

  /** Drops packets on a link of the real server, before or after its own firewalls. */
  const eaten = (link: string, filter: string): (readonly string[])[] =>
    [sh(`tc qdisc add dev ${link} clsact`), sh(`tc filter add dev ${link} ${filter} action drop`)]
  const eatenNoMore = (link: string): (readonly string[])[] => [sh(`tc qdisc del dev ${link} clsact`)]

  it('the path eats packets to the real server', async () => {
    const [link, sender] = name === 'inner' ? ['eth0', '10.1.0.10'] as const : ['eth1', '10.2.0.1'] as const
    await at(name, eaten(link, `ingress protocol ip pref 1 u32 match ip src ${sender}`))
    try {
      expect(await ask(1500)).not.toBe('echoed')
      const found = told(await seen())
      expect(found).toEqual({ director: [expect.stringMatching(/^connections to 10\.2\.0\.[23]0:\d+ get no further than their first packet: from 10\.1\.0\.10:/)], server: [] })
    } finally { await at(name, eatenNoMore(link)) }
    expect(await ask()).toBe('echoed')
    expect(told(await seen())).toEqual({ director: [], server: [] })
  })

  it('the path eats replies', async () => {
    await at(name, eaten('eth0', 'egress protocol ip pref 1 u32 match ip dst 10.1.0.10'))
    try {
      expect(await ask(1500)).not.toBe('echoed')
      const found = told(await seen())
      expect(found.director).toEqual([expect.stringMatching(/^connections to /)])
      expect(found.server).toEqual([expect.stringMatching(/^the replies of 10\.\d\.0\.\d+:\d+ do not open a connection: to 10\.1\.0\.10:/)])
      if (name === 'inner') expect(told(await seen('udp')).director).toEqual([expect.stringMatching(/^packets for udp 10\.1\.0\.100:53 at 10\.2\.0\.30:53 pass, and no reply/)])
    } finally { await at(name, eatenNoMore('eth0')) }
    expect(await ask()).toBe('echoed')
    expect(told(await seen())).toEqual({ director: [], server: [] })
  })

  it('a firewall of the real server eats what arrives', async () => {
    await at(name, FIREWALL[name].up)
    try {
      expect(await ask(1500)).not.toBe('echoed')
      const found = told(await seen())
      expect(found.director).toEqual([expect.stringMatching(/^connections to /)])
      expect(found.server).toEqual(FIREWALL[name].found)
    } finally { await at(name, FIREWALL[name].down) }
    expect(await ask()).toBe('echoed')
  })
})
