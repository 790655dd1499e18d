/** The sysctls of a host's links. Pure. */

import type { NetworkState } from '../network/network.js'
import { effectiveSysctl, type EffectiveSysctl } from '../sysctl/effective.js'
import { sysctlName } from '../sysctl/keys.js'
import { numberOf } from './finding.js'

/** The sysctls of a link that real servers need. */
export const CONF = ['rp_filter', 'arp_ignore', 'arp_announce'] as const

const nameOf = (link: string, name: string): string => sysctlName(['net', 'ipv4', 'conf', link, name])

/** The value of a link's sysctl that counts. */
export const effectiveConf = (
  name: typeof CONF[number], link: string, sysctls: NetworkState['sysctls'],
): EffectiveSysctl => effectiveSysctl(name, link,
  { all: numberOf(sysctls, nameOf('all', name)), device: numberOf(sysctls, nameOf(link, name)) })
