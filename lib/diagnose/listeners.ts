/** Sockets of this host, by `/proc/net/tcp`, `tcp6`, `udp` and `udp6`. */

import { endianness } from 'node:os'
import { formatIPv4, formatIPv6, type CallOptions } from '../../generic-netlink/core.js'
import { endpoint, familyOf } from '../base/address.js'
import type { Protocol } from '../ipvs/model.js'
import { streamProcNet } from '../proc/files.js'
import { finding, some, type Finding } from './finding.js'

/** A socket; addresses in their correct form, IPv4 also where the socket is IPv6's. */
export interface Socket {
  readonly protocol: 'tcp' | 'udp'
  readonly address: string
  readonly port: number
  readonly client: string
  readonly state: number
}

/** `TCP_SYN_RECV`, `TCP_CLOSE`, `TCP_LISTEN` */
export const SYN_RECV = 3
const UNCONNECTED = 7, LISTENING = 10

const ROW = /^ *\d+: ([\dA-F]+):([\dA-F]{4}) ([\dA-F]+):([\dA-F]{4}) ([\dA-F]{2})/
const little = endianness() === 'LE'

/** An address of which each four bytes are printed as a number of the host. */
function addressOf(digits: string): string {
  const bytes = Buffer.from(digits, 'hex')
  if (little) bytes.swap32()
  if (bytes.length === 4) return formatIPv4(bytes.readUInt32BE())
  return bytes.readBigUInt64BE() === 0n && bytes.readUInt32BE(8) === 0xffff
    ? formatIPv4(bytes.readUInt32BE(12)) : formatIPv6(bytes)
}

/** A row of a file; undefined where it is none of a port, or its head. */
export function socketOf(protocol: 'tcp' | 'udp', row: string, port?: number): Socket | undefined {
  const [, local, at, remote, from, state] = ROW.exec(row) ?? []
  if (at === undefined || (port !== undefined && Number.parseInt(at, 16) !== port)) return undefined
  return {
    protocol, address: addressOf(local!), port: Number.parseInt(at, 16),
    client: endpoint(addressOf(remote!), Number.parseInt(from!, 16)), state: Number.parseInt(state!, 16),
  }
}

/** Yields the sockets of a protocol at a port, or at all ports. Without IPv6 there are IPv4's. */
export async function* readSockets(
  protocol: 'tcp' | 'udp', port?: number, options?: CallOptions,
): AsyncGenerator<Socket, void, undefined> {
  for (const file of [protocol, `${protocol}6`]) {
    let rest = ''
    try {
      for await (const piece of streamProcNet(file, options)) {
        const rows = (rest + piece).split('\n')
        rest = rows.pop()!
        for (const row of rows) {
          const socket = socketOf(protocol, row, port)
          if (socket) yield socket
        }
      }
    } catch (error) { if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error }
  }
}

/** Reads the sockets that take new clients at a port. */
export async function readListeners(port: number, options?: CallOptions): Promise<Socket[]> {
  const found: Socket[] = []
  for (const protocol of ['tcp', 'udp'] as const) {
    for await (const socket of readSockets(protocol, port, options)) {
      if (socket.state === (protocol === 'tcp' ? LISTENING : UNCONNECTED)) found.push(socket)
    }
  }
  return found
}

/** Whether a socket gets packets to an address: one of `::` gets those of IPv4 too. */
const gets = ({ address }: Socket, to: string | undefined): boolean => address === '::'
  || (to === undefined ? !address.startsWith('127.') && address !== '::1'
    : address === to || (address === '0.0.0.0' && familyOf(to) === 'inet'))

/** The finding where nobody listens at an address; undefined is any but loopback's. Pure. */
export function unheard(
  to: string | undefined, port: number, protocols: readonly Protocol[] | undefined, listeners: readonly Socket[],
): Finding[] {
  const heard = (protocol: Protocol): boolean => listeners.some(each => each.protocol === protocol && gets(each, to))
  const wanted = (protocols ?? ['tcp', 'udp']).filter(protocol => protocol !== 'sctp')
  const missing = wanted.filter(protocol => !heard(protocol))
  if (missing.length === 0 || (protocols === undefined && missing.length < wanted.length)) return []
  const elsewhere = [...new Set(listeners.map(({ address }) => address))]
  const only = elsewhere.length === 0 ? '' : `, but at ${some(elsewhere)}`
  const found = `nobody listens on ${missing.join(' and ')} port ${port} of ${to ?? 'this host'}${only}`
  return [finding('no-listener', found,
    'this host refuses clients: they get a reset, or ICMP port unreachable', [],
    `start the server, and have it listen at ${to ?? 'its address'} or at all addresses`)]
}
