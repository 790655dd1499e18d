/**
 * The rows of `/proc/net/ip_vs_conn` and `ip_vs_conn_sync` (net/netfilter/ipvs/ip_vs_conn.c).
 *
 * Both list the same connections, with the same columns but for the last: the one has the data of persistence engines, the
 * other has the origin. IPv4 addresses are eight hexadecimal digits, IPv6 addresses eight full groups, ports hexadecimal.
 *
 * @module
 */

import { DecodeError, formatIPv4, formatIPv6 } from '../../generic-netlink/index.js'
import type { Protocol } from '../ipvs/model.js'

const TCP_STATES = [
  'NONE', 'ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK', 'LISTEN', 'SYNACK',
] as const
const UDP_STATES = ['UDP'] as const
const SCTP_STATES = [
  'INIT1', 'INIT', 'C-SENT', 'C-REPLIED', 'C-WAIT', 'COOKIE', 'C-ECHOED', 'S-SENT', 'S-RECEIVED', 'S-ACK-SENT', 'REJECTED', 'CLOSED',
] as const
const TEMPLATE_STATES = ['ASSURED'] as const
/** What the kernel prints for a state that it has no name for. */
const NO_STATES = ['ERR!', 'BUG!', '?'] as const

/** Every state that the kernel has a name for, of whatever protocol; and what it prints for those that it has none for. */
export const connectionStates = [...TCP_STATES, ...UDP_STATES, ...SCTP_STATES, ...TEMPLATE_STATES, ...NO_STATES] as const

/**
 * What a connection is about, in the kernel's words: of TCP `ESTABLISHED` and the like, of UDP `UDP`, of SCTP `C-SENT` (the
 * client's turn) and the like; of a persistence template `NONE`, or `ASSURED` when a connection of it was established.
 */
export type ConnectionStateName = typeof connectionStates[number] | (string & {})

/** One of a connection's ends. */
export interface ConnectionEnd {
  /** IPv4 or IPv6, in its correct form. */
  address: string
  port: number
}

/** A connection through the director, or a persistence template, as the kernel lists it. */
export interface ConnectionState {
  /** One without a name is a number; 0 in a firewall mark's template, which is for all protocols. */
  protocol: Protocol | number
  /** Who connects. Of a template: the client's network (the service's netmask of its address), port 0. */
  client: ConnectionEnd
  /**
   * Whom the client connects to. Of a template: port 0 where it is for all ports; the mark where the service is a firewall
   * mark. Of a connection through a firewall mark's service: where the client's packets went; the kernel does not tell the mark.
   */
  virtual: (ConnectionEnd & { fwmark?: never }) | { fwmark: number; address?: never; port?: never }
  /** Who serves the client. Its family may be another than the client's, through a tunnel. Port 0, in templates: the client's. */
  server: ConnectionEnd
  /** `ESTABLISHED`, `UDP`, … */
  state: ConnectionStateName
  /** Seconds until it is forgotten if nothing more is heard of it. */
  expires: number
  /** Whether it is no connection but a persistence template: where this client's next connections go. */
  template: boolean
  /** What a persistence engine tells clients apart by: of `sip` the Call-ID. Where there is one, and the origin was not asked for. */
  engine?: { name: string; data: string }
  /** Whether this director scheduled it, or was told of it by another's sync daemon. Where the origin was asked for. */
  origin?: ConnectionOrigin
}

/** Whether this director scheduled a connection, or was told of it by another's sync daemon. */
export type ConnectionOrigin = 'local' | 'sync'

/** protocol, client, port, virtual, port, server, port, state, [origin,] expires, [engine, data] */
const ROW = /^(\S+) +(\S+) (\S{4}) (\S+) (\S{4}) (\S+) (\S{4}) (\S+) +(?:(LOCAL|SYNC) +)?(\d+)(?: (\S+) (.*))?$/
const HEADER = 'Pro FromIP '

const PROTOCOLS: Readonly<Record<string, Protocol | number>> = { TCP: 'tcp', UDP: 'udp', SCTP: 'sctp', IP: 0, ICMP: 1, ICMPv6: 58 }

/** A line of either file: a connection, or undefined for the header. @throws DecodeError where it is neither */
export function parseConnection(line: string): ConnectionState | undefined {
  const row = ROW.exec(line)
  if (!row) {
    if (line.startsWith(HEADER)) return undefined
    throw new DecodeError(`a list of connections has a row that is none: ${JSON.stringify(line)}`)
  }
  const [, name, client, clientPort, virtual, virtualPort, server, serverPort, state, origin, expires, engine, data] = row as unknown as string[]
  const protocol = PROTOCOLS[name!] ?? Number(name!.slice(3)) // IP_50
  const port = portOf(clientPort!)
  const seconds = Number(expires)
  return {
    protocol,
    client: { address: addressOf(client!), port },
    // Only the template of a firewall mark has no protocol: the mark is where the VIP's first four bytes would be.
    virtual: protocol === 0 ? { fwmark: markOf(virtual!) } : { address: addressOf(virtual!), port: portOf(virtualPort!) },
    server: { address: addressOf(server!), port: portOf(serverPort!) },
    state: state!,
    // Between a timer's end and its handling the kernel prints a negative number as an enormous one.
    expires: seconds > 0x7fffffff ? 0 : seconds,
    template: port === 0 && (state === 'NONE' || state === 'ASSURED'),
    ...engine !== undefined && { engine: { name: engine, data: data! } },
    ...origin !== undefined && { origin: origin === 'SYNC' ? 'sync' : 'local' },
  }
}

const portOf = (digits: string): number => parseInt(digits, 16)
const markOf = (digits: string): number => parseInt(digits.replace(':', '').slice(0, 8), 16)
const addressOf = (digits: string): string =>
  digits.length === 8 ? formatIPv4(parseInt(digits, 16)) : formatIPv6(Buffer.from(digits.replaceAll(':', ''), 'hex'))

/** The connections of a file that comes in pieces, holding no more than a piece of it, and a line. */
export async function* parseConnections(pieces: AsyncIterable<string>): AsyncGenerator<ConnectionState, void, undefined> {
  let rest = ''
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      const row = parseConnection(line)
      if (row) yield row
    }
  }
  if (rest !== '') throw new DecodeError(`a list of connections ends within a row: ${JSON.stringify(rest)}`)
}
