/** Bytes that a real kernel sent (test/golden/capture.ts): what they say, written by hand. */

import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { AttributeSet, Table } from '../../../generic-netlink/attributes.js'
import { Input } from '../../../generic-netlink/buffers.js'
import { command, controller, destination, info, service } from '../../../generic-netlink/index.js'
import { eachMessage, readVerdict, type Message } from '../../../generic-netlink/message.js'
import { attributesOf } from '../../support/fake-ipvs.js'

const golden = JSON.parse(readFileSync(new URL('../../golden/ipvs-6.1.json', import.meta.url), 'utf8')) as { kernel: string; answers: Record<string, string[]> }
const messagesOf = (name: string): { from: Input; message: Message; attributes: Buffer }[] => golden.answers[name]!.map(hex => {
  const bytes = Buffer.from(hex, 'hex')
  const from = new Input(bytes)
  let message: Message | undefined
  eachMessage(from, bytes.length, m => { message = { ...m } })
  return { from, message: message!, attributes: bytes.subarray(20) }
})
const first = (name: string): Buffer => messagesOf(name)[0]!.attributes
const named = (prefix: string): string[] => Object.keys(golden.answers).filter(name => name.startsWith(prefix))

const all = (bits: readonly string[]): Record<string, true> => Object.fromEntries(bits.map(bit => [bit, true]))
const mask = all(['persistent', 'hashed', 'onePacket', 'sched1', 'sched2', 'sched3', ...Array.from({ length: 26 }, (_, i) => String(i + 6))])
const stats64 = { conns: 0n, inpkts: 0n, outpkts: 0n, inbytes: 0n, outbytes: 0n, cps: 0n, inpps: 0n, outpps: 0n, inbps: 0n, outbps: 0n }

it('was captured from Linux 6.1', () => expect(golden.kernel).toMatch(/^6\.1\./))

describe('services', () => {
  const common = { schedName: 'wlc', timeout: 0, stats64 }
  const v4 = { ...common, af: 'inet', netmask: '255.255.255.255' }
  const v6 = { ...common, af: 'inet6', netmask: 128 }
  it.each([
    ['v4', { ...v4, protocol: 'udp', addr: '192.168.50.100', port: 53, flags: { flags: { hashed: true }, mask } }],
    ['v6', { ...v6, protocol: 'tcp', addr: '2001:db8::53', port: 53, schedName: 'rr', flags: { flags: { hashed: true }, mask } }],
    ['mark', { ...v4, fwmark: 2147483649, schedName: 'sh', flags: { flags: { hashed: true, sched1: true, sched2: true }, mask } }],
    ['mark6', { ...v6, fwmark: 7, flags: { flags: { hashed: true }, mask } }],
    ['persistent', { ...v4, protocol: 'tcp', addr: '192.168.50.100', port: 0, timeout: 300, netmask: '255.255.255.0', flags: { flags: { persistent: true, hashed: true }, mask } }],
    ['persistent6', { ...v6, protocol: 'tcp', addr: '2001:db8::54', port: 443, timeout: 60, netmask: 64, flags: { flags: { persistent: true, hashed: true }, mask } }],
    ['sip', { ...v4, protocol: 'udp', addr: '192.168.50.100', port: 5060, timeout: 120, peName: 'sip', flags: { flags: { persistent: true, hashed: true }, mask } }],
    ['onePacket', { ...v4, protocol: 'udp', addr: '192.168.50.101', port: 53, flags: { flags: { hashed: true, onePacket: true }, mask } }],
    ['sctp', { ...v4, protocol: 'sctp', addr: '192.168.50.100', port: 3868, flags: { flags: { hashed: true }, mask } }],
    ['unnamed', { ...v4, protocol: 50, addr: '192.168.50.102', port: 0, flags: { flags: { hashed: true, 9: true, 31: true }, mask } }],
  ])('%s', (name, value) => expect(command.decode(first(`service ${name}`))).toEqual({ service: value }))
})

describe('destinations', () => {
  const common = { port: 53, weight: 1, uThresh: 0, lThresh: 0, activeConns: 0, inactConns: 0, persistConns: 0, tunType: 'ipip', tunPort: 0, tunFlags: {}, addrFamily: 'inet', stats64 }
  it.each([
    ['masq', { ...common, fwdMethod: 'masq', addr: '192.168.52.100', port: 5353, weight: 100 }],
    ['route', { ...common, fwdMethod: 'route', addr: '192.168.52.101', weight: 0, uThresh: 1000, lThresh: 750 }],
    ['local', { ...common, fwdMethod: 'local', addr: '127.0.0.1' }],
    ['ipip', { ...common, fwdMethod: 'tunnel', addr: '192.168.52.102' }],
    ['gue', { ...common, fwdMethod: 'tunnel', addr: '192.168.52.103', tunType: 'gue', tunPort: 6080, tunFlags: { remcsum: true } }],
    ['gre', { ...common, fwdMethod: 'tunnel', addr: '192.168.52.104', tunType: 'gre', tunFlags: { csum: true } }],
    ['unnamed', { ...common, fwdMethod: 6, addr: '192.168.52.105', weight: 2147483647, tunType: 255, tunFlags: { csum: true, 15: true } }],
    ['mixed', { ...common, fwdMethod: 'tunnel', addrFamily: 'inet6', addr: '2001:db8::1' }],
  ])('%s', (name, value) => {
    const [row, done] = messagesOf(`destination ${name}`)
    expect(command.decode(row!.attributes)).toEqual({ dest: value })
    expect(readVerdict(done!.from, done!.message)).toEqual({ errno: 0 })
  })
})

describe('the rest', () => {
  it('daemons', () => {
    const [master, backup, done] = messagesOf('daemons')
    expect(command.decode(master!.attributes)).toEqual({ daemon: { state: 'master', mcastIfn: 'lo', syncId: 300, syncMaxlen: 1400, mcastGroup: '224.0.0.99', mcastPort: 9999, mcastTtl: 3 } })
    expect(command.decode(backup!.attributes)).toEqual({ daemon: { state: 'backup', mcastIfn: 'lo', syncId: 7, syncMaxlen: 65487, mcastGroup6: 'ff02::81', mcastPort: 8848, mcastTtl: 1 } })
    expect(done!.message).toMatchObject({ type: 3, length: 4 })
  })
  it('timeouts and version', () => {
    expect(command.decode(first('config'))).toEqual({ timeoutTcp: 900, timeoutTcpFin: 120, timeoutUdp: 300 })
    expect(info.decode(first('info'))).toEqual({ version: 0x010201, connTabSize: 4096 })
  })
  it('the family', () => {
    const both = { adminPerm: true, do: true, hasPolicy: true }
    const family = controller.decode(first('controller'))
    expect(family).toMatchObject({ familyName: 'IPVS', version: 1, hdrsize: 0, maxattr: 6, mcastGroups: undefined })
    expect(family.ops).toHaveLength(16)
    expect(family.ops?.find(op => op.id === 1)).toEqual({ id: 1, flags: both })
    expect(family.ops?.find(op => op.id === 4)).toEqual({ id: 4, flags: { ...both, dump: true } })
    expect(family.ops?.find(op => op.id === 8)).toEqual({ id: 8, flags: { adminPerm: true, dump: true, hasPolicy: true } })
  })
  it('errors and acknowledgements', () => {
    const verdicts = ['error', 'acknowledgement', 'refused dump'].map(name => messagesOf(name).map(({ from, message }) => readVerdict(from, message).errno))
    expect(verdicts).toEqual([[-17, 0], [0], [-95]]) // the last of a datagram is the no-op's
  })
})

describe('encoded again', () => {
  /** Attributes by number, nests opened, IPv4 padded as the kernel does, without what only the kernel says. */
  const comparable = (bytes: Uint8Array, addressIs: number, nests: readonly number[], drop: readonly number[]): Record<string, unknown> => Object.fromEntries(
    [...attributesOf(bytes)].filter(([number]) => !drop.includes(number)).map(([number, payload]) => [number,
      nests.includes(number) ? comparable(payload, -1, [], [11]) : payload.toString('hex').padEnd(number === addressIs ? 32 : 0, '0')]))
  const same = (names: string[], nest: number, set: AttributeSet<Table>, addressIs: number): void => {
    expect(names.length).toBeGreaterThan(7)
    for (const name of names) {
      const bytes = attributesOf(first(name)).get(nest)!
      const again = set.encode(set.decode(bytes))
      expect([name, comparable(again, addressIs, [12], [10])]).toEqual([name, comparable(bytes, addressIs, [12], [10])])
    }
  }
  it('services and destinations carry the same attributes', () => {
    same(named('service '), 1, service, 3)
    same(named('destination '), 2, destination, 1)
  })
})
