/** A socket that is written and read by its descriptor, within the caller's turn. */

import fs from 'node:fs'
import type { NativeSocket } from './addon.js'
import { errnoOf, NetlinkError } from './errors.js'
import { logger } from './log.js'
import { giveBack, takeBuffer } from './read-buffer.js'
import type { KernelSocket, SocketListener } from './socket.js'
import { hex, wire } from './wire-log.js'

const debug = logger('ipvs-nl:netlink')
// The originals: a later patch of `fs` does not reach the wire.
const { readSync, writeSync } = fs

const EBADF = -9, EAGAIN = -11

/** Milliseconds between two looks for an answer that the kernel did not give within the send. */
const LATE = 1

export function descriptorSocket(native: NativeSocket, fd: number, listener: SocketListener): KernelSocket {
  let open = true
  /** Whether somebody waits for an answer. */
  let awaited = false
  let timer: NodeJS.Timeout | undefined

  function receive(): boolean {
    if (!open) return false
    const input = takeBuffer()
    try {
      let length: number
      try { length = readSync(fd, input.bytes) } catch (error) {
        const errno = errnoOf(error)
        if (errno === EAGAIN) lookAgain()
        else {
          debug('netlink receive: errno %d', errno)
          listener.failed(new NetlinkError(errno, 'netlink receive'), false)
        }
        return false
      }
      if (wire.enabled) wire('<- %s', hex(input.bytes.subarray(0, length)))
      try { listener.datagram(input, length) } catch (error) { debug('a listener threw: %o', error) }
      return true
    } finally { giveBack(input) }
  }

  function lookAgain(): void {
    if (!awaited) return
    timer ??= setTimeout(() => {
      timer = undefined
      receive()
    }, LATE)
  }

  return {
    receiveBuffer: native.getRecvBufferSize(),
    sendBuffer: native.getSendBufferSize(),
    send(datagram) {
      if (!open) throw new NetlinkError(EBADF, 'netlink send')
      if (wire.enabled) wire('-> %s', hex(datagram))
      try { writeSync(fd, datagram) } catch (cause) {
        throw new NetlinkError(errnoOf(cause), 'netlink send', { cause })
      }
    },
    receive,
    ref() { awaited = true },
    unref() {
      awaited = false
      clearTimeout(timer)
      timer = undefined
    },
    close() {
      if (!open) return
      open = awaited = false
      clearTimeout(timer)
      native.close()
    },
  }
}
