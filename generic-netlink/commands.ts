/**
 * Commands: many in one datagram, one outcome for each.
 *
 * Whatever is asked in one turn of the event loop goes out together. The kernel works through the messages of
 * a datagram in order, and answers one that failed whether asked to or not. So none asks for an acknowledgement
 * but a no-op behind the last: those not named when that one is in were done. The last itself could not be asked,
 * as of a command that ended with EINTR the kernel says nothing at all: a sync daemon stopped before it ever ran.
 *
 * @module
 */

import { randomInt } from 'node:crypto'
import { onAbort } from './abort.js'
import { Output, type Input } from './buffers.js'
import type { NetlinkError } from './errors.js'
import { logger } from './log.js'
import {
  eachMessage, finishMessage, HEADER_SIZE, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_MIN_TYPE, NLMSG_NOOP, readVerdict, writeMessage, type Message,
} from './message.js'
import { Watchdog, type Pace } from './pace.js'
import { refused, type Outcome, type Request, type Requests } from './request.js'
import type { KernelSocket, OpenSocket } from './socket.js'

const debug = logger('ipvs-nl:netlink')

/** An error reply charges the receive buffer this much and twice its request, which it echoes; an answer with content a page or two. */
const ERROR_COST = 1024
const ANSWER_COST = 9216
/** So many error replies fit the default receive buffer whatever is in them. */
const LARGEST_BATCH = 128

const DONE: Outcome<undefined> = Object.freeze({ status: 'fulfilled', value: undefined })

const ENODATA = -61, EMSGSIZE = -90, ENOBUFS = -105, ETIMEDOUT = -110

/** Requests that were asked together. */
interface Batch {
  readonly requests: Requests<unknown>
  readonly outcomes: (Outcome<unknown> | undefined)[]
  /** The next to be sent. */
  next: number
  /** How many have no outcome yet. */
  open: number
  readonly signal: AbortSignal | undefined
  settled(): void
}

/** Whose the slots are that carry nothing. */
const NOBODY: Batch = { requests: [], outcomes: [], next: 0, open: 0, signal: undefined, settled: () => {} }

/** A request on the wire. The slots are used again and again, so that a batch of many makes none of its own. */
interface Slot {
  batch: Batch
  index: number
  /** Whether it has an answer besides "done". */
  answered: boolean
}

/** The socket that carries commands. */
export class Commands {
  readonly #socket: KernelSocket
  readonly #pace: Pace
  readonly #watchdog: Watchdog
  readonly #out = new Output(32768)
  readonly #resume = (): void => this.#pump()
  readonly #visit = (message: Readonly<Message>, from: Input): void => this.#message(from, message)
  readonly #queue: Batch[] = []
  /** The most bytes of one datagram: the send buffer less the kernel's own margin. */
  readonly #largest: number
  /** What is on the wire: the first's sequence number, and so many slots in order. */
  #first = 0
  #sent = 0
  readonly #slots = Array.from({ length: LARGEST_BATCH }, (): Slot => ({ batch: NOBODY, index: 0, answered: false }))
  /** Whether a no-op ends the datagram; one whose last request has an answer needs none. */
  #fenced = false
  #scheduled = false
  #pumping = false
  #closed: NetlinkError | undefined

  constructor(open: OpenSocket, protocol: number, pace: Pace, timeLimit: number) {
    this.#pace = pace
    this.#watchdog = new Watchdog(timeLimit, () => this.#lost(ETIMEDOUT))
    this.#socket = open(protocol, {
      datagram: (from, length) => this.#datagram(from, length),
      failed: (error, fatal) => {
        this.#lost(error.errno)
        if (fatal) this.close(error)
      },
    })
    this.#largest = this.#socket.sendBuffer - 32 - HEADER_SIZE
  }

  /** Asks all of them, in order. Resolves when each has its outcome; never rejects. */
  batch(requests: Requests<unknown>, signal?: AbortSignal): Promise<Outcome<unknown>[]> {
    return new Promise(resolve => {
      const outcomes = new Array<Outcome<unknown> | undefined>(requests.length).fill(undefined)
      const batch: Batch = {
        requests, outcomes, next: 0, open: requests.length, signal,
        settled: () => {
          forget?.()
          resolve(outcomes as Outcome<unknown>[])
        },
      }
      const giveUp = (): void => this.#giveUp(batch, () => signal?.reason)
      let forget: (() => void) | undefined
      if (requests.length === 0) resolve([])
      else if (this.#closed) this.#giveUp(batch, request => refused(request, this.#closed!.errno, { why: this.#closed!.message }))
      else if (signal?.aborted) giveUp()
      else {
        if (signal) forget = onAbort(signal, giveUp)
        this.#queue.push(batch)
        this.#schedule()
      }
    })
  }

  /** Settles everything with the reason and closes the socket. */
  close(reason: NetlinkError): void {
    if (this.#closed) return
    this.#closed = reason
    this.#watchdog.stop()
    this.#settleSent(slot => rejection(requestOf(slot), reason.errno, reason.message))
    for (const batch of this.#queue.splice(0)) this.#giveUp(batch, request => refused(request, reason.errno, { why: reason.message }))
    this.#socket.close()
  }

  /** Everything asked in this turn of the loop shares datagrams, as it starts when the caller's code is done. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    queueMicrotask(() => {
      this.#scheduled = false
      this.#pump()
    })
  }

  #pump(): void {
    if (this.#pumping || this.#sent > 0 || this.#closed) return
    this.#pumping = true
    this.#socket.ref()
    try {
      while (this.#queue.length > 0) {
        if (!this.#pace.allows(this.#resume)) return
        if (!this.#fill()) continue
        this.#pace.book(this.#out.length)
        try {
          this.#socket.send(this.#out.bytes.subarray(0, this.#out.length))
        } catch (error) {
          this.#lost((error as NetlinkError).errno)
          continue
        }
        // The kernel has answered by now; where its answer can be read, the loop need not turn for it.
        while (this.#sent > 0 && this.#socket.receive());
        if (this.#sent > 0) { this.#watchdog.start(); return }
      }
    } finally {
      this.#pumping = false
      if (this.#sent === 0 && this.#queue.length === 0) this.#socket.unref()
    }
  }

  /** Writes as many of the queued requests as one datagram may carry; false where there were none to send. */
  #fill(): boolean {
    this.#out.length = 0
    this.#first = randomInt(0x7fff_0000) // nobody can answer for the kernel without guessing it; from 2³¹ on V8 would make an object of it
    let cost = ERROR_COST
    for (let batch = this.#queue[0]; batch; batch = this.#queue[0]) {
      for (; batch.next < batch.requests.length; batch.next++) {
        const request = batch.requests.at(batch.next)!
        const at = this.#write(request)
        if (typeof at !== 'number') {
          settle({ batch, index: batch.next }, { status: 'rejected', reason: at })
          continue
        }
        cost += ERROR_COST + 2 * (this.#out.length - at) + (request.read ? ANSWER_COST : 0)
        const full = cost > this.#socket.receiveBuffer || this.#out.length > this.#largest || this.#sent === LARGEST_BATCH
        if (full && this.#sent > 0) {
          this.#out.length = at
          return this.#closeDatagram()
        }
        const slot = this.#slots[this.#sent++]!
        slot.batch = batch
        slot.index = batch.next
        slot.answered = request.read !== undefined
      }
      this.#queue.shift()
    }
    return this.#sent > 0 && this.#closeDatagram()
  }

  /** Appends a request and says where it begins; where it cannot be sent, appends nothing and says why. */
  #write(request: Request<unknown>): number | Error {
    const before = this.#out.length
    try {
      this.#out.take(HEADER_SIZE)
      request.write(this.#out)
      finishMessage(this.#out, before, request.type, NLM_F_REQUEST | (request.flags ?? 0), this.#first + this.#sent)
      const size = this.#out.length - before
      if (size > this.#largest) throw refused(request, EMSGSIZE, { why: `${size} bytes are more than one message can be` })
      return before
    } catch (error) {
      this.#out.length = before
      return error as Error
    }
  }

  /** Sees to it that an answer tells that all were worked through. */
  #closeDatagram(): true {
    this.#fenced = !this.#slots[this.#sent - 1]!.answered
    if (this.#fenced) writeMessage(this.#out, NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, this.#first + this.#sent, () => {})
    if (debug.enabled) debug('-> %d requests, %d bytes, from #%d: %s', this.#sent, this.#out.length, this.#first, requestOf(this.#slots[0]!).name)
    return true
  }

  #datagram(from: Input, length: number): void {
    try {
      eachMessage(from, length, this.#visit)
    } catch (error) {
      debug('unreadable datagram: %o', error)
      this.#lost(ENOBUFS)
    }
    if (this.#sent === 0) { this.#watchdog.stop(); this.#pump() } // brought by an event: what waits may go now
  }

  #message(from: Input, message: Message): void {
    const position = message.seq - this.#first
    if (this.#fenced && position === this.#sent && message.type === NLMSG_ERROR) { this.#finish(); return }
    if (position < 0 || position >= this.#sent) return // late, or forged
    const slot = this.#slots[position]!
    if (message.type === NLMSG_ERROR) {
      const { errno, extack } = readVerdict(from, message)
      if (errno !== 0) settle(slot, { status: 'rejected', reason: refused(requestOf(slot), errno, { extack }) })
      else settle(slot, slot.answered ? rejection(requestOf(slot), ENODATA, 'the kernel acknowledged it and answered nothing') : DONE)
    } else if (message.type >= NLMSG_MIN_TYPE && slot.answered) {
      const { batch, index } = slot // the reader may close this socket
      settle({ batch, index }, attempt(() => requestOf({ batch, index }).read!(from, message.at, message.length)))
    } else return
    if (!this.#fenced && position === this.#sent - 1) this.#finish()
  }

  /** All were worked through: those before it that the kernel did not name were done. */
  #finish(): void {
    this.#settleSent(unnamed)
  }

  /** Gives each on the wire its outcome that has none yet; nothing is on the wire then. */
  #settleSent(outcome: (slot: Slot) => Outcome<unknown>): void {
    for (let position = 0; position < this.#sent; position++) {
      const slot = this.#slots[position]!
      if (slot.batch.outcomes[slot.index] === undefined) settle(slot, outcome(slot))
      slot.batch = NOBODY
    }
    this.#sent = 0
  }

  /** The answers will not come: nobody can say what became of what was sent. */
  #lost(errno: number): void {
    this.#settleSent(slot => rejection(requestOf(slot), errno, 'its outcome is unknown, read the state again'))
    this.#watchdog.stop()
    if (this.#queue.length > 0) this.#schedule()
    else if (!this.#closed) this.#socket.unref()
  }

  #giveUp(batch: Batch, reason: (request: Request<unknown>) => unknown): void {
    while (batch.next < batch.requests.length) {
      const index = batch.next++
      settle({ batch, index }, { status: 'rejected', reason: reason(batch.requests.at(index)!) })
    }
  }
}

const requestOf = ({ batch, index }: Pick<Slot, 'batch' | 'index'>): Request<unknown> => batch.requests.at(index)!

function settle({ batch, index }: Pick<Slot, 'batch' | 'index'>, outcome: Outcome<unknown>): void {
  if (batch.outcomes[index] !== undefined) return
  batch.outcomes[index] = outcome
  if (--batch.open === 0) batch.settled()
}

/** Of one that the kernel did not name. */
const unnamed = (slot: Slot): Outcome<unknown> => slot.answered ? rejection(requestOf(slot), ENODATA, 'the kernel answered nothing') : DONE

const rejection = (request: Request<unknown>, errno: number, why: string): Outcome<never> => ({ status: 'rejected', reason: refused(request, errno, { why }) })

function attempt<T>(run: () => T): Outcome<T> {
  try { return { status: 'fulfilled', value: run() } } catch (reason) { return { status: 'rejected', reason } }
}
