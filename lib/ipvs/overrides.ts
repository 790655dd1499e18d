/** Real servers that are being taken out: the one owner of what is sent for them, whatever else is wanted. */

import {
  realServerName, schedulerBits, schedulerFlagName, serviceName, type RealServerKey, type RealServerSettings, type Service, type ServiceKey,
  type ServiceSettings,
} from './model.js'

/**
 * How a real server is kept from new connections: at weight 0, or by not being there.
 *
 * Not being there is for UDP: a flow whose client keeps its source port stays on a real server of weight 0 for as long as it goes on.
 */
export type DrainedBy = 'weight' | 'absence'

const FALLBACK = ['sh', 'mh']

/** Whether the scheduler goes on asking a real server of weight 0, and so refuses its clients. */
export function asksWeightZero({ scheduler, schedulerFlags }: Pick<ServiceSettings, 'scheduler' | 'schedulerFlags'>): boolean {
  return scheduler === 'dh' || (FALLBACK.includes(scheduler) && !schedulerFlags.some(flag => schedulerBits[flag] === 'sched1'))
}

/**
 * What a service has to be for none of its clients to be refused while a real server has weight 0: sh and mh go on to
 * the next real server with their fallback flag; dh cannot, and lblc, which also goes by where packets are sent, stands in for it.
 */
export function passingOver<S extends ServiceSettings>(service: S): S {
  const { scheduler, schedulerFlags } = service
  if (!asksWeightZero(service)) return service
  if (scheduler === 'dh') return { ...service, scheduler: 'lblc' }
  return { ...service, schedulerFlags: [schedulerFlagName(scheduler, 'sched1'), ...schedulerFlags] }
}

/** What persistent clients need for leaving a real server of weight 0. */
export const EXPIRE_TEMPLATES = {
  key: 'net.ipv4.vs.expire_quiescent_template', value: 1, why: 'persistent clients would go on to a real server of weight 0',
} as const

/** Which real servers are being taken out, for as long as the process lives: what is wanted of them is combined with it when it is sent. */
export class Drains {
  readonly #services = new Map<string, Map<string, Drained>>()

  /** Begins; `server` is what it is to be afterwards. */
  add(service: ServiceKey, server: RealServerSettings, by: DrainedBy): void {
    const name = serviceName(service)
    const servers = this.#services.get(name) ?? new Map<string, Drained>()
    this.#services.set(name, servers.set(realServerName(server), { by, server }))
  }

  /** Ends. */
  delete(service: ServiceKey, server: RealServerKey): void {
    const servers = this.#services.get(serviceName(service))
    servers?.delete(realServerName(server))
    if (servers?.size === 0) this.#services.delete(serviceName(service))
  }

  /** Ends all of a service that is removed, or of all services. */
  clear(service?: ServiceKey): void {
    if (service) this.#services.delete(serviceName(service))
    else this.#services.clear()
  }

  /** How it is kept from new connections, and what it is to be afterwards; undefined where it is not being taken out. */
  get(service: ServiceKey, server: RealServerKey): Drained | undefined {
    return this.#of(service)?.get(realServerName(server))
  }

  /** What a real server is to be now; undefined where it is not to be there. */
  server<S extends RealServerSettings>(service: ServiceKey, server: S): S | undefined {
    const drained = this.get(service, server)
    return drained === undefined ? server : drained.by === 'weight' ? { ...server, weight: 0 } : undefined
  }

  /** What a service is to be now, its real servers left as they are. */
  settings<S extends ServiceKey & ServiceSettings>(service: S): S {
    const servers = this.#of(service)
    return servers && [...servers.values()].some(({ by }) => by === 'weight') ? passingOver(service) : service
  }

  /** What a service with its real servers is to be now. */
  service(service: Service): Service {
    if (!this.#of(service)) return service
    return { ...this.settings(service), realServers: service.realServers.flatMap(server => this.server(service, server) ?? []) }
  }

  /** A name costs more than all else here, and mostly nothing is being taken out. */
  #of(service: ServiceKey): Map<string, Drained> | undefined {
    return this.#services.size === 0 ? undefined : this.#services.get(serviceName(service))
  }
}

interface Drained { readonly by: DrainedBy; readonly server: RealServerSettings }
