/** The real ipvsadm, and the one in examples/, side by side. */

import { isDeepStrictEqual } from 'node:util'
import { ipvsadm } from '../../examples/ipvsadm/commands.js'
import { systemNames } from '../../examples/ipvsadm/names.js'
import type { DestinationAttributes, FamilyClient, ipvs, ServiceAttributes } from '../../generic-netlink/index.js'
import { EVERY_BIT } from './kernel.js'
import { spawn, type Ran } from './programs.js'

/** Whether it is Debian's 1.31-5, of trixie, which words an error otherwise, and never ends where a line of `-R` has over 4,096 bytes. */
export const PATCHED = spawn('ipvsadm', ['-L', '-6']).stderr.startsWith('-6 must follow -f')

/** The real one. */
export function theirs(words: readonly string[], input = ''): Ran {
  const ran = spawn('ipvsadm', words, input)
  return PATCHED ? { ...ran, stderr: ran.stderr.replace('-6 must follow -f', '-6 used before -f') } : ran
}

/** Ours, in this process. */
export async function ours(words: readonly string[], input = ''): Promise<Ran> {
  const printed = { stdout: '', stderr: '' }
  async function* stdin(): AsyncGenerator<string, void, undefined> { yield await Promise.resolve(input) }
  const status = await ipvsadm(words, {
    program:  'ipvsadm',
    names:    systemNames(),
    modprobe: module => { throw new Error(`${module} is not there`) },
    stdin:    stdin(),
    stdout:   text => { printed.stdout += text },
    stderr:   text => { printed.stderr += text },
  })
  return { status, ...printed }
}

/**
 * The services of rules, each with its real servers, in an order of their own. ipvsadm sorts what it prints, but its comparison of addresses
 * that are far apart is no order: there it depends on the kernel's, which is another for each table since Linux 7.1.
 */
export const servicesOf = (rules: string): string[] => rules.split(/^(?=-A )/m).sort()

/** A table, with timeouts and sync daemons, as the kernel tells of it; counters left out. */
export type State = Readonly<Record<'services' | 'timeouts' | 'daemons', readonly object[]>> & { readonly servers: readonly (readonly object[])[] }

type Client = FamilyClient<typeof ipvs.commands>

/** What is set; services in an order of their own, as the kernel's is another each time since Linux 7.1. */
export async function stateOf(client: Client): Promise<State> {
  const nameOf = (service: ServiceAttributes): string => JSON.stringify(Object.values(keyOf(service)))
  const services = (await client.dump('getService', {})).map(({ service }) => withoutCounters(service!)).sort((a, b) => nameOf(a) < nameOf(b) ? -1 : 1)
  return {
    services,
    servers:  await Promise.all(services.map(async service => (await client.dump('getDest', { service: keyOf(service) })).map(({ dest }) => withoutCounters(dest!)))),
    timeouts: [await client.call('getConfig', {})],
    daemons:  await client.dump('getDaemon', {}),
  }
}

const keyOf = ({ af, protocol, addr, port, fwmark }: ServiceAttributes): ServiceAttributes => fwmark === undefined ? { af, protocol, addr, port } : { af, fwmark }
const withoutCounters = <T extends object>(attributes: T): T => ({ ...attributes, stats: undefined, stats64: undefined })

/** Puts in place what was there, real servers in the order in which they were; daemons are ended. */
async function restore(client: Client, { services, servers, timeouts }: State): Promise<void> {
  // One that does not run is no matter.
  await client.batch([['delDaemon', { daemon: { state: 'master' } }], ['delDaemon', { daemon: { state: 'backup' } }]])
  const outcomes = await client.batch([
    ['flush', {}],
    ['setConfig', timeouts[0]!],
    ...services.map((service: ServiceAttributes) => ['newService', { service: { ...service, flags: { ...service.flags!, mask: EVERY_BIT } } }] as const),
    ...servers.flatMap((of, i) => of.toReversed().map((dest: DestinationAttributes) => ['newDest', { service: keyOf(services[i]!), dest }] as const)),
  ])
  for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason
}

/** What running one of the two gave, and what is set then. */
export interface Result extends Ran { readonly state: State }

/** Runs one of the two, and puts back what it changed. */
export async function resultOf(client: Client, start: State, run: () => Ran | Promise<Ran>): Promise<Result> {
  const ran = await run()
  const state = await stateOf(client)
  if (!isDeepStrictEqual(state, start)) {
    await restore(client, start)
    if (!isDeepStrictEqual(await stateOf(client), start)) throw new Error('the table is not what it was')
  }
  return { ...ran, state }
}

/** The words of a command line: blanks part them, `''` is an empty one, and `~` stands for a blank in one. */
export const wordsOf = (line: string): string[] => line.split(' ').filter(word => word !== '').map(word => word === '\'\'' ? '' : word.replaceAll('~', ' '))
