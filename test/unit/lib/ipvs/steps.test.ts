import { describe, expect, it } from 'vitest'
import { differences } from '../../../../lib/ipvs/diff.js'
import type { ServiceState, VirtualServiceSpec } from '../../../../lib/index.js'
import { ipvsSteps } from '../../../../lib/ipvs/steps.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { readRealServer } from '../../../../lib/ipvs/real-server.js'
import { readService } from '../../../../lib/ipvs/service.js'

const spec: VirtualServiceSpec = { vip: '192.0.2.1', port: 53, protocols: ['udp'], scheduler: 'rr', forward: 'tunnel', realServers: ['198.51.100.1', '198.51.100.2'] }
const [service] = normalize({ ...spec, scheduler: 'wrr' })
const other = normalize({ ...spec, protocols: ['tcp'] } as VirtualServiceSpec)[0]!
const states = [service!, other].map((each): ServiceState => ({ ...each, stats: readService({}).stats, realServers: [{ ...readRealServer({}), ...each.realServers[0]!, weight: 3 }] }))

describe('ipvsSteps', () => {
  it('says what ipvsadm would be told', () => {
    expect(ipvsSteps(differences(normalize(spec), [])).map(({ action, object, line }) => [action, object, line])).toEqual([
      ['add', 'service', 'ipvsadm -A -u 192.0.2.1:53 -s rr'],
      ['add', 'real server', 'ipvsadm -a -u 192.0.2.1:53 -r 198.51.100.1:53 -i -w 1 --tun-type ipip'],
      ['add', 'real server', 'ipvsadm -a -u 192.0.2.1:53 -r 198.51.100.2:53 -i -w 1 --tun-type ipip'],
    ])
  })
  it('tells changes from additions and removals', () => {
    const wanted = normalize({ ...spec, realServers: ['198.51.100.2'] })
    expect(ipvsSteps(differences(wanted, states, { prune: true, owned: () => true })).map(({ action, line }) => `${action} ${line}`)).toEqual([
      'change ipvsadm -E -u 192.0.2.1:53 -s rr',
      'add ipvsadm -a -u 192.0.2.1:53 -r 198.51.100.2:53 -i -w 1 --tun-type ipip',
      'remove ipvsadm -d -u 192.0.2.1:53 -r 198.51.100.1:53',
      'remove ipvsadm -D -t 192.0.2.1:53',
    ])
    const services = [...states, { ...states[1]!, port: 54, realServers: [] }, { ...states[1]!, port: 55, realServers: [1, 2].map(i => ({ ...states[1]!.realServers[0]!, port: i })) }]
    expect(ipvsSteps(differences(normalize(spec), services as ServiceState[], { prune: true, owned: () => true })).filter(({ object, action }) => object === 'service' && action === 'remove').map(({ why }) => why))
      .toEqual(['with its real server', undefined, 'with its 2 real servers'])
    expect(ipvsSteps(differences(wanted, states), 'so it is wanted').map(({ why }) => why)).toEqual(['so it is wanted', 'so it is wanted'])
  })
})
