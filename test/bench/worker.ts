/**
 * One contestant, in a network namespace of its own or one shared with others: reads a command a line,
 * answers each with one line of JSON, like floor.c. `ipvs-nl` is this library, `ipvsadm` the program.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { setTimeout } from 'node:timers/promises'
import { Connection, FamilyClient, ipvs, NETLINK_GENERIC, stats64 } from '../../generic-netlink/index.js'
import { median } from './measure.js'
import { commands, rules, type Forwarding } from './table.js'

/** What is answered. */
export interface Answer {
  readonly ms: number
  /** Rows listed. */
  readonly rows?: number
  /** The longest time between two turns of the event loop, in milliseconds. */
  readonly stall?: number
  /** How many of ten counters are not zero, on average. */
  readonly nonzero?: number
  /** Steps of a plan, and datagrams that its application sent. */
  readonly steps?: number
  readonly sent?: number
  /** Peak resident memory of the process so far, in MB. */
  readonly peak?: number
}

type Contestant = Record<string, (...words: string[]) => Promise<Answer>>

/**
 * Waits for the collector to be through with what the benchmark itself made before. Of the young generation alone: a whole
 * collection gives memory back, and the next thing that is made pays the kernel for every page of it, in this guest more
 * than for all else.
 */
async function collected(): Promise<void> {
  globalThis.gc?.({ type: 'minor' })
  await setTimeout(200)
}

async function timed(run: () => Promise<number | undefined>): Promise<Answer> {
  await collected()
  const start = performance.now()
  const rows = await run()
  return { ms: performance.now() - start, ...rows !== undefined && { rows } }
}

/** The longest time between two turns of the event loop while `run` runs. Watching costs turns: not for timing. */
async function watched(run: () => Promise<unknown>): Promise<Answer> {
  await collected()
  const start = performance.now()
  let last = start, stall = 0, running = true
  const turn = (): void => {
    const now = performance.now()
    stall = Math.max(stall, now - last)
    last = now
    if (running) setImmediate(turn)
  }
  setImmediate(turn)
  await run()
  running = false
  turn()
  return { ms: performance.now() - start, stall }
}

async function library(): Promise<Contestant> {
  const client = await FamilyClient.find(new Connection(NETLINK_GENERIC), ipvs)

  const program = async (list: ReturnType<typeof commands>): Promise<void> => {
    const outcomes = await client.batch(list)
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }
  const list = async () => {
    const services = await client.dump('getService', {})
    const destinations = await Promise.all(services.map(({ service }) => {
      const { af, protocol, addr, port } = service!
      return client.dump('getDest', { service: { af, protocol, addr, port } }, { map: ({ dest }) => dest! })
    }))
    return { services, destinations }
  }

  return {
    async program(port, how) {
      const list = commands(Number(port), how as Forwarding)
      return timed(async () => { await program(list); return undefined })
    },
    async stall(port, how) {
      const list = commands(Number(port), how as Forwarding)
      return watched(() => program(list))
    },
    list: () => timed(async () => {
      const { services, destinations } = await list()
      return services.length + destinations.reduce((sum, { length }) => sum + length, 0)
    }),
    async nonzero() {
      const rows = (await list()).destinations.flat()
      const counters = rows.flatMap(({ stats64: told }) => Object.keys(stats64.table).map(key => told![key as keyof typeof told]))
      return { ms: 0, nonzero: 10 * counters.filter(n => n !== 0n).length / counters.length }
    },
    async ping(times) {
      const each: number[] = []
      for (let i = 0; i < Number(times); i++) {
        const start = performance.now()
        await client.call('getInfo', {})
        each.push(performance.now() - start)
      }
      return { ms: median(each) }
    },
    peak: () => Promise.resolve({ ms: 0, peak: process.resourceUsage().maxRSS / 1024 }),
  }
}

const ipvsadm: Contestant = {
  program(port, how) {
    const text = rules(Number(port), how as Forwarding)
    return timed(async () => {
      const child = spawn('ipvsadm', ['-R'], { stdio: ['pipe', 'ignore', 'inherit'] })
      child.stdin.end(text)
      const [status] = await once(child, 'close') as [number | null]
      if (status !== 0) throw new Error(`ipvsadm -R: status ${status}`)
      return undefined
    })
  },
  list: () => timed(async () => {
    const child = spawn('ipvsadm', ['-Ln', '--stats', '--exact'], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    child.stdout.setEncoding('latin1').on('data', (part: string) => { text += part })
    await once(child, 'close')
    const rows: object[] = []
    for (const line of text.split('\n').slice(3)) {
      const [mark, name, ...numbers] = line.trim().split(/\s+/)
      if (name) rows.push({ mark, name, stats: numbers.map(BigInt) })
    }
    return rows.length
  }),
}

const contestant = process.argv[2] === 'ipvsadm' ? ipvsadm : await library()
for await (const line of createInterface(process.stdin)) {
  const [name, ...words] = line.split(' ')
  console.log(JSON.stringify(await contestant[name!]!(...words)))
}
process.exit(0)
