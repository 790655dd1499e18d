/** A batch of requests, and the outcome of each. */

import type { NetlinkError } from './errors.js'
import { refused, type Request } from './request.js'
import { withItem, type Sequence } from './sequence.js'

/** The outcome of a request. */
export type Outcome = PromiseSettledResult<unknown>

/** The requests of one call. */
export interface Batch {
  readonly requests: Sequence<Request<unknown>>
  readonly outcomes: (Outcome | undefined)[]
  /** The index of the next request to send. */
  next: number
  /** The number of requests without an outcome. */
  open: number
  settled(): void
}

/** The batch of an empty slot. */
export const NO_BATCH: Batch = {
  requests: { length: 0, each: () => {} }, outcomes: [], next: 0, open: 0, settled: () => {},
}

/** Gives a request its outcome, once. */
export function settle(batch: Batch, index: number, outcome: Outcome): void {
  if (batch.outcomes[index] !== undefined) return
  batch.outcomes[index] = outcome
  if (--batch.open === 0) batch.settled()
}

/** Makes the error of a request. */
export type Reason = (request: Request<unknown>) => unknown
/** Rejects each request with the errno and the message of an error. */
export const because = ({ errno, message }: NetlinkError): Reason =>
  request => refused(request, errno, { why: message })

/** Rejects the requests of a batch that are not on the wire. */
export function rejectUnsent(batch: Batch, reason: Reason): void {
  while (batch.next < batch.requests.length) {
    const index = batch.next++
    settle(batch, index, rejected(batch, index, reason))
  }
}

/** The outcome with the error of a request; with the source's own error where that throws. */
export function rejected(batch: Batch, index: number, reason: Reason): Outcome {
  const made = attempt(() => withItem(batch.requests, index, reason))
  const why: unknown = made.status === 'fulfilled' ? made.value : made.reason
  return { status: 'rejected', reason: why }
}

/** Returns the outcome of a call. */
export function attempt<T>(run: () => T): PromiseSettledResult<T> {
  try { return { status: 'fulfilled', value: run() } } catch (reason) { return { status: 'rejected', reason } }
}
