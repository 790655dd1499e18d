/**
 * One contestant, in a network namespace of its own or one shared with others: reads a command a line,
 * answers each with one line of JSON, like floor.c. `ipvs-nl` is this library, `ipvsadm` the program.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Connection, FamilyClient, ipvs, NETLINK_GENERIC, stats64 } from '../../generic-netlink/index.js'
import { Director } from '../../lib/index.js'
import { longestTurn, median, timed } from './measure.js'
import { nextSpace, openInSpace } from './spaces.js'
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
  /** Resident memory before, in MB. */
  readonly before?: number
}

const MB = 2 ** 20

type Contestant = Record<string, (...words: string[]) => Promise<Answer>>

async function library(): Promise<Contestant> {
  let connection = new Connection(NETLINK_GENERIC)
  let client = await FamilyClient.find(connection, ipvs)

  const lists: Record<string, ReturnType<typeof commands>> = {}
  /** Made once: what the collector must do for a new one is not the library's. */
  const listOf = (port: string, how: string) => lists[`${port} ${how}`] ??= commands(Number(port), how as Forwarding)
  const program = async (list: ReturnType<typeof commands>): Promise<void> => {
    const outcomes = await client.batch(list)
    const failed = outcomes.find(outcome => outcome.status === 'rejected')
    if (failed) throw failed.reason
  }
  const list = async () => {
    const services = await client.dump('getService', {})
    const destinations = await Promise.all(services.map(({ service }) => {
      const { af, protocol, addr, port } = service!
      return client.dump('getDest', { service: { af, protocol, addr, port } }, { map: ({ dest }) => ({ ...dest!, stats64: { ...dest!.stats64 } }) })
    }))
    return { services, destinations }
  }

  return {
    /** Goes on with an empty table, in the next network namespace. */
    async fresh() {
      connection.close()
      await nextSpace()
      connection = new Connection(NETLINK_GENERIC, { openSocket: openInSpace })
      client = await FamilyClient.find(connection, ipvs)
      return { ms: 0 }
    },
    async program(port, how) {
      const list = listOf(port, how)
      return { ms: await timed(() => program(list)) }
    },
    async stall(port, how) {
      const list = listOf(port, how)
      let stall = 0
      const ms = await timed(async () => { stall = await longestTurn(() => program(list)) })
      return { ms, stall }
    },
    async list() {
      let rows = 0
      const ms = await timed(async () => {
        const { services, destinations } = await list()
        rows = services.length + destinations.reduce((sum, { length }) => sum + length, 0)
      })
      return { ms, rows }
    },
    /** Services one after the other, none of them kept, and what the process had of memory before. */
    async stream() {
      await using director = await Director.open()
      const before = process.memoryUsage.rss() / MB
      let rows = 0
      const ms = await timed(async () => { for await (const { realServers } of director.services()) rows += 1 + realServers.length })
      return { ms, rows, before, peak: process.resourceUsage().maxRSS / 1024 }
    },
    async nonzero() {
      const rows = (await list()).destinations.flat()
      const counters = rows.flatMap(({ stats64: told }) => Object.keys(stats64.table).map(key => told[key as keyof typeof told]))
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
  async program(port, how) {
    const text = rules(Number(port), how as Forwarding)
    const ms = await timed(async () => {
      const child = spawn('ipvsadm', ['-R'], { stdio: ['pipe', 'ignore', 'inherit'] })
      child.stdin.end(text)
      const [status] = await once(child, 'close') as [number | null]
      if (status !== 0) throw new Error(`ipvsadm -R: status ${status}`)
    })
    return { ms }
  },
  async list() {
    const rows: object[] = []
    const ms = await timed(async () => {
      const child = spawn('ipvsadm', ['-Ln', '--stats', '--exact'], { stdio: ['ignore', 'pipe', 'inherit'] })
      let text = ''
      child.stdout.setEncoding('latin1').on('data', (part: string) => { text += part })
      await once(child, 'close')
      for (const line of text.split('\n').slice(3)) {
        const [mark, name, ...numbers] = line.trim().split(/\s+/)
        if (name) rows.push({ mark, name, stats: numbers.map(BigInt) })
      }
    })
    return { ms, rows: rows.length }
  },
}

const contestant = process.argv[2] === 'ipvsadm' ? ipvsadm : await library()
for await (const line of createInterface(process.stdin)) {
  const [name, ...words] = line.split(' ')
  console.log(JSON.stringify(await contestant[name!]!(...words)))
}
process.exit(0)
