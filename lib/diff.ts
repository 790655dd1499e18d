/** What must be sent for the kernel to hold what is wanted. Pure. */

import type { Command, ipvs } from '../generic-netlink/index.js'
import {
  serviceName, type ActualForwarding, type RealServerSettings, type Service, type ServiceKey, type ServiceSettings, type ServiceState,
} from './model.js'
import { destinationAttributes, destinationKey, keyAttributes, serviceAttributes } from './wire.js'

/** A command to IPVS, ready to be sent. */
export type IpvsCommand = Command<typeof ipvs.commands>

/** One difference between what is wanted and what is. */
export interface Change {
  readonly service: Service
  /** The real server that it is about; absent where it is about the service itself. */
  readonly server?: RealServerSettings
  /** What the kernel has; absent where it has none. */
  readonly before?: (ServiceKey & ServiceSettings) | RealServerSettings
}

/**
 * What `wanted` names and `actual` has not, or has otherwise; services before their real servers. Nothing is removed: what
 * `wanted` does not name stays.
 */
export function additionsAndChanges(wanted: readonly Service[], actual: readonly ServiceState[]): Change[] {
  const present = new Map(actual.map(state => [serviceName(state), state]))
  const changes: Change[] = []
  for (const service of wanted) {
    const state = present.get(serviceName(service))
    if (!state) changes.push({ service })
    else if (!sameSettings(service, state)) changes.push({ service, before: state })
    const servers = new Map(state?.realServers.map(server => [serverKey(server), server]))
    for (const server of service.realServers) {
      const there = servers.get(serverKey(server))
      if (!there) changes.push({ service, server })
      else if (!sameRealServer(server, there)) changes.push({ service, server, before: there })
    }
  }
  return changes
}

/** What makes a change. */
export function commandOf({ service, server, before }: Change): IpvsCommand {
  if (!server) return [before ? 'setService' : 'newService', { service: serviceAttributes(service) }]
  return [before ? 'setDest' : 'newDest', { service: keyAttributes(service), dest: destinationAttributes(server) }]
}

/** What takes it back. */
export function inverseOf({ service, server, before }: Change): IpvsCommand {
  if (!server) return before ? ['setService', { service: serviceAttributes(before as Service) }] : ['delService', { service: keyAttributes(service) }]
  const key = keyAttributes(service)
  return before
    ? ['setDest', { service: key, dest: destinationAttributes(before as RealServerSettings) }]
    : ['delDest', { service: key, dest: destinationKey(server) }]
}

const serverKey = ({ address, port }: RealServerSettings): string => `${address} ${port}`

function sameSettings(a: ServiceSettings, b: ServiceSettings): boolean {
  const { persistence: p } = a
  const { persistence: q } = b
  return a.scheduler === b.scheduler && a.onePacket === b.onePacket && a.netmask === b.netmask && a.engine === b.engine
    && p?.timeout === q?.timeout && p?.netmask === q?.netmask && p?.engine === q?.engine
    && a.schedulerFlags.join() === b.schedulerFlags.join()
}

function sameRealServer(a: RealServerSettings, b: RealServerSettings): boolean {
  return a.weight === b.weight && a.thresholds.upper === b.thresholds.upper && a.thresholds.lower === b.thresholds.lower && sameForwarding(a.forward, b.forward)
}

function sameForwarding(a: ActualForwarding, b: ActualForwarding): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  const port = (tunnel: object): unknown => 'port' in tunnel ? tunnel.port : 0
  const checksum = (tunnel: object): unknown => 'checksum' in tunnel ? tunnel.checksum : undefined
  return a.tunnel === b.tunnel && port(a) === port(b) && checksum(a) === checksum(b)
}
