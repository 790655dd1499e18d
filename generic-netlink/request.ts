/** A request to the kernel, and its outcome. */

import type { Input, Output } from './buffers.js'
import { abortSignal, optionsOf } from './check.js'
import { NetlinkError, type ExtendedAck } from './errors.js'

/** One message to the kernel. */
export interface Request<T> {
  /** The family and the command, for errors and logs: `IPVS newDest`. */
  readonly name: string
  /** The object, for errors and logs: `udp 192.168.50.100:53`. */
  readonly object?: string
  /** The message's type: a family's id, or an rtnetlink command. */
  readonly type: number
  /** Flags in addition to `NLM_F_REQUEST`: `NLM_F_CREATE`, … @defaultValue 0 */
  readonly flags?: number
  /** Appends the body behind netlink's header. @throws EncodeError, and the request is not sent */
  write(to: Output): void
  /** Reads an answer; a request without `read` is only acknowledged. @throws DecodeError */
  read?(from: Input, at: number, length: number): T
}

/** The value of the only outcome. @throws its reason, with the stack of the caller */
export function unwrap<T>([outcome]: readonly PromiseSettledResult<T>[]): T {
  if (!outcome) throw new TypeError('there is no outcome')
  if (outcome.status === 'fulfilled') return outcome.value
  const reason: unknown = outcome.reason
  if (reason instanceof NetlinkError) Error.captureStackTrace(reason, unwrap)
  throw reason
}

/** Options of every request. */
export interface CallOptions {
  /** Rejects unsent requests with the signal's reason. The kernel still carries out the others. */
  readonly signal?: AbortSignal | undefined
}

/** The check of {@link CallOptions}. */
export const callOptions = optionsOf<CallOptions>({ signal: abortSignal })

/** Makes the error of a request: the kernel's answer, or the reason why there is none. */
export function refused(
  { name, object }: Request<unknown>, errno: number,
  { why, extack }: { why?: string; extack?: ExtendedAck | undefined } = {},
): NetlinkError {
  return new NetlinkError(errno, name, {
    ...object !== undefined && { object },
    ...extack && { extack },
    ...why !== undefined && { message: `${[name, object].filter(Boolean).join(' ')}: ${why}` },
  })
}
