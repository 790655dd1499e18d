/** The real server's side: whatever it takes for a host to answer for a VIP that is another's. */

import type { CallOptions } from '../../generic-netlink/index.js'
import type { Finding } from '../diagnose/finding.js'
import { readRealServer, realServerFindings } from '../diagnose/real-server.js'
import { networkSteps, readNetwork } from '../network/network.js'
import { Plan } from '../plan/plan.js'
import { occupied, realServerNetwork, type RealServerPreparation } from '../network/real-server.js'

/** The other side: a host that answers for a VIP. */
export const RealServer = {
  /**
   * What must change for this host to be a real server: the tunnel that unwraps, the VIP, the sysctls that keep it out of ARP
   * and let its packets in; or for `masq` the way back. Empty where all is so. `plan.revert()` makes it as it was.
   *
   * GUE needs the kernel's module fou (for IPv6 also fou6), which nothing loads by itself: rejects with `ENOENT`, and says so,
   * where it is not loaded.
   *
   * @example
   * ```ts
   * import { RealServer } from 'ipvs-nl'
   *
   * const plan = await RealServer.plan({ vip: '192.168.50.100', tunnel: { kind: 'ipip', name: 'tun0', local: '192.168.52.100' } })
   * console.log(`${plan}`)
   * await plan.apply()
   * ```
   */
  async plan(spec: RealServerPreparation, options?: CallOptions): Promise<Plan> {
    const wanted = realServerNetwork(spec)
    const actual = await readNetwork(wanted, options)
    const carrier = occupied(wanted, actual.links)
    if (carrier !== undefined) throw new RangeError(`carrier: ${carrier} is there and is no dummy link; say lo, or another name`)
    return new Plan(networkSteps(wanted, actual))
  },

  /**
   * What is wrong with this host as a real server, why a client would fail for it, and what mends it; empty where nothing is
   * found. Changes nothing. What only follows from something else is not said again.
   *
   * @example
   * ```ts
   * import { RealServer } from 'ipvs-nl'
   *
   * for (const { found, consequence, plan } of await RealServer.diagnose({ vip: '192.168.50.100', tunnel: { kind: 'ipip', local: '192.168.52.100' } })) {
   *   console.log(`${found}: ${consequence}`)
   *   await plan.apply()
   * }
   * ```
   */
  async diagnose(spec: RealServerPreparation, options?: CallOptions): Promise<Finding[]> {
    return realServerFindings(spec, await readRealServer(spec, options))
  },
}
