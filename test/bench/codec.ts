/**
 * The codecs alone, on any machine: one destination by the plain table, by the table with its memory,
 * and by hand; and the time from import to the first answer of the kernel.
 * `node dist/test/bench/codec.js`
 */

import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { attributeSet, Input, Output, command } from '../../generic-netlink/index.js'
import { readDestination, writeRequest, type Plain } from './by-hand.js'
import { digits, median, print, verdict } from './measure.js'

/** An answer of Linux 6.1 to getDest: a GUE tunnel with all attributes, without the generic netlink header. */
const GOLDEN = Buffer.from([
  '7c01020014000100c0a8346500000000000000000000000006000200003500000800030002000000080004000200000005000d000100000006000e00',
  '17c0000006000f00010000000800050000000000080006000000000008000700000000000800080000000000080009000000000006000b0002000000',
  '64000a0008000100000000000800020000000000080003000000000004000b000c000400000000000000000004000b000c0005000000000000000000',
  '080006000000000008000700000000000800080000000000080009000000000008000a0000000000a0000c000c000100000000000000000004000b00',
  '0c000200000000000000000004000b000c000300000000000000000004000b000c000400000000000000000004000b000c0005000000000000000000',
  '04000b000c000600000000000000000004000b000c000700000000000000000004000b000c000800000000000000000004000b000c00090000000000',
  '0000000004000b000c000a000000000000000000',
].join(''), 'hex')

// The rows of a listing differ in the address and in some weights; in a busy table, in the counters too.
const ADDRESS = 8, WEIGHT = 44, COUNTERS = [1, 2, 3, 4, 5, 9, 10].map(number => GOLDEN.indexOf(Buffer.from([12, 0, number, 0])) + 4)
const idle = new Uint8Array(GOLDEN)
const busy = new Uint8Array(GOLDEN)
const counters = new DataView(busy.buffer)
let row = 0
function next(bytes: Uint8Array): void {
  row++
  bytes[ADDRESS + 3] = row & 63
  bytes[ADDRESS + 2] = row >> 6 & 15
  bytes[WEIGHT] = row % 17 === 0 ? 2 : 1
}
function nextBusy(): void {
  next(busy)
  for (let i = 0; i < COUNTERS.length; i++) counters.setUint32(COUNTERS[i]!, i * 100 + (row & 1023), true)
}

/** The same table without the memory. */
const plain = attributeSet(command.prefix, command.table)
const input = new Input(idle)
const busyInput = new Input(busy)
const words = new Uint32Array(idle.buffer)
const output = new Output(1024)
const outputWords = new Int32Array(256)
const { dest } = command.read(input, 0, GOLDEN.length, {})
nextBusy()
if (command.read(busyInput, 0, GOLDEN.length, {}).dest!.stats64!.outbps !== 601n) throw new Error('the busy row lacks its counters')
const request = {
  service: { af: 'inet', protocol: 'udp', addr: '192.168.50.100', port: 53 },
  dest: { ...dest!, stats: undefined, stats64: undefined, activeConns: undefined, inactConns: undefined, persistConns: undefined },
} as const
const requestByHand = request as unknown as Plain

const ROUNDS = 25
const TIMES = 50_000
const sink: unknown[] = [] // keeps the compiler from dropping calls

const keepWeight = ({ dest }: { dest?: { weight?: number } }): void => { sink[0] = dest!.weight }
const contestants = {
  byHand: () => { next(idle); sink[0] = readDestination(words, 1, words.length) },
  plainIdle: () => { next(idle); sink[0] = plain.read(input, 0, GOLDEN.length, {}).dest },
  idle: () => { next(idle); sink[0] = command.read(input, 0, GOLDEN.length, {}).dest },
  plainBusy: () => { nextBusy(); sink[0] = plain.read(busyInput, 0, GOLDEN.length, {}).dest },
  busy: () => { nextBusy(); sink[0] = command.read(busyInput, 0, GOLDEN.length, {}).dest },
  plainVisit: () => { next(idle); plain.visit(input, 0, GOLDEN.length, keepWeight) },
  visit: () => { next(idle); command.visit(input, 0, GOLDEN.length, keepWeight) },
  writeByHand: () => { sink[1] = writeRequest(outputWords, requestByHand) },
  plainWrite: () => { output.length = 0; plain.write(output, request, {}) },
  write: () => { output.length = 0; command.write(output, request, {}) },
}
type Name = keyof typeof contestants

// The kernel takes attributes in any order; the size is the same.
contestants.write()
const sizeByHand = writeRequest(outputWords, requestByHand) * 4
if (sizeByHand !== output.length) throw new Error(`by hand ${sizeByHand} bytes, by the table ${output.length}`)

/** Nanoseconds of processor time per call: medians of rounds in turns; the first rounds let the compiler finish. */
function compete(names: readonly Name[]): void {
  const times = names.map((): number[] => [])
  for (let round = -6; round < ROUNDS; round++) {
    names.forEach((name, i) => {
      const run = contestants[name]
      const start = process.cpuUsage()
      for (let i = 0; i < TIMES; i++) run()
      const { user, system } = process.cpuUsage(start)
      if (round >= 0) times[i]!.push((user + system) * 1000 / TIMES)
    })
  }
  names.forEach((name, i) => { took[name] = median(times[i]!) })
}
const took = {} as Record<Name, number>
compete(['byHand', 'idle', 'busy', 'visit', 'writeByHand', 'write'])
compete(['plainIdle', 'plainBusy', 'plainVisit', 'plainWrite']) // later: V8 optimizes a codec for the callers that it has seen

// Each start is a process of its own; every kernel has the family 'nlctrl'.
const find = (entry: string): string => `
  const { Connection, describeFamily, NETLINK_GENERIC } = await import('${entry}')
  await describeFamily(new Connection(NETLINK_GENERIC), 'nlctrl')`
const load = (entry: string): string => `await import('${entry}')`
const file = (name: string): string => new URL(`../../${name}`, import.meta.url).href

/** Empty files in the number of this library's wire, each with four imports: the share of Node itself. */
const FILES = readdirSync(new URL('../../generic-netlink', import.meta.url), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.js')).length
const folder = mkdtempSync(join(tmpdir(), 'ipvs-nl-bench-'))
for (let file = 0; file < FILES; file++) {
  const others = Array.from({ length: Math.min(file, 4) }, (_, i) => file - 1 - i)
  writeFileSync(join(folder, `${file}.mjs`), [...others.map(other => `import { n as n${other} } from './${other}.mjs'`), 'export const n = 1', ''].join('\n'))
}
const empty = pathToFileURL(join(folder, `${FILES - 1}.mjs`)).href

const start = (script: string): number =>
  Number(execFileSync(process.execPath, ['--input-type=module', '-e', `const start = performance.now()\n${script}\nconsole.log(performance.now() - start)`], { encoding: 'utf8' }))
const scripts = {
  found: find(import.meta.resolve('ipvs-nl/generic-netlink')), foundByFiles: find(file('generic-netlink/index.js')), empty: load(empty),
  library: load(import.meta.resolve('ipvs-nl')), libraryByFiles: load(file('lib/index.js')),
}
type Script = keyof typeof scripts
const rounds = Array.from({ length: 9 }, () => Object.fromEntries(Object.entries(scripts).map(([name, script]) => [name, start(script)])) as Record<Script, number>)
rmSync(folder, { recursive: true })
const started = (name: Script): number => median(rounds.map(round => round[name]))

const ns = (n: number): string => `${digits(n)} ns`
const times = (n: number, of: number): string => `${digits(n / of)}x`
print(`Codecs, Node ${process.version}. The goals in ns are for an unloaded machine on which writing by hand takes 150; the ratio holds on any.`, [
  ['', 'plain', 'remembered', 'goal', 'by hand', 'ratio', 'goal'],
  [`decode a destination (${GOLDEN.length} bytes), idle`, ns(took.plainIdle), ns(took.idle), verdict(took.idle <= 500, '≤ 500'), ns(took.byHand),
    times(took.idle, took.byHand), verdict(took.idle / took.byHand <= 500 / 174, '≤ 2.87x')],
  ['… with seven counters at work', ns(took.plainBusy), ns(took.busy), '-', '-', times(took.busy, took.byHand), '-'],
  ['… for a visitor, without a copy', ns(took.plainVisit), ns(took.visit), '-', '-', times(took.visit, took.byHand), '-'],
  [`encode a destination (${output.length} bytes)`, ns(took.plainWrite), ns(took.write), verdict(took.write <= 600, '≤ 600'), ns(took.writeByHand),
    times(took.write, took.writeByHand), verdict(took.write / took.writeByHand <= 4, '≤ 4x')],
])
const ms = (name: Script): string => `${digits(started(name))} ms`
print('Start', [
  ['', 'as bundles', 'as single files', 'goal'],
  ['import of ipvs-nl/generic-netlink to family resolved', ms('found'), ms('foundByFiles'), verdict(started('found') <= 10, '≤ 10')],
  ['import of ipvs-nl', ms('library'), ms('libraryByFiles'), '-'],
  [`import of ${FILES} files with nothing in them, by Node itself`, '-', ms('empty'), '-'],
])
