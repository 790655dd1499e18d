/** The script that starts the demo: what it runs, what it says meanwhile, and how it ends. */

import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const script = fileURLToPath(new URL('../../../examples/dns-over-ipip/run', import.meta.url))
let home: string

/** A clone that has the script alone, and other programs in place of those that it runs. */
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'demo-'))
  put('test/lab/install', 'echo "install $*" >>ran')
  put('node_modules/.bin/rolldown', 'echo "rolldown $*" >>ran')
  put('node_modules/.bin/tsc', 'echo "tsc $*" >>ran')
  put('test/lab/run', 'echo "run $*" >>ran; echo first; echo second; echo problem >&2; exit 3')
  mkdirSync(join(home, 'examples/dns-over-ipip'), { recursive: true })
  cpSync(script, join(home, 'examples/dns-over-ipip/run'))
})
afterEach(() => rmSync(home, { recursive: true, force: true }))

function put(name: string, text: string): void {
  mkdirSync(dirname(join(home, name)), { recursive: true })
  writeFileSync(join(home, name), `#!/bin/bash\n${text}\n`, { mode: 0o755 })
}

interface Circumstances { readonly columns?: number; readonly env?: Record<string, string>; readonly signal?: [signal: NodeJS.Signals, text: string, wait?: number] }
interface Ended { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** Runs the script into a pipe, or on a terminal so wide; sends the signal once it has printed the text, and milliseconds passed. */
async function run(args: readonly string[] = [], { columns, env = {}, signal }: Circumstances = {}): Promise<Ended> {
  const program = join(home, 'examples/dns-over-ipip/run')
  const command = columns === undefined ? [program, ...args] : ['script', '-qec', `stty rows 24 cols ${columns}; ${[program, ...args].join(' ')}`, '/dev/null']
  const child = spawn(command[0]!, command.slice(1), { env: { ...process.env, TERM: 'xterm', NO_COLOR: '', ...env }, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  let stdout = '', stderr = ''
  child.stderr.on('data', (text: Buffer) => { stderr += String(text) })
  child.stdout.on('data', (text: Buffer) => {
    stdout += String(text)
    if (signal === undefined || !stdout.includes(signal[1])) return
    const [name, , wait = 0] = signal
    signal = undefined
    setTimeout(() => process.kill(name === 'SIGINT' ? -child.pid! : child.pid!, name), wait) // a Ctrl-C is for the whole group
  })
  await new Promise(resolve => child.on('close', resolve))
  return { code: child.exitCode, stdout, stderr }
}

/** The programs that ran, with their arguments. */
const ran = (): string[] => readFileSync(join(home, 'ran'), 'utf8').trimEnd().split('\n')
const times = (text: string): string => text.replace(/\d+\.\d s/g, 'N s')

describe('in a pipe', () => {
  it('installs, builds and runs the demo with its arguments, in plain lines', async () => {
    const { code, stdout, stderr } = await run(['--verbose', 'detour'])
    expect(times(stdout)).toBe('ipvs-nl balances DNS over two servers, in a Linux kernel of its own\n'
      + '* packages (N s)\n* build (N s)\n* a Linux kernel boots (N s)\nfirst\nsecond\n')
    expect(stderr).toBe('problem\n')
    expect(code).toBe(3)
    expect(ran()).toEqual(['install demo', 'rolldown -c', 'tsc -p tsconfig.demo.json', 'run node dist/examples/dns-over-ipip/demo.js --verbose detour'])
  })

  it('says something every five seconds', async () => {
    put('test/lab/install', 'echo installing unbound >&2; sleep 4.6')
    put('test/lab/run', 'sleep 4.6; echo first')
    const { code, stdout } = await run()
    expect(code).toBe(0)
    expect(stdout).toContain('  after 4 s still: packages: installing unbound\n')
    expect(stdout).toContain('  after 4 s still: a Linux kernel boots\n')
  }, 60_000)

  it('shows what a part says that fails, and runs no more', async () => {
    put('test/lab/install', 'echo "packages are missing. Run:" >&2; exit 1')
    const { code, stdout, stderr } = await run()
    expect([code, stderr]).toEqual([1, 'packages are missing. Run:\n'])
    expect(stdout.split('\n')).toHaveLength(2)
  })

  it('names npm ci where it has not run', async () => {
    rmSync(join(home, 'node_modules'), { recursive: true })
    const { code, stderr } = await run()
    expect([code, stderr]).toEqual([1, 'examples/dns-over-ipip/run: run npm ci first\n'])
  })

  it('keeps the words of a kernel that does not boot', async () => {
    put('test/lab/run', 'echo "test/lab/run: the kernel did not boot" >&2; exit 125')
    const { code, stdout, stderr } = await run()
    expect([code, stderr]).toEqual([125, 'test/lab/run: the kernel did not boot\n'])
    expect(stdout).not.toContain('boots')
  })
})

describe('on a terminal', () => {
  it('has a spinner, which the first line of the demo ends; the demo is told how wide the terminal is', async () => {
    put('test/lab/install', 'echo installing something that has a name so long that it fills a line; sleep 0.5')
    put('test/lab/run', 'echo $TERMINAL_COLUMNS; [[ -t 1 ]] || echo a pipe; echo problem >&2')
    const { code, stdout } = await run([], { columns: 60 })
    expect(code).toBe(0)
    const frames = stdout.split('\r\x1b[K').filter(frame => /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.test(frame)).map(frame => frame.replace(/\x1b\[\d+m/g, ''))
    expect(frames.length).toBeGreaterThan(3)
    expect(frames.some(frame => frame.includes('packages: installing something'))).toBe(true)
    for (const frame of frames) expect(frame.length).toBeLessThan(60)
    const lines = stdout.split('\r\n').map(line => times(line.split('\r\x1b[K').at(-1)!))
    expect(lines.slice(1)).toEqual([...['packages', 'build', 'a Linux kernel boots'].map(what => `\x1b[32m✓\x1b[0m ${what} (N s)`), '60', 'a pipe', 'problem', ''])
  })

  it('has no colours where NO_COLOR is set', async () => {
    const { stdout } = await run([], { columns: 60, env: { NO_COLOR: '1' } })
    expect(stdout).not.toContain('\x1b[32m')
    expect(stdout).toContain('✓ build')
  })

  it('that is dumb, is as a pipe', async () => {
    const { stdout } = await run([], { columns: 60, env: { TERM: 'dumb' } })
    expect(stdout).not.toContain('\x1b')
  })
})

describe('a signal', () => {
  it.each<[NodeJS.Signals, number]>([['SIGINT', 130], ['SIGTERM', 143]])('%s ends the demo in its own way', async (signal, status) => {
    put('test/lab/run', `trap 'echo ended by itself; exit ${status}' INT TERM; echo first; for i in {1..100}; do sleep 0.1; done`)
    const { code, stdout } = await run([], { signal: [signal, 'first'] })
    expect(stdout).toContain('ended by itself')
    expect(code).toBe(status)
  })

  it('during the build ends it', async () => {
    put('node_modules/.bin/tsc', 'exec sleep 60')
    const start = performance.now()
    const { code } = await run([], { signal: ['SIGINT', 'packages ('] })
    expect(code).toBe(130)
    expect(performance.now() - start).toBeLessThan(20_000)
  })

  it('ends a part, too, that does not take it yet', async () => {
    put('node_modules/.bin/tsc', 'exec sleep 60')
    put('bin/env', 'trap "" INT; sleep 0.5; exec /usr/bin/env "$@"')
    const { code } = await run([], { env: { PATH: `${home}/bin:${process.env.PATH}` }, signal: ['SIGINT', 'packages (', 200] })
    expect(code).toBe(130)
    expect(ran()).toEqual(['install demo', 'rolldown -c'])
  }, 20_000)
})
