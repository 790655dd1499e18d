/**
 * Specs to their normal form. The kernel takes a firewall mark of 0 for a service on 0.0.0.0:0,
 * forwards by methods that do not exist, and balances to ports on which nothing listens: values
 * like these are refused here, with the name of the field, before anything is sent.
 *
 * @module
 */

import { atPath, checkList, checkObject, integer, interfaceName, refusalAt, SpecError } from '../base/check.js'
import type {
  DirectorNetwork, Forwarding, RealServerSettings, RealServerSpec, Service, ServiceKey, VirtualServiceSpec,
} from './model.js'
import { duplicateOf, serviceFamily } from './names.js'
import { checkForward, normalizeRealServer } from './real-server.js'
import { normalizeService } from './service.js'

/** A spec's services, with real servers. @throws SpecError naming the field */
export function normalize(spec: VirtualServiceSpec): Service[] {
  const services = normalizeService(spec)
  if (spec.network !== undefined) checkNetwork(spec.network, services[0]!)
  const forward = checkForward(spec.forward)
  for (const service of services) addRealServers(service, spec.realServers, forward)
  return services
}

function addRealServers(service: Service, specs: readonly (string | RealServerSpec)[], forward: Forwarding): void {
  checkList('realServers', specs)
  const servers = new Array<RealServerSettings>(specs.length)
  for (let i = 0; i < specs.length; i++) {
    try {
      servers[i] = normalizeRealServer(specs[i]!, service, forward)
    } catch (error) {
      throw refusalAt(atPath('realServers', i), error)
    }
  }
  const duplicate = duplicateOf(servers)
  if (duplicate) {
    const [first, second] = duplicate, { address, port } = servers[second]!
    throw new SpecError(`realServers[${second}]`, `${address} port ${port} duplicates realServers[${first}]`)
  }
  service.realServers = servers
}

const NETWORK_FIELDS = new Set(['link', 'prefix', 'label', 'routes'] satisfies (keyof DirectorNetwork)[])

/** Addresses and routes have their own checks. */
function checkNetwork(network: DirectorNetwork, service: ServiceKey): void {
  checkObject('network', network, NETWORK_FIELDS)
  const { link, prefix, routes } = network
  if (link !== undefined) interfaceName('network.link', link)
  if (link !== undefined && service.vip === undefined) {
    throw new SpecError('network.link', 'carries the VIP, and a firewall mark has no VIP; remove it')
  }
  if (prefix !== undefined) integer('network.prefix', prefix, 1, serviceFamily(service) === 'inet' ? 32 : 128)
  if (routes !== undefined) checkList('network.routes', routes)
}
