/**
 * The netlink socket, the only user of npm `netlink`.
 *
 * npm `netlink` opens the socket and watches it. Its reader goes through the event loop, aborts
 * the process when the socket overruns, and costs more than the work (a netlink socket answers
 * within the send). So where the socket's descriptor can be found, this file writes and reads it
 * directly, and events bring only late datagrams; elsewhere events bring all datagrams.
 * Performance: the descriptor.
 */

import { randomInt } from 'node:crypto'
import fs from 'node:fs'
import { RawNetlinkSocket } from 'netlink/dist/raw.js' // the package's index loads every protocol's tables, 20 ms
import { Input, Output } from './buffers.js'
import { NetlinkError } from './errors.js'
import { logger } from './log.js'
import {
  eachMessage, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_NOOP, readVerdict, writeMessage, type Message,
} from './message.js'

const debug = logger('ipvs-nl:netlink')
const wire = logger('ipvs-nl:wire') // every byte
// The originals: a later patch of `fs` does not reach the wire.
const { readdirSync, readFileSync, readlinkSync, readSync, writeSync } = fs

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

/** Above a dump's parts (32 KB); constant: the kernel sizes parts by the largest buffer seen. */
const READ_SIZE = 65536

/** The negative errno: errors of the addon carry positive numbers, `node:fs` negative ones. */
const errnoOf = (error: unknown): number => {
  const { errno } = error as { errno?: unknown }
  return typeof errno === 'number' && errno !== 0 ? -Math.abs(errno) : -5 // EIO
}

const EAGAIN = -11

/** Options of {@link openSocket}. */
export interface SocketOptions {
  /** Whether to look for the descriptor at all. @defaultValue true */
  descriptor?: boolean
}

/** Opens a real netlink socket. @throws NetlinkError where the system refuses one */
export function openSocket(
  protocol: number, listener: SocketListener, { descriptor = true }: SocketOptions = {},
): KernelSocket {
  let raw: RawNetlinkSocket
  try {
    // Port 0: the kernel selects a free port. Another process can occupy the port that the addon
    // would select.
    raw = new RawNetlinkSocket(protocol, { localPort: 0 } as ConstructorParameters<typeof RawNetlinkSocket>[1])
  } catch (cause) { throw new NetlinkError(errnoOf(cause), `netlink socket of protocol ${protocol}`, { cause }) }
  raw.unref()

  let fd = -1
  let closed = false
  let input: Input | undefined

  /** Keeps errors away from the addon. */
  const guarded = (run: () => void): void => { try { run() } catch (error) { debug('a listener threw: %o', error) } }
  const failed = (errno: number, request: string, fatal: boolean): void => {
    debug('%s: errno %d', request, errno)
    guarded(() => listener.failed(new NetlinkError(errno, request), fatal))
  }
  raw.on('message', (datagram, { port }) => guarded(() => {
    if (port !== 0) { debug('dropped a datagram from port %d, which is not the kernel', port); return }
    if (wire.enabled) wire('<- %s', hex(datagram))
    listener.datagram(new Input(datagram), datagram.length)
  }))
  raw.on('truncatedMessage', () => failed(-90, 'netlink receive', false)) // EMSGSIZE
  raw.on('error', error => {
    // A poll error closes the socket, and the system may reuse the descriptor's number.
    const fatal = (error as { syscall?: unknown }).syscall !== 'recvmsg'
    if (fatal) fd = -1
    failed(errnoOf(error), 'netlink receive', fatal)
  })

  const port = raw.address().port
  if (descriptor) {
    try { fd = findDescriptor(protocol, port) } catch (error) { debug('no descriptor, events instead: %o', error) }
  }
  debug('socket of protocol %d on port %d, descriptor %d', protocol, port, fd)

  return {
    receiveBuffer: raw.getRecvBufferSize(),
    sendBuffer: raw.getSendBufferSize(),
    send(datagram) {
      if (closed) throw new NetlinkError(-9, 'netlink send') // EBADF
      if (wire.enabled) wire('-> %s', hex(datagram))
      if (fd >= 0) {
        try { writeSync(fd, datagram) } catch (cause) {
          throw new NetlinkError(errnoOf(cause), 'netlink send', { cause })
        }
      } else {
        // The addon keeps the buffer until it has sent it.
        raw.send(Buffer.from(datagram), undefined, error => {
          if (error) failed(errnoOf(error), 'netlink send', false)
        })
      }
    },
    receive() {
      if (fd < 0) return false
      input ??= new Input(new Uint8Array(READ_SIZE))
      let length: number
      try { length = readSync(fd, input.bytes) } catch (error) {
        const errno = errnoOf(error)
        if (errno !== EAGAIN) failed(errno, 'netlink receive', false)
        return false
      }
      if (wire.enabled) wire('<- %s', hex(input.bytes.subarray(0, length)))
      const from = input
      guarded(() => listener.datagram(from, length))
      return true
    },
    ref() { if (!closed) raw.ref() },
    unref() { if (!closed) raw.unref() },
    close() {
      if (closed) return
      closed = true
      fd = -1
      raw.close()
    },
  }
}

/**
 * Finds the descriptor of this process's netlink socket on `port`: /proc/net/netlink names its
 * inode, one link in /proc/self/fd points to the inode, and the acknowledgement of a no-op sent
 * there must name the port.
 */
function findDescriptor(protocol: number, port: number): number {
  const row = readFileSync('/proc/thread-self/net/netlink', 'latin1').split('\n').map(line => line.trim().split(/\s+/))
    .find(([, eth, pid]) => eth === String(protocol) && pid === String(port))
  const target = `socket:[${row?.at(-1) ?? ''}]`
  const fd = Number(readdirSync('/proc/self/fd').reverse().find(name => linkOf(name) === target) ?? -1)
  if (fd < 0) throw new Error(`no descriptor of this process is ${target}`)

  const probe = new Output()
  const seq = randomInt(0x1_0000_0000)
  writeMessage(probe, NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, seq, () => {})
  writeSync(fd, probe.finish())
  const answer = new Input(new Uint8Array(READ_SIZE))
  const length = readSync(fd, answer.bytes)
  const messages: Message[] = []
  eachMessage(answer, length, message => messages.push({ ...message }))
  const acknowledges = (message: Message): boolean => message.type === NLMSG_ERROR
    && message.port === port && message.seq === seq && readVerdict(answer, message).errno === 0
  if (!messages.some(acknowledges)) throw new Error(`descriptor ${fd} did not answer for port ${port}`)
  return fd
}

function linkOf(name: string): string {
  // The descriptor of the directory itself is closed by now.
  try { return readlinkSync(`/proc/self/fd/${name}`) } catch { return '' }
}

const hex = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('hex')
