import { expect, it } from 'vitest'
import { Pump } from '../../../generic-netlink/pump.js'

it('runs scheduled work once, after the caller\'s code', async () => {
  let runs = 0
  const pump = new Pump(() => { runs++ })
  pump.schedule()
  pump.schedule()
  expect(runs).toBe(0)
  await Promise.resolve()
  expect(runs).toBe(1)
  pump.schedule()
  await Promise.resolve()
  expect(runs).toBe(2)
})
it('does not run within itself, and runs again after an error', () => {
  let runs = 0
  const pump = new Pump(() => {
    runs++
    pump.run()
    if (runs === 1) throw new Error('oops')
  })
  expect(() => pump.run()).toThrow('oops')
  pump.run()
  expect(runs).toBe(2)
})
