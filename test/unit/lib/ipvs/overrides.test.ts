import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Overrides } from '../../../../lib/ipvs/overrides.js'
import { choosesWeightZero, withFallback } from '../../../../lib/ipvs/schedulers.js'
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
    expect(choosesWeightZero(service)).toBe(asks)
    const passing = withFallback(service)
    expect([passing.scheduler, passing.schedulerFlags]).toEqual(becomes)
    expect(choosesWeightZero(passing)).toBe(false)
    expect(withFallback(passing)).toBe(passing)
  })
})

describe('overrides', () => {
  it('leave everything as it is, as the very object, where nothing is being taken out', () => {
    fc.assert(fc.property(virtualServices({ minLength: 1 }), specs => {
      const services = specs.flatMap(normalize)
      const overrides = new Overrides()
      for (const service of services) {
        expect(overrides.service(service)).toBe(service)
        for (const server of service.realServers) {
          overrides.set('drain', service, server, 'weight')
          expect(overrides.server(service, server)!.weight).toBe(0)
          overrides.delete(service, server)
        }
        expect(overrides.service(service)).toBe(service)
      }
    }))
  })

  it('keep what was wanted of a real server, and take it out by weight or by absence', () => {
    const overrides = new Overrides()
    overrides.set('drain', sh!, one, 'weight')
    expect(overrides.get(sh!, one)).toEqual({ by: 'weight', declared: one })
    expect(overrides.service(sh!)).toEqual({ ...sh!, schedulerFlags: ['sh-fallback'], realServers: [{ ...one, weight: 0 }, sh!.realServers[1]] })
    overrides.set('drain', sh!, one, 'absence')
    expect(overrides.service(sh!)).toEqual({ ...sh!, realServers: [sh!.realServers[1]] })
    expect(overrides.server(sh!, one)).toBeUndefined()
    expect(overrides.server({ ...sh!, port: 81 } as Service, one)).toBe(one)
    overrides.clear({ ...sh!, port: 81 } as Service)
    expect(overrides.get(sh!, one)).toBeDefined()
    overrides.clear(sh)
    expect(overrides.get(sh!, one)).toBeUndefined()
    overrides.set('drain', sh!, one, 'weight')
    overrides.declare(sh!, { ...one, weight: 7 })
    overrides.declare(sh!, sh!.realServers[1]!)
    expect(overrides.get(sh!, one)).toEqual({ by: 'weight', declared: { ...one, weight: 7 } })
    expect(overrides.get(sh!, sh!.realServers[1]!)).toBeUndefined()
    overrides.clear()
    expect(overrides.service(sh!)).toBe(sh)
  })
})
