/** What must be sent for the kernel to hold what is wanted. Pure. */

import type { Command, ipvs } from '../generic-netlink/index.js'
import { serviceName, type ActualForwarding, type RealServerSettings, type Service, type ServiceSettings, type ServiceState } from './model.js'
import { destinationAttributes, keyAttributes, serviceAttributes } from './wire.js'

/** A command to IPVS, ready to be sent. */
export type IpvsCommand = Command<typeof ipvs.commands>

/**
 * The commands that add or change what `wanted` names and `actual` has not, or has otherwise. Nothing is removed: what
 * `wanted` does not name stays.
 */
export function additionsAndChanges(wanted: readonly Service[], actual: readonly ServiceState[]): IpvsCommand[] {
  const present = new Map(actual.map(state => [serviceName(state), state]))
  const commands: IpvsCommand[] = []
  for (const service of wanted) {
    const state = present.get(serviceName(service))
    if (!state) commands.push(['newService', { service: serviceAttributes(service) }])
    else if (!sameSettings(service, state)) commands.push(['setService', { service: serviceAttributes(service) }])
    const servers = new Map(state?.realServers.map(server => [serverKey(server), server]))
    for (const server of service.realServers) {
      const there = servers.get(serverKey(server))
      if (there && sameRealServer(server, there)) continue
      commands.push([there ? 'setDest' : 'newDest', { service: keyAttributes(service), dest: destinationAttributes(server) }])
    }
  }
  return commands
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
