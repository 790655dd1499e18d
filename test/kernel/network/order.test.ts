/** A network's steps in an order that is safe at every moment, on links of this machine's own. */

import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { planRealServer } from '../../../lib/api/plan-real-server.js'
import { planNetwork } from '../../../lib/network/network.js'
import { run } from '../../support/run.js'

const VIP = '192.0.2.1'
const addresses = (link: string): string => run('ip', ['-o', 'address', 'show', 'dev', link])
const sysctl = (key: string): string => run('sysctl', ['-n', key]).trim()

beforeAll(() => { run('modprobe', ['-a', 'ipv6', 'dummy']) })
beforeEach(() => { run('ip', ['link', 'add', 'lan0', 'type', 'dummy']) })
afterEach(() => {
  run('ip', ['-batch', '-'], 'link del lan0\n')
  run('sysctl', ['-qw', 'net.ipv4.conf.all.arp_ignore=0', 'net.ipv4.conf.all.arp_announce=0'])
})

describe('a host that cannot be quieted', () => {
  beforeEach(() => { run('sh', ['-euc', 'mount -o bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys']) })
  afterEach(() => { run('umount', ['/proc/sys']) })

  it.each(['stop', 'continue'] as const)('gets no VIP (%s)', async onFailure => {
    const plan = await planRealServer({ vip: [VIP, '2001:db8::1'], route: { link: 'lan0' } })
    await expect(plan.apply({ onFailure })).rejects.toThrow(/arp_ignore.*\/proc\/sys is read-only/)
    expect(addresses('lo')).not.toContain(VIP)
    // IPv6 has no ARP.
    expect(addresses('lo').includes('2001:db8::1')).toBe(onFailure === 'continue')
    expect(plan.failed.map(({ step }) => step.object)).toEqual(onFailure === 'continue' ? ['sysctl', 'sysctl'] : ['sysctl'])
    await plan.revert()
    expect(addresses('lo')).not.toContain('2001:db8::1')
  })
})

it('switches IPv6 on before an IPv6 address comes up', async () => {
  run('sysctl', ['-qw', 'net.ipv6.conf.lan0.disable_ipv6=1'])
  const plan = await planNetwork({
    addresses: [{ address: '2001:db8::1/64', link: 'lan0', nodad: true }],
    sysctls: [{ key: 'net.ipv6.conf.lan0.disable_ipv6', value: 0 }],
  })
  await plan.apply()
  expect(addresses('lan0')).toContain('2001:db8::1/64')
  await plan.revert()
  expect(sysctl('net.ipv6.conf.lan0.disable_ipv6')).toBe('1')
})

it('keeps the host quiet while it takes the VIP away', async () => {
  const plan = await planRealServer({ vip: VIP, route: { link: 'lan0' } })
  await plan.apply()
  // The VIP cannot go yet.
  const step = plan.steps.find(({ object }) => object === 'address')!
  const group = step.group!
  Object.assign(group, { undo: () => Promise.resolve([{ done: false, error: new Error('not now') }]) })
  await expect(plan.revert()).rejects.toThrow('not now')
  expect(addresses('lo')).toContain(VIP)
  expect(sysctl('net.ipv4.conf.lan0.arp_ignore')).toBe('1')
  Reflect.deleteProperty(group, 'undo')
  await plan.revert()
  expect(addresses('lo')).not.toContain(VIP)
  expect(sysctl('net.ipv4.conf.lan0.arp_ignore')).toBe('0')
  expect(plan.failed).toEqual([])
})
