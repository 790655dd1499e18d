/**
 * A million damaged buffers through every decoder: each gives a value or a DecodeError, and nothing else.
 *
 *     node dist/test/bench/fuzz.js [COUNT] [SEED]
 */

import { fuzz } from '../support/fuzz.js'

const count = Number(process.argv[2] ?? 1_000_000)
const seed = Number(process.argv[3] ?? Date.now() % 2 ** 32)
const began = performance.now()
const { tally, mutated, failures } = fuzz(count, seed)
const seconds = (performance.now() - began) / 1000

console.log(`${count} buffers, seed ${seed}, through each of ${Object.keys(tally).length} decoders in ${seconds.toFixed(1)} s`)
for (const [name, { values, errors }] of Object.entries(tally)) {
  console.log(`  ${name.padEnd(16)}${String(values).padStart(10)} values ${String(errors).padStart(10)} DecodeErrors ${(100 * errors / (values + errors)).toFixed(1).padStart(6)} %`)
}
const all = Object.values(mutated).reduce((sum, n) => sum + n, 0)
console.log(`  mutations: ${Object.entries(mutated).map(([kind, n]) => `${kind} ${(100 * n / all).toFixed(0)} %`).join(', ')}`)
if (failures.length > 0) {
  console.error(`${failures.length} gave something else:\n${failures.join('\n')}`)
  process.exitCode = 1
}
