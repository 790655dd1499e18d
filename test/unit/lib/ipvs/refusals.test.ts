import { describe, expect, it } from 'vitest'
import type { OpenSocket } from '../../../../generic-netlink/index.js'
import { Addresses, Links, Neighbours, Routes, type AddressSpec, type LinkSpec, type NeighbourSpec, type RouteSpec } from '../../../../lib/index.js'

/** A socket on which nothing may be sent. */
const sent: Uint8Array[] = []
const openSocket: OpenSocket = () => ({
  receiveBuffer: 212992, sendBuffer: 212992, send: bytes => { sent.push(bytes.slice()) }, receive: () => false, ref: () => {}, unref: () => {}, close: () => {},
})

const NAMES = ['', ' ', '/', ':', '.', '..', 'all', 'default', '\n', 'sixteen-letters-', 'a%d', '\u001b[31m', '$(x)', 'a;b', 'é', 'ok\0evil', '../eth0']

const wrong = expect.objectContaining({ name: 'SpecError', path: expect.any(String) as string }) as Error

/** That it is the caller's mistake, and that the kernel has not heard of it. */
async function refused(attempt: () => Promise<unknown>): Promise<void> {
  sent.length = 0
  await expect((async () => attempt())()).rejects.toThrow(wrong)
  expect(sent).toEqual([])
}

describe('what the kernel should never hear', () => {
  it.each(NAMES)('a link named %j', async name => {
    await using links = await Links.open({ openSocket })
    await using addresses = await Addresses.open({ openSocket })
    await using routes = await Routes.open({ openSocket })
    await using neighbours = await Neighbours.open({ openSocket })
    await refused(() => links.add({ kind: 'dummy', name }))
    await refused(() => links.plan([{ kind: 'dummy', name }]))
    await refused(() => links.change({ name, mtu: 1400 }))
    await refused(() => links.remove(name))
    await refused(() => links.add({ kind: 'veth', name: 'ok', peer: { name } }))
    await refused(() => addresses.add({ address: '192.0.2.1/32', link: name }))
    await refused(() => addresses.plan([{ address: '192.0.2.1/32', link: name }]))
    await refused(() => routes.add({ to: '192.0.2.0/24', link: name }))
    await refused(() => neighbours.add({ address: '192.0.2.1', link: name, lladdr: '02:00:00:00:00:01' }))
  })

  it.each<object>([
    { kind: 'vxlan', id: 2 ** 24 }, { kind: 'vxlan', id: 0 }, { kind: 'vxlan', id: -1 }, { kind: 'vxlan' }, { kind: 'vxlan', id: 1, remote: '192.0.2.1', group: '239.1.1.1', link: 'eth0' },
    { kind: 'vxlan', id: 1, port: 65536 }, { kind: 'ipip', local: 'fd00::1' }, { kind: 'ipip', local: '192.0.2.1/24' }, { kind: 'ipip', ttl: 256 }, { kind: 'ipip', ttl: 1.5 },
    { kind: 'ip6tnl', local: '192.0.2.1' }, { kind: 'gre', key: 2 ** 32 }, { kind: 'ipip', external: true, local: '192.0.2.1' }, { kind: 'dummy', mtu: -1 },
    { kind: 'dummy', address: '02:00:00:00:00' }, { kind: 'nosuch' }, { kind: 'dummy', upp: true },
  ])('a link %j', async fields => {
    await using links = await Links.open({ openSocket })
    await refused(() => links.add({ name: 'x0', ...fields } as LinkSpec))
    await refused(() => links.plan([{ name: 'x0', ...fields } as LinkSpec]))
  })

  it.each<object>([
    { address: '0.0.0.0/32' }, { address: '224.0.0.1/32' }, { address: '255.255.255.255' }, { address: '192.0.2.1/33' }, { address: '192.0.2.1/0' }, { address: 'fd00::1/129' },
    { address: '::/128' }, { address: 'fe80::1%eth0/64' }, { address: '192.0.2.01/32' }, { address: '192.0.2.1/032' }, { address: '192.0.2.1/32', label: 'other:1' },
    { address: '192.0.2.1/32', lifetimes: { valid: 0 } }, { address: '192.0.2.1/32', scope: 'galaxy' }, { address: '192.0.2.1/32', lable: 'x0:1' },
  ])('an address %j', async fields => {
    await using addresses = await Addresses.open({ openSocket })
    await refused(() => addresses.add({ link: 'x0', ...fields } as AddressSpec))
    await refused(() => addresses.plan([{ link: 'x0', ...fields } as AddressSpec]))
  })

  it.each<object>([
    { to: '192.0.2.1/24', via: '192.0.2.254' }, { to: '192.0.2.0/33', via: '192.0.2.254' }, { to: '192.0.2.0/24', via: '224.0.0.1' }, { to: '192.0.2.0/24', via: '0.0.0.0' },
    { to: '192.0.2.0/24', via: '192.0.2.254', metric: -1 }, { to: '192.0.2.0/24', via: '192.0.2.254', table: 0 }, { to: '192.0.2.0/24', nexthops: [] },
    { to: '192.0.2.0/24', via: '192.0.2.254', nexthops: [{ via: '192.0.2.1' }] }, { to: 'nowhere', link: 'x0' }, { to: '192.0.2.0/24', link: 'x0', gateway: '192.0.2.254' },
  ])('a route %j', async fields => {
    await using routes = await Routes.open({ openSocket })
    await refused(() => routes.add(fields as RouteSpec))
    await refused(() => routes.plan([fields as RouteSpec]))
  })

  it.each<object>([
    { address: '224.0.0.1', lladdr: '02:00:00:00:00:01' }, { address: '0.0.0.0', lladdr: '02:00:00:00:00:01' },
    { address: '192.0.2.1', lladdr: 'zz:00:00:00:00:01' }, { lladdr: '02:00:00:00:00:01', dst: 'nobody' }, { lladdr: '02:00:00:00:00:01', dst: '192.0.2.1', vni: 2 ** 24 },
  ])('a neighbour %j', async fields => {
    await using neighbours = await Neighbours.open({ openSocket })
    await refused(() => neighbours.add({ link: 'x0', ...fields } as NeighbourSpec))
    await refused(() => neighbours.plan([{ link: 'x0', ...fields } as NeighbourSpec]))
  })
})
