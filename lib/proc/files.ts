/** The kernel's text files about IPVS in /proc/net, in the network namespace of the process. */

import { open, readFile } from 'node:fs/promises'
import type { CallOptions } from '../../generic-netlink/core.js'
import { callOptions } from '../base/check.js'

const pathOf = (name: string): string => `/proc/net/${name}`

/** Adds the remedy to Node's own error. */
function explained(name: string, error: unknown): unknown {
  if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT') {
    error.message = `cannot read ${pathOf(name)}: the kernel's module ip_vs is not loaded; `
      + 'run modprobe ip_vs, or open a Director (ENOENT)'
  }
  return error
}

/** Reads a whole file. Rejects with `ENOENT` where there is none. */
export async function readProcNet(name: string, options?: CallOptions): Promise<string> {
  const { signal } = callOptions(options)
  signal?.throwIfAborted()
  try { return await readFile(pathOf(name), 'latin1') } catch (error) { throw explained(name, error) }
}

/** The size of a read. The kernel returns a page (4 KB) of a list at a time, whatever the size. */
const STEP = 65536

/** Yields a file piece by piece. Rejects with `ENOENT` where there is none. */
export async function* streamProcNet(
  name: string, { signal }: CallOptions = {},
): AsyncGenerator<string, void, undefined> {
  signal?.throwIfAborted()
  const file = await open(pathOf(name)).catch((error: unknown) => { throw explained(name, error) })
  try {
    const buffer = Buffer.allocUnsafe(STEP)
    for (;;) {
      const { bytesRead } = await file.read(buffer, 0, STEP, null)
      signal?.throwIfAborted()
      if (bytesRead === 0) return
      yield buffer.toString('latin1', 0, bytesRead)
    }
  } finally {
    await file.close()
  }
}
