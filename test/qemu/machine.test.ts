/** The machine of LAB=qemu, from outside: what test/unit/lab.test.ts asks of every lab, of a real boot each. */

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'

const run = join(import.meta.dirname, '../lab/run')

// A directory to work in, and one for the machine's files, to see that nothing stays there: a comma and a space are hard for qemu.
const work = realpathSync(mkdtempSync(join(tmpdir(), 'lab test ')))
const files = realpathSync(mkdtempSync(join(tmpdir(), 'lab, test ')))
afterAll(() => [work, files].forEach(directory => rmSync(directory, { recursive: true })))

const env = { ...process.env, IPVS_NL_LAB: '', LAB: 'qemu', LAB_MEMORY: '512M', TMPDIR: files }

function lab(command: readonly string[], more: NodeJS.ProcessEnv = {}, input = '', prefix: readonly string[] = []) {
  const [program, ...words] = [...prefix, run, ...command]
  const { status, stdout, stderr } = spawnSync(program!, words, { cwd: more.PWD ?? work, input, env: { ...env, ...more }, encoding: 'utf8', maxBuffer: 1 << 26 })
  return { status, stdout, stderr }
}

/** Processes of machines whose files lie there. */
const machines = (): string[] => readdirSync('/proc').filter(pid => {
  try {
    return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(files.replaceAll(',', ',,'))
  } catch {
    return false // gone meanwhile
  }
})

function expectNothingLeft(): void {
  expect(machines()).toEqual([])
  expect(readdirSync(files)).toEqual([])
}

test('a command has its status, arguments, environment, directory, stdin, bytes of output, and several processors', () => {
  const words = ['a b', '', '*', '$HOME', `'"\\`, 'new\nline', 'äöü']
  const script = `
    printf '<%s>' "$@"; printf '\\n<%s>\\n<%s>\\n' "$LAB_TEST" "$PWD"
    id -u; nproc; uname -sm; wc -c; [[ -t 1 ]] || echo pipe
    ipvsadm -A -t 192.0.2.1:80 -s mh; ipvsadm -Sn
    head -c 300000 /dev/zero
    printf 'no newline, \\r\\n\\t\\x01\\x03\\x04\\x13\\xff' >&2
    exit 42`
  const value = 'two\nlines; $(and) "quotes"'
  const { status, stdout, stderr } = lab(['bash', '-c', script, 'bash', ...words], { LAB_TEST: value, LAB_CPUS: '3' }, 'every byte counts\n'.repeat(100_000))
  const machine = spawnSync('uname', ['-sm'], { encoding: 'utf8' }).stdout
  const told = `${words.map(word => `<${word}>`).join('')}\n<${value}>\n<${work}>\n0\n3\n${machine}1800000\npipe\n-A -t 192.0.2.1:80 -s mh\n`
  expect(stdout.slice(0, told.length)).toBe(told)
  expect(stdout.slice(told.length)).toBe('\0'.repeat(300_000))
  expect(stderr).toBe('no newline, \r\n\t\x01\x03\x04\x13\ufffd')
  expect(status).toBe(42)
  expectNothingLeft()
})

test.each([
  [{ LAB_KERNEL: '/bin/true' }, 'LAB_KERNEL=/bin/true is a file: LAB_MODULES has to name the directory of its modules'],
  [{ LAB_KERNEL: '/bin/true', LAB_MODULES: '/nonexistent' }, 'no modules for /bin/true: /nonexistent/modules.dep is missing (LAB_MODULES names another directory)'],
  [{ LAB_KERNEL: 'moon!' }, 'moon! is neither a version such as 6.12 nor a suite such as stable'],
])('%o is refused in a sentence', (more, sentence) => {
  const { status, stdout, stderr } = lab(['true'], more)
  expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
  expect(stderr.split('\n')).toEqual([expect.stringMatching(/^test\/lab\/(run|fetch): /), ''])
  expect(stderr).toContain(sentence)
})

test('an ordinary user is root inside, and writes where that user may', () => {
  const here = mkdtempSync(join(tmpdir(), 'lab-user-'))
  spawnSync('chmod', ['777', here])
  const user = process.getuid!() === 0 ? ['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'] : []
  const script = `id -u; touch /etc/lab-test 2>/dev/null || echo denied; touch ${here}/made`
  const { status, stdout, stderr } = lab(['bash', '-c', script], { TMPDIR: here, HOME: here, PWD: here }, '', user)
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: '0\ndenied\n', stderr: '' })
  expect(readdirSync(here)).toEqual(['made'])
  rmSync(here, { recursive: true })
})

test('a command is killed after LAB_TIMEOUT seconds, and nothing stays', () => {
  const { status, stderr } = lab(['sleep', '1000'], { LAB_TIMEOUT: '3' })
  expect(stderr).toBe('test/lab/run: killed after LAB_TIMEOUT=3 seconds: sleep 1000\n')
  expect(status).toBe(124)
  expectNothingLeft()
})

test('a command gets the signal, ends in its own way, and nothing stays', async () => {
  const script = 'trap \'echo bye; exit 5\' INT; echo ready; while :; do sleep 0.1; done'
  const child = spawn(run, ['bash', '-c', script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output === '') child.kill('SIGINT')
    output += text
  })
  const status = await new Promise(resolve => child.once('close', resolve))
  expect(output).toBe('ready\nbye\n')
  expect(status).toBe(5)
  expectNothingLeft()
})

test('where KVM runs nothing, or is not there, it is given up after 30 seconds at most', () => {
  const { status, stdout, stderr } = lab(['bash', '-c', 'echo $LAB_ACCEL'], { LAB_ACCEL: 'kvm' })
  expect(status).toBe(0)
  if (stdout === 'kvm\n') expect(stderr).toBe('')
  else {
    expect(stdout).toBe('tcg\n')
    expect(stderr).toBe('test/lab/run: KVM runs nothing here, so qemu emulates the processors\n')
  }
  expectNothingLeft()
})
