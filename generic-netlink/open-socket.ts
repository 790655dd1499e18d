/** Opens netlink sockets of the running kernel. */

import { loadAddon, type NativeSocket } from './addon.js'
import { descriptorSocket } from './descriptor-socket.js'
import { openWithDescriptor } from './descriptor.js'
import { NetlinkError, errnoOf } from './errors.js'
import { callbacksOf, eventSocket } from './event-socket.js'
import { logger } from './log.js'
import type { KernelSocket, SocketListener } from './socket.js'

const debug = logger('ipvs-nl:netlink')

/** Options of {@link openSocket}. */
export interface SocketOptions {
  /** Whether to look for the descriptor at all. @defaultValue true */
  descriptor?: boolean
}

/**
 * Opens a netlink socket.
 *
 * The addon's reader goes through the event loop, costs more than the work (the kernel answers
 * within the send), and aborts the process where the socket overruns or a worker thread is
 * terminated. So where the socket's descriptor can be found, the library writes and reads it, and
 * the addon watches nothing; elsewhere events bring the answers. Performance: the descriptor.
 *
 * A worker thread that ends, in whatever way, closes its sockets.
 * @throws NetlinkError where the system refuses a socket
 */
export function openSocket(
  protocol: number, listener: SocketListener, { descriptor = true }: SocketOptions = {},
): KernelSocket {
  const callbacks = callbacksOf(listener)
  try {
    const { NativeNetlink } = loadAddon()
    const open = (): NativeSocket => new NativeNetlink(protocol, 0, callbacks.received, callbacks.failed)
    const { native, fd } = descriptor ? openWithDescriptor(open) : { native: open(), fd: -1 }
    debug('socket of protocol %d, descriptor %d', protocol, fd)
    return fd < 0 ? eventSocket(native, callbacks) : descriptorSocket(native, fd, listener)
  } catch (cause) { throw new NetlinkError(errnoOf(cause), `netlink socket of protocol ${protocol}`, { cause }) }
}
