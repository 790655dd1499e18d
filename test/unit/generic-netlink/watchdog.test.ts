import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Watchdog } from '../../../generic-netlink/watchdog.js'

const block = (ms: number): void => { for (const end = performance.now() + ms; performance.now() < end;); }

it('expires once after its limit, and not after a stop', async () => {
  let expired = 0
  const watchdog = new Watchdog(20, () => { expired++ })
  watchdog.start()
  watchdog.stop()
  await sleep(60)
  expect(expired).toBe(0)
  watchdog.start()
  await sleep(100)
  expect(expired).toBe(1)
})
it('waits for what the loop reads after a stall', async () => {
  let expired = 0
  const watchdog = new Watchdog(20, () => { expired++ })
  watchdog.start()
  setImmediate(() => setImmediate(() => watchdog.stop())) // an answer that arrives within the stall
  block(60)
  for (let i = 0; i < 5; i++) await turn()
  expect(expired).toBe(0)
})
