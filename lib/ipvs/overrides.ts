/** Overrides of declared weights: a real server takes no new connections, whatever plans say. */

import type { Change } from './changes.js'
import type { RealServerKey, RealServerSettings, Service, ServiceKey, ServiceSettings } from './model.js'
import { findRealServer, realServerName, serviceName } from './names.js'
import {
  hasWeightZero, keyOf, outBy, settingsOf, strongest,
  type Ending, type OutBy, type OverrideSource, type ServerRecord, type ServiceRecord,
} from './override-records.js'
import { sameRealServer } from './real-server.js'
import { hasDrain, withDrains, withFallback, type DrainableSettings } from './schedulers.js'
import { sameSettings } from './service.js'

/** A real server with an override, and the settings that it gets back. */
interface Override { readonly declared: RealServerSettings; readonly by: OutBy }

/** An edit that the kernel took. */
interface Taken extends Pick<Change, 'action'> {
  readonly service: ServiceKey & Partial<ServiceSettings>
  readonly server?: RealServerSettings | RealServerKey | undefined
}

/**
 * The overrides of this process in a network namespace. Each command that is sent is combined with
 * them. Only `lib/ipvs/apply.ts` and drains write them, after the kernel took a command.
 */
export class Overrides {
  readonly #services = new Map<string, ServiceRecord>()
  /** Services whose settings may have to change, because overrides began or ended. */
  readonly #unsettled = new Set<ServiceRecord>()

  get empty(): boolean { return this.#services.size === 0 }

  // ── the effective settings ──

  /** The override of a real server; undefined where it has none. */
  get(service: ServiceKey, server: RealServerKey): Override | undefined {
    const record = this.#server(service, server)
    return record && { declared: record.declared, by: outBy(record) }
  }

  /** The settings that a real server has now; undefined where it is absent. */
  server<S extends RealServerSettings>(service: ServiceKey, server: S): S | undefined {
    const sources = this.#server(service, server)?.sources
    const by = sources?.size ? strongest(sources) : server.drain ? 'weight' : undefined
    return by === undefined ? server : by === 'weight' ? { ...server, weight: 0 } : undefined
  }

  /** The settings that a service has now. */
  settings<S extends ServiceKey & DrainableSettings>(service: S): S {
    const record = this.#of(service)
    return record && hasWeightZero(record) ? withFallback(service) : withDrains(service)
  }

  /** A service with its real servers as they are now. */
  service(service: Service): Service {
    if (!this.concerns(service)) return service
    const realServers = service.realServers.flatMap(server => this.server(service, server) ?? [])
    return { ...this.settings(service), realServers }
  }

  /** Whether a service has overrides, or declares drains. */
  concerns(service: Service): boolean { return this.#of(service) !== undefined || hasDrain(service.realServers) }

  // ── the declared settings ──

  /** Whether a wanted service, or real server, differs from the one that overrides keep. */
  redeclares(service: Service, server?: RealServerSettings): boolean {
    const record = this.#of(service)
    if (!server) return record?.settings !== undefined && !sameSettings(record.settings, service)
    const before = record?.servers.get(realServerName(server))?.declared
    return before !== undefined && !(sameRealServer(before, server) && before.drain === server.drain)
  }

  /** Whether a real server's effective settings differ from the actual ones, or are redeclared. */
  differs(service: Service, server: RealServerSettings, actual: RealServerSettings | undefined): boolean {
    const now = this.server(service, server)
    const equal = actual && now ? sameRealServer(now, actual) : actual === now
    return !equal || this.redeclares(service, server)
  }

  /** The change to a declared real server, from an actual one. */
  change(service: Service, server: RealServerSettings, actual: RealServerSettings, was: Service): Change {
    const why = this.#server(service, server)?.sources.size ? 'drained: counts when it is taken back in' : undefined
    const before = this.declaredServer(service, actual)
    return { action: 'change', service, server, before, was, ...why !== undefined && { why } }
  }

  /** The removal of an actual real server; while somebody waits for its connections, theirs. */
  removal(service: Service, actual: RealServerSettings): Change {
    const server = this.declaredServer(service, actual), awaited = this.#server(service, actual)?.waiting.size
    const why = awaited ? 'its drain removes it, when its connections have ended' : undefined
    return { action: 'remove', service, server, before: server, ...why !== undefined && { why } }
  }

  /** An actual service as declared: without what overrides changed, with those kept absent. */
  declared(actual: Service): Service {
    const record = this.#of(actual)
    if (!record) return actual
    const { settings } = record
    const replaced = settings && sameSettings(hasWeightZero(record) ? withFallback(settings) : settings, actual)
    return {
      ...actual, ...replaced && { scheduler: settings.scheduler, schedulerFlags: settings.schedulerFlags },
      realServers: [...actual.realServers.map(server => this.declaredServer(actual, server)), ...this.absent(actual)],
    }
  }

  /** An actual real server as declared. */
  declaredServer(service: ServiceKey, actual: RealServerSettings): RealServerSettings {
    const declared = this.#server(service, actual)?.declared
    if (!declared || actual.weight !== 0) return actual
    return { ...actual, weight: declared.weight, ...declared.drain && { drain: true } }
  }

  /** The real servers that overrides keep absent from an actual service. */
  absent(actual: Service): RealServerSettings[] {
    const records = [...this.#of(actual)?.servers.values() ?? []]
    return records.filter(record => outBy(record) === 'absence' && !findRealServer(actual.realServers, record.declared))
      .map(({ declared }) => declared)
  }

  // ── beginnings and ends ──

  /** Takes a real server out. The first override of a service keeps its settings. */
  set(source: OverrideSource, service: ServiceKey & ServiceSettings, declared: RealServerSettings, by: OutBy): void {
    this.#add(service, declared).sources.set(source, by)
  }

  /** Ends the override of a source. */
  end(source: OverrideSource, service: ServiceKey, server: RealServerKey): void {
    const record = this.#server(service, server)
    if (!record?.sources.delete(source)) return
    record.unwanted = false
    for (const tell of record.waiting) tell('undrained')
    this.#drop(service, server)
  }

  /** Adds, changes or removes what is declared, after the kernel took the edit. */
  took({ action, service, server }: Taken): void {
    if (this.empty && !(server as RealServerSettings | undefined)?.drain) return
    const record = this.#of(service)
    if (!server) {
      if (record && action !== 'remove') this.keepSettings(service as ServiceKey & ServiceSettings)
      else if (record) this.#remove(record)
    } else if (action === 'remove') {
      this.#server(service, server)?.sources.clear()
      this.#drop(service, server, 'removed')
    } else if ((server as RealServerSettings).drain) this.#add(service, server as RealServerSettings)
    else this.declare(service, server as RealServerSettings)
  }

  /** Changes the settings that a real server with an override gets back. */
  declare(service: ServiceKey, declared: RealServerSettings): void {
    const record = this.#server(service, declared)
    if (!record) return
    record.declared = declared
    record.unwanted = false
    this.#drop(service, declared)
  }

  /** Keeps settings that a service gets back when its last override ends, or now. */
  keepSettings(service: ServiceKey & ServiceSettings): void {
    const record = this.#of(service) ?? this.#open(service)
    record.settings = settingsOf(service)
    this.#unsettled.add(record)
  }

  /** Ends all overrides. */
  clear(): void { for (const record of this.#services.values()) this.#remove(record) }

  // ── waiting ──

  /** Calls `tell` when an operator's override ends. Returns the end of waiting. */
  wait(service: ServiceKey, server: RealServerKey, tell: (how: Ending) => void): () => void {
    const waiting = this.#server(service, server)?.waiting
    waiting?.add(tell)
    return () => waiting?.delete(tell)
  }

  /** Leaves the removal of a real server to those that wait; false where nobody waits. */
  leave(service: ServiceKey, server: RealServerKey): boolean {
    const record = this.#server(service, server)
    return record !== undefined && record.waiting.size > 0 && (record.unwanted = true)
  }

  /** Whether a removal was left, and nobody waits any longer. */
  left(service: ServiceKey, server: RealServerKey): boolean {
    const record = this.#server(service, server)
    return record !== undefined && record.unwanted && record.waiting.size === 0
  }

  // ── settling ──

  /** The services whose settings may have to change. */
  unsettled(): ServiceRecord[] { return [...this.#unsettled] }

  /** The settings that an actual service lacks; undefined where they are right, or another's. */
  correction({ settings, servers }: ServiceRecord, actual: ServiceSettings): ServiceSettings | undefined {
    const fallback = settings && withFallback(settings), out = hasWeightZero({ servers })
    const [now, other] = out ? [fallback, settings] : [settings, fallback]
    return other && sameSettings(other, actual) ? now : undefined
  }

  /** Ends the settling of a service; forgets one without overrides. */
  settled(record: ServiceRecord): void {
    this.#unsettled.delete(record)
    if (record.servers.size === 0) this.#services.delete(serviceName(record.key))
  }

  // ── records ──

  /** Making the name costs more than the rest, and mostly there are no overrides. */
  #of(service: ServiceKey): ServiceRecord | undefined {
    return this.#services.size === 0 ? undefined : this.#services.get(serviceName(service))
  }

  #server(service: ServiceKey, server: RealServerKey): ServerRecord | undefined {
    return this.#of(service)?.servers.get(realServerName(server))
  }

  #open(service: ServiceKey & Partial<ServiceSettings>): ServiceRecord {
    const settings = service.scheduler === undefined ? undefined : settingsOf(service as ServiceSettings)
    const record: ServiceRecord = { key: keyOf(service), settings, servers: new Map() }
    this.#services.set(serviceName(service), record)
    return record
  }

  #add(service: ServiceKey & Partial<ServiceSettings>, declared: RealServerSettings): ServerRecord {
    const record = this.#of(service) ?? this.#open(service), name = realServerName(declared)
    const server = record.servers.get(name) ?? { declared, sources: new Map(), waiting: new Set(), unwanted: false }
    server.declared = declared
    server.unwanted = false
    record.servers.set(name, server)
    this.#unsettled.add(record)
    return server
  }

  /** Drops a real server without overrides. */
  #drop(service: ServiceKey, server: RealServerKey, how?: 'removed'): void {
    const record = this.#of(service), name = realServerName(server), found = record?.servers.get(name)
    if (!record || !found) return
    if (how || (found.sources.size === 0 && !found.declared.drain)) record.servers.delete(name)
    if (how) for (const tell of found.waiting) tell(how)
    this.#unsettled.add(record)
  }

  #remove(record: ServiceRecord): void {
    this.#unsettled.delete(record)
    this.#services.delete(serviceName(record.key))
    for (const { waiting } of record.servers.values()) for (const tell of waiting) tell('removed')
  }
}
