/** Changes of the IPVS table: one, many, and the changes that undo one. */

import type { RealServerSettings, Service } from './model.js'

/** A difference between the wanted and the actual table. */
export interface Change {
  readonly action: 'add' | 'change' | 'remove'
  /** The service, or the real server's service: the wanted one, or the actual one of a removal. */
  readonly service: Service
  /** The real server; absent where the change is of the service itself. */
  readonly server?: RealServerSettings
  /** The actual service or real server; absent where the kernel has none. */
  readonly before?: Service | RealServerSettings
  /** The actual service of a real server that is changed. */
  readonly was?: Service
  /** The reason, where the command does not show it. */
  readonly why?: string
}

/** The addition of a service, then of each of its real servers. */
const additions = (service: Service): Change[] =>
  [{ action: 'add', service }, ...service.realServers.map((server): Change => ({ action: 'add', service, server }))]

/**
 * The changes that undo one, in order. Their service is the actual one before the change: where it
 * has gone meanwhile, it comes back as it was.
 */
export function inverse({ action, service, server, before, was = service }: Change): Change[] {
  switch (action) {
    case 'add': return [{ action: 'remove', service, ...server && { server }, before: server ?? service }]
    case 'remove': return server ? [{ action: 'add', service, server }] : additions(service)
    case 'change': return server
      ? [{ action: 'change', service: was, server: before as RealServerSettings, before: server, was: service }]
      : [{ action: 'change', service: before as Service, before: service }]
  }
}

/** Changes in order. A missing service with its real servers, often thousands, is one entry. */
export class Changes {
  readonly #entries: Change[] = []
  /** The index of each entry's first change. */
  readonly #starts: number[] = []
  #length = 0
  /** The entry that was read last: the next change is there or in the next entry. */
  #last = 0

  get length(): number { return this.#length }

  push(change: Change): void { this.#push(change, 1) }

  /** Adds the addition of a service and all its real servers. */
  pushAll(service: Service): void { this.#push({ action: 'add', service }, 1 + service.realServers.length) }

  #push(change: Change, count: number): void {
    this.#entries.push(change)
    this.#starts.push(this.#length)
    this.#length += count
  }

  /** The change of this index, from 0. */
  at(index: number): Change | undefined {
    if (index < 0 || index >= this.#length) return undefined
    const starts = this.#starts
    let nth = this.#last
    if (index < starts[nth]! || index >= (starts[nth + 1] ?? Infinity)) {
      this.#last = nth = starts[nth + 1] === index ? nth + 1 : lastUpTo(starts, index)
    }
    const change = this.#entries[nth]!, { action, service } = change
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
