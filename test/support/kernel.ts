/** The real kernel, for tests that run in the lab. */

import { openSocket } from '../../generic-netlink/open-socket.js'
import type { OpenSocket } from '../../generic-netlink/socket.js'
import { Connection, FamilyClient, ipvs, NETLINK_GENERIC, type ConnectionOptions, type ServiceAttributes } from '../../generic-netlink/index.js'

/** The two ways in which answers reach the library. */
export const modes = ['descriptor', 'events'] as const
export type Mode = typeof modes[number]

/** Real sockets of one mode. */
export const socketsOf = (mode: Mode): OpenSocket => (protocol, listener) => openSocket(protocol, listener, { descriptor: mode === 'descriptor' })

/** Real sockets that keep what they send. */
export function recording(): { readonly openSocket: OpenSocket; readonly sent: Buffer[] } {
  const sent: Buffer[] = []
  return {
    sent,
    openSocket: (protocol, listener) => {
      const socket = openSocket(protocol, listener)
      return { ...socket, send: bytes => { sent.push(Buffer.from(bytes)); socket.send(bytes) } }
    },
  }
}

/** A connection, and IPVS on it. Rejects in a kernel without IPVS. */
export async function connect(mode: Mode, options: ConnectionOptions = {}): Promise<{ connection: Connection; client: FamilyClient<typeof ipvs.commands> }> {
  const connection = new Connection(NETLINK_GENERIC, { openSocket: socketsOf(mode), ...options })
  return { connection, client: await FamilyClient.find(connection, ipvs) }
}

/** The key of the i-th service of a large table. */
export const keyOf = (i: number): ServiceAttributes =>
  ({ af: 'inet', protocol: i % 2 ? 'tcp' : 'udp', addr: `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`, port: 1 + i % 65535 })

/** The i-th service, with all that the kernel wants for one. */
export const serviceOf = (i: number, more: ServiceAttributes = {}): ServiceAttributes =>
  ({ ...keyOf(i), schedName: 'rr', flags: { flags: {}, mask: EVERY_BIT }, timeout: 0, netmask: '255.255.255.255', ...more })

/** Says of every service flag that it is meant. */
export const EVERY_BIT = Object.freeze({
  persistent: true, hashed: true, onePacket: true, sched1: true, sched2: true, sched3: true,
  ...Object.fromEntries(Array.from({ length: 26 }, (_, i) => [i + 6, true])),
})
