/** Taking a real server out without losing a client, and taking it back in. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CallOptions } from '../../generic-netlink/index.js'
import { endpoint } from '../base/address.js'
import { make } from '../ipvs/apply.js'
import { differences, type Change } from '../ipvs/diff.js'
import { EXPIRE_TEMPLATES, passingOver, type DrainedBy } from '../ipvs/overrides.js'
import { Session } from '../plan/session.js'
import { integer, oneOf } from '../base/check.js'
import { openIpvs, type IpvsClient } from '../ipvs/client.js'
import { ipvsSteps } from '../ipvs/steps.js'
import { findRealServer, serviceName, type RealServerKey, type RealServerSettings, type RealServerState, type Service, type ServiceState } from '../ipvs/model.js'
import type { Step } from '../plan/plan.js'
import { sysctl } from '../sysctl/accessor.js'
import { sysctlSteps, type SysctlSetting } from '../sysctl/steps.js'
import { readFromTable } from '../ipvs/read.js'

/** Options of a drain. */
export interface DrainOptions extends CallOptions {
  /** What is waited for: the end of all its connections, or of the established ones alone. @defaultValue `'all'` */
  readonly until?: 'all' | 'active'
  /** Gives up waiting after so many milliseconds; the real server stays drained. @defaultValue never */
  readonly deadline?: number
  /** Told at first, and whenever the connections were counted. What it throws ends the waiting, and is passed on. */
  readonly progress?: (progress: DrainProgress) => void
  /**
   * Sets what the drain needs: the scheduler's fallback flag (for dh, which has none, the scheduler lblc in its place, while it
   * lasts), and the sysctls expire_quiescent_template, expire_nodest_conn and conn_reuse_mode, which hold for the whole network
   * namespace and are left so. `false` refuses the drain where something of it is not as it must be. @defaultValue true
   */
  readonly prepare?: boolean
  /**
   * What becomes of UDP flows whose clients keep their source port, and so stay with their real server at any weight:
   * `move` takes the real server out of the service, and their next datagram goes to another; `finish` waits until
   * they fall silent for the UDP timeout. One-packet services have no flows, firewall marks always finish. @defaultValue `'move'`
   */
  readonly udp?: 'move' | 'finish'
  /** Drains the last real server that takes connections, too: then new clients are refused. @defaultValue false */
  readonly force?: boolean
}

/** How far a drain is. */
export interface DrainProgress {
  /** Established connections that it still has, in the services of all protocols. */
  readonly activeConnections: number
  /** Connections in every other state. */
  readonly inactiveConnections: number
  /** Since the drain began, in milliseconds. */
  readonly elapsed: number
  /** What was set for it, as an operator would have: `ipvsadm …`, `sysctl -w …`. */
  readonly prepared: readonly string[]
}

/** A drain was refused, or did not end in time. */
export class DrainError extends Error {
  static { this.prototype.name = 'DrainError' }
  /**
   * - `missing`: no service has the real server, or nobody knows what it was like.
   * - `last`: no other real server takes connections.
   * - `unprepared`: `prepare` is false, and something is not as it must be.
   * - `deadline`: it still has connections.
   */
  readonly code: 'missing' | 'last' | 'unprepared' | 'deadline'
  constructor(code: DrainError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** A real server in one of its services. */
export interface Place {
  /** As it was declared. */
  readonly service: Service
  readonly id: RealServerKey
}

/** A place, and what the kernel has there. */
interface Found extends Place {
  readonly state: ServiceState
  /** Undefined where it is not there, or no longer. */
  readonly server: RealServerState | undefined
}

/** Between two counts of connections, in milliseconds: the first and the longest. */
const FIRST_PAUSE = 50, LONGEST_PAUSE = 1000

/**
 * Takes a real server out of all its services and waits until its connections have ended. Begun again, also by another
 * process after a restart, it goes on from what the kernel has.
 */
export async function drain(
  ipvs: IpvsClient, places: readonly Place[],
  { until = 'all', deadline, progress, prepare = true, udp = 'move', force = false, signal }: DrainOptions = {},
): Promise<DrainProgress> {
  oneOf('until', until, ['all', 'active'])
  oneOf('udp', udp, ['move', 'finish'])
  if (deadline !== undefined) integer('deadline', deadline, 0, 0x7fffffff)
  const begun = performance.now()
  const prepared = await ipvs.turns.alone(() => begin(ipvs, places, { prepare, udp, force, signal }))
  for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
    const servers = (await find(ipvs, places, signal)).flatMap(({ server }) => server ?? [])
    const sum = (key: 'activeConnections' | 'inactiveConnections'): number => servers.reduce((total, server) => total + server[key], 0)
    const now = { activeConnections: sum('activeConnections'), inactiveConnections: sum('inactiveConnections'), elapsed: performance.now() - begun, prepared }
    progress?.(now)
    if (now.activeConnections === 0 && (until === 'active' || now.inactiveConnections === 0)) return now
    if (deadline !== undefined && now.elapsed >= deadline) {
      throw new DrainError('deadline', `${nameOf(places)} still has ${now.activeConnections} active and ${now.inactiveConnections} inactive connections `
        + `after ${deadline} ms; it gets no new ones. Wait on (drain again), remove it, or undrain it`)
    }
    await sleep(Math.min(pause, deadline === undefined ? pause : Math.max(deadline - now.elapsed, 0)), undefined, { signal }).catch(() => {})
    signal?.throwIfAborted()
  }
}

/** Takes it back in, with the weight that was declared, or that it had. */
export async function undrain(ipvs: IpvsClient, places: readonly Place[], { signal }: CallOptions = {}): Promise<void> {
  await ipvs.turns.alone(async () => {
    const changes = (await find(ipvs, places, signal)).flatMap(({ service, id, state, server }): Change[] => {
      const wanted = declared({ service, id }) ?? ipvs.drains.get(service, id)?.server
      if (!wanted) throw new DrainError('missing', `${nameOf(places)} is not declared, and nobody knows what weight it had: set one (setWeight)`)
      ipvs.drains.delete(service, id)
      return differences([{ ...state, realServers: [wanted] }], [{ ...state, realServers: server ? [server] : [] }])
    })
    await make(ipvs, changes, { signal })
    await restore(ipvs, places, { signal })
  })
}

/** Gives services back what a drain set aside, where no real server of theirs is drained any more. */
export async function restore(ipvs: IpvsClient, places: readonly Place[], { signal }: CallOptions = {}): Promise<void> {
  await make(ipvs, (await find(ipvs, places, signal)).flatMap(({ service, state }): Change[] => {
    const now = { ...state, realServers: [] }, wanted = { ...ipvs.drains.settings(service), realServers: [] }
    const setAside = differences([{ ...passingOver(service), realServers: [] }], [now]).length === 0
    return setAside ? differences([wanted], [now]) : []
  }), { signal })
}

async function begin(
  ipvs: IpvsClient, places: readonly Place[], { prepare, udp, force, signal }: Required<Pick<DrainOptions, 'prepare' | 'udp' | 'force'>> & CallOptions,
): Promise<string[]> {
  const found = await find(ipvs, places, signal)
  const known = found.filter(({ service, id, server }) => server ?? ipvs.drains.get(service, id) ?? (movesAway(service, udp) && declared({ service, id })))
  if (known.length === 0) throw new DrainError('missing', `${nameOf(places)} is no real server of ${servicesOf(places)}`)
  const drained = known.map(place => ({ ...place, by: movesAway(place.state, udp) ? 'absence' as const : 'weight' as const }))
  for (const { state, server } of drained) if (!force && server && server.weight > 0) refuseLast(state, server)

  const settings = drained.filter(({ by }) => by === 'weight').flatMap(({ state }) =>
    differences([{ ...passingOver(state), realServers: [] }], [{ ...state, realServers: [] }]))
  const sysctls = sysctlSteps(...await needs(drained, signal))
  const preparation: readonly Step[] = [...sysctls, ...ipvsSteps(settings)]
  if (!prepare && preparation.length > 0) {
    throw new DrainError('unprepared', `${nameOf(places)} cannot be drained without losing clients before this is set: ${linesOf(preparation).join('; ')}`)
  }

  await using session = new Session().lend(openIpvs, ipvs)
  for (const step of sysctls) await step.run(session, { signal })
  for (const { service, id, server = declared({ service, id }), by } of drained) {
    if (server && !ipvs.drains.get(service, id)) ipvs.drains.add(service, server, by)
  }
  try {
    await make(ipvs, [...settings, ...drained.flatMap(({ state, server, by }): Change[] => {
      if (!server || (by === 'weight' && server.weight === 0)) return []
      return [{ action: by === 'weight' ? 'change' : 'remove', service: state, server, before: server }]
    })], { signal })
  } catch (error) {
    for (const { service, id } of drained) ipvs.drains.delete(service, id)
    throw error
  }
  return linesOf(preparation)
}

/** What the kernel has in each place whose service it has. */
async function find(ipvs: IpvsClient, places: readonly Place[], signal: AbortSignal | undefined): Promise<Found[]> {
  const found = await Promise.all(places.map(async ({ service, id }) => {
    const state = await readFromTable(ipvs, service, { signal })
    return state && { service, id, state, server: findRealServer(state.realServers, id) }
  }))
  return found.filter(place => place !== undefined)
}

const declared = ({ service, id }: Place): RealServerSettings | undefined => findRealServer(service.realServers, id)

/** Whether its flows are moved by taking the real server away: at weight 0 they would stay. */
const movesAway = ({ protocol, onePacket }: Service, udp: DrainOptions['udp']): boolean => udp === 'move' && protocol === 'udp' && !onePacket

function refuseLast(state: ServiceState, { address, port }: RealServerState): void {
  const others = state.realServers.filter(server => server.weight > 0 && !(server.address === address && server.port === port))
  if (others.length > 0) return
  throw new DrainError('last', `${endpoint(address, port)} is the last real server of ${serviceName(state)} that takes connections: `
    + 'were it drained, every new client would be refused. Add another first, or say force: true')
}

/** The sysctls that must hold for these, and what they hold. */
async function needs(drained: readonly (Found & { by: DrainedBy })[], signal: AbortSignal | undefined): Promise<[SysctlSetting[], Map<string, string>]> {
  const actual = await sysctl.read(NEEDS.map(({ key }) => key), { signal })
  return [NEEDS.filter(({ key, needed, unless }) => drained.some(needed) && actual.has(key) && actual.get(key) !== unless), actual]
}

interface Need extends SysctlSetting {
  readonly key: string
  readonly needed: (place: Found & { by: DrainedBy }) => boolean
  /** What is as good. */
  readonly unless?: string
}

const NEEDS: readonly Need[] = [
  {
    ...EXPIRE_TEMPLATES,
    needed: ({ state, by }) => by === 'weight' && state.persistence !== undefined,
  },
  {
    key: 'net.ipv4.vs.expire_nodest_conn', value: 1, why: 'flows to a real server that is gone would be dropped, and not move',
    needed: ({ by }) => by === 'absence',
  },
  {
    key: 'net.ipv4.vs.conn_reuse_mode', value: 1, unless: '2', why: 'a client that uses a source port again would go on to a real server of weight 0',
    needed: ({ state, by }) => by === 'weight' && state.protocol !== 'udp',
  },
]

const linesOf = (steps: readonly Step[]): string[] => steps.map(({ line }) => line)
const servicesOf = (places: readonly Place[]): string => places.map(({ service }) => serviceName(service)).join(' or ')
const nameOf = ([place]: readonly Place[]): string => place ? endpoint(place.id.address, place.id.port) : 'the real server'
