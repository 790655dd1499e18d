/** The buffer that the sockets of a thread read into, one after the other. */

import { Input } from './buffers.js'

/** Above a dump's parts (32 KB); constant: the kernel sizes parts by the largest buffer seen. */
const READ_SIZE = 65536

let idle: Input | undefined

/** Lends the buffer; another one, while a listener reads from another socket. */
export function takeBuffer(): Input {
  const input = idle ?? new Input(new Uint8Array(READ_SIZE))
  idle = undefined
  return input
}

/** Takes the buffer back. */
export function giveBack(input: Input): void { idle = input }
