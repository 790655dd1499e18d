import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Changes, inverse, type Change } from '../../../../lib/ipvs/changes.js'
import { differences, type Pruning } from '../../../../lib/ipvs/diff.js'
import { serviceName } from '../../../../lib/ipvs/names.js'
import type { RealServerState, Service, ServiceState, VirtualServiceSpec } from '../../../../lib/ipvs/model.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { readRealServer } from '../../../../lib/ipvs/real-server.js'
import { readService } from '../../../../lib/ipvs/service.js'
import { virtualServices } from '../../../support/services.js'

const IDLE = readService({}).stats

/** What the kernel would report of these services. */
const states = (services: readonly Service[]): ServiceState[] => services.map(service => ({
  ...service, stats: IDLE, realServers: service.realServers.toReversed().map((server): RealServerState => ({ ...readRealServer({}), ...server })),
}))

const nameOf = ({ address, port }: { address: string; port: number }): string => `${address} ${port}`

/** A table that takes changes as the kernel does, and refuses what it would. */
class Table {
  readonly services: Map<string, Service>
  constructor(services: readonly Service[]) { this.services = new Map(services.map(service => [serviceName(service), service])) }
  take({ action, service, server }: Change): void {
    const name = serviceName(service)
    const there = this.services.get(name)
    expect(there === undefined).toBe(action === 'add' && !server)
    if (!server) {
      if (action === 'remove') this.services.delete(name)
      else this.services.set(name, { ...service, realServers: there?.realServers ?? [] })
      return
    }
    const others = there!.realServers.filter(each => nameOf(each) !== nameOf(server))
    expect(others.length === there!.realServers.length).toBe(action === 'add')
    this.services.set(name, { ...there!, realServers: action === 'remove' ? others : [server, ...others] })
  }

  get list(): Service[] { return [...this.services.values()] }
}

const all = { prune: true, owned: () => true } satisfies Pruning
const summary = ({ action, service, server }: Change): string => `${action} ${service.protocol as string}${server ? ` ${server.address}` : ''}`

const spec: VirtualServiceSpec = { vip: '192.0.2.1', port: 80, protocols: ['tcp', 'udp'], forward: 'tunnel', realServers: ['198.51.100.1', '198.51.100.2'] }
const specWith = (changed: Partial<VirtualServiceSpec>): Service[] => normalize({ ...spec, ...changed } as VirtualServiceSpec)

describe('Changes', () => {
  it('are found by their indices, in whatever order one asks', () => {
    const kept = fc.array(fc.tuple(fc.boolean(), fc.nat(3)), { maxLength: 20 })
    fc.assert(fc.property(kept, fc.array(fc.integer({ min: -1, max: 90 }), { maxLength: 40 }), (kept, indices) => {
      const changes = new Changes(), expected: Change[] = []
      for (const [whole, count] of kept) {
        const [service] = specWith({ realServers: Array.from({ length: count }, (_, i) => `198.51.100.${i + 1}`) }) as [Service]
        const added: Change[] = [{ action: 'add', service }, ...service.realServers.map((server): Change => ({ action: 'add', service, server }))]
        if (whole) changes.pushAll(service)
        else added.forEach(change => changes.push(change))
        expected.push(...added)
      }
      expect([...changes]).toEqual(expected)
      for (const i of indices) expect(changes.at(i)).toEqual(expected.find((_, n) => n === i))
    }))
  })
})

describe('differences', () => {
  it('are none where all is as wanted, whatever the order', () => {
    fc.assert(fc.property(virtualServices({ local: true }), specs => {
      const wanted = specs.flatMap(normalize)
      expect(differences(wanted, states(wanted).toReversed(), all)).toEqual([])
      expect(differences(wanted, states(wanted.map(service => ({ ...service, realServers: service.realServers.toReversed() }))), all)).toEqual([])
    }))
  })

  it('made, make of any table what is wanted; taken back, what it was', () => {
    fc.assert(fc.property(virtualServices({ local: true }), virtualServices({ local: true }), fc.boolean(), (a, b, kin) => {
      // Two unrelated tables have little in common: let them share services, some as they are and some otherwise.
      const before = states(a.flatMap(normalize))
      const wanted = [...new Map([...kin ? before.map((service, i): Service => ({
        ...service, scheduler: i % 3 ? service.scheduler : 'rr', schedulerFlags: i % 3 ? service.schedulerFlags : [],
        realServers: service.realServers.slice(i % 2).map((server, n) => ({ ...server, weight: n % 2 ? server.weight : 7 })),
      })) : [], ...b.flatMap(normalize)].map(service => [serviceName(service), service])).values()]
      const table = new Table(before)
      const changes = differences(wanted, before, all)
      changes.forEach(change => table.take(change))
      expect(differences(wanted, table.list, all)).toEqual([])
      expect(table.services.size).toBe(wanted.length)
      changes.toReversed().flatMap(inverse).forEach(change => table.take(change))
      expect(differences(before, table.list, all)).toEqual([])
      expect(table.services.size).toBe(before.length)
    }))
  })

  it('never leave a service that had capacity without it', () => {
    fc.assert(fc.property(virtualServices({ minLength: 1 }), fc.infiniteStream(fc.nat({ max: 3 })), (specs, numbers) => {
      const next = (): number => Number(numbers.next().value)
      const before = states(specs.flatMap(normalize))
      const wanted = before.map((service): Service => ({
        ...service,
        realServers: [
          ...service.realServers.filter(() => next() > 0).map(server => ({ ...server, weight: next() })),
          { address: '198.51.100.77', port: 7, forward: 'masq', weight: next(), thresholds: { upper: 0, lower: 0 } },
        ],
      }))
      const weightOf = (service: Service): number => service.realServers.reduce((sum, { weight }) => sum + Math.min(weight, 1), 0)
      const table = new Table(before)
      for (const change of differences(wanted, before, { prune: true })) {
        table.take(change)
        const name = serviceName(change.service)
        const least = Math.min(...[before, wanted].map(services => weightOf(services.find(service => serviceName(service) === name)!)))
        expect(weightOf(table.services.get(name)!)).toBeGreaterThanOrEqual(least)
      }
    }))
  })

  it.each<[changed: Partial<VirtualServiceSpec>, changes: string[], pruned?: string[]]>([
    [{ scheduler: 'sh' },                               ['change tcp', 'change udp']],
    [{ schedulerFlags: ['flag-1'] },                    ['change tcp', 'change udp']],
    [{ onePacket: true },                               ['change udp']],
    [{ persistence: { timeout: 10 } },                  ['change tcp', 'change udp']],
    [{ netmask: '255.0.0.0' },                          ['change tcp', 'change udp']],
    [{ forward: { kind: 'gre' } },                    ['change tcp 198.51.100.1', 'change tcp 198.51.100.2', 'change udp 198.51.100.1', 'change udp 198.51.100.2']],
    [{ forward: { kind: 'gue', port: 6080 } },        ['change tcp 198.51.100.1', 'change tcp 198.51.100.2', 'change udp 198.51.100.1', 'change udp 198.51.100.2']],
    [{ realServers: ['198.51.100.1', '198.51.100.3'] }, ['add tcp 198.51.100.3', 'add udp 198.51.100.3'], ['remove tcp 198.51.100.2', 'remove udp 198.51.100.2']],
    [{ realServers: [{ address: '198.51.100.1', weight: 0 }, { address: '198.51.100.2', weight: 9 }] },
      ['change tcp 198.51.100.2', 'change tcp 198.51.100.1', 'change udp 198.51.100.2', 'change udp 198.51.100.1']],
    [{ realServers: ['198.51.100.1', { address: '198.51.100.2', thresholds: { upper: 1 } }] }, ['change tcp 198.51.100.2', 'change udp 198.51.100.2']],
    [{ realServers: [] },                               [], ['remove tcp 198.51.100.2', 'remove tcp 198.51.100.1', 'remove udp 198.51.100.2', 'remove udp 198.51.100.1']],
    [{ protocols: ['tcp'] }, []],
  ])('%j', (changed, changes, pruned = []) => {
    const actual = states(normalize(spec))
    expect(differences(specWith(changed), actual).map(summary)).toEqual(changes)
    expect(differences(specWith(changed), actual, { prune: true }).map(summary)).toEqual([...changes, ...pruned])
  })

  it('removes services of its owner that nobody wants, after all real servers', () => {
    const actual = states(normalize(spec))
    const own = differences(specWith({ protocols: ['tcp'], realServers: ['198.51.100.1'] }), actual, { prune: true, owned: ({ protocol }) => protocol === 'udp' })
    expect(own.map(summary)).toEqual(['remove tcp 198.51.100.2', 'remove udp'])
    expect(differences([], actual, { prune: true, owned: () => false })).toEqual([])
    expect(differences([], actual, { owned: () => true })).toEqual([])
  })
})
