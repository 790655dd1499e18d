/**
 * An example, from the first line that it prints to its exit status: sets its hosts up, has them
 * configured, makes a mistake where it is told to, observes, and removes all again, also on Ctrl-C.
 *
 *     node NAME.js [OPTION…] [MISTAKE]
 *
 * Exits with 0 where all is as it should be, with 1 where it is not, saying why.
 */

import { constants, release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Hosts, type HostSpec } from './hosts.js'
import { print, step } from './print.js'
import { limit } from './terminal.js'

/** What an example consists of. */
export interface Example<T> {
  /** Where it is: `import.meta.url`. */
  readonly file: string
  /** What its other files take from the command line, such as `--verbose`. */
  readonly options?: readonly string[]
  /** No line is longer, on no terminal. */
  readonly width?: number
  /** What it says above the picture, before the kernel's version. @defaultValue `'TOPOLOGY'` */
  readonly title?: string
  /** Hosts and networks, drawn. */
  readonly picture: string
  readonly hosts: readonly HostSpec[]
  /** What runs on the hosts, in processes of their own: `node NAME.js --as ROLE ARGUMENTS`. */
  readonly roles?: Readonly<Record<string, (...args: string[]) => Promise<unknown>>>
  /** Mistakes that people make, to see that they are found. */
  readonly mistakes: Readonly<Record<string, (hosts: Hosts) => Promise<unknown>>>
  /** Has the hosts configured. */
  configure(hosts: Hosts): Promise<T>
  /** Looks whether it works. Returns why it does not, a sentence each. */
  observe(hosts: Hosts, configured: T): Promise<string[]>
  /** What tells, on each host, what is wrong with it: asked where it does not work. */
  readonly diagnosis?: Readonly<Record<string, readonly string[]>>
  /** What was seen, if all is well. */
  readonly conclusion: string
}

/** Runs an example, or the part of it that this process is asked for. */
export async function run<T>(example: Example<T>): Promise<void> {
  const [first, ...rest] = process.argv.slice(2).filter(argument => !example.options?.includes(argument))
  if (first === '--as') {
    await example.roles![rest[0]!]!(...rest.slice(1))
    return
  }
  if (first !== undefined && !(first in example.mistakes)) {
    const known = [...Object.keys(example.mistakes), ...example.options ?? []]
    console.error(`There is no mistake ${first}; there are ${known.join(', ')}.`)
    process.exitCode = 2
    return
  }

  if (example.width !== undefined) limit(example.width)

  const interrupted = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      process.exitCode = 128 + constants.signals[signal]
      interrupted.abort(new Error(`ended by ${signal}`))
    })
  }

  const start = performance.now()
  try {
    const reasons = await perform(example, first, interrupted.signal)
    const seconds = ((performance.now() - start) / 1000).toFixed(0)
    if (reasons.length === 0) {
      print(`DONE in ${seconds} s`, example.conclusion)
    } else {
      print(`FAILED after ${seconds} s`, reasons.map(reason => `- ${reason}`).join('\n'))
      process.exitCode = 1
    }
  } catch (error) {
    print('FAILED', `- ${(error as Error).message}`)
    process.exitCode ??= 1
  }
}

async function perform<T>(example: Example<T>, mistake: string | undefined, signal: AbortSignal): Promise<string[]> {
  print(`${example.title ?? 'TOPOLOGY'}, on Linux ${release()}`, example.picture)
  const names = example.hosts.map(({ name }) => name).join(', ')
  await using hosts = await step(`the hosts ${names}`, () => Hosts.up(example.hosts, signal))
  const configured = await example.configure(hosts)
  if (mistake !== undefined) await step(`mistake on purpose: ${mistake}`, () => example.mistakes[mistake]!(hosts))
  const reasons = await example.observe(hosts, configured)
  if (reasons.length > 0 && example.diagnosis !== undefined) {
    print('DIAGNOSED, by ipvs-nl on each host')
    const outputs = await Promise.all(Object.entries(example.diagnosis).map(async ([host, command]) =>
      ({ host, ...await hosts.run(host, command) })))
    for (const { host, stdout, stderr } of outputs) {
      print('', `${host}: ${stdout.trim() || stderr.trim() || 'nothing found'}`)
    }
  }
  return reasons
}

/** The command of an example's script: a path below this folder's parent, without its ending. */
export const script = (name: string, ...args: string[]): string[] =>
  [process.execPath, fileURLToPath(new URL(`../${name}.js`, import.meta.url)), ...args]

/** The command that runs one of an example's roles. */
export const role = (file: string, name: string, ...args: string[]): string[] =>
  [process.execPath, fileURLToPath(file), '--as', name, ...args]
