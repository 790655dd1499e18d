/** Working services, each broken in one way: it is the only finding, the client fails by it, and its plan mends it. */

import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Problem } from '../../lib/diagnose/finding.js'
import type { VirtualServiceSpec } from '../../lib/ipvs/model.js'
import type { RealServerSetup } from '../../lib/network/real-server.js'
import type { Told } from './agent.js'
import { TestHosts, type HostSpec } from './hosts.js'
import { run } from './run.js'

/** A way to break a service. */
export interface Case {
  readonly problem: Problem
  /** How, where it does not show. */
  readonly how?: string
  /** Where it is broken, and found. */
  readonly at: 'director' | 'server'
  /** Commands, or a port to which IPVS forwards instead of the service's. */
  readonly broken: readonly (readonly string[] | number)[]
  /** Of clients of whom it need not be the end: why. */
  readonly served?: string
  /** What an operator does where no plan may. */
  readonly byHand?: readonly (readonly string[])[]
}

/** Commands, by host. */
type Deeds = Readonly<Record<string, readonly (readonly string[])[]>>

/** A working service, and ways to break it. */
export interface Group {
  readonly name: string
  readonly service: VirtualServiceSpec & { readonly vip: string }
  readonly preparation: RealServerSetup
  readonly server?: 'inner'
  /** What is done at the hosts before it is set up; nobody undoes it. */
  readonly before?: Deeds
  /** What is done after that, before a diagnosis. */
  readonly after?: Deeds
  /** How long a diagnosis looks at counters, while clients come. */
  readonly observe?: number
  readonly bytes?: number
  readonly cases: readonly Case[]
}

export const sh = (command: string): string[] => command.split(' ')
export const set = (...settings: string[]): string[] => ['sysctl', '-qw', ...settings.map(setting => `net.ipv4.conf.${setting}`)]
export const web = { port: 80, protocols: ['tcp'] } as const
export const VIP = '10.1.0.100'
const misdirected = { address: '10.1.0.20', forward: 'route', weight: 1, thresholds: { upper: 0, lower: 0 } } as const

const HOSTS: readonly HostSpec[] = [
  { name: 'client', links: { eth0: ['front', '10.1.0.10/24', 'fd01::10/64'] } },
  { name: 'director', links: { eth0: ['front', '10.1.0.1/24', 'fd01::1/64'], eth1: ['back', '10.2.0.1/24', 'fd02::1/64'] } },
  { name: 'server', links: { eth0: ['front', '10.1.0.20/24', 'fd01::20/64'], eth1: ['back', '10.2.0.20/24', '10.3.0.20/24', 'fd02::20/64'] } },
  { name: 'inner', links: { eth0: ['back', '10.2.0.30/24', 'fd02::30/64'] } },
]

/** A client, a director with a network behind it, and two real servers that echo. */
export async function upServices(...more: HostSpec[]): Promise<TestHosts> {
  run('modprobe', ['-a', 'fou', 'fou6', 'ipip', 'sit', 'ip6_tunnel', 'ip_gre', 'ip6_gre', 'dummy', 'ip_vs', 'ip_vs_wlc'])
  const hosts = await TestHosts.up([...HOSTS, ...more])
  await Promise.all([hosts.host('server').call('echo', 80), hosts.host('inner').call('echo', 8080)])
  return hosts
}

/** Breaks services, and mends them. */
export const breaking = (hosts: () => TestHosts, groups: readonly Group[]): void => describe.each(groups)('$name', ({ service, preparation, server = 'server', before = {}, after = {}, bytes = 1000, observe, cases }) => {
  const hostOf = (at: Case['at']) => hosts().host(at === 'server' ? server : at)
  const doAt = async (deeds: Deeds): Promise<void> => {
    for (const [name, commands] of Object.entries(deeds)) for (const command of commands) await hosts().host(name).call('run', [...command])
  }
  const problems = (found: Told[]): string[] => found.map(({ problem }) => problem)
  const diagnoses = async (): Promise<Record<Case['at'], Told[]>> => {
    const client = hosts().host('client')
    if (observe !== undefined) await client.call('come', { host: service.vip, port: service.port, protocol: 'tcp' })
    const [director, real] = await Promise.all([
      hosts().host('director').call('diagnoseService', { ...service, observe }), hosts().host(server).call('diagnose', { ...preparation, observe }),
    ])
    await client.call('leave')
    return { director, server: real }
  }
  const ask = (timeout: number): Promise<string> => hosts().host('client').call('exchange', { host: service.vip, port: service.port, bytes, timeout })

  beforeAll(async () => {
    for (const name of ['client', 'director', 'server', 'inner']) hosts().host(name).forget()
    await doAt(before)
    await hosts().host(server).call('prepare', preparation)
    await hosts().host('director').call('serve', service)
    await doAt(after)
    expect(await ask(5000)).toBe('echoed')
    expect(await diagnoses()).toEqual({ director: [], server: [] })
  })
  afterAll(async () => {
    await hosts().host('director').call('revert')
    await hosts().host(server).call('revert')
  })

  it.each(cases.map(each => ({ ...each, title: `${each.problem} at the ${each.at}${each.how === undefined ? '' : `: ${each.how}`}` })))(
    '$title', async ({ problem, at, broken, served, byHand }) => {
      const host = hostOf(at)
      for (const deed of broken) {
        if (typeof deed === 'number') await host.call('misdirect', { service: { ...web, vip: service.vip, protocol: 'tcp' }, server: { ...misdirected, port: deed } })
        else await host.call('run', [...deed])
      }
      if (served === undefined) expect(await ask(1500)).not.toBe('echoed')
      else expect(await ask(5000), served).toBe('echoed')

      const found = await diagnoses()
      const other = at === 'server' ? 'director' : 'server'
      // A host that nobody reaches does not answer its neighbours either.
      const consequences = problems(found[other]).filter(each => each !== 'neighbour-failed')
      expect({ [at]: problems(found[at]), [other]: consequences }).toEqual({ [at]: [problem], [other]: [] })
      const [finding] = found[at]
      expect(finding!.found).not.toBe('')
      expect(finding!.consequence).not.toBe('')
      expect([finding!.plan === '', finding!.advice !== undefined]).toEqual([byHand !== undefined, byHand !== undefined])

      if (byHand) for (const command of byHand) await host.call('run', [...command])
      else await host.call('mend')
      for (const name of ['client', 'director', server]) hosts().host(name).forget()
      expect(await ask(5000)).toBe('echoed')
      expect(await diagnoses()).toEqual({ director: [], server: [] })
    })
})
