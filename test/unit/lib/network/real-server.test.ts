import { describe, expect, it } from 'vitest'
import { realServerNetwork, type RealServerSetup, type RealServerTunnel } from '../../../../lib/network/real-server.js'
import { tunnelOverhead } from '../../../../lib/ipvs/tunnels.js'

const VIP = { inet: '192.0.2.1', inet6: '2001:db8::1' } as const
const LOCAL = { inet: '198.51.100.1', inet6: '2001:db8:2::1' } as const

describe('tunnel', () => {
  it.each<[Omit<RealServerTunnel, 'local'>, 'inet' | 'inet6', 'inet' | 'inet6', object, number]>([
    [{ kind: 'ipip' },                                    'inet',  'inet',  { kind: 'ipip' },                20],
    [{ kind: 'ipip' },                                    'inet6', 'inet',  { kind: 'sit' },                 20],
    [{ kind: 'ipip' },                                    'inet',  'inet6', { kind: 'ip6tnl', mode: 'any' }, 40],
    [{ kind: 'ipip' },                                    'inet6', 'inet6', { kind: 'ip6tnl', mode: 'any' }, 40],
    [{ kind: 'gue', port: 6080 },                         'inet',  'inet',  { kind: 'ipip' },                32],
    [{ kind: 'gue', port: 6080, checksum: 'csum' },       'inet6', 'inet',  { kind: 'sit' },                 32],
    [{ kind: 'gue', port: 6080 },                         'inet',  'inet6', { kind: 'ip6tnl', mode: 'any' }, 52],
    [{ kind: 'gue', port: 6080, checksum: 'remcsum' },    'inet6', 'inet6', { kind: 'ip6tnl', mode: 'any' }, 60],
    [{ kind: 'gre' },                                     'inet',  'inet',  { kind: 'gre', checksum: false },    24],
    [{ kind: 'gre', checksum: 'csum' },                   'inet6', 'inet',  { kind: 'gre', checksum: true },     28],
    [{ kind: 'gre' },                                     'inet',  'inet6', { kind: 'ip6gre', checksum: false }, 44],
    [{ kind: 'gre', checksum: 'csum' },                   'inet6', 'inet6', { kind: 'ip6gre', checksum: true },  48],
  ] as const)('%j for %s through %s', (mode, inner, outer, link, overhead) => {
    const tunnel = { ...mode, local: LOCAL[outer] } as RealServerTunnel
    const wanted = realServerNetwork({ vip: VIP[inner], tunnel })
    expect(wanted.links).toEqual([{ name: 'tun0', local: LOCAL[outer], ...link }])
    expect(wanted.fouPorts).toEqual(mode.kind === 'gue' ? [{ kind: 'gue', port: 6080, family: outer }] : undefined)
    expect(wanted.addresses).toEqual([inner === 'inet' ? { address: '192.0.2.1/32', link: 'tun0' } : { address: '2001:db8::1/128', link: 'tun0', nodad: true }])
    expect(wanted.sysctls!.map(({ key, value }) => `${(key as string[]).slice(3).join('.')}=${String(value)}`))
      .toEqual(inner === 'inet' ? ['all.arp_ignore=1', 'all.arp_announce=2', 'tun0.rp_filter=2'] : [])
    expect(wanted.sysctls!.every(({ why }) => why !== undefined)).toBe(true)
    expect(tunnelOverhead(tunnel)).toBe(overhead)
  })

  it('has no address where the VIP is elsewhere, and no filter at all then', () => {
    const { links, addresses, sysctls } = realServerNetwork({ vip: VIP.inet, tunnel: { kind: 'ipip', name: 'a.b', local: LOCAL.inet, remote: '198.51.100.9', mtu: 1400, carrier: 'vips' } })
    expect(links).toEqual([{ kind: 'ipip', name: 'a.b', local: LOCAL.inet, remote: '198.51.100.9', mtu: 1400 }, { kind: 'dummy', name: 'vips' }])
    expect(addresses).toEqual([{ address: '192.0.2.1/32', link: 'vips' }])
    expect(sysctls!.filter(({ key }) => key.at(-1) === 'rp_filter').map(({ key, value }) => [key[3], value])).toEqual([['all', 0], ['a.b', 0]])
  })
})

describe('route and masq', () => {
  it.each<[RealServerSetup, object]>([
    [{ vip: ['192.0.2.1', '2001:DB8:0::1'], route: { link: 'eth0' } }, {
      links: [],
      addresses: [{ address: '192.0.2.1/32', link: 'lo' }, { address: '2001:db8::1/128', link: 'lo', nodad: true }],
      sysctls: [expect.objectContaining({ key: ['net', 'ipv4', 'conf', 'eth0', 'arp_ignore'], value: 1 }), expect.objectContaining({ key: ['net', 'ipv4', 'conf', 'eth0', 'arp_announce'], value: 2 })],
    }],
    [{ vip: '2001:db8::1', route: { link: 'eth0', carrier: 'vips' } }, {
      links: [{ kind: 'dummy', name: 'vips' }], addresses: [{ address: '2001:db8::1/128', link: 'vips', nodad: true }], sysctls: [],
    }],
    [{ masq: { director: '192.0.2.254' } }, { routes: [{ to: 'default', via: '192.0.2.254' }] }],
    [{ masq: { director: '2001:db8::fe', clients: '2001:db8:9::/48' } }, { routes: [{ to: '2001:db8:9::/48', via: '2001:db8::fe' }] }],
  ])('%j', (spec, wanted) => {
    expect(realServerNetwork(spec)).toEqual(wanted)
  })
})

it.each<[unknown, string]>([
  [null,                                                                              'spec: null is not an object'],
  [{ vip: VIP.inet },                                                                 'spec: set one of tunnel, route and masq, not none'],
  [{ vip: VIP.inet, masq: { director: '1.2.3.4' }, route: { link: 'eth0' } },    'not route and masq'],
  [{ vip: 'x', route: { link: 'eth0' } },                                        'vip: "x" is not an IPv4 or IPv6 address'],
  [{ vip: [VIP.inet, 'x'], route: { link: 'eth0' } },                            'vip[1]: "x"'],
  [{ vip: [], route: { link: 'eth0' } },                                         'vip: the list is empty'],
  [{ vip: VIP.inet, route: { link: '../eth0' } },                                'route.link'],
  [{ vip: VIP.inet, route: { link: 'eth0', carrier: 'all' } },                   'route.carrier'],
  [{ vip: VIP.inet, route: { link: 'eth0', carrier: 'eth0' } },                  'route.carrier: eth0 answers ARP for its addresses; use lo or a dummy'],
  [{ vip: VIP.inet, tunnel: { kind: 'vxlan', local: LOCAL.inet } },                   'tunnel.kind'],
  [{ vip: VIP.inet, tunnel: { kind: 'gue', local: LOCAL.inet } },                     'tunnel.port'],
  [{ vip: VIP.inet, tunnel: { kind: 'gre', local: LOCAL.inet, checksum: 'remcsum' } }, 'tunnel.checksum: "remcsum" is not a checksum of gre: csum'],
  [{ vip: VIP.inet, tunnel: { kind: 'ipip', local: LOCAL.inet, checksum: 'csum' } },  'tunnel.checksum: a tunnel of kind ipip has no checksum'],
  [{ vip: VIP.inet, tunnel: { kind: 'ipip', local: 'tun0' } },                        'tunnel.local'],
  [{ vip: [VIP.inet, VIP.inet6], tunnel: { kind: 'ipip', local: LOCAL.inet } },       'VIPs of one family'],
])('refuses %j', (spec, message) => {
  expect(() => realServerNetwork(spec as RealServerSetup)).toThrow(message)
})
