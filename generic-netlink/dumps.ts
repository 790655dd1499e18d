/**
 * Dumps: the kernel lists a whole table, part by part.
 *
 * A socket carries one dump at a time and the kernel refuses others meanwhile, so dumps have a
 * socket of their own and wait in a queue. A dump that fails half way must not look like a short
 * table: the errno of DONE is read, a part that was cut is an error, and a dump that the kernel
 * calls inconsistent is repeated.
 */

import { randomInt } from 'node:crypto'
import { onAbort } from './abort.js'
import type { Budget } from './budget.js'
import { Output, type Input } from './buffers.js'
import { NetlinkError } from './errors.js'
import { logger } from './log.js'
import {
  eachMessage, finishMessage, HEADER_SIZE, namesSequence, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE,
  NLMSG_ERROR, NLMSG_MIN_TYPE, readVerdict, type Message, type Verdict,
} from './message.js'
import { Pump } from './pump.js'
import { refused, type Request } from './request.js'
import type { KernelSocket, OpenSocket } from './socket.js'
import { Watchdog } from './watchdog.js'

const debug = logger('ipvs-nl:netlink')

/** The number of times that an inconsistent dump, or one on a busy socket, is repeated. */
const RETRIES = 3

const EINTR = -4, EBUSY = -16, ENOBUFS = -105, ETIMEDOUT = -110

type DumpRequest = Request<unknown> & { read: NonNullable<Request<unknown>['read']> }

/** A dump in the queue or on the wire. A listing requests thousands at once, so it holds little. */
class Dump {
  readonly request: DumpRequest
  rows: unknown[] = []
  attempts = 0
  interrupted = false
  /** The first error of a reader. The rest of the dump is still received. */
  error: unknown
  settled = false
  readonly #resolve: (rows: unknown[]) => void
  readonly #reject: (error: unknown) => void
  #forget: (() => void) | undefined

  constructor(
    request: DumpRequest, signal: AbortSignal | undefined,
    resolve: (rows: unknown[]) => void, reject: (error: unknown) => void,
  ) {
    this.request = request
    this.#resolve = resolve
    this.#reject = reject
    if (!signal) return
    // After an abort a dump on the wire runs to its end: until then the kernel starts no other on
    // its socket.
    const abort = (): void => this.finish(signal.reason ?? new Error('aborted'))
    if (signal.aborted) abort()
    else this.#forget = onAbort(signal, abort)
  }

  finish(error: unknown): void {
    if (this.settled) return
    this.settled = true
    this.#forget?.()
    if (error === undefined) this.#resolve(this.rows)
    else this.#reject(error)
  }
}

/** The socket that carries dumps. */
export class Dumps {
  readonly #open: () => KernelSocket
  readonly #budget: Budget
  readonly #watchdog: Watchdog
  readonly #pump = new Pump(() => this.#receive())
  readonly #out = new Output()
  readonly #visit = (message: Readonly<Message>, from: Input): void => this.#message(from, message)
  readonly #queue: Dump[] = []
  /** Opened for the first dump, and after a broken one, at which the kernel may still work. */
  #socket: KernelSocket | undefined
  /** The dump on the wire, and the sequence number of its parts. */
  #running: Dump | undefined
  #seq = 0
  #closed: NetlinkError | undefined

  constructor(open: OpenSocket, protocol: number, budget: Budget, timeLimit: number) {
    this.#budget = budget
    this.#watchdog = new Watchdog(timeLimit, () => this.#broken(ETIMEDOUT, 'the kernel stopped answering'))
    this.#open = () => open(protocol, {
      datagram: (from, length) => this.#datagram(from, length),
      failed: ({ errno, message }) => this.#broken(errno, `answers were lost (${message})`),
    })
  }

  /** Requests a dump and resolves with all its rows. */
  dump<T>(request: Request<T>, signal?: AbortSignal): Promise<T[]> {
    return new Promise((resolve, reject) => {
      const dump = new Dump(request as DumpRequest, signal, resolve as (rows: unknown[]) => void, reject)
      if (this.#closed) dump.finish(refused(request, this.#closed.errno, { why: this.#closed.message }))
      if (dump.settled) return
      this.#queue.push(dump)
      this.#pump.schedule()
    })
  }

  /** Settles all dumps with the reason and closes the socket. */
  close(reason: NetlinkError): void {
    if (this.#closed) return
    this.#closed = reason
    this.#watchdog.stop()
    if (this.#running) this.#queue.unshift(this.#running)
    this.#running = undefined
    for (const dump of this.#queue.splice(0)) dump.finish(refused(dump.request, reason.errno, { why: reason.message }))
    this.#socket?.close()
  }

  #receive(): void {
    try {
      while (!this.#closed) {
        if (!this.#budget.allows(this.#pump.run)) return
        if (!this.#running && !this.#start()) return
        // The kernel makes the next part while this one is read, so each part is ready.
        if (!this.#socket?.receive() && this.#running) { this.#watchdog.start(); return }
      }
    } finally { if (!this.#running && this.#queue.length === 0) this.#socket?.unref() }
  }

  /** Puts the next dump on the wire; false where none waits. */
  #start(): boolean {
    for (let dump = this.#queue.shift(); dump; dump = this.#queue.shift()) {
      if (dump.settled) continue
      this.#out.length = 0
      this.#seq = randomInt(0x7fff_0000) // not to be guessed by a forger
      try {
        const { type, flags = 0 } = dump.request
        this.#out.take(HEADER_SIZE)
        dump.request.write(this.#out)
        finishMessage(this.#out, 0, type, NLM_F_REQUEST | NLM_F_DUMP | flags, this.#seq)
        this.#socket ??= this.#open()
        this.#socket.ref()
        if (debug.enabled) debug('-> dump #%d: %s', this.#seq, dump.request.name)
        this.#running = dump
        this.#socket.send(this.#out.bytes.subarray(0, this.#out.length))
        return true
      } catch (error) {
        this.#running = undefined
        dump.finish(error instanceof NetlinkError ? refused(dump.request, error.errno, { why: error.message }) : error)
      }
    }
    return false
  }

  #datagram(from: Input, length: number): void {
    this.#budget.spend(length)
    try { eachMessage(from, length, this.#visit) } catch (error) {
      debug('unreadable datagram: %o', error)
      if (namesSequence(from, length, seq => seq === this.#seq)) {
        this.#broken(ENOBUFS, `a part of the answer was cut (${(error as Error).message})`)
      }
    }
    this.#watchdog.stop()
    this.#pump.run() // where an event brought the datagram; otherwise the pump runs already
  }

  #message(from: Input, message: Message): void {
    const dump = this.#running
    if (!dump || message.seq !== this.#seq) return // part of a dump that broke off, or forged
    if (message.flags & NLM_F_DUMP_INTR) dump.interrupted = true
    if (message.type === NLMSG_DONE || message.type === NLMSG_ERROR) this.#done(dump, readVerdict(from, message))
    else if (message.type >= NLMSG_MIN_TYPE && dump.error === undefined && !dump.settled) {
      try { dump.rows.push(dump.request.read(from, message.at, message.length)) } catch (error) { dump.error = error }
    }
  }

  #done(dump: Dump, { errno, extack }: Verdict): void {
    if (debug.enabled) {
      const how = dump.interrupted ? ', interrupted' : ''
      debug('<- dump #%d: %s, %d rows, errno %d%s', this.#seq, dump.request.name, dump.rows.length, errno, how)
    }
    this.#running = undefined
    if (errno === EBUSY && ++dump.attempts <= RETRIES) {
      this.#dropSocket() // which carries the rest of another dump
      this.#repeat(dump)
    } else if (errno !== 0) dump.finish(refused(dump.request, errno, { extack }))
    else if (!dump.interrupted) dump.finish(dump.error)
    else if (++dump.attempts > RETRIES) {
      const why = `the table changed during each of ${dump.attempts} attempts to list it`
      dump.finish(refused(dump.request, EINTR, { why }))
    } else this.#repeat(dump)
  }

  #repeat(dump: Dump): void {
    dump.rows = []
    dump.interrupted = false
    dump.error = undefined
    this.#queue.unshift(dump)
  }

  #dropSocket(): void {
    this.#socket?.close()
    this.#socket = undefined
  }

  /** Rejects the running dump and drops the socket, which may carry the rest of the answer. */
  #broken(errno: number, why: string): void {
    const dump = this.#running
    this.#running = undefined
    this.#watchdog.stop()
    this.#dropSocket()
    dump?.finish(refused(dump.request, errno, { why }))
    if (this.#queue.length > 0) this.#pump.schedule()
  }
}
