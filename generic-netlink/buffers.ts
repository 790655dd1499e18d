/** The buffers that codecs read from and write into, and the host's byte order. */

import { endianness } from 'node:os'

/** The byte order of the host, as `DataView` takes it: true for little-endian. */
export const HOST = endianness() === 'LE'

/** Bytes to read, with a view of them as numbers. */
export class Input {
  readonly bytes: Uint8Array
  readonly view: DataView
  constructor(bytes: Uint8Array) {
    this.bytes = bytes
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }
}

/** A buffer to write into; it grows as needed. */
export class Output {
  bytes: Uint8Array
  view: DataView
  /** The number of bytes written. */
  length = 0

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Appends `size` undefined bytes, all of which the caller writes. Returns the first's offset. */
  take(size: number): number {
    const at = this.length
    const end = at + size
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2))
      grown.set(this.bytes)
      this.bytes = grown
      this.view = new DataView(grown.buffer)
    }
    this.length = end
    return at
  }

  /** Appends zeros up to the next multiple of four, the alignment of netlink. */
  align(): void { this.pad(-this.length & 3) }

  /** Appends `size` zeros. Fast for a few bytes only. */
  pad(size: number): void {
    if (size === 0) return
    let at = this.take(size)
    while (at < this.length) this.bytes[at++] = 0
  }

  /** Returns a copy of the bytes written. */
  finish(): Uint8Array { return this.bytes.slice(0, this.length) }
}
