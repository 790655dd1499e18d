/** The operator's own tools, for comparison. */

import { execFileSync } from 'node:child_process'

/** Runs a program with its arguments and returns what it printed. @throws where it fails */
export const run = (program: string, args: readonly string[], input?: string): string =>
  execFileSync(program, args, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 256 << 20 })

/** The real ipvsadm: `ipvsadm('-S -n')`. */
export const ipvsadm = (words: string, input?: string): string => run('ipvsadm', words.split(' ').filter(Boolean), input)
