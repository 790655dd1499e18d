import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { beforeEach, describe, expect, it } from 'vitest'
import { ipvsadm } from '../../support/run.js'

const program = fileURLToPath(new URL('../../../dist/examples/restore.js', import.meta.url))

/** Runs the example with a file on its stdin. */
const restore = (rules: string, ...options: string[]): Promise<{ code: number | null; stdout: string[]; stderr: string }> => new Promise(resolve => {
  const child = execFile(process.execPath, [program, ...options], (_, stdout, stderr) => resolve({ code: child.exitCode, stdout: stdout.split('\n').filter(Boolean), stderr }))
  child.stdin!.end(rules)
})

const RULES = '-A -t 10.0.0.1:80 -s wlc\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n-a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 2\n'

beforeEach(() => {
  ipvsadm('-C')
  ipvsadm('-R', '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -m -w 1\n-A -t 10.0.0.9:80 -s rr\n-a -t 10.0.0.9:80 -r 10.1.0.9:80 -g -w 1\n')
})

describe('restore', () => {
  it('shows the plan and applies it; again there is nothing to do', async () => {
    const shown = ['~ ipvsadm -E -t 10.0.0.1:80 -s wlc', '+ ipvsadm -a -t 10.0.0.1:80 -r 10.1.0.2:80 -m -w 2']
    expect(await restore(RULES, '--dry-run')).toEqual({ code: 0, stdout: [...shown, '1 to add, 1 to change, 0 to remove'], stderr: '' })
    expect(ipvsadm('-S -n')).toContain('-s rr')
    expect((await restore(RULES)).stdout).toEqual([...shown, '1 to add, 1 to change, 0 to remove', '2 of 2 done'])
    expect((await restore(RULES)).stdout).toEqual(['nothing to do'])
    expect((await restore(RULES, '--prune', '-')).stderr).toContain('ENOENT')
    expect((await restore(RULES, '--prune')).stdout.at(-1)).toBe('1 of 1 done')
    expect(ipvsadm('-S -n')).toBe(RULES)
  })

  it('removes most of what is there by force alone, and says what is wrong with a file or with how it was asked', async () => {
    const held = await restore('', '--prune')
    expect([held.code, held.stderr]).toEqual([1, 'the plan would remove 2 of the 2 real servers that it owns, all of them; plan with force: true to allow that\n'])
    expect((await restore('', '--prune', '--force')).code).toBe(0)
    expect(ipvsadm('-S -n')).toBe('')
    expect(await restore('-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.1.0.1:80 -w many\n')).toMatchObject({ code: 1, stderr: expect.stringMatching(/^line 2, column \d+: "many": /) as string })
    expect(await restore('', '--purge')).toMatchObject({ code: 2, stderr: expect.stringContaining('usage: restore') as string })
  })
})
