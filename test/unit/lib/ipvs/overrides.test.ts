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
        expect(overrides.settings(service)).toBe(service)
        expect(overrides.declared(service)).toBe(service)
        for (const server of service.realServers) {
          overrides.set('operator', service, server, 'weight')
          expect(overrides.server(service, server)!.weight).toBe(0)
          overrides.end('operator', service, server)
          expect(overrides.server(service, server)).toBe(server)
        }
        for (const record of overrides.unsettled()) overrides.settled(record)
        expect(overrides.empty).toBe(true)
      }
    }))
  })

  it('keep what is declared of a real server, and take it out by weight or by absence', () => {
    const overrides = new Overrides()
    const actual = (flags: Service['schedulerFlags'], ...realServers: Service['realServers']): Service => ({ ...sh!, schedulerFlags: flags, realServers })
    const two = sh!.realServers[1]!
    overrides.set('operator', sh!, one, 'weight')
    expect(overrides.get(sh!, one)).toEqual({ by: 'weight', declared: one })
    expect(overrides.settings(sh!)).toEqual({ ...sh!, schedulerFlags: ['sh-fallback'] })
    expect(overrides.declared(actual(['sh-fallback'], { ...one, weight: 0 }, two))).toEqual(sh)
    expect(overrides.declared(actual(['sh-port'], { ...one, weight: 3 }, two))).toEqual(actual(['sh-port'], { ...one, weight: 3 }, two)) // another program's
    overrides.set('operator', sh!, one, 'absence')
    expect(overrides.settings(sh!)).toBe(sh)
    expect(overrides.server(sh!, one)).toBeUndefined()
    expect(overrides.declared(actual([], two)).realServers).toEqual([two, one])
    expect(overrides.server({ ...sh!, port: 81 } as Service, one)).toBe(one)
  })

  it('note what the kernel took: what is declared now, and what is gone', () => {
    const overrides = new Overrides()
    overrides.set('operator', sh!, one, 'weight')
    overrides.took({ action: 'change', service: sh!, server: { ...one, weight: 7 } })
    overrides.took({ action: 'change', service: sh!, server: sh!.realServers[1]! })
    expect(overrides.get(sh!, one)).toEqual({ by: 'weight', declared: { ...one, weight: 7 } })
    expect(overrides.get(sh!, sh!.realServers[1]!)).toBeUndefined()
    overrides.took({ action: 'remove', service: { ...sh!, port: 81 } as Service })
    expect(overrides.empty).toBe(false)
    overrides.took({ action: 'remove', service: sh! })
    expect(overrides.empty).toBe(true)
  })

  it('out beats in: a declared drain and that of an operator end each by itself', () => {
    const overrides = new Overrides(), declared = { ...one, drain: true } as const
    overrides.took({ action: 'add', service: sh!, server: declared })
    overrides.set('operator', sh!, declared, 'weight')
    overrides.end('operator', sh!, one)
    expect(overrides.get(sh!, one)).toEqual({ by: 'weight', declared })
    overrides.set('operator', sh!, declared, 'weight')
    overrides.took({ action: 'change', service: sh!, server: one })
    expect(overrides.server(sh!, one)!.weight).toBe(0)
    overrides.end('operator', sh!, one)
    expect(overrides.get(sh!, one)).toBeUndefined()
    expect(overrides.unsettled()).toHaveLength(1)
  })
})
