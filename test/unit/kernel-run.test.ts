/** test/kernel/run, in a tree of its own whose lab is a script that writes down what it is asked. */

import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
let tree: string
const path = (name: string): string => join(tree, name)
const fileOf = (name: string): string => `test/kernel/${name}.test.ts`

/** Notes its begin and end, and the processor; one file fails. */
const LAB = `#!/bin/bash
for word; do [[ $word != *.test.ts ]] || file=$word; done
echo "begin $file \${LAB_CPU:-any} $*" >>began
sleep 0.2
[[ $file != *broken* ]]
`

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'kernel-run.'))
  for (const directory of ['test/kernel', 'test/lab']) mkdirSync(path(directory), { recursive: true })
  copyFileSync(join(root, 'test/kernel/run'), path('test/kernel/run'))
  writeFileSync(path('test/lab/run'), LAB)
  chmodSync(path('test/lab/run'), 0o755)
  for (const name of ['a', 'b', 'c', 'unknown']) writeFileSync(path(fileOf(name)), '')
  writeFileSync(path('test/kernel/seconds'), `5 ${fileOf('a')}\n30 ${fileOf('b')}\n7 ${fileOf('c')}\n9 ${fileOf('gone')}\n`)
})
afterEach(() => rmSync(tree, { recursive: true }))

interface Ended { readonly code: number; readonly stdout: string; readonly stderr: string; readonly began: string[][] }

/** Runs it, on one guest at a time where nothing else is said. */
function run(words: readonly string[] = [], env: NodeJS.ProcessEnv = { LAB_CPU: '0' }): Promise<Ended> {
  return new Promise(resolve => {
    const { IPVS_NL_LAB: _, LAB_CPU: __, ...rest } = process.env
    const child = execFile(path('test/kernel/run'), words, { cwd: tmpdir(), env: { ...rest, ...env } }, (_, stdout, stderr) => resolve({
      code: child.exitCode!, stdout, stderr, began: existsSync(path('began')) ? readFileSync(path('began'), 'utf8').trimEnd().split('\n').map(line => line.split(' ')) : [],
    }))
  })
}
const order = ({ began }: Ended): string[] => began.map(([, file]) => file!)

describe('test/kernel/run', () => {
  it('starts with files it knows nothing of, then those that take longest', async () => {
    const ran = await run()
    expect(ran).toMatchObject({ code: 0, stderr: '' })
    expect(order(ran)).toEqual(['unknown', 'b', 'c', 'a'].map(fileOf))
  })

  it('goes by what they took last time, before what is committed', async () => {
    mkdirSync(path('test/lab/.cache'))
    writeFileSync(path('test/lab/.cache/seconds'), `40 ${fileOf('a')}\n1 ${fileOf('unknown')}\n`)
    expect(order(await run())).toEqual(['a', 'b', 'c', 'unknown'].map(fileOf))
  })

  it('writes down how long each took that passed', async () => {
    writeFileSync(path(fileOf('broken')), '')
    const ran = await run()
    expect(ran.code).toBe(1)
    expect(ran.stderr).toContain(`failed: ${fileOf('broken')}`)
    const measured = readFileSync(path('test/lab/.cache/seconds'), 'utf8').trimEnd().split('\n')
    expect(measured.map(line => line.replace(/^\d+ /, '')).sort()).toEqual(['a', 'b', 'c', 'unknown'].map(fileOf))
    expect(measured.every(line => /^[01] /.test(line))).toBe(true)
  })

  it('runs the files it is given with the options it is given, of which nothing is written down', async () => {
    const ran = await run([fileOf('a'), `./${fileOf('b')}`, '-t', 'name'])
    expect(order(ran)).toEqual(['b', 'a'].map(fileOf))
    expect(ran.began.map(words => words.slice(-2))).toEqual([['-t', 'name'], ['-t', 'name']])
    expect(readFileSync(path('test/lab/.cache/seconds'), 'utf8')).toBe('')
  })

  it('has a guest for each processor and one more', async () => {
    const allowed = readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(\d+)/m)![1]!
    const { began } = await run([], {})
    expect(began[0]![2]).toBe(allowed)
    expect(began.some(([,, processor]) => processor === 'any')).toBe(true)
  })
})
