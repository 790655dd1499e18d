/** Overrides of declared weights: a real server takes no new connections, whatever plans say. */

import type { RealServerKey, RealServerSettings, Service, ServiceKey, ServiceSettings } from './model.js'
import { realServerName, serviceName } from './names.js'
import { withFallback } from './schedulers.js'

/** The sources of overrides. A real server takes connections only where no source takes it out. */
type OverrideSource = 'drain'

/**
 * The state of a real server that takes no new connections: weight 0, or absent from the service.
 * Absence is for UDP: a flow whose client keeps its source port stays at weight 0 until it ends.
 */
export type OutBy = 'weight' | 'absence'

/** A real server with an override, and the settings that it gets back. */
interface Override { readonly declared: RealServerSettings; readonly by: OutBy }

interface Entry { declared: RealServerSettings; readonly sources: Map<OverrideSource, OutBy> }

/** The overrides of a conversation with IPVS. Every command that is sent is combined with them. */
export class Overrides {
  readonly #services = new Map<string, Map<string, Entry>>()

  /** Takes a real server out. */
  set(source: OverrideSource, service: ServiceKey, declared: RealServerSettings, by: OutBy): void {
    const name = serviceName(service), server = realServerName(declared)
    const servers = this.#services.get(name) ?? new Map<string, Entry>()
    const sources = servers.get(server)?.sources ?? new Map<OverrideSource, OutBy>()
    this.#services.set(name, servers.set(server, { declared, sources: sources.set(source, by) }))
  }

  /** Changes the settings that a real server with an override gets back. */
  declare(service: ServiceKey, declared: RealServerSettings): void {
    const entry = this.#of(service)?.get(realServerName(declared))
    if (entry) entry.declared = declared
  }

  /** Ends the override of a source; of all sources where none is named. */
  delete(service: ServiceKey, server: RealServerKey, source?: OverrideSource): void {
    const servers = this.#services.get(serviceName(service)), name = realServerName(server)
    const sources = servers?.get(name)?.sources
    if (source !== undefined) sources?.delete(source)
    if (source === undefined || sources?.size === 0) servers?.delete(name)
    if (servers?.size === 0) this.#services.delete(serviceName(service))
  }

  /** Ends all overrides of a service, or all overrides. */
  clear(service?: ServiceKey): void {
    if (service) this.#services.delete(serviceName(service))
    else this.#services.clear()
  }

  /** The override of a real server; undefined where it has none. */
  get(service: ServiceKey, server: RealServerKey): Override | undefined {
    const entry = this.#of(service)?.get(realServerName(server))
    return entry && { declared: entry.declared, by: outBy(entry) }
  }

  /** The settings that a real server has now; undefined where it is absent. */
  server<S extends RealServerSettings>(service: ServiceKey, server: S): S | undefined {
    const override = this.get(service, server)
    return override === undefined ? server : override.by === 'weight' ? { ...server, weight: 0 } : undefined
  }

  /** The settings that a service has now. */
  settings<S extends ServiceKey & ServiceSettings>(service: S): S {
    const servers = this.#of(service)
    return servers && [...servers.values()].some(entry => outBy(entry) === 'weight') ? withFallback(service) : service
  }

  /** A service with its real servers as they are now. */
  service(service: Service): Service {
    if (!this.#of(service)) return service
    const realServers = service.realServers.flatMap(server => this.server(service, server) ?? [])
    return { ...this.settings(service), realServers }
  }

  /** Making the name costs more than the rest, and mostly there are no overrides. */
  #of(service: ServiceKey): Map<string, Entry> | undefined {
    return this.#services.size === 0 ? undefined : this.#services.get(serviceName(service))
  }
}

/** Absence is the stronger of the two. */
const outBy = ({ sources }: Entry): OutBy => [...sources.values()].includes('absence') ? 'absence' : 'weight'
