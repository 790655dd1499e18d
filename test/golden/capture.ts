/**
 * Records what a real kernel answers: `test/lab/run node dist/test/golden/capture.js >test/golden/ipvs-6.1.json`.
 *
 * Messages are kept whole, in hexadecimal, but for sequence number and port, which differ each time and are zero here.
 */

import { release } from 'node:os'
import {
  Connection, describeFamily, FamilyClient, ipvs, NETLINK_GENERIC,
  type DestinationAttributes, type Input, type ServiceAttributes,
} from '../../generic-netlink/index.js'
import { NLMSG_ERROR } from '../../generic-netlink/message.js'
import { openSocket } from '../../generic-netlink/open-socket.js'

const EVERY_BIT = Object.fromEntries(['persistent', 'hashed', 'onePacket', 'sched1', 'sched2', 'sched3', ...Array.from({ length: 26 }, (_, i) => String(i + 6))].map(bit => [bit, true]))
const inet = { af: 'inet', netmask: '255.255.255.255' } as const
const inet6 = { af: 'inet6', netmask: 128 } as const
const plain = { schedName: 'wlc', flags: { flags: {}, mask: EVERY_BIT }, timeout: 0 }
const flagged = (...flags: string[]) => ({ flags: { flags: Object.fromEntries(flags.map(flag => [flag, true])), mask: EVERY_BIT } })

const services: Record<string, ServiceAttributes> = {
  v4:         { ...plain, ...inet, protocol: 'udp', addr: '192.168.50.100', port: 53 },
  v6:         { ...plain, ...inet6, protocol: 'tcp', addr: '2001:db8::53', port: 53, schedName: 'rr' },
  mark:       { ...plain, ...inet, fwmark: 0x80000001, schedName: 'sh', ...flagged('sched1', 'sched2') },
  mark6:      { ...plain, ...inet6, fwmark: 7 },
  persistent: { ...plain, ...inet, protocol: 'tcp', addr: '192.168.50.100', port: 0, timeout: 300, netmask: '255.255.255.0', ...flagged('persistent') },
  persistent6: { ...plain, ...inet6, protocol: 'tcp', addr: '2001:db8::54', port: 443, timeout: 60, netmask: 64, ...flagged('persistent') },
  sip:        { ...plain, ...inet, protocol: 'udp', addr: '192.168.50.100', port: 5060, timeout: 120, peName: 'sip', ...flagged('persistent') },
  onePacket:  { ...plain, ...inet, protocol: 'udp', addr: '192.168.50.101', port: 53, ...flagged('onePacket') },
  sctp:       { ...plain, ...inet, protocol: 'sctp', addr: '192.168.50.100', port: 3868 },
  unnamed:    { ...plain, ...inet, protocol: 50, addr: '192.168.50.102', port: 0, ...flagged('9', '31') },
}

const base = { addrFamily: 'inet', port: 53, weight: 1, uThresh: 0, lThresh: 0 } as const
const destinations: Record<string, DestinationAttributes> = {
  masq:    { ...base, fwdMethod: 'masq', addr: '192.168.52.100', port: 5353, weight: 100 },
  route:   { ...base, fwdMethod: 'route', addr: '192.168.52.101', weight: 0, uThresh: 1000, lThresh: 750 },
  local:   { ...base, fwdMethod: 'local', addr: '127.0.0.1' },
  ipip:    { ...base, fwdMethod: 'tunnel', addr: '192.168.52.102' },
  gue:     { ...base, fwdMethod: 'tunnel', addr: '192.168.52.103', tunType: 'gue', tunPort: 6080, tunFlags: { remcsum: true } },
  gre:     { ...base, fwdMethod: 'tunnel', addr: '192.168.52.104', tunType: 'gre', tunFlags: { csum: true } },
  unnamed: { ...base, fwdMethod: 6, addr: '192.168.52.105', weight: 2 ** 31 - 1, tunType: 255, tunFlags: Object.fromEntries([['csum', true], ['15', true]]) },
  mixed:   { ...base, fwdMethod: 'tunnel', addrFamily: 'inet6', addr: '2001:db8::1' },
}

const heard: string[] = []
const listen = ({ bytes, view }: Input, length: number): void => {
  for (let at = 0; at < length;) {
    const size = view.getUint32(at, true)
    const message = Buffer.from(bytes.subarray(at, at + size))
    message.fill(0, 8, 16)
    if (message.readUInt16LE(4) === NLMSG_ERROR) message.fill(0, 28, 32) // of the request that it echoes
    heard.push(message.toString('hex'))
    at += size + 3 & ~3
  }
}
const connection = new Connection(NETLINK_GENERIC, {
  openSocket: (protocol, listener) => openSocket(protocol, {
    datagram: (from, length) => { listen(from, length); listener.datagram(from, length) },
    failed: (error, fatal) => listener.failed(error, fatal),
  }),
})
const client = await FamilyClient.find(connection, ipvs)
const answers: Record<string, string[]> = {}
/** Keeps what is heard while something is asked. */
const record = async (name: string, ask: () => Promise<unknown>): Promise<void> => {
  heard.length = 0
  await ask().catch(() => {})
  answers[name] = heard.slice()
}

await client.call('flush', {})
await record('controller', () => describeFamily(connection, 'IPVS'))
await record('info', () => client.call('getInfo', {}))
await record('config', () => client.call('getConfig', {}))
for (const [name, service] of Object.entries(services)) {
  await client.call('newService', { service })
  await record(`service ${name}`, () => client.call('getService', { service }))
}
for (const [name, dest] of Object.entries(destinations)) {
  const service = services.v4!
  await client.call('newDest', { service, dest })
  await record(`destination ${name}`, () => client.dump('getDest', { service }))
  await client.call('delDest', { service, dest })
}
await client.call('newDaemon', { daemon: { state: 'master', mcastIfn: 'lo', syncId: 300, syncMaxlen: 1400, mcastGroup: '224.0.0.99', mcastPort: 9999, mcastTtl: 3 } })
await client.call('newDaemon', { daemon: { state: 'backup', mcastIfn: 'lo', syncId: 7, mcastGroup6: 'ff02::81' } })
await record('daemons', () => client.dump('getDaemon', {}))
for (const state of ['master', 'backup'] as const) await client.call('delDaemon', { daemon: { state } })
await record('error', () => client.call('newService', { service: services.v4! }))
await record('acknowledgement', () => client.call('zero', {}))
await record('refused dump', () => client.dump('getConfig', {}))
await client.call('flush', {})
connection.close()

console.log(JSON.stringify({ kernel: release(), command: 'test/lab/run node dist/test/golden/capture.js', answers }, null, 1))
