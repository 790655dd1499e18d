/** Drains: a real server leaves its services without losing a client, and comes back. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CallOptions } from '../../generic-netlink/core.js'
import { endpoint } from '../base/address.js'
import { integer, oneOf } from '../base/check.js'
import { applyAll } from '../ipvs/apply.js'
import type { Change } from '../ipvs/changes.js'
import { openIpvs, type IpvsClient } from '../ipvs/client.js'
import { differences } from '../ipvs/diff.js'
import type { RealServerKey, RealServerSettings, RealServerState, Service, ServiceState } from '../ipvs/model.js'
import { findRealServer, serviceName } from '../ipvs/names.js'
import type { OutBy } from '../ipvs/overrides.js'
import { readServiceState } from '../ipvs/read.js'
import { withFallback } from '../ipvs/schedulers.js'
import { ipvsSteps } from '../ipvs/steps.js'
import { EXPIRE_TEMPLATES } from '../network/director.js'
import type { Step } from '../plan/plan.js'
import { Session } from '../plan/session.js'
import { sysctl } from '../sysctl/accessor.js'
import { sysctlSteps, type SysctlSetting } from '../sysctl/steps.js'

/** Options of a drain. */
export interface DrainOptions extends CallOptions {
  /** Waits for the end of all connections, or of the established ones. @defaultValue `'all'` */
  readonly until?: 'all' | 'active'
  /** The longest wait in milliseconds; the real server then stays drained. @defaultValue never */
  readonly deadline?: number
  /** Called after each count of connections. An error that it throws rejects the drain. */
  readonly progress?: (progress: DrainProgress) => void
  /**
   * Sets the fallback flag of the scheduler, and the sysctls expire_quiescent_template,
   * expire_nodest_conn and conn_reuse_mode, which apply to the whole network namespace and stay.
   * `false` refuses the drain where one of them is not set. @defaultValue true
   *
   * dh has no such flag: lblc replaces it during the drain. The kernel has no scheduler between the
   * two, for some milliseconds on a machine with several processors, and refuses the clients that
   * connect then.
   */
  readonly prepare?: boolean
  /**
   * The treatment of UDP flows whose clients keep their source port, which stay on their real
   * server at any weight: `move` removes the real server from the service, and the next datagram
   * goes to another one; `finish` waits until the flows are silent for the UDP timeout. One-packet
   * services have no flows; firewall marks always finish.
   * @defaultValue `'move'`
   */
  readonly udp?: 'move' | 'finish'
  /**
   * Allows the drain of the last real server that takes connections: new clients are then refused.
   * @defaultValue false
   */
  readonly force?: boolean
}

/** The state of a drain. */
export interface DrainProgress {
  /** Established connections, and those in every other state, in the services of all protocols. */
  readonly activeConnections: number
  readonly inactiveConnections: number
  /** Milliseconds since the drain began. */
  readonly elapsed: number
  /** The commands of the preparation, as an operator types them: `ipvsadm …`, `sysctl -w …`. */
  readonly prepared: readonly string[]
}

/** A drain was refused, or did not end in time. */
export class DrainError extends Error {
  static { this.prototype.name = 'DrainError' }
  /**
   * - `missing`: no service has the real server, or its settings are not known.
   * - `last`: no other real server takes connections.
   * - `unprepared`: `prepare` is false, and a setting is missing.
   * - `deadline`: connections are left.
   */
  readonly code: 'missing' | 'last' | 'unprepared' | 'deadline'
  constructor(code: DrainError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** A real server in one of its services, as declared. */
export interface Place { readonly service: Service; readonly id: RealServerKey }

/** A place with the kernel's state. */
interface Found extends Place {
  readonly state: ServiceState
  /** Undefined where the service does not have the real server. */
  readonly server: RealServerState | undefined
}

interface Drained extends Found { readonly by: OutBy }

/** Milliseconds between two counts of connections: the first and the longest pause. */
const FIRST_PAUSE = 50, LONGEST_PAUSE = 1000

/**
 * Takes a real server out of all its services and waits until its connections have ended.
 * A second drain, also of another process after a restart, continues from the kernel's state.
 */
export async function drain(
  ipvs: IpvsClient, places: readonly Place[],
  { until = 'all', deadline, progress, prepare = true, udp = 'move', force = false, signal }: DrainOptions = {},
): Promise<DrainProgress> {
  oneOf('until', until, ['all', 'active'])
  oneOf('udp', udp, ['move', 'finish'])
  if (deadline !== undefined) integer('deadline', deadline, 0, 0x7fffffff)
  const begun = performance.now()
  const prepared = await ipvs.lock.exclusive(() => begin(ipvs, places, { prepare, udp, force, signal }))
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
    const servers = (await find(ipvs, places, signal)).flatMap(({ server }) => server ?? [])
    const sum = (key: 'activeConnections' | 'inactiveConnections'): number =>
      servers.reduce((total, server) => total + server[key], 0)
    const now = {
      activeConnections: sum('activeConnections'), inactiveConnections: sum('inactiveConnections'),
      elapsed: performance.now() - begun, prepared,
    }
    progress?.(now)
    if (now.activeConnections === 0 && (until === 'active' || now.inactiveConnections === 0)) return now
    if (deadline !== undefined && now.elapsed >= deadline) {
      throw new DrainError('deadline', `${nameOf(places)} still has ${now.activeConnections} active and `
        + `${now.inactiveConnections} inactive connections after ${deadline} ms, and takes no new ones; `
        + 'drain again to wait longer, or call remove() or undrain()')
    }
    const left = deadline === undefined ? pause : Math.max(deadline - now.elapsed, 0)
    await sleep(Math.min(pause, left), undefined, { signal }).catch(() => {})
    signal?.throwIfAborted()
  }
}

/** Takes a real server back in, with its declared weight, or with its weight before the drain. */
export async function undrain(ipvs: IpvsClient, places: readonly Place[], { signal }: CallOptions = {}): Promise<void> {
  await ipvs.lock.exclusive(async () => {
    const changes = (await find(ipvs, places, signal)).flatMap(({ service, id, state, server }): Change[] => {
      const wanted = declared({ service, id }) ?? ipvs.overrides.get(service, id)?.declared
      if (!wanted) {
        throw new DrainError('missing', `${nameOf(places)} is not declared, `
          + 'and its weight before the drain is not known; set a weight with setWeight()')
      }
      ipvs.overrides.delete(service, id, 'drain')
      return differences([{ ...state, realServers: [wanted] }], [{ ...state, realServers: server ? [server] : [] }])
    })
    await applyAll(ipvs, changes, { signal })
    await restoreSettings(ipvs, places, { signal })
  })
}

/** Restores the schedulers and flags that a drain replaced, in services without drained servers. */
export async function restoreSettings(
  ipvs: IpvsClient, places: readonly Place[], { signal }: CallOptions = {},
): Promise<void> {
  await applyAll(ipvs, (await find(ipvs, places, signal)).flatMap(({ service, state }): Change[] => {
    const now = { ...state, realServers: [] }, wanted = { ...ipvs.overrides.settings(service), realServers: [] }
    const replaced = differences([{ ...withFallback(service), realServers: [] }], [now]).length === 0
    return replaced ? differences([wanted], [now]) : []
  }), { signal })
}

async function begin(
  ipvs: IpvsClient, places: readonly Place[],
  { prepare, udp, force, signal }: Required<Pick<DrainOptions, 'prepare' | 'udp' | 'force'>> & CallOptions,
): Promise<string[]> {
  const found = await find(ipvs, places, signal)
  const known = found.filter(({ service, id, server }) =>
    server ?? ipvs.overrides.get(service, id) ?? (movesAway(service, udp) && declared({ service, id })))
  if (known.length === 0) {
    const services = places.map(({ service }) => serviceName(service)).join(' or ')
    throw new DrainError('missing', `${nameOf(places)} is not a real server of ${services}`)
  }
  const drained = known.map((place): Drained => ({ ...place, by: movesAway(place.state, udp) ? 'absence' : 'weight' }))
  for (const { state, server } of drained) if (!force && server && server.weight > 0) refuseLast(state, server)

  const settings = drained.filter(({ by }) => by === 'weight').flatMap(({ state }) =>
    differences([{ ...withFallback(state), realServers: [] }], [{ ...state, realServers: [] }]))
  const sysctls = sysctlSteps(...await needs(drained, signal))
  const preparation: readonly Step[] = [...sysctls, ...ipvsSteps(settings)]
  if (!prepare && preparation.length > 0) {
    throw new DrainError('unprepared', `${nameOf(places)} cannot be drained without losing clients; `
      + `first run: ${linesOf(preparation).join('; ')}`)
  }

  await using session = new Session().share(openIpvs, ipvs)
  for (const step of sysctls) await step.run(session, { signal })
  for (const { service, id, server = declared({ service, id }), by } of drained) {
    if (server && !ipvs.overrides.get(service, id)) ipvs.overrides.set('drain', service, server, by)
  }
  try {
    await applyAll(ipvs, [...settings, ...drained.flatMap(({ state, server, by }): Change[] => {
      if (!server || (by === 'weight' && server.weight === 0)) return []
      return [{ action: by === 'weight' ? 'change' : 'remove', service: state, server, before: server }]
    })], { signal })
  } catch (error) {
    for (const { service, id } of drained) ipvs.overrides.delete(service, id, 'drain')
    throw error
  }
  return linesOf(preparation)
}

/** The kernel's state of each place whose service exists. */
async function find(ipvs: IpvsClient, places: readonly Place[], signal?: AbortSignal): Promise<Found[]> {
  const found = await Promise.all(places.map(async ({ service, id }) => {
    const state = await readServiceState(ipvs, service, { signal })
    return state && { service, id, state, server: findRealServer(state.realServers, id) }
  }))
  return found.filter(place => place !== undefined)
}

const declared = ({ service, id }: Place): RealServerSettings | undefined => findRealServer(service.realServers, id)

/** Whether flows move only when the real server is removed: at weight 0 they would stay. */
const movesAway = ({ protocol, onePacket }: Service, udp: DrainOptions['udp']): boolean =>
  udp === 'move' && protocol === 'udp' && !onePacket

function refuseLast(state: ServiceState, { address, port }: RealServerState): void {
  const isOther = (server: RealServerState): boolean => server.address !== address || server.port !== port
  if (state.realServers.some(server => server.weight > 0 && isOther(server))) return
  throw new DrainError('last', `${endpoint(address, port)} is the last real server of ${serviceName(state)} `
    + 'that takes connections: its drain would refuse every new client. '
    + 'Add another real server first, or drain with force: true')
}

/** The sysctls that a drain needs, and their values. */
async function needs(drained: readonly Drained[], signal?: AbortSignal): Promise<Parameters<typeof sysctlSteps>> {
  const actual = await sysctl.read(NEEDS.map(({ key }) => key), { signal })
  const missing = NEEDS.filter(({ key, needed, unless }) =>
    drained.some(needed) && actual.has(key) && actual.get(key) !== unless)
  return [missing, actual]
}

interface Need extends SysctlSetting {
  readonly key: string
  readonly needed: (place: Drained) => boolean
  /** Another value that serves as well. */
  readonly unless?: string
}

const NEEDS: readonly Need[] = [
  { ...EXPIRE_TEMPLATES, needed: ({ state, by }) => by === 'weight' && state.persistence !== undefined },
  {
    key: 'net.ipv4.vs.expire_nodest_conn', value: 1,
    why: 'flows to a removed real server would be dropped in place of moving',
    needed: ({ by }) => by === 'absence',
  },
  {
    key: 'net.ipv4.vs.conn_reuse_mode', value: 1, unless: '2',
    why: 'a client that reuses a source port would stay on a real server of weight 0',
    needed: ({ state, by }) => by === 'weight' && state.protocol !== 'udp',
  },
]

const linesOf = (steps: readonly Step[]): string[] => steps.map(({ line }) => line)
const nameOf = ([place]: readonly Place[]): string =>
  place ? endpoint(place.id.address, place.id.port) : 'the real server'
