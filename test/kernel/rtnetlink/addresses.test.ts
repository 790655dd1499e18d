/** Addresses against the real kernel and `ip`. */

import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { PlanError } from '../../../lib/plan/plan.js'
import { NetlinkError, SpecError } from '../../../lib/index.js'
import { keyOfAddress, networkOfAddress, normalizeAddress, type AddressSpec, type AddressState } from '../../../lib/rtnetlink/address/spec.js'
import type { Lifetimes } from '../../../lib/rtnetlink/address/lifetimes.js'
import { Addresses } from '../../../lib/rtnetlink/address/addresses.js'
import { ipv6Of } from '../../support/arbitraries.js'
import { loadIPv6, run } from '../../support/run.js'

const ip = (words: string): string => run('ip', words.split(' ').filter(Boolean))
interface Row {
  family: string
  local: string
  address?: string
  prefixlen: number
  broadcast?: string
  scope: string
  label?: string
  metric?: number
  secondary?: true
  noprefixroute?: true
  nodad?: true
  tentative?: true
  dadfailed?: true
  deprecated?: true
  valid_life_time: number
  preferred_life_time: number
}
const rows = (link: string): Row[] => (JSON.parse(ip(`-d -j addr show dev ${link}`)) as { addr_info: Row[] }[]).flatMap(each => each.addr_info)

/** What `ip` shows of an address, as a state. */
const stateOf = (link: string, row: Row): object => ({
  address: `${row.local}/${row.prefixlen}`, link, family: row.family,
  ...row.address !== undefined && { peer: row.address },
  ...row.broadcast !== undefined && { broadcast: row.broadcast },
  ...row.label !== undefined && { label: row.label },
  scope: /^\d+$/.test(row.scope) ? Number(row.scope) : row.scope,
  lifetimes: { valid: time(row.valid_life_time), preferred: row.deprecated ? 0 : time(row.preferred_life_time) },
  ...row.metric !== undefined && { metric: row.metric },
  noprefixroute: row.noprefixroute ?? false, nodad: row.nodad ?? false, secondary: row.secondary ?? false, temporary: false,
  tentative: row.tentative ?? false, dadfailed: row.dadfailed ?? false, deprecated: row.deprecated ?? false,
})
const time = (seconds: number): number | string => seconds === 0xffffffff ? 'forever' : seconds

const links = ['a0', 'b.0']
const show = (): string => ip('-d addr show').replace(/\d+sec/g, 'some seconds') + ip('-d route show table all') + ip('-d -6 route show table all').replace(/expires \d+sec/g, '')

let addresses: Addresses
let before: string
beforeAll(async () => {
  loadIPv6()
  addresses = await Addresses.open()
})
afterAll(() => addresses.close())
beforeEach(() => {
  for (const link of links) {
    ip(`link add ${link} type dummy`)
    run('sysctl', ['-q', `net/ipv6/conf/${link}/addr_gen_mode=1`])
    ip(`link set ${link} up`)
  }
  before = show()
})
afterEach(() => { for (const link of links) ip(`link del ${link}`) })

// ── random addresses ──

const number = (max: number): fc.Arbitrary<number> => fc.integer({ min: 1, max })
const lifetimes = (v6: boolean): fc.Arbitrary<Lifetimes> => fc.tuple(fc.integer({ min: 1000, max: 0xfffffffe }), fc.integer({ min: 500, max: 0xfffffffe })).chain(
  ([valid, preferred]) => fc.constantFrom<Lifetimes>(
    { valid, preferred: preferred > valid ? 0 : preferred }, { valid: 'forever', preferred: v6 ? preferred : 0 }, { valid: 'forever' }, { valid },
  ))
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> => fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>

/** What an address can have besides its identity and label. */
const more4 = some({
  broadcast: fc.ipV4(), lifetimes: lifetimes(false), metric: fc.nat(0xffffffff), protocol: fc.nat(255), noprefixroute: fc.boolean(),
  scope: fc.constantFrom('global' as const, 'link' as const, 'host' as const, 'site' as const, 77),
})
const more6 = some({ lifetimes: lifetimes(true), metric: fc.nat(0xffffffff), protocol: fc.nat(255), noprefixroute: fc.boolean(), nodad: fc.boolean() })
const v4 = fc.tuple(fc.constantFrom(...links), fc.tuple(number(9), fc.nat(255), fc.nat(255), number(254)), number(32), fc.option(fc.tuple(fc.nat(255), number(254)))).chain(
  ([link, bytes, length, there]) => fc.tuple(more4, fc.constantFrom({}, { label: `${link}:vip` }, { label: `${link}x` })).map(([more, label]): AddressSpec => ({
    address: `${bytes.join('.')}/${length}`, link, ...there && { peer: `10.99.${there.join('.')}` }, ...more, ...label,
  })))
const v6 = fc.tuple(fc.constantFrom(...links), fc.constantFrom(0xfd00, 0x2001, 0xfe80, 0xfec0), fc.array(fc.nat(0xffff), { minLength: 7, maxLength: 7 }), number(128), fc.option(number(0xffff))).chain(
  ([link, first, groups, length, there]) => more6.map((more): AddressSpec => ({
    address: `${ipv6Of([first, ...groups])}/${length}`, link, ...there !== null && { peer: ipv6Of([0xfd99, 0, 0, 0, 0, 0, 0, there]) }, ...more,
  })))
/** Every second of one kind; the kernel wants one scope for all addresses of a network, so each has a network of its own. */
const sample = (seed: number, count: number): AddressSpec[] => {
  const found = new Map<string, AddressSpec>()
  for (const spec of fc.sample(fc.oneof(v4, v6), { seed, numRuns: count * 2 })) {
    const network = `${spec.link} ${networkOfAddress(normalizeAddress(spec))}`
    if (!found.has(network)) found.set(network, spec)
  }
  return [...found.values()].slice(0, count)
}

const shownStates = (): object[] => links.flatMap(link => rows(link).map(row => stateOf(link, row)))
/** In an order of their own, without how long exactly they live, what ends by itself (tentative), and what this `ip` does not show. */
const sorted = (all: readonly object[]): object[] => (all as AddressState[])
  .map(({ protocol: _, tentative: __, ...state }) => ({ ...state, lifetimes: Object.values(state.lifetimes).map(t => t === 'forever' || t === 0 ? t : 'some seconds') }))
  .sort((a, b) => keyOfAddress(a).localeCompare(keyOfAddress(b)))
const rough = (text: string): string => text.replace(/expires \d+/g, 'expires')

const states = async (): Promise<AddressState[]> => (await addresses.list()).filter(state => links.includes(state.link))

/** A spec's fields as a state of it should have them. */
const expected = (spec: AddressSpec): object => {
  const { lifetimes: times, metric, protocol, ...rest } = normalizeAddress(spec)
  return {
    ...rest,
    ...metric && { metric }, ...protocol && { protocol },
    ...!spec.address.includes(':') && { label: spec.label ?? spec.link },
    lifetimes: times === undefined ? { valid: 'forever', preferred: 'forever' } : { valid: about(times.valid), preferred: about(times.preferred!) },
  }
}
const about = (seconds: number | 'forever'): unknown => seconds === 'forever' ? seconds : expect.closeTo(seconds, -1) as unknown

describe('random addresses', () => {
  it.each([1, 2])('%#: are written as `ip` shows them, are read as `ip` shows them, and are there when planned again', async seed => {
    const specs = sample(seed, 120)
    expect(specs.length).toBeGreaterThanOrEqual(100)
    const plan = await addresses.plan(specs)
    expect(plan.steps).toHaveLength(specs.length)
    await plan.apply()
    expect(String(await addresses.plan(specs))).toBe('')
    const shown = shownStates()
    const listed = await states()
    for (const spec of specs) {
      const key = keyOfAddress(normalizeAddress(spec))
      const own = (all: readonly object[]): object | undefined => (all as AddressState[]).find(state => keyOfAddress(state) === key)
      const { protocol, ...visible } = expected(spec) as AddressSpec
      expect(own(shown)).toMatchObject(visible) // this `ip` knows nothing of protocols
      expect(own(listed)).toMatchObject({ ...visible, ...protocol !== undefined && { protocol } })
    }
    expect(sorted(listed)).toEqual(sorted(shown))
    await plan.revert()
    expect(show()).toBe(before)
  })

  it.each([3, 4])('%#: as `ip` writes them from the plan\'s lines are those that the plan writes', async seed => {
    const specs = sample(seed, 110).map(({ protocol: _, scope, ...spec }): AddressSpec => ({ ...spec, ...typeof scope === 'string' && { scope } })) // ip -b mixes up numbers
    const plan = await addresses.plan(specs)
    await plan.apply()
    const ours = sorted(await states())
    await plan.revert()
    run('ip', ['-b', '-'], plan.steps.map(step => step.line.replace(/^ip /, '') + '\n').join(''))
    expect(sorted(await states())).toEqual(ours)
    expect((await addresses.plan(specs)).empty).toBe(true)
    const removal = await addresses.planRemoval(specs)
    expect(removal.steps.map(step => step.line)).toEqual(expect.arrayContaining(plan.steps.map(() => expect.stringMatching(/^ip addr del /) as string)))
    run('ip', ['-b', '-'], removal.steps.map(step => step.line.replace(/^ip /, '') + '\n').join(''))
    expect(await states()).toEqual([])
  })

  it('are changed, whatever is changed of them, and are as before when that is taken back', async () => {
    const specs = sample(5, 100)
    await (await addresses.plan(specs)).apply()
    const protocols = async (): Promise<string[]> => (await states()).map(state => `${keyOfAddress(state)} ${state.protocol}`).sort()
    const [was, all, theirs] = [sorted(await states()), rough(show()), await protocols()]
    const others = fc.sample(fc.tuple(more4, more6), { seed: 6, numRuns: specs.length })
    const changed = specs.map((spec, i): AddressSpec => {
      const [v4, v6] = others[i]!
      const { address, link, peer } = spec
      return { address, link, ...peer !== undefined && { peer }, ...address.includes(':') ? v6 : { ...v4, label: link } }
    })
    const plan = await addresses.plan(changed)
    await plan.apply()
    expect(String(await addresses.plan(changed))).toBe('')
    const listed = await states()
    for (const spec of changed) {
      const { lifetimes: _, ...said } = normalizeAddress(spec)
      const state = listed.find(each => keyOfAddress(each) === keyOfAddress(said))!
      expect({ ...state, metric: state.metric ?? 0, protocol: state.protocol ?? 0 }).toMatchObject(said)
    }
    await plan.revert()
    expect(sorted(await states())).toEqual(was)
    expect(await protocols()).toEqual(theirs)
    expect(rough(show()).split('\n').sort()).toEqual(all.split('\n').sort())
  })
})

const refused = async (promise: Promise<unknown>): Promise<Error> => promise.then(() => { throw new Error('it was done') }, (error: unknown) => error as Error)
const vip = { address: '10.50.0.100/32', link: 'a0' }

describe('verbs', () => {
  it('a hundred times wanted, once created', async () => {
    for (let i = 0; i < 100; i++) await (await addresses.plan([vip])).apply()
    expect(rows('a0').filter(row => row.local === '10.50.0.100')).toHaveLength(1)
  })

  it('adds, reads, changes and removes', async () => {
    await addresses.add({ address: '10.50.0.100', link: 'a0', label: 'a0:vip' })
    expect(await addresses.get(vip)).toMatchObject({ ...vip, label: 'a0:vip', family: 'inet', scope: 'global', secondary: false })
    await addresses.change({ ...vip, label: 'a0:web', lifetimes: { valid: 5000 } })
    expect(await addresses.list({ link: 'a0', family: 'inet' })).toMatchObject([{ ...vip, label: 'a0:web', lifetimes: { valid: about(5000) } }])
    expect(await addresses.list({ address: '10.50.0.101' })).toEqual([])
    await addresses.remove(vip)
    expect(await addresses.get(vip)).toBeUndefined()
    expect(show()).toBe(before)
  })

  it('says why the kernel refuses', async () => {
    await addresses.add(vip)
    await expect(addresses.add(vip)).rejects.toMatchObject({
      name: 'NetlinkError', code: 'EEXIST', request: 'rtnetlink add address', object: 'address 10.50.0.100/32 dev a0',
      message: expect.stringMatching(/^cannot add address 10\.50\.0\.100\/32 dev a0: it exists already; .*\(EEXIST\)$/) as string,
    })
    await expect(addresses.remove({ address: '10.50.0.101', link: 'a0' })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL', message: 'cannot remove address 10.50.0.101/32 dev a0: it does not exist (EADDRNOTAVAIL)',
    })
    await expect(addresses.change({ address: '10.50.0.101', link: 'a0' })).rejects.toMatchObject({
      code: 'EADDRNOTAVAIL', message: 'cannot change address 10.50.0.101/32 dev a0: it does not exist; add it first (EADDRNOTAVAIL)',
    })
    await expect(addresses.add({ address: '10.50.0.101', link: 'nowhere' })).rejects.toMatchObject({
      code: 'ENODEV', message: 'cannot add address 10.50.0.101/32 dev nowhere: there is no link nowhere in this network namespace (ENODEV)',
    })
    await expect(addresses.add({ address: '::1', link: 'a0' })).rejects.toMatchObject({ code: 'EADDRNOTAVAIL', message: expect.stringMatching(/loopback/) as string })
    await addresses.add({ address: '10.50.1.1/24', link: 'a0' })
    await expect(addresses.add({ address: '10.50.1.2/24', link: 'a0', scope: 'link' })).rejects.toMatchObject({ code: 'EINVAL', message: expect.stringMatching(/another scope/) as string })
    await addresses.add({ address: 'fd00::1/64', link: 'a0' })
    await expect(addresses.add({ address: 'fd00::1/128', link: 'a0' })).rejects.toMatchObject({ code: 'EEXIST' })
    run('sysctl', ['-q', 'net/ipv6/conf/b.0/disable_ipv6=1'])
    await expect(addresses.add({ address: 'fd00::2', link: 'b.0' })).rejects.toMatchObject({ code: 'EACCES', message: expect.stringMatching(/disable_ipv6/) as string })
    await expect(Addresses.open().then(async other => {
      const pending = other.list()
      await other.close()
      await pending
    })).rejects.toBeInstanceOf(NetlinkError)
  })

  it('a plan that stops says where, and goes on', async () => {
    const plan = await addresses.plan([vip, { address: '10.50.0.101', link: 'later' }])
    const error = await refused(plan.apply())
    expect(error).toBeInstanceOf(PlanError)
    expect(error.message).toBe('step 2 of 2 failed: ip addr add 10.50.0.101/32 dev later: '
      + 'cannot add address 10.50.0.101/32 dev later: there is no link later in this network namespace (ENODEV)')
    ip('link add later type dummy')
    await plan.apply()
    expect(rows('later').filter(row => row.family === 'inet')).toHaveLength(1)
    await plan.revert()
    ip('link del later')
    expect(show()).toBe(before)
  })

  it('adds what another link or prefix has too, and says so', async () => {
    ip('addr add 10.50.0.100/24 dev a0')
    const plan = await addresses.plan([vip])
    expect(String(plan)).toBe('+ ip addr add 10.50.0.100/32 dev a0   # this host has it as 10.50.0.100/24 dev a0 too, which stays')
    await plan.apply()
    expect(rows('a0').filter(row => row.local === '10.50.0.100').map(row => row.prefixlen)).toEqual([24, 32])
  })

  it('changes a prefix\'s length: IPv6 addresses have but one', async () => {
    ip('addr add fd00::1/64 dev a0')
    const plan = await addresses.plan([{ address: 'fd00::1/128', link: 'a0' }])
    expect(String(plan)).toBe('- ip addr del fd00::1/64 dev a0   # the kernel cannot change its prefix length: it is removed and added again\n'
      + '+ ip addr add fd00::1/128 scope global dev a0')
    await plan.apply()
    expect(rows('a0').filter(row => row.local === 'fd00::1').map(row => row.prefixlen)).toEqual([128])
    await plan.revert()
    expect(rows('a0').filter(row => row.local === 'fd00::1').map(row => row.prefixlen)).toEqual([64])
  })

  it('knows tentative addresses and those that another host has', async () => {
    ip('link add v0 type veth peer name v1')
    try {
      for (const link of ['v0', 'v1']) ip(`link set ${link} up`)
      await addresses.add({ address: 'fd00::7/64', link: 'v0', nodad: true })
      expect(await addresses.get({ address: 'fd00::7/64', link: 'v0' })).toMatchObject({ nodad: true, tentative: false })
      await addresses.add({ address: 'fd00::7/64', link: 'v1' })
      expect(await addresses.get({ address: 'fd00::7/64', link: 'v1' })).toMatchObject({ tentative: true, dadfailed: false })
      const until = Date.now() + 20_000
      while (!(await addresses.get({ address: 'fd00::7/64', link: 'v1' }))!.dadfailed && Date.now() < until) await new Promise(resolve => { setTimeout(resolve, 100) })
      expect(await addresses.get({ address: 'fd00::7/64', link: 'v1' })).toMatchObject({ dadfailed: true })
      expect(rows('v1').find(row => row.local === 'fd00::7')).toMatchObject({ dadfailed: true })
    } finally { ip('link del v0') }
  })
})

describe('secondaries', () => {
  beforeEach(async () => {
    run('sysctl', ['-q', 'net/ipv4/conf/a0/promote_secondaries=0', 'net/ipv4/conf/all/promote_secondaries=0'])
    for (const last of [1, 100, 101]) await addresses.add({ address: `10.50.0.${last}/24`, link: 'a0' })
  })
  const primary = { address: '10.50.0.1/24', link: 'a0' }
  const left = (): string[] => rows('a0').filter(row => row.family === 'inet').map(row => row.local)

  it('are seen', async () => {
    expect((await addresses.list({ link: 'a0', family: 'inet' })).map(state => state.secondary)).toEqual([false, true, true])
  })

  it('are not lost with their primary unnoticed', async () => {
    const error = await refused(addresses.remove(primary))
    expect(error).toBeInstanceOf(SpecError)
    expect(error.message).toBe('address: the kernel would remove 10.50.0.100/24, 10.50.0.101/24 with 10.50.0.1/24 dev a0; remove them first, '
      + 'or set net.ipv4.conf.a0.promote_secondaries to 1')
    expect(left()).toHaveLength(3)
    run('sysctl', ['-q', 'net/ipv4/conf/a0/promote_secondaries=1'])
    await addresses.remove(primary)
    expect(left()).toEqual(['10.50.0.100', '10.50.0.101'])
  })

  it('are added again by a plan, which says so', async () => {
    const removal = await addresses.planRemoval([primary])
    expect(String(removal)).toBe('- ip addr del 10.50.0.1/24 dev a0   # where promote_secondaries is 0 the kernel removes 10.50.0.100/24, 10.50.0.101/24 with it, added again at once')
    await removal.apply()
    expect(left()).toEqual(['10.50.0.100', '10.50.0.101'])
    await removal.revert()
    expect(left().sort()).toEqual(['10.50.0.1', '10.50.0.100', '10.50.0.101'])
  })

  it('go before their primary', async () => {
    const removal = await addresses.planRemoval([primary, { address: '10.50.0.101/24', link: 'a0' }, { address: '10.50.0.100/24', link: 'a0' }])
    expect(removal.steps.map(step => step.line.split(' ')[3])).toEqual(['10.50.0.100/24', '10.50.0.101/24', '10.50.0.1/24'])
    expect(removal.steps[2]!.why).toBe('it is the last IPv4 address of a0, whose routes go with it')
    await removal.apply()
    expect(left()).toEqual([])
    await removal.revert()
    expect((await addresses.list({ link: 'a0', family: 'inet' })).map(state => [state.address, state.secondary])).toEqual([
      ['10.50.0.1/24', false], ['10.50.0.101/24', true], ['10.50.0.100/24', true],
    ])
  })
})

describe('the program that set an address', () => {
  const kinds = ['dummy', 'ipip remote 10.9.9.9 local 10.9.9.8', 'sit remote 10.9.9.9 local 10.9.9.8', 'ip6tnl mode any remote fd09::9 local fd09::8', 'gre remote 10.9.9.9 local 10.9.9.8']
  beforeAll(() => { run('modprobe', ['-a', 'dummy', 'ipip', 'sit', 'ip6_tunnel', 'ip_gre', 'tun']) })

  it.each([...kinds, 'tun'])('is as planned on a link of kind %s, added and changed', async kind => {
    ip(kind === 'tun' ? 'tuntap add mode tun name p0' : `link add p0 type ${kind}`)
    try {
      ip('link set p0 up')
      for (const id of [{ address: '10.77.0.1/24' }, { address: 'fd77::1/64' }, { address: '10.77.1.1', peer: '10.77.1.2/32' }, { address: 'fd77:1::1', peer: 'fd77:1::2/128' }]) {
        for (const protocol of [77, 78, 0, 79]) {
          const wanted = [{ ...id, link: 'p0', protocol }]
          await (await addresses.plan(wanted)).apply()
          expect(`${await addresses.plan(wanted)}`, JSON.stringify(wanted)).toBe('')
        }
      }
    } finally { ip('link del p0') }
  })
})
