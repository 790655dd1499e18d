/** Plans of a director: its services, timeouts, sync daemons and network. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { CallOptions } from '../../generic-netlink/core.js'
import {
  abortSignal, atPath, boolean, checkList, checkObject, optionsOf, show, SpecError, within,
} from '../base/check.js'
import { contains, parsePrefix } from '../base/prefix.js'
import { snapshot } from '../base/snapshot.js'
import { openIpvs, type IpvsClient } from '../ipvs/client.js'
import { Comparison } from '../ipvs/diff.js'
import type { Service, VirtualServiceSpec } from '../ipvs/model.js'
import { serviceName } from '../ipvs/names.js'
import { normalize } from '../ipvs/normalize.js'
import { readWanted, type Pair } from '../ipvs/read.js'
import { IpvsChanges } from '../ipvs/steps.js'
import { normalizeSyncDaemon, readDaemon, syncDaemonSteps, type SyncDaemonSpec } from '../ipvs/sync-daemon.js'
import { normalizeTimeouts, readTimeouts, timeoutSteps, type Timeouts } from '../ipvs/timeouts.js'
import { directorNetwork } from '../network/director.js'
import { checkNetwork, networkSteps, readNetwork, type NetworkSpec } from '../network/network.js'
import { Plan, type Step } from '../plan/plan.js'
import { Session } from '../plan/session.js'
import { drainSteps } from './drain-needs.js'

/** The tables that a director should have. Tables that are left out stay. */
export interface DirectorSpec {
  readonly services?: readonly VirtualServiceSpec[]
  /** The times for which idle connections are kept, in seconds. */
  readonly timeouts?: Partial<Timeouts>
  /** A master, a backup, or both; a daemon that differs is started anew. */
  readonly syncDaemons?: readonly SyncDaemonSpec[]
  /** The director's network, besides the networks of its services. */
  readonly network?: NetworkSpec
}

/**
 * The services that a caller owns: those with a VIP in these networks, as `192.0.2.0/24`
 * or `192.0.2.1`, or those that a function chooses. A firewall mark is in no network.
 */
export type Owner = string | readonly string[] | ((service: Service) => boolean)

/** Options of planning. */
export interface PlanOptions extends CallOptions {
  /**
   * Removes objects that are not declared: real servers of declared services, services of the
   * `owner`, and sync daemons, where the spec declares any. @defaultValue false
   */
  readonly prune?: boolean
  /**
   * The services that `prune` may remove; `() => true` chooses all. It is refused without `prune`.
   * Where the spec has no `services`, no service is removed. @defaultValue none
   */
  readonly owner?: Owner
  /**
   * Allows a plan that takes capacity away: after which a service that takes connections has no
   * real server with a weight, or none of the addresses that it had; or that removes more than
   * half of the owned real servers, less those that come in their place.
   * @defaultValue false: such a plan can be read, but not applied
   */
  readonly force?: boolean
}

const checks = { signal: abortSignal, prune: boolean, force: boolean }
/** The check of {@link PlanOptions}. */
export const planOptions = optionsOf<PlanOptions>({
  ...checks,
  owner(_, value) {
    ownership(value as Owner)
    return value as Owner
  },
})
/** The check of the options with which one service is planned. */
export const servicePlanOptions = optionsOf<Omit<PlanOptions, 'owner'>>(checks)

/** Plans a director. All input is read before the first wait. @throws SpecError naming the field */
export async function planDirector(
  ipvs: IpvsClient, wanted: readonly VirtualServiceSpec[] | DirectorSpec, { owner, ...options }: PlanOptions = {},
): Promise<Plan> {
  const spec = (Array.isArray(wanted) ? { services: wanted } : wanted) as DirectorSpec
  checkObject('director', spec, SPEC_FIELDS)
  if (spec.services !== undefined) checkList('services', spec.services)
  const services: Service[][] = []
  normalizeSome(spec.services ?? [], services)
  const read = services.length
  const specs = (spec.services ?? []).map((each, i) => i < read && !each.network ? each : snapshot(each))
  const settings = checkSettings(spec)
  if (spec.network !== undefined) checkNetwork(spec.network)
  const given = spec.network && snapshot(spec.network)
  if (owner !== undefined && options.prune !== true) {
    throw new SpecError('owner', 'chooses what prune removes; set prune: true, or remove it')
  }
  const owned = owner === undefined ? undefined : ownership(owner)

  while (services.length < specs.length) {
    await nextTurn()
    normalizeSome(specs, services)
  }
  const byName = distinctServices(services)
  const networks = specs.flatMap((each, i) => each.network ? [directorNetwork(each, services[i]!)] : [])
  const network = merge([...given ? [given] : [], ...networks])
  checkNetwork(network)
  const steps = await settingsSteps(ipvs, settings, options)
  // Without a list of services, none is unwanted.
  return await planServices(ipvs, byName, { ...options, owned: spec.services && owned, network, settings: steps })
}

/** The objects that are handled between two turns of the event loop: some milliseconds. */
const STRETCH = 8192

/** Normalizes the next stretch. A function of its own: V8 keeps its code; a closure's is lost. */
function normalizeSome(specs: readonly VirtualServiceSpec[], into: Service[][]): void {
  for (let i = into.length, left = STRETCH; i < specs.length && left > 0; i++) {
    const services = within(atPath('services', i), () => normalize(specs[i]!))
    for (const { realServers } of services) left -= 1 + realServers.length
    into.push(services)
  }
}

const SPEC_FIELDS = new Set(['services', 'timeouts', 'syncDaemons', 'network'])

/** {@link planDirector} for services in their normal form, by their names. */
export async function planServices(
  ipvs: IpvsClient, services: ReadonlyMap<string, Service>,
  { prune = false, owned, force = false, network = {}, settings = [], signal }:
    Omit<PlanOptions, 'owner'> & {
      owned?: ((service: Service) => boolean) | undefined
      network?: NetworkSpec
      settings?: readonly Step[]
    },
): Promise<Plan> {
  const options = { signal }
  const comparison = new Comparison({ prune, ...owned && { owned }, overrides: ipvs.overrides })
  let left = STRETCH
  for await (const pairs of readWanted(ipvs, services, prune && owned !== undefined, options)) {
    left -= compareAll(comparison, pairs)
    if (left > 0) continue
    await nextTurn()
    left = STRETCH
  }
  const changes = new IpvsChanges(comparison.finish())
  const drains = await drainSteps([...services.values()], options)
  return new Plan([...networkSteps(network, await readNetwork(network, options)), ...settings, ...drains, changes], {
    session: () => new Session().share(openIpvs, ipvs), brake: force ? undefined : comparison.losses.brake,
  })
}

/** Compares some services. Returns the number of services and real servers. */
function compareAll(comparison: Comparison, pairs: readonly Pair[]): number {
  let compared = 0
  for (const { wanted, actual } of pairs) {
    if (wanted) comparison.compare(wanted, actual)
    else comparison.unwanted(actual)
    compared += 1 + (wanted ?? actual).realServers.length
  }
  return compared
}

/** The services of all specs, by name. @throws SpecError where two specs declare one service */
function distinctServices(services: readonly (readonly Service[])[]): Map<string, Service> {
  const all = new Map<string, Service>()
  for (let i = 0; i < services.length; i++) {
    for (const service of services[i]!) {
      const name = serviceName(service), duplicate = all.get(name)
      if (duplicate) {
        const first = services.findIndex(each => each.includes(duplicate))
        throw new SpecError(`services[${i}]`, `${name} duplicates services[${first}]`)
      }
      all.set(name, service)
    }
  }
  return all
}

// ── ownership ──

/** Whether a service is owned. @throws SpecError naming the field */
function ownership(owner: Owner): (service: Service) => boolean {
  if (typeof owner === 'function') {
    return service => {
      const owned: unknown = owner(service)
      if (typeof owned === 'boolean') return owned
      throw new SpecError('owner', `returns ${show(owned)} for ${serviceName(service)}, not true or false`)
    }
  }
  const texts = typeof owner === 'string' ? [owner] : owner
  checkList('owner', texts)
  const networks = texts.map((text, i) =>
    contains(parsePrefix(typeof owner === 'string' ? 'owner' : atPath('owner', i), text)))
  return ({ vip }) => vip !== undefined && networks.some(has => has(vip))
}

// ── timeouts, sync daemons, network ──

/** Timeouts and sync daemons in their normal form. */
interface Settings { readonly timeouts: Timeouts | undefined; readonly daemons: readonly SyncDaemonSpec[] | undefined }

const checkDaemons = (given: unknown): readonly SyncDaemonSpec[] =>
  checkList('syncDaemons', given) as readonly SyncDaemonSpec[]

/** The timeouts and sync daemons of a spec. @throws SpecError naming the field */
function checkSettings({ timeouts, syncDaemons }: DirectorSpec): Settings {
  return {
    timeouts: timeouts === undefined ? undefined : normalizeTimeouts(timeouts, 'timeouts'),
    daemons: syncDaemons === undefined ? undefined : checkDaemons(syncDaemons).map((each, i, all) => {
      const daemon = normalizeSyncDaemon(each, atPath('syncDaemons', i))
      if (all.findIndex(other => other.state === daemon.state) === i) return daemon
      throw new SpecError(`syncDaemons[${i}]`, `a second ${daemon.state}; one may run`)
    }),
  }
}

/** The steps to timeouts and sync daemons. */
async function settingsSteps(
  ipvs: IpvsClient, { timeouts, daemons }: Settings, { prune = false, signal }: PlanOptions,
): Promise<Step[]> {
  const options = { signal }
  const steps = timeouts ? timeoutSteps(timeouts, readTimeouts(await ipvs.call('getConfig', {}, options))) : []
  if (!daemons) return steps
  const running = await ipvs.dump('getDaemon', {}, ({ daemon = {} }) => readDaemon(daemon), options)
  return [...steps, ...syncDaemonSteps(daemons, running, prune)]
}

/** Several networks as one; an object of two networks is named once. */
const merge = (parts: readonly NetworkSpec[]): NetworkSpec => Object.fromEntries(PARTS.map(key => {
  const all = parts.flatMap(part => (part[key] ?? []) as readonly object[])
  return [key, [...new Map(all.map(each => [JSON.stringify(each), each])).values()]]
}))

const PARTS = ['fouPorts', 'links', 'addresses', 'routes', 'neighbours', 'sysctls'] as const
