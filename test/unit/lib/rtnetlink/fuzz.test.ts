import { expect, it } from 'vitest'
import { fuzz } from '../../../support/fuzz.js'

it('5,000 damaged buffers through every decoder give values and DecodeErrors', { timeout: 30_000 }, () => {
  const seed = Date.now() % 2 ** 32
  const { failures, tally } = fuzz(5000, seed)
  expect([seed, failures]).toEqual([seed, []])
  expect(Object.keys(tally)).toEqual(expect.arrayContaining(['command', 'link', 'address', 'route', 'neighbour']))
  for (const { values, errors } of Object.values(tally)) expect(Math.min(values, errors)).toBeGreaterThan(50)
})
