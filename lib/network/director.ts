/** The director's network: the VIP, the routes to the real servers, the sysctls of forwarding. */

import { familyOf, type Family } from '../base/address.js'
import type { Service, VirtualServiceSpec } from '../ipvs/model.js'
import { serviceFamily } from '../ipvs/names.js'
import { choosesWeightZero } from '../ipvs/schedulers.js'
import type { SysctlSetting } from '../sysctl/steps.js'
import type { NetworkSpec } from './network.js'

/** The sysctl with which persistent clients leave a real server of weight 0. */
export const EXPIRE_TEMPLATES = {
  key: 'net.ipv4.vs.expire_quiescent_template', value: 1,
  why: 'persistent clients would stay on a real server of weight 0',
} as const

/** A sysctl that some services need. */
interface Need extends SysctlSetting { readonly key: string; readonly needed: (service: Service) => boolean }

const forwarding = (family: Family, key: string): Need => ({
  key, value: 1, why: 'with masq the real servers\' replies pass through the director',
  needed: service => serviceFamily(service) === family && service.realServers.some(({ forward }) => forward === 'masq'),
})

/** The sysctls of forwarding, for each family. */
export const FORWARDING = [
  forwarding('inet', 'net.ipv4.ip_forward'), forwarding('inet6', 'net.ipv6.conf.all.forwarding'),
]

const NEEDS: readonly Need[] = [
  ...FORWARDING,
  { ...EXPIRE_TEMPLATES, needed: service => service.persistence !== undefined },
  {
    key: 'net.ipv4.vs.expire_nodest_conn', value: 1,
    why: 'this scheduler refuses clients of a real server of weight 0, '
      + 'so the real server is removed, and its connections would hang',
    needed: choosesWeightZero,
  },
]

/** The network of a spec's `network`; nothing, where the spec has none. Pure. */
export function directorNetwork({ network, vip }: VirtualServiceSpec, services: readonly Service[]): NetworkSpec {
  if (!network) return {}
  const { link, prefix, label, routes = [] } = network
  return {
    ...link !== undefined && vip !== undefined && {
      addresses: [{
        address: prefix === undefined ? vip : `${vip}/${prefix}`, link, ...label !== undefined && { label },
        // A preferred IPv6 VIP becomes the source of the outer packets, because of its long prefix,
        // and real servers drop packets from their own VIP.
        ...familyOf(vip) === 'inet6' && { lifetimes: { valid: 'forever' as const, preferred: 0 } },
      }],
    },
    routes,
    sysctls: NEEDS.filter(({ needed }) => services.some(needed)).map(({ needed: _, ...setting }) => setting),
  }
}
