/** One value through a codec, as hexadecimal digits. */

import { Input, Output, type Codec, type Siblings } from '../../generic-netlink/index.js'

/** Writes a value into a new buffer. */
export const write = <T>(codec: Codec<T>, value: unknown, siblings: Siblings = {}): string => {
  const to = new Output(1)
  codec.write(to, value as T, siblings)
  return Buffer.from(to.finish()).toString('hex')
}

/** Reads a value from the middle of a buffer: the bytes around it are not the value's. */
export const read = <T>(codec: Codec<T>, hex: string, siblings: Siblings = {}): T => {
  const buffer = Buffer.from(`eeee${hex}ee`, 'hex')
  return codec.read(new Input(buffer), 2, buffer.length - 3, siblings)
}
