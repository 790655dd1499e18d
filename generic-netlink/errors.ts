/** What can go wrong between a value and the kernel's answer to it. */

import { getSystemErrorName } from 'node:util'

/** A system error's name; `(string & {})` keeps the list open while editors complete it. */
export type Errno =
  | 'EPERM' | 'ENOENT' | 'ESRCH' | 'EINTR' | 'ENOMEM' | 'EBUSY' | 'EEXIST' | 'ENODEV' | 'EINVAL' | 'ERANGE' | 'EOPNOTSUPP' | 'EAFNOSUPPORT'
  | 'ENOBUFS' | 'EMSGSIZE' | 'ETIMEDOUT' | 'ECANCELED' | 'ENOPROTOOPT' | (string & {})

/** What the kernel adds to an errno where it has more to say (`NETLINK_EXT_ACK`). IPVS says nothing for services and destinations. */
export interface ExtendedAck {
  /** The kernel's own sentence. */
  readonly message?: string
  /** Where in the request the attribute at fault begins, in bytes from the message's header. */
  readonly offset?: number
  /** The number of the attribute that was missing. */
  readonly missing?: number
}

/** What is known about a refused request besides its errno. */
export interface Refusal {
  /** The object it was about: `udp 192.168.50.100:53`. */
  readonly object?: string
  readonly extack?: ExtendedAck
  /** The whole sentence for a person. @defaultValue the request and the error's name */
  readonly message?: string
  readonly cause?: unknown
}

/** The kernel refused a request, or the request could not be brought to it. */
export class NetlinkError extends Error {
  static { this.prototype.name = 'NetlinkError' }
  /** `EEXIST`, `ESRCH`, … as on Node's own system errors. */
  readonly code: Errno
  /** Negative, as on Node's own system errors. */
  readonly errno: number
  /** Who was asked for what: `IPVS newDest`. */
  readonly request: string
  /** The object it was about, where the caller named one: `udp 192.168.50.100:53`. */
  declare readonly object?: string
  /** The kernel's own words, where it has any. */
  declare readonly extack?: ExtendedAck

  constructor(errno: number, request: string, { object, extack, message, cause }: Refusal = {}) {
    const code = errorName(errno)
    super(message ?? [request, object, extack?.message, code].filter(Boolean).join(': '), cause === undefined ? undefined : { cause })
    this.code = code
    this.errno = errno
    this.request = request
    if (object !== undefined) this.object = object
    if (extack) this.extack = extack
  }
}

/** Linux has one number for two names; the kernel's documentation of netlink says `EOPNOTSUPP`, libuv says `ENOTSUP`. */
const errorName = (errno: number): Errno => {
  const name = errno < 0 ? getSystemErrorName(errno) : `E${errno}`
  return name === 'ENOTSUP' ? 'EOPNOTSUPP' : name
}

/** The bytes do not say what the table says they should. */
export class DecodeError extends Error {
  static { this.prototype.name = 'DecodeError' }
  readonly code = 'ERR_NETLINK_DECODE'
  /** Kernel names of the attributes down to the faulty one, outermost first. */
  readonly path: readonly string[]
  readonly #what: string
  constructor(what: string, path: readonly string[] = []) {
    super(path.length ? `${path.join(' > ')}: ${what}` : what)
    this.#what = what
    this.path = path
  }

  /** The same error, one attribute further out. */
  within(name: string): DecodeError { return new DecodeError(this.#what, [name, ...this.path]) }
}

/** The value does not fit the attribute that should carry it. Thrown before anything is sent. */
export class EncodeError extends RangeError {
  static { this.prototype.name = 'EncodeError' }
  readonly code = 'ERR_NETLINK_ENCODE'
  /** Kernel names of the attributes down to the faulty one, outermost first. */
  readonly path: readonly string[]
  readonly #what: string
  constructor(what: string, path: readonly string[] = []) {
    super(path.length ? `${path.join(' > ')}: ${what}` : what)
    this.#what = what
    this.path = path
  }

  /** The same error, one attribute further out. */
  within(name: string): EncodeError { return new EncodeError(this.#what, [name, ...this.path]) }
}
