/** The codec: reads one value from the wire and writes it there. */

import type { Input, Output } from './buffers.js'
import { show } from './check.js'
import { EncodeError } from './errors.js'

/** The object's other values. While reading, only {@link Codec.after}'s is sure to be there. */
export type Siblings = Readonly<Record<string, unknown>>

/** Reads a value at an offset of a buffer and appends it to another: none has its own buffer. */
export interface Codec<T> {
  /** Reads the value from the `length` bytes at `at`. @throws DecodeError */
  read(from: Input, at: number, length: number, siblings: Siblings): T
  /** Appends the value. @throws EncodeError where the value does not fit */
  write(to: Output, value: T, siblings: Siblings): void
  /** The key of the sibling that the codec depends on; that sibling is read first. */
  readonly after?: string
}

/** A codec of constant size, as a C struct needs. */
export interface Fixed<T> extends Codec<T> {
  readonly size: number
  /** The alignment in a struct, in bytes. @defaultValue its size */
  readonly alignment?: number
}

/** The JavaScript type of a codec's values. */
export type Infer<C> = C extends Pick<Codec<infer T>, 'read'> ? T : never

/** Checks that a value is an object. @throws EncodeError */
export function fieldsOf(value: unknown): Siblings {
  if (typeof value !== 'object' || value === null) throw new EncodeError(`${show(value)} is not an object`)
  return value as Siblings
}
