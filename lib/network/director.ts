/** The director's side of the network: where a VIP lives, how it reaches its real servers, and what its forwarding needs of the kernel. */

import { familyOf } from '../base/address.js'
import { asksWeightZero, EXPIRE_TEMPLATES } from '../ipvs/overrides.js'
import { serviceFamily, type Service, type VirtualServiceSpec } from '../ipvs/model.js'
import type { NetworkSpec } from './network.js'
import type { SysctlSetting } from '../sysctl/steps.js'

/** A sysctl that some services need, and why. */
interface Need extends SysctlSetting {
  readonly needed: (service: Service) => boolean
}

const NEEDS: readonly Need[] = [
  {
    key: 'net.ipv4.ip_forward', value: 1, why: 'with masq the real servers\' replies pass through the director',
    needed: service => serviceFamily(service) === 'inet' && service.realServers.some(({ forward }) => forward === 'masq'),
  },
  {
    key: 'net.ipv6.conf.all.forwarding', value: 1, why: 'with masq the real servers\' replies pass through the director',
    needed: service => serviceFamily(service) === 'inet6' && service.realServers.some(({ forward }) => forward === 'masq'),
  },
  {
    ...EXPIRE_TEMPLATES,
    needed: service => service.persistence !== undefined,
  },
  {
    key: 'net.ipv4.vs.expire_nodest_conn', value: 1,
    why: 'this scheduler refuses clients of a real server of weight 0, so one is taken out by removing it, and its connections would hang',
    needed: asksWeightZero,
  },
]

/** What a spec's `network` asks for; nothing, where it has none. Pure. */
export function directorNetwork({ network, vip }: VirtualServiceSpec, services: readonly Service[]): NetworkSpec {
  if (!network) return {}
  const { interface: link, prefix, label, routes = [] } = network
  return {
    ...link !== undefined && vip !== undefined && {
      addresses: [{
        address: prefix === undefined ? vip : `${vip}/${prefix}`, link, ...label !== undefined && { label },
        // Else IPv6 takes it, for its long prefix, as the source of tunnels' outer packets, and real servers drop what comes from their own VIP.
        ...familyOf(vip) === 'inet6' && { lifetimes: { valid: 'forever' as const, preferred: 0 } },
      }],
    },
    routes,
    sysctls: NEEDS.filter(({ needed }) => services.some(needed)).map(({ key, value, why }) => ({ key, value, ...why !== undefined && { why } })),
  }
}
