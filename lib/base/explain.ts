/**
 * Errors as sentences: `cannot add link tun0: it is there already (EEXIST)`.
 *
 * The reasons stay with their subjects, in tables by verb, kind of object and error:
 * `'add link EEXIST'`. `*` stands for every verb, and for every kind.
 *
 * @module
 */

import { constants } from 'node:os'
import { NetlinkError, type Errno } from '../../generic-netlink/core.js'

/** A request, as an error describes it. */
export interface Asked {
  /** The verb of the sentence, and the kind of object in tables of reasons: `add`, `link`. */
  readonly verb: string
  readonly kind: string
  /** The object of the sentence: `link tun0`. */
  readonly object: string
}

/** Reasons by verb, kind of object and error. A function may leave the question to the next row. */
export type Reasons<A extends Asked = Asked> = Readonly<Record<string, string | ((asked: A) => string | undefined)>>

/** Errors of the connection itself, which describes them: the request or its answer was lost. */
const CONNECTION_ERRORS: ReadonlySet<Errno> = new Set(['ECANCELED', 'ETIMEDOUT', 'ENOBUFS', 'EMSGSIZE', 'ENODATA'])

/** An error with the object and the sentence. `why` goes before the table's reasons. */
export function explained<A extends Asked>(error: unknown, asked: A, reasons: Reasons<A>, why?: string): unknown {
  if (!(error instanceof NetlinkError)) return error
  const { errno, code, request, extack } = error
  const message = CONNECTION_ERRORS.has(code) ? error.message : sentence(asked, code, [
    why ?? reasonFor(asked, code, reasons),
    extack?.message === undefined ? undefined : `the kernel says: ${extack.message}`,
  ])
  const better = new NetlinkError(
    errno, request, { object: asked.object, ...extack && { extack }, message, cause: error })
  Error.captureStackTrace(better, explained)
  return better
}

/** An error in the kernel's form, for a failure that the kernel does not report. */
export function refusal(code: keyof typeof constants.errno, request: string, asked: Asked, why: string): NetlinkError {
  const message = sentence(asked, code, [why])
  return new NetlinkError(-constants.errno[code], request, { object: asked.object, message })
}

function sentence({ verb, object }: Asked, code: Errno, parts: readonly (string | undefined)[]): string {
  const why = parts.filter(part => part !== undefined).join('; ')
  return `cannot ${verb} ${object}: ${why === '' ? code : `${why} (${code})`}`
}

function reasonFor<A extends Asked>(asked: A, code: Errno, reasons: Reasons<A>): string | undefined {
  for (const verb of [asked.verb, '*']) {
    for (const kind of [asked.kind, '*']) {
      const found = reasons[`${verb} ${kind} ${code}`]
      const why = typeof found === 'function' ? found(asked) : found
      if (why !== undefined) return why
    }
  }
  return undefined
}
