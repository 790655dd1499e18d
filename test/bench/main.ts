/**
 * The benchmark: this library, ipvsadm and a floor in C, over the same kernel in one run.
 *
 * Contestants are long-lived processes that take turns, round by round, so that a noisy machine is noisy
 * for all. Each programs a new network namespace each round: what is flushed stays in a list that every later
 * add scans. All list one table, in one namespace.
 * The first round is reported apart; the rest is told by its median, and ratios by the median of the
 * rounds' ratios. Believe ratios, not times.
 * `npm run bench -- listing` `programming` `applying` or `large` runs one part. `large` wants LAB_MEMORY=3G.
 */

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { availableParallelism, freemem, release } from 'node:os'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { digits, median, pairwise, print, verdict } from './measure.js'
import { DESTINATIONS, rules, SERVICES } from './table.js'
import type { Answer } from './worker.js'

const FLOOR_SOURCE = fileURLToPath(new URL('../../../test/bench/floor.c', import.meta.url))
const FLOOR = fileURLToPath(new URL('floor', import.meta.url))
const WORKER = fileURLToPath(new URL('worker.js', import.meta.url))
const APPLIER = fileURLToPath(new URL('applier.js', import.meta.url))
const PYTHON = fileURLToPath(new URL('../../../test/bench/python.py', import.meta.url))

const run = (command: string, ...args: string[]): void => void execFileSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })

function namespace(name: string): string {
  run('ip', 'netns', 'add', name)
  run('ip', '-n', name, 'link', 'set', 'lo', 'up')
  // Virtual and real servers are all here, so that traffic needs no other machine.
  for (const net of ['10.0.0.0/8', '192.168.0.0/14']) run('ip', '-n', name, 'route', 'add', 'local', net, 'dev', 'lo')
  return name
}

/** Removes namespaces, and waits for the kernel to have emptied their tables: the services of all lie in one hash table, and are in each other's way. */
async function removed(...names: string[]): Promise<void> {
  for (const name of names) run('ip', 'netns', 'del', name)
  await setTimeout(5000)
}

type Name = 'ipvs-nl' | 'ipvsadm' | 'C'

/** A process that answers each line with one. */
class Contestant {
  readonly name: Name
  readonly #child
  readonly #lines
  constructor(name: Name, space: string, argv = name === 'C' ? [FLOOR] : [process.execPath, '--expose-gc', WORKER, name], env: NodeJS.ProcessEnv = {}) {
    this.name = name
    this.#child = spawn('ip', ['netns', 'exec', space, ...argv], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, ...env } })
    this.#lines = createInterface(this.#child.stdout)[Symbol.asyncIterator]()
  }

  async ask(line: string): Promise<Answer> {
    this.#child.stdin.write(`${line}\n`)
    const { value, done } = await this.#lines.next() as IteratorResult<string, undefined>
    if (done) throw new Error(`${this.name} ended at "${line}"`)
    return JSON.parse(value) as Answer
  }

  async close(): Promise<void> {
    this.#child.stdin.end()
    if (this.#child.exitCode === null) await once(this.#child, 'exit')
  }
}

interface Result {
  readonly first: number
  readonly median: number
  /** How many times the C floor's time of the same round: the median. */
  readonly toC: number
}

interface Rules {
  /** What is asked before each turn, and does not count. */
  readonly before?: string
  /** Rounds after the first that do not count either. @defaultValue 0 */
  readonly warmUp?: number
  /** Who sits out all but each n-th round. */
  readonly seldom?: Partial<Record<Name, number>>
}

/** Rounds in which each contestant takes its turn. */
async function compete(
  contestants: readonly Contestant[], rounds: number, line: string, { before, warmUp = 0, seldom = {} }: Rules = {},
): Promise<Record<Name, Result>> {
  const times: Record<Name, number[]> = { 'ipvs-nl': [], ipvsadm: [], C: [] }
  const ratios: Record<Name, number[]> = { 'ipvs-nl': [], ipvsadm: [], C: [] }
  for (let round = 0; round <= warmUp + rounds; round++) {
    const took: Partial<Record<Name, number>> = {}
    for (const contestant of contestants) {
      if (round % (seldom[contestant.name] ?? 1) !== 0) continue
      if (before !== undefined) await contestant.ask(before)
      const { ms } = await contestant.ask(line)
      if (round > 0 && round <= warmUp) continue
      took[contestant.name] = ms
      times[contestant.name].push(ms)
      await setTimeout(100) // its collector and compiler may still be at work
    }
    for (const { name } of contestants) if (round > warmUp && took[name] !== undefined) ratios[name].push(took[name] / took.C!)
  }
  const result = (name: Name): Result => {
    const [first = NaN, ...rest] = times[name]
    return { first, median: median(rest), toC: median(ratios[name]) }
  }
  return { 'ipvs-nl': result('ipvs-nl'), ipvsadm: result('ipvsadm'), C: result('C') }
}

/** A program over the sockets that floor.c leaves it in so many network namespaces. */
const inSpaces = (count: number, ...script: string[]): string[] => [FLOOR, 'spaces', String(count), process.execPath, '--expose-gc', ...script]

const STALLS = 3

/** How long the event loop was held up, in milliseconds: the median of some new tables. */
async function stall(contestant: Contestant, line: string, before?: string): Promise<number> {
  const stalls: number[] = []
  for (let round = 0; round < STALLS; round++) {
    if (before !== undefined) await contestant.ask(before)
    stalls.push((await contestant.ask(line)).stall!)
  }
  return median(stalls)
}

const reportStall = (held: number, peak: number): void =>
  console.log(`  event loop held up for at most ${digits(held)} ms (goal ${verdict(held <= 20, '≤ 20')}); peak RSS ${digits(peak)} MB`)

const HEADING = ['', 'first', 'median', 'against C', 'against ipvsadm']

function report(title: string, unit: 'ms' | 'µs', { 'ipvs-nl': ours, ipvsadm, C }: Record<Name, Result>, slowest: number, fastest?: number): void {
  const scale = unit === 'ms' ? 1 : 1000
  const cell = (ms: number): string => Number.isNaN(ms) ? '-' : `${digits(ms * scale)} ${unit}`
  const line = (name: string, { first, median }: Result, ...more: string[]): string[] => [name, cell(first), cell(median), ...more]
  const { toC } = ours
  const toAdm = ipvsadm.median / ours.median
  const goalC = `${digits(toC)}x (goal ${verdict(toC <= slowest, `≤ ${slowest}`)})`
  const goalAdm = fastest === undefined ? '-' : `${digits(toAdm)}x faster (goal ${verdict(toAdm >= fastest, `≥ ${fastest}`)})`
  print(title, [
    HEADING,
    line('ipvs-nl', ours, goalC, goalAdm),
    ...fastest === undefined ? [] : [line('ipvsadm', ipvsadm, `${digits(ipvsadm.toC)}x`, '1')],
    line('C floor', C, '1', fastest === undefined ? '-' : `${digits(ipvsadm.toC)}x faster`),
  ])
}

/** So many tables are programmed by one process before its time counts: for all of the path of plans the compiler takes about fifteen. */
const WARM_UP = 16
const ROUNDS = 15

run('gcc', '-O2', '-Wall', '-o', FLOOR, FLOOR_SOURCE)
// A guest's memory is a sparse file: who touches a page first would pay the host for it, as nobody pays on a real machine.
run(FLOOR, 'touch', String(Math.floor(freemem() / 2 ** 20 * 0.8)))
const cpu = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'latin1'))?.[1] ?? 'unknown processor'
const { LAB_ACCEL: accelerator } = process.env
console.log(`Linux ${release()}${accelerator === undefined ? '' : ` in qemu (${accelerator})`}, ${availableParallelism()} × ${cpu}, Node ${process.version}`)
console.log('1,000 services × 20 destinations; medians, the first round apart. Believe ratios, not times.')

const wanted = (part: string): boolean => process.argv.length < 3 ? part !== 'large' : process.argv.includes(part)

if (wanted('programming')) {
  const contestants = [
    new Contestant('ipvs-nl', namespace('ours'), inSpaces(1 + WARM_UP + ROUNDS + STALLS, WORKER, 'ipvs-nl')),
    new Contestant('C', namespace('floor')),
  ]
  const [ours] = contestants
  const results = await compete(contestants, ROUNDS, 'program 80 tunnel', { before: 'fresh', warmUp: WARM_UP })
  const { peak } = await ours!.ask('peak')
  const held = await stall(ours!, 'stall 80 tunnel', 'fresh')
  report('Programming by raw batches, encoding included', 'ms', results, 1.8)
  reportStall(held, peak!)

  for (const contestant of contestants) await contestant.close()
  await removed('ours', 'floor')

  const space = namespace('pinged')
  const pinging = [new Contestant('ipvs-nl', space), new Contestant('C', space)]
  const pings = await compete(pinging, ROUNDS, 'ping 300', { warmUp: WARM_UP })
  report('One command’s round trip (getInfo, median of 300)', 'µs', pings, 2)
  for (const contestant of pinging) await contestant.close()
  await removed(space)
}

if (wanted('listing')) {
  const space = namespace('table')
  const contestants = [new Contestant('ipvs-nl', space), new Contestant('C', space), new Contestant('ipvsadm', space)]
  const [ours, floor] = contestants
  await floor!.ask('program 80 masq')
  const idle = await compete(contestants, 16, 'list', { seldom: { ipvsadm: 4 } })
  const { peak } = await ours!.ask('peak')
  report('Listing with 64-bit stats, all counters zero (against ipvsadm -Ln --stats --exact, parsed)', 'ms', idle, 2.2, 4)
  console.log(`  peak RSS ${digits(peak!)} MB`)

  for (let pass = 0; pass < 3; pass++) await floor!.ask('traffic 80')
  const { nonzero } = await ours!.ask('nonzero')
  const used = await compete(contestants, 16, 'list', { seldom: { ipvsadm: 4 } })
  report(`Listing after traffic through every destination (${digits(nonzero!)} of 10 counters non-zero)`, 'ms', used, 2.2, 3)
  for (const contestant of contestants) await contestant.close()
  await removed(space)
}

/** So many commands are enough to know what a process for each costs. */
const FEW_SERVICES = 10
/** So often the other programs have their turn, while ours is idle. */
const IDLE_ROUNDS = 3

if (wanted('applying')) {
  const ours = new Contestant('ipvs-nl', namespace('plans'), inSpaces(WARM_UP + ROUNDS + STALLS + IDLE_ROUNDS, APPLIER))
  const floor = new Contestant('C', namespace('raw'))
  const milliseconds = async (who: Contestant, line: string): Promise<number> => (await who.ask(line)).ms

  /** How long a program takes to program a new namespace. */
  let spaces = 0
  const program = (argv: readonly string[], input: string): number => {
    const space = namespace(`other${spaces++}`)
    const start = performance.now()
    execFileSync('ip', ['netns', 'exec', space, ...argv], { input, stdio: ['pipe', 'ignore', 'inherit'] })
    const took = performance.now() - start
    run('ip', 'netns', 'del', space)
    return took
  }
  const text = rules(80, 'tunnel')
  const few = text.split('\n').slice(0, FEW_SERVICES * (DESTINATIONS + 1))
  const commandsOf = few.map(line => `ipvsadm ${line}`).join('\n')

  const times = {
    apply: [] as number[], idle: [] as number[], floor: [] as number[], restore: [] as number[], replace: [] as number[],
    list: [] as number[], nothing: [] as number[], change: [] as number[],
  }
  const first = await milliseconds(ours, 'apply')
  for (let i = 1; i < WARM_UP; i++) for (const line of ['apply', 'list', 'nothing', 'change']) await ours.ask(line)
  let sent = 0, changed = 0
  const reconciling = [
    async () => { times.list.push(await milliseconds(ours, 'list')) },
    async () => {
      const nothing = await ours.ask('nothing')
      times.nothing.push(nothing.ms)
      sent += nothing.sent! + nothing.steps!
    },
    async () => {
      const change = await ours.ask('change')
      times.change.push(change.ms)
      changed += change.steps!
    },
  ]
  for (let round = 0; round < ROUNDS; round++) {
    await floor.ask('fresh')
    times.floor.push(await milliseconds(floor, 'program 80 tunnel'))
    times.apply.push(await milliseconds(ours, 'apply'))
    for (let i = 0; i < 3; i++) {
      for (const reconcile of reconciling) await reconcile()
      reconciling.push(reconciling.shift()!) // each leaves the next its garbage: all get the same share
    }
  }
  const held = await stall(ours, 'stall')
  const { peak } = await ours.ask('peak')
  for (let round = 0; round < IDLE_ROUNDS; round++) {
    times.restore.push(program(['ipvsadm', '-R'], text))
    times.replace.push(program(['sh', '-c', 'cat >/tmp/rules; ipvsadm -R </tmp/rules; ipvsadm -C; ipvsadm -R </tmp/rules'], text) - times.restore.at(-1)!)
    times.idle.push(await milliseconds(ours, 'apply'))
  }
  const each = program(['sh'], commandsOf) / few.length * SERVICES * (DESTINATIONS + 1)
  const python = program(['/usr/bin/python3', PYTHON, String(SERVICES)], '')
  for (const contestant of [ours, floor]) await contestant.close()
  await removed('plans', 'raw')

  const [apply, restore, list, nothing, change] = [times.apply, times.restore, times.list, times.nothing, times.change].map(median) as [number, number, number, number, number]
  const idling = pairwise(times.nothing, times.list), changing = pairwise(times.change, times.nothing)
  const percent = (ratio: number): string => `${Math.round(ratio * 100)} %`
  const time = (ms: number): string => ms >= 10_000 ? `${digits(ms / 1000)} s` : `${digits(ms)} ms`
  const row = (name: string, ms: number, verdict = ''): string[] => [name, time(ms), `${digits(ms / apply)}x`, verdict]
  const floorMs = median(times.floor)
  print('Applying a plan to an empty table, reading and difference included', [
    ['', 'median', 'against ours', 'goal'],
    row('ipvs-nl', apply, verdict(restore / apply >= 60, '≥ 60x faster than ipvsadm -R')),
    row('…after 20 seconds in which the process was idle', median(times.idle)),
    row('…the first time in a process', first),
    row('C floor, raw batches', floorMs),
    row('ipvsadm -R', restore),
    row('python3-pyroute2', python),
    row(`an ipvsadm process per command (of ${few.length}, multiplied)`, each),
  ])
  print('Reconciling a table that is there', [
    ['', 'median', 'goal'],
    ['listing it (Director.list)', time(list), ''],
    [
      `nothing changed: ${sent} messages that change anything`, time(nothing),
      `${percent(idling)} of the listing, ${verdict(idling <= 1.2 && sent === 0, '≤ 120 %')}`,
    ],
    [`1 % changed: ${changed / times.change.length} commands`, time(change), `${percent(changing)} of that, ${verdict(changing <= 1.05, '≤ 105 %')}`],
    ['ipvsadm -C; ipvsadm -R', time(median(times.replace)), `${digits(median(times.replace) / change)}x as long`],
  ])
  reportStall(held, peak!)
}

if (wanted('large')) {
  const services = 10_000
  const env = { BENCH_SERVICES: String(services) }
  const rows = services * (DESTINATIONS + 1)
  const rounds = 3
  const ours = new Contestant('ipvs-nl', namespace('plans'), inSpaces(WARM_UP + rounds + 1, APPLIER), env)
  for (let i = 0; i < WARM_UP; i++) await ours.ask('warm')
  const applies: number[] = []
  for (let round = 0; round < rounds; round++) applies.push((await ours.ask('apply')).ms)
  const { peak: applyPeak } = await ours.ask('peak')
  const { stall } = await ours.ask('stall')
  await ours.close()
  await removed('plans')

  const space = namespace('large')
  const floor = new Contestant('C', space, undefined, env)
  const { ms: raw } = await floor.ask('program 80 tunnel')
  const lister = new Contestant('ipvs-nl', space, undefined, env)
  const listed = await lister.ask('list')
  const { peak: listPeak } = await lister.ask('peak')
  await lister.close()
  const streamer = new Contestant('ipvs-nl', space, undefined, env)
  const streamed = await streamer.ask('stream')
  await streamer.close()
  const { ms: listedByC } = await floor.ask('list')
  await floor.close()
  await removed(space)
  if (listed.rows !== rows || streamed.rows !== rows) throw new Error(`${listed.rows} and ${streamed.rows} rows of ${rows}`)

  const other = namespace('restored')
  const start = performance.now()
  execFileSync('ip', ['netns', 'exec', other, 'ipvsadm', '-R'], { input: rules(80, 'tunnel', services), stdio: ['pipe', 'ignore', 'inherit'] })
  const restore = performance.now() - start

  const apply = median(applies)
  print(`${rows} commands`, [
    ['', 'once', 'goal'],
    ['plan and apply to an empty table', `${digits(apply)} ms`, verdict(restore / apply >= 100, `≥ 100x faster than ipvsadm -R: ${digits(restore / apply)}x`)],
    ['ipvsadm -R', `${digits(restore / 1000)} s`, ''],
    ['C floor, raw batches', `${digits(raw)} ms`, ''],
    ['the event loop held up, applying', `${digits(stall!)} ms`, verdict(stall! <= 20, '≤ 20')],
    ['peak RSS, applying', `${digits(applyPeak!)} MB`, ''],
    ['listing all, kept', `${digits(listed.ms)} ms`, `${digits(listed.ms / listedByC)}x the C floor`],
    ['peak RSS', `${digits(listPeak!)} MB`, verdict(listPeak! <= 180, '≤ 180')],
    ['listing one after the other (Director.services)', `${digits(streamed.ms)} ms`, verdict(streamed.ms / listedByC <= 1.8, `≤ 1.8x the C floor: ${digits(streamed.ms / listedByC)}x`)],
    ['RSS more than before', `${digits(streamed.peak! - streamed.before!)} MB`, verdict(streamed.peak! - streamed.before! <= 25, '≤ 25')],
  ])
}
