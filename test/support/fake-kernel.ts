/** A kernel in memory, at the seam of generic-netlink/socket.ts: netlink's envelope by hand, the controller, IPVS, and every way to misbehave. */

import { controller } from '../../generic-netlink/controller.js'
import { Input } from '../../generic-netlink/buffers.js'
import { NetlinkError } from '../../generic-netlink/errors.js'
import { ipvs } from '../../generic-netlink/families/ipvs.js'
import type { KernelSocket, OpenSocket, SocketListener } from '../../generic-netlink/socket.js'
import { attributesOf, errnos, FakeIpvs, Refused } from './fake-ipvs.js'

const NOOP = 1, ERROR = 2, DONE = 3, CONTROLLER = 16
const F_MULTI = 0x2, F_ACK = 0x4, F_DUMP_INTR = 0x10, F_CAPPED = 0x100, F_DUMP = 0x300

/** What goes wrong. Counts say how often it still does. */
export interface Misbehaviour {
  /** Answers come by events in later turns, and `receive` knows nothing. */
  events: boolean
  /** Milliseconds until an event. */
  delay: number
  /** The errno, positive, in the DONE of dumps. */
  dumpErrno: number
  /** Dumps that call themselves inconsistent. */
  interrupted: number
  /** Datagrams that lose their second half. */
  cut: number
  /** Sends whose answers are lost to an overrun. */
  overrun: number
  /** Sends whose answers fill the buffer: it reports an overrun, and until they are read loses all others. */
  overflow: number
  /** Dumps that are refused, as the socket still carries another one. */
  busy: number
  /** Before each answer come datagrams that make no sense. */
  garbage: boolean
  /** Sends that are never answered. */
  silent: number
  /** Sends that fail, with EBADF. */
  unsendable: number
  /** Before each answer comes "done" for sequence numbers that nobody used. */
  forged: boolean
  /** Without CAP_NET_ADMIN. */
  unprivileged: boolean
  /** The kernel knows no IPVS. */
  absent: boolean
  /** Called with each datagram, before it is worked through. */
  onSend: (datagram: Buffer) => void
}

interface Open { readonly listener: SocketListener; readonly waiting: Buffer[]; readonly port: number; referenced: boolean; closed: boolean; full: boolean }

let kernels = 0

export class FakeKernel {
  ipvs = new FakeIpvs()
  familyId = 28

  readonly wrong: Misbehaviour = {
    events: false, delay: 0, dumpErrno: 0, interrupted: 0, cut: 0,
    overrun: 0, overflow: 0, busy: 0, garbage: false, silent: 0, unsendable: 0, forged: false, unprivileged: false, absent: false, onSend: () => {},
  }

  readonly sockets: Open[] = []

  /** Rows in one datagram of a dump. */
  rowsPerPart = 7

  /** As after `rmmod ip_vs`: another id, and an empty table. */
  reload(): void {
    this.familyId++
    this.ipvs = new FakeIpvs()
  }

  readonly open: OpenSocket = Object.assign((_: number, listener: SocketListener): KernelSocket => {
    const socket: Open = { listener, waiting: [], port: 1000 + this.sockets.length, referenced: false, closed: false, full: false }
    this.sockets.push(socket)
    return {
      receiveBuffer: 212992,
      sendBuffer: 212992,
      send: datagram => this.#send(socket, Buffer.from(datagram)),
      receive: () => !this.wrong.events && !socket.closed && this.#deliver(socket),
      ref: () => { socket.referenced = true },
      unref: () => { socket.referenced = false },
      close: () => { socket.closed = true },
    }
  }, { namespace: `fake ${++kernels}` })

  #deliver(socket: Open): boolean {
    const datagram = socket.waiting.shift()
    if (!datagram || socket.closed) return false
    const fresh = new Uint8Array(Math.max(datagram.length, 64)).fill(0xee) // what lies behind the datagram is nobody's
    fresh.set(datagram)
    socket.listener.datagram(new Input(fresh), datagram.length)
    fresh.fill(0xdd)
    return true
  }

  #send(socket: Open, datagram: Buffer): void {
    if (socket.closed || this.wrong.unsendable-- > 0) throw new NetlinkError(-9, 'netlink send')
    this.wrong.onSend(datagram)
    const answers = this.#work(datagram, socket.port)
    if (this.wrong.silent-- > 0) return
    if (socket.full && socket.waiting.length > 0) return
    socket.full = this.wrong.overflow-- > 0
    if (socket.full) {
      socket.waiting.push(...answers)
      socket.listener.failed(new NetlinkError(-105, 'netlink receive'), false)
      return
    }
    if (this.wrong.overrun-- > 0) {
      const fail = (): void => socket.listener.failed(new NetlinkError(-105, 'netlink receive'), false)
      if (this.wrong.events) setImmediate(fail)
      else fail()
      return
    }
    for (const answer of this.wrong.garbage ? answers.flatMap(answer => [...GARBAGE, answer]) : answers) {
      socket.waiting.push(this.wrong.cut-- > 0 ? answer.subarray(0, answer.length / 2) : answer)
      if (this.wrong.events) setTimeout(() => this.#deliver(socket), this.wrong.delay)
    }
  }

  /** The datagrams that answer one. */
  #work(datagram: Buffer, port: number): Buffer[] {
    const out: Buffer[] = []
    for (let at = 0; at + 16 <= datagram.length;) {
      const length = datagram.readUInt32LE(at)
      if (length < 16 || at + length > datagram.length) break // the kernel says nothing of the rest
      out.push(...this.#answer(datagram.subarray(at, at + length), port))
      at += length + 3 & ~3
    }
    return out
  }

  #answer(request: Buffer, port: number): Buffer[] {
    const [type, flags, seq] = [request.readUInt16LE(4), request.readUInt16LE(6), request.readUInt32LE(8)]
    const forgeries = this.wrong.forged ? [1000, 0x7fffffff, 0x80000000, 0xffff0000].map(away => message(ERROR, F_CAPPED, seq + away >>> 0, port, Buffer.alloc(20))) : []
    const error = (errno: number): Buffer => {
      const body = Buffer.concat([Buffer.alloc(4), errno ? request : request.subarray(0, 16)])
      body.writeInt32LE(-errno)
      return message(ERROR, errno ? 0 : F_CAPPED, seq, port, body)
    }
    try {
      if (type === NOOP) return [error(0)]
      const dump = (flags & F_DUMP) === F_DUMP
      if (dump && this.wrong.busy-- > 0) throw new Refused(errnos.EBUSY)
      const rows = this.#family(type, request.subarray(16), dump)
      if (!dump) return [...forgeries, ...rows.map(row => message(type, 0, seq, port, row)), ...flags & F_ACK ? [error(0)] : []]
      const interrupted = this.wrong.interrupted-- > 0 ? F_DUMP_INTR : 0
      const parts: Buffer[] = []
      for (let i = 0; i < rows.length; i += this.rowsPerPart) {
        const part = rows.slice(i, i + this.rowsPerPart).map((row, n) => message(type, F_MULTI | (i === 0 && n === 0 ? interrupted : 0), seq, port, row))
        parts.push(Buffer.concat([...forgeries, ...part]))
      }
      const errno = Buffer.alloc(4)
      errno.writeInt32LE(-this.wrong.dumpErrno)
      return [...parts, message(DONE, F_MULTI | (rows.length === 0 ? interrupted : 0), seq, port, errno)]
    } catch (refusal) {
      if (!(refusal instanceof Refused)) throw refusal
      if (refusal.errno === errnos.EINTR) return [] // netlink_rcv_skb() leaves it to be asked again
      return [...forgeries, error(refusal.errno)]
    }
  }

  /** The bodies that answer one message of a family. @throws Refused */
  #family(type: number, body: Buffer, dump: boolean): Buffer[] {
    const [cmd, attributes] = [body[0]!, body.subarray(4)]
    if (type === CONTROLLER) {
      if (cmd !== 3) throw new Refused(errnos.EOPNOTSUPP)
      const name = attributesOf(attributes).get(2)?.toString('latin1').replace(/\0.*/, '')
      const families = [
        { familyId: CONTROLLER, familyName: 'nlctrl', version: 2, hdrsize: 0, maxattr: 10 },
        { familyId: 77, familyName: 'fou', version: 1, hdrsize: 0, maxattr: 3 }, // known by its name alone
        ...this.wrong.absent ? [] : [{
          familyId: this.familyId, familyName: 'IPVS', version: 1, hdrsize: 0, maxattr: 6,
          ops: Object.values(ipvs.commands).filter(([id]) => id !== 14).map(([id]) => ({ id, flags: { adminPerm: true } })),
        }],
      ].filter(family => dump ? family.familyName !== 'fou' : family.familyName === name)
      if (!dump && name === undefined) throw new Refused(errnos.EINVAL)
      if (families.length === 0) throw new Refused(errnos.ENOENT)
      return families.map(family => Buffer.concat([Buffer.from([1, 2, 0, 0]), controller.encode(family)]))
    }
    if (type !== this.familyId || this.wrong.absent) throw new Refused(errnos.ENOENT)
    if (this.wrong.unprivileged) throw new Refused(errnos.EPERM)
    return this.ipvs.answer(cmd, dump, attributes).map(answer => Buffer.concat([Buffer.from([answer.cmd, 1, 0, 0]), answer.attributes]))
  }
}

function message(type: number, flags: number, seq: number, port: number, body: Buffer): Buffer {
  const header = Buffer.alloc(16)
  header.writeUInt32LE(16 + body.length)
  header.writeUInt16LE(type, 4)
  header.writeUInt16LE(flags, 6)
  header.writeUInt32LE(seq, 8)
  header.writeUInt32LE(port, 12)
  return Buffer.concat([header, body, Buffer.alloc(-body.length & 3)])
}

/** Too short for a header; of no length; larger than it is; of nobody's number, with half a message behind it. */
const GARBAGE = [
  Buffer.alloc(10, 0xff), Buffer.alloc(64), Buffer.alloc(64, 0xff), Buffer.concat([message(ERROR, 0, 0xfffffff0, 0, Buffer.alloc(20)), Buffer.alloc(7, 0xff)]),
]
