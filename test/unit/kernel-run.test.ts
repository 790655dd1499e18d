/** test/kernel/run and versions, in a tree of their own whose lab is a script that writes down what it is asked. */

import { execFile } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
let tree: string
const path = (name: string): string => join(tree, name)
const fileOf = (name: string): string => `test/kernel/${name === 'a' ? 'ipvs/rules' : 'ipvs'}/${name}.test.ts`

/** Notes each file, its guest and its processor, and says what vitest would; one file fails. */
const LAB = `#!/bin/bash
for word; do
  [[ $word == *.test.ts ]] || continue
  echo "$$ $word \${LAB_CPU:-any} \${LAB_KERNEL:-none} $*" >>began
  sleep 0.2
  [[ $word != *broken* ]] || exit 1
  echo " ✓  kernel  $word (3 tests) 2500ms"
done
`

beforeEach(() => {
  tree = mkdtempSync(join(tmpdir(), 'kernel-run.'))
  for (const directory of ['test/kernel/ipvs/rules', 'test/lab']) mkdirSync(path(directory), { recursive: true })
  copyFileSync(join(root, 'test/kernel/run'), path('test/kernel/run'))
  mkdirSync(path('test/lab/machine'))
  copyFileSync(join(root, 'test/lab/machine/processors.sh'), path('test/lab/machine/processors.sh'))
  writeFileSync(path('test/lab/run'), LAB)
  chmodSync(path('test/lab/run'), 0o755)
  for (const name of ['a', 'b', 'c', 'unknown']) writeFileSync(path(fileOf(name)), '')
  writeFileSync(path('test/kernel/seconds'), `5 ${fileOf('a')}\n80 ${fileOf('b')}\n7 ${fileOf('c')}\n9 ${fileOf('gone')}\n`)
})
afterEach(() => rmSync(tree, { recursive: true }))

interface Ended { readonly code: number; readonly stdout: string; readonly stderr: string; readonly began: string[][] }

/** Runs it, on one guest at a time where nothing else is said. */
function run(words: readonly string[] = [], env: NodeJS.ProcessEnv = { LAB_CPU: '0' }, script = 'run'): Promise<Ended> {
  return new Promise(resolve => {
    const { IPVS_NL_LAB: _, LAB_CPU: __, LAB_KERNEL: ___, ...rest } = process.env
    const child = execFile(path(`test/kernel/${script}`), words, { cwd: tmpdir(), env: { ...rest, ...env } }, (_, stdout, stderr) => resolve({
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
    writeFileSync(path('test/lab/.cache/seconds'), `90 ${fileOf('a')}\n1 ${fileOf('unknown')}\n`)
    expect(order(await run())).toEqual(['a', 'b', 'c', 'unknown'].map(fileOf))
  })

  it('writes down how long each took that passed', async () => {
    writeFileSync(path(fileOf('broken')), '')
    const ran = await run()
    expect(ran.code).toBe(1)
    expect(ran.stderr).toContain(`failed: ${fileOf('broken')}`)
    const measured = readFileSync(path('test/lab/.cache/seconds'), 'utf8').trimEnd().split('\n')
    expect(measured.map(line => line.replace(/^\d+ /, '')).sort()).toEqual(['a', 'b', 'c', 'unknown'].map(fileOf).sort())
    expect(measured.every(line => line.startsWith('3 '))).toBe(true)
  })

  it('runs the files it is given with the options it is given, of which nothing is written down', async () => {
    const ran = await run([fileOf('a'), `./${fileOf('b')}`, '-t', 'name'])
    expect(order(ran)).toEqual(['b', 'a'].map(fileOf))
    expect(ran.began.map(words => words.slice(-2))).toEqual([['-t', 'name'], ['-t', 'name']])
    expect(readFileSync(path('test/lab/.cache/seconds'), 'utf8')).toBe('')
  })

  it('says which file is not there', async () => {
    expect(await run([fileOf('a'), fileOf('nosuch')])).toEqual({ code: 2, stdout: '', stderr: `test/kernel/run: there is no file ${fileOf('nosuch')}\n`, began: [] })
  })

  it('has one guest for short files, up to 120 seconds in each, and one for each of the others', async () => {
    writeFileSync(path('test/kernel/seconds'), ['56 long', '36 a', '36 b', '36 c', '4 unknown'].map(line => `${line.replace(/\w+$/, fileOf)}\n`).join(''))
    writeFileSync(path(fileOf('long')), '')
    const { began } = await run()
    const guests = [...new Set(began.map(([guest]) => guest))]
    expect(guests.map(guest => began.filter(line => line[0] === guest).map(([, file]) => file))).toEqual([['b', 'c', 'a'], ['long'], ['unknown']].map(names => names.map(fileOf)))
  })

  it('has a guest for each processor and one more', async () => {
    const allowed = readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(\d+)/m)![1]!
    const { began } = await run([], {})
    expect(began.map(([,, processor]) => processor)).toEqual(expect.arrayContaining([allowed, 'any']))
  })
})

describe('test/kernel/versions', () => {
  const versions = (words: readonly string[] = []): Promise<Ended> => run(words, {}, 'versions')
  beforeEach(() => {
    copyFileSync(join(root, 'test/kernel/versions'), path('test/kernel/versions'))
    // It takes files that this tree does not have.
    writeFileSync(path('test/kernel/run'), '#!/bin/bash\nfor file; do echo "begin $file any $LAB_KERNEL" >>began; done\n[[ $LAB_KERNEL != 6.66 ]]\n')
  })

  it('runs tests that are there, each on every version', async () => {
    const { code, began } = await versions()
    expect(code).toBe(0)
    expect(began.filter(([, file]) => !existsSync(join(root, file!)))).toEqual([])
    const of = (version: string): string[] => began.filter(([,,, kernel]) => kernel === version).map(([, file]) => file!)
    expect(of('6.12').length).toBeGreaterThan(15)
    expect(of('7.2')).toEqual(of('6.12'))
    expect(began).toHaveLength(of('7.2').length * 2)
  })

  it('goes on with the next version where one fails, and fails', async () => {
    const { code, stderr, began } = await versions(['6.66', '7.2'])
    expect([code, stderr]).toEqual([1, 'test/kernel/versions: failed on Linux 6.66\n'])
    expect(began.some(([,,, kernel]) => kernel === '7.2')).toBe(true)
  })
})
