/** Connections as the kernel prints them: net/netfilter/ipvs/ip_vs_conn.c, for comparison. */

import type { ConnectionState } from '../../lib/proc/connection-rows.js'
import { parseIPv4, parseIPv6 } from '../../generic-netlink/index.js'
import { endpoint } from '../../lib/base/address.js'

/** First lines of ip_vs_conn and ip_vs_conn_sync. */
export const headers = [
  'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData',
  'Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires',
]

const hex = (n: number, digits: number): string => n.toString(16).toUpperCase().padStart(digits, '0')
const groups = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex').replace(/(.{4})(?!$)/g, '$1:')
const addressOf = (text: string): string => text.includes(':') ? groups(parseIPv6(text)!) : hex(parseIPv4(text), 8)
const NAMES: Readonly<Record<number, string>> = { 0: 'IP', 1: 'ICMP', 58: 'ICMPv6' }
const nameOf = (protocol: ConnectionState['protocol']): string => typeof protocol === 'number' ? NAMES[protocol] ?? `IP_${protocol}` : protocol.toUpperCase()

/** A row of ip_vs_conn, or, where it has an origin, of ip_vs_conn_sync. */
export function formatConnection({ protocol, client, virtual, server, state, expires, engine, origin }: ConnectionState): string {
  const mark = Buffer.alloc(16)
  mark.writeUInt32BE(virtual.fwmark ?? 0)
  const to = virtual.fwmark === undefined ? addressOf(virtual.address) : client.address.includes(':') ? groups(mark) : hex(virtual.fwmark, 8)
  return [
    nameOf(protocol).padEnd(3), addressOf(client.address), hex(client.port, 4), to, hex(virtual.port ?? 0, 4), addressOf(server.address), hex(server.port, 4),
    state.padEnd(11), ...origin === undefined ? [] : [origin.toUpperCase().padEnd(6)], String(expires).padStart(7), ...engine ? [engine.name, engine.data] : [],
  ].join(' ')
}

/** The words of a row of `ipvsadm -Lcn`: protocol, expiry, state, source, virtual, destination. */
export function ipvsadmWords({ protocol, client, virtual, server, state, expires }: ConnectionState): string[] {
  const two = (n: number): string => String(n).padStart(2, '0')
  const mark = virtual.fwmark ?? 0
  const to = virtual.fwmark === undefined ? endpoint(virtual.address, virtual.port)
    : client.address.includes(':') ? `[${(mark >>> 16).toString(16)}:${(mark & 0xffff).toString(16)}::]:0`
      : `${mark >>> 24}.${mark >>> 16 & 255}.${mark >>> 8 & 255}.${mark & 255}:0`
  return [
    nameOf(protocol), `${two(Math.floor(expires / 60))}:${two(expires % 60)}`, state,
    endpoint(client.address, client.port), to, endpoint(server.address, server.port),
  ]
}
