import { describe, expect, it } from 'vitest'
import { additionsAndChanges } from '../../../lib/diff.js'
import type { ServiceState, VirtualServiceSpec } from '../../../lib/index.js'
import { ipvsSteps } from '../../../lib/ipvs-steps.js'
import { normalize } from '../../../lib/validate.js'
import { readRealServer, readService } from '../../../lib/wire.js'

const spec: VirtualServiceSpec = { vip: '192.0.2.1', port: 53, protocols: ['udp'], scheduler: 'rr', forward: 'tunnel', realServers: ['198.51.100.1', '198.51.100.2'] }

describe('ipvsSteps', () => {
  it('says what ipvsadm would be told', () => {
    expect(ipvsSteps(additionsAndChanges(normalize(spec), [])).map(({ action, object, line }) => [action, object, line])).toEqual([
      ['add', 'service', 'ipvsadm -A -u 192.0.2.1:53 -s rr'],
      ['add', 'real server', 'ipvsadm -a -u 192.0.2.1:53 -r 198.51.100.1:53 -i -w 1 --tun-type ipip'],
      ['add', 'real server', 'ipvsadm -a -u 192.0.2.1:53 -r 198.51.100.2:53 -i -w 1 --tun-type ipip'],
    ])
  })
  it('tells changes from additions', () => {
    const [service] = normalize({ ...spec, scheduler: 'wrr' })
    const state: ServiceState = { ...service!, stats: readService({}).stats, realServers: [{ ...readRealServer({}), ...service!.realServers[0]!, weight: 3 }] }
    expect(ipvsSteps(additionsAndChanges(normalize(spec), [state])).map(({ action, line }) => `${action} ${line}`)).toEqual([
      'change ipvsadm -E -u 192.0.2.1:53 -s rr',
      'change ipvsadm -e -u 192.0.2.1:53 -r 198.51.100.1:53 -i -w 1 --tun-type ipip',
      'add ipvsadm -a -u 192.0.2.1:53 -r 198.51.100.2:53 -i -w 1 --tun-type ipip',
    ])
  })
})
