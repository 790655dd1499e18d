/** The sysctls without which a real server that takes no new connections loses clients. */

import type { CallOptions } from '../../generic-netlink/core.js'
import type { Service, ServiceKey, ServiceSettings } from '../ipvs/model.js'
import type { OutBy } from '../ipvs/override-records.js'
import { hasDrain } from '../ipvs/schedulers.js'
import { EXPIRE_TEMPLATES } from '../network/director.js'
import type { Step } from '../plan/plan.js'
import { sysctl } from '../sysctl/accessor.js'
import { sysctlSteps, type SysctlSetting } from '../sysctl/steps.js'

/** A service from which a real server is taken out. */
interface Out { readonly service: ServiceKey & ServiceSettings; readonly by: OutBy }

interface Need extends SysctlSetting {
  readonly key: string
  readonly needed: (out: Out) => boolean
  /** Another value that serves as well. */
  readonly unless?: string
}

const NEEDS: readonly Need[] = [
  { ...EXPIRE_TEMPLATES, needed: ({ service, by }) => by === 'weight' && service.persistence !== undefined },
  {
    key: 'net.ipv4.vs.expire_nodest_conn', value: 1,
    why: 'flows to a removed real server would be dropped in place of moving',
    needed: ({ by }) => by === 'absence',
  },
  {
    key: 'net.ipv4.vs.conn_reuse_mode', value: 1, unless: '2',
    why: 'a client that reuses a source port would stay on a real server of weight 0',
    needed: ({ service, by }) => by === 'weight' && service.protocol !== 'udp',
  },
]

/** The steps to the sysctls that these drains need. */
export async function needs(outs: readonly Out[], options?: CallOptions): Promise<Step[]> {
  if (outs.length === 0) return []
  const actual = await sysctl.read(NEEDS.map(({ key }) => key), options)
  const missing = NEEDS.filter(({ key, needed, unless }) =>
    outs.some(needed) && actual.has(key) && actual.get(key) !== unless)
  return sysctlSteps(missing, actual)
}

/** The steps to the sysctls that the declared drains of services need. */
export function drainSteps(services: readonly Service[], options?: CallOptions): Promise<Step[]> {
  const drained = services.filter(({ realServers }) => hasDrain(realServers))
  return needs(drained.map(service => ({ service, by: 'weight' })), options)
}
