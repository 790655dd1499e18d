/** A director as it should be, against what it is, as a plan. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CallOptions, CommandAttributes } from '../../generic-netlink/index.js'
import { Comparison } from '../ipvs/diff.js'
import { directorNetwork } from '../network/director.js'
import { checkList, checkObject, within } from '../base/check.js'
import { Session } from '../plan/session.js'
import { openIpvs, type IpvsClient } from '../ipvs/client.js'
import { IpvsChanges } from '../ipvs/steps.js'
import { serviceName, type Service, type VirtualServiceSpec } from '../ipvs/model.js'
import { networkSteps, readNetwork, type NetworkSpec } from '../network/network.js'
import { Plan, type Step } from '../plan/plan.js'
import { daemonAttributes, readDaemon, syncDaemonArguments, type SyncDaemonSpec, type SyncDaemonState } from '../ipvs/sync-daemon.js'
import { contains, parsePrefix } from '../base/prefix.js'
import { readWanted, type Pair } from '../ipvs/read.js'
import { readTimeouts, timeoutAttributes, type Timeouts } from '../ipvs/timeouts.js'
import { normalize } from '../ipvs/normalize.js'

/** What a director should be. What it leaves out stays as it is. */
export interface DirectorSpec {
  readonly services?: readonly VirtualServiceSpec[]
  /** How long connections are kept, in seconds. */
  readonly timeouts?: Partial<Timeouts>
  /** A master, a backup, or both; one that runs otherwise is started anew. */
  readonly syncDaemons?: readonly SyncDaemonSpec[]
  /** What it needs of its network, besides what its services say. */
  readonly network?: NetworkSpec
}

/** Whose a service is: networks that its VIP may lie in, as `192.0.2.0/24` or `192.0.2.1`, or a function that knows. A firewall mark lies in no network. */
export type Owner = string | readonly string[] | ((service: Service) => boolean)

/** Options of planning. */
export interface PlanOptions extends CallOptions {
  /**
   * Removes what is there and nobody wants: real servers of the services that are named, services of the `owner`, and sync
   * daemons, where the spec names any. @defaultValue false
   */
  readonly prune?: boolean
  /** Whose services are removed if they are not wanted; `() => true` is all that are there. @defaultValue nobody's: services that are not named stay */
  readonly owner?: Owner
  /** Lets the plan remove more than half of the real servers that it owns. @defaultValue false: such a plan can be read, but not applied */
  readonly force?: boolean
}

/** What must change for the kernel to have what is wanted. @throws TypeError, RangeError naming the field */
export async function planTable(ipvs: IpvsClient, wanted: readonly VirtualServiceSpec[] | DirectorSpec, options: PlanOptions = {}): Promise<Plan> {
  const spec: DirectorSpec = Array.isArray(wanted) ? { services: wanted as readonly VirtualServiceSpec[] } : wanted as DirectorSpec
  checkObject('director', spec, SPEC_FIELDS)
  const services: Service[][] = []
  const specs = spec.services ?? []
  checkList('services', specs)
  while (services.length < specs.length) {
    if (services.length > 0) await nextTurn()
    normalizeSome(specs, services)
  }
  const distinct = withoutTwins(services)
  const owned = options.owner === undefined ? undefined : ownership(options.owner)
  const settings = await settingsSteps(ipvs, settingsOf(spec), options)
  const networks = specs.flatMap((each, i) => each.network ? [directorNetwork(each, services[i]!)] : [])
  const network = merge([...spec.network ? [spec.network] : [], ...networks])
  return await planServices(ipvs, distinct, { ...options, owned, network, settings })
}

/** So many services and real servers are checked, or compared, before the event loop turns: some milliseconds' work. */
const STRETCH = 8192

/** The next stretch of them. A function of its own, here and elsewhere: V8 compiles what lasts, and forgets it with closures. */
function normalizeSome(specs: readonly VirtualServiceSpec[], into: Service[][]): void {
  for (let i = into.length, left = STRETCH; i < specs.length && left > 0; i++) {
    const services = within(`services[${i}]`, () => normalize(specs[i]!))
    for (const { realServers } of services) left -= 1 + realServers.length
    into.push(services)
  }
}

const SPEC_FIELDS = new Set(['services', 'timeouts', 'syncDaemons', 'network'])

/** {@link planTable} for services that are in their normal form, by their names. */
export async function planServices(
  ipvs: IpvsClient, services: ReadonlyMap<string, Service>,
  { prune = false, owned, force = false, network = {}, settings = [], ...options }:
  Omit<PlanOptions, 'owner'> & { owned?: ((service: Service) => boolean) | undefined; network?: NetworkSpec; settings?: readonly Step[] },
): Promise<Plan> {
  const comparison = new Comparison({ prune, ...owned && { owned } })
  let left = STRETCH
  for await (const pairs of readWanted(ipvs, services, prune && owned !== undefined, options)) {
    left -= compareAll(comparison, pairs, ipvs)
    if (left > 0) continue
    await nextTurn()
    left = STRETCH
  }
  const parts = [...networkSteps(network, await readNetwork(network, options)), ...settings, new IpvsChanges(comparison.finish())]
  return new Plan(parts, { session: () => new Session().lend(openIpvs, ipvs), brake: force ? undefined : brakeOf(comparison) })
}

/** How many services and real servers they were. */
function compareAll(comparison: Comparison, pairs: readonly Pair[], { drains }: IpvsClient): number {
  let compared = 0
  for (const { wanted, actual } of pairs) {
    if (wanted) comparison.compare(drains.service(wanted), actual)
    else comparison.unwanted(actual)
    compared += 1 + (wanted ?? actual).realServers.length
  }
  return compared
}

/** What the specs stand for, by name. @throws RangeError where two of them stand for one service */
function withoutTwins(services: readonly (readonly Service[])[]): Map<string, Service> {
  const all = new Map<string, Service>()
  for (let i = 0; i < services.length; i++) {
    for (const service of services[i]!) {
      const name = serviceName(service), twin = all.get(name)
      if (twin) throw new RangeError(`services[${i}]: ${name} is services[${services.findIndex(each => each.includes(twin))}] already`)
      all.set(name, service)
    }
  }
  return all
}

// ── ownership, and its brake ──

/** Networks, as their first bits. @throws TypeError, RangeError naming the field */
function ownership(owner: Owner): (service: Service) => boolean {
  if (typeof owner === 'function') return owner
  const texts = typeof owner === 'string' ? [owner] : owner
  checkList('owner', texts)
  const networks = texts.map((text, i) => contains(parsePrefix(typeof owner === 'string' ? 'owner' : `owner[${i}]`, text)))
  return ({ vip }) => vip !== undefined && networks.some(has => has(vip))
}

/** Why a plan takes out too much, if it does. */
function brakeOf({ removed, held }: Comparison): string | undefined {
  if (removed * 2 <= held) return undefined
  return `the plan would remove ${removed} of the ${held} real servers that it owns, ${removed === held ? 'all of them' : 'more than half'}; `
    + 'plan with force: true if that is meant'
}

// ── timeouts, sync daemons, network ──

/** What is not services, checked. */
interface Settings {
  readonly timeouts: CommandAttributes | undefined
  /** With what each would be read back as. */
  readonly syncDaemons: readonly { readonly spec: SyncDaemonSpec; readonly state: SyncDaemonState }[] | undefined
}

function settingsOf({ timeouts, syncDaemons }: DirectorSpec): Settings {
  return {
    timeouts: timeouts && timeoutAttributes(timeouts),
    syncDaemons: syncDaemons?.map((spec, i) => {
      const state = within(`syncDaemons[${i}]`, () => readDaemon(daemonAttributes(spec)))
      if (syncDaemons.findIndex(other => other.state === spec.state) < i) throw new RangeError(`syncDaemons[${i}]: there is one ${spec.state} at most`)
      return { spec, state }
    }),
  }
}

async function settingsSteps(ipvs: IpvsClient, { timeouts, syncDaemons }: Settings, { prune = false, ...options }: PlanOptions): Promise<Step[]> {
  return [
    ...timeouts ? timeoutSteps(timeouts, readTimeouts(await ipvs.call('getConfig', {}, options))) : [],
    ...syncDaemons ? daemonSteps(syncDaemons, await ipvs.dump('getDaemon', {}, ({ daemon = {} }) => readDaemon(daemon), options), prune) : [],
  ]
}

function timeoutSteps({ timeoutTcp, timeoutTcpFin, timeoutUdp }: CommandAttributes, actual: Timeouts): Step[] {
  const after: Timeouts = { tcp: timeoutTcp || actual.tcp, tcpFin: timeoutTcpFin || actual.tcpFin, udp: timeoutUdp || actual.udp }
  if (after.tcp === actual.tcp && after.tcpFin === actual.tcpFin && after.udp === actual.udp) return []
  const set = async (timeouts: Timeouts, session: Session, options?: CallOptions): Promise<void> => {
    await (await session.use(openIpvs, options)).call('setConfig', timeoutAttributes(timeouts), options)
  }
  return [{
    action: 'change', object: 'timeouts', line: `ipvsadm --set ${after.tcp} ${after.tcpFin} ${after.udp}`,
    run: (session, options) => set(after, session, options),
    undo: (session, options) => set(actual, session, options),
  }]
}

function daemonSteps(wanted: NonNullable<Settings['syncDaemons']>, actual: readonly SyncDaemonState[], prune: boolean): Step[] {
  const running = new Map(actual.map(daemon => [daemon.state, daemon]))
  const steps = wanted.flatMap(({ spec, state }) => {
    const before = running.get(state.state)
    running.delete(state.state)
    // What the spec leaves out is as the kernel chose it, but for the id, which is 0.
    const same = (key: keyof SyncDaemonSpec): boolean => (spec[key] === undefined && key !== 'syncId') || before?.[key] === state[key]
    if (before && (Object.keys(state) as (keyof SyncDaemonSpec)[]).every(same)) return []
    return [...before ? [stopping(before)] : [], starting(spec)]
  })
  return [...steps, ...prune ? [...running.values()].map(stopping) : []]
}

const start = (spec: SyncDaemonSpec): Step['run'] => async (session, options) => {
  await (await session.use(openIpvs, options)).call('newDaemon', { daemon: daemonAttributes(spec) }, options)
}
const stop = ({ state }: SyncDaemonSpec): Step['run'] => async (session, options) => {
  await (await session.use(openIpvs, options)).call('delDaemon', { daemon: { state } }, options)
}
const starting = (spec: SyncDaemonSpec): Step =>
  ({ action: 'add', object: 'sync daemon', line: `ipvsadm --start-daemon ${syncDaemonArguments(spec)}`, run: start(spec), undo: stop(spec) })
const stopping = (spec: SyncDaemonState): Step =>
  ({ action: 'remove', object: 'sync daemon', line: `ipvsadm --stop-daemon ${spec.state}`, run: stop(spec), undo: start(spec) })

/** What several parts need of one network; what two of them need, once. */
function merge(parts: readonly NetworkSpec[]): NetworkSpec {
  const all = <K extends keyof NetworkSpec>(key: K): NetworkSpec[K] => {
    const seen = new Map(parts.flatMap(part => (part[key] ?? []) as readonly object[]).map(each => [JSON.stringify(each), each]))
    return seen.size === 0 ? undefined : [...seen.values()] as NetworkSpec[K]
  }
  return Object.fromEntries(PARTS.map(key => [key, all(key)]).filter(([, value]) => value !== undefined)) as NetworkSpec
}

const PARTS = ['fouPorts', 'links', 'addresses', 'routes', 'neighbours', 'sysctls'] as const
