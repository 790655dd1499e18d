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
it('follows the kernel\'s pace: fewer commands in an exchange, and no exchange after some milliseconds', async () => {
  const budget = new Budget()
  const after = (commands: number, milliseconds: number): number => {
    budget.took(commands, milliseconds)
    return budget.commands
  }
  expect([after(128, 3), after(128, 16), after(64, 9), after(32, 5), after(1, 3000), after(32, 3), after(64, 0)]).toEqual([128, 64, 32, 32, 32, 64, 128])
  for (let i = 0; i < 9; i++) budget.took(2, 100)
  expect(budget.commands).toBe(1)

  let resumed = 0
  budget.spend(0)
  expect(budget.allows(() => {})).toBe(true)
  for (const end = performance.now() + 9; performance.now() < end;);
  expect(budget.allows(() => { resumed++ })).toBe(false)
  await turn()
  expect([resumed, budget.allows(() => {})]).toEqual([1, true])
})
