/** What the kernel says of IPVS beside netlink: text files below /proc/net, of the network namespace that the process runs in. */

import { open, readFile } from 'node:fs/promises'
import type { CallOptions } from '../../generic-netlink/index.js'

const pathOf = (name: string): string => `/proc/net/${name}`

/** Node's own error, in a sentence that says what to do. */
function explained(name: string, error: unknown): unknown {
  if (error instanceof Error && (error as NodeJS.ErrnoException).code === 'ENOENT') {
    error.message = `cannot read ${pathOf(name)}: it is not there; the kernel's module ip_vs is not loaded (modprobe ip_vs, or open a Director) (ENOENT)`
  }
  return error
}

/** A file as a whole. Rejects with `ENOENT` where there is none. */
export async function readProcNet(name: string, { signal }: CallOptions = {}): Promise<string> {
  signal?.throwIfAborted()
  try {
    return await readFile(pathOf(name), 'latin1')
  } catch (error) {
    throw explained(name, error)
  }
}

/** The most that one read asks for. Of a list the kernel gives a page (4 KB) at a time, whatever it is asked for. */
const STEP = 65536

/** A file piece by piece. Rejects with `ENOENT` where there is none. */
export async function* streamProcNet(name: string, { signal }: CallOptions = {}): AsyncGenerator<string, void, undefined> {
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
