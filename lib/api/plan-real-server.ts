/** The real server's host: the plan of its network, and its faults. */

import type { CallOptions } from '../../generic-netlink/core.js'
import { callOptions, SpecError } from '../base/check.js'
import type { Finding } from '../diagnose/finding.js'
import { diagnoseOptions, type DiagnoseOptions } from '../diagnose/looks.js'
import { readRealServer, realServerFindings } from '../diagnose/real-server.js'
import { networkSteps, readNetwork } from '../network/network.js'
import { occupied, realServerNetwork, type RealServerSetup } from '../network/real-server.js'
import { Plan } from '../plan/plan.js'

/**
 * Plans this host as a real server: the tunnel that unwraps, the VIP, and the sysctls that keep the
 * VIP out of ARP and let the packets in; with `masq` the route back. The plan is empty where all is
 * so; `plan.revert()` restores the state before. The VIP comes up last and goes first: where a step
 * fails that keeps the VIP out of ARP, the VIP does not come up, whatever `onFailure` says.
 *
 * GUE needs the kernel's module fou (for IPv6 also fou6), which the kernel does not load by itself:
 * rejects with `ENOENT` where the module is not loaded.
 *
 * @example
 * ```ts
 * import { planRealServer } from 'ipvs-nl'
 *
 * const plan = await planRealServer({
 *   vip: '192.168.50.100',
 *   tunnel: { kind: 'ipip', name: 'tun0', local: '192.168.52.100' },
 * })
 * console.log(`${plan}`)
 * await plan.apply()
 * ```
 */
export async function planRealServer(spec: RealServerSetup, given?: CallOptions): Promise<Plan> {
  const wanted = realServerNetwork(spec), options = callOptions(given)
  const actual = await readNetwork(wanted, options)
  const carrier = occupied(wanted, actual.links)
  if (carrier !== undefined) {
    throw new SpecError('carrier', `${carrier} exists and is not a dummy link; use lo, or another name`)
  }
  return new Plan(networkSteps(wanted, actual))
}

/**
 * Finds the faults of this host as a real server, and changes nothing. Each has its consequence for
 * clients and a plan that repairs it, or advice. A fault that only follows from another one is not
 * reported. Name `port` and `protocols` to have it look for a listener, and `clients` where they
 * are not behind the default route. `observe` also looks for packets that are lost on their way.
 *
 * @example
 * ```ts
 * import { diagnoseRealServer } from 'ipvs-nl'
 *
 * const findings = await diagnoseRealServer({
 *   vip: '192.168.50.100',
 *   tunnel: { kind: 'ipip', local: '192.168.52.100' },
 * })
 * for (const { found, consequence, plan } of findings) {
 *   console.log(`${found}: ${consequence}`)
 *   await plan.apply()
 * }
 * ```
 */
export async function diagnoseRealServer(spec: RealServerSetup, options?: DiagnoseOptions): Promise<Finding[]> {
  return realServerFindings(spec, await readRealServer(spec, diagnoseOptions(options)))
}
