/** The operator's own tools, for comparison. */

import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { spawn } from './programs.js'

/** Runs a program with its arguments and returns what it printed. @throws where it fails */
export function run(program: string, args: readonly string[], input?: string): string {
  const { status, stdout, stderr } = spawn(program, args, input)
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${status}: ${stderr}`)
  return stdout
}

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

/** Loads IPv6, where the kernel has it as a module; it is built in since Linux 7.1. */
export const loadIPv6 = (): void => { if (!existsSync('/proc/net/if_inet6')) run('modprobe', ['ipv6']) }

/** The real ipvsadm: `ipvsadm('-S -n')`. */
export const ipvsadm = (words: string, input?: string): string => run('ipvsadm', words.split(' ').filter(Boolean), input)
