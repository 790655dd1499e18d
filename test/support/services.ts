/** Valid services of every kind, for properties: whatever the library may be asked for and the kernel takes. */

import fc from 'fast-check'
import { formatIPv4, formatIPv6 } from '../../generic-netlink/index.js'
import { schedulerFlagName } from '../../lib/ipvs/schedulers.js'
import type { Forwarding, Protocol, RealServerSpec, VirtualServiceSpec } from '../../lib/ipvs/model.js'

/** What to keep away from. */
export interface ArbitraryOptions {
  readonly minLength?: number
  readonly maxLength?: number
  /** The largest firewall mark; from 2147483648 on ipvsadm prints what it does not read. */
  readonly maxMark?: number
  /** Addresses and marks within 2147483648 of each other, among which ipvsadm's comparison is an order. @defaultValue false */
  readonly ordered?: boolean
  /** Forwarding to the director itself, for which ipvsadm has no option. @defaultValue true */
  readonly local?: boolean
}

/** Mostly the given ones, which lie at edges; else any of the range. */
const edges = (min: number, max: number, ...some: number[]): fc.Arbitrary<number> =>
  fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...some.filter(n => n >= min && n <= max)) }, { weight: 1, arbitrary: fc.integer({ min, max }) })

const INT_MAX = 0x7fffffff

// ── addresses ──

/** First and last address of blocks that are unicast in every table, and where a comparison of 32 bits turns over. */
const V4_BLOCKS = [
  [0x0a000000, 0x0affffff], [0xac100000, 0xac1fffff], [0xc0a80000, 0xc0a8ffff], [0x64400000, 0x647fffff], [0xcb007100, 0xcb0071ff],
  [0x01000001, 0x01000009], [0x7effff00, 0x7efffffe], [0x80000000, 0x80000001], [0xdfffff00, 0xdffffffe], [0xf0000001, 0xf7fffffe],
] as const

const ipv4 = (ordered: boolean): fc.Arbitrary<string> =>
  fc.constantFrom(...V4_BLOCKS).chain(([first, last]) => edges(first, last, first, last, first + 1, first + 2))
    // Halved, no two are far apart; and the first octet is 1 to 125.
    .map(n => formatIPv4(ordered ? (n >>> 1 | 0x01000000) >>> 0 : n))

/** Documentation, provider, unique local, and such as begin with 1, 7fff and 8000; zeros to abbreviate and not. */
const ipv6 = (ordered: boolean): fc.Arbitrary<string> =>
  fc.tuple(
    fc.constantFrom(0x20010db8, 0x26064700, 0xfd000000, 0xfdffffff, 0x00010001, 0x7fffffff, 0x80000000),
    ...Array.from({ length: 3 }, () => edges(0, 0xffffffff, 0, 0, 1, 0x10000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff)),
  ).map(words => {
    const bytes = Buffer.alloc(16)
    words.forEach((word, i) => bytes.writeUInt32BE(ordered ? word >>> 1 : word, i * 4))
    if (ordered) bytes[1]! |= 1 // 1:1:: halved begins with 0, and more words may
    return formatIPv6(bytes)
  })

type Family = 'inet' | 'inet6'
const addressOf = (family: Family, ordered: boolean): fc.Arbitrary<string> => family === 'inet' ? ipv4(ordered) : ipv6(ordered)

const port = edges(1, 65535, 1, 53, 80, 443, 8080, 32767, 32768, 65535)

// ── services ──

interface Identity { family: Family; datagrams: boolean; vip?: string; port?: number; id: object }

const protocols: fc.Arbitrary<Protocol[]> = fc.uniqueArray(fc.constantFrom<Protocol>('tcp', 'udp', 'sctp'), { minLength: 1 })

const identity = (persistent: boolean, { maxMark = 0xffffffff, ordered = false }: ArbitraryOptions): fc.Arbitrary<Identity> =>
  fc.constantFrom<Family>('inet', 'inet6').chain(family => fc.oneof(
    {
      weight: 3,
      arbitrary: fc.record({
        vip: addressOf(family, ordered),
        port: persistent ? fc.oneof(port, fc.constant(0)) : port,
        some: fc.oneof(protocols, fc.constantFrom<Protocol>('tcp', 'udp', 'sctp')),
      }).map(({ vip, port, some }) => ({
        family, vip, port,
        datagrams: typeof some === 'string' ? some === 'udp' : some.includes('udp'),
        id: { vip, port, ...typeof some === 'string' ? { protocol: some } : { protocols: some } },
      })),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        fwmark: edges(1, ordered ? Math.min(maxMark, INT_MAX) : maxMark, 1, 7, INT_MAX, INT_MAX + 1, 0xfffffffe, 0xffffffff),
        said: fc.boolean(),
      }).map(({ fwmark, said }) => ({ family, datagrams: true, id: { fwmark, ...(said || family === 'inet6') && { family } } })),
    },
  ))

/** Those that every kernel since 6.1 has, as Debian builds it. */
const SCHEDULERS = ['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'mh', 'sed', 'nq', 'fo', 'ovf', 'none']

const netmask = (family: Family): fc.Arbitrary<string | number> => family === 'inet'
  ? fc.constantFrom(0, 1, 8, 16, 24, 31, 32).map(ones => formatIPv4(ones === 0 ? 0 : (-1 << 32 - ones) >>> 0))
  : edges(1, 128, 1, 48, 64, 127, 128)

const persistence = (family: Family, datagrams: boolean) => fc.record({
  timeout: edges(1, 2678400, 1, 60, 360, 2678400),
  netmask: netmask(family),
  ...datagrams && { engine: fc.constant('sip') },
}, { requiredKeys: [] })

const balancing = fc.option(fc.oneof(fc.constantFrom(...SCHEDULERS), fc.constantFrom('sh', 'mh')), { nil: undefined }).chain(scheduler =>
  fc.option(fc.subarray(['sched1', 'sched2', 'sched3'] as const), { nil: undefined }).map(bits => ({
    ...scheduler !== undefined && { scheduler },
    ...bits && { schedulerFlags: bits.map(bit => schedulerFlagName(scheduler ?? 'wlc', bit)) },
  })))

// ── real servers ──

const tunnel: fc.Arbitrary<Forwarding> = fc.oneof(
  fc.constantFrom<Forwarding>('tunnel', { kind: 'ipip' }, { kind: 'gre' }, { kind: 'gre', checksum: 'csum' }),
  fc.record({ kind: fc.constant('gue' as const), port, checksum: fc.constantFrom('csum' as const, 'remcsum' as const) }, { requiredKeys: ['kind', 'port'] }),
)

const forwarding = (local: boolean): fc.Arbitrary<Forwarding> =>
  fc.oneof(fc.constant<Forwarding>('masq'), fc.constant<Forwarding>('route'), tunnel, ...local ? [fc.constant<Forwarding>('local')] : [])

const thresholds = edges(0, INT_MAX, 0, 1, 1000, INT_MAX).chain(upper =>
  fc.record({ upper: fc.constant(upper), lower: edges(0, upper, 0, upper, 1) }, { requiredKeys: ['upper'] }))

const weight = edges(0, INT_MAX, 0, 1, 2, 100, 65535, 65536, INT_MAX)

/** A real server of a service whose own `forward` is this one. */
const realServer = (of: Identity, byDefault: Forwarding | undefined, { ordered = false, local = true }: ArbitraryOptions): fc.Arbitrary<string | RealServerSpec> =>
  fc.option(forwarding(local), { nil: undefined, freq: byDefault === undefined ? 6 : 2 }).chain(forward => {
    const way = forward ?? byDefault ?? 'route'
    const bridges = way === 'tunnel' || typeof way === 'object'
    const other: Family = of.family === 'inet' ? 'inet6' : 'inet'
    const anyPort = way === 'masq' || way === 'local' || of.port === undefined
    const address = fc.oneof(
      { weight: 4, arbitrary: addressOf(of.family, ordered) },
      { weight: bridges ? 2 : 0, arbitrary: addressOf(other, ordered) },
      { weight: way === 'local' && !ordered ? 2 : 0, arbitrary: fc.constant(of.family === 'inet' ? '127.0.0.1' : '::1') },
    ).filter(address => address !== of.vip)
    const said = fc.record({
      address,
      port: anyPort ? fc.oneof(port, fc.constant(0)) : fc.constant(of.port),
      weight,
      thresholds,
      ...forward !== undefined && { forward: fc.constant(forward) },
    }, { requiredKeys: ['address', ...forward !== undefined ? ['forward' as const] : []] }) as fc.Arbitrary<RealServerSpec>
    return forward === undefined ? fc.oneof(address, said) : said
  })

const portOf = (server: string | RealServerSpec, of: Identity): number => (typeof server === 'string' ? undefined : server.port) ?? of.port ?? 0

/** A valid service. The kernel has one for each of its protocols. */
export const virtualService = (options: ArbitraryOptions = {}): fc.Arbitrary<VirtualServiceSpec> => fc.boolean().chain(persistent =>
  identity(persistent, options).chain(of => fc.record({
    balancing,
    onePacket: fc.constantFrom(...of.datagrams ? [undefined, false, true] : [undefined, false]),
    persistence: persistent ? persistence(of.family, of.datagrams) : fc.constant(undefined),
    netmask: persistent ? fc.constant(undefined) : fc.option(netmask(of.family), { nil: undefined, freq: 1 }),
    forward: fc.option(forwarding(options.local ?? true), { nil: undefined }),
  }).chain(({ balancing, ...rest }) =>
    fc.uniqueArray(realServer(of, rest.forward, options), {
      maxLength: 8, selector: server => `${typeof server === 'string' ? server : server.address} ${portOf(server, of)}`,
    }).map(realServers => ({
      ...of.id, ...balancing, ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)), realServers,
    } as unknown as VirtualServiceSpec)))))

const keysOf = (spec: VirtualServiceSpec): string[] => spec.fwmark !== undefined
  ? [`${spec.fwmark} ${spec.family ?? 'inet'}`]
  : (spec.protocols ?? [spec.protocol]).map(protocol => `${protocol} ${spec.vip} ${spec.port}`)

/** Valid services, no two of which are one and the same in the kernel. */
export const virtualServices = (options: ArbitraryOptions = {}): fc.Arbitrary<VirtualServiceSpec[]> => {
  const { minLength = 0, maxLength = 20 } = options
  return fc.array(virtualService(options), { minLength, maxLength }).map(specs => {
    const seen = new Set<string>()
    return specs.filter(spec => {
      const keys = keysOf(spec)
      if (keys.some(key => seen.has(key))) return false
      keys.forEach(key => seen.add(key))
      return true
    })
  })
}
