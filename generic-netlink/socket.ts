/** The seam between the conversation and the kernel: netlink sockets, and who listens to them. */

import type { Input } from './buffers.js'
import type { NetlinkError } from './errors.js'

/** A receiver. Neither method may throw: an error in the addon's callback aborts the process. */
export interface SocketListener {
  /** Takes a datagram from the kernel; it is valid until the return. */
  datagram(from: Input, length: number): void
  /** Takes an error: pending requests get no answer. A fatal error has closed the socket. */
  failed(error: NetlinkError, fatal: boolean): void
}

/** A netlink socket. Tests implement it with a kernel of their own. */
export interface KernelSocket {
  /** `SO_RCVBUF` and `SO_SNDBUF`, in bytes. */
  readonly receiveBuffer: number
  readonly sendBuffer: number
  /** Sends one datagram; the caller may reuse the bytes on return. @throws NetlinkError */
  send(datagram: Uint8Array): void
  /** Passes the next waiting datagram on; false where none waits, or only events bring them. */
  receive(): boolean
  /** Lets the socket keep the process alive. */
  ref(): void
  /** Lets the process end while the socket is open, as at first. */
  unref(): void
  /** Closes the socket. Closing again does nothing. */
  close(): void
}

/** Opens a socket of a netlink protocol. */
export interface OpenSocket {
  (protocol: number, listener: SocketListener): KernelSocket
  /**
   * The name of the network namespace in which the sockets speak: clients of one namespace share
   * what they know of it. @defaultValue that of the thread
   */
  readonly namespace?: string
}
