/** Routes against the real kernel and `ip`. */

import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SpecError } from '../../../lib/base/check.js'
import { networkOf } from '../../../lib/base/prefix.js'
import { keyOfRoute, normalizeRoute } from '../../../lib/rtnetlink/route/fields.js'
import type { RouteSpec, RouteState } from '../../../lib/rtnetlink/route/spec.js'
import { Routes } from '../../../lib/rtnetlink/route/routes.js'
import { ipv6Of } from '../../support/arbitraries.js'
import { loadIPv6, run } from '../../support/run.js'

const ip = (words: string): string => run('ip', words.split(' ').filter(Boolean))
const batch = (lines: readonly string[]): void => { run('ip', ['-b', '-'], lines.map(line => line.replace(/^ip /, '') + '\n').join('')) }

interface Way {
  gateway?: string
  via?: { host: string }
  dev: string
  weight: number
  flags: string[]
}
interface Row extends Omit<Way, 'weight'> {
  type: string
  dst: string
  from?: string
  tos?: string
  table?: string
  protocol: string
  scope: string
  prefsrc?: string
  metric?: number
  metrics?: { mtu?: number; advmss?: number }[]
  nexthops?: Way[]
}
const numberOr = (text: string): string | number => /^\d+$/.test(text) ? Number(text) : text
const wayOf = ({ gateway, via, dev, flags }: Omit<Way, 'weight'>): object => ({
  ...(gateway ?? via?.host) !== undefined && { via: gateway ?? via?.host }, link: dev, ...flags.includes('onlink') && { onlink: true },
})
/** What `ip` shows of a route, as a state. */
const stateOf = (family: string, row: Row): RouteState => ({
  to: row.dst, family, type: row.type, table: numberOr(row.table ?? 'main'), metric: row.metric ?? 0, scope: numberOr(row.scope), protocol: numberOr(row.protocol),
  dead: row.flags.includes('dead') || row.flags.includes('linkdown'),
  ...row.tos !== undefined && { tos: Number(row.tos) }, ...row.from !== undefined && { from: row.from }, ...row.prefsrc !== undefined && { source: row.prefsrc },
  ...Object.assign({}, ...row.metrics ?? []) as object,
  ...row.nexthops ? { nexthops: row.nexthops.map(way => ({ ...wayOf(way), weight: way.weight })) } : /blackhole|unreachable|prohibit/.test(row.type) ? {} : wayOf(row),
} as RouteState)
const shown = (): RouteState[] => ['inet', 'inet6'].flatMap(family => (JSON.parse(ip(`-d -j ${family === 'inet' ? '-4' : '-6'} route show table all`)) as Row[])
  .map(row => stateOf(family, row)))
const show = (): string => ip('-d route show table all') + ip('-d -6 route show table all')

let routes: Routes
let before: string
beforeAll(async () => {
  loadIPv6()
  routes = await Routes.open()
})
afterAll(() => routes.close())
beforeEach(() => {
  batch(['r0', 'r1'].flatMap((link, i) => [
    `link add ${link} type dummy`, `link set ${link} addrgenmode none`, `link set ${link} up`,
    `addr add 10.60.${i}.1/24 dev ${link}`, `addr add fd60:${i}::1/64 dev ${link} nodad`,
  ]))
  before = show()
})
afterEach(() => batch(['link del r0', 'link del r1']))

// ── random routes ──

const number = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> => fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>
const link = fc.constantFrom(0, 1)
const common = { table: fc.constantFrom('main' as const, 'default' as const, 100, 77777), advmss: number(65495), protocol: fc.constantFrom('boot' as const, 'static' as const, 'bgp' as const, 77) }

const way4 = fc.oneof(
  link.map(i => ({ link: `r${i}` })),
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `10.60.${i}.${n + 1}` })),
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `10.60.${i}.${n + 1}`, link: `r${i}` })),
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `10.99.${i}.${n}`, link: `r${i}`, onlink: true })),
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `fd60:${i}::${(n + 1).toString(16)}`, link: `r${i}` })),
)
const way6 = fc.oneof(
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `fd60:${i}::${(n + 1).toString(16)}` })),
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `fd60:${i}::${(n + 1).toString(16)}`, link: `r${i}` })),
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `fe80::${(n + 1).toString(16)}`, link: `r${i}` })),
  fc.tuple(link, number(200)).map(([i, n]) => ({ via: `fd99:${i}::${n.toString(16)}`, link: `r${i}`, onlink: true })),
)
const weighted = <T extends object>(way: fc.Arbitrary<T>): fc.Arbitrary<{ nexthops: (T & { weight?: number })[] }> => fc.uniqueArray(
  fc.tuple(way, fc.option(number(256))), { minLength: 2, maxLength: 4, selector: ([each]) => 'via' in each ? each.via : JSON.stringify(each) },
).map(ways => ({ nexthops: ways.map(([each, weight]) => ({ ...each, ...weight !== null && { weight } })) }))
const nowhere = fc.constantFrom('blackhole' as const, 'unreachable' as const, 'prohibit' as const).map(type => ({ type }))

const to4 = fc.tuple(fc.array(fc.nat(255), { minLength: 3, maxLength: 3 }), number(31)).map(([bytes, n]) => {
  const length = n + 1
  return `${networkOf({ family: 'inet', address: [20, ...bytes].join('.'), length })}/${length}`
})
const to6 = fc.tuple(fc.array(fc.nat(0xffff), { minLength: 7, maxLength: 7 }), number(127)).map(([groups, n]) => {
  const length = n + 1
  return `${networkOf({ family: 'inet6', address: ipv6Of([0x2001, ...groups]), length })}/${length}`
})
const v4 = fc.tuple(fc.oneof({ weight: 9, arbitrary: to4 }, { weight: 1, arbitrary: fc.constant('default') }), fc.oneof(way4, way4, weighted(way4), nowhere), some({
  ...common, mtu: fc.integer({ min: 68, max: 65520 }), metric: fc.nat(0xffffffff), tos: fc.constantFrom(0, 4, 8, 0x10, 0x1c),
  source: fc.constantFrom('10.60.0.1', '10.60.1.1', '127.0.0.1'),
})).map(([to, way, more]): RouteSpec => ({ to, family: 'inet' as const, ...way, ...more }))
const v6 = fc.tuple(fc.oneof({ weight: 9, arbitrary: to6 }, { weight: 1, arbitrary: fc.constant('default') }),
  fc.oneof(way6, link.map(i => ({ link: `r${i}` })), weighted(way6), nowhere), some({
    ...common, mtu: fc.integer({ min: 1280, max: 65520 }), metric: fc.nat(0xffffffff), source: fc.constantFrom('fd60:0::1', 'fd60:1::1'),
    from: fc.constantFrom('fd77::/16', 'fd60::7'),
  })).map(([to, way, more]): RouteSpec => ({ to, family: 'inet6' as const, ...way, ...more }))

const sample = (seed: number, count: number): RouteSpec[] => {
  const found = new Map(fc.sample<RouteSpec>(fc.oneof(v4, v6), { seed, numRuns: count * 2 }).map(spec => [keyOfRoute(normalizeRoute(spec)), spec]))
  return [...found.values()].slice(0, count)
}

/** A spec's fields as a state of it should have them, but for links that the kernel finds. */
function expected(spec: RouteSpec): object {
  const { nexthops, tos, ...rest } = normalizeRoute(spec)
  return {
    ...rest, ...tos !== 0 && { tos },
    ...nexthops && { nexthops: expect.arrayContaining(nexthops.map(({ onlink, ...way }) => expect.objectContaining({ ...way, ...onlink && { onlink } }) as object)) as object },
  }
}
const keyed = (all: readonly RouteState[]): RouteState[] => all.toSorted((a, b) => keyOfRoute(a).localeCompare(keyOfRoute(b)) || (a.link ?? '').localeCompare(b.link ?? ''))

describe('random routes', () => {
  it.each([1, 2])('%#: are written as `ip` shows them, are read as `ip` shows them, and are there when planned again', async seed => {
    const specs = sample(seed, 120)
    expect(specs.length).toBeGreaterThanOrEqual(100)
    const plan = await routes.plan(specs)
    expect(plan.steps).toHaveLength(specs.length)
    await plan.apply()
    expect(String(await routes.plan(specs))).toBe('')
    const [seen, listed] = [shown(), await routes.list()]
    for (const spec of specs) {
      const key = keyOfRoute(normalizeRoute(spec))
      for (const all of [seen, listed]) expect(all.filter(state => keyOfRoute(state) === key)).toMatchObject([expected(spec)])
    }
    expect(keyed(listed)).toEqual(keyed(seen))
    await plan.revert()
    expect(show()).toBe(before)
  })

  it.each([3, 4])('%#: as `ip` writes them from the plan\'s lines are those that the plan writes', async seed => {
    const specs = sample(seed, 110).map((spec): RouteSpec => ({ ...spec, ...typeof spec.protocol === 'number' && { protocol: 'ospf' } })) // ip -b mixes up numbers
    const plan = await routes.plan(specs)
    await plan.apply()
    const ours = keyed(await routes.list())
    await plan.revert()
    // `ip -b` has no options within; a default route over a link alone needs -6.
    for (const family of ['-4', '-6']) {
      const lines = plan.steps.filter((_, i) => (normalizeRoute(specs[i]!).family === 'inet6') === (family === '-6')).map(step => step.line)
      run('ip', [family, '-b', '-'], lines.map(line => line.replace(/^ip (-6 )?/, '') + '\n').join(''))
    }
    expect(keyed(await routes.list())).toEqual(ours)
    expect((await routes.plan(specs)).empty).toBe(true)
    await (await routes.planRemoval(specs)).apply()
    expect(show()).toBe(before)
  })

  it('are changed, whatever is changed of them, and are as before when that is taken back', async () => {
    const specs = sample(5, 100)
    await (await routes.plan(specs)).apply()
    const was = keyed(await routes.list())
    const others = fc.sample(fc.tuple(v4, v6), { seed: 6, numRuns: specs.length })
    const changed = specs.map((spec, i): RouteSpec => {
      const { to, family, table, metric, tos, from } = normalizeRoute(spec)
      const { to: _, family: __, table: ___, metric: ____, tos: _____, from: ______, ...rest } = others[i]![family === 'inet' ? 0 : 1]
      return { ...rest, to, family, table, metric, tos, ...from !== undefined && { from } }
    })
    const plan = await routes.plan(changed)
    expect(plan.steps.length).toBeGreaterThan(90)
    await plan.apply()
    expect(String(await routes.plan(changed))).toBe('')
    await plan.revert()
    expect(keyed(await routes.list())).toEqual(was)
  })
})

const servers = { to: '192.168.52.0/24', via: '10.60.0.2' } as const

describe('verbs', () => {
  it('a hundred times wanted, once created', async () => {
    for (let i = 0; i < 100; i++) await (await routes.plan([servers])).apply()
    expect(shown().filter(row => row.to === servers.to)).toHaveLength(1)
  })

  it('adds, reads, changes, looks up and removes', async () => {
    await routes.add({ ...servers, metric: 5, mtu: 1400 })
    expect(await routes.get({ to: servers.to, metric: 5 })).toMatchObject({ ...servers, link: 'r0', metric: 5, mtu: 1400, protocol: 'boot', table: 'main', dead: false })
    await routes.change({ to: servers.to, via: '10.60.1.2', metric: 5 })
    expect(await routes.list({ to: servers.to, table: 'main', link: 'r1', family: 'inet', protocol: 'boot' })).toHaveLength(1)
    expect(await routes.lookup('192.168.52.9')).toMatchObject({ to: '192.168.52.9', via: '10.60.1.2', link: 'r1', source: '10.60.1.1', table: 'main' })
    expect(await routes.lookup('fd60:1::7')).toMatchObject({ to: 'fd60:1::7', link: 'r1', family: 'inet6' })
    expect(await routes.lookup('10.60.1.1')).toMatchObject({ type: 'local' })
    await routes.remove({ to: servers.to, metric: 5 })
    expect(show()).toBe(before)
  })

  it('says why the kernel refuses', async () => {
    await expect(routes.add({ to: '192.168.60.0/24', via: '192.168.9.1' })).rejects.toMatchObject({
      name: 'NetlinkError', code: 'ENETUNREACH', request: 'rtnetlink add route', object: 'route 192.168.60.0/24 via 192.168.9.1',
      message: expect.stringMatching(/^cannot add route 192\.168\.60\.0\/24 via 192\.168\.9\.1: the gateway is not reachable over any link.*\(ENETUNREACH\)$/) as string,
    })
    await routes.add(servers)
    await expect(routes.add(servers)).rejects.toMatchObject({ code: 'EEXIST' })
    await expect(routes.add({ ...servers, via: '10.60.1.2' })).rejects.toMatchObject({ code: 'EEXIST', message: expect.stringMatching(/change it instead/) as string })
    await expect(routes.add({ to: 'fd61::/64', via: 'fd99::1' })).rejects.toMatchObject({ code: 'EHOSTUNREACH', message: expect.stringMatching(/gateway is not reachable/) as string })
    await expect(routes.add({ to: 'fd61::/64', via: 'fd60:0::1' })).rejects.toMatchObject({ code: 'EINVAL', message: expect.stringMatching(/the gateway must not/) as string })
    await expect(routes.add({ to: '10.9.0.0/16', link: 'r0', source: '9.9.9.9' })).rejects.toMatchObject({ code: 'EINVAL', message: expect.stringMatching(/source/) as string })
    await expect(routes.add({ to: '10.9.0.0/16', link: 'nowhere' })).rejects.toMatchObject({
      code: 'ENODEV', message: 'cannot add route 10.9.0.0/16 dev nowhere: there is no link nowhere in this network namespace (ENODEV)',
    })
    await expect(routes.change({ to: '10.9.0.0/16', link: 'r0' })).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(routes.lookup('99.9.9.9')).rejects.toMatchObject({ code: 'ENETUNREACH', message: 'cannot read route to 99.9.9.9: no route leads there (ENETUNREACH)' })
    ip('link set r1 down')
    for (const to of ['10.9.0.0/16', 'fd61::/64']) {
      await expect(routes.add({ to, link: 'r1' })).rejects.toMatchObject({ code: 'ENETDOWN', message: expect.stringMatching(/the link is down/) as string })
    }
  })

  it('removes nothing but what is meant', async () => {
    await routes.add({ ...servers, metric: 100 })
    await expect(routes.remove(servers)).rejects.toMatchObject({
      code: 'ESRCH', message: 'cannot remove route 192.168.52.0/24 via 10.60.0.2: it does not exist (ESRCH)',
    })
    await expect(routes.remove({ to: servers.to })).rejects.toMatchObject({ code: 'ESRCH' }) // `ip route del` takes the one of metric 100
    expect((await routes.planRemoval([servers])).empty).toBe(true)
    expect(await routes.list({ to: servers.to })).toHaveLength(1)
    ip('route append 192.168.52.0/24 via 10.60.1.2 metric 100')
    await expect(routes.remove({ to: servers.to, metric: 100 })).rejects.toThrow(SpecError)
    await routes.remove({ to: servers.to, metric: 100, via: '10.60.1.2' })
    expect(await routes.list({ to: servers.to })).toMatchObject([servers])
  })
})

describe('plans', () => {
  it('replace, and never put a second route before the first', async () => {
    ip('route add 192.168.52.0/24 via 10.60.1.2')
    const plan = await routes.plan([servers])
    expect(String(plan)).toBe('~ ip route replace 192.168.52.0/24 via 10.60.0.2')
    await plan.apply()
    expect(await routes.list({ to: servers.to })).toMatchObject([servers])
    await plan.revert()
    expect(await routes.list({ to: servers.to })).toMatchObject([{ via: '10.60.1.2' }])
  })

  it('remove what hides the route that is wanted', async () => {
    ip('route add 192.168.52.0/24 via 10.60.0.2')
    ip('route prepend 192.168.52.0/24 via 10.60.1.2')
    const plan = await routes.plan([servers])
    expect(String(plan)).toBe('- ip route del 192.168.52.0/24 via 10.60.1.2 dev r1 scope global   # with the same destination and metric, it goes before the wanted one')
    await plan.apply()
    expect(await routes.list({ to: servers.to })).toMatchObject([servers])
    expect((await routes.plan([servers])).empty).toBe(true)
    ip('route append 192.168.52.0/24 via 10.60.1.2')
    expect((await routes.plan([servers])).empty).toBe(true) // it is hidden itself
  })

  it('bring routes back that went with their link', async () => {
    const specs: RouteSpec[] = [servers, { to: 'fd61::/64', via: 'fd60:0::2' }, { to: '10.70.0.0/16', nexthops: [{ via: '10.60.0.2' }, { via: '10.60.1.2', weight: 2 }] }]
    const plan = await routes.plan(specs)
    await plan.apply()
    batch(['link set r0 down', 'link set r0 up', 'addr add fd60:0::1/64 dev r0 nodad'])
    const again = await routes.plan(specs)
    expect(again.steps.length).toBeGreaterThanOrEqual(2)
    await again.apply()
    expect((await routes.plan(specs)).empty).toBe(true)
    batch(['link set r0 down', 'link set r0 up', 'addr add fd60:0::1/64 dev r0 nodad'])
    await plan.revert() // though some are gone
    expect(await routes.list({ to: servers.to })).toEqual([])
  })

  it('leave the kernel\'s own IPv6 routes to a network alone', async () => {
    batch(['addr add fd62::1/64 dev r1 nodad'])
    const wanted = { to: 'fd62::/64', link: 'r0', metric: 256 } as const
    const plan = await routes.plan([wanted])
    await plan.apply()
    expect((await routes.list({ to: 'fd62::/64' })).map(state => state.link).sort()).toEqual(['r0', 'r1'])
    expect((await routes.plan([wanted])).empty).toBe(true)
    await plan.revert()
    expect((await routes.list({ to: 'fd62::/64' })).map(state => state.link)).toEqual(['r1'])
  })
})

describe('attributes that specs do not have', () => {
  const look = (): string => ip('-d route show 198.51.100.0/24') + ip('-d -6 route show 2001:db8:9::/48')
  const all = 'realm 5 initcwnd 20 rto_min 7ms congctl reno mtu lock 1400 quickack 1'
  const to = '198.51.100.0/24'

  it('stay when a route is changed, replaced and planned, and come back by a revert', async () => {
    batch([`route add ${to} via 10.60.0.2 ${all}`, 'route add 2001:db8:9::/48 via fd60:0::2 pref high initrwnd 9'])
    const first = look()
    await routes.change({ to, advmss: 1000 })
    expect(look()).toBe(first.replace('mtu lock 1400', 'mtu lock 1400 advmss 1000'))
    await routes.change({ to, via: '10.60.0.3' })
    for (const words of ['realm 5', 'initcwnd 20', 'rto_min', 'congctl reno', 'via 10.60.0.3']) expect(look()).toContain(words)
    await routes.replace({ to, via: '10.60.0.2', mtu: 1400 })
    expect(look()).toBe(first)
    const plan = await routes.plan([{ to, via: '10.60.0.4' }, { to: '2001:db8:9::/48', via: 'fd60:0::4' }])
    expect(plan.steps.map(({ action }) => action)).toEqual(['change', 'change'])
    await plan.apply()
    expect(look()).toMatch(/via 10\.60\.0\.4[^]*congctl reno[^]*via fd60::4[^]*initrwnd 9 pref high/)
    await plan.revert()
    expect(look()).toBe(first)
    const removal = await routes.planRemoval([{ to }, { to: '2001:db8:9::/48' }])
    await removal.apply()
    expect(look()).toBe('')
    await removal.revert()
    expect(look()).toBe(first)
  })

  it('a route whose packets are wrapped is not as wanted', async () => {
    run('modprobe', ['-a', 'mpls_iptunnel', 'mpls_router'])
    batch([`route add ${to} encap mpls 100 via 10.60.0.2 dev r0`])
    const first = look()
    const [state] = await routes.list({ to })
    expect((await routes.plan([state as RouteSpec])).steps).toEqual([])
    await routes.change({ to, mtu: 1300 })
    expect(look()).toMatch(/encap mpls +100 .*mtu 1300/)
    await routes.replace(state as RouteSpec)
    expect(look()).toBe(first)
    const plan = await routes.plan([{ to, via: '10.60.0.2', link: 'r0' }])
    await plan.apply()
    expect(look()).not.toContain('encap')
    await plan.revert()
    expect(look()).toBe(first)
  })

  it('the nexthop object stays while the next hop does', async () => {
    batch(['nexthop add id 7 via 10.60.0.2 dev r0', `route add ${to} nhid 7`])
    const first = look()
    expect((await routes.plan([{ to, via: '10.60.0.2' }])).steps).toEqual([])
    await routes.change({ to, mtu: 1300 })
    expect(look()).toMatch(/nhid 7 .*mtu 1300/)
    const plan = await routes.plan([{ to, via: '10.60.0.3', mtu: 1300 }])
    await plan.apply()
    expect(look()).not.toContain('nhid')
    await plan.revert()
    expect(look()).toBe(first.replace('scope global', 'scope global mtu 1300'))
    await (await routes.planRemoval([{ to }])).apply()
    expect(look()).toBe('')
    batch(['nexthop del id 7'])
  })
})
