// User Mode Linux saves the extended registers of every process by itself, and hands them back through the host.
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'

const execute = promisify(execFile)

test('vector registers outlive context switches, in several processes and threads', () => {
  const program = join(mkdtempSync('/tmp/registers-'), 'registers')
  execFileSync('gcc', ['-O1', '-pthread', '-o', program, join(import.meta.dirname, '../../support/registers.c')])
  const flags = execFileSync('grep', ['-m1', '^flags', '/proc/cpuinfo'], { encoding: 'utf8' }).split(/\s+/)
  const set = flags.includes('avx512bw') ? 'zmm and k' : flags.includes('avx') ? 'ymm' : 'xmm'
  expect(execFileSync(program, ['3', '3', '300'], { encoding: 'utf8' })).toBe(`${set}: kept in 9 threads\n`)
})

// Published: FIPS 180's million times "a"; 2^2203 - 1 is prime (Lucas and Lehmer's test ends at 0) and 10007 is
// (Wilson: 10006! = -1 modulo it). Computed outside with another program: AES of 8 MB of zeros, by its digest.
const program = `
  const { createCipheriv, createHash } = require('node:crypto')
  const sha = (name, data) => createHash(name).update(data).digest('hex')
  const a = Buffer.alloc(1e6, 'a'), zeros = Buffer.alloc(8 << 20), key = Buffer.from(Array.from({ length: 32 }, (_, i) => i))
  const results = () => {
    let lucas = 4n, factorial = 1n
    for (let i = 0, m = 2n ** 2203n - 1n; i < 2201; i++) lucas = (lucas * lucas - 2n) % m
    for (let i = 2n; i < 10007n; i++) factorial *= i
    return [sha('sha1', a), sha('sha256', a), sha('sha512', a), String(lucas), String(factorial % 10007n),
      sha('sha256', createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(zeros)),
      sha('sha256', createCipheriv('aes-128-cbc', key.subarray(0, 16), Buffer.alloc(16)).update(zeros))].join()
  }
  const seen = new Set()
  for (let i = 0; i < 2; i++) seen.add(results())
  console.log([...seen].join('\\n'))`

test('crypto and BigInt give the right results in several processes at once', async () => {
  const results = await Promise.all(Array.from({ length: 4 }, () => execute(process.execPath, ['-e', program])))
  const right = [
    '34aa973cd4c4daa4f61eeb2bdbad27316534016f',
    'cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0',
    'e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c31beb009c5c2c49aa2e4eadb217ad8cc09b',
    '0',
    '10006',
    '24206b8316ce67b5efab26ab54ccf0f8a1e05e5814330b156e2411270da8039a',
    'b372feab17313ed029ceb7d1328fe22fa721ee65f6db82563f74d33625032f89',
  ].join()
  for (const { stdout } of results) expect(stdout).toBe(`${right}\n`)
})
