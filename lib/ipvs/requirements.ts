/** Services whose scheduler or persistence engine the kernel does not have. */

import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'
import type { ServiceAttributes } from '../../generic-netlink/families/ipvs.js'
import type { IpvsClient } from './client.js'
import { explained } from './explain.js'
import { keyAttributes } from './key.js'
import type { ServiceKey, ServiceSettings } from './model.js'
import type { Modules, Presence } from './modules.js'
import { serviceName } from './names.js'

/** An edit; that of a service names a scheduler, and perhaps an engine. */
interface Needing {
  readonly action: 'add' | 'change' | 'remove'
  readonly service: ServiceKey & Partial<ServiceSettings>
  readonly server?: unknown
}

/** A module, and the attributes that ask for it. */
type Need = readonly [module: string, attributes: ServiceAttributes]

const ENOENT = -2, ETIMEDOUT = -110

/**
 * The errors of edits that need a module which the kernel does not have, by their index. Loads
 * modules that are not loaded yet. Never rejects.
 */
export async function unmet(
  ipvs: IpvsClient, edits: readonly Needing[], modules: Modules, { signal }: CallOptions = {},
): Promise<ReadonlyMap<number, NetlinkError>> {
  const errors = new Map<number, NetlinkError>()
  if (!ipvs.loadsModules) return errors
  const needed = new Set<string>()
  for (const edit of edits) for (const [module] of needsOf(ipvs, edit)) needed.add(module)
  const absent = new Map<string, Presence>()
  for (const module of needed) {
    const presence = await modules.find(module, signal)
    if (presence === 'missing' || presence === 'slow') absent.set(module, presence)
  }
  if (absent.size === 0) return errors
  edits.forEach((edit, i) => {
    for (const [module, attributes] of needsOf(ipvs, edit)) {
      const presence = absent.get(module)
      if (presence !== undefined) errors.set(i, refusal(edit, module, attributes, presence))
    }
  })
  return errors
}

const NONE: readonly Need[] = []

function needsOf({ overrides }: IpvsClient, { action, service, server }: Needing): readonly Need[] {
  if (server !== undefined || action === 'remove' || service.scheduler === undefined) return NONE
  const { scheduler, persistence, engine = persistence?.engine } =
    overrides.settings(service as ServiceKey & ServiceSettings)
  const needs: Need[] = scheduler === 'none' ? [] : [[`ip_vs_${scheduler}`, { schedName: scheduler }]]
  if (engine !== undefined) needs.push([`ip_vs_pe_${engine}`, { peName: engine }])
  return needs
}

function refusal(
  { action, service }: Needing, module: string, attributes: ServiceAttributes, presence: Presence,
): NetlinkError {
  const command = action === 'add' ? 'newService' : 'setService', request = `IPVS ${command}`
  if (presence === 'slow') {
    const message = `cannot ${action} virtual service ${serviceName(service)}: modprobe ${module} does not end`
    return new NetlinkError(ETIMEDOUT, request, { object: serviceName(service), message })
  }
  const sent = { service: { ...keyAttributes(service), ...attributes } }
  return explained(new NetlinkError(ENOENT, request), command, sent) as NetlinkError
}
