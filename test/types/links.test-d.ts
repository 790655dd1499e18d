import { describe, expectTypeOf, it } from 'vitest'
import type { LinkPatch, LinkSpec, LinkState } from '../../lib/rtnetlink/link/spec.js'

describe('links', () => {
  it('what cannot be does not compile', () => {
    const specs: LinkSpec[] = [
      { kind: 'ipip', name: 'a', local: '10.0.0.1', encap: { kind: 'gue', port: 6080 } },
      { kind: 'gre', name: 'a', external: true, checksum: 'in' },
      { kind: 'vxlan', name: 'a', id: 1, group: '239.1.1.1', link: 'eth0', master: 'br0' },
      { kind: 'vxlan', name: 'a', external: true, gpe: true },
      // @ts-expect-error an external link has no ends
      { kind: 'ipip', name: 'a', external: true, local: '10.0.0.1' },
      // @ts-expect-error nor what is said of them
      { kind: 'gre', name: 'a', external: true, ignoreDf: true },
      // @ts-expect-error sit cannot be external
      { kind: 'sit', name: 'a', external: true },
      // @ts-expect-error a tunnel of IP has no MAC address
      { kind: 'ipip', name: 'a', address: '02:00:00:00:00:01' },
      // @ts-expect-error of ipip it is mode ipip
      { kind: 'ipip', name: 'a', mode: 'ip6ip' },
      // @ts-expect-error a VXLAN has an id, or is external
      { kind: 'vxlan', name: 'a' },
      // @ts-expect-error a remote or a group
      { kind: 'vxlan', name: 'a', id: 1, remote: '10.0.0.1', group: '239.1.1.1', link: 'eth0' },
      // @ts-expect-error a group needs its link
      { kind: 'vxlan', name: 'a', id: 1, group: '239.1.1.1' },
      // @ts-expect-error an id or external
      { kind: 'vxlan', name: 'a', id: 1, external: true },
      { kind: 'geneve', name: 'a', id: 1, remote: '10.0.0.1' },
      { kind: 'geneve', name: 'a', external: true },
      // @ts-expect-error a Geneve link has a remote, or is external
      { kind: 'geneve', name: 'a', id: 1 },
      // @ts-expect-error a bridge is no port
      { kind: 'bridge', name: 'a', master: 'br0' },
      // @ts-expect-error a pair has two ends
      { kind: 'veth', name: 'a' },
      // @ts-expect-error no such kind
      { kind: 'vlan', name: 'a' },
    ]
    expectTypeOf(specs).toExtend<LinkSpec[]>()
  })

  it('a kind tells what a state has, and what can be changed', () => {
    const state = {} as LinkState
    if (state.kind === 'ipip') expectTypeOf(state.local).toEqualTypeOf<string | undefined>()
    if (state.kind === 'vxlan') expectTypeOf(state.port).toEqualTypeOf<number | undefined>()
    expectTypeOf(state.kind).toEqualTypeOf<string | undefined>()
    expectTypeOf<{ name: 'a'; mtu: 1400 }>().toExtend<LinkPatch>()
    expectTypeOf<{ name: 'a'; kind: 'ipip'; ttl: 4 }>().toExtend<LinkPatch>()
  })
})
