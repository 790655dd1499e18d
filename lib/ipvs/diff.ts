/** What is wanted against what the kernel has. Pure, and linear. */

import { byName, realServerName, serviceName, type ActualForwarding, type RealServerSettings, type Service, type ServiceSettings } from './model.js'

/** One difference between what is wanted and what is. */
export interface Change {
  readonly action: 'add' | 'change' | 'remove'
  /** The service that it is about, or whose real server: as wanted; as it is, where it is removed. */
  readonly service: Service
  /** The real server that it is about; absent where it is about the service itself. */
  readonly server?: RealServerSettings
  /** What the kernel has; absent where it has none. */
  readonly before?: Service | RealServerSettings
}

/** Changes in order. A service that is missing with all its real servers is kept as one: there may be hundreds of thousands. */
export class Changes {
  readonly #kept: Change[] = []
  /** Of each that is kept, its index among the changes; of a service with its real servers, the service's. */
  readonly #starts: number[] = []
  #length = 0
  /** Which was asked for last: its neighbours are next. */
  #last = 0

  get length(): number { return this.#length }

  push(change: Change): void { this.#push(change, 1) }

  /** The addition of a service and all its real servers. */
  pushAll(service: Service): void { this.#push({ action: 'add', service }, 1 + service.realServers.length) }

  #push(change: Change, count: number): void {
    this.#kept.push(change)
    this.#starts.push(this.#length)
    this.#length += count
  }

  /** The change of this index, from 0. */
  at(index: number): Change | undefined {
    if (index < 0 || index >= this.#length) return undefined
    const starts = this.#starts
    let nth = this.#last
    if (index < starts[nth]! || index >= (starts[nth + 1] ?? Infinity)) {
      nth = starts[nth + 1] === index ? nth + 1 : lastUpTo(starts, index)
      this.#last = nth
    }
    const change = this.#kept[nth]!, { action, service } = change
    return starts[nth] === index ? change : { action, service, server: service.realServers[index - starts[nth]! - 1]! }
  }

  * [Symbol.iterator](): Generator<Change, void, undefined> { for (let i = 0; i < this.#length; i++) yield this.at(i)! }
}

/** The index of the last number of an ascending list that is not above `n`. */
function lastUpTo(ascending: readonly number[], n: number): number {
  let low = 0
  for (let high = ascending.length; high - low > 1;) {
    const middle = low + high >>> 1
    if (ascending[middle]! <= n) low = middle
    else high = middle
  }
  return low
}

/** What may be removed. */
export interface Pruning {
  /** Real servers that the kernel has in a wanted service and that nobody wants. @defaultValue false */
  readonly prune?: boolean
  /** Services that the kernel has and nobody wants, with their real servers, where `prune` is set. @defaultValue none */
  readonly owned?: (service: Service) => boolean
}

/**
 * What must change, in an order in which no client is refused that was served before: services before their real
 * servers, what adds capacity before what takes it away, and real servers before services.
 */
export function differences(wanted: readonly Service[], actual: readonly Service[], pruning?: Pruning): Change[] {
  const comparison = new Comparison(pruning)
  const present = byName(actual, serviceName)
  for (const service of wanted) {
    const name = serviceName(service)
    comparison.compare(service, present.get(name))
    present.delete(name)
  }
  for (const state of present.values()) comparison.unwanted(state)
  return [...comparison.finish()]
}

/** {@link differences}, service by service: what was compared and is the same need not be kept. */
export class Comparison {
  readonly #prune: boolean
  readonly #owned: (service: Service) => boolean
  readonly #changes = new Changes()
  readonly #removals: Change[] = []
  /** How many real servers the kernel has in services that are wanted or owned. */
  held = 0

  constructor({ prune = false, owned = () => false }: Pruning = {}) {
    this.#prune = prune
    this.#owned = owned
  }

  /** A service that is wanted, and what the kernel has of it. */
  compare(service: Service, state: Service | undefined): void {
    if (state) {
      this.held += state.realServers.length
      this.#compareWith(state, service)
      return
    }
    this.#changes.pushAll(service)
  }

  /** A service that the kernel has and nobody wants. */
  unwanted(state: Service): void {
    if (!this.#owned(state)) return
    this.held += state.realServers.length
    if (this.#prune) this.#removals.push({ action: 'remove', service: state, before: state })
  }

  #compareWith(state: Service, service: Service): void {
    const changes = this.#changes
    if (!sameSettings(service, state)) changes.push({ action: 'change', service, before: state })
    const servers = new Servers(state.realServers)
    const weaker: Change[] = []
    for (const server of service.realServers) {
      const before = servers.take(server)
      if (!before) changes.push({ action: 'add', service, server })
      else if (!sameRealServer(server, before)) (server.weight < before.weight ? weaker : changes).push({ action: 'change', service, server, before })
    }
    for (const change of weaker) changes.push(change)
    if (this.#prune) for (const server of servers.rest()) this.#removals.push({ action: 'remove', service, server, before: server })
  }

  /** How many of the real servers that are held would go. */
  get removed(): number { return this.#removals.reduce((sum, { service, server }) => sum + (server ? 1 : service.realServers.length), 0) }

  /** All that must change, once everything was compared. */
  finish(): Changes {
    for (const removal of this.#removals) this.#changes.push(removal)
    return this.#changes
  }
}

/** The changes that take one back, in order. */
export function inverse(change: Change): Change[] {
  const { action, service, server, before } = change
  const now = server ?? service
  switch (action) {
    case 'add': return [{ action: 'remove', service, ...server && { server }, before: now }]
    case 'remove': return server
      ? [{ action: 'add', service, server }]
      : [{ action: 'add', service }, ...service.realServers.map((server): Change => ({ action: 'add', service, server }))]
    case 'change': return server
      ? [{ action: 'change', service, server: before as RealServerSettings, before: now }]
      : [{ action: 'change', service: { ...before as Service, realServers: service.realServers }, before: service }]
  }
}

/**
 * The real servers of a service, taken one by one by address and port. Mostly the kernel has them as they are wanted, in the reverse
 * order of their coming: so each is first looked for where it should then be.
 */
export class Servers {
  readonly #list: readonly RealServerSettings[]
  /** The one before that which was taken last. */
  #next: number
  /** Which are taken, and where each is: once one was not where it should be. Until then those behind the next are taken. */
  #taken: boolean[] | undefined
  #index: Map<string, number> | undefined

  constructor(list: readonly RealServerSettings[]) {
    this.#list = list
    this.#next = list.length - 1
  }

  /** The one with this address and port, if it is there. */
  take(server: RealServerSettings): RealServerSettings | undefined {
    let at = this.#next
    const guess = this.#list[at]
    if (guess?.address !== server.address || guess.port !== server.port) {
      this.#taken ??= this.#list.map((_, i) => i > this.#next)
      this.#index ??= new Map(this.#list.map((each, i) => [realServerName(each), i]))
      const found = this.#index.get(realServerName(server))
      if (found === undefined) return undefined
      at = found
    }
    this.#next = at - 1
    if (this.#taken) this.#taken[at] = true
    return this.#list[at]
  }

  /** Those that nobody took. */
  rest(): RealServerSettings[] {
    const taken = this.#taken
    return taken ? this.#list.filter((_, i) => !taken[i]) : this.#list.slice(0, this.#next + 1)
  }
}

function sameSettings(a: ServiceSettings, b: ServiceSettings): boolean {
  const { persistence: p } = a
  const { persistence: q } = b
  return a.scheduler === b.scheduler && a.onePacket === b.onePacket && a.netmask === b.netmask && a.engine === b.engine
    && p?.timeout === q?.timeout && p?.netmask === q?.netmask && p?.engine === q?.engine
    && a.schedulerFlags.length === b.schedulerFlags.length && a.schedulerFlags.every((flag, i) => flag === b.schedulerFlags[i])
}

function sameRealServer(a: RealServerSettings, b: RealServerSettings): boolean {
  return a.weight === b.weight && a.thresholds.upper === b.thresholds.upper && a.thresholds.lower === b.thresholds.lower && sameForwarding(a.forward, b.forward)
}

function sameForwarding(a: ActualForwarding, b: ActualForwarding): boolean {
  if (typeof a !== 'object' || typeof b !== 'object') return a === b
  const port = (tunnel: object): unknown => 'port' in tunnel ? tunnel.port : 0
  const checksum = (tunnel: object): unknown => 'checksum' in tunnel ? tunnel.checksum : undefined
  return a.tunnel === b.tunnel && port(a) === port(b) && checksum(a) === checksum(b)
}
