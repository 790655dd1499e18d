/** What plans read and change. */

import { Connection, NETLINK_GENERIC, type CallOptions } from '../../generic-netlink/index.js'
import { IpvsClient } from '../ipvs/client.js'
import { RouteClient } from '../rtnetlink/client.js'

/** This host's network, as the process sees it: each part is opened when it is first needed, and all are closed together. */
export class Host implements AsyncDisposable {
  #route: RouteClient | undefined
  #generic: Connection | undefined
  #ipvs: Promise<IpvsClient> | undefined
  readonly #lent: IpvsClient | undefined

  /** @internal */
  constructor(ipvs?: IpvsClient) { this.#lent = ipvs }

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
   * IPVS: that of the director whose plan it is, while it is open, or one of its own. Rejects with `ENOENT` where the kernel has none.
   * @internal
   */
  async ipvs(options?: CallOptions): Promise<IpvsClient> {
    return this.#lent?.closed === false ? this.#lent : await (this.#ipvs ??= IpvsClient.open(options))
  }

  /** Closes what was opened. */
  async close(): Promise<void> {
    this.#route?.close()
    this.#generic?.close()
    const ipvs = this.#ipvs
    this.#route = this.#generic = this.#ipvs = undefined
    await ipvs?.then(client => client.close(), () => {}) // one that could not be opened is none to close
  }

  /** {@link Host.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }
}
