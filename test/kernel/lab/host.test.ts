// LAB=host inside of the guest: here the guest is the machine with IPVS in its own kernel.
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'

const run = join(import.meta.dirname, '../../lab/run')
const env = { ...process.env, LAB: 'host', IPVS_NL_LAB: '', LAB_TIMEOUT: '300' }

const host = (script: string, options: { cwd?: string; input?: string; env?: Record<string, string> } = {}) => {
  const { status, stdout, stderr } = spawnSync(run, ['bash', '-c', script], { encoding: 'utf8', ...options, env: { ...env, ...options.env } })
  return { status, stdout, stderr }
}
const modules = () => readFileSync('/proc/modules', 'utf8').split('\n').flatMap(line => line.split(' ', 1)).filter(name => name !== '').sort()
const processes = (name: string) => spawnSync('pgrep', ['-fx', name], { encoding: 'utf8' }).stdout

// Other files of this guest may have loaded these.
execFileSync('ipvsadm', ['-C'])
for (let left: string[]; (left = modules().filter(name => /^(ip_vs\w*|ipip)$/.test(name))).length > 0;) {
  if (left.every(name => spawnSync('rmmod', [name], { stdio: 'ignore' }).status !== 0)) throw new Error(`modules are in use: ${left.join(' ')}`)
}

// ipv6 stays loaded in every kernel: it is there before, and so is a module that nobody uses.
execFileSync('modprobe', ['-a', 'ipv6', 'sch_mqprio'])

let before: { modules: string[]; tmp: string[]; run: string[]; links: string }
const now = () => ({
  modules: modules(), tmp: readdirSync('/tmp').sort(), run: readdirSync('/run').sort(), links: execFileSync('ip', ['-br', 'link'], { encoding: 'utf8' }),
})
beforeEach(() => { before = now() })
afterEach(() => {
  expect(now()).toEqual(before)
  expect(processes('sleep 4242')).toBe('')
})

test('a command has status, arguments, stdin and its own environment', () => {
  expect(host('cat; echo "$IPVS_NL_LAB $LAB_TEST"; echo oops >&2; exit 42', { input: 'piped\n', env: { LAB_TEST: 'a b' } }))
    .toEqual({ status: 42, stdout: 'piped\nhost a b\n', stderr: 'oops\n' })
  expect(host('kill -TERM $$').status).toBe(143)
  expect(spawnSync(run, ['no-such-command'], { env, encoding: 'utf8' })).toMatchObject({ status: 127, stderr: expect.stringContaining('no-such-command') as string })
})

test('a command has a network, processes, /tmp and /run of its own, and IPVS', () => {
  writeFileSync('/tmp/outer', '')
  expect(before.modules).not.toContain('ip_vs')
  expect(host(`
    echo /proc/[0-9]*/exe | wc -w; [[ $$ -lt 20 ]] && echo few
    ls -A /tmp /run/netns; echo inner >/tmp/inner; echo inner >/run/inner
    ip -br link | awk '{ print $1, $4 }'; ls /sys/class/net
    ip netns add other; ip netns
    ip link add lab0 type ipip local 192.0.2.1 remote 192.0.2.2 && ipvsadm -A -t 192.0.2.1:80 -s mh && ipvsadm -Sn
    grep -cE '^(ip_vs_mh|ipip) ' /proc/modules`))
    .toEqual({ status: 0, stderr: '', stdout: expect.stringMatching(new RegExp(['^[34]', 'few', '/run/netns:', '', '/tmp:', 'lo <LOOPBACK,UP,LOWER_UP>',
      'lo', 'other', '-A -t 192.0.2.1:80 -s mh', '2\n$'].join('\n'))) as string })
  rmSync('/tmp/outer')
})

test('a directory beneath /tmp that the command runs in is seen, and written', () => {
  mkdirSync('/tmp/work/deep', { recursive: true })
  expect(host('pwd; ls -A /tmp; echo written >file', { cwd: '/tmp/work/deep' })).toEqual({ status: 0, stdout: '/tmp/work/deep\nwork\n', stderr: '' })
  expect(readFileSync('/tmp/work/deep/file', 'utf8')).toBe('written\n')
  rmSync('/tmp/work', { recursive: true })
})

test('what a command leaves behind ends with it', () => {
  expect(host('sleep 4242 & setsid sleep 4242 & echo done')).toEqual({ status: 0, stdout: 'done\n', stderr: '' })
})

test('a module that others use by now stays, and is named', () => {
  execFileSync('mkfifo', ['/tmp/held'])
  const holder = spawn('bash', ['-c', 'read </tmp/held; ip link add lab0 type ipip local 192.0.2.1 remote 192.0.2.2; echo >/tmp/held'])
  mkdirSync('/tmp/work')
  execFileSync('ln', ['/tmp/held', '/tmp/work/held'])
  const { status, stderr } = host('ip link add lab1 type ipip local 192.0.2.1 remote 192.0.2.2; echo >held; read <held', { cwd: '/tmp/work' })
  expect(stderr).toMatch(/^test\/lab\/run: these modules stay loaded, for they are in use: ipip\b.*\n$/)
  expect(status).toBe(0)
  holder.kill()
  execFileSync('bash', ['-ec', 'ip link delete lab0; sleep 1; modprobe -r ipip; rm -r /tmp/held /tmp/work'])
})

test('is killed after LAB_TIMEOUT seconds', () => {
  expect(host('echo started; trap "" TERM; sleep 4242', { env: { LAB_TIMEOUT: '5' } }))
    .toEqual({ status: 124, stdout: 'started\n', stderr: expect.stringMatching(/^test\/lab\/run: killed after LAB_TIMEOUT=5 seconds: bash -c/) as string })
})

test.each([
  ['SIGINT', 'trap "echo bye; exit 5" INT; echo ready; while :; do sleep 0.1; done', 5, 'ready\nbye\n'],
  ['SIGTERM', 'echo ready; sleep 4242', 143, 'ready\n'],
  ['SIGKILL', 'echo ready; sleep 4242', null, 'ready\n'],
] as const)('ends with %s', async (signal, script, code, expected) => {
  const child = spawn(run, ['bash', '-c', script], { env, stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    if (output === '') child.kill(signal)
    output += text
  })
  expect(await once(child, 'close')).toEqual([code, signal === 'SIGKILL' ? signal : null])
  expect(output).toBe(expected)
  for (let i = 0; i < 100 && modules().length > before.modules.length; i++) await sleep(100) // its guardian is at it
})

test('is not chosen by itself', () => {
  const { LAB: _, ...without } = env
  const { status, stderr } = spawnSync(run, ['true'], { env: { ...without, LAB_KERNEL: '/nonexistent' }, encoding: 'utf8' })
  expect(stderr).toContain('LAB_KERNEL=/nonexistent')
  expect(status).toBe(125)
  expect(existsSync('/proc/net/ip_vs')).toBe(false)
})

test('needs root', () => {
  expect(spawnSync('setpriv', ['--reuid=65534', '--clear-groups', run, 'true'], { env, encoding: 'utf8' }))
    .toMatchObject({ status: 125, stderr: 'test/lab/run: LAB=host needs root\n' })
})
