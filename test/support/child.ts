/** Runs a script in a Node process of its own, for what only shows from outside: a crash, or an end. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How a process ended. */
export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

const root = fileURLToPath(new URL('../../', import.meta.url))

const preamble = `
  import { Connection, FamilyClient, ipvs, NETLINK_GENERIC } from './dist/generic-netlink/index.js'
  import { openSocket } from './dist/generic-netlink/open-socket.js'
  const open = (protocol, listener) => openSocket(protocol, listener, { descriptor: process.env.MODE === 'descriptor' })
  const connect = options => new Connection(NETLINK_GENERIC, { openSocket: open, ...options })
`

/** Runs an ES module against the built library; it has `connect()`, which opens a connection of `mode`. */
export function child(
  mode: string, script: string, env: NodeJS.ProcessEnv = {}, [program, ...args]: readonly [string, ...string[]] = [process.execPath],
): Promise<Ended> {
  return new Promise(resolve => {
    const running = execFile(program, [...args, '--input-type=module', '-e', preamble + script], {
      cwd: root, timeout: 60_000, killSignal: 'SIGKILL', env: { PATH: process.env.PATH, ...env, MODE: mode },
    }, (_, stdout, stderr) => resolve({ code: running.exitCode, signal: running.signalCode, stdout, stderr }))
  })
}
