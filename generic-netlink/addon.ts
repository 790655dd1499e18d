/** The addon of npm `netlink`, which opens sockets that Node cannot open itself. */

import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname } from 'node:path'

/** A netlink socket of the addon. It watches the socket from `bind` on; until then, nothing. */
export interface NativeSocket {
  /** Takes the port, of which 0 is any free one, and passes datagrams on from then on. */
  bind(port: number, groups: number): void
  send(port: number, groups: number, datagram: Uint8Array, sent: (error?: Error) => void): void
  address(): { readonly port: number }
  getRecvBufferSize(): number
  getSendBufferSize(): number
  ref(): void
  unref(): void
  /** Closes the descriptor. */
  close(): void
}

/** What the addon calls for each datagram, and for each error. Neither may throw. */
export interface Callbacks {
  /** `truncated` is the size of a datagram that was larger than its buffer. */
  readonly received: (datagram: Uint8Array, from: { readonly port: number; readonly truncated?: number }) => void
  readonly failed: (error: Error) => void
}

interface Addon {
  /** @param buffer - its size in bytes; 0 asks for the size of each datagram first */
  readonly NativeNetlink: new(
    protocol: number, buffer: number, received: Callbacks['received'], failed: Callbacks['failed'],
  ) => NativeSocket
}

/** `RTLD_NODELETE` of `dlfcn.h`. */
const RTLD_NODELETE = 0x1000

let addon: Addon | undefined

/**
 * Loads the addon, for the rest of the process. Node unloads the addons of a worker thread that
 * ends, and then calls the addon's code once more, which closes handles. So the addon is loaded
 * by hand, such that it cannot be unloaded.
 */
export function loadAddon(): Addon {
  if (addon) return addon
  const require = createRequire(import.meta.url)
  const home = require.resolve('netlink/package.json')
  const { path: find } = createRequire(home)('node-gyp-build') as { path: (folder: string) => string }
  const loaded = { exports: {} }
  process.dlopen(loaded, find(dirname(home)), constants.dlopen.RTLD_LAZY | RTLD_NODELETE)
  return addon = loaded.exports as Addon
}
