/** The kernel's counters as text for Prometheus and other readers of OpenMetrics. */

import { among, anyObject, checkList, optionsOf, type Check } from '../base/check.js'
import type { ActualForwarding, OtherTunnel, RealServerState, ServiceKey, ServiceState, Stats } from '../ipvs/model.js'
import { serviceFamily } from '../ipvs/names.js'
import type { CpuStatistics } from './statistics.js'

/**
 * `openmetrics` is OpenMetrics 1.0; `prometheus` is Prometheus's text format 0.0.4, without infos
 * and with other names in `# TYPE` lines.
 */
export type MetricsFormat = 'openmetrics' | 'prometheus'

/** The objects of the metrics. */
export interface Metrics {
  /** The result of `director.list()` or `VirtualService.list()`. */
  readonly services: readonly ServiceState[]
  /** The result of `ipvsTotals()`. @defaultValue left out */
  readonly totals?: Stats
  /** The result of `perCpuStatistics()`. @defaultValue left out */
  readonly cpus?: readonly CpuStatistics[]
}

/** Options of {@link formatMetrics}. The default format is `openmetrics`. */
export interface MetricsOptions { readonly format?: MetricsFormat }

const checkMetrics = optionsOf<Metrics>({
  services: checkList as Check<readonly ServiceState[]>, totals: anyObject as Check<Stats>,
  cpus: checkList as Check<readonly CpuStatistics[]>,
}, 'metrics')
const metricsOptions = optionsOf<MetricsOptions>({ format: among(['openmetrics', 'prometheus']) })

/** The content type of each format. */
export const metricsContentTypes: Readonly<Record<MetricsFormat, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus:  'text/plain; version=0.0.4; charset=utf-8',
}

/**
 * Prints services, their real servers, totals and processors as metrics whose
 * names begin with `ipvs_`.
 *
 * Counters and gauges have labels that never change for a service or a real server: `protocol`,
 * `vip` and `port`, or `fwmark`; `family`; `server` and `server_port`. Settings that can change
 * (scheduler, forwarding, persistence) are in `ipvs_service_info` and `ipvs_real_server_info`, for
 * joins. Counters are exact at any size; Prometheus itself stores 53 bits. There are no rates:
 * Prometheus computes better rates from the counters.
 *
 * @throws SpecError for an unknown format
 *
 * @example
 * ```ts
 * import { Director, formatMetrics, ipvsTotals } from 'ipvs-nl'
 *
 * await using director = await Director.open()
 * console.log(formatMetrics({ services: await director.list(), totals: await ipvsTotals() }))
 * ```
 */
export function formatMetrics(metrics: Metrics, options?: MetricsOptions): string {
  const { services, totals, cpus = [] } = checkMetrics(metrics)
  checkList('services', services)
  const { format = 'openmetrics' } = metricsOptions(options)
  const labelled = services.map(thing => ({ thing, labels: serviceLabels(thing) }))
  const servers = labelled.flatMap(({ thing, labels }) => thing.realServers.map(server =>
    ({ thing: server, labels: { ...labels, server: server.address, server_port: server.port } })))
  return [
    ...text(TOTALS, totals === undefined ? [] : [{ thing: totals, labels: {} }], format),
    ...text(CPUS, cpus.map(cpu => ({ thing: cpu, labels: { cpu: cpu.cpu } })), format),
    ...text(SERVICES, labelled, format),
    ...text(REAL_SERVERS, servers, format),
    ...format === 'openmetrics' ? ['# EOF\n'] : [],
  ].join('')
}

// ── the metrics ──

type Labels = Readonly<Record<string, string | number | undefined>>

/** Metrics of one kind of object. A counter's samples are named `…_total`, an info's `…_info`. */
type Metric<T> = { readonly name: string; readonly help: string } & (
  | { readonly type: 'counter' | 'gauge'; readonly value: (thing: T) => bigint | number | undefined }
  | { readonly type: 'info'; readonly labels: (thing: T) => Labels }
)

const counter = <T>(name: string, help: string, value: (thing: T) => bigint): Metric<T> =>
  ({ type: 'counter', name, help, value })
const gauge = <T>(name: string, help: string, value: (thing: T) => number | undefined): Metric<T> =>
  ({ type: 'gauge', name, help, value })
const info = <T>(name: string, help: string, labels: (thing: T) => Labels): Metric<T> =>
  ({ type: 'info', name, help, labels })

const countersOf = <T>(prefix: string, of: (thing: T) => Omit<Stats, 'rates'>): Metric<T>[] => [
  counter(`${prefix}_connections`, 'Connections scheduled.', thing => of(thing).connections),
  counter(`${prefix}_incoming_packets`, 'Packets from clients.', thing => of(thing).packetsIn),
  counter(`${prefix}_outgoing_packets`, 'Packets to clients, as far as they pass through the director.',
    thing => of(thing).packetsOut),
  counter(`${prefix}_incoming_bytes`, 'Bytes from clients.', thing => of(thing).bytesIn),
  counter(`${prefix}_outgoing_bytes`, 'Bytes to clients, as far as they pass through the director.',
    thing => of(thing).bytesOut),
]

const TOTALS: readonly Metric<Stats>[] = countersOf('ipvs', totals => totals)
const CPUS: readonly Metric<CpuStatistics>[] = countersOf('ipvs_cpu', cpu => cpu)

const SERVICES: readonly Metric<ServiceState>[] = [
  info('ipvs_service', 'How a virtual service distributes its connections.', serviceInfo),
  gauge('ipvs_service_real_servers', 'Real servers of a virtual service, of any weight.', s => s.realServers.length),
  gauge('ipvs_service_persistence_timeout_seconds',
    'How long a client keeps its real server after its last connection.', s => s.persistence?.timeout),
  ...countersOf<ServiceState>('ipvs_service', service => service.stats),
]

const REAL_SERVERS: readonly Metric<RealServerState>[] = [
  info('ipvs_real_server', 'How packets reach a real server.', ({ forward }) => forwardingLabels(forward)),
  gauge('ipvs_real_server_weight', 'Share of new connections; 0 is none.', s => s.weight),
  gauge('ipvs_real_server_active_connections', 'Connections that are established.', s => s.activeConnections),
  gauge('ipvs_real_server_inactive_connections', 'Connections in every other state, and all of UDP.',
    s => s.inactiveConnections),
  gauge('ipvs_real_server_persistent_connections', 'Persistence templates.', s => s.persistentConnections),
  gauge('ipvs_real_server_upper_threshold', 'Connections above which it gets no more; 0 is no limit.',
    s => s.thresholds.upper),
  gauge('ipvs_real_server_lower_threshold', 'Connections below which it gets some again; 0 is 3/4 of the upper.',
    s => s.thresholds.lower),
  ...countersOf<RealServerState>('ipvs_real_server', server => server.stats),
]

const serviceLabels = (key: ServiceKey): Labels => key.fwmark === undefined
  ? { protocol: key.protocol, vip: key.vip, port: key.port, family: serviceFamily(key) }
  : { fwmark: key.fwmark, family: key.family }

function serviceInfo({ scheduler, schedulerFlags, onePacket, persistence }: ServiceState): Labels {
  return {
    scheduler,
    scheduler_flags: schedulerFlags.length > 0 ? schedulerFlags.join(',') : undefined,
    one_packet: onePacket ? 'true' : undefined,
    persistence_netmask: persistence?.netmask, persistence_engine: persistence?.engine,
  }
}

function forwardingLabels(forward: ActualForwarding): Labels {
  if (forward === 'tunnel') return { forward, tunnel: 'ipip' }
  if (typeof forward !== 'object') return { forward }
  const { kind, port, checksum } = forward as OtherTunnel
  return { forward: 'tunnel', tunnel: kind, tunnel_port: port, tunnel_checksum: checksum }
}

// ── the text ──

interface Labelled<T> { readonly thing: T; readonly labels: Labels }

/** The families that have samples, each in one piece. */
function text<T>(metrics: readonly Metric<T>[], things: readonly Labelled<T>[], format: MetricsFormat): string[] {
  const labelled = things.map(({ thing, labels }) => ({ thing, labels: formatLabels(labels) }))
  return metrics.flatMap(metric => {
    const name = metric.name + SUFFIXES[metric.type]
    const samples = labelled.flatMap(({ thing, labels }) => {
      const value = metric.type === 'info' ? 1 : metric.value(thing)
      const own = metric.type === 'info' ? formatLabels(metric.labels(thing)) : ''
      const all = [labels, own].filter(Boolean).join(',')
      return value === undefined ? [] : [`${name}${all && `{${all}}`} ${value}\n`]
    })
    if (samples.length === 0) return []
    return [format === 'openmetrics' ? openMetricsHead(metric) : prometheusHead(name, metric), ...samples]
  })
}

const SUFFIXES = { counter: '_total', gauge: '', info: '_info' } as const

type Head = Pick<Metric<never>, 'name' | 'type' | 'help'>

/** The family's name is the name of its samples without the suffix. */
function openMetricsHead({ name, type, help }: Head): string {
  const unit = ['bytes', 'seconds'].find(unit => name.endsWith(`_${unit}`))
  return `# TYPE ${name} ${type}\n${unit === undefined ? '' : `# UNIT ${name} ${unit}\n`}# HELP ${name} ${help}\n`
}

/** The family's name is the name of its samples; there are no units, and an info is a gauge. */
const prometheusHead = (name: string, { type, help }: Head): string =>
  `# HELP ${name} ${help}\n# TYPE ${name} ${type === 'info' ? 'gauge' : type}\n`

const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '"': '\\"', '\n': '\\n' }

const formatLabels = (labels: Labels): string => Object.entries(labels)
  .filter(([, value]) => value !== undefined)
  .map(([name, value]) => `${name}="${String(value).replace(/[\\"\n]/g, char => ESCAPES[char]!)}"`)
  .join(',')
