import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NO_LINKS } from '../../../../lib/rtnetlink/link-names.js'
import { FALLBACKS, kinds } from '../../../../lib/rtnetlink/link/kinds/index.js'
import { linkOf, normalizeLink } from '../../../../lib/rtnetlink/link/link.js'
import { linkRemovals, linkSteps } from '../../../../lib/rtnetlink/link/links.js'
import type { LinkKind, LinkSpec, LinkState, LinkStatistics } from '../../../../lib/rtnetlink/link/spec.js'
import { linkInfo } from '../../../../lib/rtnetlink/wire/link-info.js'
import { link, linkKinds } from '../../../support/links.js'

const place = { i: 3, below: 'eth0', bridge: 'br0' }
const statistics = {} as LinkStatistics

/** A state as the kernel would say it of what a spec made. */
const stateOf = (spec: LinkSpec, more: object = {}): LinkState => {
  const { given: _, parameters, master, ...settings } = normalizeLink(spec)
  return {
    index: 7, operstate: 'unknown', carrier: true, mtu: 1480, altNames: [], statistics, ...settings, ...master != null && { master },
    ...Object.fromEntries(Object.entries(parameters).filter(([, value]) => value !== undefined)), ...more,
  } as LinkState
}
const lines = (wanted: readonly LinkSpec[], actual: readonly LinkState[] = []): string[] => linkSteps(wanted, actual).map(({ action, line }) => `${action} ${line}`)

const encap = { kind: 'gue', port: 6080, checksum: true, remcsum: true } as const

describe('spec ↔ wire', () => {
  it.each(linkKinds)('%s: what is written is what is read, at random', kind => {
    fc.assert(fc.property(link(kind, place), fc.boolean(), (spec, encapsulated) => {
      const { fields } = kinds[kind]
      const { parameters } = normalizeLink(fields.has('encap') && encapsulated ? { ...spec, encap } as LinkSpec : spec)
      const context = {
        indexOf: (name: string) => name === 'eth0' ? 2 : 99, nameOf: (index: number) => index === 2 ? 'eth0' : index === 9 ? 'peer3' : '?', link: kind === 'veth' ? { link: 9 } : {},
      }
      const data = fields.write({}, parameters, context)
      const wire = linkInfo.decode(linkInfo.encode({ kind, ...fields.names.length > 0 && { data } }))
      const read = fields.read(wire.data ?? {}, context) as Record<string, unknown>
      expect(fields.differences(parameters, read)).toEqual([])
      if (kind !== 'veth') for (const key of Object.keys(parameters)) expect([key, read[key]]).toEqual([key, parameters[key]])
    }), { numRuns: 200 })
  })

  it.each<[LinkKind, object, object]>([
    ['ipip', { local: '10.0.0.1', encap, mode: 'ipip' }, {
      proto: 4, link: 0, local: '10.0.0.1', ttl: 0, tos: 0, pmtudisc: 1, fwmark: 0, encapType: 'gue', encapFlags: { csum: true, csum6: false, remcsum: true }, encapSport: 0, encapDport: 6080,
    }],
    ['gre', { external: true, checksum: 'in' }, {
      encapType: 'none', iflags: { key: false, csum: true, seq: false }, oflags: { key: false, csum: false, seq: false }, ikey: 0, okey: 0,
      collectMetadata: true,
    }],
    ['sit', { sixrd: { prefix: '2001:db8::/32' }, isatap: true }, {
      proto: 0, link: 0, ttl: 0, tos: 0, pmtudisc: 1, fwmark: 0, encapType: 'none', flags: { isatap: true },
      '6rdPrefix': '2001:db8::', '6rdPrefixlen': 32, '6rdRelayPrefix': '0.0.0.0', '6rdRelayPrefixlen': 0,
    }],
    ['ip6tnl', { tos: 0xb8, flowLabel: 5, encapLimit: 'none' }, {
      proto: 0, link: 0, ttl: 64, flowinfo: 0xb800005, encapLimit: 0, fwmark: 0, encapType: 'none',
      flags: { useOrigTclass: false, useOrigFlowlabel: false, ignEncapLimit: true, useOrigFwmark: false, rcvDscpCopy: false, allowLocalRemote: false },
    }],
  ])('%s %j', (kind, more, wire) => {
    const { parameters } = normalizeLink({ kind, name: 'a', ...more } as LinkSpec)
    expect(kinds[kind].fields.write({}, parameters, { ...NO_LINKS, link: {} })).toEqual(wire)
  })
})

describe('what is refused before anything is sent', () => {
  it.each([
    ['', 'links[0].name: "" is not an interface name'], [' ', 'name'], ['/', 'name'], [':', 'name'], ['.', 'name'], ['..', 'name'], ['all', 'name'], ['default', 'name'], ['\n', 'name'],
    ['sixteen-letters-', 'name'], ['a%d', 'links[0].name: "a%d" is not an interface name'], ['\x1b[31m', 'name'], ['$(x)', 'name'], ['a;b', 'name'], ['é', 'name'], ['ok\0evil', 'name'],
  ])('the name %j', (name, message) => {
    expect(() => linkSteps([{ kind: 'dummy', name }], [])).toThrow(message)
  })

  it.each<[object, string]>([
    [{ kind: 'gre', external: true, ignoreDf: true }, 'links[0].ignoreDf: an external link has none; each packet carries its own'],
    [{ kind: 'vlan' }, 'links[0].kind: "vlan" is not one of ipip, sit'],
    [{ kind: 'ipip', id: 4 }, 'links[0]: there is no field "id"'],
    [{ kind: 'ipip', local: 'fd00::1' }, 'links[0].local: fd00::1 is not an IPv4 address'],
    [{ kind: 'ipip', local: '10.0.0.1', ttl: 0 }, 'links[0].ttl: 0 is not an integer from 1 to 255'],
    [{ kind: 'ipip', local: '10.0.0.1', ttl: 9, pmtudisc: false }, 'links[0].ttl: a fixed one needs pmtudisc'],
    [{ kind: 'ipip', local: '224.0.0.1' }, 'links[0].local: 224.0.0.1 is a multicast address'],
    [{ kind: 'ipip', local: '10.0.0.1', remote: '10.0.0.1' }, 'links[0].remote: 10.0.0.1 is the local end'],
    [{ kind: 'ipip', local: '10.0.0.1', tos: 1 }, 'links[0].tos: 1 means \'inherit\' to the kernel'],
    [{ kind: 'ipip', external: true, local: '10.0.0.1' }, 'links[0].local: an external link has none'],
    [{ kind: 'ipip', external: true, ttl: 4 }, 'links[0].ttl: an external link has none'],
    [{ kind: 'ipip', local: '10.0.0.1', address: '02:00:00:00:00:01' }, 'links[0].address: only links that carry Ethernet have one'],
    [{ kind: 'ipip', local: '10.0.0.1', master: 'br0' }, 'links[0].master: only links that carry Ethernet have one'],
    [{ kind: 'ipip', local: '10.0.0.1', link: 'x' }, 'links[0].link: x is the link itself'],
    [{ kind: 'ipip', local: '10.0.0.1', encap: { kind: 'fou', port: 6080, remcsum: true } }, 'links[0].encap.remcsum: only gue has it'],
    [{ kind: 'ipip', local: '10.0.0.1', encap: { kind: 'gue' } }, 'links[0].encap.port: undefined is not an integer from 1 to 65535'],
    [{ kind: 'ipip', local: '10.0.0.1', mtu: 67 }, 'links[0].mtu: 67 is not an integer from 68 to 65536'],
    [{ kind: 'sit', local: '10.0.0.1', external: true }, 'links[0]: there is no field "external"'],
    [{ kind: 'sit', sixrd: { prefix: '2001:db8::1/32' } }, 'links[0].sixrd.prefix: 2001:db8::1 has bits behind the prefix of 32'],
    [{ kind: 'gre', local: '10.0.0.1', ignoreDf: true }, 'links[0].ignoreDf: it needs pmtudisc: false'],
    [{ kind: 'vxlan' }, 'links[0].id: is required (1 to 16777215) unless the VXLAN is external'],
    [{ kind: 'vxlan', id: 0 }, 'links[0].id: 0 is not an integer from 1 to 16777215'],
    [{ kind: 'vxlan', id: 2 ** 24 }, 'links[0].id: 16777216 is not an integer from 1 to 16777215'],
    [{ kind: 'vxlan', id: 1, external: true }, 'links[0].id: an external VXLAN has none'],
    [{ kind: 'vxlan', id: 1, remote: '10.0.0.1', group: '239.1.1.1', link: 'eth0' }, 'links[0].group: a VXLAN has a remote or a group, not both'],
    [{ kind: 'vxlan', id: 1, group: '239.1.1.1' }, 'links[0].link: is required with a group, which is joined on it'],
    [{ kind: 'vxlan', id: 1, remote: '239.1.1.1' }, 'links[0].remote: 239.1.1.1 is a multicast address'],
    [{ kind: 'vxlan', id: 1, remote: '10.0.0.1', local: 'fd00::1' }, 'links[0].local: fd00::1 and 10.0.0.1 are of two families'],
    [{ kind: 'vxlan', id: 1, ageing: 0 }, 'links[0].ageing: 0 is not an integer from 1 to 4294967295'],
    [{ kind: 'vxlan', id: 1, label: 3 }, 'links[0].label: only packets through IPv6 have one'],
    [{ kind: 'vxlan', id: 1, gpe: true }, 'links[0].gpe: only an external VXLAN can have it'],
    [{ kind: 'geneve', id: 1 }, 'links[0].remote: is required unless the Geneve link is external'],
    [{ kind: 'geneve', remote: '10.0.0.1' }, 'links[0].id: is required unless the Geneve link is external'],
    [{ kind: 'geneve', external: true, id: 1 }, 'links[0].id: an external Geneve link has none; each packet carries its own'],
    [{ kind: 'geneve', id: 1, remote: '239.1.1.1' }, 'links[0].remote: 239.1.1.1 is a multicast address'],
    [{ kind: 'geneve', id: 1, remote: '10.0.0.1', label: 3 }, 'links[0].label: only packets through IPv6 have one'],
    [{ kind: 'geneve', id: 1, remote: '10.0.0.1', innerProtoInherit: true, address: '02:00:00:00:00:01' }, 'links[0].address: only links that carry Ethernet have one'],
    [{ kind: 'bridge', stp: 1 }, 'links[0].stp: 1 is not true or false'],
    [{ kind: 'bridge', forwardDelay: '15' }, 'links[0].forwardDelay: "15" is not a number of seconds from 0 to 30'],
    [{ kind: 'dummy', address: '01:00:5e:00:00:01' }, 'links[0].address: 01:00:5e:00:00:01 is a multicast address'],
    [{ kind: 'dummy', alias: 'x'.repeat(256) }, 'links[0].alias: it is not text of at most 255 bytes'],
    [{ kind: 'veth' }, 'links[0].peer: is required: a pair has two ends'],
    [{ kind: 'veth', peer: { name: 'x' } }, 'links[0].peer.name: x is this end'],
    [{ kind: 'gre', name: 'tunl0' }, 'links[0].name: the kernel reserves tunl0 for a link of kind ipip'],
  ])('%j', (given, message) => {
    expect(() => linkSteps([{ name: 'x', ...given } as LinkSpec], [])).toThrow(message)
  })

  it('two of one name, and two that need each other', () => {
    expect(() => linkSteps([{ kind: 'dummy', name: 'a' }, { kind: 'bridge', name: 'a' }], [])).toThrow('links[1]: a is there twice')
    expect(() => linkSteps([{ kind: 'vxlan', name: 'a', id: 1, link: 'b' }, { kind: 'vxlan', name: 'b', id: 2, link: 'a' }], [])).toThrow('a needs b needs a: none of them can be first')
  })

  it('what the kernel could not tell from another link', () => {
    const tun0 = stateOf({ kind: 'ipip', name: 'tun0', local: '10.0.0.1' })
    const tunl0 = stateOf({ kind: 'ipip', name: 'tunl0' }, { pmtudisc: false })
    expect(() => linkSteps([{ kind: 'ipip', name: 'a', local: '10.0.0.1' }], [tun0])).toThrow('links[0]: link tun0 has the same local, remote and link')
    expect(() => linkSteps([{ kind: 'ipip', name: 'a' }], [tunl0])).toThrow('links[0]: without local and remote it has the parameters of tunl0')
    expect(() => linkSteps([{ kind: 'ipip', name: 'a', external: true }, { kind: 'ipip', name: 'b', external: true }], []))
      .toThrow('links[1]: link a is external, and there can be one of a kind')
    expect(() => linkSteps([{ kind: 'vxlan', name: 'a', id: 4 }, { kind: 'vxlan', name: 'b', id: 4 }], [])).toThrow('links[1]: link a has the same id and port')
    expect(lines([{ kind: 'gre', name: 'a', local: '10.0.0.1' }, { kind: 'gre', name: 'b', local: '10.0.0.1', key: 4 }])).toHaveLength(4)
    const geneve = { kind: 'geneve', id: 4, remote: '10.0.0.2' } as const
    expect(() => linkSteps([{ ...geneve, name: 'a' }, { ...geneve, name: 'b' }], [])).toThrow('links[1]: link a has the same id, remote and port')
    expect(() => linkSteps([{ ...geneve, name: 'a' }, { kind: 'geneve', name: 'b', external: true }], [])).toThrow('links[1]: link a has the same port, which an external Geneve link has alone')
    expect(lines([{ ...geneve, name: 'a' }, { ...geneve, name: 'b', id: 5 }, { kind: 'geneve', name: 'c', port: 6082, external: true }])).toHaveLength(6)
    expect(() => linkSteps([{ kind: 'ipip', name: 'tunl0', ttl: 5 }], [tunl0])).toThrow('links[0].ttl: tunl0 is the kernel\'s own link, whose parameters do not change; add another link')
    expect(() => linkSteps([{ kind: 'dummy', name: 'eth0' }], [stateOf({ kind: 'dummy', name: 'eth0' }, { kind: undefined })])).toThrow('links[0].kind: eth0 exists, and is no dummy')
    expect(() => linkRemovals(['tunl0'], [tunl0])).toThrow('links[0]: the kernel keeps tunl0')
  })
})

describe('steps', () => {
  const tun0: LinkSpec = { kind: 'ipip', name: 'tun0', local: '10.0.0.1', ttl: 64 }

  it('add, then set up; none where all is so', () => {
    expect(lines([tun0])).toEqual(['add ip link add tun0 type ipip local 10.0.0.1 ttl 64', 'change ip link set tun0 up'])
    expect(lines([tun0], [stateOf(tun0)])).toEqual([])
    expect(lines([{ ...tun0, up: false }])).toEqual(['add ip link add tun0 type ipip local 10.0.0.1 ttl 64'])
  })

  it.each(linkKinds)('%s: none where all is so, at random', kind => {
    fc.assert(fc.property(link(kind, place), spec => {
      expect(lines([spec], [stateOf(spec)])).toEqual([])
      expect(lines([spec]).filter(line => line.startsWith('add'))).toHaveLength(1)
    }))
  })

  it('what is left out: settings stay, parameters get their defaults, of bridges they stay', () => {
    expect(lines([{ kind: 'ipip', name: 'tun0', local: '10.0.0.1' }], [stateOf(tun0, { mtu: 1400, alias: 'x' })])).toEqual(['change ip link change tun0 type ipip ttl inherit'])
    const br0 = stateOf({ kind: 'bridge', name: 'br0', stp: true, ageing: 20 })
    expect(lines([{ kind: 'bridge', name: 'br0', priority: 5 }], [br0])).toEqual(['change ip link change br0 type bridge priority 5'])
  })

  it('in the order of need: the bridge before its ports, the link below before those on it', () => {
    expect(lines([
      { kind: 'vxlan', name: 'vxlan42', id: 42, link: 'under', master: 'vbr0', remote: '10.0.0.2', local: '10.0.0.1' },
      { kind: 'veth', name: 'under', peer: { name: 'over', mtu: 1400 } },
      { kind: 'veth', name: 'over', peer: { name: 'under' } },
      { kind: 'bridge', name: 'vbr0', stp: true, forwardDelay: 2.5, alias: 'it\'s one' },
    ])).toEqual([
      'add ip link add under type veth peer name over mtu 1400', 'change ip link set under up',
      'add ip link add vbr0 type bridge stp_state 1 forward_delay 250', 'change ip link set vbr0 alias \'it\'\\\'\'s one\'', 'change ip link set vbr0 up',
      'add ip link add vxlan42 type vxlan id 42 remote 10.0.0.2 local 10.0.0.1 dev under dstport 4789', 'change ip link set vxlan42 master vbr0', 'change ip link set vxlan42 up',
      'change ip link set over up',
    ])
  })

  it('in place where the kernel can, anew where it cannot, and then it says why', () => {
    const anew = (spec: LinkSpec, changes: object): string[] => linkSteps([{ ...spec, ...changes }], [stateOf(spec, { alias: 'x' })]).map(({ line, why }) => why ?? line)
    expect(anew(tun0, { remote: '10.0.0.2' })).toEqual([
      'the kernel neither gives a tunnel a remote nor takes it away: it is removed and added again',
      'ip link add tun0 type ipip local 10.0.0.1 remote 10.0.0.2 ttl 64', 'ip link set tun0 alias \'x\'', 'ip link set tun0 up',
      'what stood on tun0 comes back: addresses, routes, neighbours, sysctls',
    ])
    expect(anew(tun0, { mode: 'ipip' })[0]).toMatch(/^the kernel says OK to another mode and keeps the old one: it is removed/)
    expect(anew({ kind: 'vxlan', name: 'v', id: 4 }, { link: 'eth0' })[0]).toMatch(/^the kernel does not take the link below away from a VXLAN/)
    expect(anew({ kind: 'ip6tnl', name: 'a', local: 'fd00::1' }, { remote: 'fd00::2' })).toEqual(['ip link change a type ip6tnl remote fd00::2'])
    expect(anew({ kind: 'vxlan', name: 'v', id: 4, remote: '10.0.0.2' }, { remote: '10.0.0.3', learning: false })).toEqual(['ip link change v type vxlan remote 10.0.0.3 nolearning'])
    expect(anew({ kind: 'vxlan', name: 'v', id: 4, remote: '10.0.0.2' }, { id: 5 })[0]).toMatch(/^the kernel does not change id of a VXLAN: it is removed and added again/)
    expect(anew({ kind: 'vxlan', name: 'v', id: 4, remote: '10.0.0.2' }, { remote: 'fd00::2' })[0]).toMatch(/only to another of the same family/)
    expect(anew({ kind: 'vxlan', name: 'v', id: 4, remote: '10.0.0.2' }, { ttl: 'inherit' })[0]).toMatch(/^the kernel does not change whether ttl is inherited/)
    expect(anew({ kind: 'gre', name: 'g', local: '10.0.0.1' }, { checksum: 'in', key: { out: 4 } })).toEqual(['ip link change g type gre noikey okey 4 icsum noocsum'])
    expect(anew({ kind: 'gre', name: 'g', external: true }, { checksum: 'in' })[0]).toMatch(/^the kernel changes nothing of an external link/)
    expect(anew({ kind: 'geneve', name: 'g', id: 4, remote: '10.0.0.2' }, { remote: '10.0.0.3', ttl: 'inherit', df: 'set' })).toEqual(['ip link change g type geneve remote 10.0.0.3 ttl inherit df set'])
    expect(anew({ kind: 'geneve', name: 'g', id: 4, remote: '10.0.0.2' }, { port: 7000 })[0]).toMatch(/^the kernel does not change port of a Geneve link/)
    expect(anew({ kind: 'geneve', name: 'g', id: 4, remote: '10.0.0.2' }, { remote: 'fd00::3' })[0]).toMatch(/^the kernel changes the remote only to another of the same family/)
    expect(anew({ kind: 'veth', name: 'a', peer: { name: 'b' } }, { peer: { name: 'c' } })[0]).toMatch(/^a pair keeps its ends/)
    expect(lines([tun0], [stateOf({ kind: 'dummy', name: 'tun0' })])).toEqual([
      'remove ip link del tun0', 'add ip link add tun0 type ipip local 10.0.0.1 ttl 64', 'change ip link set tun0 up', 'change ip addr restore; ip route restore',
    ])
  })

  it('what goes with a link that is made anew is made anew as well', () => {
    const under: LinkSpec = { kind: 'gretap', name: 'under', local: '10.0.0.1' }
    const over: LinkSpec = { kind: 'vxlan', name: 'over', id: 4, link: 'under' }
    const port: LinkSpec = { kind: 'dummy', name: 'port', master: 'br0' }
    expect(lines([over, { kind: 'gretap', name: 'under', external: true }], [stateOf(under), stateOf(over)])).toEqual([
      'remove ip link del under', 'add ip link add under type gretap external', 'change ip link set under up', 'change ip addr restore; ip route restore',
      'add ip link add over type vxlan id 4 dev under dstport 4789', 'change ip link set over up',
    ])
    expect(lines([{ kind: 'bridge', name: 'br0' }, port], [stateOf({ kind: 'dummy', name: 'br0' }), stateOf(port)])).toEqual([
      'remove ip link del br0', 'add ip link add br0 type bridge', 'change ip link set br0 up', 'change ip addr restore; ip route restore', 'change ip link set port master br0',
    ])
  })

  it('the kernel\'s own links come with their modules', () => {
    expect(linkSteps([{ kind: 'ipip', name: 'tunl0' }, { kind: 'gre', name: 'gre0', mtu: 1400 }], []).map(({ object, line }) => [object, line])).toEqual([
      ['module', 'modprobe ipip'], ['link', 'ip link set tunl0 up'], ['module', 'modprobe ip_gre'], ['link', 'ip link set gre0 mtu 1400'], ['link', 'ip link set gre0 up'],
    ])
    expect(lines([{ kind: 'ipip', name: 'tunl0' }], [stateOf({ kind: 'ipip', name: 'tunl0' }, { up: false, pmtudisc: false })])).toEqual(['change ip link set tunl0 up'])
    expect([...FALLBACKS.keys()].sort()).toEqual(['erspan0', 'gre0', 'gretap0', 'ip6_vti0', 'ip6gre0', 'ip6tnl0', 'ip_vti0', 'sit0', 'tunl0'])
  })

  it('removals, of a pair once', () => {
    const pair = [stateOf({ kind: 'veth', name: 'a', peer: { name: 'b' } }), stateOf({ kind: 'veth', name: 'b', peer: { name: 'a' } })]
    expect(linkRemovals(['a', 'b', 'nosuch'], pair).map(({ line }) => line)).toEqual(['ip link del a'])
    expect(() => linkRemovals(['a%d'], [])).toThrow('links[0]: "a%d" is not an interface name')
  })

  it('a state can be given back as a spec', () => {
    fc.assert(fc.property(fc.constantFrom(...linkKinds).chain(kind => link(kind, place)), spec => {
      const state = stateOf(spec)
      expect(linkSteps([state as LinkSpec], [state])).toEqual([])
      expect(linkOf(state).parameters).not.toHaveProperty('mtu')
    }))
  })
})
