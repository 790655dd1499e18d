import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { command } from '../../../../generic-netlink/index.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { destinationAttributes, readRealServer } from '../../../../lib/ipvs/real-server.js'
import { keyAttributes } from '../../../../lib/ipvs/key.js'
import { readService, serviceAttributes } from '../../../../lib/ipvs/service.js'
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
  it('that are idle are one object for all', () => {
    expect(readService({ stats64: { conns: 0n } }).stats).toBe(readRealServer({}).stats)
  })
})
