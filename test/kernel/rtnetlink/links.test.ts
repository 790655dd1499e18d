import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { NetlinkError } from '../../../generic-netlink/index.js'
import { FouPorts } from '../../../lib/network/fou.js'
import { normalizeLink } from '../../../lib/rtnetlink/link/link.js'
import type { LinkSpec, LinkState } from '../../../lib/rtnetlink/link/spec.js'
import { Links, type LinkChange } from '../../../lib/rtnetlink/link/links.js'
import { recording } from '../../support/kernel.js'
import { linkKinds, links as anyLinks } from '../../support/links.js'
import { run } from '../../support/run.js'

const { openSocket, sent } = recording()
const links = await Links.open({ openSocket })

const ip = (words: string): string => run('ip', words.split(' '))
interface Shown { ifname: string; flags: string[]; linkinfo?: { info_kind?: string; info_data?: Record<string, unknown> }; [key: string]: unknown }
const shown = (): Map<string, Shown> => new Map((JSON.parse(ip('-d -j link show')) as Shown[]).map(link => [link.ifname, link]))
/** What `ip -d link` shows, but for what changes by itself; indexes as they are. */
const snapshot = (): unknown => [...shown().values()].sort((a, b) => a.ifname < b.ifname ? -1 : 1).map(({ operstate: _, linkinfo, permaddr: __, tso_max_size: ___, qdisc: ____, flags, ...link }) => ({
  ...link, flags: flags.filter(flag => flag !== 'NO-CARRIER' && flag !== 'LOWER_UP' && flag !== 'M-DOWN'), linkinfo: linkinfo && { ...linkinfo, info_slave_data: undefined, info_data: Object.fromEntries(Object.entries(linkinfo.info_data ?? {}).filter(([key]) => !key.endsWith('_timer') && !key.startsWith('root_') && key !== 'bridge_id')) },
}))
const of = async (promise: Promise<unknown>): Promise<NetlinkError> => {
  const error: unknown = await promise.then(() => undefined, (e: unknown) => e)
  expect(error).toBeInstanceOf(NetlinkError)
  return error as NetlinkError
}

/** The kernel's own links stay once their modules are loaded: all of them, before anything is compared. */
beforeAll(() => {
  expect(process.env.IPVS_NL_LAB, 'run this by test/lab/run: it changes links').toBeDefined()
  run('modprobe', ['-a', 'ipip', 'sit', 'ip6_tunnel', 'ip_gre', 'ip6_gre', 'vxlan', 'geneve', 'dummy', 'bridge', 'veth', 'fou', 'fou6'])
  for (const state of ['up', 'down']) ip(`link set tunl0 ${state}`) // from then on it has IPv6, on Linux 7.2
  ip('link add under0 type dummy')
  ip('link set under0 up')
  ip('link add vbr0 address 02:00:00:00:00:42 type bridge') // without an address of its own a bridge takes that of a port
})
const ours = new Set<string>()
beforeEach(() => {
  for (const name of shown().keys()) ours.add(name)
})
afterAll(async () => {
  ip('link del under0')
  ip('link del vbr0')
  await links.close()
})
/** Removes what a test made. */
afterEach(() => {
  for (const name of shown().keys()) if (!ours.has(name) && shown().has(name)) ip(`link del ${name}`)
})

// ── what `ip` shows of a spec ──

type Spec = Record<string, unknown> & { kind: string; name: string }
const hex = (n: unknown): string => `0x${(n as number).toString(16)}`
/** Of flags: where iproute2 6.1 says nothing and `true`, 6.15 says `false` and `null`. */
const alike = (shown: [key: string, value: unknown][]): object =>
  Object.fromEntries(shown.map(([key, value]) => [key, value === null ? true : value === false ? undefined : value]))

/** A spec's parameters as `ip -d -j` prints them; undefined is a key that is not there. Written down anew, from iproute2's sources. */
function expected(spec: Spec): Record<string, unknown> {
  const { kind, local, remote, group, link, external } = spec
  const v6 = kind.startsWith('ip6')
  const any = kind === 'vxlan' ? undefined : 'any'
  const ends = { local: local ?? any, remote: remote ?? any, link }
  const { ttl = v6 && external !== true ? 64 : 'inherit', tos = 0 } = spec
  const common = v6
    ? {
        local: ends.local, remote: ends.remote, ttl: ttl === 'inherit' ? 0 : ttl,
        ...external !== true && {
          encap_limit: spec.encapLimit === 'none' ? undefined : spec.encapLimit ?? 4,
          ip6_tnl_f_use_orig_tclass: tos === 'inherit' ? true : undefined, tclass: tos === 'inherit' ? undefined : `0x${(tos as number).toString(16).padStart(2, '0')}`,
        },
      }
    : { local: ends.local, remote: ends.remote, ttl: ttl === 'inherit' ? 0 : ttl, tos: tos === 0 ? undefined : tos === 'inherit' ? '0x1' : hex(tos), pmtudisc: spec.pmtudisc ?? true }
  if (kind.includes('gre')) {
    const both = (value: unknown): [unknown, unknown] => [value === true || value === 'in' ? true : undefined, value === true || value === 'out' ? true : undefined]
    const [icsum, ocsum] = both(spec.checksum)
    const [iseq, oseq] = both(spec.seq)
    const key = typeof spec.key === 'number' ? { in: spec.key, out: spec.key } : spec.key as { in?: number; out?: number } | undefined
    const dotted = (n: number | undefined): unknown => n === undefined ? undefined : [24, 16, 8, 0].map(shift => n >>> shift & 255).join('.')
    return { ...common, external, icsum, ocsum, iseq, oseq, ikey: dotted(key?.in), okey: dotted(key?.out), ...!v6 && { ignore_df: spec.ignoreDf === true ? true : undefined } }
  }
  if (kind === 'vxlan') {
    const { udpChecksum = true, learning = external !== true } = spec
    const many = group as string | undefined
    const there = (name: string, text: unknown, family: boolean): object => ({ [name]: (text as string | undefined ?? '').includes(':') === family ? text : undefined })
    return {
      id: spec.id ?? 0, external, port: spec.port ?? 4789, link,
      ...there('remote', remote, false), ...there('remote6', remote, true), ...there('group', many, false), ...there('group6', many, true),
      ...there('local', local, false), ...there('local6', local, true),
      port_range: spec.portRange ?? { low: 0, high: 0 },
      learning, proxy: spec.proxy === true ? true : undefined, rsc: spec.rsc === true ? true : undefined,
      l2miss: spec.l2miss === true ? true : undefined, l3miss: spec.l3miss === true ? true : undefined,
      ageing: spec.ageing ?? 300, limit: spec.limit === 0 ? undefined : spec.limit,
      udp_csum: udpChecksum, udp_zero_csum6_tx: spec.udp6ZeroChecksumTx ?? false, udp_zero_csum6_rx: spec.udp6ZeroChecksumRx ?? false,
      remcsum_tx: spec.remcsumTx === true ? true : undefined, remcsum_rx: spec.remcsumRx === true ? true : undefined,
      gbp: spec.gbp === true ? true : undefined, gpe: spec.gpe, df: spec.df ?? 'unset',
      ttl: spec.ttl === 'inherit' ? undefined : spec.ttl === undefined || spec.ttl === 'auto' ? 0 : ttl,
    }
  }
  if (kind === 'geneve') {
    const v6 = (remote as string | undefined ?? '').includes(':')
    return {
      id: spec.id ?? 0, external, remote: v6 ? undefined : remote, remote6: v6 ? remote : undefined, port: spec.port,
      ttl: spec.ttl === 'inherit' ? undefined : spec.ttl === undefined || spec.ttl === 'auto' ? 0 : ttl,
      tos: tos === 0 ? undefined : tos === 'inherit' ? '0x1' : hex(tos), df: spec.df ?? 'unset',
      ...external !== true && (v6 ? { udp_zero_csum6_tx: spec.udp6ZeroChecksumTx ?? false } : { udp_csum: spec.udpChecksum ?? false }),
    }
  }
  if (kind === 'bridge') {
    const hundredths = (seconds: unknown): unknown => seconds === undefined ? expect.any(Number) : Math.round((seconds as number) * 100)
    const bit = (value: unknown): unknown => value === undefined ? expect.any(Number) : Number(value)
    return {
      stp_state: bit(spec.stp), forward_delay: hundredths(spec.forwardDelay), hello_time: hundredths(spec.helloTime), max_age: hundredths(spec.maxAge),
      ageing_time: hundredths(spec.ageing), priority: spec.priority ?? 32768, vlan_filtering: bit(spec.vlanFiltering), mcast_snooping: bit(spec.mcastSnooping),
    }
  }
  if (kind === 'dummy' || kind === 'veth') return {}
  const proto = spec.mode ?? 'any'
  return { ...common, external, proto }
}

describe('at random', () => {
  /** What a link is, but for what is the kernel's choice in each. */
  const bare = ({ index: _, statistics: __, operstate: ___, carrier: ____, address, ...link }: LinkState, spec: Spec): object => ({ ...link, ...spec.address !== undefined && { address } })
  const names = (specs: readonly LinkSpec[]): string[] => specs.flatMap(spec => spec.kind === 'veth' ? [spec.name, spec.peer.name] : [spec.name])
  /** iproute2 has no words for these. */
  const unsayable = (spec: Spec): boolean => spec.kind.includes('gre') && spec.external === true && [spec.checksum, spec.seq, spec.key].some(value => value !== undefined && value !== false)

  it('what is written, `ip` shows and we read; planned again, nothing; undone, all is as before; written by `ip`, we read the same', async () => {
    const seed = Math.trunc(Math.random() * 2 ** 31)
    let count = 0
    const before = snapshot()
    for (const specs of fc.sample(anyLinks('under0', 'vbr0'), { numRuns: 14, seed })) {
      const about = `seed ${seed}`
      const plan = await links.plan(specs)
      await plan.apply().catch((error: unknown) => { throw new Error(about, { cause: error }) })
      count += specs.length

      const now = shown()
      for (const given of specs) {
        const spec = given as unknown as Spec
        const link = now.get(spec.name)!
        const each = `${about}: ${JSON.stringify(spec)}`
        const wanted = expected(spec)
        expect(link.linkinfo?.info_kind, each).toBe(spec.kind)
        expect(alike(Object.keys(wanted).map(key => [key, link.linkinfo?.info_data?.[key]])), each).toEqual(alike(Object.entries(wanted)))
        if (spec.mtu !== undefined) expect(link.mtu, about).toBe(spec.mtu)
        if (spec.address !== undefined) expect(link.address, about).toBe(spec.address)
        if (spec.alias !== undefined) expect(link.ifalias, about).toBe(spec.alias)
        expect(link.master, about).toBe(spec.master)
        expect(link.flags.includes('UP'), about).toBe(spec.up ?? true)
      }
      const made = new Map((await links.list()).map(link => [link.name, link]))
      for (const spec of specs) {
        const { parameters } = normalizeLink(spec)
        const known = spec.kind === 'veth' ? { peer: { name: spec.peer.name } } : parameters
        expect(made.get(spec.name), about).toMatchObject(JSON.parse(JSON.stringify(known)) as object)
      }
      expect(String(await links.plan(specs)), about).toBe('')

      await plan.revert()
      expect(snapshot(), about).toEqual(before)

      const sayable = specs.filter(spec => !unsayable(spec as unknown as Spec))
      run('sh', ['-ec', (await links.plan(sayable)).steps.map(({ line }) => line).join('\n')])
      expect(String(await links.plan(sayable)), about).toBe('')
      const read = new Map((await links.list()).map(link => [link.name, link]))
      for (const spec of sayable) {
        const [theirs, mine] = [read, made].map(all => bare(all.get(spec.name)!, spec as unknown as Spec))
        expect(theirs, `${about}: ${JSON.stringify(spec)}`).toEqual(mine)
      }
      const removal = await links.planRemoval(names(sayable))
      const standing = snapshot()
      await removal.apply()
      expect(snapshot(), about).toEqual(before)
      await removal.revert()
      expect(snapshot(), about).toEqual(standing)
      await (await links.planRemoval(names(sayable))).apply()
      expect(snapshot(), about).toEqual(before)
    }
    console.log(`seed ${seed}: ${count} links of ${linkKinds.length} kinds`)
    expect(count).toBeGreaterThanOrEqual(150)
  })
})

describe('plans', () => {
  const overlay: LinkSpec[] = [
    { kind: 'vxlan', name: 'vxlan42', id: 42, link: 'a0', remote: '192.0.2.2', local: '192.0.2.1', master: 'br42' },
    { kind: 'bridge', name: 'br42', forwardDelay: 2, alias: 'overlay' }, { kind: 'veth', name: 'a0', peer: { name: 'b0' } }, { kind: 'veth', name: 'b0', peer: { name: 'a0' }, mtu: 1400 },
    { kind: 'gre', name: 'gre-any', external: true, checksum: 'in' }, { kind: 'ipip', name: 'tunl0' }, { kind: 'dummy', name: 'vip', address: '02:00:00:00:00:07' },
  ]

  it('100 repetitions make one creation', async () => {
    const before = snapshot()
    const first = await links.plan(overlay)
    await first.apply()
    const made = snapshot()
    sent.length = 0
    for (let i = 0; i < 99; i++) {
      const plan = await links.plan(overlay)
      expect(plan.empty).toBe(true)
      await plan.apply()
    }
    expect(sent).toHaveLength(99) // a listing each
    expect(snapshot()).toEqual(made)
    expect(shown().get('vxlan42')).toMatchObject({ master: 'br42', linkinfo: { info_data: { id: 42, port: 4789, link: 'a0', remote: '192.0.2.2', local: '192.0.2.1' } } })
    await first.revert()
    expect(snapshot()).toEqual(before)
  })

  it.each<[LinkSpec, object, boolean]>([
    [{ kind: 'ipip', name: 'x', local: '10.9.0.1', remote: '10.8.0.1' }, { remote: '10.8.0.2', ttl: 9, tos: 16, fwmark: 7, mtu: 1300, alias: 'new' }, true],
    [{ kind: 'ipip', name: 'x', local: '10.9.0.1' }, { mode: 'ipip' }, false],
    [{ kind: 'ip6tnl', name: 'x', local: 'fd00::1' }, { mode: 'ip6ip6' }, true],
    [{ kind: 'ipip', name: 'x', local: '10.9.0.1' }, { remote: '10.8.0.2' }, false],
    [{ kind: 'sit', name: 'x', local: '10.9.0.1', mtu: 1300 }, { link: 'under0', tos: 'inherit' }, true],
    [{ kind: 'ip6tnl', name: 'x', local: 'fd00::1', mtu: 1300 }, { local: 'fd00::2', remote: 'fd00::3', encapLimit: 'none', flowLabel: 5 }, true],
    [{ kind: 'gre', name: 'x', local: '10.9.0.1', mtu: 1300, key: 5 }, { checksum: true, seq: 'out', key: { in: 6 } }, true],
    [{ kind: 'gretap', name: 'x', local: '10.9.0.1', master: 'vbr0' }, { remote: '10.8.0.1', checksum: 'in', master: null, address: '02:00:00:00:00:08' }, true],
    [{ kind: 'ip6gre', name: 'x', local: 'fd00::1' }, { checksum: true, remote: 'fd00::9' }, true],
    [{ kind: 'gre', name: 'x', external: true }, { checksum: 'in' }, false],
    [{ kind: 'vxlan', name: 'x', id: 7, remote: '10.8.0.1', link: 'under0', mtu: 1300 }, { remote: '10.8.0.2', learning: false, ageing: 5, df: 'set', tos: 'inherit', link: 'vbr0', ttl: 3 }, true],
    [{ kind: 'vxlan', name: 'x', id: 7, remote: '10.8.0.1' }, { link: 'under0' }, false],
    [{ kind: 'vxlan', name: 'x', id: 7, remote: '10.8.0.1', alias: 'old', mtu: 1300, address: '02:00:00:00:00:09', master: 'vbr0' }, { id: 8, limit: 4 }, false],
    [{ kind: 'geneve', name: 'x', id: 7, remote: '10.8.0.1', mtu: 1300, master: 'vbr0' }, { remote: '10.8.0.2', ttl: 'inherit', tos: 'inherit', df: 'set' }, true],
    [{ kind: 'geneve', name: 'x', id: 7, remote: 'fd00::1', ttl: 'inherit', label: 5 }, { remote: 'fd00::2', ttl: 9, label: 6 }, true],
    [{ kind: 'geneve', name: 'x', id: 7, remote: '10.8.0.1', alias: 'old' }, { id: 8, port: 7000, udpChecksum: true }, false],
    [{ kind: 'geneve', name: 'x', id: 7, remote: '10.8.0.1' }, { remote: 'fd00::1' }, false],
    [{ kind: 'geneve', name: 'x', external: true }, { innerProtoInherit: true }, false],
    [{ kind: 'bridge', name: 'x', stp: false, ageing: 300 }, { stp: true, priority: 4096, ageing: 20.5 }, true],
  ])('%j and then %j: in place (%s), undone to the letter', async (spec, changes, inPlace) => {
    await links.add(spec)
    const before = snapshot()
    const { index } = (await links.get('x'))!
    const wanted = { ...spec, ...changes }
    const plan = await links.plan([wanted])
    expect(plan.steps.every(({ action }) => action === 'change')).toBe(inPlace)
    await plan.apply()
    expect(String(await links.plan([wanted]))).toBe('')
    expect((await links.get('x'))!.index).toBe(index)
    await plan.revert()
    expect(snapshot()).toEqual(before)
    // And by hand.
    const change = links.change({ name: 'x', kind: spec.kind, ...spec.mtu !== undefined && { mtu: spec.mtu }, ...changes })
    if (inPlace) {
      await change
      expect(String(await links.plan([wanted]))).toBe('')
    } else await expect(change).rejects.toMatchObject({ code: 'EOPNOTSUPP', message: expect.stringContaining('remove it and add it again') as string })
    await links.remove('x')
  })

  it('makes anew what is of another kind, and back; but not what it could not make again', async () => {
    await links.add({ kind: 'veth', name: 'x', peer: { name: 'y', mtu: 1400 }, alias: 'one end' })
    await links.change({ name: 'y', master: 'vbr0', up: true })
    const before = snapshot()
    const plan = await links.plan([{ kind: 'dummy', name: 'x' }])
    expect(String(plan)).toMatch(/^- ip link del x {3}# it is of kind veth: it is removed and added again\n\+ ip link add x .*type dummy\n~ ip link set x alias 'one end'\n~ ip link set x up\n~ ip addr restore; ip route restore {3}# what stood on x .*$/)
    await plan.apply()
    expect(await links.get('x')).toMatchObject({ kind: 'dummy', alias: 'one end' })
    expect(await links.get('y')).toBeUndefined()
    await plan.revert()
    expect(snapshot()).toEqual(before)
    ip('link add link under0 name v type vlan id 5')
    await expect(links.plan([{ kind: 'dummy', name: 'v' }])).rejects.toThrow('links[0].kind: v exists, and is no dummy but a vlan')
    await expect(links.planRemoval(['v'])).rejects.toThrow('links[0]: v is of kind vlan, and could not be added again')
    await links.remove('v')
  })
})

describe('states', () => {
  it('of links that others made; of unknown kinds the data as bytes', async () => {
    ip('link add link under0 name x1 type macvlan mode bridge')
    ip('link add x2 alias hello address 02:00:00:00:00:33 type dummy')
    ip('link property add dev x2 altname another-name-of-more-than-15')
    ip('link set x2 master vbr0')
    {
      expect(await links.get('x1')).toMatchObject({ kind: 'macvlan', link: 'under0', data: expect.any(Uint8Array) as Uint8Array, up: false, mtu: 1500 })
      const x2 = await links.get('another-name-of-more-than-15')
      expect(x2).toMatchObject({
        name: 'x2', kind: 'dummy', address: '02:00:00:00:00:33', altNames: ['another-name-of-more-than-15'], master: 'vbr0', up: false, operstate: 'down', statistics: { rxBytes: 0n },
      })
      expect(x2!.data).toBeUndefined()
      expect(await links.get('lo')).toMatchObject({ index: 1, up: true, mtu: 65536 })
      expect((await links.get('lo'))!.kind).toBeUndefined()
      expect(await links.get('nosuch')).toBeUndefined()
      expect((await links.list()).map(({ name }) => name).sort()).toEqual([...shown().keys()].sort())
    }
  })

  it('count what passes', async () => {
    await links.add({ kind: 'dummy', name: 'x' })
    ip('addr add 198.51.100.1/24 dev x')
    ip('neigh add 198.51.100.2 lladdr 02:00:00:00:00:02 dev x')
    run('bash', ['-c', 'for i in 1 2 3; do echo hello >/dev/udp/198.51.100.2/9; done'])
    expect((await links.get('x'))!.statistics.txBytes).toBeGreaterThanOrEqual(3n * 48n)
  })

  it('are watched', async () => {
    const controller = new AbortController()
    const seen: LinkChange[] = []
    const reason = new Error('enough')
    const watching = (async () => {
      for await (const change of links.watch({ interval: 20, signal: controller.signal })) {
        seen.push(change)
        if (seen.length === 1) await links.change({ name: 'x', mtu: 1400 })
        if (seen.length === 2) await links.remove('x')
        if (seen.length === 3) controller.abort(reason)
      }
    })()
    await new Promise(resolve => setTimeout(resolve, 200))
    await links.add({ kind: 'dummy', name: 'x', up: false })
    await expect(watching).rejects.toBe(reason)
    expect(seen.map(({ action, link, before }) => [action, link.name, link.mtu, before?.mtu])).toEqual([
      ['add', 'x', 1500, undefined], ['change', 'x', 1400, 1500], ['remove', 'x', 1400, undefined],
    ])
  })
})

describe('what the kernel refuses, or lets pass in silence', () => {
  it('the four causes of EEXIST', async () => {
    await links.add({ kind: 'ipip', name: 'x', local: '10.9.0.1' })
    const causes: [LinkSpec, string][] = [
      [{ kind: 'ipip', name: 'x', local: '10.9.0.2' }, 'cannot add link x: a link of this name exists already; change it, or remove it first (EEXIST)'],
      [{ kind: 'ipip', name: 'y', local: '10.9.0.1' }, 'cannot add link y: link x has the same local, remote and link (EEXIST)'],
      [{ kind: 'ipip', name: 'y' }, 'cannot add link y: without local and remote it has the parameters of tunl0, the kernel\'s own link for packets that belong to no other link: set'
      + ' local or remote, or use tunl0 (EEXIST)'],
      [{ kind: 'ipip', name: 'tunl0' }, 'cannot add link tunl0: the kernel creates tunl0 when it loads the module of its kind: the link exists already, and can be set up but not added (EEXIST)'],
      [{ kind: 'dummy', name: 'x' }, 'cannot add link x: a link of this name exists already (of kind ipip); change it, or remove it first (EEXIST)'],
    ]
    for (const [spec, message] of causes) {
      const error = await of(links.add(spec))
      expect({ code: error.code, request: error.request, object: error.object, message: error.message }).toEqual({ code: 'EEXIST', request: 'rtnetlink add link', object: `link ${spec.name}`, message })
    }
    await links.add({ kind: 'vxlan', name: 'v', id: 9 })
    expect((await of(links.add({ kind: 'vxlan', name: 'w', id: 9 }))).message).toBe('cannot add link w: link v has the same id and port (EEXIST)')
    await links.add({ kind: 'ip6gre', name: 'g', external: true })
    expect((await of(links.add({ kind: 'ip6gretap', name: 'h', external: true }))).message).toBe('cannot add link h: link g is external, and there can be one of the two kinds (EEXIST)')
  })

  it('a deletion that deletes nothing does not say OK', async () => {
    for (const name of ['tunl0', 'sit0', 'gre0', 'gretap0', 'erspan0', 'ip6tnl0', 'ip6gre0']) {
      expect(await of(links.remove(name))).toMatchObject({
        code: 'EOPNOTSUPP', object: `link ${name}`, request: 'rtnetlink remove link',
        message: `cannot remove link ${name}: the kernel said OK and kept it, for as long as the module of its kind is loaded: it is the kernel\'s own link, for packets that belong to no other link;`
          + ' set it down instead (EOPNOTSUPP)',
      })
    }
    expect(await of(links.remove('lo'))).toMatchObject({ code: 'EOPNOTSUPP', message: 'cannot remove link lo: the kernel does not remove it: nobody added it (EOPNOTSUPP)' })
    expect(await of(links.remove('nosuch'))).toMatchObject({ code: 'ENODEV', message: 'cannot remove link nosuch: there is no such link in this network namespace (ENODEV)' })
  })

  it('others, in words', async () => {
    const messages: [() => Promise<unknown>, string][] = [
      [() => links.add({ kind: 'vxlan', name: 'x', id: 1, link: 'nosuch' }), 'cannot add link x: there is no link nosuch in this network namespace (ENODEV)'],
      [() => links.add({ kind: 'dummy', name: 'x', master: 'nosuch' }), 'cannot change link x: there is no link nosuch in this network namespace (ENODEV)'],
      [() => links.add({ kind: 'dummy', name: 'x', mtu: 1400, master: 'under0' }), 'cannot change link x: '],
      [() => links.add({ kind: 'gre', name: 'x', local: '10.0.0.1', encap: { kind: 'gue', port: 6080 } }), 'cannot add link x: the kernel cannot put UDP around it: its module fou is not loaded'],
      [() => links.add({ kind: 'veth', name: 'x', peer: { name: 'under0' } }), 'cannot add link x: '],
      [() => links.change({ name: 'nosuch', up: true }), 'cannot change link nosuch: there is no such link in this network namespace (ENODEV)'],
      [() => links.change({ name: 'under0', kind: 'bridge', stp: true }), 'cannot change link under0: it is of kind dummy, not bridge (EOPNOTSUPP)'],
      [() => links.change({ name: 'tunl0', kind: 'ipip', ttl: 4 }), 'cannot change link tunl0: it is the kernel\'s own link, whose parameters do not change; add another link (EOPNOTSUPP)'],
    ]
    for (const [deed, message] of messages) expect((await of(deed())).message).toContain(message)
    expect(shown().has('x')).toBe(false) // what could not have all that it was to have is gone
  })

  it('an unknown kind', async () => {
    // A module cannot be lost here; its absence can be asked for.
    const modprobe = run('cat', ['/proc/sys/kernel/modprobe']).trim()
    run('sh', ['-c', 'modprobe -r sit && echo /bin/false > /proc/sys/kernel/modprobe'])
    try {
      expect((await of(links.add({ kind: 'sit', name: 'x', local: '10.0.0.1' }))).message).toMatch(
        /^cannot add link x: the kernel has no links of kind sit \(modprobe sit says why\), or not all of the requested parameters \(EOPNOTSUPP\)$/)
    } finally {
      run('sh', ['-c', `echo ${modprobe} > /proc/sys/kernel/modprobe && modprobe sit`])
    }
  })

  it('names, ids and the rest are refused before anything is sent', async () => {
    sent.length = 0
    for (const name of ['', ' ', '/', ':', '.', '..', 'all', 'default', '\n', 'a%d', 'sixteen-letters-', '\x1b[31m', '$(x)', 'a;b', 'é', 'ok\0evil']) {
      await expect(links.add({ kind: 'dummy', name })).rejects.toThrow(/^name: /)
      await expect(links.change({ name, up: true })).rejects.toThrow(/^name: /)
      await expect(links.remove(name)).rejects.toThrow(/^name: /)
      await expect(links.plan([{ kind: 'dummy', name }])).rejects.toThrow(/^links\[0\]\.name: /)
      await expect(links.planRemoval([name])).rejects.toThrow(/^links\[0\]: /)
    }
    await expect(links.add({ kind: 'vxlan', name: 'x', id: 2 ** 24 })).rejects.toThrow('id: 16777216 is not an integer from 1 to 16777215')
    await expect(links.add({ kind: 'vxlan', name: 'x', id: 0 })).rejects.toThrow('id: 0 is not an integer')
    await expect(links.add({ kind: 'vlan', name: 'x' } as never)).rejects.toThrow('kind: "vlan" is not one of')
    expect(sent).toHaveLength(0)
  })

  it('EPERM and an AbortSignal\'s reason', async () => {
    const reason = new Error('enough')
    await expect(links.list({}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(links.add({ kind: 'dummy', name: 'x' }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(shown().has('x')).toBe(false)
  })
})

describe('fou ports', () => {
  it('are added, listed as `ip` does, planned and removed', async () => {
    await using ports = await FouPorts.open()
    const specs = [{ port: 6080 }, { port: 6080, family: 'inet6' }, { port: 6081, kind: 'direct', protocol: 4 }] as const
    const plan = await ports.plan(specs)
    expect(String(plan)).toBe('+ ip fou add port 6080 gue\n+ ip fou add port 6080 gue -6\n+ ip fou add port 6081 ipproto 4')
    await plan.apply()
    expect(ip('fou show').trim().split('\n').map(line => line.trim()).sort()).toEqual(['port 6080 gue', 'port 6080 gue -6', 'port 6081 ipproto 4'])
    expect((await ports.plan(specs)).empty).toBe(true)
    expect(await ports.list()).toEqual(expect.arrayContaining([{ port: 6081, family: 'inet', kind: 'direct', protocol: 4 }, { port: 6080, family: 'inet6', kind: 'gue' }]))
    expect((await of(ports.add({ port: 6080 }))).message).toBe('cannot add fou port 6080: another one exists, or other software uses this UDP port (EADDRINUSE)')
    await plan.revert()
    expect(ip('fou show')).toBe('')
    ip('fou add port 7000 gue -6')
    expect(await ports.list()).toEqual([{ port: 7000, family: 'inet6', kind: 'gue' }])
    expect(await of(ports.remove({ port: 7000 }))).toMatchObject({ code: 'EINVAL', message: 'cannot remove fou port 7000: it does not exist (EINVAL)' })
    await ports.remove({ port: 7000, family: 'inet6' })
    expect(await ports.list()).toEqual([])
  })

  it('a family that is not there', async () => {
    run('modprobe', ['-r', 'fou6', 'fou'])
    try {
      expect(await of(FouPorts.open())).toMatchObject({
        code: 'ENOENT', message: 'cannot list fou ports: the kernel\'s module fou is not loaded, and nothing loads it automatically: modprobe fou (for IPv6 also fou6) (ENOENT)',
      })
    } finally { run('modprobe', ['-a', 'fou', 'fou6']) }
  })
})
