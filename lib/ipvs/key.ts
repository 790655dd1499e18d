/** Identities of services and real servers: their checks, and their attributes on the wire. */

import type { DestinationAttributes, ServiceAttributes } from '../../generic-netlink/families/ipvs.js'
import { familyOf } from '../base/address.js'
import { address, checkList, integer, oneOf, show, SpecError } from '../base/check.js'
import type { Protocol, RealServerKey, ServiceId, ServiceKey } from './model.js'

/** The protocols that a virtual service can have. */
export const protocols: readonly Protocol[] = ['tcp', 'udp', 'sctp']

/**
 * The kernel's services that an id names: one for each of its protocols. An id may name a service
 * that no spec can have, so that a service of a foreign program can be read and removed.
 * @throws SpecError naming the field
 */
export function serviceKeys(id: ServiceId | ServiceKey): ServiceKey[] {
  if (typeof id !== 'object' || (id as unknown) === null) throw new SpecError('service', `${show(id)} is not an object`)
  const { vip, port, protocol, protocols: several, fwmark, family } = id as Record<string, unknown>
  if (fwmark !== undefined) {
    if ((vip ?? port ?? protocol ?? several) !== undefined) {
      throw new SpecError(
        'fwmark', 'cannot be combined with vip, port or protocols, which the kernel would ignore; remove them')
    }
    const mark = integer('fwmark', fwmark, 1, 0xffffffff)
    return [{ fwmark: mark, family: oneOf('family', family ?? 'inet', ['inet', 'inet6']) }]
  }
  if (vip === undefined) throw new SpecError('vip', 'required: set vip, port and protocols, or set fwmark')
  if (family !== undefined) throw new SpecError('family', 'only a firewall mark has a family of its own; remove it')
  if (protocol !== undefined && several !== undefined) {
    throw new SpecError('protocol', 'cannot be combined with protocols; remove one')
  }
  const key = { vip: address('vip', vip), port: integer('port', port, 0, 65535) }
  return protocolsOf(protocol, several).map(protocol => ({ vip: key.vip, port: key.port, protocol }))
}

function protocolsOf(protocol: unknown, several: unknown): (Protocol | number)[] {
  if (protocol !== undefined) return [protocolOf('protocol', protocol)]
  if (several === undefined) {
    throw new SpecError('protocol', 'required: set protocol: \'tcp\' or protocols: [\'tcp\', \'udp\']')
  }
  const checked = checkList('protocols', several).map((each, i) => protocolOf(`protocols[${i}]`, each))
  if (checked.length === 0) throw new SpecError('protocols', 'the list is empty')
  checked.forEach((each, i) => {
    if (checked.indexOf(each) < i) throw new SpecError(`protocols[${i}]`, `${each} is a duplicate`)
  })
  return checked
}

const protocolOf = (path: string, value: unknown): Protocol | number =>
  typeof value === 'number' ? integer(path, value, 0, 65535) : oneOf(path, value, protocols)

/** The address and port of a real server of this service. @throws SpecError naming the field */
export function realServerKey(
  id: { readonly address: string; readonly port?: number | undefined }, service: ServiceKey,
): RealServerKey {
  return { address: address('address', id.address), port: realServerPort(id.port, service) }
}

/** The port of a real server of this service. @throws SpecError naming the field */
export const realServerPort = (port: unknown, service: ServiceKey): number =>
  integer('port', port === undefined ? service.port ?? 0 : port, 0, 65535)

/** The attributes that identify a service. */
export function keyAttributes(key: ServiceKey): ServiceAttributes {
  if (key.fwmark !== undefined) return { af: key.family, fwmark: key.fwmark }
  return { af: familyOf(key.vip), protocol: key.protocol, addr: key.vip, port: key.port }
}

/** The attributes that identify a real server of a service. */
export function destinationKey({ address, port }: RealServerKey): DestinationAttributes {
  return { addrFamily: familyOf(address), addr: address, port }
}
