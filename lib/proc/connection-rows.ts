/**
 * The rows of `/proc/net/ip_vs_conn` and `ip_vs_conn_sync` (net/netfilter/ipvs/ip_vs_conn.c).
 *
 * Both list the same connections and differ in the last column: the data of persistence engines in
 * one, the origin in the other. IPv4 addresses are eight hexadecimal digits, IPv6 addresses eight
 * full groups, ports hexadecimal.
 *
 * @module
 */

import { DecodeError, formatIPv4, formatIPv6 } from '../../generic-netlink/core.js'
import type { Protocol } from '../ipvs/model.js'

const TCP_STATES = [
  'NONE', 'ESTABLISHED', 'SYN_SENT', 'SYN_RECV', 'FIN_WAIT', 'TIME_WAIT', 'CLOSE', 'CLOSE_WAIT', 'LAST_ACK', 'LISTEN',
  'SYNACK',
] as const
const UDP_STATES = ['UDP'] as const
const SCTP_STATES = [
  'INIT1', 'INIT', 'C-SENT', 'C-REPLIED', 'C-WAIT', 'COOKIE', 'C-ECHOED', 'S-SENT', 'S-RECEIVED', 'S-ACK-SENT',
  'REJECTED', 'CLOSED',
] as const
const TEMPLATE_STATES = ['ASSURED'] as const
/** The kernel's text for a state without a name. */
const NO_STATES = ['ERR!', 'BUG!', '?'] as const

/** The names of all states of all protocols, and the kernel's texts for states without a name. */
export const connectionStates = [
  ...TCP_STATES, ...UDP_STATES, ...SCTP_STATES, ...TEMPLATE_STATES, ...NO_STATES,
] as const

/**
 * A connection's state in the kernel's words: `ESTABLISHED` and others for TCP, `UDP` for UDP,
 * `C-SENT` (sent by the client) and others for SCTP; for a persistence template `NONE`, or
 * `ASSURED` after one of its connections was established.
 */
export type ConnectionStateName = typeof connectionStates[number] | (string & {})

/** An end of a connection; the address in its correct form. */
export interface ConnectionEnd { address: string; port: number }

/** A connection through the director, or a persistence template, in the kernel's list. */
export interface ConnectionState {
  /** A protocol without a name is a number; 0 in the template of a firewall mark: all protocols. */
  protocol: Protocol | number
  /** The client. In a template: its network (its address with the service's netmask), port 0. */
  client: ConnectionEnd
  /**
   * The client's destination. In a template: port 0 where it is for all ports; the mark where the
   * service is a firewall mark. A connection of a firewall mark has the destination of the client's
   * packets; the kernel does not show the mark.
   */
  virtual: (ConnectionEnd & { fwmark?: never }) | { fwmark: number; address?: never; port?: never }
  /**
   * The real server. Its family may differ from the client's in a tunnel.
   * Port 0, in templates: the client's port.
   */
  server: ConnectionEnd
  /** `ESTABLISHED`, `UDP`, … */
  state: ConnectionStateName
  /** Seconds until the kernel forgets the connection, if it stays idle. */
  expires: number
  /** Whether the row is a persistence template: it chooses the client's next real server. */
  template: boolean
  /** The data by which an engine tells clients apart: `sip`'s Call-ID. Absent with the origin. */
  engine?: { name: string; data: string }
  /** The origin, where it was requested. */
  origin?: ConnectionOrigin
}

/** The origin of a connection: this director's scheduler, or another director's sync daemon. */
export type ConnectionOrigin = 'local' | 'sync'

/** protocol, client, port, virtual, port, server, port, state, [origin,] expires, [engine, data] */
const ROW = /^(\S+) +(\S+) (\S{4}) (\S+) (\S{4}) (\S+) (\S{4}) (\S+) +(?:(LOCAL|SYNC) +)?(\d+)(?: (\S+) (.*))?$/
const HEADER = 'Pro FromIP '

const PROTOCOLS: Readonly<Record<string, Protocol | number>> = {
  TCP: 'tcp', UDP: 'udp', SCTP: 'sctp', IP: 0, ICMP: 1, ICMPv6: 58,
}

/** A line of either file: a connection, undefined for the header. @throws DecodeError for others */
export function parseConnection(line: string): ConnectionState | undefined {
  const row = ROW.exec(line)
  if (!row) {
    if (line.startsWith(HEADER)) return undefined
    throw new DecodeError(`the list of connections has an unknown row: ${JSON.stringify(line)}`)
  }
  const [, name = '', client, clientPort, virtual, virtualPort, server, serverPort, state = '',
    origin, expires, engine, data = ''] = row
  const protocol = PROTOCOLS[name] ?? Number(name.slice(3)) // IP_50
  const from = endOf(client, clientPort), seconds = Number(expires)
  return {
    protocol, client: from,
    // Only the template of a firewall mark has no protocol: the VIP's first 4 bytes are the mark.
    virtual: protocol === 0 ? { fwmark: markOf(virtual!) } : endOf(virtual, virtualPort),
    server: endOf(server, serverPort),
    state,
    // Between a timer's end and its handling the kernel prints a negative number as a huge one.
    expires: seconds > 0x7fffffff ? 0 : seconds,
    template: from.port === 0 && (state === 'NONE' || state === 'ASSURED'),
    ...engine !== undefined && { engine: { name: engine, data } },
    ...origin !== undefined && { origin: origin === 'SYNC' ? 'sync' : 'local' },
  }
}

const endOf = (address = '', port = ''): ConnectionEnd => ({ address: addressOf(address), port: parseInt(port, 16) })
const markOf = (digits: string): number => parseInt(digits.replace(':', '').slice(0, 8), 16)
const addressOf = (digits: string): string =>
  digits.length === 8 ? formatIPv4(parseInt(digits, 16)) : formatIPv6(Buffer.from(digits.replaceAll(':', ''), 'hex'))

/** Yields the connections of a file in pieces; memory holds one piece and one line. */
export async function* parseConnections(
  pieces: AsyncIterable<string>,
): AsyncGenerator<ConnectionState, void, undefined> {
  let rest = ''
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()!
    for (const line of lines) {
      const row = parseConnection(line)
      if (row) yield row
    }
  }
  if (rest !== '') throw new DecodeError(`the list of connections ends within a row: ${JSON.stringify(rest)}`)
}
