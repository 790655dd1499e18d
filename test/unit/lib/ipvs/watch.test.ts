import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { serviceName } from '../../../../lib/ipvs/names.js'
import type { RealServerState, Service, ServiceState } from '../../../../lib/ipvs/model.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { changesOf } from '../../../../lib/ipvs/watch.js'
import { readRealServer } from '../../../../lib/ipvs/real-server.js'
import { readService } from '../../../../lib/ipvs/service.js'
import { virtualServices } from '../../../support/services.js'

const { stats } = readService({})
const stateOf = (service: Service): ServiceState => ({ ...service, stats, realServers: service.realServers.map((server): RealServerState => ({ ...readRealServer({}), ...server })) })
const table = (services: readonly Service[]): Map<string, ServiceState> => new Map(services.map(service => [serviceName(service), stateOf(service)]))
const told = (before: Map<string, ServiceState>, after: Map<string, ServiceState>, traffic = true): string[] =>
  [...changesOf(before, after, traffic)].map(({ action, service, server }) => `${action} ${serviceName(service)}${server ? ` ${server.address}` : ''}`)

describe('changes from one look to the next', () => {
  it('are none where nothing differs, and name what came and went', () => {
    fc.assert(fc.property(virtualServices(), virtualServices(), (a, b) => {
      const before = table(a.flatMap(normalize)), after = table(b.flatMap(normalize))
      expect(told(before, table(a.flatMap(normalize)))).toEqual([])
      const both = [...before.keys()].filter(name => after.has(name))
      const lines = told(before, after)
      expect(lines.filter(line => line.startsWith('remove') && before.has(line.slice(7)))).toHaveLength(before.size - both.length)
      expect(lines.filter(line => line.startsWith('add') && after.has(line.slice(4)))).toHaveLength(after.size - both.length)
    }))
  })

  it('tell traffic from other changes, and leave it out where nobody asks for it', () => {
    const services = normalize({ vip: '192.0.2.1', port: 80, protocols: ['tcp'], realServers: ['198.51.100.1', '198.51.100.2'] })
    const before = table(services), after = table(services)
    const [service] = after.values()
    service!.realServers[0]!.activeConnections = 1
    service!.realServers[1]!.weight = 9
    service!.stats = { ...stats, rates: { ...stats.rates, bytesIn: 5 } }
    expect(told(before, after)).toEqual(['change tcp 192.0.2.1:80 198.51.100.2', 'traffic tcp 192.0.2.1:80', 'traffic tcp 192.0.2.1:80 198.51.100.1'])
    expect(told(before, after, false)).toEqual(['change tcp 192.0.2.1:80 198.51.100.2'])
    const [change] = changesOf(before, after, false)
    expect([change!.before, (change!.server)!.weight]).toMatchObject([{ weight: 1 }, 9])
  })
})
