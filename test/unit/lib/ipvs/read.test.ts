/** What a listing gives: states that are true, that can be edited and given back, and that JSON can hold. */

import { beforeEach, describe, expect, it } from 'vitest'
import { Director, VirtualService, type VirtualServiceSpec } from '../../../../lib/index.js'
import { FakeKernel } from '../../../support/fake-kernel.js'

const GET_SERVICE = 4, GET_DEST = 8

const specs = (count: number, servers: number): VirtualServiceSpec[] => Array.from({ length: count }, (_, i) => ({
  vip: `192.0.2.${i + 1}`, port: 80, protocols: ['tcp'], realServers: Array.from({ length: servers }, (_, n) => `198.51.100.${n + 1}`),
}))

let kernel: FakeKernel
let director: Director
beforeEach(async () => {
  kernel = new FakeKernel()
  kernel.wrong.events = false
  director = await Director.open({ openSocket: kernel.open })
})
/** Fills the table; then `then` is called with each command to IPVS before the kernel works on it. */
const fill = async (services: readonly VirtualServiceSpec[], then: (command: number) => void = () => {}): Promise<void> => {
  await (await director.plan(services)).apply()
  kernel.wrong.onSend = datagram => { if (datagram.readUInt16LE(4) === kernel.familyId) then(datagram[16]!) }
}

describe('a listing', () => {
  it('leaves out services that are deleted meanwhile, whatever of them it has read', async () => {
    let dumps = 0
    await fill(specs(200, 2), command => {
      if (command !== GET_DEST || ++dumps !== 11) return
      for (const name of [...kernel.ipvs.services.keys()].slice(5)) kernel.ipvs.services.delete(name)
    })
    const listed = await director.list()
    expect(listed.filter(({ realServers }) => realServers.length !== 2)).toEqual([])
    expect(listed.length).toBeLessThan(20)
    expect(listed.length).toBeGreaterThanOrEqual(5)
  })
  it('has services without real servers, and looks each of them up once more', async () => {
    const commands: number[] = []
    await fill([...specs(1, 3), { vip: '203.0.113.1', port: 80, protocols: ['tcp'], realServers: [] }], command => commands.push(command))
    expect((await director.list()).map(({ realServers }) => realServers.length).sort()).toEqual([0, 3])
    expect(commands).toEqual([GET_SERVICE, GET_DEST, GET_DEST, GET_SERVICE])
  })
})

describe('a state', () => {
  it('can be edited in every part, and given back', async () => {
    await fill(specs(2, 2))
    const states = await director.list()
    const [first, second] = states
    const parts = (value: unknown): object[] => typeof value === 'object' && value !== null ? [value, ...Object.values(value).flatMap(parts)] : []
    expect(parts(states).filter(part => Object.isFrozen(part) && Object.keys(part).length > 0)).toEqual([])
    expect(new Set(parts(states)).size).toBe(parts(states).length) // what is edited here is not edited there
    first!.realServers[0]!.thresholds.upper = 10
    first!.stats.rates.bytesIn = 7
    second!.scheduler = 'rr'
    expect((await director.plan(states as VirtualServiceSpec[])).steps.map(({ action }) => action)).toEqual(['change', 'change'])
  })
  it('is JSON with counters as decimal strings, and prints as a plain object', async () => {
    await fill(specs(1, 1))
    const states = await director.list()
    expect(JSON.parse(JSON.stringify(states))).toMatchObject([{
      vip: '192.0.2.1', realServers: [{ address: '198.51.100.1', weight: 1 }],
      stats: { connections: '0', packetsIn: '0', packetsOut: '0', bytesIn: '0', bytesOut: '0', rates: { connections: 0 } },
    }])
    states[0]!.stats.bytesIn = 2n ** 64n - 1n
    expect(JSON.stringify(states[0]!.stats)).toContain('"bytesIn":"18446744073709551615"')
    expect(structuredClone(states)).toEqual(states)
  })
})

describe('an IPv6 address in another spelling', () => {
  const web: VirtualServiceSpec = { vip: '2001:db8::80', port: 80, protocols: ['tcp'], forward: 'masq', realServers: [{ address: '2001:db8:1::1', port: 8080 }] }
  it('finds its service and its server', async () => {
    await fill([web])
    expect(await director.get({ vip: '2001:DB8:0:0::80', port: 80, protocol: 'tcp' })).toHaveLength(1)
    const service = await VirtualService.open(web, { director })
    await service.realServer('2001:0DB8:1:0::0001').setWeight(7)
    const [state] = await service.state()
    expect(state!.realServers).toMatchObject([{ address: '2001:db8:1::1', port: 8080, weight: 7 }])
  })
})

describe('watch()', () => {
  it('return() answers at once, and ends a next() that waits', async () => {
    await fill(specs(1, 1))
    const watch = director.watch({ interval: 60_000 })
    const next = watch.next()
    await director.list() // the first poll is done
    const began = performance.now()
    expect(await watch.return(undefined as never)).toEqual({ done: true, value: undefined })
    expect(await next).toEqual({ done: true, value: undefined })
    expect(await watch.next()).toEqual({ done: true, value: undefined })
    expect(performance.now() - began).toBeLessThan(1000)
  })
  it('ends with the reason of its signal, and of nothing else', async () => {
    const stop = new AbortController(), reason = new Error('enough')
    const next = director.watch({ interval: 60_000, signal: stop.signal }).next()
    await director.list()
    stop.abort(reason)
    await expect(next).rejects.toBe(reason)
  })
  it('tells changes, and a loop may leave', async () => {
    await fill(specs(1, 1))
    const [service] = specs(1, 1)
    const edit = setInterval(() => void director.changeRealServer({ vip: service!.vip!, port: 80, protocol: 'tcp' }, { address: '198.51.100.1', weight: 9 }), 5)
    for await (const { action, server } of director.watch({ interval: 10 })) {
      clearInterval(edit)
      expect([action, server?.weight]).toEqual(['change', 9])
      break
    }
  })
})
