/** The faults of a service in IPVS: what differs, who takes connections, what drops them. Pure. */

import type { Change } from '../ipvs/changes.js'
import type { RealServerState, Service, ServiceState } from '../ipvs/model.js'
import { serviceName } from '../ipvs/names.js'
import { ipvsSteps } from '../ipvs/steps.js'
import type { SyncDaemonState } from '../ipvs/sync-daemon.js'
import { FORWARDING } from '../network/director.js'
import type { NetworkState } from '../network/network.js'
import { sysctlSteps } from '../sysctl/steps.js'
import { finding, numberOf, type Finding } from './finding.js'

/** How the kernel's services differ from the declared ones. */
export function kernelDiffers(changes: readonly Change[], states: readonly ServiceState[]): Finding[] {
  const findings: Finding[] = []
  const repaired = new Set<Change>()
  for (const state of states) {
    if (state.fwmark !== undefined || state.port === 0) continue
    for (const server of state.realServers) {
      if (server.port === state.port || server.forward === 'masq' || server.forward === 'local') continue
      const own = changes.filter(({ service, server: changed }) =>
        serviceName(service) === serviceName(state) && changed?.address === server.address)
      own.forEach(change => repaired.add(change))
      findings.push(finding('port-mismatch',
        `${serviceName(state)} has ${server.address} with port ${server.port}, and forwards to it unchanged`,
        `packets still arrive at port ${state.port} of the VIP, `
        + `where a program that listens on ${server.port} does not get them`,
        ipvsSteps([{ action: 'remove', service: state, server, before: server }, ...own])))
    }
  }
  const left = changes.filter(change => !repaired.has(change))
  const present = new Set(states.map(serviceName))
  const absent = left.filter(({ service, server }) => !server && !present.has(serviceName(service)))
  const names = new Set(absent.map(({ service }) => serviceName(service)))
  const rest = left.filter(({ service }) => !names.has(serviceName(service)))
  const linesOf = (some: readonly Change[]): string => ipvsSteps(some).map(({ line }) => line).join('; ')
  if (names.size > 0) {
    findings.push(finding('service-missing', `IPVS does not have ${[...names].join(' and ')}`,
      'the director itself gets the clients\' packets, and refuses them',
      ipvsSteps(left.filter(change => !rest.includes(change)))))
  }
  if (rest.length > 0) {
    findings.push(finding('service-differs', `IPVS differs from the declared service; missing: ${linesOf(rest)}`,
      'connections go to wrong real servers, or to none', ipvsSteps(rest)))
  }
  return findings
}

/** Whether a real server has as many connections as it may. */
const full = ({ thresholds: { upper }, activeConnections, inactiveConnections }: RealServerState): boolean =>
  upper > 0 && activeConnections + inactiveConnections >= upper

/**
 * Services of which no real server takes new connections. Between its thresholds a real server may
 * take some or not: the kernel does not show it.
 */
export function nobodyServes(changes: readonly Change[], states: readonly ServiceState[]): Finding[] {
  const differing = new Set(changes.map(({ service }) => serviceName(service)))
  return states.flatMap(state => {
    const { realServers } = state, name = serviceName(state)
    if (differing.has(name) || realServers.some(server => server.weight > 0 && !full(server))) return []
    const weightless = realServers.filter(({ weight }) => weight === 0).length
    const [why, advice] = realServers.length === 0 ? ['has no real server', 'add real servers']
      : weightless === realServers.length
        ? ['has no real server with a weight above 0', 'give one of them a weight, or take it back in (undrain)']
        : [`has no real server that takes connections: ${weightless} have weight 0, `
          + `and ${realServers.length - weightless} as many connections as they may`,
          'raise thresholds.upper, or add real servers']
    return [finding('no-real-server', `${name} ${why}`, 'the director refuses new connections', [], advice)]
  })
}

/** The settings of IPVS with which it drops what it should forward. */
const DEFENCES: readonly (readonly [name: string, consequence: string])[] = [
  ['drop_packet', 'the director drops a share of all new connections\' packets (one of am_droprate)'],
  ['drop_entry', 'the director forgets half-open connections at random, and slow clients time out'],
  ['secure_tcp', 'connections in some states end early, and a client that is silent for a while is cut off'],
]
const DEFENCE_KEYS = DEFENCES.map(([name]) => `net.ipv4.vs.${name}`)
const BACKUP_ONLY = 'net.ipv4.vs.backup_only'

/** The sysctls that these findings need. */
export const SERVICE_SYSCTLS = [...FORWARDING.map(({ key }) => key), ...DEFENCE_KEYS, BACKUP_ONLY]

/** Settings that drop packets of a whole director. */
export function drops(
  services: readonly Service[], { sysctls }: NetworkState, daemons: readonly SyncDaemonState[],
): Finding[] {
  const defences = DEFENCES.flatMap(([, consequence], i) => numberOf(sysctls, DEFENCE_KEYS[i]!) !== 3 ? [] : [
    finding('defence', `${DEFENCE_KEYS[i]!} is 3: a defence against floods is always on`, consequence,
      sysctlSteps([{ key: DEFENCE_KEYS[i]!, value: 0, why: 'with 1 it is on while memory is low' }], sysctls)),
  ])
  const backup = daemons.find(({ state }) => state === 'backup')
  const passive = !backup || numberOf(sysctls, BACKUP_ONLY) === 0 ? [] : [finding('backup-only',
    `a backup sync daemon runs on ${backup.link}, and ${BACKUP_ONLY} is 1`,
    'this host forwards nothing: it takes clients\' packets itself, and refuses them', [],
    'stop the backup daemon where this host is the active director; it is right on a standby, which has no clients')]
  return [...defences, ...passive, ...forwardingOff(services, sysctls)]
}

function forwardingOff(services: readonly Service[], sysctls: NetworkState['sysctls']): Finding[] {
  return FORWARDING.filter(({ key, needed }) => services.some(needed) && numberOf(sysctls, key) === 0).map(setting =>
    finding('forwarding-off', `${setting.key} is 0`,
      'with masq the replies pass through the director, which drops them: clients get no answer',
      sysctlSteps([setting], sysctls)))
}
