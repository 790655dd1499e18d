/** Running other programs: with a time limit, and an error that says which. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { patience } from './patience.js'

/** What a program has printed, and how it ended. */
export interface Output { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** What a program is given. */
export interface RunOptions {
  /** What it reads from stdin. */
  readonly input?: string
  /** Kills it. */
  readonly signal?: AbortSignal
}

/** The time for a program that is to end, and for one to be ready, in milliseconds. */
export const LIMIT = patience(30_000)

/** Starts a program in a session of its own: a Ctrl-C is for this one, which ends the others. */
export function launch(
  command: readonly string[], { input, signal }: RunOptions = {},
): { child: ChildProcess; output: Output; ended: Promise<unknown> } {
  const child = spawn(command[0]!, command.slice(1), { signal, killSignal: 'SIGKILL', detached: true })
  const output = { stdout: '', stderr: '', get code() { return child.exitCode } }
  for (const stream of ['stdout', 'stderr'] as const) {
    child[stream].setEncoding('utf8').on('data', (text: string) => { output[stream] += text })
  }
  child.stdin.on('error', () => undefined) // one that ended early tells why by its exit
  child.stdin.end(input)
  return { child, output, ended: once(child, 'close') }
}

/** Runs a program to its end, however it ends. */
export async function execute(command: readonly string[], { input, signal }: RunOptions = {}): Promise<Output> {
  const limit = AbortSignal.timeout(LIMIT)
  try {
    const { output, ended } = launch(command, {
      ...input !== undefined && { input }, signal: signal ? AbortSignal.any([signal, limit]) : limit,
    })
    await ended
    return output
  } catch (error) {
    signal?.throwIfAborted()
    const why = limit.aborted ? `not done within ${LIMIT / 1000} s` : (error as Error).message
    throw new Error(`${command.join(' ')}: ${why}`, { cause: error })
  }
}

/** Runs a program that has to succeed. */
export async function succeed(command: readonly string[], options?: RunOptions): Promise<Output> {
  const output = await execute(command, options)
  if (output.code !== 0) {
    throw new Error(`${command.join(' ')}: ${output.stderr.trim() || `exit status ${output.code}`}`)
  }
  return output
}
