/** What is asked of the kernel, and how it came out. */

import type { Input, Output } from './buffers.js'
import { NetlinkError, type ExtendedAck } from './errors.js'

/** One message to the kernel. */
export interface Request<T> {
  /** Who is asked for what, for errors and logs: `IPVS newDest`. */
  readonly name: string
  /** The object it is about, for errors and logs: `udp 192.168.50.100:53`. */
  readonly object?: string
  /** The message's type: a family's id, or an rtnetlink command. */
  readonly type: number
  /** Flags besides those of every request: `NLM_F_CREATE`, … @defaultValue 0 */
  readonly flags?: number
  /** Appends what follows the netlink header. @throws EncodeError, and then nothing of it is sent */
  write(to: Output): void
  /** Reads the body of an answer. A request without it is answered by an acknowledgement alone. @throws DecodeError */
  read?(from: Input, at: number, length: number): T
}

/** Requests, in order: an array, or what makes each as it is asked for, so that a long batch is never in memory whole. */
export interface Requests<T> {
  /** How many they are. */
  readonly length: number
  /** The request of this index, from 0. It holds until the next is asked for, and may be asked for again: for its answer, or its error. */
  at(index: number): Request<T> | undefined
}

/** How one request of a batch came out, in the shape of `Promise.allSettled`. */
export type Outcome<T> = PromiseSettledResult<T>

/** The value of the only outcome. @throws its reason, with the asker's stack: where it was heard of leads nowhere */
export function unwrap<T>([outcome]: readonly Outcome<T>[]): T {
  if (!outcome) throw new TypeError('nothing was asked')
  if (outcome.status === 'fulfilled') return outcome.value
  const reason: unknown = outcome.reason
  if (reason instanceof NetlinkError) Error.captureStackTrace(reason, unwrap)
  throw reason
}

/** Options of every request. */
export interface CallOptions {
  /** Gives up what was not sent yet, rejecting with the signal's reason. What was sent, the kernel has done. */
  readonly signal?: AbortSignal | undefined
}

/** The error of a request: the kernel's answer to it, or why it has none. */
export function refused(
  { name, object }: Request<unknown>, errno: number, { why, extack }: { why?: string; extack?: ExtendedAck | undefined } = {},
): NetlinkError {
  return new NetlinkError(errno, name, {
    ...object !== undefined && { object },
    ...extack && { extack },
    ...why !== undefined && { message: `${[name, object].filter(Boolean).join(' ')}: ${why}` },
  })
}
