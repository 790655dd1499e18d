/**
 * Commands: many in one datagram, and an outcome for each.
 *
 * All commands of one turn of the event loop go together. The kernel works through the messages of
 * a datagram in order and answers each failed one, even where no acknowledgement is requested. So
 * only a no-op behind the last command requests one: at its acknowledgement, all commands without
 * an answer are done. The last command cannot request it: the kernel says nothing about a command
 * that ends with EINTR, such as the stop of a sync daemon that never ran. Performance: batches.
 */

import { randomInt } from 'node:crypto'
import { onAbort } from './abort.js'
import { attempt, because, NO_BATCH, rejected, rejectUnsent, settle, type Batch, type Outcome } from './batch.js'
import { LARGEST_BATCH, type Budget } from './budget.js'
import { Output, type Input } from './buffers.js'
import type { NetlinkError } from './errors.js'
import { logger } from './log.js'
import {
  eachMessage, finishMessage, HEADER_SIZE, namesSequence, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR, NLMSG_MIN_TYPE,
  NLMSG_NOOP, readVerdict, writeMessage, type Message,
} from './message.js'
import { Pump } from './pump.js'
import { refused, type Request } from './request.js'
import { withItem, type Sequence } from './sequence.js'
import type { KernelSocket, OpenSocket } from './socket.js'
import { Watchdog } from './watchdog.js'

const debug = logger('ipvs-nl:netlink')

/** The receive buffer's charge for an error reply, besides twice the request that it echoes. */
const ERROR_COST = 1024
/** The receive buffer's charge for an answer with content: a page or two. */
const ANSWER_COST = 9216

const ENODATA = -61, EMSGSIZE = -90, ENOBUFS = -105, ETIMEDOUT = -110

const DONE: Outcome = Object.freeze({ status: 'fulfilled', value: undefined })

/** A request on the wire. A large batch allocates no slots. Performance: reused slots. */
interface Slot {
  batch: Batch
  index: number
  /** Whether the kernel answers it with content. */
  answered: boolean
}

/** The socket that carries commands. */
export class Commands {
  readonly #socket: KernelSocket
  readonly #budget: Budget
  readonly #watchdog: Watchdog
  readonly #pump = new Pump(() => this.#send())
  readonly #out = new Output()
  readonly #visit = (message: Readonly<Message>, from: Input): void => this.#message(from, message)
  readonly #append = (request: Request<unknown>): boolean => this.#appendRequest(request)
  readonly #queue: Batch[] = []
  /** The largest datagram, in bytes: the send buffer less the kernel's own margin. */
  readonly #largest: number
  /** The sequence number of the first request on the wire, and the number of requests there. */
  #first = 0
  #sent = 0
  readonly #slots = Array.from({ length: LARGEST_BATCH }, (): Slot => ({ batch: NO_BATCH, index: 0, answered: false }))
  /** The batch that the datagram is filled from. */
  #filling = NO_BATCH
  /** The charge of all possible answers to the datagram, and whether it has no more room. */
  #cost = 0
  #full = false
  /** The number of requests that the datagram may have. */
  #most = LARGEST_BATCH
  /** Whether a no-op ends the datagram. A last request with an answer needs none. */
  #fenced = false
  /** Whether answers to earlier requests may wait: they would leave too little room for others. */
  #stale = false
  #closed: NetlinkError | undefined

  constructor(open: OpenSocket, protocol: number, budget: Budget, timeLimit: number) {
    this.#budget = budget
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

  /** Sends all requests, in order. Resolves with the outcome of each; never rejects. */
  batch(requests: Sequence<Request<unknown>>, signal?: AbortSignal): Promise<Outcome[]> {
    return new Promise(resolve => {
      const outcomes = new Array<Outcome | undefined>(requests.length).fill(undefined)
      const batch: Batch = {
        requests, outcomes, next: 0, open: requests.length,
        settled: () => {
          forget?.()
          resolve(outcomes as Outcome[])
        },
      }
      const abort = (): void => rejectUnsent(batch, () => signal?.reason)
      let forget: (() => void) | undefined
      if (requests.length === 0) resolve([])
      else if (this.#closed) rejectUnsent(batch, because(this.#closed))
      else if (signal?.aborted) abort()
      else {
        if (signal) forget = onAbort(signal, abort)
        this.#queue.push(batch)
        this.#pump.schedule()
      }
    })
  }

  /** Settles all requests with the reason and closes the socket. */
  close(reason: NetlinkError): void {
    if (this.#closed) return
    this.#closed = reason
    this.#watchdog.stop()
    this.#settleSent(slot => rejection(slot, reason.errno, { why: reason.message }))
    for (const batch of this.#queue.splice(0)) rejectUnsent(batch, because(reason))
    this.#socket.close()
  }

  #send(): void {
    if (this.#sent > 0 || this.#closed) return
    this.#socket.ref()
    try {
      while (this.#queue.length > 0) {
        if (!this.#budget.allows(this.#pump.run)) return
        this.#drain()
        if (!this.#fill()) continue
        this.#budget.spend(this.#out.length)
        const commands = this.#sent, began = performance.now()
        try { this.#socket.send(this.#out.bytes.subarray(0, this.#out.length)) } catch (error) {
          this.#lost((error as NetlinkError).errno)
          continue
        }
        this.#budget.took(commands, performance.now() - began)
        // The kernel has answered by now. Where the answer can be read, the event loop need not
        // turn.
        while (this.#sent > 0 && this.#socket.receive());
        if (this.#sent > 0) { this.#watchdog.start(); return }
      }
    } finally { if (this.#sent === 0 && this.#queue.length === 0) this.#socket.unref() }
  }

  /** Drops the answers to requests that are settled already. */
  #drain(): void {
    for (let rounds = 0; this.#stale && rounds < 3; rounds++) { // an error ends a round
      this.#stale = false
      while (this.#socket.receive());
    }
  }

  /** Writes as many queued requests as one datagram carries; false where there is none to send. */
  #fill(): boolean {
    this.#openDatagram()
    for (let batch = this.#queue[0]; batch; batch = this.#queue[0]) {
      let error: unknown
      this.#filling = batch
      try { batch.requests.each(this.#append, batch.next, batch.requests.length) } catch (thrown) { error = thrown }
      if (this.#full) break
      this.#queue.shift()
      rejectUnsent(batch, () => error ?? new TypeError(`a sequence of ${batch.requests.length} requests sends fewer`))
    }
    if (this.#sent === 0) return false
    this.#closeDatagram()
    return true
  }

  #openDatagram(): void {
    this.#out.length = 0
    this.#first = randomInt(0x7fff_0000) // not to be guessed by a forger; from 2³¹ on, V8 allocates the number
    this.#cost = ERROR_COST
    this.#full = false
    this.#most = this.#budget.commands
  }

  /** Appends the next request of the batch; false where the datagram has no room for it. */
  #appendRequest(request: Request<unknown>): boolean {
    const batch = this.#filling
    if (batch.next >= batch.requests.length) return false // an abort has settled the rest
    const index = batch.next
    const at = this.#out.length
    try {
      this.#out.take(HEADER_SIZE)
      request.write(this.#out)
      finishMessage(this.#out, at, request.type, NLM_F_REQUEST | (request.flags ?? 0), this.#first + this.#sent)
      const size = this.#out.length - at
      if (size > this.#largest) {
        throw refused(request, EMSGSIZE, { why: `the message has ${size} bytes; at most ${this.#largest} fit` })
      }
    } catch (reason) {
      this.#out.length = at
      batch.next++
      settle(batch, index, { status: 'rejected', reason })
      return true
    }
    this.#cost += ERROR_COST + 2 * (this.#out.length - at) + (request.read ? ANSWER_COST : 0)
    this.#full = this.#sent > 0
      && (this.#cost > this.#socket.receiveBuffer || this.#out.length > this.#largest || this.#sent >= this.#most)
    if (this.#full) {
      this.#out.length = at
      return false
    }
    const slot = this.#slots[this.#sent++]!
    slot.batch = batch
    slot.index = index
    slot.answered = request.read !== undefined
    batch.next++
    return true
  }

  /** Ends the datagram, so that an answer tells that the kernel has worked through it. */
  #closeDatagram(): void {
    this.#fenced = !this.#slots[this.#sent - 1]!.answered
    if (this.#fenced) writeMessage(this.#out, NLMSG_NOOP, NLM_F_REQUEST | NLM_F_ACK, this.#first + this.#sent, () => {})
    if (debug.enabled) {
      const first = attempt(() => withRequest(this.#slots[0]!, ({ name }) => name))
      debug('-> %d requests, %d bytes, from #%d: %o', this.#sent, this.#out.length, this.#first, first)
    }
  }

  #datagram(from: Input, length: number): void {
    try { eachMessage(from, length, this.#visit) } catch (error) {
      debug('unreadable datagram: %o', error)
      const last = this.#first + this.#sent
      if (namesSequence(from, length, seq => seq >= this.#first && seq <= last)) this.#lost(ENOBUFS)
    }
    if (this.#sent === 0) {
      this.#watchdog.stop()
      this.#pump.run() // an event brought the datagram, and the queue waits
    }
  }

  #message(from: Input, message: Message): void {
    const position = message.seq - this.#first
    if (this.#fenced && position === this.#sent && message.type === NLMSG_ERROR) { this.#settleSent(unnamed); return }
    if (position < 0 || position >= this.#sent) return // late, or forged
    const slot = this.#slots[position]!
    const { batch, index } = slot // a reader may close this socket and clear the slot
    if (message.type === NLMSG_ERROR) {
      const { errno, extack } = readVerdict(from, message)
      if (errno !== 0) settle(batch, index, rejection(slot, errno, { extack }))
      else settle(batch, index, slot.answered ? rejection(slot, ENODATA, NO_ANSWER) : DONE)
    } else if (message.type >= NLMSG_MIN_TYPE && slot.answered) {
      settle(batch, index, attempt(() => withRequest(slot, request => request.read!(from, message.at, message.length))))
    } else return
    if (!this.#fenced && position === this.#sent - 1) this.#settleSent(unnamed)
  }

  /** Settles the requests on the wire that have no outcome, and clears the wire. */
  #settleSent(outcome: (slot: Slot) => Outcome): void {
    for (let position = 0; position < this.#sent; position++) {
      const slot = this.#slots[position]!
      if (slot.batch.outcomes[slot.index] === undefined) settle(slot.batch, slot.index, outcome(slot))
      slot.batch = NO_BATCH
    }
    this.#sent = 0
  }

  /** Settles the requests on the wire after their answers are lost. */
  #lost(errno: number): void {
    this.#settleSent(slot => rejection(slot, errno, LOST))
    this.#stale = true
    this.#watchdog.stop()
    if (this.#queue.length > 0) this.#pump.schedule()
    else if (!this.#closed) this.#socket.unref()
  }
}

const withRequest = <R>({ batch, index }: Slot, use: (request: Request<unknown>) => R): R =>
  withItem(batch.requests, index, use)

/** The outcome of a request that the kernel, done with the datagram, did not name. */
const unnamed = (slot: Slot): Outcome => slot.answered ? rejection(slot, ENODATA, NO_ANSWER) : DONE

const NO_ANSWER = { why: 'the kernel sent no answer' }
const LOST = { why: 'the answer is lost and the outcome is unknown: read the state again' }

const rejection = ({ batch, index }: Slot, errno: number, details: Parameters<typeof refused>[2]): Outcome =>
  rejected(batch, index, request => refused(request, errno, details))
