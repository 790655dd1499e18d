import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { additionsAndChanges, commandOf, inverseOf } from '../../../lib/diff.js'
import type { RealServerState, Service, ServiceState, VirtualServiceSpec } from '../../../lib/index.js'
import { normalize } from '../../../lib/validate.js'
import { readRealServer, readService } from '../../../lib/wire.js'
import { virtualServices } from '../../support/services.js'

const IDLE = readService({}).stats

/** What the kernel would report of these services. */
const states = (services: readonly Service[]): ServiceState[] => services.map(service => ({
  ...service, stats: IDLE, realServers: service.realServers.toReversed().map((server): RealServerState => ({ ...readRealServer({}), ...server })),
}))

const spec: VirtualServiceSpec = { vip: '192.0.2.1', port: 80, protocols: ['tcp', 'udp'], forward: 'tunnel', realServers: ['198.51.100.1', '198.51.100.2'] }

describe('additionsAndChanges', () => {
  it('is empty where all is as wanted', () => {
    fc.assert(fc.property(virtualServices({ local: true }), specs => {
      const wanted = specs.flatMap(normalize)
      expect(additionsAndChanges(wanted, states(wanted))).toEqual([])
    }))
  })

  it('adds services before their real servers', () => {
    fc.assert(fc.property(virtualServices({ local: true }), specs => {
      const wanted = specs.flatMap(normalize)
      expect(additionsAndChanges(wanted, []).map(change => commandOf(change)[0])).toEqual(wanted.flatMap(({ realServers }) => ['newService', ...realServers.map(() => 'newDest')]))
    }))
  })

  it.each<[changed: Partial<VirtualServiceSpec>, commands: object[]]>([
    [{ scheduler: 'sh' },                              [['setService', 'tcp'], ['setService', 'udp']]],
    [{ scheduler: 'wlc', schedulerFlags: ['flag-1'] },  [['setService', 'tcp'], ['setService', 'udp']]],
    [{ onePacket: true },                              [['setService', 'udp']]],
    [{ persistence: { timeout: 10 } },                 [['setService', 'tcp'], ['setService', 'udp']]],
    [{ netmask: '255.0.0.0' },                         [['setService', 'tcp'], ['setService', 'udp']]],
    [{ forward: { tunnel: 'gre' } },                   [['setDest', '198.51.100.1'], ['setDest', '198.51.100.2'], ['setDest', '198.51.100.1'], ['setDest', '198.51.100.2']]],
    [{ realServers: ['198.51.100.1', '198.51.100.3'] }, [['newDest', '198.51.100.3'], ['newDest', '198.51.100.3']]],
    [{ realServers: [{ address: '198.51.100.2', weight: 0 }] }, [['setDest', '198.51.100.2'], ['setDest', '198.51.100.2']]],
    [{ realServers: [{ address: '198.51.100.2', thresholds: { upper: 1 } }] }, [['setDest', '198.51.100.2'], ['setDest', '198.51.100.2']]],
    [{ realServers: [] },                              []],
  ])('%j', (changed, commands) => {
    const actual = states(normalize(spec))
    expect(additionsAndChanges(normalize({ ...spec, ...changed } as VirtualServiceSpec), actual).map(commandOf)
      .map(([command, { service, dest }]) => [command, dest?.addr ?? service?.protocol])).toEqual(commands)
  })

  it('takes back what was added, and puts back what was changed', () => {
    const [before] = states(normalize({ ...spec, protocols: ['tcp'], protocol: undefined, fwmark: undefined }))
    const [wanted] = normalize({ ...spec, protocols: ['tcp'], scheduler: 'sh', realServers: [{ address: '198.51.100.1', weight: 9 }, '198.51.100.3'] } as VirtualServiceSpec)
    const inverses = additionsAndChanges([wanted!], [before!]).map(inverseOf)
    expect(inverses).toMatchObject([
      ['setService', { service: { schedName: 'wlc' } }], ['setDest', { dest: { addr: '198.51.100.1', weight: 1 } }], ['delDest', { dest: { addr: '198.51.100.3' } }],
    ])
    expect(additionsAndChanges([wanted!], []).map(inverseOf)[0]).toEqual(['delService', { service: { af: 'inet', protocol: 'tcp', addr: '192.0.2.1', port: 80 } }])
  })
})
