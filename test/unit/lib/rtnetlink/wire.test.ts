import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { kernelName, Output, type AttributeSet, type Codec, type Table } from '../../../../generic-netlink/index.js'
import { kinds } from '../../../../lib/rtnetlink/client.js'
import * as addresses from '../../../../lib/rtnetlink/wire/address.js'
import * as linkInfos from '../../../../lib/rtnetlink/wire/link-info.js'
import * as links from '../../../../lib/rtnetlink/wire/link.js'
import * as neighbours from '../../../../lib/rtnetlink/wire/neighbour.js'
import * as routes from '../../../../lib/rtnetlink/wire/route.js'
import * as scalars from '../../../../lib/rtnetlink/wire/scalars.js'
import { header } from '../../../support/headers.js'

const tables = { ...scalars, ...linkInfos, ...links, ...addresses, ...routes, ...neighbours }

/** Rows that the headers here are too old for, with the number that later ones have. */
const newer: Readonly<Record<string, number>> = { IFLA_VXLAN_LOCALBYPASS: 31, IFLA_VXLAN_LABEL_POLICY: 32 }

const rows = ({ prefix, table }: AttributeSet<Table>): [string, number][] => Object.entries(table).map(([key, [number]]) => [kernelName(prefix, key), number])

describe.each<[string, AttributeSet<Table>]>([
  ['if_link.h', tables.link], ['if_link.h', tables.linkInfo], ['if_link.h', tables.vxlan], ['if_link.h', tables.geneve], ['if_link.h', tables.bridge], ['veth.h', tables.veth],
  ['if_tunnel.h', tables.iptun], ['if_tunnel.h', tables.iptun6], ['if_tunnel.h', tables.gre],
  ['if_addr.h', tables.address], ['rtnetlink.h', tables.route], ['rtnetlink.h', tables.routeMetrics], ['neighbour.h', tables.neighbour],
])('%s: %o', (file, set) => {
  const kernel = header(file)
  it(`each row of ${set.prefix}_* has the number of the constant that it spells, once`, () => {
    for (const [name, number] of rows(set)) expect([name, kernel.get(name) ?? newer[name]]).toEqual([name, number])
    expect(new Set(rows(set).map(([, number]) => number)).size).toBe(rows(set).length)
  })
})

describe('each constant has a row', () => {
  it.each<[string, string, AttributeSet<Table>[]]>([
    ['if_link.h', 'IFLA_VXLAN', [tables.vxlan]], ['if_link.h', 'IFLA_GENEVE', [tables.geneve]], ['if_tunnel.h', 'IFLA_IPTUN', [tables.iptun, tables.iptun6]], ['if_tunnel.h', 'IFLA_GRE', [tables.gre]],
    ['veth.h', 'VETH_INFO', [tables.veth]],
  ])('%s: %s', (file, prefix, sets) => {
    const known = new Set(sets.flatMap(rows).map(([name]) => name))
    const constants = [...header(file).keys()].filter(name => name.startsWith(`${prefix}_`) && !/_(MAX|UNSPEC)$|^IFLA_GRE_ERSPAN_|^IFLA_VXLAN_(GROUP|LOCAL)_/.test(name))
    expect(constants.length).toBeGreaterThan(0)
    expect(constants.filter(name => !known.has(name))).toEqual([])
  })
})

/** What a codec writes, as one number. */
const written = (codec: Pick<Codec<never>, 'write'>, value: unknown): number => {
  const to = new Output()
  codec.write(to, value as never, {})
  return to.finish().reduceRight((n, byte) => n * 256 + byte, 0)
}
const row = (set: AttributeSet<Table>, key: string): Codec<never> => set.table[key]![1] as Codec<never>
const swap = (n: number): number => (n & 255) << 8 | n >> 8
/** The constants that begin so: the rest of their names, in camelCase, and their numbers. */
const constants = (file: string, prefix: string, pattern = /^[A-Z0-9_]+$/): [string, number][] => [...header(file)]
  .filter(([name]) => name.startsWith(prefix) && pattern.test(name.slice(prefix.length)))
  .map(([name, n]) => [name.slice(prefix.length).toLowerCase().replace(/_(\w)/g, (_, c: string) => c.toUpperCase()), n])

describe('names for numbers', () => {
  it.each<[string, Pick<Codec<never>, 'write'>, string, string, RegExp?]>([
    ['RT_SCOPE_*', tables.scope, 'rtnetlink.h', 'RT_SCOPE_'],
    ['RTN_*', tables.routeType, 'rtnetlink.h', 'RTN_', /^(?!XRESOLVE|NAT)[A-Z]+$/],
    ['RTPROT_*', tables.routeProtocol, 'rtnetlink.h', 'RTPROT_', /^(UNSPEC|REDIRECT|KERNEL|BOOT|STATIC|RA|DHCP|KEEPALIVED|BGP|OSPF)$/],
  ])('%s', (_, codec, file, prefix, pattern) => {
    const found = constants(file, prefix, pattern)
    expect(found.length).toBeGreaterThan(4)
    const names: Record<string, string> = { universe: 'global' }
    for (const [name, n] of found) expect([name, written(codec, names[name] ?? name)]).toEqual([name, n])
  })

  it('address families', () => {
    expect(['unspec', 'inet', 'bridge', 'inet6'].map(name => written(tables.family, name))).toEqual([0, 2, 7, 10])
  })

  it('IP_TUNNEL encapsulations and their flags', () => {
    for (const set of [tables.iptun, tables.iptun6, tables.gre]) {
      for (const [name, n] of constants('if_tunnel.h', 'TUNNEL_ENCAP_', /^(NONE|FOU|GUE|MPLS)$/)) expect([name, written(row(set, 'encapType'), name)]).toEqual([name, n])
    }
    const kernel = header('if_tunnel.h')
    for (const name of ['csum', 'csum6', 'remcsum']) expect(written(row(tables.iptun, 'encapFlags'), { [name]: true })).toBe(kernel.get(`TUNNEL_ENCAP_FLAG_${name.toUpperCase()}`))
    expect(written(row(tables.iptun, 'flags'), { isatap: true })).toBe(1) // SIT_ISATAP, in host byte order
  })

  it('GRE_* and IP6_TNL_F_*', () => {
    for (const [name, n] of [['csum', 0x8000], ['routing', 0x4000], ['key', 0x2000], ['seq', 0x1000]] as const) { // __cpu_to_be16(…) in if_tunnel.h
      for (const key of ['iflags', 'oflags']) expect([name, swap(written(row(tables.gre, key), { [name]: true }))]).toEqual([name, n])
    }
    for (const [name, n] of constants('ip6_tunnel.h', 'IP6_TNL_F_')) for (const set of [tables.iptun6, tables.gre]) expect([name, written(row(set, 'flags'), { [name]: true })]).toEqual([name, n])
  })

  it('VXLAN_DF_* and IFF_*', () => {
    for (const [name, n] of constants('if_link.h', 'VXLAN_DF_', /^(UNSET|SET|INHERIT)$/)) expect(written(row(tables.vxlan, 'df'), name)).toBe(n)
    const flags = constants('if.h', 'IFF_', /^(UP|BROADCAST|DEBUG|LOOPBACK|POINTOPOINT|NOTRAILERS|RUNNING|NOARP|PROMISC|ALLMULTI|MASTER|SLAVE|MULTICAST|PORTSEL|AUTOMEDIA|DYNAMIC)$/)
    const header = { family: 'unspec', type: 0, index: 0, change: {} }
    for (const [name] of flags) {
      const to = new Output()
      tables.ifinfomsg.write(to, { ...header, flags: { [name]: true } } as never, {})
      const bit = ['up', 'broadcast', 'debug', 'loopback', 'pointopoint', 'notrailers', 'running', 'noarp', 'promisc', 'allmulti', 'master', 'slave', 'multicast', 'portsel', 'automedia', 'dynamic'].indexOf(name)
      expect([name, to.view.getUint32(8, true)]).toEqual([name, 1 << bit])
    }
  })

  it('NUD_*, NTF_* and IFA_F_*', () => {
    const one = (codec: Pick<Codec<never>, 'write'>, value: object, at: number, size: number): number => {
      const to = new Output()
      codec.write(to, value as never, {})
      return size === 2 ? to.view.getUint16(at, true) : to.view.getUint8(at)
    }
    const ndmsg = { family: 'inet', index: 0, state: {}, flags: {}, type: 'unspec' }
    for (const [name, n] of constants('neighbour.h', 'NUD_', /^(?!NONE)[A-Z]+$/)) expect([name, one(tables.ndmsg, { ...ndmsg, state: { [name]: true } }, 8, 2)]).toEqual([name, n])
    for (const [name, n] of constants('neighbour.h', 'NTF_', /^(USE|SELF|MASTER|PROXY|EXT_LEARNED|OFFLOADED|STICKY|ROUTER)$/)) {
      expect([name, one(tables.ndmsg, { ...ndmsg, flags: { [name]: true } }, 10, 1)]).toEqual([name, n])
    }
    for (const [name, n] of constants('if_addr.h', 'IFA_F_', /^(?!TEMPORARY)[A-Z_]+$/)) expect([name, written(row(tables.address, 'flags'), { [name]: true })]).toEqual([name, n])
  })
})

describe('messages', () => {
  it.each([['link', 'LINK'], ['address', 'ADDR'], ['route', 'ROUTE'], ['neighbour', 'NEIGH']] as const)('%s: RTM_*%s', (kind, name) => {
    const kernel = header('rtnetlink.h')
    expect(['NEW', 'DEL', 'GET'].map(verb => kernel.get(`RTM_${verb}${name}`))).toEqual([0, 1, 2].map(n => kinds[kind].first + n))
  })

  it('headers are as long as the kernel\'s', () => {
    expect([tables.ifinfomsg.size, tables.ifaddrmsg.size, tables.rtmsg.size, tables.ndmsg.size, tables.linkStats.size]).toEqual([16, 8, 12, 12, 192])
  })

  it('links: what is encoded is decoded, at random', () => {
    const text = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 15 })
    const u32 = fc.integer({ min: 0, max: 0xffffffff })
    const data = fc.oneof(
      fc.record({ kind: fc.constant('vxlan'), data: fc.record({ id: u32, port: fc.integer({ min: 0, max: 65535 }), group: fc.ipV4(), gbp: fc.constant(true as const), ttlInherit: fc.constant(true as const) }, { requiredKeys: [] }) }),
      fc.record({ kind: fc.constant('vlan'), data: fc.uint8Array({ maxLength: 40 }) }),
      fc.record({ kind: fc.constant('bridge'), data: fc.record({ ageingTime: u32, priority: fc.integer({ min: 0, max: 65535 }) }, { requiredKeys: [] }) }),
    )
    fc.assert(fc.property(fc.record({
      ifname: text, mtu: u32, ifalias: text, master: u32, address: fc.constant('02:00:00:00:00:0a'), operstate: fc.constantFrom('up' as const, 'down' as const, 99), linkinfo: data,
    }, { requiredKeys: [] }), value => {
      expect(JSON.parse(JSON.stringify(tables.link.decode(tables.link.encode(value as never))))).toEqual(JSON.parse(JSON.stringify(value)))
    }))
  })
})
