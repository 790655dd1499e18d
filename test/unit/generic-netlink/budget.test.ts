import { setImmediate as turn } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { Budget } from '../../../generic-netlink/budget.js'

it('allows work up to 256 KB in a turn of the loop, and resumes each waiter once in the next', async () => {
  const budget = new Budget()
  let resumed = 0
  const resume = (): void => { resumed++ }
  let exchanges = 0
  for (; budget.allows(resume); exchanges++) budget.spend(30_720)
  expect(exchanges).toBe(8) // of 32,768 bytes, with 2,048 for the system calls of each
  expect(budget.allows(resume)).toBe(false)
  expect(resumed).toBe(0)
  await turn()
  expect(resumed).toBe(1)
  expect(budget.allows(resume)).toBe(true)
})
it('counts the system calls of exchanges without bytes', () => {
  const budget = new Budget()
  let exchanges = 0
  for (; budget.allows(() => {}); exchanges++) budget.spend(0)
  expect(exchanges).toBe(128)
})
