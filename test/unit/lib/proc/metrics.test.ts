import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { formatMetrics, type MetricsFormat } from '../../../../lib/proc/metrics.js'
import { serviceFamily, serviceName } from '../../../../lib/ipvs/names.js'
import type { ServiceState, Stats } from '../../../../lib/ipvs/model.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { virtualServices } from '../../../support/services.js'

// ── what a reader makes of the text ──

interface Sample { readonly name: string; readonly labels: Record<string, string>; readonly value: string }
interface Family { readonly name: string; type?: string; unit?: string; help?: string; readonly samples: Sample[] }

const LABELS = /([a-z_]+)="((?:[^"\\\n]|\\["\\n])*)"(?:,(?!$)|$)/gy

function readLabels(text: string): Record<string, string> {
  const found = [...text.matchAll(LABELS)]
  expect(found.map(([all]) => all).join('')).toBe(text)
  const labels = Object.fromEntries(found.map(([, name, value]) => [name!, value!.replace(/\\(.)/g, (_, c: string) => c === 'n' ? '\n' : c)]))
  expect(Object.keys(labels)).toHaveLength(found.length)
  return labels
}

/** Reads a text strictly: families in one piece, each with a type and help before its samples, named as its format wants, and no sample twice. */
function read(text: string, format: MetricsFormat): Map<string, Family> {
  const families = new Map<string, Family>()
  const seen = new Set<string>()
  let family: Family | undefined
  const lines = text.split('\n')
  expect(lines.pop()).toBe('')
  if (format === 'openmetrics') expect(lines.pop()).toBe('# EOF')
  for (const line of lines) {
    const [, word, name, rest] = /^# (TYPE|UNIT|HELP) (ipvs_[a-z_]+) (.+)$/.exec(line) ?? []
    if (word !== undefined) {
      if (family?.name !== name) {
        expect(families.has(name!)).toBe(false)
        families.set(name!, family = { name: name!, samples: [] })
      }
      const key = word.toLowerCase() as 'type' | 'unit' | 'help'
      expect(family!.samples).toEqual([])
      expect(family![key]).toBeUndefined()
      family![key] = rest!
      continue
    }
    const [, sample, labels = '', value] = /^(ipvs_[a-z_]+)(?:\{(.+)\})? (\d+)$/.exec(line)!
    const suffix = { counter: '_total', gauge: '', info: '_info' }[family!.type!]!
    expect(sample).toBe(format === 'openmetrics' ? family!.name + suffix : family!.name)
    const read = readLabels(labels)
    const id = `${sample} ${JSON.stringify(Object.entries(read).sort())}`
    expect(seen.has(id)).toBe(false)
    seen.add(id)
    family!.samples.push({ name: sample!, labels: read, value: value! })
  }
  for (const { name, type, unit, help, samples } of families.values()) {
    expect(help).toMatch(/^[^\\"]+\.$/)
    expect(samples).not.toEqual([])
    if (format === 'openmetrics') {
      expect(['counter', 'gauge', 'info']).toContain(type)
      expect(name).not.toMatch(/_(total|info)$/)
      expect(unit).toBe(/_(bytes|seconds)$/.exec(name)?.[1])
    } else {
      expect(type).toBe(name.endsWith('_total') ? 'counter' : 'gauge')
      expect(unit).toBeUndefined()
    }
  }
  return families
}

// ── what there is ──

const u64 = fc.bigInt(0n, 2n ** 64n - 1n)
const stats: fc.Arbitrary<Stats> = fc.record({
  connections: u64, packetsIn: u64, packetsOut: u64, bytesIn: u64, bytesOut: u64,
  rates: fc.constant({ connections: 1, packetsIn: 1, packetsOut: 1, bytesIn: 1, bytesOut: 1 }),
})
/** Whatever a foreign program may have called it. */
const scheduler = fc.oneof(fc.constant('rr'), fc.string({ unit: fc.constantFrom('a', '"', '\\', '\n', '{', '}', ',', ' ', '=', 'ä'), minLength: 1, maxLength: 15 }))
const count = fc.nat(0x7fffffff)
const states: fc.Arbitrary<ServiceState[]> = virtualServices({ maxLength: 6 }).chain(specs => fc.tuple(...specs.flatMap(normalize).map(service => fc.record({
  scheduler, stats,
  realServers: fc.tuple(...service.realServers.map(server =>
    fc.record({ activeConnections: count, inactiveConnections: count, persistentConnections: count, stats }).map(counted => ({ ...server, ...counted })))),
}).map((rest): ServiceState => ({ ...service, ...rest })))))

const keyLabels = (service: ServiceState): Record<string, string> => service.fwmark === undefined
  ? { protocol: String(service.protocol), vip: service.vip, port: String(service.port), family: serviceFamily(service) }
  : { fwmark: String(service.fwmark), family: service.family }
const counted = (stats: Stats, prefix: string): [string, bigint][] => [
  [`${prefix}_connections_total`, stats.connections],
  [`${prefix}_incoming_packets_total`, stats.packetsIn], [`${prefix}_outgoing_packets_total`, stats.packetsOut],
  [`${prefix}_incoming_bytes_total`, stats.bytesIn], [`${prefix}_outgoing_bytes_total`, stats.bytesOut],
]

describe.each(['openmetrics', 'prometheus'] as const)('%s', format => {
  it('tells each service and real server apart, with all there is to tell, to the last bit', () => {
    fc.assert(fc.property(states, stats, (services, totals) => {
      const text = formatMetrics({ services, totals, cpus: [{ cpu: 0, ...totals }, { cpu: 10, ...totals }] }, { format })
      const samples = new Map([...read(text, format).values()].flatMap(family => family.samples).map(({ name, labels, value }) =>
        [`${name} ${JSON.stringify(Object.entries(labels).sort())}`, value]))
      const expected = new Map<string, string>()
      const expectSample = (name: string, labels: Record<string, string | number | undefined>, value: bigint | number): unknown =>
        expected.set(`${name} ${JSON.stringify(Object.entries(labels).filter(([, v]) => v !== undefined).map(([k, v]) => [k, String(v)]).sort())}`, String(value))
      for (const [name, value] of counted(totals, 'ipvs')) expectSample(name, {}, value)
      for (const cpu of [0, 10]) for (const [name, value] of counted(totals, 'ipvs_cpu')) expectSample(name, { cpu }, value)
      for (const service of services) {
        const key = keyLabels(service)
        const { persistence } = service
        expectSample('ipvs_service_info', {
          ...key, scheduler: service.scheduler, scheduler_flags: service.schedulerFlags.join() || undefined, one_packet: service.onePacket ? 'true' : undefined,
          persistence_netmask: persistence?.netmask, persistence_engine: persistence?.engine,
        }, 1)
        expectSample('ipvs_service_real_servers', key, service.realServers.length)
        if (persistence) expectSample('ipvs_service_persistence_timeout_seconds', key, persistence.timeout)
        for (const [name, value] of counted(service.stats, 'ipvs_service')) expectSample(name, key, value)
        for (const server of service.realServers) {
          const both = { ...key, server: server.address, server_port: server.port }
          const way = server.forward as { kind: string; port?: number; checksum?: string } | string
          expectSample('ipvs_real_server_info', {
            ...both, ...way === 'tunnel' ? { forward: way, tunnel: 'ipip' } : typeof way === 'string' ? { forward: way } : { forward: 'tunnel', tunnel: way.kind, tunnel_port: way.port, tunnel_checksum: way.checksum },
          }, 1)
          for (const [name, value] of [
            ['weight', server.weight], ['active_connections', server.activeConnections], ['inactive_connections', server.inactiveConnections],
            ['persistent_connections', server.persistentConnections], ['upper_threshold', server.thresholds.upper], ['lower_threshold', server.thresholds.lower],
          ] as const) expectSample(`ipvs_real_server_${name}`, both, value)
          for (const [name, value] of counted(server.stats, 'ipvs_real_server')) expectSample(name, both, value)
        }
      }
      expect(samples).toEqual(expected)
    }), { numRuns: 25 })
  })

  it('has labels of counters that stay when all that can change has changed', () => {
    const [one] = normalize({ vip: '10.0.0.1', port: 53, protocol: 'udp', scheduler: 'rr', forward: 'tunnel', realServers: ['10.1.0.1'] })
    const [other] = normalize({ vip: '10.0.0.1', port: 53, protocol: 'udp', scheduler: 'sh', persistence: {}, forward: 'route', realServers: [{ address: '10.1.0.1', weight: 7 }] })
    const zero: Stats = { connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n, rates: { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 } }
    const counters = (service: typeof one): string[] => formatMetrics({
      services: [{ ...service!, stats: zero, realServers: service!.realServers.map(s => ({ ...s, stats: zero, activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 })) }],
    }, { format }).split('\n').filter(line => line.includes('_total{'))
    expect(counters(one)).toHaveLength(10)
    expect(counters(one)).toEqual(counters(other))
    expect(serviceName(one!)).toBe(serviceName(other!))
  })
})

describe('the text', () => {
  it('of nothing is whole all the same', () => {
    expect(formatMetrics({ services: [] })).toBe('# EOF\n')
    expect(formatMetrics({ services: [] }, { format: 'prometheus' })).toBe('')
  })

  it('has units and infos in OpenMetrics, and neither for Prometheus', () => {
    const totals = { connections: 2n ** 64n - 1n, packetsIn: 2n, packetsOut: 3n, bytesIn: 4n, bytesOut: 5n, rates: { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 } }
    expect(formatMetrics({ services: [], totals }).split('\n')).toEqual(expect.arrayContaining([
      '# TYPE ipvs_connections counter', 'ipvs_connections_total 18446744073709551615',
      '# TYPE ipvs_incoming_bytes counter', '# UNIT ipvs_incoming_bytes bytes', '# HELP ipvs_incoming_bytes Bytes from clients.', 'ipvs_incoming_bytes_total 4',
    ]))
    expect(formatMetrics({ services: [], totals }, { format: 'prometheus' })).toContain('# HELP ipvs_incoming_bytes_total Bytes from clients.\n# TYPE ipvs_incoming_bytes_total counter\nipvs_incoming_bytes_total 4\n')
  })

  it('has one of two formats', () => {
    expect(() => formatMetrics({ services: [] }, { format: 'json' as never })).toThrow('format: "json" is not one of openmetrics, prometheus')
    expect(() => formatMetrics({ services: [] }, { fmt: 'x' } as never)).toThrow('options: there is no field "fmt"')
  })
})
