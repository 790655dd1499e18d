/**
 * Dumps: the kernel lists a whole table, part by part.
 *
 * A socket carries one dump at a time and refuses others meanwhile, so dumps have a socket of their own
 * and stand in a queue. A dump that failed half way must not look like a short table: the errno of DONE
 * is read, a part that was cut is an error, and one that the kernel calls inconsistent is asked for again.
 *
 * @module
 */

import { randomInt } from 'node:crypto'
import { onAbort } from './abort.js'
import { Output, type Input } from './buffers.js'
import { NetlinkError } from './errors.js'
import { logger } from './log.js'
import {
  eachMessage, finishMessage, HEADER_SIZE, NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR, NLMSG_MIN_TYPE, readVerdict,
  type Message, type Verdict,
} from './message.js'
import { Watchdog, type Pace } from './pace.js'
import { refused, type Request } from './request.js'
import type { KernelSocket, OpenSocket } from './socket.js'

const debug = logger('ipvs-nl:netlink')

/** A dump that the kernel says was disturbed is asked for again this often. */
const RETRIES = 3

/** So many parts of one dump are read without a turn of the loop: some thousand services. */
const LONGEST_STRETCH = 8

const EINTR = -4, ENOBUFS = -105, ETIMEDOUT = -110

type Listing = Request<unknown> & { read: NonNullable<Request<unknown>['read']> }

/** What was asked for. A listing asks for thousands at once, so each is as little as can be. */
class Dump {
  readonly request: Listing
  rows: unknown[] = []
  attempts = 0
  interrupted = false
  /** The first error while reading; the rest of the dump is drained all the same. */
  error: unknown
  settled = false
  readonly #resolve: (rows: unknown[]) => void
  readonly #reject: (error: unknown) => void
  #forget: (() => void) | undefined

  constructor(request: Listing, signal: AbortSignal | undefined, resolve: (rows: unknown[]) => void, reject: (error: unknown) => void) {
    this.request = request
    this.#resolve = resolve
    this.#reject = reject
    if (!signal) return
    // One that runs goes on, unheard: the kernel takes no other on its socket until it is through.
    const giveUp = (): void => this.finish(signal.reason ?? new Error('aborted'))
    if (signal.aborted) giveUp()
    else this.#forget = onAbort(signal, giveUp)
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
  readonly #pace: Pace
  readonly #watchdog: Watchdog
  readonly #out = new Output()
  readonly #resume = (): void => this.#pump()
  readonly #visit = (message: Readonly<Message>, from: Input): void => this.#message(from, message)
  readonly #queue: Dump[] = []
  /** Opened for the first dump, and anew after one that broke off: the kernel may still be at it. */
  #socket: KernelSocket | undefined
  /** The dump on the wire; its parts carry this sequence number. */
  #running: Dump | undefined
  #seq = 0
  /** How many parts of it were read without a turn of the loop. */
  #stretch = 0
  #scheduled = false
  #pumping = false
  #closed: NetlinkError | undefined

  constructor(open: OpenSocket, protocol: number, pace: Pace, timeLimit: number) {
    this.#pace = pace
    this.#watchdog = new Watchdog(timeLimit, () => this.#broken(ETIMEDOUT, 'the kernel stopped answering'))
    this.#open = () => open(protocol, {
      datagram: (from, length) => this.#datagram(from, length),
      failed: ({ errno, message }) => this.#broken(errno, `answers were lost (${message})`),
    })
  }

  /** Asks for a dump and resolves with all its rows. */
  dump<T>(request: Request<T>, signal?: AbortSignal): Promise<T[]> {
    return new Promise((resolve, reject) => {
      const dump = new Dump(request as Listing, signal, resolve as (rows: unknown[]) => void, reject)
      if (this.#closed) dump.finish(refused(request, this.#closed.errno, { why: this.#closed.message }))
      if (dump.settled) return
      this.#queue.push(dump)
      this.#schedule()
    })
  }

  /** Settles everything with the reason and closes the socket. */
  close(reason: NetlinkError): void {
    if (this.#closed) return
    this.#closed = reason
    this.#watchdog.stop()
    if (this.#running) this.#queue.unshift(this.#running)
    this.#running = undefined
    for (const dump of this.#queue.splice(0)) dump.finish(refused(dump.request, reason.errno, { why: reason.message }))
    this.#socket?.close()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#pumping) return
    this.#pumping = true
    try {
      while (!this.#closed) {
        // While a dump runs, a turn of the loop lets the addon read what waits, and slower: so turns are between dumps, and rare in a long one.
        if (!this.#running || this.#stretch >= LONGEST_STRETCH) {
          if (!this.#pace.allows(this.#resume)) return
          this.#stretch = 0
        }
        if (!this.#running && !this.#start()) return
        // The kernel makes the next part while this one is read, so each is there by now.
        if (!this.#socket?.receive() && this.#running) { this.#watchdog.start(); return }
      }
    } finally {
      this.#pumping = false
      if (!this.#running && this.#queue.length === 0) this.#socket?.unref()
    }
  }

  /** Puts the next dump on the wire; false where none waits. */
  #start(): boolean {
    for (let dump = this.#queue.shift(); dump; dump = this.#queue.shift()) {
      if (dump.settled) continue
      this.#out.length = 0
      this.#seq = randomInt(0x7fff_0000) // nobody can answer for the kernel without guessing it
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
    this.#pace.book(length)
    this.#stretch++
    try {
      eachMessage(from, length, this.#visit)
    } catch (error) {
      this.#broken(ENOBUFS, `a part of the answer was cut (${(error as Error).message})`)
    }
    this.#watchdog.stop()
    this.#pump() // where an event brought it; otherwise the pump is at work
  }

  #message(from: Input, message: Message): void {
    const dump = this.#running
    if (!dump || message.seq !== this.#seq) return // of a dump that broke off, or forged
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
    if (errno !== 0) dump.finish(refused(dump.request, errno, { extack }))
    else if (!dump.interrupted) dump.finish(dump.error)
    else if (++dump.attempts > RETRIES) {
      dump.finish(refused(dump.request, EINTR, { why: `the table changed during each of ${dump.attempts} attempts to list it` }))
    } else {
      dump.rows = []
      dump.interrupted = false
      dump.error = undefined
      this.#queue.unshift(dump)
    }
  }

  /** What runs cannot be finished, and nobody knows what else is on that socket. */
  #broken(errno: number, why: string): void {
    const dump = this.#running
    this.#running = undefined
    this.#watchdog.stop()
    this.#socket?.close()
    this.#socket = undefined
    dump?.finish(refused(dump.request, errno, { why }))
    if (this.#queue.length > 0) this.#schedule()
  }
}
