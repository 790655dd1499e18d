/** Valid links at random. */

import fc from 'fast-check'
import type { LinkKind, LinkSpec } from '../../lib/rtnetlink/link/spec.js'

/** What a link is generated for: which is the i-th, the link below it, and what it may be a port of. */
export interface Place { readonly i: number; readonly below: string; readonly bridge: string }

type Fields = Record<string, fc.Arbitrary<unknown>>

/** Any of the fields, or none. */
const some = (fields: Fields): fc.Arbitrary<object> => fc.record(fields, { requiredKeys: [] })
const all = (fields: Fields): fc.Arbitrary<object> => fc.record(fields)
const merge = (...parts: fc.Arbitrary<object>[]): fc.Arbitrary<object> => fc.tuple(...parts).map(each => Object.assign({}, ...each) as object)
const word = <const T>(...words: T[]): fc.Arbitrary<T> => fc.constantFrom(...words)
const int = (min: number, max: number): fc.Arbitrary<number> => fc.integer({ min, max })
const u32 = int(0, 0xffffffff)

const mac = fc.array(int(0, 255), { minLength: 5, maxLength: 5 }).map(rest => [2, ...rest].map(byte => byte.toString(16).padStart(2, '0')).join(':'))
const plain = some({ mtu: int(1280, 1400), up: fc.boolean(), alias: fc.string({ unit: fc.constantFrom('a', 'Z', ' ', '-', '\'', '"', '$', 'é'), minLength: 1, maxLength: 40 }) })
const ethernet = ({ bridge }: Place): fc.Arbitrary<object> => merge(plain, some({ address: mac, master: word(bridge) }))

const tos = fc.oneof(word<unknown>(0, 'inherit'), int(2, 255))
const ends4 = ({ i, below }: Place): fc.Arbitrary<object> => merge(
  all({ local: word(`10.9.${i}.1`) }),
  some({ remote: word(`10.8.${i}.2`), link: word(below), tos, fwmark: u32 }),
  fc.oneof(all({ ttl: int(1, 255) }), all({ ttl: word('inherit'), pmtudisc: fc.boolean() }), word({})),
)
const ends6 = ({ i, below }: Place): fc.Arbitrary<object> => merge(
  all({ local: word(`fd00:9::${i + 1}`) }),
  some({
    remote: word(`fd00:8::${i + 1}`), link: word(below), ttl: fc.oneof(int(1, 255), word('inherit')), tos: fc.oneof(int(0, 255), word('inherit')),
    flowLabel: fc.oneof(int(0, 0xfffff), word('inherit')), encapLimit: fc.oneof(int(0, 255), word('none')), fwmark: fc.oneof(u32, word('inherit')),
    dscpInherit: fc.boolean(), allowLocalRemote: fc.boolean(),
  }),
)
const external = word({ external: true })
const way = word<boolean | string>(true, false, 'in', 'out')
const greHeader = some({
  key: fc.oneof(u32, all({ in: int(0, 99), out: int(100, 0xffffffff) }), some({ in: u32 }), some({ out: u32 })).filter(key => typeof key === 'number' || Object.keys(key).length > 0),
  checksum: way, seq: way,
})
const ignoreDf = word({ ttl: 'inherit', pmtudisc: false, ignoreDf: true })

const port = ({ i }: Place): fc.Arbitrary<object> => i === 0 ? some({ port: word(4789, 4790) }) : all({ port: word(5000 + i, 60000 + i) })
const vxlan = (place: Place): fc.Arbitrary<object> => {
  const { i, below } = place
  const id = all({ id: fc.oneof(int(0, 1000), int(0, 65535)).map(n => n * 256 + i + 1).filter(n => n <= 0xffffff) })
  const common = some({
    portRange: all({ low: int(1, 1000), high: int(1001, 65535) }), tos, df: word('unset', 'set', 'inherit'), learning: fc.boolean(), ageing: int(1, 100_000),
    limit: int(0, 1000), proxy: fc.boolean(), rsc: fc.boolean(), l2miss: fc.boolean(), l3miss: fc.boolean(), udpChecksum: fc.boolean(), udp6ZeroChecksumTx: fc.boolean(),
    udp6ZeroChecksumRx: fc.boolean(), remcsumTx: fc.boolean(), remcsumRx: fc.boolean(), gbp: fc.boolean(), ttl: fc.oneof(int(1, 255), word('auto', 'inherit')),
  })
  return merge(port(place), fc.oneof(
    merge(id, common, some({ remote: word(`10.8.${i}.2`), local: word(`10.9.${i}.1`), link: word(below) })),
    merge(id, common, all({ remote: word(`fd00:8::${i + 1}`) }), some({ local: word(`fd00:9::${i + 1}`), label: int(0, 0xfffff) })),
    merge(id, common, all({ group: word(`239.1.1.${i + 1}`), link: word(below) })),
    merge(id, common, all({ group: word(`ff05::${i + 1}`), link: word(below) })),
    merge(common, external),
  ))
}

const geneve = ({ i }: Place): fc.Arbitrary<object> => {
  const common = some({ tos, df: word('unset', 'set', 'inherit'), ttl: fc.oneof(int(1, 255), word('auto', 'inherit')) })
  const port = all({ port: word(7000 + i, 61000 + i) })
  const id = all({ id: int(1, 0xffffff) })
  return fc.oneof(
    merge(common, port, id, all({ remote: word(`10.8.${i}.2`) }), some({ udpChecksum: fc.boolean() })),
    merge(common, port, id, all({ remote: word(`fd00:8::${i + 1}`) }), some({ label: int(0, 0xfffff), udp6ZeroChecksumTx: fc.boolean() })),
    merge(port, external),
  )
}

const centiseconds = (min: number, max: number): fc.Arbitrary<number> => int(min * 100, max * 100).map(n => n / 100)

const parameters: Readonly<Record<LinkKind, (place: Place) => fc.Arbitrary<object>>> = {
  ipip: place => merge(plain, some({ mode: word('ipip', 'any') }), fc.oneof({ weight: 5, arbitrary: ends4(place) }, { weight: 1, arbitrary: external })),
  sit: place => merge(plain, some({ mode: word('ip6ip', 'ipip', 'any') }), ends4(place)),
  ip6tnl: place => merge(plain, some({ mode: word('ip6ip6', 'ipip6', 'any') }), fc.oneof({ weight: 5, arbitrary: ends6(place) }, { weight: 1, arbitrary: external })),
  gre: place => merge(plain, greHeader, fc.oneof(ends4(place), ends4(place), external, merge(ends4(place), ignoreDf))),
  gretap: place => merge(ethernet(place), greHeader, fc.oneof(ends4(place), ends4(place), external, merge(ends4(place), ignoreDf))),
  ip6gre: place => merge(plain, greHeader, fc.oneof(ends6(place), ends6(place), external)),
  ip6gretap: place => merge(ethernet(place), greHeader, fc.oneof(ends6(place), ends6(place), external)),
  vxlan: place => fc.oneof({ weight: 7, arbitrary: merge(ethernet(place), vxlan(place)) }, { weight: 1, arbitrary: merge(plain, port(place), word({ external: true, gpe: true })) }),
  geneve: place => fc.oneof(merge(ethernet(place), geneve(place)), merge(plain, geneve(place), word({ innerProtoInherit: true }))),
  bridge: () => merge(plain, some({
    address: mac, stp: fc.boolean(), forwardDelay: centiseconds(2, 30), helloTime: centiseconds(1, 10), maxAge: centiseconds(6, 40), ageing: centiseconds(0, 10_000),
    priority: int(0, 65535), vlanFiltering: fc.boolean(), mcastSnooping: fc.boolean(),
  })),
  dummy: ethernet,
  veth: place => merge(ethernet(place), all({ peer: merge(all({ name: word(`peer${place.i}`) }), some({ mtu: int(1280, 1400), address: mac })) })),
}

/** The kinds, all of them. */
export const linkKinds = Object.keys(parameters) as LinkKind[]

const name = (i: number): fc.Arbitrary<string> => fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,11}$/).map(text => `${text}_${i}`)

/** A valid link of a kind. */
export const link = (kind: LinkKind, place: Place): fc.Arbitrary<LinkSpec> =>
  merge(all({ kind: word(kind), name: name(place.i) }), parameters[kind](place)) as fc.Arbitrary<LinkSpec>

/** One link of each kind, that can be together. */
export const links = (below: string, bridge: string): fc.Arbitrary<LinkSpec[]> =>
  fc.tuple(...linkKinds.map((kind, i) => link(kind, { i, below, bridge })))
    .filter(each => each.filter(spec => (spec.kind === 'ip6gre' || spec.kind === 'ip6gretap') && spec.external === true).length < 2) // the kernel has one for both
