/** Neighbours and forwarding databases against the real kernel, `ip` and `bridge`. */

import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { keyOfForwarding, normalizeForwarding, type ForwardingSpec, type ForwardingState } from '../../../lib/rtnetlink/neighbour/forwarding.js'
import { keyOfNeighbour, normalizeNeighbour, type IpNeighbourSpec, type IpNeighbourState } from '../../../lib/rtnetlink/neighbour/spec.js'
import { Neighbours } from '../../../lib/rtnetlink/neighbour/neighbours.js'
import { loadIPv6, run } from '../../support/run.js'

const ip = (words: string): string => run('ip', words.split(' ').filter(Boolean))
const bridge = (words: string): string => run('bridge', words.split(' ').filter(Boolean))
const batch = (program: string, lines: readonly string[]): void => { run(program, ['-b', '-'], lines.map(line => line.replace(/^(ip|bridge) /, '') + '\n').join('')) }

interface Row {
  dst: string
  dev: string
  lladdr?: string
  state?: string[]
  router?: null
  proxy?: null
  extern_learn?: null
  protocol?: string
}
const PROTOCOLS: Record<string, number> = { static: 4, ospf: 188 }
const stateOf = ({ dst, dev, lladdr, state = ['NONE'], router, proxy, extern_learn, protocol }: Row): IpNeighbourState => ({
  address: dst, link: dev, family: dst.includes(':') ? 'inet6' : 'inet', proxy: proxy === null, ...lladdr !== undefined && { lladdr },
  state: state[0]!.toLowerCase() as IpNeighbourState['state'], router: router === null, external: extern_learn === null,
  ...protocol !== undefined && { protocol: PROTOCOLS[protocol] ?? Number(protocol) },
})
const shownNeighbours = (): IpNeighbourState[] => (JSON.parse(`[${[ip('-d -j neigh show nud all'), ip('-d -j neigh show proxy'), ip('-d -j -6 neigh show proxy')]
  .map(text => text.trim().slice(1, -1)).filter(Boolean).join(',')}]`) as Row[]).map(stateOf)
  .filter((state, i, all) => all.findIndex(other => keyOfNeighbour(other) === keyOfNeighbour(state)) === i)

interface FdbRow {
  mac: string
  ifname: string
  vlan?: number
  dst?: string
  port?: number
  vni?: number
  src_vni?: number
  viaIf?: string
  flags: string[]
  master?: string
  state: string
}
const forwardingOf = ({ mac, ifname, vlan, dst, port, vni, src_vni, viaIf, flags, master, state }: FdbRow): ForwardingState => ({
  lladdr: mac, link: ifname, at: master === undefined || master === ifname ? 'self' : 'master', state: (state || 'dynamic') as ForwardingState['state'],
  ...vlan !== undefined && { vlan }, ...dst !== undefined && { dst }, ...port !== undefined && { port }, ...vni !== undefined && { vni },
  ...src_vni !== undefined && { srcVni: src_vni }, ...viaIf !== undefined && { via: viaIf },
  sticky: flags.includes('sticky'), external: flags.includes('extern_learn'), ...master !== undefined && { bridge: master },
})
const shownForwarding = (): ForwardingState[] => (JSON.parse(bridge('-d -j fdb show')) as FdbRow[]).map(forwardingOf)
const untunnelled = (state: ForwardingState): ForwardingState => {
  const { tunnel: _, ...rest } = state
  return rest
}
const multicastless = (state: IpNeighbourState): boolean => !state.address.startsWith('ff')
const show = (): string => [ip('neigh show nud all'), ip('neigh show proxy'), bridge('-d fdb show')].join('\n').split('\n')
  .filter(line => !line.startsWith('ff02::')).sort().join('\n') // where the kernel has sent multicast, it remembers

let neighbours: Neighbours
let before: string
beforeAll(async () => {
  loadIPv6()
  neighbours = await Neighbours.open()
})
afterAll(() => neighbours.close())
beforeEach(() => {
  batch('ip', [
    'link add n0 type veth peer name n1', 'link add n2 type dummy', 'link add nb type bridge vlan_filtering 0 mcast_snooping 0',
    ...['n0', 'n1', 'n2', 'nb'].map(link => `link set ${link} addrgenmode none`),
    'link set n1 master nb', 'link set n2 master nb', 'addr add 10.70.0.1/24 dev n0',
    'link add vx4 type vxlan id 42 dstport 4789 local 10.70.0.1', 'link add vx6 type vxlan id 43 dstport 4790 local fd70::1 udp6zerocsumrx',
    'link add vxe type vxlan external dstport 4791', ...['vx4', 'vx6', 'vxe'].map(link => `link set ${link} addrgenmode none`),
    ...['n0', 'n1', 'n2', 'nb', 'vx4', 'vx6', 'vxe'].map(link => `link set ${link} up`),
  ])
  for (const link of ['n1', 'n2']) bridge(`link set dev ${link} learning off`)
  before = show()
})
afterEach(() => batch('ip', ['n0', 'n2', 'nb', 'vx4', 'vx6', 'vxe'].map(link => `link del ${link}`)))

// ── random ones ──

const number = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> => fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>
const hex = (n: number): string => n.toString(16).padStart(2, '0')
const mac = fc.array(fc.nat(255), { minLength: 5, maxLength: 5 }).map(bytes => ['02', ...bytes.map(hex)].join(':'))

const address = fc.oneof(fc.tuple(fc.nat(255), number(254)).map(([a, b]) => `10.70.${a}.${b}`), fc.tuple(number(0xffff), number(0xffff)).map(([a, b]) => `fd70::${a.toString(16)}:${b.toString(16)}`))
const neighbour = fc.tuple(address, fc.constantFrom('n0', 'n1', 'nb'), mac, some({
  state: fc.constantFrom('permanent' as const, 'noarp' as const, 'reachable' as const, 'stale' as const), protocol: fc.constantFrom(0, 4, 77, 188), router: fc.boolean(),
}), fc.nat(3)).map(([address, link, lladdr, { router, ...more }, n]): IpNeighbourSpec => n === 0
  ? { address, link, proxy: true, ...more.protocol !== undefined && { protocol: more.protocol } }
  : { address, link, lladdr, ...more, ...address.includes(':') && router !== undefined && { router } })

const state = fc.constantFrom('permanent' as const, 'static' as const, 'dynamic' as const)
const end4 = number(254).map(n => `10.70.1.${n}`)
const end6 = number(0xffff).map(n => `fd70::${n.toString(16)}`)
const towards = some({ state, port: fc.constantFrom(4789, 5000, 65535), vni: fc.constantFrom(42, 1, 0xffffff), via: fc.constantFrom('n0', 'n2') })
const forwarding: fc.Arbitrary<ForwardingSpec> = fc.oneof(
  fc.tuple(mac, fc.constantFrom('n1', 'n2'), some({ state, sticky: fc.boolean() })).map(([lladdr, link, { state, sticky }]) => ({
    lladdr, link, at: 'master' as const, ...state !== undefined && { state }, ...sticky !== undefined && (state === 'static' || state === 'dynamic') && { sticky },
  })),
  fc.tuple(mac, fc.constantFrom('n0', 'n2', 'nb')).map(([lladdr, link]) => ({ lladdr, link })),
  fc.tuple(mac, end4, towards).map(([lladdr, dst, more]) => ({ lladdr, link: 'vx4', dst, ...more })),
  fc.tuple(mac, end6, towards).map(([lladdr, dst, more]) => ({ lladdr, link: 'vx6', dst, ...more })),
  fc.tuple(mac, end4, number(0xffffff), towards).map(([lladdr, dst, srcVni, more]) => ({ lladdr, link: 'vxe', dst, srcVni, ...more })),
  fc.tuple(fc.constantFrom('00:00:00:00:00:00', '33:33:00:00:00:42'), end4, towards).map(([lladdr, dst, { state: _, ...more }]) => ({ lladdr, link: 'vx4', dst, ...more })),
)
const neighbourSample = (seed: number, count: number): IpNeighbourSpec[] =>
  [...new Map(fc.sample(neighbour, { seed, numRuns: count + 20 }).map(spec => [keyOfNeighbour(spec), spec])).values()].slice(0, count)
const forwardingSample = (seed: number, count: number): ForwardingSpec[] => {
  const own = (spec: ForwardingSpec): ForwardingSpec => spec.link === 'vx4' ? { port: 4789, vni: 42, ...spec } : spec
  return [...new Map(fc.sample(forwarding, { seed, numRuns: count + 30 }).map(spec => [keyOfForwarding(normalizeForwarding(own(spec))), spec])).values()].slice(0, count)
}
/** A spec's fields as a state of it should have them: what is the tunnel's own is not said. */
const expected = ({ port, vni, ...spec }: ForwardingSpec): object => {
  const own = { vx4: [4789, 42], vx6: [4790, 43], vxe: [4791, 0] }[spec.link] ?? []
  return { at: 'self', state: 'permanent', ...spec, ...port !== undefined && port !== own[0] && { port }, ...vni !== undefined && vni !== own[1] && { vni } }
}
const sorted = <T extends object>(all: readonly T[]): T[] => all.toSorted((a, b) => order(a).localeCompare(order(b)))
const order = (each: object): string => JSON.stringify(Object.entries(each).sort())

describe('random neighbours', () => {
  it.each([1, 2])('%#: are written as `ip` shows them, are read as `ip` shows them, and are there when planned again', async seed => {
    const specs = neighbourSample(seed, 120)
    expect(specs.length).toBeGreaterThanOrEqual(100)
    const plan = await neighbours.plan(specs)
    await plan.apply()
    expect(String(await neighbours.plan(specs))).toBe('')
    const listed = [...await neighbours.list({ kind: 'neighbour' }), ...await neighbours.list({ kind: 'proxy' })] as IpNeighbourState[]
    const shown = shownNeighbours()
    for (const spec of specs) {
      const { protocol, ...said } = normalizeNeighbour(spec)
      for (const all of [shown, listed]) {
        const own = all.find(each => keyOfNeighbour(each) === keyOfNeighbour(spec))
        expect(own).toMatchObject({ ...said, ...protocol && { protocol } })
      }
    }
    expect(sorted(listed.filter(multicastless))).toEqual(sorted(shown.filter(multicastless)))
    await plan.revert()
    expect(show()).toBe(before)

    // The reverse: what `ip` writes from the plan's lines.
    batch('ip', plan.steps.map(step => step.line))
    expect((await neighbours.plan(specs)).empty).toBe(true)
    const removal = await neighbours.planRemoval(specs)
    await removal.apply()
    expect(show()).toBe(before)
    await removal.revert()
    expect((await neighbours.plan(specs)).empty).toBe(true)
    batch('ip', removal.steps.map(step => step.line))
    expect(show()).toBe(before)
  })
})

describe('random forwarding entries', () => {
  it.each([1, 2])('%#: are written as `bridge` shows them, are read as `bridge` shows them, and are there when planned again', async seed => {
    const specs = forwardingSample(seed, 120)
    expect(specs.length).toBeGreaterThanOrEqual(100)
    const plan = await neighbours.plan(specs)
    expect(plan.steps).toHaveLength(specs.length)
    await plan.apply()
    expect(String(await neighbours.plan(specs))).toBe('')
    const listed = (await neighbours.list({ kind: 'forwarding' }) as ForwardingState[]).map(untunnelled)
    const shown = shownForwarding()
    for (const spec of specs) for (const all of [shown, listed]) expect(all).toContainEqual(expect.objectContaining(expected(spec)))
    expect(sorted(listed)).toEqual(sorted(shown))
    await plan.revert()
    expect(show()).toBe(before)

    batch('bridge', plan.steps.map(step => step.line))
    expect(String(await neighbours.plan(specs))).toBe('')
    const removal = await neighbours.planRemoval(specs)
    await removal.apply()
    expect(show()).toBe(before)
    await removal.revert()
    expect((await neighbours.plan(specs)).empty).toBe(true)
    batch('bridge', removal.steps.map(step => step.line))
    expect(show()).toBe(before)
  })

  it('are changed, and are as before when that is taken back', async () => {
    const specs = forwardingSample(3, 100).filter(spec => spec.lladdr.startsWith('02'))
    await (await neighbours.plan(specs)).apply()
    const was = show()
    const other = { master: { n1: 'n2', n2: 'n1' } as Record<string, string>, dst: { vx4: '10.70.2.1', vx6: 'fd70::9999', vxe: '10.70.2.2' } as Record<string, string> }
    const changed = specs.filter(spec => spec.at === 'master' || spec.dst !== undefined)
      .map((spec): ForwardingSpec => spec.at === 'master' ? { ...spec, link: other.master[spec.link]! } : { ...spec, dst: other.dst[spec.link]! })
    const plan = await neighbours.plan(changed)
    expect(plan.steps.map(step => step.action)).toEqual(changed.map(() => 'change'))
    await plan.apply()
    expect(String(await neighbours.plan(changed))).toBe('')
    await plan.revert()
    expect(show()).toBe(was)
  })
})

const server = { address: '10.70.0.9', link: 'n0', lladdr: '02:00:00:00:00:09' } as const
const flood = { lladdr: '00:00:00:00:00:00', link: 'vx4', dst: '10.70.0.21' } as const

describe('verbs', () => {
  it('a hundred times wanted, once created', async () => {
    for (let i = 0; i < 100; i++) await (await neighbours.plan([server, flood])).apply()
    expect(shownNeighbours().filter(state => state.address === server.address)).toHaveLength(1)
    expect(shownForwarding().filter(state => state.lladdr === flood.lladdr)).toHaveLength(1)
  })

  it('add, read, change and remove', async () => {
    await neighbours.add(server)
    expect(await neighbours.get(server)).toEqual({ ...server, family: 'inet', proxy: false, state: 'permanent', router: false, external: false })
    await neighbours.change({ ...server, lladdr: '02:00:00:00:00:0A' })
    expect(await neighbours.list({ link: 'n0', kind: 'neighbour' })).toMatchObject([{ ...server, lladdr: '02:00:00:00:00:0a' }])
    await neighbours.remove(server)
    await neighbours.add(flood)
    await neighbours.add({ ...flood, dst: '10.70.0.22' })
    expect(await neighbours.get(flood)).toMatchObject({ ...flood, tunnel: { port: 4789, vni: 42 } })
    await neighbours.change(flood)
    for (const dst of ['10.70.0.21', '10.70.0.22']) await neighbours.remove({ ...flood, dst })
    expect(show()).toBe(before)
  })

  it('say why the kernel refuses, and no OK for nothing', async () => {
    await neighbours.add(server)
    await expect(neighbours.add(server)).rejects.toMatchObject({
      name: 'NetlinkError', code: 'EEXIST', request: 'rtnetlink add neighbour', object: 'neighbour 10.70.0.9 dev n0',
      message: 'cannot add neighbour 10.70.0.9 dev n0: it exists already, or the kernel is resolving the address; change it instead (EEXIST)',
    })
    const missing = { ...server, address: '10.70.0.10' }
    await expect(neighbours.remove(missing)).rejects.toMatchObject({ code: 'ENOENT', message: 'cannot remove neighbour 10.70.0.10 dev n0: it does not exist (ENOENT)' })
    await expect(neighbours.change(missing)).rejects.toMatchObject({ code: 'ENOENT' })
    await expect(neighbours.add({ ...missing, lladdr: '02:00:00' })).rejects.toMatchObject({ code: 'EINVAL', message: expect.stringMatching(/link-layer address/) as string })
    await expect(neighbours.add({ ...server, link: 'nowhere' })).rejects.toMatchObject({ code: 'ENODEV', message: expect.stringMatching(/there is no link nowhere/) as string })
    const proxy = { address: '10.70.0.11', link: 'n0', proxy: true } as const
    await neighbours.add(proxy)
    await expect(neighbours.add(proxy)).rejects.toMatchObject({ code: 'EEXIST' }) // the kernel says OK
    await neighbours.add(flood)
    await expect(neighbours.add(flood)).rejects.toMatchObject({ code: 'EEXIST' }) // and here
    const far = { lladdr: '02:00:00:00:00:77', link: 'vx4', dst: '10.70.0.30' }
    await neighbours.add(far)
    await expect(neighbours.remove({ ...far, dst: '10.70.0.31' })).rejects.toMatchObject({ code: 'ENOENT' }) // and here
    await expect(neighbours.add({ ...far, lladdr: '02:00:00:00:00:78', dst: 'fd70::1' })).rejects.toMatchObject({ code: 'EAFNOSUPPORT' })
    await expect(neighbours.add({ lladdr: '02:00:00:00:00:79', link: 'n0', at: 'master' })).rejects.toMatchObject({
      code: 'EOPNOTSUPP', message: expect.stringMatching(/must be a port of a bridge/) as string,
    })
  })

  it('set what the kernel has looked for in vain', async () => {
    run('sh', ['-c', 'ip neigh add 10.70.0.9 dev n0 2>/dev/null || true']) // refused, and yet there, in no state
    expect(await neighbours.get(server)).toMatchObject({ state: 'none' })
    const plan = await neighbours.plan([server])
    expect(String(plan)).toBe('~ ip neigh replace 10.70.0.9 lladdr 02:00:00:00:00:09 dev n0   # the kernel is looking for it')
    await plan.apply()
    expect((await neighbours.plan([server])).empty).toBe(true)
    await plan.revert()
    expect(shownNeighbours().filter(state => state.address === server.address)).toEqual([])
  })

  it('know the VLANs of a bridge', async () => {
    ip('link set nb type bridge vlan_filtering 1')
    for (const link of ['n1', 'n2']) bridge(`vlan add vid 5 dev ${link}`)
    const [all, five] = [{ lladdr: '02:00:00:00:00:50', link: 'n1', at: 'master', state: 'static' }, { lladdr: '02:00:00:00:00:55', link: 'n1', at: 'master', vlan: 5 }] as const
    const was = show()
    const plan = await neighbours.plan([all, five])
    await plan.apply()
    expect(shownForwarding().filter(state => state.lladdr === all.lladdr).map(state => state.vlan ?? 0).sort()).toEqual([0, 1, 5])
    expect(shownForwarding().filter(state => state.lladdr === five.lladdr).map(state => state.vlan)).toEqual([5])
    expect((await neighbours.plan([all, five])).empty).toBe(true)
    await plan.revert()
    expect(show()).toBe(was)
  })
})
