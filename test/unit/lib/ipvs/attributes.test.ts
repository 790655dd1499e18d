import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { command } from '../../../../generic-netlink/index.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { destinationAttributes, normalizeRealServer, readRealServer, sameRealServer } from '../../../../lib/ipvs/real-server.js'
import { keyAttributes } from '../../../../lib/ipvs/key.js'
import type { RealServerKey, RealServerSettings, RealServerSpec, Service, ServiceSettings } from '../../../../lib/ipvs/model.js'
import { readService, sameSettings, serviceAttributes } from '../../../../lib/ipvs/service.js'
import { virtualService } from '../../../support/services.js'

describe('meaning to wire and back', () => {
  it('is the identity, through the bytes themselves', () => {
    fc.assert(fc.property(virtualService({ local: true }), spec => {
      for (const { realServers, ...service } of normalize(spec)) {
        const { stats: _, ...back } = readService(command.decode(command.encode({ service: serviceAttributes({ ...service }) })).service!)
        expect(back).toEqual(service)
        for (const server of realServers) {
          expect(readRealServer(command.decode(command.encode({ dest: destinationAttributes(server) })).dest!)).toMatchObject(server)
        }
      }
    }))
  })

  it('changes no flag that is not ours', () => {
    const [service] = normalize({ fwmark: 1, scheduler: 'sh', schedulerFlags: ['sh-port'], onePacket: true, realServers: [] })
    expect(serviceAttributes(service!).flags).toEqual({
      flags: { persistent: false, onePacket: true, sched1: false, sched2: true, sched3: false }, mask: { persistent: true, onePacket: true, sched1: true, sched2: true, sched3: true },
    })
  })

  it('names a service by its key alone', () => {
    expect(keyAttributes({ vip: 'fd00::1', port: 53, protocol: 'udp' })).toEqual({ af: 'inet6', protocol: 'udp', addr: 'fd00::1', port: 53 })
    expect(keyAttributes({ fwmark: 7, family: 'inet6' })).toEqual({ af: 'inet6', fwmark: 7 })
  })
})

/** Values of every field; the first is not the default. A new field does not compile here until it has some. */
const ofServers: { readonly [K in Exclude<keyof RealServerSettings, keyof RealServerKey | 'drain'>]: readonly RealServerSettings[K][] } = {
  weight: [2, 0], forward: ['masq', 'local'], thresholds: [{ upper: 2, lower: 1 }, { upper: 2, lower: 2 }],
}
const ofServices: { readonly [K in keyof Required<ServiceSettings>]: readonly ServiceSettings[K][] } = {
  scheduler: ['sh', 'wrr'], schedulerFlags: [['sh-port'], []], onePacket: [true, false], netmask: ['255.0.0.0', '255.255.0.0'], engine: ['sip', 'gone'],
  persistence: [{ timeout: 60, netmask: '255.255.255.255' }, { timeout: 61, netmask: '255.255.255.255' }],
}

describe('each field is written, read and compared', () => {
  const [{ realServers: [server], ...service }] = normalize({ vip: '192.0.2.1', port: 80, protocols: ['udp'], scheduler: 'sh', realServers: ['198.51.100.1'] }) as [Service]
  const cases = (fields: object): [string, unknown, unknown][] => Object.entries(fields).map(([name, [value, other]]: [string, unknown[]]) => [name, value, other])

  it.each(cases(ofServers))('%s of a real server: %j, %j', (name, value, other) => {
    const [one, two] = [value, other].map(value => ({ ...server!, [name]: value })) as [RealServerSettings, RealServerSettings]
    expect(readRealServer(command.decode(command.encode({ dest: destinationAttributes(one) })).dest!)).toMatchObject(one)
    expect(normalizeRealServer(one as RealServerSpec, service)).toEqual(one)
    expect([sameRealServer(one, server!), sameRealServer(one, two), sameRealServer(one, { ...one })]).toEqual([false, false, true])
  })

  it.each(cases(ofServices))('%s of a service: %j, %j', (name, value, other) => {
    const [one, two] = [value, other].map(value => ({ ...service, [name]: value })) as [Service, Service]
    expect(readService(command.decode(command.encode({ service: serviceAttributes(one) })).service!)).toMatchObject(one)
    expect([sameSettings(one, two), sameSettings(one, { ...one })]).toEqual([false, true])
  })
})

describe('what foreign programs leave in the kernel', () => {
  const dest = { addrFamily: 'inet', addr: '192.0.2.1', port: 80, weight: 1, uThresh: 0, lThresh: 0 } as const
  it.each<[wire: object, forward: unknown]>([
    [{ fwdMethod: 'bypass' }, 'bypass'],
    [{ fwdMethod: 7 }, 7],
    [{ fwdMethod: 'masq', tunType: 'gue', tunPort: 1 }, 'masq'],
    [{ fwdMethod: 'tunnel', tunType: 3 }, { kind: 3 }],
    [{ fwdMethod: 'tunnel', tunType: 'ipip', tunFlags: { csum: true } }, { kind: 'ipip', checksum: 'csum' }],
    [{ fwdMethod: 'tunnel', tunType: 'gue', tunPort: 6080, tunFlags: { csum: true, remcsum: true, 15: true } }, { kind: 'gue', port: 6080, checksum: 0x8003 }],
  ])('%j reads as %j, and is written back as it was', (wire, forward) => {
    const server = readRealServer(command.decode(command.encode({ dest: { ...dest, ...wire } })).dest!)
    expect(server.forward).toEqual(forward)
    if (typeof forward === 'object') expect(readRealServer(command.decode(command.encode({ dest: destinationAttributes(server) })).dest!)).toEqual(server)
  })

  it('an engine and a netmask without persistence', () => {
    const service = readService({ af: 'inet', protocol: 47, addr: '192.0.2.1', port: 0, schedName: 'rr', timeout: 9, netmask: '255.0.0.0', peName: 'sip' })
    expect(service).toMatchObject({ protocol: 47, netmask: '255.0.0.0', engine: 'sip' })
    expect(service).not.toHaveProperty('persistence')
    expect(serviceAttributes(service)).toMatchObject({ protocol: 47, netmask: '255.0.0.0', peName: 'sip' })
  })
})

describe('counters', () => {
  it('are those of 64 bits, or of 32 where there are no others', () => {
    const wide = { conns: 1n, inpkts: 2n, outpkts: 3n, inbytes: 2n ** 40n, outbytes: 5n, cps: 6n, inpps: 7n, outpps: 8n, inbps: 9n, outbps: 10n }
    const stats = {
      connections: 1n, packetsIn: 2n, packetsOut: 3n, bytesIn: 2n ** 40n, bytesOut: 5n,
      rates: { connections: 6, packetsIn: 7, packetsOut: 8, bytesIn: 9, bytesOut: 10 },
    }
    const narrow = Object.fromEntries(Object.entries(wide).map(([key, n]) => [key, key.endsWith('bytes') ? n : Number(n)]))
    expect(readService({ stats64: wide, stats: { conns: 99 } }).stats).toEqual(stats)
    expect(readService({ stats: narrow }).stats).toEqual(stats)
    // Those that the wire decodes when they are read are plain here.
    expect(readService(command.decode(command.encode({ service: { stats64: wide } })).service!).stats).toStrictEqual(stats)
  })
  it('are objects of their own', () => {
    expect(readService({ stats64: { conns: 0n } }).stats).not.toBe(readRealServer({}).stats)
  })
})
