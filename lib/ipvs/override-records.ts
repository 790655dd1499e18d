/** The records of overrides: services, and the real servers that are taken out of them. */

import type { RealServerSettings, ServiceKey, ServiceSettings } from './model.js'

/**
 * The sources of overrides, besides a declared drain. Out beats in: a real server takes connections
 * only where no source takes it out.
 */
export type OverrideSource = 'operator'

/**
 * The state of a real server that takes no new connections: weight 0, or absent from the service.
 * Absence is for UDP: a flow whose client keeps its source port stays at weight 0 until it ends.
 */
export type OutBy = 'weight' | 'absence'

/** The end of an override: the real server takes connections again, or is gone. */
export type Ending = 'undrained' | 'removed'

/** A real server with overrides. */
export interface ServerRecord {
  declared: RealServerSettings
  readonly sources: Map<OverrideSource, OutBy>
  /** Those that wait for the end of its connections. */
  readonly waiting: Set<(how: Ending) => void>
  /** Whether a plan left its removal to those that wait. */
  unwanted: boolean
}

/** A service with overrides, and the settings that it gets back. */
export interface ServiceRecord {
  readonly key: ServiceKey
  settings: ServiceSettings | undefined
  readonly servers: Map<string, ServerRecord>
}

/** Absence is the stronger of the two. */
export const strongest = (sources: ReadonlyMap<OverrideSource, OutBy>): OutBy =>
  [...sources.values()].includes('absence') ? 'absence' : 'weight'

export const outBy = ({ sources }: ServerRecord): OutBy => strongest(sources)

export const hasWeightZero = ({ servers }: Pick<ServiceRecord, 'servers'>): boolean =>
  [...servers.values()].some(server => outBy(server) === 'weight')

export const keyOf = (key: ServiceKey): ServiceKey => key.fwmark !== undefined
  ? { fwmark: key.fwmark, family: key.family } : { vip: key.vip, port: key.port, protocol: key.protocol }

export function settingsOf(service: ServiceSettings): ServiceSettings {
  const { scheduler, schedulerFlags, onePacket, persistence, netmask, engine } = service
  return {
    scheduler, schedulerFlags, onePacket, ...persistence && { persistence }, ...netmask !== undefined && { netmask },
    ...engine !== undefined && { engine },
  }
}
