import { chmodSync, readFileSync, writeFileSync } from 'node:fs'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { Director, PlanError, type VirtualServiceSpec } from '../../../lib/index.js'
import { run } from '../../support/run.js'

const SETTING = '/proc/sys/kernel/modprobe', SLOW = '/tmp/slow-modprobe'
const kernels = readFileSync(SETTING, 'utf8').trim()
let director: Director
/** The modprobes that the kernel or the library ran. */
const ran = (): string[] => readFileSync('/tmp/ran', 'utf8').split('\n').filter(line => line !== '')

beforeAll(async () => {
  writeFileSync(SLOW, `#!/bin/sh\necho "$*" >>/tmp/ran\nsleep 0.4\nexec ${kernels} "$@"\n`)
  chmodSync(SLOW, 0o755)
  writeFileSync(SETTING, SLOW)
  director = await Director.open()
})
beforeEach(async () => {
  await director.flush()
  writeFileSync('/tmp/ran', '')
})
afterAll(async () => {
  await director.close()
  writeFileSync(SETTING, kernels)
})

const services = (scheduler: string): VirtualServiceSpec[] => Array.from({ length: 200 }, (_, i): VirtualServiceSpec =>
  ({ vip: '192.0.2.1', port: 1000 + i, protocols: ['tcp'], scheduler, realServers: ['198.51.100.1'] }))

/** The longest turn of the event loop while a task runs, in milliseconds. */
async function longestTurn(task: () => Promise<unknown>): Promise<number> {
  let last = performance.now(), longest = 0
  const turn = (): void => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  const timer = setInterval(turn, 5)
  await task().finally(() => { clearInterval(timer) })
  turn()
  return longest
}

it('a scheduler that is missing is found once, before anything is sent, beside the event loop', async () => {
  const plan = await director.plan([...services('nosuch'), { ...services('rr')[0]!, vip: '192.0.2.2' } as VirtualServiceSpec])
  let error: unknown
  const longest = await longestTurn(async () => { error = await plan.apply({ onFailure: 'continue' }).catch((e: unknown) => e) })
  expect(error).toBeInstanceOf(PlanError)
  expect((error as PlanError).message).toBe('step 1 of 402 failed: ipvsadm -A -t 192.0.2.1:1000 -s nosuch: cannot add virtual service tcp 192.0.2.1:1000: '
    + 'the kernel has no scheduler "nosuch" (module ip_vs_nosuch) (ENOENT); 199 more failed')
  expect(ran().filter(line => line.includes('nosuch'))).toEqual(['-q -- ip_vs_nosuch', '-n -q -- ip_vs_nosuch'])
  expect(longest).toBeLessThan(400)
  expect((await director.list()).map(({ vip }) => vip)).toEqual(['192.0.2.2'])
})

it('a persistence engine that is missing is named', async () => {
  const spec = { vip: '192.0.2.1', port: 5060, protocols: ['udp'], scheduler: 'rr', persistence: { engine: 'nosuch' }, realServers: [] } as const
  await expect(director.addService(spec)).rejects.toThrow('cannot add virtual service udp 192.0.2.1:5060: '
    + 'the kernel has no persistence engine "nosuch" (module ip_vs_pe_nosuch) (ENOENT)')
})

it('a scheduler that is there is loaded once, beside the event loop', async () => {
  run('sh', ['-c', 'modprobe -r ip_vs_sed 2>/dev/null; true'])
  writeFileSync('/tmp/ran', '')
  const plan = await director.plan(services('sed'))
  const longest = await longestTurn(() => plan.apply())
  expect(ran().filter(line => line.includes('sed'))).toEqual(['-q -- ip_vs_sed'])
  expect(longest).toBeLessThan(400)
  expect(await director.list()).toHaveLength(200)
})

it('a signal is heard meanwhile', async () => {
  const plan = await director.plan(services('other'))
  const reason = new Error('enough'), abort = new AbortController()
  const timer = setTimeout(() => { abort.abort(reason) }, 100)
  await expect(plan.apply({ signal: abort.signal })).rejects.toBe(reason)
  clearTimeout(timer)
  expect(plan.done).toBe(0)
})
