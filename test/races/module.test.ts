/** The module ip_vs is unloaded and loaded anew, over and over, under directors that are open. */

import { execFile } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { patience } from '../../examples/support/patience.js'
import { Director, formatRules, NetlinkError, type VirtualServiceSpec } from '../../lib/index.js'

const ROUNDS = 12
const specs = Array.from({ length: 10 }, (_, i): VirtualServiceSpec => ({
  vip: `10.50.0.${i}`, port: 80, protocols: ['tcp'], scheduler: 'rr', forward: 'tunnel', realServers: ['10.60.0.1'],
}))

/** Services and pending dumps hold the module: then it stays. */
const RELOAD = `{ rmmod $(lsmod | grep -o '^ip_vs_[a-z]*'); rmmod ip_vs && echo gone; } 2>/dev/null; modprobe ip_vs`

/** Whether the module was gone meanwhile. */
async function reload(): Promise<boolean> {
  const { stdout } = await promisify(execFile)('bash', ['-c', RELOAD], { timeout: patience(60_000) })
  return stdout === 'gone\n'
}

it('every call is answered, by what was asked or by what is missing, and afterwards all is as ever', async () => {
  await using applier = await Director.open()
  await using reader = await Director.open()
  await applier.flush()

  const outcomes = new Map<string, number>()
  async function ask(what: string, work: () => Promise<unknown>): Promise<void> {
    const how = await work().then(() => 'done', (error: unknown) => {
      const { cause = error } = error as Error // a plan's error has the kernel's as its cause
      // The module can be gone at the very moment at which it is asked for.
      return cause instanceof NetlinkError && cause.code === 'ENOENT' ? 'ENOENT' : `failed: ${(error as Error).message}`
    })
    outcomes.set(`${what} ${how}`, (outcomes.get(`${what} ${how}`) ?? 0) + 1)
  }

  const begun = performance.now()
  expect(await reload()).toBe(true)
  const alone = performance.now() - begun

  const state = { over: false }
  const isOver = (): boolean => state.over
  async function read(): Promise<void> {
    while (!isOver()) {
      await ask('list', () => reader.list())
      await ask('info', () => reader.info())
      await ask('timeouts', () => reader.timeouts())
      await sleep(10)
    }
  }
  async function write(): Promise<number> {
    let gone = 0
    for (let round = 0; round < ROUNDS; round++) {
      await applier.flush().catch(() => undefined)
      const reloading = reload()
      await sleep(alone * Math.random())
      await ask('apply', async () => (await applier.plan(specs)).apply())
      if (await reloading) gone++
    }
    state.over = true
    return gone
  }
  const [gone] = await Promise.all([write(), read()])
  console.log(`${ROUNDS} times unloaded beside calls, ${gone} times with success; ${[...outcomes].map(([name, times]) => `${name}: ${times}`).join(', ')}`)
  expect([...outcomes.keys()].filter(name => name.includes('failed'))).toEqual([])
  for (const what of ['apply', 'list', 'info', 'timeouts']) expect(outcomes.get(`${what} done`)).toBeGreaterThan(0)
  expect(gone).toBeGreaterThan(0)

  await (await applier.plan(specs)).apply()
  expect((await applier.plan(specs, { prune: true })).empty).toBe(true)
  expect(formatRules(await reader.list()).split('\n').toSorted()).toEqual(formatRules(specs).split('\n').toSorted())
  await applier.flush()
})
