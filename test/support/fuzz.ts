/** Damaged buffers through every decoder: each gives a value or a DecodeError, and nothing else. */

import { readFileSync } from 'node:fs'
import { Input, Output } from '../../generic-netlink/buffers.js'
import {
  command, controller, daemon, DecodeError, destination, info, multicastGroup, operation, service, stats, stats64,
} from '../../generic-netlink/index.js'
import { eachMessage, readVerdict } from '../../generic-netlink/message.js'
import { kinds as rtnetlink, readEntry, type Entry, type KindName } from '../../lib/rtnetlink/client.js'

/** xorshift32: the same buffers for the same seed. */
let state = 1
const random = (below: number): number => {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}

const { answers } = JSON.parse(readFileSync('test/golden/ipvs-6.1.json', 'utf8')) as { answers: Record<string, string[]> }

/** Whole messages, what is below their headers, and what is in their nests: for each decoder some that it reads. */
const seeds: Buffer[] = []
const collect = (bytes: Buffer, depth: number): void => {
  if (bytes.length === 0) return
  seeds.push(bytes)
  for (let at = 0; depth > 0 && at + 4 <= bytes.length;) {
    const length = bytes.readUInt16LE(at)
    if (length < 4 || at + length > bytes.length) return
    if (length > 12) collect(bytes.subarray(at + 4, at + length), depth - 1)
    at += length + 3 & ~3
  }
}
for (const hex of Object.values(answers).flat()) {
  const message = Buffer.from(hex, 'hex')
  collect(message, 0)
  collect(message.subarray(20), 3)
}

const up = { up: true, running: true, lowerUp: true }
const ifaddrmsg = { family: 'inet', flags: 0, scope: 'global', index: 2 } as const
const rtmsg = { dstLen: 24, srcLen: 0, tos: 0, table: 254, protocol: 'static', scope: 'global', type: 'unicast', flags: {} } as const
/** What the kernel answers to listings of the network, by kind. */
const entries: { [K in KindName]: Entry<K>[] } = {
  link: [
    { header: { family: 'unspec', type: 1, index: 3, flags: up, change: {} }, attributes: {
      ifname: 'vxlan42', mtu: 1450, txqlen: 1000, operstate: 'up', master: 4, address: '02:00:00:00:00:01', propList: ['overlay', 'second'],
      linkinfo: { kind: 'vxlan', data: { id: 42, local: '192.0.2.1', group: '239.1.1.1', port: 4789, portRange: { low: 1, high: 2 } } },
    } },
    { header: { family: 'unspec', type: 768, index: 4, flags: up, change: {} }, attributes: {
      ifname: 'tun0', link: 0, linkNetnsid: -1, linkinfo: { kind: 'ipip', data: { local: '192.0.2.1', remote: '192.0.2.2', ttl: 64 } },
    } },
  ],
  address: [
    { header: { ...ifaddrmsg, prefixlen: 24 }, attributes: {
      address: '192.0.2.1', local: '192.0.2.1', label: 'eth0:vip', broadcast: '192.0.2.255', flags: { permanent: true },
      cacheinfo: { preferred: 0xffffffff, valid: 0xffffffff, created: 1, updated: 1 },
    } },
    { header: { ...ifaddrmsg, family: 'inet6', prefixlen: 64 }, attributes: { address: '2001:db8::1', flags: { nodad: true } } },
  ],
  route: [
    { header: { ...rtmsg, family: 'inet' }, attributes: { dst: '192.0.2.0', gateway: '198.51.100.1', oif: 2, priority: 100, prefsrc: '198.51.100.2', metrics: { mtu: 1400, advmss: 1360 }, table: 254 } },
    { header: { ...rtmsg, family: 'inet' }, attributes: { dst: '192.0.2.0', multipath: [
      { flags: {}, hops: 0, index: 2, attributes: { gateway: '198.51.100.1' } }, { flags: { onlink: true }, hops: 3, index: 3, attributes: { via: '2001:db8::1' } },
    ] } },
  ],
  neighbour: [
    { header: { family: 'inet', index: 2, state: { reachable: true }, flags: {}, type: 'unicast' }, attributes: { dst: '192.0.2.7', lladdr: '02:00:00:00:00:02', vni: 42, port: 4789 } },
  ],
  altName: [],
}
for (const kind of Object.keys(entries) as KindName[]) {
  for (const { header, attributes } of entries[kind]) {
    const to = new Output()
    rtnetlink[kind].header.write(to, header as never, {})
    const size = to.length
    rtnetlink[kind].attributes.write(to, attributes, {})
    const bytes = Buffer.from(to.finish())
    collect(bytes, 0)
    collect(bytes.subarray(size), 3)
  }
}

const scratch = Buffer.alloc(4096)
const edge = [0, 1, 3, 4, 5, 7, 8, 15, 16, 17, 127, 128, 255, 256, 0x7fff, 0x8000, 0xfffc, 0xffff]
/** Each changes the first `length` bytes of `scratch`, and says how many there are then. */
const mutations: Record<string, (length: number) => number> = {
  'a bit':       length => { scratch[random(length)]! ^= 1 << random(8); return length },
  'a byte':      length => { scratch[random(length)] = random(256); return length },
  'a short':     length => { scratch.writeUInt16LE(edge[random(edge.length)]!, random(length) & ~1); return length },
  'a word':      length => { scratch.writeUInt32LE(random(2) ? random(2 ** 32) : -edge[random(edge.length)]! >>> 0, random(length) & ~3); return length },
  'cut':         length => random(length),
  'grown':       length => { const end = length + 1 + random(64); for (let at = length; at < end; at++) scratch[at] = random(256); return end },
  'doubled':     length => { const from = random(length) & ~3; scratch.copy(scratch, length, from, length); return 2 * length - from },
  'without':     length => { const from = random(length), size = random(length - from + 1); scratch.copy(scratch, from, from + size, length); return length - size },
  'spliced':     length => { const other = seeds[random(seeds.length)]!, at = random(length); other.copy(scratch, at, random(other.length)); return Math.max(length, at) },
  'noise':       () => { const length = random(200); for (let at = 0; at < length; at++) scratch[at] = random(random(2) ? 256 : 20); return length },
}
const kinds = Object.entries(mutations)

const decoders: Record<string, (bytes: Buffer) => void> = {
  ...Object.fromEntries(Object.entries({ command, service, destination, daemon, stats, stats64, info, controller, operation, multicastGroup })
    .map(([name, set]) => [name, (bytes: Buffer) => { set.decode(bytes) }])),
  ...Object.fromEntries((Object.keys(entries) as KindName[])
    .map(kind => [kind, (bytes: Buffer) => { readEntry(kind, new Input(bytes), 0, bytes.length) }])),
  messages(bytes) {
    const from = new Input(bytes)
    eachMessage(from, bytes.length, message => { readVerdict(from, message) })
  },
  // As what follows a header that holds: the rest of the message is anything.
  verdict(bytes) {
    const flags = bytes.length > 0 ? bytes[0]! << 8 & 0x300 : 0
    readVerdict(new Input(bytes), { type: bytes.length % 2 ? 2 : 3, flags, seq: 0, port: 0, at: Math.min(1, bytes.length), length: Math.max(0, bytes.length - 1) })
  },
}

/** What came of it. */
export interface Fuzzed {
  /** By decoder. */
  readonly tally: Readonly<Record<string, { values: number; errors: number }>>
  /** By mutation. */
  readonly mutated: Readonly<Record<string, number>>
  /** What was neither a value nor a DecodeError, with the bytes: ten at most. */
  readonly failures: readonly string[]
}

/** Damages `count` buffers and decodes each; the same ones for the same seed. */
export function fuzz(count: number, seed: number): Fuzzed {
  state = (seed | 0) || 1
  const tally = Object.fromEntries(Object.keys(decoders).map(name => [name, { values: 0, errors: 0 }]))
  const mutated = Object.fromEntries(kinds.map(([kind]) => [kind, 0]))
  const failures: string[] = []
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0 // most of the time would go into stacks
  for (let tried = 0; tried < count && failures.length < 10; tried++) {
    let length = seeds[random(seeds.length)]!.copy(scratch)
    for (let times = 1 + random(3); times > 0 && length > 0 && length < 1500; times--) {
      const [kind, mutate] = kinds[random(kinds.length)]!
      mutated[kind]!++
      length = mutate(length)
    }
    const bytes = scratch.subarray(0, length)
    for (const name in decoders) {
      try {
        decoders[name]!(bytes)
        tally[name]!.values++
      } catch (error) {
        if (error instanceof DecodeError) tally[name]!.errors++
        else failures.push(`${name}: ${String(error)}\n  ${bytes.toString('hex')}`)
      }
    }
  }
  Error.stackTraceLimit = stackTraceLimit
  return { tally, mutated, failures }
}
