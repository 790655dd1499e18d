/** Commands to IPVS that the library itself never sends. */

import type { Director } from '../../lib/index.js'
import { throwFirst, type IpvsCommand } from '../../lib/ipvs/client.js'

/** Sends commands as they are. Rejects with the first error. */
export const sendRaw = async (director: Director, commands: readonly IpvsCommand[]): Promise<void> => throwFirst(await director.ipvs.attempt(commands))
