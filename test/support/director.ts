/** A director for tests of the whole table. */

import { afterAll, beforeEach } from 'vitest'
import { Director } from '../../lib/index.js'
import { recording } from './kernel.js'

/** Opens a director that keeps what it sends. The table is empty before each test of the file, and after all. */
export async function recordedDirector(): Promise<{ readonly director: Director; readonly sent: Buffer[] }> {
  const { openSocket, sent } = recording()
  const director = await Director.open({ openSocket })
  beforeEach(() => director.flush())
  afterAll(async () => {
    await director.flush()
    await director.close()
  })
  return { director, sent }
}
