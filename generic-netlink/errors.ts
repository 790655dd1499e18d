/** The errors of netlink: refused requests, and values that do not fit the wire. */

import { getSystemErrorName } from 'node:util'

/** A system error's name; `(string & {})` keeps the list open while editors complete it. */
export type Errno =
  | 'EPERM' | 'ENOENT' | 'ESRCH' | 'EINTR' | 'ENOMEM' | 'EBUSY' | 'EEXIST' | 'ENODEV' | 'EINVAL' | 'ERANGE'
  | 'EOPNOTSUPP' | 'EAFNOSUPPORT' | 'ENOBUFS' | 'EMSGSIZE' | 'ETIMEDOUT' | 'ECANCELED' | 'ENOPROTOOPT' | (string & {})

/** The kernel's addition to an errno (`NETLINK_EXT_ACK`); none for services and destinations. */
export interface ExtendedAck {
  /** The kernel's own sentence. */
  readonly message?: string
  /** The offset of the wrong attribute in the request, in bytes from the message's header. */
  readonly offset?: number
  /** The number of the missing attribute. */
  readonly missing?: number
}

/** The details of a refused request besides its errno. */
export interface Refusal {
  /** The object of the request: `udp 192.168.50.100:53`. */
  readonly object?: string
  readonly extack?: ExtendedAck
  /** The whole sentence. @defaultValue the request and the error's name */
  readonly message?: string
  readonly cause?: unknown
}

/** The error of a request: the kernel refused it, or it could not be sent. */
export class NetlinkError extends Error {
  static { this.prototype.name = 'NetlinkError' }
  /** `EEXIST`, `ESRCH`, … as on Node's own system errors. */
  readonly code: Errno
  /** Negative, as on Node's own system errors. */
  readonly errno: number
  /** The family and the command: `IPVS newDest`. */
  readonly request: string
  /** The object, where the caller named one: `udp 192.168.50.100:53`. */
  declare readonly object?: string
  /** The kernel's own message, where it sent one. */
  declare readonly extack?: ExtendedAck

  constructor(errno: number, request: string, { object, extack, message, cause }: Refusal = {}) {
    const code = errorName(errno)
    const sentence = message ?? [request, object, extack?.message, code].filter(Boolean).join(': ')
    super(sentence, cause === undefined ? undefined : { cause })
    this.code = code
    this.errno = errno
    this.request = request
    if (object !== undefined) this.object = object
    if (extack) this.extack = extack
  }
}

/** One number, two names: `EOPNOTSUPP` in netlink's documentation, `ENOTSUP` in libuv. */
const errorName = (errno: number): Errno => {
  const name = errno < 0 ? getSystemErrorName(errno) : `E${errno}`
  return name === 'ENOTSUP' ? 'EOPNOTSUPP' : name
}

/** The negative errno of an error of the addon, which has it positive, or of `node:fs`. */
export const errnoOf = (error: unknown): number => {
  const { errno } = error as { errno?: unknown }
  return typeof errno === 'number' && errno !== 0 ? -Math.abs(errno) : EIO
}

const EIO = -5

/** The error of bytes that do not match the table. */
export class DecodeError extends Error {
  static { this.prototype.name = 'DecodeError' }
  readonly code = 'ERR_NETLINK_DECODE'
  /** The kernel's names of the attributes down to the wrong one, outermost first. */
  readonly path: readonly string[]
  readonly #problem: string
  constructor(problem: string, path: readonly string[] = []) {
    super(path.length ? `${path.join(' > ')}: ${problem}` : problem)
    this.#problem = problem
    this.path = path
  }

  /** Returns the same error with one more attribute at the front of its path. */
  within(name: string): DecodeError { return new DecodeError(this.#problem, [name, ...this.path]) }
}

/** The error of a value that does not fit its attribute. Thrown before anything is sent. */
export class EncodeError extends RangeError {
  static { this.prototype.name = 'EncodeError' }
  readonly code = 'ERR_NETLINK_ENCODE'
  /** The kernel's names of the attributes down to the wrong one, outermost first. */
  readonly path: readonly string[]
  readonly #problem: string
  constructor(problem: string, path: readonly string[] = []) {
    super(path.length ? `${path.join(' > ')}: ${problem}` : problem)
    this.#problem = problem
    this.path = path
  }

  /** Returns the same error with one more attribute at the front of its path. */
  within(name: string): EncodeError { return new EncodeError(this.#problem, [name, ...this.path]) }
}
