/** Modules of schedulers and persistence engines, found and loaded beside the event loop. */

import { spawn } from 'node:child_process'
import { access, readdir, readFile } from 'node:fs/promises'
import { release } from 'node:os'

/** What is known of a module; of one that is not `missing` the kernel itself decides. */
export type Presence = 'present' | 'missing' | 'slow' | 'unknown'

/** What this machine says of modules; a test has its own. */
export interface ModuleSystem {
  /** Whether a path exists. */
  exists(path: string): Promise<boolean>
  /** The text of a file; undefined where it cannot be read. */
  read(path: string): Promise<string | undefined>
  /** The names in a directory; none where it cannot be read. */
  list(path: string): Promise<readonly string[]>
  /** Runs a program. Resolves with its exit status, or the reason for none. */
  run(program: string, args: readonly string[], signal?: AbortSignal): Promise<number | 'slow' | 'unknown'>
}

/** The longest time for a modprobe, in milliseconds. */
const LONGEST = 10_000

/** This machine. */
export const thisSystem: ModuleSystem = {
  exists: path => access(path).then(() => true, () => false),
  read: path => readFile(path, 'utf8').catch(() => undefined),
  list: path => readdir(path).catch(() => []),
  run: (program, args, signal) => new Promise(resolve => {
    const child = spawn(program, args, {
      stdio: 'ignore', env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }, signal, timeout: LONGEST, killSignal: 'SIGKILL',
    })
    child.on('error', () => { resolve('unknown') })
    child.on('exit', status => { resolve(status ?? (signal?.aborted === true ? 'unknown' : 'slow')) })
  }),
}

/** The modules of Linux that use ip_vs; one of others may have a scheduler under any name. */
const KNOWN_USERS = /^(ip_vs_(rr|wrr|lc|wlc|fo|ovf|lblcr?|dh|sh|mh|sed|nq|twos|ftp|pe_sip)|xt_ipvs|nft_.*)$/

/** The modules that schedulers and engines need, each looked for once. */
export class Modules {
  readonly #system: ModuleSystem
  readonly #found = new Map<string, Promise<Presence>>()

  constructor(system = thisSystem) { this.#system = system }

  /**
   * Finds a module such as `ip_vs_rr`, and loads it where it is not there, as the kernel would,
   * but without holding the event loop. It is `missing` only where this is certain: not in a
   * container without modules, and not where a foreign module may have the scheduler.
   */
  find(name: string, signal?: AbortSignal): Promise<Presence> {
    const finding = this.#found.get(name) ?? this.#find(name, signal)
    this.#found.set(name, finding)
    return finding
  }

  async #find(name: string, signal?: AbortSignal): Promise<Presence> {
    const system = this.#system
    if (!/^[a-z0-9_]+$/.test(name)) return 'unknown'
    if (await system.exists(`/sys/module/${name}`)) return 'present'
    if (!await system.exists('/sys/module/ip_vs')) return 'unknown'
    const builtin = await system.read(`/lib/modules/${release()}/modules.builtin`)
    if (builtin?.includes(`/${name}.ko`)) return 'present'
    // The program that the kernel would call; it calls none where the name is empty.
    const program = (await system.read('/proc/sys/kernel/modprobe') ?? '/sbin/modprobe').trim()
    if (program === '') return 'unknown'
    const status = await system.run(program, ['-q', '--', name], signal)
    if (status === 0) return 'present'
    if (typeof status !== 'number') return status
    const users = await system.list('/sys/module/ip_vs/holders')
    if (users.some(user => !KNOWN_USERS.test(user))) return 'unknown'
    // A modprobe that knows ip_vs itself knows all modules of this kernel.
    const knows = async (module: string): Promise<boolean> =>
      await system.run(program, ['-n', '-q', '--', module], signal) === 0
    return await knows('ip_vs') && !await knows(name) && signal?.aborted !== true ? 'missing' : 'unknown'
  }
}
