/** The beginning of a drain: all of it, or nothing. */

import type { CallOptions } from '../../generic-netlink/core.js'
import { endpoint } from '../base/address.js'
import { enforce, settle, type Edit } from '../ipvs/apply.js'
import { openIpvs, throwFirst, type IpvsClient } from '../ipvs/client.js'
import type {
  RealServerKey, RealServerSettings, RealServerState, Service, ServiceKey, ServiceState,
} from '../ipvs/model.js'
import { findRealServer, serviceName } from '../ipvs/names.js'
import type { OutBy } from '../ipvs/override-records.js'
import { readServiceState } from '../ipvs/read.js'
import { withFallback } from '../ipvs/schedulers.js'
import { sameSettings } from '../ipvs/service.js'
import { ipvsSteps } from '../ipvs/steps.js'
import type { Step } from '../plan/plan.js'
import { Session } from '../plan/session.js'
import { needs } from './drain-needs.js'
import { DrainError, type DrainOptions } from './drain-options.js'

/** A real server in one of its services, with the service's declaration where there is one. */
export interface Place { readonly service: ServiceKey; readonly id: RealServerKey; readonly declared?: Service }

/** A place with the kernel's state; undefined where there is none. */
export interface Found extends Place {
  readonly state: ServiceState | undefined
  readonly server: RealServerState | undefined
}

/** A place whose real server is taken out. */
interface Drained extends Found { readonly state: ServiceState; readonly by: OutBy }

/** The options that concern the beginning. */
export type BeginOptions = Required<Pick<DrainOptions, 'prepare' | 'udp' | 'force'>> & CallOptions

/** An edit, and the edit that undoes it. */
type Undoable = readonly [edit: Edit, undo: Edit]

/**
 * Takes a real server out: first the sysctls and the services' settings, then, when the kernel took
 * all of them, the weights. Where one is refused, undoes what was made. Resolves with the places,
 * and with the commands of the preparation. The caller holds the exclusive lock.
 */
export async function begin(
  ipvs: IpvsClient, places: readonly Place[], { prepare, udp, force, signal }: BeginOptions,
): Promise<{ readonly drained: readonly Place[]; readonly prepared: string[] }> {
  const { overrides } = ipvs
  const drained = (await find(ipvs, places, signal)).flatMap((place): Drained[] => {
    const { service, id, state, server } = place
    if (!state) return []
    const by = movesAway(state, udp) ? 'absence' : 'weight'
    const known = server ?? overrides.get(service, id) ?? (by === 'absence' ? declarationOf(place) : undefined)
    return known ? [{ ...place, state, by }] : []
  })
  if (drained.length === 0) {
    const services = places.map(({ service }) => serviceName(service)).join(' or ')
    throw new DrainError('missing', `${nameOf(places)} is not a real server of ${services}`)
  }
  for (const { state, server } of drained) if (!force && server && server.weight > 0) refuseLast(state, server)

  const settings = drained.flatMap(({ state, by }): Undoable[] => {
    const wanted = by === 'weight' ? withFallback(state) : state
    return wanted === state ? [] : [[{ action: 'change', service: wanted }, { action: 'change', service: state }]]
  })
  const sysctls = await needs(drained.map(({ state, by }) => ({ service: state, by })), { signal })
  const changes = settings.map(([{ service }, { service: before }]) =>
    ({ action: 'change', service: service as Service, before: before as Service } as const))
  const preparation: readonly Step[] = [...sysctls, ...ipvsSteps(changes)]
  if (!prepare && preparation.length > 0) {
    throw new DrainError('unprepared', `${nameOf(places)} cannot be drained without losing clients; `
      + `first run: ${linesOf(preparation).join('; ')}`)
  }

  await using session = new Session().share(openIpvs, ipvs)
  const set: Step[] = [], undo: Edit[] = []
  const make = async (edits: readonly Undoable[]): Promise<void> => {
    const errors = await enforce(ipvs, edits.map(([edit]) => edit), { signal })
    edits.forEach(([, back], i) => { if (errors[i] === undefined) undo.unshift(back) })
    throwFirst(errors)
  }
  try {
    for (const step of sysctls) {
      await step.run(session, { signal })
      set.unshift(step)
    }
    await make(settings)
    await make(drained.flatMap(place => takingOut(ipvs, place)))
  } catch (error) {
    await enforce(ipvs, undo)
    for (const step of set) await step.undo(session)
    throw error
  }
  for (const place of drained) {
    const { service, id, state, server, declared, by } = place
    const kept = overrides.get(service, id)?.declared ?? declarationOf(place) ?? server!
    const own = declared && sameSettings(withFallback(declared), state) ? declared : state
    overrides.set('operator', own, kept, by)
  }
  await settle(ipvs)
  return { drained, prepared: linesOf(preparation) }
}

/** The edit that takes a real server out, where it is not out. */
function takingOut({ overrides }: IpvsClient, { service, id, server, by }: Drained): Undoable[] {
  if (by === 'absence' ? !server : server?.weight === 0) return []
  if (by === 'absence') return [[{ action: 'remove', service, server }, { action: 'add', service, server: server! }]]
  const wanted = { ...server ?? overrides.get(service, id)!.declared, weight: 0 }
  return server ? [[{ action: 'change', service, server: wanted }, { action: 'change', service, server }]]
    : [[{ action: 'add', service, server: wanted }, { action: 'remove', service, server: id }]]
}

/** The kernel's state of each place. */
export async function find(ipvs: IpvsClient, places: readonly Place[], signal?: AbortSignal): Promise<Found[]> {
  return await Promise.all(places.map(async place => {
    const state = await readServiceState(ipvs, place.service, { signal })
    return { ...place, state, server: state && findRealServer(state.realServers, place.id) }
  }))
}

/** A real server as its spec declares it. */
export const declarationOf = ({ declared, id }: Place): RealServerSettings | undefined =>
  declared && findRealServer(declared.realServers, id)

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

const linesOf = (steps: readonly Step[]): string[] => steps.map(({ line }) => line)

export const nameOf = ([place]: readonly Place[]): string =>
  place ? endpoint(place.id.address, place.id.port) : 'the real server'
