import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Input, Output } from '../../../../generic-netlink/buffers.js'
import { namesOf } from '../../../../lib/rtnetlink/link-names.js'
import { route, rtmsg } from '../../../../lib/rtnetlink/wire/route.js'
import { normalizeRoute, readRoute, routeCommand } from '../../../../lib/rtnetlink/route/fields.js'
import type { RouteSpec, RouteState } from '../../../../lib/rtnetlink/route/spec.js'
import { routeRemovals, routeSteps } from '../../../../lib/rtnetlink/route/routes.js'
import { networkOf, parsePrefix } from '../../../../lib/base/prefix.js'
import { bitsOf, ipv4, ipv6 } from '../../../support/arbitraries.js'

const u32 = fc.nat(0xffffffff)
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> => fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>
const ip = fc.oneof(ipv4, ipv6)

it('what is written is read again', () => {
  const hop = fc.record({
    flags: bitsOf(1, ['dead', 'pervasive', 'onlink', 'offload', 'linkdown', 'unresolved', 'trap']), hops: fc.nat(255), index: fc.nat(0x7fffffff), attributes: some({ gateway: ip, via: ip }),
  })
  fc.assert(fc.property(some({
    dst: ip, src: ip, oif: u32, gateway: ip, priority: u32, prefsrc: ip, metrics: some({ mtu: u32, advmss: u32 }), multipath: fc.array(hop, { maxLength: 4 }), table: u32, via: ip,
    pref: fc.nat(255), nhId: u32,
  }), value => { expect(route.decode(route.encode(value))).toEqual(value) }))
})

it('bytes that are no next hops are refused', () => {
  const bytes = route.encode({ multipath: [{ flags: {}, hops: 0, index: 1, attributes: {} }] })
  new DataView(bytes.buffer).setUint16(4, 9, true)
  expect(() => route.decode(bytes)).toThrow('RTA_MULTIPATH: a next hop claims 9 bytes of 8')
})

it('networks', () => {
  fc.assert(fc.property(fc.oneof(fc.tuple(ipv4, fc.nat(32)), fc.tuple(ipv6, fc.nat(128))), ([text, length]) => {
    const prefix = parsePrefix('', `${text}/${length}`)
    const whole = networkOf(prefix)
    expect(networkOf({ ...prefix, address: whole })).toBe(whole)
    if (length === prefix.length && length === (text.includes(':') ? 128 : 32)) expect(whole).toBe(text)
    if (length === 0) expect(whole).toBe(text.includes(':') ? '::' : '0.0.0.0')
  }))
  expect(networkOf(parsePrefix('', '192.168.60.77/19'))).toBe('192.168.32.0')
  expect(networkOf(parsePrefix('', '2001:db8:ffff::1/33'))).toBe('2001:db8:8000::')
})

const links = namesOf(new Map([[1, { ifname: 'lo' }], [7, { ifname: 'eth0' }], [8, { ifname: 'eth1' }]]))
/** What the kernel would say of a route that was added so. */
const asState = (spec: RouteSpec): RouteState => {
  const { header, attributes } = routeCommand('add', normalizeRoute(spec), links)
  const to = new Output()
  rtmsg.write(to, header, {})
  return readRoute({ header: rtmsg.read(new Input(to.finish()), 0, 12, {}), attributes: route.decode(route.encode(attributes)) }, links)
}
const servers = { to: '192.168.52.0/24', via: '192.168.51.1' } as const

describe('specs', () => {
  it('become commands', () => {
    expect(routeCommand('add', normalizeRoute({ ...servers, link: 'eth0', onlink: true, table: 1000, metric: 5, mtu: 1400, source: '10.0.0.1', protocol: 'static', tos: 8 }), links)).toEqual({
      kind: 'route', verb: 'add', object: 'route 192.168.52.0/24 via 192.168.51.1 dev eth0 table 1000 metric 5',
      header: { family: 'inet', dstLen: 24, srcLen: 0, tos: 8, table: 0, protocol: 'static', scope: 'global', type: 'unicast', flags: { onlink: true } },
      attributes: { dst: '192.168.52.0', table: 1000, priority: 5, prefsrc: '10.0.0.1', metrics: { mtu: 1400 }, gateway: '192.168.51.1', oif: 7 },
    })
    expect(routeCommand('add', normalizeRoute({ to: '10.0.0.0/8', link: 'eth0' }), links).header.scope).toBe('link')
    expect(routeCommand('remove', normalizeRoute({ to: '10.0.0.0/8', link: 'eth0' }), links).header.scope).toBe('nowhere')
    expect(routeCommand('add', normalizeRoute({ to: '10.0.0.0/8', via: 'fe80::1', link: 'eth0' }), links).attributes).toMatchObject({ via: 'fe80::1', oif: 7 })
  })

  it.each<RouteSpec>([
    servers, { ...servers, link: 'eth0', onlink: true }, { to: 'default', via: 'fe80::1', link: 'eth1' }, { to: 'default', link: 'eth0' }, { to: 'default', family: 'inet6', link: 'eth0' },
    { to: '10.0.0.1', link: 'eth0', scope: 'host', tos: 16, table: 'local', advmss: 1000 }, { to: '2001:db8::/32', from: 'fd00::/8', link: 'eth0' },
    { to: '10.0.0.0/8', nexthops: [{ via: '10.0.0.1', weight: 3 }, { via: 'fd00::1', link: 'eth1', weight: 256 }, { link: 'eth0' }, { via: '9.9.9.9', link: 'eth0', onlink: true }] },
    { to: '10.0.0.0/8', nexthops: [{ via: '10.0.0.1' }] }, { to: '10.0.0.0/8', type: 'blackhole' }, { to: '2001:db8::/32', type: 'unreachable', metric: 0 }, { to: '10.0.0.0/8', type: 'prohibit', table: 77777 },
  ])('%j: a state of it is as wanted, and a spec again', spec => {
    const state = asState(spec)
    expect(routeSteps([spec], [state])).toEqual([])
    expect(routeSteps([state as RouteSpec], [state])).toEqual([])
  })

  it.each<[Record<string, unknown>, string]>([
    [{ to: '192.168.60.1/24' }, 'to: 192.168.60.1/24 has bits behind its prefix; the network is 192.168.60.0/24'],
    [{ to: '2001:db8::1/64' }, 'to: 2001:db8::1/64 has bits behind its prefix; the network is 2001:db8::/64'],
    [{ to: '10.0.0.0/33' }, 'to (the prefix\'s length): 33 is not an integer from 0 to 32'],
    [{ to: 'anywhere' }, 'to: "anywhere" is not an IPv4 or IPv6 address'],
    [{ family: 'inet6' }, 'family: 192.168.52.0/24 is inet'],
    [{ via: '0.0.0.0' }, 'via: 0.0.0.0 is the unspecified address'],
    [{ via: '224.0.0.1' }, 'via: 224.0.0.1 is a multicast address'],
    [{ via: 'fd00::1' }, 'link: is required: the gateway fd00::1 does not lead to it'],
    [{ to: 'fd00::/8' }, 'via: IPv6 packets have no IPv4 gateway'],
    [{ via: undefined }, 'via: a next hop has a gateway (via), a link (link), or both'],
    [{ onlink: true }, 'onlink: needs a gateway (via) and its link (link)'],
    [{ link: '..' }, 'link: ".." is not an interface name'],
    [{ type: 'blackhole' }, 'type: blackhole goes nowhere: no via, link, nexthops'],
    [{ type: 'local' }, 'type: "local" is not one of unicast, blackhole, unreachable, prohibit'],
    [{ nexthops: [{ via: '10.0.0.1' }] }, 'nexthops: goes without via, link and onlink'],
    [{ via: undefined, nexthops: [] }, 'nexthops: the list is empty'],
    [{ via: undefined, nexthops: [{ via: '10.0.0.1' }, { via: '10.0.0.2', weight: 0 }] }, 'nexthops[1].weight: 0 is not an integer from 1 to 256'],
    [{ via: undefined, nexthops: [{ weight: 1 }] }, 'nexthops[0].via: a next hop has a gateway (via), a link (link), or both'],
    [{ metric: -1 }, 'metric: -1 is not an integer from 0 to 4294967295'],
    [{ table: 0 }, 'table: 0 is not an integer from 1 to 4294967295'],
    [{ table: 'mine' }, 'table: "mine" is not one of main, local, default'],
    [{ tos: 256 }, 'tos: 256 is not an integer from 0 to 255'],
    [{ to: 'fd00::/8', via: 'fd01::1', tos: 4 }, 'tos: IPv6 has none'],
    [{ from: 'fd00::/8' }, 'from: only IPv6 routes by source'],
    [{ source: 'fd00::1' }, 'source: fd00::1 is of another family than the route'],
    [{ to: 'fd00::/8', via: 'fd01::1', scope: 'link' }, 'scope: IPv6 routes have none but global'],
    [{ mtu: 65521 }, 'mtu: 65521 is not an integer from 68 to 65520'],
    [{ to: 'fd00::/8', via: 'fd01::1', mtu: 1279 }, 'mtu: 1279 is not an integer from 1280 to 65520'],
    [{ advmss: 0 }, 'advmss: 0 is not an integer from 1 to 65495'],
    [{ protocol: 'rip' }, 'protocol: "rip" is not one of unspec, redirect, kernel, boot, static, ra, dhcp, keepalived, bgp, ospf'],
    [{ gateway: '10.0.0.1' }, ': there is no field "gateway"; there are family, type, to'],
  ])('%j is refused', (wrong, message) => {
    expect(() => normalizeRoute({ ...servers, ...wrong })).toThrow(message)
    expect(() => routeSteps([{ to: '10.0.0.0/8', link: 'eth0' }, { ...servers, ...wrong }], [])).toThrow(`routes[1]${message.startsWith(':') ? '' : '.'}${message}`)
  })
})

const shown = (wanted: readonly RouteSpec[], actual: readonly RouteState[]): string[] =>
  routeSteps(wanted, actual).map(({ action, line, why }) => `${action}: ${line}${why === undefined ? '' : ` # ${why}`}`)

describe('steps', () => {
  it('add what is not there, with all that is said', () => {
    expect(shown([
      { ...servers, link: 'eth0', onlink: true, metric: 5, table: 100, scope: 'global', source: '10.0.0.1', mtu: 1400, advmss: 1000, protocol: 'static', tos: 4 },
      { to: 'default', family: 'inet6', link: 'eth0' }, { to: 'default', link: 'eth0' }, { to: '10.0.0.0/8', via: 'fe80::1', link: 'eth0' },
      { to: '10.1.0.0/16', nexthops: [{ via: '10.0.0.1', weight: 2 }, { link: 'eth1' }] }, { to: '2001:db8::/32', type: 'prohibit' },
    ], [])).toEqual([
      'add: ip route add 192.168.52.0/24 tos 0x04 via 192.168.51.1 dev eth0 onlink table 100 metric 5 proto static scope global src 10.0.0.1 mtu 1400 advmss 1000',
      'add: ip -6 route add default dev eth0',
      'add: ip route add default dev eth0',
      'add: ip route add 10.0.0.0/8 via inet6 fe80::1 dev eth0',
      'add: ip route add 10.1.0.0/16 nexthop via 10.0.0.1 weight 2 nexthop dev eth1 weight 1',
      'add: ip route add prohibit 2001:db8::/32',
    ])
  })

  it('replace what leads elsewhere, and nothing else', () => {
    const state = asState({ ...servers, via: '192.168.51.2', link: 'eth0', mtu: 1400 })
    expect(shown([servers], [state])).toEqual(['change: ip route replace 192.168.52.0/24 via 192.168.51.1'])
    for (const other of [{ metric: 1 }, { table: 100 }, { tos: 4 }, { to: '192.168.52.0/25' }]) expect(shown([{ ...servers, ...other }], [state])[0]).toMatch(/^add: /)
    for (const other of [{ via: '192.168.51.3' }, { link: 'eth1' }, { mtu: 1300 }, { source: '1.2.3.4' }, { protocol: 'static' }, { link: 'eth0', onlink: true }] as const) {
      expect(shown([{ ...servers, via: '192.168.51.2', ...other }], [state])[0]).toMatch(/^change: /)
    }
    expect(shown([{ ...servers, via: '192.168.51.2' }], [state])).toEqual([])
    expect(shown([servers], [{ ...state, protocol: 'kernel' }])[0]).toMatch(/in place of the kernel's own/)
  })

  it('of several ways, look at each, in any order', () => {
    const state = asState({ to: '10.0.0.0/8', nexthops: [{ via: '9.0.0.1', link: 'eth0' }, { via: '9.0.0.2', link: 'eth0', weight: 2 }] })
    const wanted = (...nexthops: { via: string; weight?: number }[]): number => shown([{ to: '10.0.0.0/8', nexthops }], [state]).length
    expect(wanted({ via: '9.0.0.2', weight: 2 }, { via: '9.0.0.1' })).toBe(0)
    expect(wanted({ via: '9.0.0.2' }, { via: '9.0.0.1' })).toBe(1)
    expect(wanted({ via: '9.0.0.1' }, { via: '9.0.0.1', weight: 2 })).toBe(1)
    expect(wanted({ via: '9.0.0.1' })).toBe(1)
  })

  it('refuse two that are one to the kernel', () => {
    expect(() => routeSteps([servers, { ...servers, via: '192.168.51.2' }], [])).toThrow(
      'routes[1]: 192.168.52.0/24 via 192.168.51.1 and 192.168.52.0/24 via 192.168.51.2 have one destination and metric; give them two metrics, or one list of nexthops',
    )
    expect(() => routeSteps([{ to: 'fd00::/8', via: 'fd01::1' }, { to: 'fd00::/8', via: 'fd01::2', metric: 1024 }], [])).toThrow('one destination and metric')
  })

  it('survive whatever else the host has', () => {
    const strange = { ...asState(servers), to: 'default', type: 'throw', table: 'main' as const, protocol: 99 }
    expect(shown([servers], [strange])).toEqual(['add: ip route add 192.168.52.0/24 via 192.168.51.1'])
    expect(shown([{ to: 'default', via: '10.0.0.1' }], [strange])).toEqual(['change: ip route replace default via 10.0.0.1'])
  })

  it('remove what is there, by id and by way', () => {
    const states = [asState({ ...servers, link: 'eth0' }), asState({ ...servers, via: '192.168.51.2', link: 'eth0' }), asState({ ...servers, metric: 9 })]
    const lines = (...ids: Parameters<typeof routeRemovals>[0]): string[] => routeRemovals(ids, states).map(step => step.line)
    expect(lines(servers)).toEqual(['ip route del 192.168.52.0/24 via 192.168.51.1 dev eth0 scope global'])
    expect(lines({ to: servers.to })).toHaveLength(2)
    expect(lines({ to: servers.to, metric: 8 })).toEqual([])
  })
})
