/** What the clients of a network namespace share in this process. */

import { statSync } from 'node:fs'
import { EditLock } from './edit-lock.js'
import { Overrides } from './overrides.js'

/**
 * The lock and the overrides of a network namespace, for all clients of this thread. They stay
 * while a client is open, and while there are overrides: a drain outlives the director that began
 * it. A worker thread has its own.
 */
export class Registry {
  static readonly #all = new Map<string, Registry>()
  readonly lock = new EditLock()
  readonly overrides = new Overrides()
  readonly #namespace: string
  #clients = 0

  private constructor(namespace: string) { this.#namespace = namespace }

  /** The registry of a namespace, with one more client. */
  static join(namespace = currentNamespace()): Registry {
    const registry = Registry.#all.get(namespace) ?? new Registry(namespace)
    Registry.#all.set(namespace, registry)
    registry.#clients++
    return registry
  }

  /** Ends a client. */
  leave(): void {
    if (--this.#clients === 0 && this.overrides.empty) Registry.#all.delete(this.#namespace)
  }
}

/** The network namespace of this thread, in which a new socket speaks: the device and the inode. */
function currentNamespace(): string {
  try {
    const { dev, ino } = statSync('/proc/thread-self/ns/net', { bigint: true })
    return `${dev}:${ino}`
  } catch { return 'unknown' } // without /proc
}
