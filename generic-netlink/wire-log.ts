/** The log of every byte. */

import { logger } from './log.js'

export const wire = logger('ipvs-nl:wire')

export const hex = ({ buffer, byteOffset, length }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, length).toString('hex')
