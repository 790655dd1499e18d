/** The operator's own tools, for comparison. */

import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** Runs a program with its arguments and returns what it printed. @throws where it fails */
export const run = (program: string, args: readonly string[], input?: string): string =>
  execFileSync(program, args, { encoding: 'utf8', input, stdio: ['pipe', 'pipe', 'pipe'], maxBuffer: 256 << 20 })

/** Where {@link asNobody} has Node. */
export const NODE = '/mnt/node'

/**
 * A command as a user without a name, after more options of setpriv. It begins in the project's directory. Where project
 * and Node lie, as in root's home, that user might not look: so both are mounted elsewhere, too.
 */
export const asNobody = (words: readonly string[]): [program: string, ...args: string[]] => [
  'unshare', '--mount', 'sh', '-euc', `
    mount -t tmpfs -o mode=755 nobody /mnt
    mkdir /mnt/project
    mount --bind "$1" /mnt/project
    touch ${NODE}
    mount --bind "$2" ${NODE}
    cd /mnt/project
    shift 2
    exec setpriv --reuid=65534 --regid=65534 --clear-groups "$@"`,
  'nobody', fileURLToPath(new URL('../..', import.meta.url)), process.execPath, ...words,
]

/** The real ipvsadm: `ipvsadm('-S -n')`. */
export const ipvsadm = (words: string, input?: string): string => run('ipvsadm', words.split(' ').filter(Boolean), input)
