import { describe, expect, it } from 'vitest'
import { directorFindings, type DirectorFacts } from '../../../../lib/diagnose/director.js'
import { realServerFindings, type RealServerFacts } from '../../../../lib/diagnose/real-server.js'
import type { Finding } from '../../../../lib/diagnose/finding.js'
import type { ServiceState, Stats, VirtualServiceSpec } from '../../../../lib/ipvs/model.js'
import type { NetworkState } from '../../../../lib/network/network.js'
import type { RealServerSetup } from '../../../../lib/network/real-server.js'
import { normalizeAddress, type AddressState } from '../../../../lib/rtnetlink/address/spec.js'
import { normalizeLink } from '../../../../lib/rtnetlink/link/link.js'
import type { LinkSpec, LinkState } from '../../../../lib/rtnetlink/link/spec.js'
import type { RouteState } from '../../../../lib/rtnetlink/route/spec.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'

// ── facts ──

const link = (spec: LinkSpec, more: object = {}): LinkState => {
  const { given: _, parameters, ...settings } = normalizeLink(spec)
  return { index: 9, operstate: 'unknown', carrier: true, mtu: 1480, altNames: [], statistics: {}, ...settings, ...parameters, ...more } as LinkState
}
const plainLink = (name: string, mtu = 1500): LinkState => ({ index: 2, name, up: true, operstate: 'up', carrier: true, mtu, address: '02:00:00:00:00:01', altNames: [], statistics: {} } as unknown as LinkState)
const at = (name: string, address: string, more: object = {}): AddressState => ({
  scope: 'global', lifetimes: { valid: 'forever', preferred: 'forever' }, noprefixroute: false, nodad: address.includes(':'), secondary: false, temporary: false,
  tentative: false, dadfailed: false, deprecated: false, family: address.includes(':') ? 'inet6' : 'inet', ...normalizeAddress({ address, link: name }), ...more,
} as AddressState)
const nothing: NetworkState = { fouPorts: [], links: [plainLink('lo'), plainLink('eth0')], addresses: [at('lo', '127.0.0.1/8'), at('eth0', '198.51.100.1/24')], routes: [], neighbours: [], sysctls: new Map() }
/** Nothing of what is read besides the network. */
const idle = { back: [], listeners: [] }
const told = (findings: readonly Finding[]): string[] => findings.map(({ problem, plan, advice }) => [problem, ...plan.steps.map(({ line }) => line), ...advice === undefined ? [] : [`(${advice})`]].join('\n  '))
const VIP = '192.0.2.1'

// ── real servers ──

describe('a real server', () => {
  const tunnel = { kind: 'ipip', local: '198.51.100.1' } as const
  const tunnelled: RealServerSetup = { vip: VIP, tunnel }
  const conf = (values: Record<string, number>): Map<string, string> => new Map(Object.entries(values).map(([key, value]) => [`net.ipv4.conf.${key}`, String(value)]))
  const quiet = { 'all.arp_ignore': 1, 'all.arp_announce': 2, 'all.rp_filter': 0, 'tun0.rp_filter': 2 }
  const working: NetworkState = {
    ...nothing, links: [...nothing.links, link({ kind: 'ipip', name: 'tun0', local: '198.51.100.1' })], addresses: [...nothing.addresses, at('tun0', `${VIP}/32`)], sysctls: conf(quiet),
  }
  const find = (network: NetworkState, spec: RealServerSetup = tunnelled, more: Partial<RealServerFacts> = {}): string[] => told(realServerFindings(spec, { network, ...idle, ...more }))
  const sysctls = (values: Record<string, number>): NetworkState => ({ ...working, sysctls: conf({ ...quiet, ...values }) })

  it('works', () => {
    expect(find(working)).toEqual([])
  })

  it('whose host has nothing: each once, and what mends all', () => {
    expect(find(nothing)).toEqual([
      'tunnel-missing\n  ip link add tun0 type ipip local 198.51.100.1\n  ip link set tun0 up\n  sysctl -w net.ipv4.conf.tun0.rp_filter=2\n  ip addr add 192.0.2.1/32 dev tun0',
      'arp-leak\n  sysctl -w net.ipv4.conf.all.arp_ignore=1\n  sysctl -w net.ipv4.conf.all.arp_announce=2',
    ])
  })

  it.each<[string, Record<string, number>, string | undefined]>([
    ['none',                       { 'all.rp_filter': 0, 'tun0.rp_filter': 0 }, undefined],
    ['loose by the link',          { 'all.rp_filter': 1, 'tun0.rp_filter': 2 }, undefined],
    ['loose by all',               { 'all.rp_filter': 2, 'tun0.rp_filter': 1 }, undefined],
    ['strict by all',              { 'all.rp_filter': 1, 'tun0.rp_filter': 0 }, 'rp_filter of tun0 is in effect 1: the larger of conf.all (1) and conf.tun0 (0) counts'],
    ['strict by the link',         { 'all.rp_filter': 0, 'tun0.rp_filter': 1 }, 'rp_filter of tun0 is in effect 1: the larger of conf.all (0) and conf.tun0 (1) counts'],
  ])('reverse path filter: %s', (_, values, found) => {
    const findings = realServerFindings(tunnelled, { network: sysctls(values), ...idle })
    expect(findings.map(each => each.problem)).toEqual(found === undefined ? [] : ['rp-filter'])
    if (found !== undefined) expect([findings[0]!.found.startsWith(found), `${findings[0]!.plan}`.split('   #')[0]]).toEqual([true, '~ sysctl -w net.ipv4.conf.tun0.rp_filter=2'])
  })

  it.each([[0, 0, false], [2, 0, true], [0, 2, true], [1, 2, true]])('an address-less tunnel with rp_filter %i of all and %i of its own', (all, own, wrong) => {
    const spec: RealServerSetup = { vip: VIP, tunnel: { ...tunnel, carrier: 'lo' } }
    const network = { ...sysctls({ 'all.rp_filter': all, 'tun0.rp_filter': own }), addresses: [...nothing.addresses, at('lo', `${VIP}/32`)] }
    const lines = [...all === 0 ? [] : ['sysctl -w net.ipv4.conf.all.rp_filter=0'], ...own === 0 ? [] : ['sysctl -w net.ipv4.conf.tun0.rp_filter=0']]
    expect(find(network, spec)).toEqual(wrong ? [['rp-filter', ...lines].join('\n  ')] : [])
  })

  it.each<[Record<string, number>, string[]]>([
    [{ 'all.arp_ignore': 0 },                            ['arp-leak\n  sysctl -w net.ipv4.conf.all.arp_ignore=1']],
    [{ 'all.arp_ignore': 0, 'eth0.arp_ignore': 1 },      []],
    [{ 'all.arp_ignore': 8 },                            []],
    [{ 'all.arp_ignore': 3 },                            ['arp-leak\n  sysctl -w net.ipv4.conf.all.arp_ignore=1']],
    [{ 'all.arp_announce': 1 },                          ['arp-leak\n  sysctl -w net.ipv4.conf.all.arp_announce=2']],
    [{ 'all.arp_announce': 0, 'eth0.arp_announce': 2 },  []],
  ])('ARP with %j', (values, found) => {
    expect(find(sysctls(values))).toEqual(found)
  })

  it('ARP, with the VIP on the link that is asked', () => {
    const spec: RealServerSetup = { vip: VIP, route: { link: 'eth0' } }
    const network = { ...sysctls({}), addresses: [...nothing.addresses, at('lo', `${VIP}/32`), at('eth0', `${VIP}/32`)] }
    expect(find(network, spec)).toEqual(['arp-leak\n  ip addr del 192.0.2.1/32 dev eth0'])
  })

  it('a tunnel of another kind takes its addresses along when it is made anew', () => {
    const other = { ...working, links: [...nothing.links, link({ kind: 'dummy', name: 'tun0' })] }
    expect(find(other)).toEqual([
      'tunnel-mode\n  ip link del tun0\n  ip link add tun0 type ipip local 198.51.100.1\n  ip link set tun0 up\n  ip addr restore; ip route restore',
    ])
  })

  it('a tunnel whose place another link has: no plan', () => {
    const rival = { ...nothing, links: [...nothing.links, link({ kind: 'ipip', name: 'other', local: '198.51.100.1' })], sysctls: conf(quiet) }
    const [found] = realServerFindings(tunnelled, { network: rival, ...idle })
    expect([found!.problem, found!.plan.empty, found!.advice]).toEqual(['tunnel-mode', true, 'remove the conflicting link, or use another name'])
    expect(found!.found).toContain('other')
  })

  it('a VPN\'s link of the tunnel\'s name, and a bridge of the carrier\'s, are left alone', () => {
    const vpn = { ...plainLink('tun0'), kind: 'tun' } as LinkState
    const bridge = link({ kind: 'bridge', name: 'br0' })
    const network = { ...nothing, links: [...nothing.links, vpn, bridge], sysctls: conf({ ...quiet, 'eth0.arp_ignore': 1 }) }
    expect(find(network)).toEqual(['tunnel-mode\n  (remove the conflicting link, or use another name)'])
    expect(find(network, { vip: VIP, route: { link: 'eth0', carrier: 'br0' } }))
      .toEqual(['vip-missing\n  (br0 is not a dummy link; use lo, or another name, as the carrier)'])
  })

  it('its own MTU is none of a tunnel\'s problems', () => {
    expect(find(working, { vip: VIP, tunnel: { ...tunnel, mtu: 1400 } })).toEqual([])
  })

  it.each<['fou' | 'fou6', string, string]>([['fou', '198.51.100.1', VIP], ['fou6', '2001:db8:2::1', VIP]])('without the module %s', (module, local, vip) => {
    const spec: RealServerSetup = { vip, tunnel: { kind: 'gue', port: 6080, local } }
    const tun0: LinkSpec = local.includes(':') ? { kind: 'ip6tnl', name: 'tun0', local } : { kind: 'ipip', name: 'tun0', local }
    const network = { ...working, links: [...nothing.links, link(tun0)], addresses: [...working.addresses, at('eth0', `${local}/64`.replace(/^(\d.*)64$/, '$124'))] }
    expect(find(network, spec, { missingModule: module })).toEqual([`module-missing\n  (modprobe ${module}, then plan again; the kernel does not load it by itself)`])
    expect(find(network, spec)).toEqual([`fou-port-missing\n  ip fou add port 6080 gue${module === 'fou6' ? ' -6' : ''}`])
  })

  it('in a namespace that is another\'s, or without the tunnel\'s end', () => {
    const bare = { ...nothing, addresses: [at('lo', '127.0.0.1/8'), at('eth0', 'fe80::1/64', { scope: 'link' })] }
    expect(realServerFindings(tunnelled, { network: bare, ...idle }).map(({ problem }) => problem)).toEqual(['wrong-namespace'])
    expect(realServerFindings({ vip: VIP, route: { link: 'eth7' } }, { network: working, ...idle }).map(({ problem }) => problem)).toEqual(['wrong-namespace'])
    expect(realServerFindings({ vip: VIP, tunnel: { kind: 'ipip', local: '198.51.100.7' } }, { network: working, ...idle }).map(({ problem }) => problem)).toEqual(['no-local-address'])
  })

  const onward: RouteState = {
    to: '223.0.0.1', family: 'inet', type: 'unicast', table: 'main', metric: 0, scope: 'global', protocol: 'static', dead: false, link: 'eth1',
  }
  const back = (more: Partial<RouteState>): RealServerFacts['back'] => [{ clients: 'default', family: 'inet', way: { ...onward, ...more } }]
  const twoLinks = (eth1: Partial<LinkState>): NetworkState => ({ ...working, links: [...working.links, { ...plainLink('eth1'), ...eth1 } as LinkState] })

  it('whose gateway back to the clients does not answer', () => {
    const gateway = { address: '198.51.100.254', link: 'eth1', family: 'inet', proxy: false, state: 'failed', router: false, external: false } as const
    const network = { ...twoLinks({}), neighbours: [gateway, { ...gateway, address: '198.51.100.7' }] }
    expect(find(network, tunnelled, { back: back({ via: gateway.address }) })).toEqual([expect.stringMatching(/^neighbour-failed\n {2}\(look whether/) as string])
    expect(find(network, tunnelled, { back: back({ via: '198.51.100.1' }) })).toEqual([])
  })

  it.each<[string, Partial<LinkState>, string[]]>([
    ['works',                 {},                                       []],
    ['has no carrier',        { carrier: false },                       [expect.stringMatching(/^link-down\n {2}\(plug in the cable of eth1/) as string]],
    ['is down',               { up: false, carrier: false },            ['link-down\n  ip link set eth1 up']],
    ['is on one that is down', { kind: 'vlan', link: 'eth2', up: false, carrier: false }, ['link-down\n  ip link set eth2 up']],
    ['is a dummy, that needs no wire', { kind: 'dummy', up: false, carrier: false }, []],
  ])('whose link back to the clients %s', (_, eth1, found) => {
    const network = twoLinks(eth1)
    expect(find({ ...network, links: [...network.links, { ...plainLink('eth2'), up: false }] }, tunnelled, { back: back({}) })).toEqual(found)
  })

  it('whose replies go another way than through the director', () => {
    const spec: RealServerSetup = { masq: { director: '198.51.100.254' } }
    expect(find(nothing, spec)).toEqual(['no-route\n  ip route add default via 198.51.100.254'])
  })
})

// ── directors ──

describe('a director', () => {
  const stats: Stats = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n, rates: { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 } }
  const stateOf = (spec: VirtualServiceSpec): ServiceState[] => normalize(spec).map(service => ({
    ...service, stats, realServers: service.realServers.map(server => ({ ...server, activeConnections: 0, inactiveConnections: 0, persistentConnections: 0, stats })),
  }))
  const way = (more: Partial<RouteState> = {}): RouteState => ({
    to: '203.0.113.1', family: 'inet', type: 'unicast', table: 'main', metric: 0, scope: 'global', protocol: 'static', dead: false, link: 'eth0', source: '198.51.100.1', ...more,
  })
  const spec: VirtualServiceSpec = { vip: VIP, port: 80, protocols: ['tcp'], forward: 'tunnel', realServers: ['203.0.113.1'], network: { link: 'eth0' } }
  const network: NetworkState = { ...nothing, addresses: [...nothing.addresses, at('eth0', `${VIP}/32`)], sysctls: new Map([['net.ipv4.ip_forward', '0'], ['net.ipv6.conf.all.forwarding', '0'], ['net.ipv4.vs.pmtu_disc', '1']]) }
  const working: DirectorFacts = { network, daemons: [], listeners: [], states: stateOf(spec), ways: new Map([[VIP, way({ type: 'local', link: 'lo' })], ['203.0.113.1', way()]]) }
  const find = (facts: Partial<DirectorFacts>, of: VirtualServiceSpec = spec): string[] => told(directorFindings(of, normalize(of), { ...working, ...facts }))
  const servers = (more: Partial<RouteState> | string): Partial<DirectorFacts> =>
    ({ ways: new Map([...working.ways, ['203.0.113.1', typeof more === 'string' ? more : way(more)] as const]) })

  it('works', () => {
    expect(find({})).toEqual([])
  })

  it.each<[string, Partial<DirectorFacts>, VirtualServiceSpec, string[]]>([
    ['nothing in IPVS', { states: [] }, spec, ['service-missing\n  ipvsadm -A -t 192.0.2.1:80 -s wlc\n  ipvsadm -a -t 192.0.2.1:80 -r 203.0.113.1:80 -i -w 1 --tun-type ipip']],
    ['another scheduler', {}, { ...spec, scheduler: 'rr' }, ['service-differs\n  ipvsadm -E -t 192.0.2.1:80 -s rr']],
    ['an unreachable server', servers({ type: 'unreachable' }), { ...spec, network: { link: 'eth0', routes: [{ to: '203.0.113.0/24', via: '198.51.100.9' }] } }, ['no-route\n  ip route add 203.0.113.0/24 via 198.51.100.9']],
    ['no way', servers('cannot get route'), spec, [expect.stringMatching(/^no-route\n {2}\(add a route/) as string]],
    ['a server that is the director', servers({ type: 'local' }), spec, []],
    ['a narrow way', servers({ mtu: 590 }), spec, ['mtu\n  sysctl -w net.ipv4.vs.pmtu_disc=0']],
    ['a way just wide enough', servers({ mtu: 596 }), spec, []],
    ['a narrow way, fragmented', { ...servers({ mtu: 590 }), network: { ...network, sysctls: new Map([['net.ipv4.vs.pmtu_disc', '0']]) } }, spec, []],
    ['the VIP as source', servers({ source: VIP }), spec, [expect.stringMatching(/^vip-as-source\n {2}\(give eth0 an address/) as string]],
    ['the VIP as source, by route', servers({ source: VIP }), { ...spec, forward: 'masq' }, [
      'service-differs\n  ipvsadm -e -t 192.0.2.1:80 -r 203.0.113.1:80 -m -w 1', 'forwarding-off\n  sysctl -w net.ipv4.ip_forward=1',
    ]],
    ['no VIP', { network: { ...network, addresses: nothing.addresses }, ways: new Map([...working.ways, [VIP, way()]]) }, spec, ['vip-missing\n  ip addr add 192.0.2.1/32 dev eth0']],
    ['no VIP, which another program cares for', { ways: new Map([...working.ways, [VIP, way()]]), network: nothing }, { ...spec, network: {} }, [expect.stringMatching(/^vip-missing\n {2}\(set network\.link/) as string]],
    ['the VIP on a link that is down', { network: { ...network, links: [plainLink('lo'), { ...plainLink('eth0'), up: false }] }, ways: new Map([...working.ways, [VIP, way()]]) }, spec, ['link-down\n  ip link set eth0 up']],
    ['no such link', { network: { ...network, links: [plainLink('lo')] } }, spec, [expect.stringMatching(/^wrong-namespace\n {2}\(run in/) as string]],
    ['no local address', { states: [], network: { ...network, addresses: [], links: [{ ...plainLink('lo'), up: false }, plainLink('eth0')] } }, spec, [
      'no-local-address\n  ip link set lo up\n  ip addr add 192.0.2.1/32 dev eth0\n  ipvsadm -A -t 192.0.2.1:80 -s wlc\n  ipvsadm -a -t 192.0.2.1:80 -r 203.0.113.1:80 -i -w 1 --tun-type ipip',
    ]],
  ])('%s', (_, facts, of, found) => {
    expect(find(facts, of)).toEqual(found)
  })

  it('an IPv6 packet must fit whole', () => {
    const six: VirtualServiceSpec = { ...spec, vip: '2001:db8::1', forward: { kind: 'gre', checksum: 'csum' } }
    const ways = new Map([['2001:db8::1', way({ type: 'local' })], ['203.0.113.1', way()]])
    const of = (mtu: number): Partial<DirectorFacts> => ({ states: stateOf(six), ways, network: { ...network, links: [plainLink('lo'), plainLink('eth0', mtu)] } })
    expect(find(of(1308), six)).toEqual([])
    expect(find(of(1307), six)).toEqual(['mtu\n  ip link set eth0 mtu 1308'])
  })

  it('a port that means nothing', () => {
    const [state] = working.states as [ServiceState]
    const states = [{ ...state, realServers: [{ ...state.realServers[0]!, port: 8080 }] }] as ServiceState[]
    expect(find({ states })).toEqual(['port-mismatch\n  ipvsadm -d -t 192.0.2.1:80 -r 203.0.113.1:8080\n  ipvsadm -a -t 192.0.2.1:80 -r 203.0.113.1:80 -i -w 1 --tun-type ipip'])
  })

  it('a firewall mark needs no VIP', () => {
    const mark: VirtualServiceSpec = { fwmark: 7, forward: 'route', realServers: ['203.0.113.1'] }
    expect(find({ states: stateOf(mark) }, mark)).toEqual([])
  })
})
