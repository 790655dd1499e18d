/** A socket that the addon reads: events of the event loop bring the datagrams. */

import type { Callbacks, NativeSocket } from './addon.js'
import { Input } from './buffers.js'
import { errnoOf, NetlinkError } from './errors.js'
import { logger } from './log.js'
import type { KernelSocket, SocketListener } from './socket.js'
import { hex, wire } from './wire-log.js'

const debug = logger('ipvs-nl:netlink')

const SEND = 'netlink send', RECEIVE = 'netlink receive'
const EBADF = -9, EMSGSIZE = -90

/**
 * What the addon calls. The listener is called later, from the event loop: an error, or the end of
 * a worker thread, within a call by the addon would end the process.
 */
export function callbacksOf(listener: SocketListener): Callbacks {
  const later = (run: () => void): void => {
    setImmediate(() => { try { run() } catch (error) { debug('a listener threw: %o', error) } })
  }
  const fail = (errno: number, request: string, fatal = false): void => later(() => {
    debug('%s: errno %d', request, errno)
    listener.failed(new NetlinkError(errno, request), fatal)
  })
  return {
    received(datagram, { port, truncated }) {
      if (truncated !== undefined) fail(EMSGSIZE, RECEIVE)
      else later(() => {
        if (port !== 0) { debug('dropped a datagram from port %d, which is not the kernel', port); return }
        if (wire.enabled) wire('<- %s', hex(datagram))
        listener.datagram(new Input(datagram), datagram.length)
      })
    },
    failed(error) {
      const { syscall } = error as { syscall?: unknown }
      if (syscall === 'sendmsg') fail(errnoOf(error), SEND)
      // After an error of the poll, the addon closes the socket.
      else fail(errnoOf(error), RECEIVE, syscall !== 'recvmsg')
    },
  }
}

/** @throws Error of the addon, where the system refuses a port */
export function eventSocket(native: NativeSocket, { failed }: Callbacks): KernelSocket {
  // Of port 0, which an unbound socket has, the kernel makes a free one. Another process can occupy
  // the port that a caller would select.
  try { native.bind(native.address().port, 0) } catch (error) {
    native.close()
    throw error
  }
  native.unref()
  let closed = false
  return {
    receiveBuffer: native.getRecvBufferSize(),
    sendBuffer: native.getSendBufferSize(),
    send(datagram) {
      if (closed) throw new NetlinkError(EBADF, SEND)
      if (wire.enabled) wire('-> %s', hex(datagram))
      // The addon keeps the buffer until it has sent it.
      native.send(0, 0, Buffer.from(datagram), error => {
        if (error) failed(error)
      })
    },
    receive: () => false,
    ref() { if (!closed) native.ref() },
    unref() { if (!closed) native.unref() },
    close() {
      if (closed) return
      closed = true
      native.close()
    },
  }
}
