/** What plans read and change. */

import { Connection, FamilyClient, ipvs, NETLINK_GENERIC, type CallOptions } from '../generic-netlink/index.js'
import { RouteClient } from './rtnetlink/client.js'

/** This host's network, as the process sees it: each part is opened when it is first needed, and all are closed together. */
export class Host implements AsyncDisposable {
  #route: RouteClient | undefined
  #generic: Connection | undefined
  #ipvs: Promise<FamilyClient<typeof ipvs.commands>> | undefined

  /**
   * rtnetlink: links, addresses, routes, neighbours.
   * @internal
   */
  get route(): RouteClient { return this.#route ??= new RouteClient() }

  /**
   * Generic netlink, for families.
   * @internal
   */
  get generic(): Connection { return this.#generic ??= new Connection(NETLINK_GENERIC) }

  /**
   * IPVS. Rejects with `ENOENT` where the kernel has none.
   * @internal
   */
  ipvs(options?: CallOptions): Promise<FamilyClient<typeof ipvs.commands>> {
    return this.#ipvs ??= FamilyClient.find(this.generic, ipvs, options)
  }

  /** Closes what was opened. */
  close(): void {
    this.#route?.close()
    this.#generic?.close()
    this.#route = this.#generic = this.#ipvs = undefined
  }

  /** {@link Host.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close()
    return Promise.resolve()
  }
}
