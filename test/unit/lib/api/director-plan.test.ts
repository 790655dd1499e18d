import { beforeEach, describe, expect, it } from 'vitest'
import { Director, type DirectorSpec, type Owner, type VirtualServiceSpec } from '../../../../lib/index.js'
import { FakeKernel } from '../../../support/fake-kernel.js'

let kernel: FakeKernel
let director: Director
let sent = 0
beforeEach(async () => {
  kernel = new FakeKernel()
  director = await Director.open({ openSocket: kernel.open })
  kernel.wrong.onSend = () => { sent++ }
})

const web = { vip: '192.0.2.1', port: 80, protocols: ['tcp'], scheduler: 'rr', realServers: ['198.51.100.1', '198.51.100.2'] } satisfies VirtualServiceSpec

describe('what is wanted', () => {
  it.each<[wanted: unknown, options: object, error: string]>([
    [[web, { ...web, weight: 1 }], {}, 'services[1].service: there is no field "weight"'],
    [[web, { ...web, realServers: [{ address: '198.51.100.1', weight: -1 }] }], {}, 'services[1].realServers[0].weight: -1 is not an integer from 0 to 2147483647'],
    [[web, { ...web, protocols: ['udp', 'tcp'] }], {}, 'services[1]: tcp 192.0.2.1:80 duplicates services[0]'],
    [{ services: web }, {}, 'services: [object Object] is not a list'],
    [{ service: [web] }, {}, 'director: there is no field "service"; there are services, timeouts, syncDaemons, network'],
    [{ timeouts: { tcp: -1 } }, {}, 'tcp: -1 is not an integer from 1 to 2678400'],
    [{ timeouts: { tcpfin: 1 } }, {}, 'timeouts: there is no field "tcpfin"'],
    [{ syncDaemons: [{ state: 'master', link: 'eth0', port: 0 }] }, {}, 'syncDaemons[0].port: 0 is not an integer from 1 to 65535'],
    [{ syncDaemons: [{ state: 'master', link: 'eth0' }, { state: 'master', link: 'eth1' }] }, {}, 'syncDaemons[1]: a second master; one may run'],
    [[], { owner: '192.0.2.0/33' }, 'owner (the prefix\'s length): 33 is not an integer from 0 to 32'],
    [[], { owner: ['10.0.0.0/8', 'here'] }, 'owner[1]: "here" is not an IPv4 or IPv6 address'],
    [[], { owner: '10.0.0.0/8/8' }, 'owner: "10.0.0.0/8/8" is not an address or an address/length'],
  ])('%j %j is refused before anything is sent', async (wanted, options, error) => {
    sent = 0
    await expect(director.plan(wanted as DirectorSpec, options)).rejects.toThrow(error)
    expect(sent).toBe(0)
  })

  it.each<[owner: Owner, removed: string[]]>([
    ['192.0.2.0/24', ['192.0.2.1', '192.0.2.77']], ['192.0.2.1', ['192.0.2.1']], [['192.0.2.77/32', '2001:db8::/32'], ['192.0.2.77', '2001:db8::1']],
    ['0.0.0.0/0', ['192.0.2.1', '192.0.2.77', '203.0.113.1']], [({ fwmark }) => fwmark === 7, ['7']], [[], []],
  ])('%s owns what lies in it', async (owner, removed) => {
    const key = { port: 80, protocols: ['tcp'], realServers: [] } as const
    await (await director.plan([...['192.0.2.1', '192.0.2.77', '203.0.113.1', '2001:db8::1'].map(vip => ({ ...key, vip })), { fwmark: 7, realServers: [] }])).apply()
    const plan = await director.plan([], { prune: true, owner })
    expect(plan.steps.map(({ line }) => /-[tf] \[?([\da-f.:]+?)\]?(:80)?$/.exec(line)![1]).toSorted()).toEqual(removed)
    expect((await director.plan([], { owner })).empty).toBe(true)
  })
})

describe('a plan', () => {
  it('sends nothing but readings where nothing differs, and looks twice for what it misses', async () => {
    await (await director.plan([web])).apply()
    sent = 0
    expect((await director.plan([web])).empty).toBe(true)
    const once = sent
    sent = 0
    await director.plan([{ ...web, realServers: ['198.51.100.9'] }])
    expect(sent).toBe(once + 1)
  })
})
