/** Worker threads that end with sockets open, and what opening costs. Needs no right: rtnetlink lists links for anybody. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** Runs a script against dist, in a process of its own. */
const run = (script: string, ...options: string[]): Promise<{ code: unknown; signal: unknown; stdout: string; stderr: string }> =>
  new Promise(resolve => {
    const child = execFile(process.execPath, [...options, '--input-type=module', '-e', script], { cwd: root, timeout: 60_000 }, (_, stdout, stderr) =>
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr }))
  })

const preamble = (descriptor: boolean): string => `
  import { parentPort, Worker } from 'node:worker_threads'
  import { openSocket } from './dist/generic-netlink/open-socket.js'
  import { RouteClient } from './dist/lib/rtnetlink/client.js'
  const openClient = () => new RouteClient({
    openSocket: (protocol, listener) => openSocket(protocol, listener, { descriptor: ${descriptor} }),
  })
  const link = { kind: 'link', header: { family: 'unspec', type: 0, index: 1, flags: {}, change: {} }, attributes: {}, object: 'link lo' }
  const use = client => Promise.all([client.get(link), client.list('link', link.header)])
`

/** How a worker thread ends: what it does last, and whether the main thread terminates it. */
const ends = {
  'a natural end':              { last: '', terminate: false },
  'an exception':               { last: 'throw new Error("thrown")', terminate: false },
  'a rejection':                { last: 'Promise.reject(new Error("rejected"))', terminate: false },
  'process.exit()':             { last: 'process.exit(3)', terminate: false },
  'terminate() while it idles': { last: 'parentPort.postMessage("ready"); setInterval(() => {}, 1000)', terminate: true },
  'terminate() while it lists': { last: 'parentPort.postMessage("ready"); for (;;) await use(client)', terminate: true },
}

/** Twenty workers, five at a time; each has used both sockets before it ends. */
const twenty = ({ last, terminate }: typeof ends[keyof typeof ends], descriptor: boolean): string => `
  import { readdirSync } from 'node:fs'
  import { Worker } from 'node:worker_threads'
  const end = () => new Promise(resolve => {
    const worker = new Worker(${JSON.stringify(`${preamble(descriptor)}
      const client = openClient()
      await use(client)
      ${last}
    `)}, { eval: true })
    worker.on('error', () => {})
    worker.on('message', () => { if (${terminate}) setTimeout(() => worker.terminate(), 3) })
    worker.on('exit', resolve)
  })
  await end()
  const open = () => readdirSync('/proc/self/fd').length
  const before = open()
  for (let i = 0; i < 4; i++) await Promise.all([end(), end(), end(), end(), end()])
  console.log('left open:', open() - before)
`

describe.each([['through the descriptor', true], ['by events', false]])('20 worker threads end with sockets that answer %s', (_, descriptor) => {
  // An event calls JavaScript from the addon, which ends the process where the thread is terminated meanwhile.
  const kinds = Object.entries(ends).filter(([name]) => descriptor || name !== 'terminate() while it lists')
  it.each(kinds)('%s', { timeout: 60_000 }, async (_, end) => {
    expect(await run(twenty(end, descriptor))).toEqual({ code: 0, signal: null, stdout: 'left open: 0\n', stderr: '' })
  })
})

it('3,000 conversations, one after the other, cost 20 MB at most, and each that is open 64 KB', { timeout: 60_000 }, async () => {
  const { stdout } = await run(`${preamble(true)}
    import { setImmediate as turn } from 'node:timers/promises'
    const used = () => { gc(); const { heapUsed, external, rss } = process.memoryUsage(); return { held: heapUsed + external, rss } }
    const cycle = async times => {
      for (let i = 0; i < times; i++) {
        const client = openClient()
        await client.get(link)
        client.close()
        await turn() // the addon frees a socket then
      }
    }
    await cycle(500)
    const before = used()
    await cycle(3000)
    const after = used()
    const open = Array.from({ length: 50 }, openClient)
    for (const client of open) await use(client)
    console.log(JSON.stringify({ grown: after.rss - before.rss, each: (used().held - after.held) / open.length }))
  `, '--expose-gc', '--max-semi-space-size=1')
  const { grown, each } = JSON.parse(stdout) as { grown: number; each: number }
  expect(grown).toBeLessThan(20e6)
  expect(each).toBeLessThan(65_536)
})
