/**
 * A program that applies, or one that minds its own services, to be killed and to be disturbed:
 *
 *     node dist/test/support/applier.js apply SERVICES PORT          says "begin", and "done" with a number of steps, whenever it is told "go", or "go VARIANT"
 *     node dist/test/support/applier.js foreign PER-SECOND           adds and deletes services of its own until its stdin ends
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Director, type VirtualServiceSpec } from '../../lib/index.js'

/** The network that an applier owns. */
export const OWNED = '10.50.0.0/16'

/** What an applier wants: services with two real servers each. Another variant wants other schedulers, weights and second servers. */
export const wanted = (services: number, port: number, variant = 0): VirtualServiceSpec[] => Array.from({ length: services }, (_, i): VirtualServiceSpec => ({
  vip: `10.50.${i >> 8}.${i & 255}`, port, protocols: [i % 2 ? 'tcp' : 'udp'], scheduler: ['rr', 'wlc', 'sh'][(i + variant) % 3]!, forward: 'tunnel',
  realServers: [{ address: '10.60.0.1', weight: 1 + (i + variant) % 7 }, { address: `10.60.0.${2 + variant}`, weight: 3, thresholds: { upper: 100 + i } }],
}))

async function apply(services: number, port: number): Promise<void> {
  await using director = await Director.open()
  for await (const told of process.stdin) {
    const specs = wanted(services, port, Number(String(told).split(' ')[1] ?? 0))
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
