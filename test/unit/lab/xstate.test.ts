import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { lab, mounted } from '../../support/lab.js'

const here = import.meta.dirname
const directory = mkdtempSync('/var/tmp/lab-xstate-')
afterAll(() => rmSync(directory, { recursive: true }))

const writer = join(directory, 'writer')
execFileSync('gcc', ['-Wall', '-Wextra', '-Werror', '-O2', '-o', writer, join(here, '../../support/xstate.c')])

// One that gcc builds as on a machine without any header, and tcc where it is at hand.
const compilers = ['gcc', 'tcc'].filter(name => (process.env.PATH ?? '').split(':').some(path => existsSync(join(path, name))))

describe.each(compilers)('the library as %s builds it', compiler => {
  const library = join(directory, `${compiler}.so`)
  execFileSync(compiler, ['-nostdinc', '-Wall', '-Werror', '-O2', '-nostdlib', '-shared', '-fPIC', '-o', library, join(here, '../../lab/xstate.c')])
  const write = (length: number, preload?: string) => execFileSync(writer, [String(length)], {
    encoding: 'utf8', env: { ...process.env, ...preload && { LD_PRELOAD: preload } },
  })

  // The header alone; with it some of AVX. Every processor with AVX has more than that.
  test.each([576, 640])('completes a write of %d bytes, which the host refuses', length => {
    expect(write(length)).toBe('refused: Bad address\n')
    expect(write(length, library)).toBe(`written; of ${length} bytes of more; tiles unused; xmm kept; ymm kept\n`)
  })

  test('leaves alone what is too short for a header, or longer than all', () => {
    for (const length of [100, 60_000]) {
      const refused = write(length)
      expect(refused).toMatch(/^refused: /)
      expect(write(length, library)).toBe(refused)
    }
  })
})

/** A kernel of that version, which says what is preloaded and ends. */
function kernel(version: string) {
  const path = join(directory, `linux-${version}`)
  writeFileSync(path, `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else echo "preloaded: <$LD_PRELOAD>"; fi\n`)
  chmodSync(path, 0o755)
  mkdirSync(join(directory, 'modules'), { recursive: true })
  writeFileSync(join(directory, 'modules/modules.dep'), '')
  return { LAB_KERNEL: path, LAB_MODULES: join(directory, 'modules') }
}

const cpuinfo = (flags: string) => {
  writeFileSync(join(directory, 'cpuinfo'), `flags\t\t: fpu ${flags} sse\n`)
  return mounted(`mount --bind ${directory}/cpuinfo /proc/cpuinfo`)
}

describe('the library is preloaded', () => {
  test.each([
    ['amx_bf16 amx_tile amx_int8', '6.13.9', '', /<\/[^:>]*\/xstate.so>/],
    ['amx_tile', '5.10', '', /<\/[^:>]*\/xstate.so>/],
    ['amx_tile', '6.14.0', '', /<>/],
    ['amx_tile', '7.2.1', '', /<>/],
    ['amx_tile', '6.1.0', '0', /<>/],
    ['avx512f', '6.1.0', '', /<>/],
    ['avx512f', '6.14.0', '1', /<\/[^:>]*\/xstate.so>/],
  ])('with processor %s, kernel %s, LAB_XSTATE=%j: %s', (flags, version, forced, library) => {
    const { status, stderr } = lab(['true'], { env: { ...kernel(version), LAB_XSTATE: forced, LD_PRELOAD: undefined }, through: cpuinfo(flags) })
    expect(stderr).toMatch(new RegExp(`\\npreloaded: ${library.source}\\n`))
    expect(status).toBe(125)
  })

  test('beside what is preloaded already', () => {
    const { stderr } = lab(['true'], { env: { ...kernel('6.1'), LAB_XSTATE: '1', LD_PRELOAD: 'libm.so.6' } })
    expect(stderr).toMatch(/\npreloaded: <\/[^:>]*\/xstate.so:libm.so.6>\n/)
  })

  test('for the kernel alone: nothing inside has it', { timeout: 180_000 }, () => {
    const script = 'cat /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n" | grep -a ^LD_; cat /proc/[0-9]*/maps 2>/dev/null | grep -c xstate; ls /run/lab/state/*.so'
    expect(lab(['bash', '-c', script], { env: { LAB_XSTATE: '1', LD_PRELOAD: undefined } })).toEqual({ status: 0, stdout: '0\n/run/lab/state/xstate.so\n', stderr: '' })
  })
})

test('vector registers outlive context switches with the library, too', { timeout: 180_000 }, () => {
  const program = join(directory, 'registers')
  execFileSync('gcc', ['-O1', '-pthread', '-o', program, join(here, '../../support/registers.c')])
  const outside = execFileSync(program, ['2', '3', '100'], { encoding: 'utf8' })
  expect(outside).toMatch(/: kept in 6 threads\n$/)
  expect(lab([program, '2', '3', '100'], { env: { LAB_XSTATE: '1' } })).toEqual({ status: 0, stdout: outside, stderr: '' })
})

test('without a compiler, a sentence', () => {
  const bin = join(directory, 'bin')
  mkdirSync(bin)
  for (const path of (process.env.PATH ?? '').split(':').filter(path => existsSync(path))) {
    for (const name of readdirSync(path)) if (!/^(gcc|tcc|cc)$/.test(name) && !existsSync(join(bin, name))) symlinkSync(join(path, name), join(bin, name))
  }
  const { status, stdout, stderr } = lab(['true'], { env: { ...kernel('6.1'), LAB_XSTATE: '1' }, through: ['env', `PATH=${bin}`] })
  expect(stderr).toBe('test/lab/run: on a processor with AMX the kernel 6.1 needs a small library, and no C compiler is here to build it: '
    + 'install gcc or tcc, or choose LAB_KERNEL from 6.14 on\n')
  expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
})

test('LAB_XSTATE is 0 or 1', () => {
  expect(lab(['true'], { env: { LAB_XSTATE: 'yes' } }).stderr).toBe('test/lab/run: LAB_XSTATE=yes is neither 0 nor 1\n')
})
