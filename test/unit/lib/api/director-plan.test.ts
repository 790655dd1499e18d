import { beforeEach, describe, expect, it } from 'vitest'
import { Director, VirtualService, type DirectorSpec, type Owner, type VirtualServiceSpec } from '../../../../lib/index.js'
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
    [{ services: web }, {}, 'services: an object is not a list'],
    [{ service: [web] }, {}, 'director: there is no field "service"; there are services, timeouts, syncDaemons, network'],
    [{ timeouts: { tcp: -1 } }, {}, 'tcp: -1 is not an integer from 1 to 2678400'],
    [{ timeouts: { tcpfin: 1 } }, {}, 'timeouts: there is no field "tcpfin"'],
    [{ syncDaemons: [{ state: 'master', link: 'eth0', port: 0 }] }, {}, 'syncDaemons[0].port: 0 is not an integer from 1 to 65535'],
    [{ syncDaemons: [{ state: 'master', link: 'eth0' }, { state: 'master', link: 'eth1' }] }, {}, 'syncDaemons[1]: a second master; one may run'],
    [{ services: null }, {}, 'services: null is not a list'],
    [[], { owner: '192.0.2.0/24' }, 'owner: chooses what prune removes; set prune: true, or remove it'],
    [[], { prune: false, owner: () => true }, 'owner: chooses what prune removes'],
    [[], { prune: true, owner: '192.0.2.0/33' }, 'owner (the prefix\'s length): 33 is not an integer from 0 to 32'],
    [[], { prune: true, owner: ['10.0.0.0/8', 'here'] }, 'owner[1]: "here" is not an IPv4 or IPv6 address'],
    [[], { prune: true, owner: '10.0.0.0/8/8' }, 'owner: "10.0.0.0/8/8" is not an address or an address/length'],
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
    expect((await director.plan({}, { prune: true, owner })).empty).toBe(true)
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

describe('owner', () => {
  it.each([[Promise.resolve(true), 'a Promise'], [undefined, 'undefined'], [1, '1'], ['no', '"no"']])('is refused where it returns %s', async (answer, shown) => {
    await (await director.plan([web])).apply()
    await expect(director.plan([], { prune: true, owner: () => answer as unknown as boolean }))
      .rejects.toThrow(`owner: returns ${shown} for tcp 192.0.2.1:80, not true or false`)
  })
})

describe('input', () => {
  it('is read at the call: what the caller changes later is not seen', async () => {
    const wanted = Array.from({ length: 700 }, (_, i) => ({
      ...web, port: 1000 + i, realServers: Array.from({ length: 20 }, (_, n) => ({ address: `198.51.100.${n + 1}`, weight: 2 })),
    }))
    const declared: DirectorSpec = structuredClone({ services: wanted })
    await (await director.plan(declared)).apply()
    const timeouts = { tcp: 900 }, owner = ['192.0.2.0/24']
    const planned = director.plan({ services: wanted, timeouts }, { prune: true, owner })
    for (const service of wanted) {
      for (const server of service.realServers) server.weight = 9
      service.realServers.length = 0
    }
    wanted.length = 0
    timeouts.tcp = 5
    owner[0] = '0.0.0.0/0'
    const plan = await planned
    expect(`${plan}`).toBe('')
    const service = { ...web, scheduler: 'rr' as string, realServers: [{ address: '198.51.100.1', weight: 3 }] }
    await using handle = await VirtualService.open(service, { director })
    service.realServers.length = 0
    service.scheduler = 'lc'
    expect(handle.spec).toEqual({ ...web, realServers: [{ address: '198.51.100.1', weight: 3 }] })
  })
})

describe('the brake', () => {
  const servers = (...numbers: (number | [number, weight: number])[]): VirtualServiceSpec => ({
    ...web, realServers: numbers.map(each => typeof each === 'number' ? { address: `198.51.100.${each}` } : { address: `198.51.100.${each[0]}`, weight: each[1] }),
  })
  const moved: VirtualServiceSpec = { ...web, forward: 'masq', realServers: [{ address: '198.51.100.1', port: 8080 }] }
  const empty = 'leave tcp 192.0.2.1:80 without a real server that takes connections'
  const replaced = 'replace all real servers of tcp 192.0.2.1:80 at once'

  it.each<[name: string, before: VirtualServiceSpec, wanted: VirtualServiceSpec, prune: boolean, why?: string]>([
    ['half of them',                 servers(1, 2, 3, 4), servers(1, 2), true],
    ['more than half',               servers(1, 2, 3, 4), servers(1), true, 'remove 3 of the 4 real servers that it owns, more than half'],
    ['all of them',                  servers(1, 2), servers(), true, 'remove 2 of the 2 real servers that it owns, all of them'],
    ['more than half, replaced',     servers(1, 2, 3, 4), servers(1, 5, 6, 7), true],
    ['all of them, replaced',        servers(1, 2), servers(3, 4), true, replaced],
    ['replaced by those without a weight', servers(1, 2), servers([3, 0], [4, 0]), true, 'remove 2 of the 2'],
    ['the able half',                servers(1, [2, 0]), servers([2, 0]), true, empty],
    ['all weights',                  servers(1, 2), servers([1, 0], [2, 0]), false, empty],
    ['all weights but one unnamed',  servers(1, 2), servers([1, 0]), false],
    ['a weight',                     servers([1, 5]), servers(1), false],
    ['weights that are 0',           servers([1, 0], [2, 0]), servers([2, 0]), true],
    ['another port of the same',     { ...moved, realServers: ['198.51.100.1'] }, moved, true],
  ])('%s', async (_, before, wanted, prune, why) => {
    await (await director.plan([before])).apply()
    const plan = await director.plan([wanted], { prune })
    if (why === undefined) expect(plan.brake).toBeUndefined()
    else expect(plan.brake).toContain(`the plan would ${why}`)
    expect(plan.brake ?? '; plan with force: true to allow that').toMatch(/; plan with force: true to allow that$/)
    expect((await director.plan([wanted], { prune, force: true })).brake).toBeUndefined()
  })

  it('guards each service', async () => {
    const ports = Array.from({ length: 10 }, (_, i) => ({ ...web, port: 1000 + i }))
    await (await director.plan(ports)).apply()
    const plan = await director.plan(ports.map((spec, i) => i > 2 ? spec : { ...spec, realServers: [] }), { prune: true })
    expect(plan.brake).toBe('the plan would leave tcp 192.0.2.1:1000 and 2 more services without a real server that takes connections; plan with force: true to allow that')
  })

  it('guards a service that is applied', async () => {
    await (await director.plan([web])).apply()
    await using service = await VirtualService.open(servers([1, 0], [2, 0]), { director })
    await expect(service.apply()).rejects.toThrow(empty)
    await service.apply({ force: true })
    expect((await service.state())[0]!.realServers.map(({ weight }) => weight)).toEqual([0, 0])
  })
})
