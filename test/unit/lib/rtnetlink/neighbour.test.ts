import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Input, Output } from '../../../../generic-netlink/buffers.js'
import { forwardingCommand, normalizeForwarding, readForwarding, type ForwardingSpec, type ForwardingState } from '../../../../lib/rtnetlink/neighbour/forwarding.js'
import { neighbourCommand, normalizeNeighbour, readNeighbour, type IpNeighbourSpec, type IpNeighbourState } from '../../../../lib/rtnetlink/neighbour/spec.js'
import { neighbourRemovals, neighbourSteps, type NeighbourSpec, type NeighbourState } from '../../../../lib/rtnetlink/neighbour/neighbours.js'
import { namesOf } from '../../../../lib/rtnetlink/link-names.js'
import { ndmsg, neighbour } from '../../../../lib/rtnetlink/wire/neighbour.js'
import { ipv4, ipv6 } from '../../../support/arbitraries.js'

const u32 = fc.nat(0xffffffff)
const mac = fc.array(fc.nat(255), { minLength: 6, maxLength: 6 }).map(bytes => bytes.map(byte => byte.toString(16).padStart(2, '0')).join(':'))

it('what is written is read again', () => {
  const rows = { dst: fc.oneof(ipv4, ipv6), lladdr: mac, vlan: fc.nat(65535), port: fc.nat(65535), vni: u32, ifindex: u32, master: u32, srcVni: u32, protocol: fc.nat(255) }
  fc.assert(fc.property(fc.record(rows, { requiredKeys: [] }), value => { expect(neighbour.decode(neighbour.encode(value))).toEqual(value) }))
})

const links = new Map([[7, { ifname: 'eth0' }], [8, { ifname: 'br0' }], [9, { ifname: 'vx0', linkinfo: { kind: 'vxlan', data: { id: 42, port: 4789 } } }]])
const names = namesOf(links)
type Command = ReturnType<typeof forwardingCommand>
const echo = ({ header, attributes }: Command): { header: typeof header; attributes: typeof attributes } => {
  const to = new Output()
  ndmsg.write(to, header, {})
  return { header: ndmsg.read(new Input(to.finish()), 0, 12, {}), attributes: neighbour.decode(neighbour.encode(attributes)) }
}
/** What the kernel would say of one that was added so. */
const neighbourState = (spec: IpNeighbourSpec): IpNeighbourState => readNeighbour(echo(neighbourCommand('add', normalizeNeighbour(spec), names)), names)
const forwardingState = (spec: ForwardingSpec, master?: number): ForwardingState => {
  const { header, attributes } = echo(forwardingCommand('add', normalizeForwarding(spec), names))
  return readForwarding({ header, attributes: { ...attributes, ...master !== undefined && { master } } }, names, links)
}

const server = { address: '10.0.0.9', link: 'eth0', lladdr: '02:00:00:00:00:09' } as const
const port = { lladdr: '02:00:00:00:00:01', link: 'eth0', at: 'master' } as const
const far = { lladdr: '02:00:00:00:00:02', link: 'vx0', dst: '10.0.0.2' } as const
const flood = { lladdr: '00:00:00:00:00:00', link: 'vx0', dst: '10.0.0.2' } as const

describe('specs', () => {
  it('become commands, and states', () => {
    expect(neighbourCommand('add', normalizeNeighbour({ ...server, lladdr: '02:00:5E:00:00:09', state: 'noarp', protocol: 4 }), names)).toEqual({
      kind: 'neighbour', verb: 'add', object: 'neighbour 10.0.0.9 dev eth0',
      header: { family: 'inet', index: 7, state: { noarp: true }, flags: {}, type: 'unspec' }, attributes: { dst: '10.0.0.9', lladdr: '02:00:5e:00:00:09', protocol: 4 },
    })
    expect(neighbourState(server)).toEqual({ ...server, family: 'inet', proxy: false, state: 'permanent', router: false, external: false })
    expect(neighbourState({ address: 'fd00::1', link: 'eth0', proxy: true })).toEqual({ address: 'fd00::1', link: 'eth0', family: 'inet6', proxy: true, state: 'none', router: false, external: false })
    expect(readNeighbour({ header: { family: 'inet', index: 0, state: { 10: true }, flags: { proxy: true }, type: 'unspec' }, attributes: { dst: '10.0.0.1' } }, names)).toMatchObject({ link: '*', state: 'none' })
    expect(forwardingCommand('add', normalizeForwarding({ ...far, port: 5000, vni: 7, via: 'eth0' }), names)).toEqual({
      kind: 'neighbour', verb: 'add', object: 'forwarding entry 02:00:00:00:00:02 dev vx0 dst 10.0.0.2 self port 5000 vni 7 via eth0',
      header: { family: 'bridge', index: 9, state: { noarp: true, permanent: true }, flags: { self: true }, type: 'unspec' },
      attributes: { lladdr: '02:00:00:00:00:02', dst: '10.0.0.2', port: 5000, vni: 7, ifindex: 7 },
    })
    expect(forwardingState({ ...port, state: 'static', sticky: true }, 8)).toEqual({ ...port, state: 'static', sticky: true, external: false, bridge: 'br0' })
    expect(forwardingState({ lladdr: port.lladdr, link: 'br0' }, 8)).toMatchObject({ at: 'self', bridge: 'br0' })
    expect(forwardingState(far)).toEqual({ ...far, at: 'self', state: 'permanent', sticky: false, external: false, tunnel: { port: 4789, vni: 42 } })
  })

  it.each<[NeighbourState]>([
    [neighbourState(server)], [neighbourState({ address: 'fd00::1', link: 'eth0', lladdr: '02:00:00:00:00:09', router: true, state: 'stale', protocol: 4 })],
    [neighbourState({ address: 'fd00::1', link: 'eth0', proxy: true })], [forwardingState({ ...port, vlan: 5, state: 'dynamic' }, 8)], [forwardingState({ ...flood, port: 5000 })],
  ])('%j is a spec again', state => {
    expect(neighbourSteps([state as NeighbourSpec], [state])).toEqual([])
  })

  it.each<[object, Record<string, unknown>, string]>([
    [server, { address: '0.0.0.0' }, 'address: 0.0.0.0 is the unspecified address'],
    [server, { address: 'ff02::1' }, 'address: ff02::1 is a multicast address'],
    [server, { address: '10.0.0.9/24' }, 'address: "10.0.0.9/24" is not an IPv4 or IPv6 address'],
    [server, { link: '' }, 'link: "" is not an interface name'],
    [server, { lladdr: undefined }, 'lladdr: is required'],
    [server, { lladdr: '02:00:0' }, 'lladdr: "02:00:0" is not a link-layer address such as 02:00:5e:10:00:01'],
    [server, { state: 'failed' }, 'state: "failed" is not one of permanent, noarp, reachable, stale'],
    [server, { router: true }, 'router: only IPv6 neighbours say so'],
    [server, { proxy: true }, 'proxy: goes without lladdr, state and router: the host answers with its own link-layer address, for ever'],
    [server, { protocol: 256 }, 'protocol: 256 is not an integer from 0 to 255'],
    [server, { vlan: 5 }, ': there is no field "vlan"; there are proxy, address, lladdr, link, state, router, protocol'],
    [port, { lladdr: '02:00:00' }, 'lladdr: "02:00:00" is not an Ethernet address such as 02:00:5e:10:00:01'],
    [port, { at: 'both' }, 'at: "both" is not one of self, master'],
    [port, { vlan: 4095 }, 'vlan: 4095 is not an integer from 1 to 4094'],
    [port, { port: 4789 }, 'dst: is required with port, vni, srcVni and via'],
    [port, { sticky: true }, 'sticky: needs at: master, and a state that is not permanent'],
    [far, { dst: '::' }, 'dst: :: is the unspecified address'],
    [far, { dst: 'there' }, 'dst: "there" is not an IPv4 or IPv6 address'],
    [far, { at: 'master' }, 'at: must be self with a destination, which belongs to the tunnel'],
    [far, { vlan: 5 }, 'vlan: the kernel drops it from entries with a destination'],
    [far, { port: 0 }, 'port: 0 is not an integer from 1 to 65535'],
    [far, { vni: 0x1000000 }, 'vni: 16777216 is not an integer from 0 to 16777215'],
    [far, { state: 'noarp' }, 'state: "noarp" is not one of permanent, static, dynamic'],
  ])('%j with %j is refused', (spec, wrong, message) => {
    expect(() => neighbourSteps([{ ...spec, ...wrong } as NeighbourSpec], [])).toThrow(`neighbours[0]${message.startsWith(':') ? '' : '.'}${message}`)
  })
})

const shown = (wanted: readonly NeighbourSpec[], actual: readonly NeighbourState[]): string[] =>
  neighbourSteps(wanted, actual).map(({ action, line, why }) => `${action}: ${line}${why === undefined ? '' : ` # ${why}`}`)

describe('steps', () => {
  it('add what is not there, with all that is said', () => {
    expect(shown([
      server, { ...server, address: 'fd00::9', state: 'reachable', router: true, protocol: 4 }, { address: '10.0.0.8', link: 'eth0', proxy: true },
      { ...port, state: 'static', sticky: true, vlan: 5 }, { ...far, port: 5000, vni: 7, srcVni: 8, via: 'eth0' }, flood, { ...flood, dst: '10.0.0.3' },
    ], [])).toEqual([
      'add: ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0',
      'add: ip neigh add fd00::9 lladdr 02:00:00:00:00:09 dev eth0 nud reachable router protocol 4',
      'add: ip neigh add proxy 10.0.0.8 dev eth0',
      'add: bridge fdb add 02:00:00:00:00:01 dev eth0 master vlan 5 static sticky',
      'add: bridge fdb add 02:00:00:00:00:02 dev vx0 dst 10.0.0.2 self port 5000 vni 7 src_vni 8 via eth0',
      'add: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.2 self',
      'add: bridge fdb append 00:00:00:00:00:00 dev vx0 dst 10.0.0.3 self',
    ])
  })

  it('know a neighbour that is looked for, and one that is sure for now', () => {
    const state = neighbourState(server)
    for (const now of ['incomplete', 'failed', 'none'] as const) {
      expect(shown([server], [{ ...state, lladdr: undefined, state: now }])).toEqual(['change: ip neigh replace 10.0.0.9 lladdr 02:00:00:00:00:09 dev eth0 # the kernel is looking for it'])
    }
    for (const now of ['reachable', 'stale', 'delay', 'probe'] as const) {
      expect(shown([{ ...server, state: 'reachable' }], [{ ...state, state: now }])).toEqual([])
      expect(shown([server], [{ ...state, state: now }])).toHaveLength(1)
    }
    expect(shown([{ address: server.address, link: 'eth0', proxy: true }], [state])).toHaveLength(1) // another object
  })

  it('know that a bridge has an address once', () => {
    const ports = [forwardingState({ ...port, lladdr: '02:00:00:00:00:aa' }, 8), { ...forwardingState(port, 8), link: 'eth1' }]
    expect(shown([port], ports)).toEqual(['change: bridge fdb replace 02:00:00:00:00:01 dev eth0 master # it is behind eth1 now'])
    expect(shown([{ ...port, vlan: 5 }], ports)[0]).toMatch(/^add/)
    expect(shown([port], ports.slice(1))[0]).toMatch(/^add/) // as far as can be seen, of no bridge
  })

  it('know what is the tunnel\'s own', () => {
    const own = { port: 4789, vni: 42 }
    for (const [wanted, actual] of [[far, { ...far, ...own }], [{ ...far, ...own }, far], [flood, { ...flood, ...own }], [{ ...flood, ...own }, flood]] as const) {
      expect(shown([wanted], [forwardingState(actual)])).toEqual([])
    }
    expect(shown([{ ...far, port: 5000 }], [forwardingState(far)])[0]).toMatch(/^change: bridge fdb replace/)
    expect(shown([{ ...flood, port: 5000 }], [forwardingState(flood)])[0]).toMatch(/^add: bridge fdb append/)
    expect(shown([{ ...far, srcVni: 7 }], [forwardingState(far)])[0]).toMatch(/^add/)
  })

  it('refuse one twice', () => {
    expect(() => neighbourSteps([server, { ...server, lladdr: '02:00:00:00:00:10' }], [])).toThrow('neighbours[1]: 10.0.0.9 dev eth0 is there twice')
    expect(() => neighbourSteps([far, { ...far, dst: '10.0.0.3' }], [])).toThrow('neighbours[1]: 02:00:00:00:00:02 dev vx0 dst 10.0.0.3 self is there twice')
  })

  it('remove what is there', () => {
    const states = [neighbourState(server), forwardingState(flood), forwardingState({ ...flood, dst: '10.0.0.3' })]
    expect(neighbourRemovals([server, flood, far], states).map(step => step.line)).toEqual([
      'ip neigh del 10.0.0.9 dev eth0', 'bridge fdb del 00:00:00:00:00:00 dev vx0 dst 10.0.0.2 self',
    ])
  })
})
