/** A plan of the network while `ip` edits the same objects: what others did is taken in, and a revert restores what was found. */

import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { Links, planNetwork, type NetworkSpec } from '../../../lib/index.js'
import { run } from '../../support/run.js'

const ip = (...commands: string[]): void => { run('ip', ['-batch', '-'], commands.join('\n')) }
const show = (...words: string[]): string => run('ip', words)
/** What stands on the links of the tests. */
const state = (): string => ['link', 'address', 'neigh'].map(object => show('-o', object, 'show', 'dev', 'd0'))
  .concat(show('-o', 'route', 'show', 'table', 'all', 'dev', 'd0')).join('\n').replace(/\d+: d0/g, 'd0')

beforeAll(() => { run('modprobe', ['-a', 'ipv6', 'dummy', 'ipip', 'bridge', 'vxlan', 'fou']) })
beforeEach(() => { ip('link add d0 type dummy', 'link set d0 address 02:00:00:00:00:01 addrgenmode none up', 'address add 192.0.2.1/24 dev d0') })
afterEach(() => { for (const { ifname } of JSON.parse(show('-j', 'link')) as { ifname: string }[]) if (/^[dbvt]\d$/.test(ifname)) ip(`link del ${ifname}`) })
afterAll(() => { expect(show('-o', 'route')).not.toContain('198.51.100') })

const spec = {
  links: [{ kind: 'dummy', name: 'd1' }],
  addresses: [{ address: '192.0.2.9/24', link: 'd0' }, { address: '2001:db8::9/64', link: 'd0', nodad: true }],
  routes: [{ to: '198.51.100.0/24', via: '192.0.2.2' }, { to: '2001:db8:9::/48', link: 'd0' }],
  neighbours: [{ address: '192.0.2.3', link: 'd0', lladdr: '02:00:00:00:00:03' }],
} satisfies NetworkSpec

describe('what others added meanwhile', () => {
  it('is done where it is as wanted, and stays after a revert', async () => {
    const plan = await planNetwork(spec)
    for (const step of plan.steps) ip(step.line.slice(3))
    const before = state()
    await plan.apply()
    expect(state()).toBe(before)
    expect(plan.done).toBe(plan.steps.length)
    await plan.revert()
    expect(state()).toBe(before)
    expect(plan.done).toBe(0)
    expect(show('-o', 'link', 'show', 'd1')).toContain('UP')
  })

  it('is changed where it is not, and restored by a revert', async () => {
    const plan = await planNetwork(spec)
    ip('link add d1 type bridge', 'address add 192.0.2.9/24 dev d0 metric 7', 'route add 198.51.100.0/24 via 192.0.2.4 initcwnd 20',
      'neigh add 192.0.2.3 lladdr 02:00:00:00:00:99 dev d0 nud stale')
    const before = state()
    await plan.apply()
    expect((await planNetwork(spec)).steps).toEqual([])
    await plan.revert()
    expect(state()).toBe(before)
    expect(show('-d', '-o', 'link', 'show', 'd1')).toContain('bridge')
  })
})

it('what others removed meanwhile needs no removal, and no revert', async () => {
  const plan = await planNetwork(spec)
  const before = state()
  await plan.apply()
  for (const step of plan.steps.toReversed()) if (step.action === 'add') ip(step.line.slice(3).replace(' add ', ' del '))
  await plan.revert()
  expect(state()).toBe(before)
  await plan.apply()
  ip('link del d1')
  await plan.revert()
  expect(state()).toBe(before)
})

describe('a link that is made anew', () => {
  const tunnel = { kind: 'ipip', name: 't1', local: '192.0.2.1' } as const

  it('gives back all that stood on it, forwards and by a revert', async () => {
    ip('link add t1 type sit local 192.0.2.1', 'link set t1 up', 'link set t1 txqueuelen 7 group 5', 'link property add dev t1 altname another',
      'address add 203.0.113.1/32 dev t1 metric 9', 'address add 203.0.113.9 peer 203.0.113.10/32 dev t1',
      'route add 198.51.100.0/24 dev t1 initcwnd 30 src 203.0.113.1', 'route add 198.51.101.0/24 via 203.0.113.10 dev t1 table 77',
      'route add 198.51.102.0/24 dev d0 src 203.0.113.1')
    run('sysctl', ['-qw', 'net.ipv4.conf.t1.rp_filter=2', 'net.ipv4.conf.t1.arp_ignore=3', 'net.ipv4.neigh.t1.gc_stale_time=77'])
    const look = (): string => [
      show('-o', 'link', 'show', 't1').replace(/ link\/\w+ .*?(?= altname)/, ''), show('-4', '-o', 'address', 'show', 'dev', 't1'), show('-4', 'route', 'show', 'table', 'all', 'dev', 't1'),
      show('route', 'show', '198.51.102.0/24'), run('sysctl', ['net.ipv4.conf.t1.rp_filter', 'net.ipv4.conf.t1.arp_ignore', 'net.ipv4.neigh.t1.gc_stale_time']),
    ].join('\n')
    const before = look()
    expect(before).toMatch(/group 5 qlen 7[^]*altname another/)
    await using links = await Links.open()
    const plan = await links.plan([tunnel])
    await plan.apply()
    expect(look()).toBe(before)
    expect((await links.get('t1'))!.kind).toBe('ipip')
    expect((await links.plan([tunnel])).steps).toEqual([])
    await plan.revert()
    expect(look()).toBe(before)
    expect((await links.get('another'))!.kind).toBe('sit')
  })

  it('gives back ports, neighbours and forwarding entries', async () => {
    ip('link add b0 type bridge', 'link set b0 up', 'link add v0 type vxlan id 5 dstport 4789 local 192.0.2.1', 'link set v0 master b0', 'link set v0 up',
      'neigh add 192.0.2.77 lladdr 02:00:00:00:00:77 dev v0', 'neigh add proxy 192.0.2.78 dev v0')
    run('bridge', ['-batch', '-'], ['fdb append 00:00:00:00:00:00 dev v0 dst 192.0.2.21', 'fdb append 00:00:00:00:00:00 dev v0 dst 192.0.2.22',
      'fdb add 02:00:00:00:00:55 dev v0 dst 192.0.2.23', 'fdb add 02:00:00:00:00:56 dev v0 master static'].join('\n'))
    const look = (): string[] => [...run('bridge', ['fdb', 'show', 'dev', 'v0']).split('\n').filter(line => /:5[56] (dst|master)|00:00:00:00:00:00/.test(line)).toSorted(),
      show('neigh', 'show', 'dev', 'v0', 'nud', 'permanent'), show('neigh', 'show', 'proxy', 'dev', 'v0')]
    const before = look()
    expect(before.length, before.join('\n')).toBeGreaterThanOrEqual(6)
    await using links = await Links.open()
    const plan = await links.plan([{ kind: 'vxlan', name: 'v0', id: 6, port: 4789, local: '192.0.2.1' }])
    expect(plan.steps[0]!.line).toBe('ip link del v0')
    await plan.apply()
    expect(look()).toEqual(before)
    await plan.revert()
    expect(look()).toEqual(before)
    const removal = await links.planRemoval(['b0'])
    await removal.apply()
    await removal.revert()
    expect(look()).toEqual(before)
  })
})
