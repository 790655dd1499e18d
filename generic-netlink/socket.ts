/**
 * The netlink socket, the only place that knows npm `netlink`.
 *
 * npm `netlink` opens the socket and watches it. Its own reading goes through the event loop, aborts
 * the process when the socket overruns, and costs more than the work (a netlink socket answers within
 * the send). So where the socket's descriptor can be found, it is written and read directly, and the
 * events only bring what is left; elsewhere they bring everything.
 *
 * @module
 */

import { randomInt } from 'node:crypto'
import fs from 'node:fs'
import { RawNetlinkSocket } from 'netlink/dist/raw.js' // the package's index loads every protocol's tables, 20 ms
import { Input, Output } from './buffers.js'
import { NetlinkError } from './errors.js'
import { logger } from './log.js'
import { eachMessage, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_NOOP, readVerdict, writeMessage, type Message } from './message.js'

const debug = logger('ipvs-nl:netlink')
const wire = logger('ipvs-nl:wire') // every byte
const { readdirSync, readFileSync, readlinkSync, readSync, writeSync } = fs // as they are now: nobody's later patch stands on the wire

/** Who hears what comes in. Neither may throw: a throw in the addon's callbacks would abort the process. */
export interface SocketListener {
  /** A datagram from the kernel, valid until the return. */
  datagram(from: Input, length: number): void
  /** Something was lost or broken: what was asked and not answered stays unanswered. `fatal` sockets are closed. */
  failed(error: NetlinkError, fatal: boolean): void
}

/** A netlink socket: the seam at which tests put a kernel of their own. */
export interface KernelSocket {
  /** `SO_RCVBUF` and `SO_SNDBUF`, in bytes. */
  readonly receiveBuffer: number
  readonly sendBuffer: number
  /** Sends one datagram; the bytes are the caller's again on return. @throws NetlinkError */
  send(datagram: Uint8Array): void
  /** Hands the next waiting datagram to the listener; false where none waits, or where only events can tell. */
  receive(): boolean
  /** Lets the socket keep the process alive. */
  ref(): void
  /** Lets the process end all the same, as it is at first. */
  unref(): void
  /** Closes it; again does nothing. */
  close(): void
}

/** Opens a socket of a netlink protocol. */
export type OpenSocket = (protocol: number, listener: SocketListener) => KernelSocket

/** Larger than any part of a dump (32 KB). Always the same, as the kernel sizes the next part by the largest buffer that it has seen. */
const READ_SIZE = 65536

/** Errors of the addon carry positive numbers, those of `node:fs` negative ones. */
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
export function openSocket(protocol: number, listener: SocketListener, { descriptor = true }: SocketOptions = {}): KernelSocket {
  let raw: RawNetlinkSocket
  try {
    // Port 0: the kernel picks a free one. The addon's own choice can be squatted by anyone.
    raw = new RawNetlinkSocket(protocol, { localPort: 0 } as ConstructorParameters<typeof RawNetlinkSocket>[1])
  } catch (cause) {
    throw new NetlinkError(errnoOf(cause), `netlink socket of protocol ${protocol}`, { cause })
  }
  raw.unref()

  let fd = -1
  let closed = false
  let input: Input | undefined

  /** Nothing thrown here may reach the addon. */
  const guarded = (run: () => void): void => {
    try { run() } catch (error) { debug('a listener threw: %o', error) }
  }
  const failed = (errno: number, what: string, fatal: boolean): void => {
    debug('%s: errno %d', what, errno)
    guarded(() => listener.failed(new NetlinkError(errno, what), fatal))
  }
  raw.on('message', (datagram, { port }) => guarded(() => {
    if (port !== 0) { debug('dropped a datagram from port %d: only the kernel is listened to', port); return }
    if (wire.enabled) wire('<- %s', hex(datagram))
    listener.datagram(new Input(datagram), datagram.length)
  }))
  raw.on('truncatedMessage', () => failed(-90, 'netlink receive', false)) // EMSGSIZE
  raw.on('error', error => {
    // Polling that failed closes the socket, and its number may be anybody's next.
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
        try { writeSync(fd, datagram) } catch (cause) { throw new NetlinkError(errnoOf(cause), 'netlink send', { cause }) }
      } else {
        // The addon keeps the buffer it is given until it is sent.
        raw.send(Buffer.from(datagram), undefined, error => { if (error) failed(errnoOf(error), 'netlink send', false) })
      }
    },
    receive() {
      if (fd < 0) return false
      input ??= new Input(new Uint8Array(READ_SIZE))
      let length: number
      try {
        length = readSync(fd, input.bytes)
      } catch (error) {
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
 * The descriptor of this process's netlink socket on `port`: its inode by /proc/net/netlink, then the one
 * link that points there, then a message to the kernel whose acknowledgement must name the port.
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
  if (!messages.some(m => m.type === NLMSG_ERROR && m.port === port && m.seq === seq && readVerdict(answer, m).errno === 0)) {
    throw new Error(`descriptor ${fd} did not answer for port ${port}`)
  }
  return fd
}

function linkOf(name: string): string {
  try { return readlinkSync(`/proc/self/fd/${name}`) } catch { return '' } // the directory's own descriptor is gone again
}

const hex = ({ buffer, byteOffset, length }: Uint8Array): string => Buffer.from(buffer, byteOffset, length).toString('hex')
