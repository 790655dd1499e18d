/** The conversations with the kernel that the steps of a plan share. */

import { NetlinkError, type CallOptions } from '../../generic-netlink/core.js'

/** A conversation with a part of the kernel. */
export interface Conversation {
  readonly closed?: boolean
  close(): void | Promise<void>
}

/** Opens a conversation. Steps name the conversation that they need by its opener. */
export type Open<T extends Conversation> = (options?: CallOptions) => T | Promise<T>

/** Opens each conversation when a step first needs it, and closes all of them together. */
export class Session implements AsyncDisposable {
  readonly #opened = new Map<Open<Conversation>, Promise<Conversation>>()
  readonly #shared = new Map<Open<Conversation>, Conversation>()

  /** Shares an open conversation with the steps; its owner closes it, which ends the session. */
  share<T extends Conversation>(open: Open<T>, conversation: T): this {
    if (conversation.closed !== true) this.#shared.set(open, conversation)
    return this
  }

  /** The reason that the session has ended: the owner of a shared conversation has closed it. */
  get ended(): NetlinkError | undefined {
    for (const { closed } of this.#shared.values()) if (closed === true) return closedByOwner()
    return undefined
  }

  /** The conversation that `open` opens. Rejects as `open` does. */
  async use<T extends Conversation>(open: Open<T>, options?: CallOptions): Promise<T> {
    const shared = this.#shared.get(open)
    if (shared?.closed === true) throw closedByOwner()
    if (shared !== undefined) return shared as T
    const opened = this.#opened.get(open) ?? Promise.resolve(open(options))
    this.#opened.set(open, opened)
    return await opened as T
  }

  /** Closes the conversations that this session opened. */
  async close(): Promise<void> {
    const opened = [...this.#opened.values()]
    this.#opened.clear()
    for (const result of await Promise.allSettled(opened)) {
      if (result.status === 'fulfilled') await result.value.close()
    }
  }

  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}

const ECANCELED = -125

const closedByOwner = (): NetlinkError =>
  new NetlinkError(ECANCELED, 'netlink', { message: 'the connection was closed' })
