/** What plans read and change. */

import { RouteClient } from './rtnetlink/client.js'

/** This host's network, as the process sees it: each part is opened when it is first needed, and all are closed together. */
export class Host implements AsyncDisposable {
  #route: RouteClient | undefined

  /** rtnetlink: links, addresses, routes, neighbours. */
  get route(): RouteClient { return this.#route ??= new RouteClient() }

  /** Closes what was opened. */
  close(): void {
    this.#route?.close()
    this.#route = undefined
  }

  /** {@link Host.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }
}
