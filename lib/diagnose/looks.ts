/** Counters and connections, looked at twice: what comes, and goes no further. */

import { setTimeout as sleep } from 'node:timers/promises'
import type { CallOptions } from '../../generic-netlink/core.js'
import { endpoint } from '../base/address.js'
import { abortSignal, inRange, optionsOf } from '../base/check.js'
import type { Service, ServiceState } from '../ipvs/model.js'
import { serviceName } from '../ipvs/names.js'
import { vipsOf, type RealServerSetup } from '../network/real-server.js'
import { connections } from '../proc/connections.js'
import { readProcNet } from '../proc/files.js'
import { Links } from '../rtnetlink/link/links.js'
import { finding, some, type Finding } from './finding.js'
import { readSockets, SYN_RECV } from './listeners.js'

/** Options of a diagnosis. */
export interface DiagnoseOptions extends CallOptions {
  /**
   * Looks at counters and connections twice, this many milliseconds apart, 100 to 60000, while
   * clients come: what a firewall or the path drops shows in nothing else. Reads the list of
   * connections. @defaultValue no look
   */
  readonly observe?: number
}

/** The check of {@link DiagnoseOptions}. */
export const diagnoseOptions = optionsOf<DiagnoseOptions>({ signal: abortSignal, observe: inRange(100, 60_000) })

/** A client that has sent its first packet alone (`opening`), or more; and seconds to its end. */
interface Client { readonly opening: boolean; readonly expires?: number }

/** A look. */
export interface Look {
  /** Counters of the host, as `Ip.InReceives`. */
  readonly counters: ReadonlyMap<string, number>
  /** The clients of each real server, or of this one, by name. */
  readonly clients: ReadonlyMap<string, ReadonlyMap<string, Client>>
  /** Packets from and to clients, by real server, where the replies pass through this host. */
  readonly packets: ReadonlyMap<string, readonly [bigint, bigint]>
}

/** Two looks; undefined where none was asked for. */
export type Looks = readonly [Look, Look] | undefined

/** The kernel adds counters of IPVS up every two seconds. */
const ADDED_UP = 2100

/** Looks twice. */
export async function lookTwice(
  look: (options: CallOptions) => Promise<Look>, { observe, signal }: DiagnoseOptions = {}, slow = false,
): Promise<Looks> {
  if (observe === undefined) return undefined
  const pause = Math.max(observe, slow ? ADDED_UP : 0)
  const options = signal ? { signal } : {}
  const first = await look(options)
  await sleep(pause, undefined, options).catch(() => { signal?.throwIfAborted() })
  return [first, await look(options)]
}

// ── reading ──

/** Parses `/proc/net/snmp` and `netstat`: a line of names before each line of values. */
export function parseCounters(text: string): Map<string, number> {
  const found = new Map<string, number>()
  const lines = text.trimEnd().split('\n').map(line => line.split(/:? +/))
  for (let i = 0; i + 1 < lines.length; i += 2) {
    lines[i]!.forEach((name, j) => { if (j > 0) found.set(`${lines[i]![0]!}.${name}`, Number(lines[i + 1]![j])) })
  }
  return found
}

const readCounters = async (options: CallOptions): Promise<Map<string, number>> =>
  parseCounters(await readProcNet('snmp', options) + await readProcNet('netstat', options))

/** Adds a client of a server. */
function note(clients: Map<string, Map<string, Client>>, server: string, client: string, state: Client): void {
  clients.set(server, (clients.get(server) ?? new Map<string, Client>()).set(client, state))
}

/** Looks at a service's connections through the director, and at what passes either way. */
export async function lookAtDirector(
  services: readonly Service[], read: () => Promise<ServiceState[]>, options: CallOptions,
): Promise<Look> {
  const clients = new Map<string, Map<string, Client>>()
  for (const service of services) {
    for await (const { server, client, state, expires } of connections({ service, templates: false }, options)) {
      note(clients, endpoint(server.address, server.port), endpoint(client.address, client.port),
        { opening: state === 'SYN_RECV', expires })
    }
  }
  const packets = (await read()).flatMap(state => state.realServers.filter(({ forward }) => forward === 'masq')
    .map(({ address, port, stats }) =>
      [`${serviceName(state)} at ${endpoint(address, port)}`, [stats.packetsIn, stats.packetsOut]] as const))
  return { counters: await readCounters(options), clients, packets: new Map(packets) }
}

/** Looks at the sockets of a real server, and at what its tunnel unwraps. */
export async function lookAtRealServer(
  spec: RealServerSetup, tunnel: string | undefined, options: CallOptions,
): Promise<Look> {
  const clients = new Map<string, Map<string, Client>>()
  const vips = vipsOf(spec)
  for await (const { address, port, client, state } of readSockets('tcp', spec.port, options)) {
    if (spec.masq ? port !== spec.port : !vips.includes(address)) continue
    note(clients, endpoint(address, port), client, { opening: state === SYN_RECV })
  }
  await using links = await Links.open()
  const rx = (await links.list({}, options)).find(({ name }) => name === tunnel)?.statistics.rxPackets
  const counters = await readCounters(options)
  return { counters: rx === undefined ? counters : counters.set('tunnel', Number(rx)), clients, packets: new Map() }
}

// ── findings ──

const grown = ([before, after]: NonNullable<Looks>, ...names: string[]): number =>
  names.reduce((sum, name) => sum + (after.counters.get(name) ?? 0) - (before.counters.get(name) ?? 0), 0)

const FIREWALL = 'look at the firewalls (nft list ruleset, iptables -vL, tc filter) and routes'

/** Clients that wait in both looks, that ask again or are new, while none gets further. */
function waiting([before, after]: NonNullable<Looks>): Map<string, string[]> {
  const found = new Map<string, string[]>()
  for (const [server, now] of after.clients) {
    const then = before.clients.get(server) ?? new Map<string, Client>()
    const opening = [...now].filter(([, { opening }]) => opening)
    const waited = [...then.values()].some(each => each.opening)
    const further = [...now].some(([client, each]) => !each.opening && then.get(client)?.opening !== false)
    // A packet sets the time to the end back.
    const asking = opening.some(([client, { expires = 0 }]) => expires >= (then.get(client)?.expires ?? Infinity)
      || !then.has(client))
    if (waited && asking && !further) found.set(server, opening.map(([client]) => client))
  }
  return found
}

/** What the filter dropped, wherever. */
function filtered(looks: NonNullable<Looks>): Finding[] {
  const dropped = grown(looks, 'TcpExt.IPReversePathFilter')
  return dropped === 0 ? [] : [finding('rp-filter', `the reverse path filter dropped ${dropped} packets meanwhile`,
    'packets whose way back is another link are dropped in silence; clients among their senders get no answer', [],
    'set rp_filter of the link on which they arrive to 2 (loose), or route their senders by that link; '
    + 'log_martians names both')]
}

/** What goes no further at the director. Pure. */
export function lostAfterDirector(looks: Looks): Finding[] {
  if (!looks) return []
  const [before, after] = looks
  const stuck = [...waiting(looks)].map(([server, clients]) =>
    finding('packets-lost', `connections to ${server} get no further than their first packet: from ${some(clients)}`,
      'a firewall or the path drops packets to the real server, or its replies to clients; or it refuses them', [],
      `diagnose the real server, and ${FIREWALL} from here to it, and from it to the clients`))
  const unanswered = [...after.packets].filter(([server, [to, from]]) => {
    const [asked, answered] = before.packets.get(server) ?? [to, from]
    return to > asked && from === answered
  }).map(([server]) => finding('packets-lost', `packets for ${server} pass, and no reply comes back`,
    'a firewall or the path drops packets to the real server, or its replies; or it does not answer', [],
    `diagnose the real server, and ${FIREWALL} between here and it`))
  return [...filtered(looks), ...stuck.length > 0 ? stuck : unanswered]
}

/** What goes no further at the real server. Pure. */
export function lostAtRealServer(looks: Looks, tunnel: string | undefined): Finding[] {
  if (!looks) return []
  const unwrapped = grown(looks, 'tunnel')
  // A fragment is received by itself, and delivered together with others. Most count, not all: the
  // counters of a link and of the host are read one after the other.
  const dropped = grown(looks, 'Ip.InReceives') - grown(looks, 'Ip.InDelivers', 'Ip.ForwDatagrams')
    - (grown(looks, 'Ip.ReasmReqds') - grown(looks, 'Ip.ReasmOKs'))
  const rejected = filtered(looks)
  const eaten = tunnel === undefined || rejected.length > 0 || dropped <= 0 || dropped * 2 < unwrapped ? [] : [
    finding('packets-lost', unwrapped === 0
      ? `${tunnel} unwrapped nothing meanwhile, and this host dropped ${dropped} packets before their delivery`
      : `${tunnel} unwrapped ${unwrapped} packets meanwhile, and this host dropped ${dropped} before their delivery`,
    'a firewall of this host drops the director\'s packets, or the clients\' packets in them', [],
    `${FIREWALL} of this host`),
  ]
  const stuck = grown(looks, 'Tcp.PassiveOpens') > 0 ? [] : [...waiting(looks)].map(([here, clients]) =>
    finding('packets-lost', `the replies of ${here} do not open a connection: to ${some(clients)}`,
      'a firewall or the path drops replies to clients, or what clients send then', [],
      `${FIREWALL} from here to the clients`))
  return [...rejected, ...eaten, ...stuck]
}
