/**
 * A program that applies, or one that minds its own services, to be killed and to be disturbed:
 *
 *     node dist/test/support/applier.js apply SERVICES PORT          says "begin", and "done" with a number of steps, whenever it is told "go"
 *     node dist/test/support/applier.js foreign PER-SECOND           adds and deletes services of its own until its stdin ends
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Director, type VirtualServiceSpec } from '../../lib/index.js'

/** The network that an applier owns. */
export const OWNED = '10.50.0.0/16'

/** What an applier wants: services with two real servers each. */
export const wanted = (services: number, port: number): VirtualServiceSpec[] => Array.from({ length: services }, (_, i): VirtualServiceSpec => ({
  vip: `10.50.${i >> 8}.${i & 255}`, port, protocols: [i % 2 ? 'tcp' : 'udp'], scheduler: ['rr', 'wlc', 'sh'][i % 3]!, forward: 'tunnel',
  realServers: [{ address: '10.60.0.1', weight: 1 + i % 7 }, { address: '10.60.0.2', weight: 3, thresholds: { upper: 100 + i } }],
}))

async function apply(services: number, port: number): Promise<void> {
  await using director = await Director.open()
  const specs = wanted(services, port)
  for await (const _ of process.stdin) {
    console.log('begin')
    const plan = await director.plan(specs, { prune: true, owner: OWNED, force: true })
    await plan.apply()
    console.log(`done ${plan.steps.length}`)
  }
}

async function foreign(perSecond: number): Promise<void> {
  await using director = await Director.open()
  let running = true, count = 0
  process.stdin.once('end', () => { running = false }).resume()
  console.log('begin')
  const goesOn = (): boolean => running
  for (let port = 1; goesOn(); port = 1 + port % 60_000) {
    const id = { vip: '10.51.0.1', port, protocols: ['tcp'] } as const
    await director.addService({ ...id, realServers: ['10.60.0.9'] }) // rejects where somebody has one of its own, or took one away
    await sleep(1000 / perSecond)
    await director.removeService(id)
    count++
  }
  console.log(`done ${count}`)
}

const [what, ...numbers] = process.argv.slice(2)
if (what === 'apply') await apply(Number(numbers[0]), Number(numbers[1]))
else if (what === 'foreign') await foreign(Number(numbers[0]))
