/** Real servers, prepared by planRealServer() alone: a client's bytes come back through every kind of forwarding, and everything is as before afterwards. */

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Forwarding, VirtualServiceSpec } from '../../../lib/ipvs/model.js'
import { planRealServer } from '../../../lib/api/plan-real-server.js'
import { type RealServerSetup, type RealServerTunnel } from '../../../lib/network/real-server.js'
import { tunnelOverhead } from '../../../lib/ipvs/tunnels.js'
import { TestHosts } from '../../support/hosts.js'
import { run } from '../../support/run.js'

type Name = 'client' | 'director' | 'server' | 'inner'
let hosts: TestHosts
/** What each host is without us. */
const before: Record<string, object> = {}

/** By family. The client, the director and a server are on one LAN; behind the director is one with another server. */
const VIP = { inet: '10.1.0.100', inet6: 'fd01::100' } as const
const SERVER = { inet: '10.1.0.20', inet6: 'fd01::20' } as const
const INNER = { inet: '10.2.0.30', inet6: 'fd02::30' } as const
const families = ['inet', 'inet6'] as const

beforeAll(async () => {
  // The operator's duty is fou; the others load by themselves, and are loaded beforehand because links of their own come with them and stay.
  run('modprobe', ['-a', 'fou', 'fou6', 'ipip', 'sit', 'ip6_tunnel', 'ip_gre', 'ip6_gre', 'dummy', 'ip_vs', 'ip_vs_wlc'])
  hosts = await TestHosts.up([
    { name: 'client', links: { eth0: ['front', '10.1.0.10/24', 'fd01::10/64'] } },
    { name: 'director', links: { eth0: ['front', '10.1.0.1/24', 'fd01::1/64'], eth1: ['back', '10.2.0.1/24', 'fd02::1/64'] } },
    { name: 'server', links: { eth0: ['front', '10.1.0.20/24', 'fd01::20/64'] } },
    { name: 'inner', links: { eth0: ['back', '10.2.0.30/24', 'fd02::30/64'] } },
  ])
  await Promise.all([hosts.host('server').call('echo', 80), hosts.host('inner').call('echo', 8080)])
  for (const name of ['director', 'server', 'inner'] as const) before[name] = await hosts.host(name).call('state')
})
afterAll(() => hosts[Symbol.asyncDispose]())

/** What a client gets of a service while its real server is prepared and its director serves, and what all that leaves behind. */
async function serve(service: VirtualServiceSpec & { readonly vip: string }, server: 'server' | 'inner', preparation: RealServerSetup, meanwhile: () => Promise<void> = () => Promise.resolve()): Promise<void> {
  const [client, director, real] = [hosts.host('client'), hosts.host('director'), hosts.host(server)]
  try {
    expect(await real.call('prepare', preparation)).not.toBe('')
    expect(await real.call('plan', preparation)).toBe('')
    expect(await director.call('serve', service)).not.toBe('')
    expect(await director.call('planService', service)).toBe('')
    expect(await client.call('exchange', { host: service.vip, port: service.port, bytes: 20_000 })).toBe('echoed')
    await meanwhile()
  } finally {
    await director.call('revert')
    await real.call('revert')
  }
  expect(await real.call('state')).toEqual(before[server])
  expect(await director.call('state')).toEqual(before.director)
}

afterEach(async () => { // however it ended
  await hosts.host('director').call('flush')
  for (const name of ['client', 'director', 'server', 'inner'] as const) hosts.host(name).forget()
})

describe('tunnel', () => {
  type Mode = { readonly kind: 'ipip' } | { readonly kind: 'gue'; readonly port: number; readonly checksum?: 'csum' | 'remcsum' } | { readonly kind: 'gre'; readonly checksum?: 'csum' }
  const modes: readonly Mode[] = [
    { kind: 'ipip' },
    { kind: 'gue', port: 6080 }, { kind: 'gue', port: 6080, checksum: 'csum' }, { kind: 'gue', port: 6080, checksum: 'remcsum' },
    { kind: 'gre' }, { kind: 'gre', checksum: 'csum' },
  ]
  const cases = modes.flatMap(mode => families.flatMap(inner => families.map(outer => ({ mode, inner, outer, name: `${mode.kind}${'checksum' in mode ? `, ${mode.checksum!}` : ''}, ${inner} in ${outer}` }))))

  it.each(cases)('$name', async ({ mode: { kind, ...rest }, inner, outer }) => {
    const tunnel = { kind, ...rest, local: SERVER[outer] } as RealServerTunnel
    await serve(
      { vip: VIP[inner], port: 80, protocols: ['tcp'], forward: { kind: kind, ...rest } as Forwarding, realServers: [SERVER[outer]], network: { link: 'eth0' } },
      'server',
      { vip: VIP[inner], tunnel },
      async () => {
        // The director told the client what is left of 1500 bytes.
        const told = await hosts.host('client').call('run', ['ip', '-o', 'route', 'get', VIP[inner]])
        expect(/ mtu (\d+)/.exec(told)?.[1]).toBe(String(1500 - tunnelOverhead(tunnel)))
      },
    )
  })

  it('with the VIP on lo', async () => {
    await serve(
      { vip: VIP.inet, port: 80, protocols: ['tcp'], forward: 'tunnel', realServers: [SERVER.inet], network: { link: 'eth0' } },
      'server', { vip: VIP.inet, tunnel: { kind: 'ipip', local: SERVER.inet, carrier: 'lo' } },
    )
  })

  it('without the module fou, says so', async () => {
    run('modprobe', ['-r', 'fou6', 'fou'])
    try {
      await expect(planRealServer({ vip: VIP.inet, tunnel: { kind: 'gue', port: 6080, local: SERVER.inet } })).rejects.toThrow(/modprobe fou/)
    } finally {
      run('modprobe', ['-a', 'fou', 'fou6'])
    }
  })
})

describe('route', () => {
  const cases = families.flatMap(family => ['lo', 'vips'].map(carrier => ({ family, carrier })))

  it.each(cases)('$family, the VIP on $carrier', async ({ family, carrier }) => {
    const ask = async <T>(host: Name, ...words: string[]): Promise<T[]> => JSON.parse(await hosts.host(host).call('run', ['ip', '-j', ...words])) as T[]
    await serve(
      { vip: VIP[family], port: 80, protocols: ['tcp'], forward: 'route', realServers: [SERVER[family]], network: { link: 'eth0' } },
      'server', { vip: VIP[family], route: { link: 'eth0', carrier } },
      async () => {
        // The server talks too, and has to ask where the client is.
        hosts.host('server').forget()
        for (let i = 0; i < 3; i++) expect(await hosts.host('client').call('exchange', { host: VIP[family], port: 80 })).toBe('echoed')
        const [neighbour] = await ask<{ lladdr: string }>('client', 'neigh', 'show', VIP[family], 'dev', 'eth0')
        const [link] = await ask<{ address: string }>('director', 'link', 'show', 'dev', 'eth0')
        expect(neighbour!.lladdr).toBe(link!.address)
      },
    )
  })
})

it('leaves a carrier alone that is somebody else\'s', async () => {
  const server = hosts.host('server')
  server.ip('link add vips type bridge')
  try {
    await expect(server.call('prepare', { vip: VIP.inet, route: { link: 'eth0', carrier: 'vips' } })).rejects.toThrow('carrier: vips exists and is not a dummy link')
  } finally {
    server.ip('link del vips')
  }
})

describe('masq', () => {
  it.each(families)('%s, from port 80 to 8080', async family => {
    await serve(
      { vip: VIP[family], port: 80, protocols: ['tcp'], forward: 'masq', realServers: [{ address: INNER[family], port: 8080 }], network: { link: 'eth0' } },
      'inner', { masq: { director: family === 'inet' ? '10.2.0.1' : 'fd02::1' } },
    )
  })
})
