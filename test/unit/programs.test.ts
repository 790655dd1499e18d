import { realpathSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { spawn } from '../support/programs.js'
import { run } from '../support/run.js'

describe('a program', () => {
  it('has its words, its input and this directory, and is told apart by what it prints and how it ends', () => {
    expect(spawn('sh', ['-c', 'cat; pwd; printf "<%s>" "$@"; echo wrong >&2; exit 7', 'sh', '', 'a b', 'two\nlines', '\'"$(x)\\', '-ä'], 'told\nthis')).toEqual({
      status: 7, stdout: `told\nthis${realpathSync(process.cwd())}\n<><a b><two\nlines><'"$(x)\\><-ä>`, stderr: 'wrong\n',
    })
  })

  it('has no input where none is given, also after one that had', () => {
    expect(spawn('cat', [], 'text').stdout).toBe('text')
    expect(spawn('cat', []).stdout).toBe('')
  })

  it('may print megabytes, and be ended by a signal', () => {
    expect(spawn('head', ['-c', '5000000', '/dev/zero']).stdout).toHaveLength(5_000_000)
    expect(spawn('sh', ['-c', 'kill -9 $$']).status).toBe(137)
  })

  it('that is not there is an error', () => {
    expect(() => spawn('no-such-program', [])).toThrow(/no-such-program: (command )?not found/)
  })
})

describe('run', () => {
  it('gives what was printed, and throws what went wrong', () => {
    expect(run('echo', ['hello'])).toBe('hello\n')
    expect(() => run('sh', ['-c', 'echo no luck >&2; exit 3'])).toThrow(/^sh -c .* ended with 3: no luck\n$/)
  })
})
