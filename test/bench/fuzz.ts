/**
 * A million damaged buffers through every decoder: each gives a value or a DecodeError, and nothing else.
 *
 *     node dist/test/bench/fuzz.js [COUNT] [SEED]
 */

import { readFileSync } from 'node:fs'
import { Input } from '../../generic-netlink/buffers.js'
import {
  command, controller, daemon, DecodeError, destination, info, multicastGroup, operation, service, stats, stats64,
} from '../../generic-netlink/index.js'
import { eachMessage, readVerdict } from '../../generic-netlink/message.js'

const count = Number(process.argv[2] ?? 1_000_000)
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32)

/** xorshift32: the same buffers for the same seed. */
let state = (seed | 0) || 1
const random = (below: number): number => {
  state ^= state << 13
  state ^= state >>> 17
  state ^= state << 5
  return (state >>> 0) % below
}

const { answers } = JSON.parse(readFileSync(new URL('../../../test/golden/ipvs-6.1.json', import.meta.url), 'utf8')) as { answers: Record<string, string[]> }

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
const tally = Object.fromEntries(Object.keys(decoders).map(name => [name, { values: 0, errors: 0 }]))
const byKind = Object.fromEntries(kinds.map(([kind]) => [kind, 0]))
const failures: string[] = []
let tried = 0

Error.stackTraceLimit = 0 // most of the time would go into stacks
const began = performance.now()
while (tried < count && failures.length < 10) {
  tried++
  const original = seeds[random(seeds.length)]!
  let length = original.copy(scratch)
  for (let times = 1 + random(3); times > 0 && length > 0 && length < 1500; times--) {
    const [kind, mutate] = kinds[random(kinds.length)]!
    byKind[kind]!++
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
const seconds = (performance.now() - began) / 1000

console.log(`${tried} buffers, seed ${seed}, through each of ${Object.keys(decoders).length} decoders in ${seconds.toFixed(1)} s`)
for (const [name, { values, errors }] of Object.entries(tally)) {
  console.log(`  ${name.padEnd(16)}${String(values).padStart(10)} values ${String(errors).padStart(10)} DecodeErrors ${(100 * errors / (values + errors)).toFixed(1).padStart(6)} %`)
}
const mutated = Object.values(byKind).reduce((sum, n) => sum + n, 0)
console.log(`  mutations: ${Object.entries(byKind).map(([kind, n]) => `${kind} ${(100 * n / mutated).toFixed(0)} %`).join(', ')}`)
if (failures.length > 0) {
  console.error(`${failures.length} gave something else:\n${failures.join('\n')}`)
  process.exitCode = 1
}
