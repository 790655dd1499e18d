/** Drains: a real server leaves its services without losing a client, and comes back. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CallOptions } from '../../generic-netlink/core.js'
import { attempt, enforce, settle, type Edit } from '../ipvs/apply.js'
import { throwFirst, type IpvsClient } from '../ipvs/client.js'
import type { RealServerKey, Service, ServiceState } from '../ipvs/model.js'
import { findRealServer, serviceName } from '../ipvs/names.js'
import type { Ending } from '../ipvs/override-records.js'
import { sameRealServer } from '../ipvs/real-server.js'
import { begin, declarationOf, find, nameOf, type BeginOptions, type Found, type Place } from './drain-begin.js'
import { DrainError, drainOptions, type Draining, type DrainOptions, type DrainProgress } from './drain-options.js'

/** Milliseconds between two counts of connections: the first and the longest pause. */
const FIRST_PAUSE = 50, LONGEST_PAUSE = 1000

/**
 * Takes a real server out of all its services and waits until its connections have ended.
 * A second drain, also of another process after a restart, continues from the kernel's state;
 * its options replace those of the first.
 */
export function drain(ipvs: IpvsClient, places: readonly Place[], options?: DrainOptions): Draining {
  const waiting = start(ipvs, places, options)
  const ended = waiting.then(drain => drain.run())
  const out = waiting.then(() => {})
  out.catch(() => {}) // the drain rejects with the same error
  return Object.assign(ended, { out })
}

async function start(ipvs: IpvsClient, places: readonly Place[], given?: DrainOptions): Promise<Waiting> {
  const options = drainOptions(given)
  const { prepare = true, udp = 'move', force = false, signal } = options
  const begun = performance.now()
  return await ipvs.lock.exclusive(async () => {
    const { drained, prepared } = await begin(ipvs, places, { prepare, udp, force, signal })
    return new Waiting(ipvs, drained, { ...options, prepare, udp, force: true }, prepared, begun)
  })
}

/** A drain that waits for the end of connections. */
class Waiting {
  readonly #ipvs: IpvsClient
  readonly #places: readonly Place[]
  readonly #options: DrainOptions & BeginOptions
  readonly #prepared: readonly string[]
  readonly #begun: number
  /** Aborted by the caller's signal, or where the drain is ended by somebody else. */
  readonly #stop = new AbortController()
  readonly #forget: readonly (() => void)[]
  #held = false

  constructor(
    ipvs: IpvsClient, places: readonly Place[], options: DrainOptions & BeginOptions, prepared: readonly string[],
    begun: number,
  ) {
    this.#ipvs = ipvs
    this.#places = places
    this.#options = options
    this.#prepared = prepared
    this.#begun = begun
    const { signal } = options
    const abort = (): void => { this.#stop.abort(signal?.reason) }
    signal?.addEventListener('abort', abort)
    if (signal?.aborted) abort()
    const end = (how: Ending): void => { this.#stop.abort(this.#ended(how)) }
    this.#forget = [
      () => signal?.removeEventListener('abort', abort),
      ...places.map(({ service, id }) => ipvs.overrides.wait(service, id, end)),
    ]
  }

  async run(): Promise<DrainProgress> {
    const { until = 'all', deadline, progress } = this.#options, { signal } = this.#stop
    try {
      for (let pause = FIRST_PAUSE; ; pause = Math.min(pause * 1.5, LONGEST_PAUSE)) {
        signal.throwIfAborted()
        const now = await this.#count()
        signal.throwIfAborted()
        progress?.(now)
        if (now.activeConnections === 0 && (until === 'active' || now.inactiveConnections === 0)) {
          await this.#finish()
          return now
        }
        if (deadline !== undefined && now.elapsed >= deadline) throw this.#late(now, deadline)
        const left = deadline === undefined ? pause : Math.max(deadline - now.elapsed, 0)
        await sleep(Math.min(pause, left), undefined, { signal }).catch(() => {})
      }
    } finally {
      this.#leave()
    }
  }

  /** Counts connections. Rejects where the real server is gone, or takes connections again. */
  async #count(): Promise<DrainProgress> {
    let found = await this.#look()
    // A listing may leave out what nobody touched, while other programs add and remove.
    if (this.#gone(found)) found = await this.#look()
    const gone = this.#gone(found)
    if (gone) throw this.#vanished(gone)
    const ruled = found.find(({ server }) => server && server.weight > 0)
    if (ruled?.server) {
      if (!this.#options.hold || this.#held) {
        throw new DrainError('overruled', `${nameOf(this.#places)} takes connections again: another program gave it `
          + `weight ${ruled.server.weight} in ${serviceName(ruled.service)}; drain again, or call undrain()`)
      }
      this.#held = true
      await this.#ipvs.lock.exclusive(() => begin(this.#ipvs, this.#places, this.#options))
    }
    const sum = (key: 'activeConnections' | 'inactiveConnections'): number =>
      found.reduce((total, { server }) => total + (server?.[key] ?? 0), 0)
    return {
      activeConnections: sum('activeConnections'), inactiveConnections: sum('inactiveConnections'),
      elapsed: performance.now() - this.#begun, prepared: this.#prepared,
    }
  }

  #look(): Promise<Found[]> {
    const { signal } = this.#stop
    return this.#ipvs.lock.shared(() => {
      signal.throwIfAborted()
      return find(this.#ipvs, this.#places, signal)
    })
  }

  #gone(found: readonly Found[]): Found | undefined {
    return found.find(({ service, id, state, server }) =>
      !state || (!server && this.#ipvs.overrides.get(service, id)?.by === 'weight'))
  }

  /** Removes the real server where a plan left that to the drain. */
  async #finish(): Promise<void> {
    const { overrides, lock } = this.#ipvs
    await lock.exclusive(async () => {
      this.#stop.signal.throwIfAborted()
      this.#leave()
      const left = this.#places.filter(({ service, id }) => overrides.left(service, id))
      throwFirst(await attempt(this.#ipvs, left.map(({ service, id }) => ({ action: 'remove', service, server: id }))))
    })
  }

  #leave(): void { for (const forget of this.#forget) forget() }

  #ended(how: Ending): DrainError {
    if (how === 'removed') return this.#vanished()
    return new DrainError('undrained', `${nameOf(this.#places)} was taken back in`)
  }

  #vanished(place?: Found): DrainError {
    const from = place ? ` from ${serviceName(place.service)} by another program` : ''
    return new DrainError('vanished', `${nameOf(this.#places)} was removed${from} before its connections had ended`)
  }

  #late({ activeConnections, inactiveConnections }: DrainProgress, deadline: number): DrainError {
    return new DrainError('deadline', `${nameOf(this.#places)} still has ${activeConnections} active and `
      + `${inactiveConnections} inactive connections after ${deadline} ms, and takes no new ones; `
      + 'drain again to wait longer, or call remove() or undrain()')
  }
}

/**
 * Takes a real server back in: with the weight that was declared or set last, during the drain too;
 * else with that before the drain. Where the service is missing, it counts when it returns.
 */
export async function undrain(ipvs: IpvsClient, places: readonly Place[], { signal }: CallOptions = {}): Promise<void> {
  const { overrides } = ipvs
  await ipvs.lock.exclusive(async () => {
    const found = (await find(ipvs, places, signal)).map(place => {
      const wanted = overrides.get(place.service, place.id)?.declared ?? declarationOf(place)
      if (wanted?.drain) {
        throw new DrainError('declared', `${nameOf(places)} is drained by its spec; apply a spec without drain: true`)
      }
      if (!wanted && place.state) {
        throw new DrainError('missing', `${nameOf(places)} is not declared, `
          + 'and its weight before the drain is not known; set a weight with setWeight()')
      }
      return { ...place, wanted }
    })
    const back = found.flatMap(({ service, state, server, wanted }): Edit[] =>
      !state || !wanted || (server && sameRealServer(server, wanted)) ? []
        : [{ action: server ? 'change' : 'add', service, server: wanted }])
    const errors = await enforce(ipvs, back, { signal })
    const failed = new Set(back.filter((_, i) => errors[i] !== undefined).map(({ service }) => service))
    for (const { service, id, state, declared } of found) {
      if (failed.has(service)) continue
      // After a restart the record of what drains replaced is the declaration.
      if (state && declared && !overrides.get(service, id) && !drainsOthers(declared, state, id)) {
        overrides.keepSettings(declared)
      }
      overrides.end('operator', service, id)
    }
    throwFirst([...errors, ...(await settle(ipvs)).values()])
  })
}

/** Whether a real server other than this one has weight 0 and a declared weight. */
const drainsOthers = (declared: Service, state: ServiceState, { address, port }: RealServerKey): boolean =>
  state.realServers.some(server => server.weight === 0 && (server.address !== address || server.port !== port)
    && (findRealServer(declared.realServers, server)?.weight ?? 0) > 0)
