/** The files of sysctls: one key read, written, and exchanged for another value. */

import { constants } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { logger, type CallOptions } from '../../generic-netlink/core.js'
import { reasonFor, SysctlError } from './errors.js'
import type { Target } from './keys.js'
import { checkCount, sameText } from './values.js'

/** The log of sysctls. */
export const log = logger('ipvs-nl:sysctl')

/** The files below /proc/sys: the seam for tests. @internal */
export interface SysctlFiles {
  read(path: string): Promise<string>
  write(path: string, text: string): Promise<void>
  /** Permissions; undefined where there is no such file. */
  mode(path: string): Promise<number | undefined>
  /** The names in a directory; none where there is no such directory. */
  list(path: string): Promise<string[]>
}

/** The files of this process's network namespace. */
export const procfs: SysctlFiles = {
  async read(path) {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try { return await file.readFile('utf8') } finally { await file.close() }
  },
  async write(path, text) {
    const file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW)
    // One write: the kernel ignores text at another offset.
    try { await file.write(text) } finally { await file.close() }
  },
  mode: path => lstat(path).then(({ mode }) => mode & 0o777, () => undefined),
  list: path => readdir(path).catch(() => []),
}

async function explained(files: SysctlFiles, target: Target, error: unknown, text?: string): Promise<unknown> {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error
  const { name, path } = target
  const [mode, siblings] = await Promise.all([files.mode(path), files.list(path.slice(0, path.lastIndexOf('/')))])
  const [code, why] = reasonFor(error.code, target, text !== undefined, { mode, others: siblings.length > 0 })
  const what = text === undefined ? `read ${name}` : `set ${name} to ${JSON.stringify(text)}`
  return new SysctlError(code, name, `cannot ${what}: ${why} (${code})`, { cause: error })
}

/** Reads a key. Rejects with SysctlError. */
export async function read(files: SysctlFiles, target: Target, options?: CallOptions): Promise<string> {
  options?.signal?.throwIfAborted()
  try {
    const text = (await files.read(target.path)).replace(/\n$/, '')
    log('%s = %s', target.name, text)
    return text
  } catch (error) { throw await explained(files, target, error) }
}

/** Reads a key; undefined where it can only be written. Rejects with SysctlError. */
export async function readIfReadable(
  files: SysctlFiles, target: Target, options?: CallOptions,
): Promise<string | undefined> {
  try { return await read(files, target, options) } catch (error) {
    if (error instanceof SysctlError && error.code === 'EACCES') return undefined
    throw error
  }
}

async function write(files: SysctlFiles, target: Target, text: string, options?: CallOptions): Promise<void> {
  options?.signal?.throwIfAborted()
  log('%s := %s', target.name, text)
  // With its newline, as sysctl(8) writes: an empty text alone would change nothing.
  try { await files.write(target.path, `${text}\n`) } catch (error) {
    throw await explained(files, target, error, text)
  }
}

/**
 * Sets a key and checks the result. Rejects with SysctlError, or with SpecError where the key
 * holds another count of numbers.
 */
export async function exchange(files: SysctlFiles, target: Target, text: string, options?: CallOptions): Promise<void> {
  const before = await readIfReadable(files, target, options)
  if (before !== undefined) checkCount(target, text, before)
  await write(files, target, text, options)
  if (before === undefined) return
  const now = await read(files, target)
  if (sameText(target.row, text, now)) return
  const both = `was set to ${JSON.stringify(text)} and holds ${JSON.stringify(now)}`
  throw new SysctlError('ERR_SYSCTL_MISMATCH', target.name,
    `${target.name} ${both}: the kernel changed the value, or another process set it (ERR_SYSCTL_MISMATCH)`)
}
