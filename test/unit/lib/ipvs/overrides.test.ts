import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Drains, asksWeightZero, passingOver } from '../../../../lib/ipvs/overrides.js'
import type { Service } from '../../../../lib/ipvs/model.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { virtualServices } from '../../../support/services.js'

const [sh] = normalize({ vip: '192.0.2.1', port: 80, protocols: ['tcp'], scheduler: 'sh', realServers: [{ address: '198.51.100.1', weight: 5 }, '198.51.100.2'] })
const one = sh!.realServers[0]!

describe('what a scheduler needs to pass over weight 0', () => {
  it.each<[scheduler: string, flags: Service['schedulerFlags'], asks: boolean, becomes?: [string, Service['schedulerFlags']]]>([
    ['rr', [], false], ['lblc', [], false], ['ovf', ['flag-1'], false],
    ['sh', [], true, ['sh', ['sh-fallback']]], ['sh', ['sh-port'], true, ['sh', ['sh-fallback', 'sh-port']]], ['sh', ['sh-fallback'], false],
    ['mh', ['mh-port'], true, ['mh', ['mh-fallback', 'mh-port']]], ['mh', ['mh-fallback', 'mh-port'], false],
    ['dh', [], true, ['lblc', []]], ['dh', ['flag-1'], true, ['lblc', ['flag-1']]],
  ])('%s %j', (scheduler, schedulerFlags, asks, becomes = [scheduler, schedulerFlags]) => {
    const service = { ...sh!, scheduler, schedulerFlags }
    expect(asksWeightZero(service)).toBe(asks)
    const passing = passingOver(service)
    expect([passing.scheduler, passing.schedulerFlags]).toEqual(becomes)
    expect(asksWeightZero(passing)).toBe(false)
    expect(passingOver(passing)).toBe(passing)
  })
})

describe('drains', () => {
  it('leave everything as it is, as the very object, where nothing is being taken out', () => {
    fc.assert(fc.property(virtualServices({ minLength: 1 }), specs => {
      const services = specs.flatMap(normalize)
      const drains = new Drains()
      for (const service of services) {
        expect(drains.service(service)).toBe(service)
        for (const server of service.realServers) {
          drains.add(service, server, 'weight')
          expect(drains.server(service, server)!.weight).toBe(0)
          drains.delete(service, server)
        }
        expect(drains.service(service)).toBe(service)
      }
    }))
  })

  it('keep what was wanted of a real server, and take it out by weight or by absence', () => {
    const drains = new Drains()
    drains.add(sh!, one, 'weight')
    expect(drains.get(sh!, one)).toEqual({ by: 'weight', server: one })
    expect(drains.service(sh!)).toEqual({ ...sh!, schedulerFlags: ['sh-fallback'], realServers: [{ ...one, weight: 0 }, sh!.realServers[1]] })
    drains.add(sh!, one, 'absence')
    expect(drains.service(sh!)).toEqual({ ...sh!, realServers: [sh!.realServers[1]] })
    expect(drains.server(sh!, one)).toBeUndefined()
    expect(drains.server({ ...sh!, port: 81 } as Service, one)).toBe(one)
    drains.clear({ ...sh!, port: 81 } as Service)
    expect(drains.get(sh!, one)).toBeDefined()
    drains.clear(sh)
    expect(drains.get(sh!, one)).toBeUndefined()
    drains.add(sh!, one, 'weight')
    drains.clear()
    expect(drains.service(sh!)).toBe(sh)
  })
})
