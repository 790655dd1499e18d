/** The contestant that applies plans: where it needs an empty table, it goes on to the next network namespace. */

import { createInterface } from 'node:readline'
import { Director, type Plan, type VirtualServiceSpec } from '../../lib/index.js'
import { longestTurn, timed } from './measure.js'
import { nextSpace, openInSpace, sent } from './spaces.js'
import { DESTINATIONS, rip, SERVICES, vip } from './table.js'

/** What is wanted; of every hundredth real server, another weight. */
const wanted = (weight: number, services = SERVICES): VirtualServiceSpec[] => Array.from({ length: services }, (_, i) => ({
  vip: vip(i), port: 80, protocols: ['udp'], scheduler: 'rr', forward: 'tunnel',
  realServers: Array.from({ length: DESTINATIONS }, (_, j) => ({ address: rip(i, j), weight: (i * DESTINATIONS + j) % 100 ? 1 : weight })),
}))

let director: Director | undefined
const specs: VirtualServiceSpec[][] = []
/** As little as may be lies in memory: the collector looks at all of it. */
const specsOf = (which: number): VirtualServiceSpec[] => specs[which] ??= wanted(which + 1)
let few: VirtualServiceSpec[] | undefined
let round = 0

const reconcile = async (list: readonly VirtualServiceSpec[]): Promise<Plan> => {
  const plan = await director!.plan(list)
  await plan.apply()
  return plan
}

/** Milliseconds that something takes with an empty table. */
async function anew(run: () => Promise<void>): Promise<number> {
  await director?.close()
  await nextSpace()
  director = await Director.open({ openSocket: openInSpace })
  round = 0
  return await timed(run)
}

const commands: Record<string, () => Promise<object>> = {
  async apply() {
    const list = specsOf(0)
    return { ms: await anew(async () => { await reconcile(list) }) }
  },
  /** A table of a thousand services, whatever the table's size: for the compiler. */
  warm: async () => ({ ms: await anew(async () => { await reconcile(few ??= wanted(1, 1000)) }) }),
  /** With 1 % changed. */
  async change() {
    const list = specsOf(round = 1 - round)
    let steps = 0
    const ms = await timed(async () => { steps = (await reconcile(list)).steps.length })
    return { ms, steps }
  },
  /** With nothing changed; the messages that were sent besides readings. */
  async nothing() {
    let plan: Plan | undefined
    const ms = await timed(async () => { plan = await reconcile(specsOf(round)) })
    const before = sent
    await plan!.apply()
    return { ms, steps: plan!.steps.length, sent: sent - before }
  },
  /** A listing, for comparison. */
  list: async () => ({ ms: await timed(async () => { await director!.list() }) }),
  /** The longest time between two turns of the event loop while a new table is programmed. */
  async stall() {
    let stall = 0
    const ms = await anew(async () => { stall = await longestTurn(() => reconcile(specsOf(0))) })
    return { ms, stall }
  },
  peak: () => Promise.resolve({ ms: 0, peak: process.resourceUsage().maxRSS / 1024 }),
}

for await (const line of createInterface(process.stdin)) console.log(JSON.stringify(await commands[line]!()))
process.exit(0)
