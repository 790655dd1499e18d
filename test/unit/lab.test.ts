import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, describe, expect, test } from 'vitest'
import { guests, lab, run } from '../support/lab.js'

// A directory to work in, and one for the guest's files, to see that nothing stays there.
const work = realpathSync(mkdtempSync(join(tmpdir(), 'lab test ')))
const files = mkdtempSync('/var/tmp/lab-test-')
afterAll(() => [work, files].forEach(directory => rmSync(directory, { recursive: true })))

describe('a command in the lab', { timeout: 180_000 }, () => {
  test('has its status, arguments, environment, directory, stdin and bytes of output', () => {
    const words = ['a b', '', '*', '$HOME', `'"\\`, 'new\nline', 'äöü']
    const script = `
      printf '<%s>' "$@"; printf '\\n<%s>\\n<%s>\\n' "$LAB_TEST" "$PWD"
      id -u; cat; [[ -t 1 ]] || echo pipe
      printf 'no newline, \\r\\n\\t\\x01\\x03\\x04\\x13\\xff' >&2
      exit 42`
    const value = 'two\nlines; $(and) "quotes"'
    const { status, stdout, stderr } = lab(['bash', '-c', script, 'bash', ...words], { env: { LAB_TEST: value }, input: 'piped\n', cwd: work })
    expect(stdout).toBe(`${words.map(word => `<${word}>`).join('')}\n<${value}>\n<${work}>\n0\npiped\npipe\n`)
    expect(stderr).toBe('no newline, \r\n\t\x01\x03\x04\x13\ufffd')
    expect(status).toBe(42)
  })

  test('passes megabytes both ways, in order', () => {
    const input = 'every byte counts\n'.repeat(60_000)
    const { status, stdout } = lab(['tee', '/dev/stderr'], { input })
    expect(createHash('sha1').update(stdout).digest('hex')).toBe(createHash('sha1').update(input).digest('hex'))
    expect(status).toBe(0)
  })

  test('that does not exist ends as in a shell', () => {
    expect(lab(['no-such-command'])).toMatchObject({ status: 127, stdout: '', stderr: expect.stringContaining('no-such-command') as string })
  })

  test('is killed after LAB_TIMEOUT seconds, and nothing stays', () => {
    const { status, stdout, stderr } = lab(['bash', '-c', 'echo started; sleep 1000'], { env: { LAB_TIMEOUT: '10', TMPDIR: files } })
    expect(stdout).toBe('started\n')
    expect(stderr).toMatch(/^test\/lab\/run: killed after LAB_TIMEOUT=10 seconds: bash -c/)
    expect(status).toBe(124)
    expect(readdirSync(files)).toEqual([])
    expect(guests(files)).toEqual([])
  })

  test.each([
    ['SIGINT', 'bash -c "trap \'echo bye; exit 5\' INT; echo ready; while :; do sleep 0.1; done"', 5, 'bye\n'],
    ['SIGTERM', 'bash -c "echo ready; sleep 1000"', 143, ''],
    ['SIGKILL', 'bash -c "echo ready; sleep 1000"', null, ''],
  ] as const)('ends with %s, and nothing stays', async (signal, command, code, last) => {
    const child = spawn(run, ['sh', '-c', `exec ${command}`], {
      env: { ...process.env, IPVS_NL_LAB: '', LAB_MEMORY: '256M', TMPDIR: files }, stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      if (output === '') child.kill(signal)
      output += text
    })
    const status = await new Promise(resolve => child.once('close', resolve))
    expect(output).toBe(`ready\n${last}`)
    expect(status).toBe(code)
    for (let i = 0; i < 50 && (guests(files).length > 0 || readdirSync(files).length > 0); i++) await sleep(100)
    expect(guests(files)).toEqual([])
    expect(readdirSync(files)).toEqual([])
  })

  test('runs as it is where there is a lab around it already', () => {
    expect(lab(['bash', '-c', 'echo $IPVS_NL_LAB'], { env: { IPVS_NL_LAB: 'guest', LAB_KERNEL: '/nonexistent' } }).stdout).toBe('guest\n')
  })
})

test.each([
  [{ LAB_KERNEL: '/nonexistent' }, 'LAB_KERNEL=/nonexistent is neither a version such as 6.12 nor an executable file'],
  [{ LAB_KERNEL: '/bin/true' }, '/bin/true is not a User Mode Linux kernel that runs here; its --version says: true (GNU coreutils)'],
  [{ LAB_MODULES: '/nonexistent' }, '/nonexistent/modules.dep is missing'],
  [{ LAB_MEMORY: 'abc' }, 'LAB_MEMORY=abc is not a size'],
  [{ LAB_MEMORY: '9000G' }, 'no directory for the guest\'s 9216000 MB of memory'],
  [{ LAB_TIMEOUT: '1m' }, 'LAB_TIMEOUT=1m is not a number of seconds'],
  [{ LAB_CPU: '4095' }, 'LAB_CPU=4095 is denied, or none of this process\'s processors'],
  [{ LAB: 'qemu', LAB_CPUS: 'all' }, 'LAB_CPUS=all is not a number of processors'],
  [{ LAB: 'qemu', LAB_ACCEL: 'moon' }, 'LAB_ACCEL=moon is neither kvm nor tcg'],
  [{ LAB: 'moon' }, 'LAB=moon is neither guest nor qemu nor host'],
])('%o is refused in a sentence', (env, sentence) => {
  const { status, stdout, stderr } = lab(['true'], { env: { ...env } })
  expect(stderr).toContain(`test/lab/run: `)
  expect(stderr).toContain(sentence)
  expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
})

test.runIf(existsSync('/usr/bin/dpkg-query'))('install is silent where nothing is missing', () => {
  const { status, stdout, stderr } = spawnSync(join(import.meta.dirname, '../lab/install'), ['test'], { encoding: 'utf8' })
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '', stderr: '' })
})
