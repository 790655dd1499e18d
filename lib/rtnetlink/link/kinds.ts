/** Kinds of links, as tables: each parameter's word in `ip link`, its default, and how it stands on the wire. */

import { isDeepStrictEqual } from 'node:util'
import type { Infer } from '../../../generic-netlink/index.js'
import { familyOf, isMulticast, type Family } from '../../base/address.js'
import { address as anyAddress, integer, interfaceName, oneOf, checkObject } from '../../base/check.js'
import {
  bit, byte, checkMtu, device, encapsulation, end, hex, macAddress, mode, NAMES, no, number, only, orInner, plain, present, time, tos,
  UNSPECIFIED, type Field, type IndexOf, type Parameters, type Surroundings,
} from './fields.js'
import type { LinkKind } from './spec.js'
import { networkOf, parsePrefix } from '../../base/prefix.js'
import type { bridge, gre, iptun, iptun6, veth, vxlan } from '../wire/tables.js'

// Fields of fields.
const SIXRD = new Set(['prefix', 'relay'])
const WAYS = new Set(['in', 'out'])
const RANGE = new Set(['low', 'high'])
const PEER = new Set(['name', 'mtu', 'address', 'netns'])

// ── tunnels through IPv6 ──

const LABEL = 0xfffff
const overIPv6 = {
  local: end('local', 'inet6'), remote: end('remote', 'inet6'), dev: device,
  ttl: number('ttl', 'ttl', 1, 255, 64, { inherit: 0 }),
  tos: orInner('tclass', 'useOrigTclass', {
    max: 255, otherwise: 0, shown: hex,
    write(to, value) { to.flowinfo = ((to.flowinfo ?? 0) | value << 20) >>> 0 },
    read: ({ flowinfo = 0 }) => flowinfo >>> 20 & 255,
  }),
  flowLabel: orInner('flowlabel', 'useOrigFlowlabel', {
    max: LABEL, otherwise: 0, shown: hex,
    write(to, value) { to.flowinfo = ((to.flowinfo ?? 0) | value) >>> 0 },
    read: ({ flowinfo = 0 }) => flowinfo & LABEL,
  }),
  encapLimit: orInner('encaplimit', 'ignEncapLimit', {
    max: 255, otherwise: 4, inner: 'none', write(to, value) { to.encapLimit = value }, read: ({ encapLimit = 0 }) => encapLimit,
  }),
  fwmark: orInner('fwmark', 'useOrigFwmark', {
    max: 0xffffffff, otherwise: 0, shown: hex, write(to, value) { to.fwmark = value }, read: ({ fwmark = 0 }) => fwmark,
  }),
  dscpInherit: bit('rcvDscpCopy', value => value === true ? 'dscp inherit' : 'dscp 0'),
  allowLocalRemote: bit('allowLocalRemote', no('allow-localremote')),
  encap: encapsulation,
  external: present('collectMetadata', 'external'),
}

// ── tunnels through IPv4 ──

const overIPv4 = {
  local: end('local', 'inet'), remote: end('remote', 'inet'), dev: device,
  ttl: number('ttl', 'ttl', 1, 255, 'inherit', { inherit: 0 }),
  tos,
  pmtudisc: byte('pmtudisc', no('pmtudisc'), true),
  fwmark: number('fwmark', 'fwmark', 0, 0xffffffff, 0),
  encap: encapsulation,
}
const external = present('collectMetadata', 'external')

interface SixrdWire { '6rdPrefix'?: string; '6rdPrefixlen'?: number; '6rdRelayPrefix'?: string; '6rdRelayPrefixlen'?: number }
const prefix = (path: string, value: unknown, family: Family): [address: string, length: number] => {
  const given = parsePrefix(path, value)
  if (given.family !== family) throw new RangeError(`${path}: ${given.address} is not an ${NAMES[family]} prefix`)
  if (networkOf(given) !== given.address) throw new RangeError(`${path}: ${given.address} has bits behind the prefix of ${given.length}`)
  return [given.address, given.length]
}
const sixrd: Field<SixrdWire> = {
  check(path, value) {
    const { prefix: ours, relay = '0.0.0.0/0' } = checkObject(path, value, SIXRD)
    return { prefix: prefix(`${path}.prefix`, ours, 'inet6').join('/'), relay: prefix(`${path}.relay`, relay, 'inet').join('/') }
  },
  write(to, value) {
    if (value === undefined) return
    const { prefix: ours, relay } = value as { prefix: string; relay: string }
    const [a, b] = [prefix('prefix', ours, 'inet6'), prefix('relay', relay, 'inet')]
    Object.assign(to, { '6rdPrefix': a[0], '6rdPrefixlen': a[1], '6rdRelayPrefix': b[0], '6rdRelayPrefixlen': b[1] })
  },
  read: from => from['6rdPrefix'] === undefined ? undefined
    : { prefix: `${from['6rdPrefix']}/${from['6rdPrefixlen'] ?? 0}`, relay: `${from['6rdRelayPrefix'] ?? '0.0.0.0'}/${from['6rdRelayPrefixlen'] ?? 0}` },
  words(value) {
    const { prefix: ours, relay } = value as { prefix: string; relay: string }
    return `6rd-prefix ${ours} 6rd-relay_prefix ${relay}`
  },
}

// ── GRE's ──

type GreWire = Pick<Infer<typeof gre>, 'iflags' | 'oflags' | 'ikey' | 'okey'>
const set = (to: GreWire, flags: 'iflags' | 'oflags', name: string, on: boolean): void => {
  to[flags] = { ...to[flags], [name]: on } as GreWire['iflags'] & object
}
/** A bit of each way: true is both, `in` and `out` one. */
const bothWays = (name: 'csum' | 'seq'): Field<GreWire> => ({
  otherwise: false,
  check: (path, value) => typeof value === 'boolean' ? value : oneOf(path, value, ['in', 'out']),
  write(to, value) {
    set(to, 'iflags', name, value === true || value === 'in')
    set(to, 'oflags', name, value === true || value === 'out')
  },
  read({ iflags = {}, oflags = {} }) {
    const [into, out] = [iflags[name] === true, oflags[name] === true]
    return into && out ? true : into ? 'in' : out ? 'out' : false
  },
  words: value => value === true ? name : value === 'in' ? `i${name} noo${name}` : value === 'out' ? `noi${name} o${name}` : `no${name}`,
})
interface Keys { in?: number; out?: number }
const keys: Field<GreWire> = {
  otherwise: undefined,
  check(path, value) {
    const each = (where: string, n: unknown): number => integer(where, n, 0, 0xffffffff)
    if (typeof value !== 'object') return each(path, value)
    const { in: into, out } = checkObject(path, value, WAYS)
    if (into === undefined && out === undefined) return undefined
    if (into === out) return each(`${path}.in`, into)
    return { ...into !== undefined && { in: each(`${path}.in`, into) }, ...out !== undefined && { out: each(`${path}.out`, out) } }
  },
  write(to, value) {
    const { in: into, out }: Keys = typeof value === 'number' ? { in: value, out: value } : value ?? {}
    set(to, 'iflags', 'key', into !== undefined)
    set(to, 'oflags', 'key', out !== undefined)
    to.ikey = into ?? 0
    to.okey = out ?? 0
  },
  read({ iflags = {}, oflags = {}, ikey = 0, okey = 0 }) {
    const [into, out] = [iflags.key === true, oflags.key === true]
    if (into && out) return ikey === okey ? ikey : { in: ikey, out: okey }
    return into ? { in: ikey } : out ? { out: okey } : undefined
  },
  words(value) {
    if (typeof value === 'number') return `key ${value}`
    const { in: into, out }: Keys = value ?? {}
    return [into === undefined ? 'noikey' : `ikey ${into}`, out === undefined ? 'nookey' : `okey ${out}`].join(' ')
  },
}
const inGre = { key: keys, csum: bothWays('csum'), seq: bothWays('seq') }
const greTable = {
  ...overIPv4, ...inGre,
  ignoreDf: byte('ignoreDf', no('ignore-df'), false),
  external,
}
const greTable6 = { ...overIPv6, ...inGre }

// ── VXLAN's ──

type VxlanWire = Infer<typeof vxlan>
/** An end of either family; of what goes to many, `group`. */
const far = (word: 'remote' | 'group', multicast: boolean): Field<VxlanWire> => ({
  otherwise: undefined,
  check(path, value) {
    const text = anyAddress(path, value)
    if (UNSPECIFIED.has(text)) return undefined
    if (isMulticast(text) !== multicast) throw new RangeError(`${path}: ${text} is ${multicast ? 'not a multicast address' : 'a multicast address; say group'}`)
    return text
  },
  write(to, value) {
    if (value !== undefined) to[familyOf(value as string) === 'inet' ? 'group' : 'group6'] = value as string
  },
  read({ group, group6 }) {
    const text = group ?? group6
    return text !== undefined && !UNSPECIFIED.has(text) && isMulticast(text) === multicast ? text : undefined
  },
  words: value => `${word} ${value as string}`,
})
const near: Field<VxlanWire> = {
  ...far('remote', false),
  write(to, value) { if (value !== undefined) to[familyOf(value as string) === 'inet' ? 'local' : 'local6'] = value as string },
  read({ local, local6 }) {
    const text = local ?? local6
    return text === undefined || UNSPECIFIED.has(text) ? undefined : text
  },
  words: value => `local ${value as string}`,
}
const vxlanTtl: Field<VxlanWire> = {
  otherwise: 'auto',
  check: (path, value) => plain(path, value, 1, 255, ['auto', 'inherit']),
  write(to, value) {
    if (value === 'inherit') to.ttlInherit = true
    else to.ttl = value === 'auto' ? 0 : value as number
  },
  read: ({ ttl = 0, ttlInherit = false }) => ttlInherit ? 'inherit' : ttl === 0 ? 'auto' : ttl,
  words: value => `ttl ${value as string}`,
}
const portRange: Field<VxlanWire> = {
  otherwise: { low: 0, high: 0 },
  check(path, value) {
    const { low, high } = checkObject(path, value, RANGE)
    const normal = { low: integer(`${path}.low`, low, 0, 65535), high: integer(`${path}.high`, high, 0, 65535) }
    if (normal.low > normal.high) throw new RangeError(`${path}.high: ${normal.high} is less than ${normal.low}`)
    return normal
  },
  write(to, value) { to.portRange = value as { low: number; high: number } },
  read: ({ portRange: range = { low: 0, high: 0 } }) => range,
  words(value) {
    const { low, high } = value as { low: number; high: number }
    return `srcport ${low} ${high}`
  },
}
const df: Field<VxlanWire> = {
  otherwise: 'unset',
  check: (path, value) => oneOf(path, value, ['unset', 'set', 'inherit']),
  write(to, value) { to.df = value as 'set' },
  read: from => from.df ?? 'unset',
  words: value => `df ${value as string}`,
}
/** Decided where the rest is known. */
const learning: Field<VxlanWire> = byte('learning', no('learning'))

const vxlanTable = {
  id: { ...number('id', 'id', 1, 0xffffff), read: ({ id }: VxlanWire) => id === 0 ? undefined : id }, // an external one has none
  remote: far('remote', false), group: far('group', true), local: near, dev: device,
  port: number('port', 'dstport', 1, 65535, 4789), portRange,
  ttl: vxlanTtl, tos, label: number('label', 'flowlabel', 0, LABEL, 0), df,
  external: byte('collectMetadata', only('external'), false), // `ip` takes it for nolearning as well, where that does not follow
  learning, ageing: number('ageing', 'ageing', 1, 0xffffffff, 300), limit: number('limit', 'maxaddress', 0, 0xffffffff, 0),
  proxy: byte('proxy', no('proxy'), false), rsc: byte('rsc', no('rsc'), false),
  l2miss: byte('l2miss', no('l2miss'), false), l3miss: byte('l3miss', no('l3miss'), false),
  udpCsum: byte('udpCsum', no('udpcsum'), true),
  udp6ZeroCsumTx: byte('udpZeroCsum6Tx', no('udp6zerocsumtx'), false), udp6ZeroCsumRx: byte('udpZeroCsum6Rx', no('udp6zerocsumrx'), false),
  remcsumTx: byte('remcsumTx', no('remcsumtx'), false), remcsumRx: byte('remcsumRx', no('remcsumrx'), false),
  gbp: present('gbp', 'gbp'), gpe: present('gpe', 'gpe'),
}

// ── bridges and pairs ──

const bridgeTable = {
  stp: byte('stpState', value => `stp_state ${Number(value)}`),
  forwardDelay: time('forwardDelay', 'forward_delay', 30), helloTime: time('helloTime', 'hello_time', 10), maxAge: time('maxAge', 'max_age', 40),
  ageing: time('ageingTime', 'ageing_time'),
  priority: number('priority', 'priority', 0, 65535),
  vlanFiltering: byte('vlanFiltering', value => `vlan_filtering ${Number(value)}`),
  mcastSnooping: byte('mcastSnooping', value => `mcast_snooping ${Number(value)}`),
} satisfies Record<string, Field<Infer<typeof bridge>>>

interface Peer {
  name: string
  mtu?: number
  address?: string
  netns?: number
  /** The number that it had, and gets again. */
  index?: number
}
const peer: Field<Infer<typeof veth>> = {
  check(path, value) {
    const { name, mtu, address, netns } = checkObject(path, value, PEER)
    return {
      name: interfaceName(`${path}.name`, name),
      ...mtu !== undefined && { mtu: checkMtu(`${path}.mtu`, mtu) },
      ...address !== undefined && { address: macAddress(`${path}.address`, address) },
      ...netns !== undefined && { netns: integer(`${path}.netns`, netns, 1, 0x7fffffff) },
    }
  },
  write(to, value) {
    if (value === undefined) return
    const { name, mtu, address, netns, index = 0 } = value as Peer
    to.peer = {
      header: { family: 'unspec', type: 0, index, flags: {}, change: {} },
      attributes: { ifname: name, ...mtu !== undefined && { mtu }, ...address !== undefined && { address }, ...netns !== undefined && { netNsPid: netns } },
    }
  },
  read: (_, { nameOf, link }) => link.link === undefined || link.linkNetnsid !== undefined ? undefined : { name: nameOf(link.link) },
  words(value) {
    const { name, mtu, address, netns } = value as Peer
    return ['peer', ...Object.entries({ name, mtu, address, netns }).filter(([, each]) => each !== undefined).flat()].join(' ')
  },
  // In another namespace it may have any name; here, its name says that it is the one.
  same: (wanted, actual) => (wanted as Peer).netns !== undefined ? actual === undefined : (wanted as Peer).name === (actual as Peer | undefined)?.name,
}

// ── kinds ──

/** A kind of link. */
interface Kind {
  readonly fields: Readonly<Record<string, Field<never>>>
  /** Whether it carries Ethernet: it has a MAC address then, and can be a port of a bridge. */
  readonly ethernet: boolean
  /** Whether the kernel, asked for a change, takes all parameters for new, or keeps those that it is not told. */
  readonly changes: 'all' | 'some'
  /** Why the kernel cannot make this of that; it can where there is no reason. */
  inPlace?(wanted: Parameters, actual: Parameters, changed: readonly string[]): string | undefined
  /** What cannot be said together. @throws RangeError naming the path */
  verify?(path: string, wanted: Parameters): void
  /** What the kernel tells two links of the kind apart by, names aside. */
  readonly identity: readonly string[]
  /** The link that the kernel makes when it loads the kind's module, and keeps until it unloads it. */
  readonly fallback?: string
}

const noExternal = (wanted: Parameters, _: Parameters, changed: readonly string[]): string | undefined =>
  changed.includes('external') ? 'whether it is external is decided when it is made'
    : wanted.external === true ? 'the kernel changes nothing of an external link' : undefined

/** The kernel marks a link with a remote as point to point when it makes it, and never again. */
const sameShape = (wanted: Parameters, actual: Parameters, changed: readonly string[]): string | undefined =>
  noExternal(wanted, actual, changed)
  ?? (['mode', 'isatap'].some(key => changed.includes(key)) ? 'the kernel says OK to another mode and keeps the one that it has' : undefined)
  ?? ((wanted.remote === undefined) === (actual.remote === undefined) ? undefined : 'the kernel neither gives a tunnel a remote nor takes it away')

function verifyIPv4(path: string, { ttl = 'inherit', pmtudisc, ignoreDf, local, remote }: Parameters): void {
  if (pmtudisc === false && ttl !== 'inherit') throw new RangeError(`${path}ttl: a fixed one needs pmtudisc, or packets could circle for ever`)
  if (ignoreDf === true && pmtudisc === true) throw new RangeError(`${path}ignoreDf: it needs pmtudisc: false`)
  verifyEnds(path, { local, remote })
}
function verifyEnds(path: string, { local, remote }: Parameters): void {
  if (local !== undefined && isMulticast(local as string)) throw new RangeError(`${path}local: ${local as string} is a multicast address`)
  if (local !== undefined && local === remote) throw new RangeError(`${path}remote: ${local as string} is the local end`)
}

/** What can be changed of a VXLAN in place. */
const VXLAN_CHANGES = new Set(['remote', 'group', 'local', 'dev', 'ttl', 'tos', 'label', 'df', 'learning', 'ageing'])
function vxlanInPlace(wanted: Parameters, actual: Parameters, changed: readonly string[]): string | undefined {
  const stuck = changed.filter(key => !VXLAN_CHANGES.has(key))
  if (stuck.length > 0) return `the kernel does not change ${stuck.join(', ')} of a VXLAN`
  if (changed.includes('ttl') && [wanted.ttl, actual.ttl].includes('inherit')) return 'the kernel does not change whether ttl is inherited'
  if ((wanted.dev === undefined) !== (actual.dev === undefined)) return 'the kernel does not take the link below away from a VXLAN'
  const families = ({ remote, group, local }: Parameters): unknown[] => [remote ?? group, local].map(text => text === undefined ? '' : familyOf(text as string))
  return isDeepStrictEqual(families(wanted), families(actual)) ? undefined : 'the kernel changes an end of a VXLAN only to another of the same family'
}
function verifyVxlan(path: string, wanted: Parameters): void {
  const { id, external: many, remote, group, local, dev, gpe, label } = wanted as Record<string, string | number | boolean | undefined>
  if (many !== true && id === undefined) throw new TypeError(`${path}id: a VXLAN has an id (1 to 16777215), or is external`)
  for (const [key, value] of Object.entries({ id, remote, group })) {
    if (many === true && value !== undefined) throw new TypeError(`${path}${key}: an external VXLAN has none; each packet says its own`)
  }
  if (remote !== undefined && group !== undefined) throw new TypeError(`${path}group: a VXLAN has a remote or a group`)
  if (group !== undefined && dev === undefined) throw new TypeError(`${path}dev: a group needs the link that it is joined on`)
  const there = remote ?? group
  const families = [there, local].filter(text => text !== undefined).map(text => familyOf(text as string))
  if (new Set(families).size > 1) throw new RangeError(`${path}local: ${local as string} and ${there as string} are of two families`)
  if (label !== 0 && !families.includes('inet6')) throw new RangeError(`${path}label: only packets through IPv6 have one`)
  if (gpe === true) {
    if (many !== true) throw new RangeError(`${path}gpe: only an external VXLAN can have it`)
    const other = ['gbp', 'learning', 'proxy', 'rsc', 'l2miss', 'l3miss', 'remcsumTx', 'remcsumRx'].find(key => wanted[key] === true)
    if (other !== undefined) throw new RangeError(`${path}${other}: the kernel does not know it together with gpe`)
  }
  verifyEnds(path, wanted)
}

const ENDS = ['local', 'remote', 'dev']

/** The kinds of links that can be made. */
export const kinds = {
  ipip: {
    fields: { mode: mode(['ipip', 'mplip', 'any'], 'any'), ...overIPv4, external } satisfies Record<string, Field<Infer<typeof iptun>>>,
    ethernet: false, changes: 'all', inPlace: sameShape, verify: verifyIPv4, identity: ENDS, fallback: 'tunl0',
  },
  sit: {
    fields: {
      mode: mode(['ip6ip', 'ipip', 'mplip', 'any'], 'any'), ...overIPv4, isatap: bit('isatap', only('isatap')), sixrd,
    } satisfies Record<string, Field<Infer<typeof iptun>>>,
    ethernet: false, changes: 'all', inPlace: sameShape, verify: verifyIPv4, identity: ENDS, fallback: 'sit0',
  },
  ip6tnl: {
    fields: { mode: mode(['ip6ip6', 'ipip6', 'any'], 'any'), ...overIPv6 } satisfies Record<string, Field<Infer<typeof iptun6>>>,
    ethernet: false, changes: 'all', inPlace: noExternal, verify: verifyEnds, identity: ENDS, fallback: 'ip6tnl0',
  },
  gre:       { fields: greTable, ethernet: false, changes: 'all', inPlace: sameShape, verify: verifyIPv4, identity: [...ENDS, 'key'], fallback: 'gre0' },
  gretap:    { fields: greTable, ethernet: true, changes: 'all', inPlace: noExternal, verify: verifyIPv4, identity: [...ENDS, 'key'], fallback: 'gretap0' },
  ip6gre:    { fields: greTable6, ethernet: false, changes: 'all', inPlace: noExternal, verify: verifyEnds, identity: [...ENDS, 'key'], fallback: 'ip6gre0' },
  ip6gretap: { fields: greTable6, ethernet: true, changes: 'all', inPlace: noExternal, verify: verifyEnds, identity: [...ENDS, 'key'] },
  vxlan:     { fields: vxlanTable, ethernet: true, changes: 'some', inPlace: vxlanInPlace, verify: verifyVxlan, identity: ['id', 'port'] },
  bridge:    { fields: bridgeTable, ethernet: true, changes: 'some', identity: [] },
  dummy:     { fields: {}, ethernet: true, changes: 'some', identity: [] },
  veth:      { fields: { peer }, ethernet: true, changes: 'some', inPlace: () => 'a pair keeps its ends', identity: [] },
} satisfies Record<LinkKind, Kind> as unknown as Readonly<Record<LinkKind, Kind>>

/** Whether the library makes links of this kind. */
export const isKind = (kind: unknown): kind is LinkKind => typeof kind === 'string' && Object.hasOwn(kinds, kind)

/** What tells links of a kind apart that it makes by itself, by name: `erspan0` is of a kind that it is not asked for. */
export const FALLBACKS: ReadonlyMap<string, string> = new Map([
  ...Object.entries(kinds).flatMap(([kind, { fallback }]): [string, string][] => fallback === undefined ? [] : [[fallback, kind]]),
  ['erspan0', 'erspan'], ['ip_vti0', 'vti'], ['ip6_vti0', 'vti6'],
])

const fieldsOf = (kind: LinkKind): [string, Field<never>][] => Object.entries(kinds[kind].fields)

/** What tells where a tunnel goes, and how: of an external one, each packet does. */
const OF_ENDS = new Set([...Object.keys(overIPv4), ...Object.keys(overIPv6), 'ignoreDf'].filter(key => key !== 'encap' && key !== 'external'))
const isEnd = (kind: LinkKind, key: string): boolean => kind !== 'vxlan' && OF_ENDS.has(key)

/** Parameters in their normal form; with `whole`, those left out get their defaults. @throws TypeError, RangeError naming the field below `path` */
export function normalizeParameters(path: string, kind: LinkKind, given: Parameters, whole: boolean): Parameters {
  const normal: Record<string, unknown> = {}
  for (const [key, field] of fieldsOf(kind)) {
    if (given[key] !== undefined) normal[key] = field.check(`${path}${key}`, given[key])
    else if (whole && 'otherwise' in field && !(given.external === true && isEnd(kind, key))) normal[key] = field.otherwise
  }
  if (whole && kind === 'vxlan' && normal.learning === undefined) normal.learning = normal.external !== true
  return normal
}

/** Refuses what cannot be together. @throws TypeError, RangeError naming the field below `path` */
export function verifyParameters(path: string, kind: LinkKind, whole: Parameters): void {
  kinds[kind].verify?.(path, whole)
  const own = whole.external === true ? Object.keys(whole).find(key => isEnd(kind, key) && whole[key] !== undefined) : undefined
  if (own !== undefined) throw new TypeError(`${path}${own}: an external link has none; each packet says its own`)
}

/** Parameters to the kernel: all of them, or those that are named. */
export function writeParameters(kind: LinkKind, parameters: Parameters, indexOf: IndexOf, only?: readonly string[]): object {
  const data = {}
  for (const [key, field] of fieldsOf(kind)) {
    if (key in parameters && (only?.includes(key) ?? true)) field.write(data as never, parameters[key], indexOf)
  }
  return data
}

/** Parameters from the kernel. */
export function readParameters(kind: LinkKind, data: object, around: Surroundings): Parameters {
  const read = fieldsOf(kind).map(([key, field]) => [key, field.read(data as never, around)] as const)
  const external = read.some(([key, value]) => key === 'external' && value === true)
  return Object.fromEntries(read.filter(([key]) => !(external && isEnd(kind, key))))
}

/** The names of what is wanted and is not so. */
export function differences(kind: LinkKind, wanted: Parameters, actual: Parameters): string[] {
  return fieldsOf(kind).filter(([key, field]) => key in wanted && !(field.same ?? isDeepStrictEqual)(wanted[key], actual[key])).map(([key]) => key)
}

/** Defaults of `ip link` that are not ours: where ours is meant, it has to be said. */
const SAID: Readonly<Partial<Record<LinkKind, readonly string[]>>> = { ip6tnl: ['mode'], vxlan: ['port'] }

/** What follows `type KIND` in the notation of `ip link`: the parameters that are named, or those that are not what they would be anyway. */
export function parameterWords(kind: LinkKind, parameters: Parameters, only?: readonly string[]): string {
  return fieldsOf(kind)
    .filter(([key, field]) => key in parameters && (only?.includes(key)
      ?? (SAID[kind]?.includes(key) === true || !isDeepStrictEqual(parameters[key], key === 'learning' ? parameters.external !== true : field.otherwise))))
    .map(([key, field]) => field.words(parameters[key]))
    .filter(Boolean)
    .join(' ')
}
