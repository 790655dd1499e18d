import fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { BrakeError, formatRules, parseRules, PlanError, VirtualService, type PlanProgress, type ServiceState, type VirtualServiceSpec } from '../../../lib/index.js'
import { recordedDirector } from '../../support/director.js'
import { ipvsadm, run } from '../../support/run.js'
import { virtualServices } from '../../support/services.js'

const { director, sent } = await recordedDirector()

/** The commands of a datagram that are no readings: of generic netlink's messages, those below are IPVS's own. */
const edits = (): number[] => sent.flatMap(datagram => {
  const commands: number[] = []
  for (let at = 0; at + 20 <= datagram.length; at += datagram.readUInt32LE(at) + 3 & ~3) if (datagram.readUInt16LE(at + 4) > 16) commands.push(datagram[at + 16]!)
  return commands.filter(command => ![4, 8, 11, 13, 15].includes(command)) // getService, getDest, getDaemon, getConfig, getInfo
})

const vip = '10.9.0.1'
const web = { vip, port: 80, protocols: ['tcp'], scheduler: 'wrr', realServers: ['10.9.1.1', { address: '10.9.1.2', forward: 'masq', port: 8080 }] } satisfies VirtualServiceSpec
const dns = { vip, port: 53, protocols: ['udp', 'tcp'], scheduler: 'rr', forward: 'tunnel', realServers: ['10.9.1.1', '10.9.1.2'] } satisfies VirtualServiceSpec
const everything = { prune: true, owner: () => true, force: true } as const
const table = async (): Promise<string> => formatRules(await director.list())

describe('a plan of the table', () => {
  it('makes of any table what is wanted, and again is empty and sends nothing that changes anything; taken back, it is what it was', async () => {
    const seed = Date.now() | 0
    console.log(`seed ${seed}`)
    let changed = 0
    const order = (rules: string): string[] => rules.split('\n').toSorted()
    await fc.assert(fc.asyncProperty(virtualServices({ maxLength: 12 }), virtualServices({ maxLength: 12 }), fc.boolean(), async (before, after, reverts) => {
      await (await director.plan(before, everything)).apply()
      const was = await table()
      expect(order(was)).toEqual(order(formatRules(before)))
      const plan = await director.plan(after, everything)
      await plan.apply()
      changed += plan.steps.length
      expect(order(await table())).toEqual(order(formatRules(after)))
      expect(plan.applied).toHaveLength(plan.steps.length)
      sent.length = 0
      const again = await director.plan(after, everything)
      expect(`${again}`).toBe('')
      await again.apply()
      expect(edits()).toEqual([])
      if (!reverts) return
      await plan.revert()
      expect(order(await table())).toEqual(order(was))
    }), { numRuns: 200, seed })
    expect(changed).toBeGreaterThan(2000)
  })

  it('reads as ipvsadm\'s commands, which do the same', async () => {
    await (await director.plan([web, dns])).apply()
    const wanted: VirtualServiceSpec[] = [
      { ...web, scheduler: 'sh', schedulerFlags: ['sh-port'], persistence: { timeout: 60 }, realServers: [{ address: '10.9.1.1', weight: 5 }, '10.9.1.3'] },
      { fwmark: 7, family: 'inet6', realServers: [{ address: '2001:db8::1', forward: { kind: 'gue', port: 6080 }, thresholds: { upper: 9, lower: 3 } }] },
    ]
    const plan = await director.plan(wanted, everything)
    expect(`${plan}`.split('\n')).toEqual([
      '~ ipvsadm -E -t 10.9.0.1:80 -s sh -p 60 -b sh-port',
      '~ ipvsadm -e -t 10.9.0.1:80 -r 10.9.1.1:80 -g -w 5',
      '+ ipvsadm -a -t 10.9.0.1:80 -r 10.9.1.3:80 -g -w 1',
      '+ ipvsadm -A -f 7 -6 -s wlc',
      '+ ipvsadm -a -f 7 -6 -r [2001:db8::1]:0 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum -x 9 -y 3',
      '- ipvsadm -d -t 10.9.0.1:80 -r 10.9.1.2:8080',
      // The kernel lists services in the order of their hashes, which is another at each boot.
      ...['- ipvsadm -D -u 10.9.0.1:53   # with its 2 real servers', '- ipvsadm -D -t 10.9.0.1:53   # with its 2 real servers'].toSorted((a, b) => `${plan}`.indexOf(a) - `${plan}`.indexOf(b)),
    ])
    expect(plan.counts).toEqual({ add: 3, change: 2, remove: 3 })
    for (const { line } of plan.steps) run('sh', ['-c', line])
    expect(`${await director.plan(wanted, everything)}`).toBe('')
  })

  it('leaves alone what is not named; prunes real servers of what is, and services of the owner', async () => {
    await (await director.plan([web, { ...dns, vip: '10.9.0.2' }, { ...dns, vip: '10.10.0.1' }, { fwmark: 3, realServers: ['10.9.1.1'] }])).apply()
    const only = { ...web, realServers: ['10.9.1.1'] }
    expect(`${await director.plan([only])}`).toBe('')
    expect(`${await director.plan([only], { prune: true })}`).toBe('- ipvsadm -d -t 10.9.0.1:80 -r 10.9.1.2:8080')
    const plan = await director.plan([only], { prune: true, owner: ['10.9.0.0/24', '2001:db8::/32'], force: true })
    expect(`${plan}`.split('\n').toSorted()).toEqual(['- ipvsadm -D -t 10.9.0.2:53   # with its 2 real servers', '- ipvsadm -D -u 10.9.0.2:53   # with its 2 real servers', '- ipvsadm -d -t 10.9.0.1:80 -r 10.9.1.2:8080'])
    await plan.apply()
    expect((await director.list()).map(service => service.vip ?? service.fwmark).toSorted()).toEqual(['10.10.0.1', '10.10.0.1', '10.9.0.1', 3])
    expect(`${await director.plan([only], { prune: true, owner: ({ fwmark }: { fwmark?: number }) => fwmark === 3, force: true })}`).toBe('- ipvsadm -D -f 3   # with its real server')
  })

  it('has a brake: half of its real servers may go, more only by force', async () => {
    const four = { ...web, realServers: ['10.9.1.1', '10.9.1.2', '10.9.1.3', '10.9.1.4'] }
    await (await director.plan([four])).apply()
    const taking = async (...servers: string[]) => await director.plan([{ ...four, realServers: servers }], { prune: true })
    expect((await taking('10.9.1.1', '10.9.1.2')).brake).toBeUndefined()
    const plan = await taking('10.9.1.1')
    expect(plan.brake).toBe('the plan would remove 3 of the 4 real servers that it owns, more than half; plan with force: true to allow that')
    await expect(plan.apply()).rejects.toBeInstanceOf(BrakeError)
    const none = await director.plan([], { prune: true, owner: vip })
    await expect(none.apply()).rejects.toThrow('4 of the 4 real servers that it owns, all of them')
    expect((await director.list())[0]!.realServers).toHaveLength(4)
    await (await director.plan([], { prune: true, owner: vip, force: true })).apply()
    expect(await director.list()).toEqual([])
  })

  it('holds timeouts and sync daemons, and takes them back', async () => {
    run('sh', ['-c', 'ip link add sync0 type dummy && ip addr add 10.77.0.1/24 dev sync0 && ip link set sync0 up'])
    const before = await director.timeouts()
    try {
      const wanted = { timeouts: { tcp: 777 }, syncDaemons: [{ state: 'master', link: 'sync0', syncId: 7 }, { state: 'backup', link: 'sync0' }] } as const
      const plan = await director.plan(wanted)
      expect(`${plan}`.split('\n')).toEqual([
        `~ ipvsadm --set 777 ${before.tcpFin} ${before.udp}`,
        '+ ipvsadm --start-daemon master --mcast-interface sync0 --syncid 7', '+ ipvsadm --start-daemon backup --mcast-interface sync0',
      ])
      await plan.apply()
      expect(ipvsadm('-L --timeout')).toContain(': 777 ')
      expect(`${await director.plan(wanted, { prune: true })}`).toBe('')
      const other = await director.plan({ syncDaemons: [{ state: 'master', link: 'sync0', syncId: 8 }] }, { prune: true })
      expect(`${other}`.split('\n')).toEqual(['- ipvsadm --stop-daemon master', '+ ipvsadm --start-daemon master --mcast-interface sync0 --syncid 8', '- ipvsadm --stop-daemon backup'])
      await other.apply()
      expect(ipvsadm('-L --daemon')).toMatch(/^master sync daemon \(mcast=sync0, syncid=8[^\n]*\n$/)
      await other.revert()
      expect((await director.syncDaemons()).map(({ state, syncId }) => [state, syncId]).toSorted()).toEqual([['backup', 0], ['master', 7]])
      await plan.revert()
      expect([await director.timeouts(), await director.syncDaemons()]).toEqual([before, []])
      // The kernel raises the payload of a backup, and lowers one that does not fit.
      for (const daemon of [{ state: 'backup', maxLength: 500 }, { state: 'master', maxLength: 65_507, group: 'ff02::51' }] as const) {
        const clamped = { syncDaemons: [{ link: 'sync0', ...daemon }] }
        await (await director.plan(clamped, { prune: true })).apply()
        expect(`${await director.plan(clamped, { prune: true })}`).toBe('')
      }
      await (await director.plan({ syncDaemons: [] }, { prune: true })).apply()
    } finally {
      run('ip', ['link', 'del', 'sync0'])
    }
  })

  it('of links, addresses, routes, sysctls and services is one plan, in the order in which they need each other', async () => {
    const spec = {
      network: {
        links: [{ kind: 'dummy', name: 'vips' }], addresses: [{ address: '10.80.0.1/24', link: 'vips' }], routes: [{ to: '10.81.0.0/24', via: '10.80.0.9' }],
        sysctls: [{ key: 'net.ipv4.vs.expire_nodest_conn', value: 1 }],
      },
      services: [{ ...web, vip: '10.80.0.100', network: { link: 'vips' }, realServers: [{ address: '10.81.0.1', forward: 'masq' }] }],
    } as const
    const plan = await director.plan(spec)
    expect(plan.steps.map(({ object }) => object)).toEqual(['link', 'link', 'sysctl', 'sysctl', 'address', 'address', 'route', 'service', 'real server'])
    await plan.apply()
    expect(`${await director.plan(spec)}`).toBe('')
    expect(run('ip', ['route', 'get', '10.81.0.1'])).toContain('via 10.80.0.9 dev vips')
    await plan.revert()
    expect(await director.list()).toEqual([])
    expect(() => run('ip', ['link', 'show', 'vips'])).toThrow('does not exist')
  })
})

describe('a plan that is applied', () => {
  const twenty = Array.from({ length: 20 }, (_, i): VirtualServiceSpec => ({ ...web, port: 1000 + i, realServers: ['10.9.1.1', '10.9.1.2'] }))
  const failing = twenty.map((spec, i): VirtualServiceSpec => i === 3 || i === 5 ? { ...spec, scheduler: 'nosuch' } : spec)

  it('tells what failed and why, goes on with what does not need it, and applied again finishes the job', async () => {
    const plan = await director.plan(failing)
    const error: unknown = await plan.apply({ onFailure: 'continue' }).catch((e: unknown) => e)
    expect(error).toBeInstanceOf(PlanError)
    expect((error as PlanError).message).toBe('step 10 of 60 failed: ipvsadm -A -t 10.9.0.1:1003 -s nosuch: cannot add virtual service tcp 10.9.0.1:1003: '
      + 'the kernel has no scheduler "nosuch" (module ip_vs_nosuch) (ENOENT); 1 more failed')
    expect(plan.failed.map(({ step }) => step.line)).toEqual(['ipvsadm -A -t 10.9.0.1:1003 -s nosuch', 'ipvsadm -A -t 10.9.0.1:1005 -s nosuch'])
    expect([plan.done, plan.applied.length]).toEqual([54, 54])
    expect(await director.list()).toHaveLength(18)
    await plan.apply().catch((e: unknown) => expect(e).toBeInstanceOf(PlanError))
    // Somebody mends what was in the way.
    await director.addService({ ...twenty[3]!, realServers: [] })
    await director.addService({ ...twenty[5]!, realServers: [] })
    const mended = await director.plan(twenty)
    await mended.apply()
    expect(`${await director.plan(twenty)}`).toBe('')
  })

  it('stops where it is asked to: later batches are not sent', async () => {
    const many = Array.from({ length: 700 }, (_, i): VirtualServiceSpec => ({ ...web, port: 2000 + i, scheduler: i === 1 ? 'nosuch' : 'rr', realServers: ['10.9.1.1', '10.9.1.2'] }))
    const told: PlanProgress[] = []
    const plan = await director.plan(many)
    await expect(plan.apply({ progress: each => told.push(each) })).rejects.toBeInstanceOf(PlanError)
    expect(told).toEqual([{ done: 1021, failed: 1, total: 2100, step: plan.steps[1023] }])
    const all: number[] = []
    await expect(plan.apply({ onFailure: 'continue', progress: ({ done }) => all.push(done) })).rejects.toThrow('step 4 of 2100 failed')
    expect([plan.failed.length, plan.done, all.at(-1)]).toEqual([1, 2097, 2097])
    await plan.revert()
    expect(await director.list()).toEqual([])
  })

  it('ends between two batches when it is aborted, with the reason untouched', async () => {
    const many = Array.from({ length: 700 }, (_, i): VirtualServiceSpec => ({ ...web, port: 2000 + i, realServers: ['10.9.1.1', '10.9.1.2'] }))
    const abort = new AbortController()
    const plan = await director.plan(many)
    const reason = new Error('enough')
    await expect(plan.apply({ signal: abort.signal, progress: () => abort.abort(reason) })).rejects.toBe(reason)
    expect(plan.done).toBe(1024)
    await plan.apply()
    expect(`${await director.plan(many)}`).toBe('')
  })

  it('takes what others did meanwhile: what is there is changed, what has gone is added, what should go and has gone is done', async () => {
    await (await director.plan([web, dns])).apply()
    const wanted: VirtualServiceSpec[] = [
      { ...web, scheduler: 'rr', realServers: [{ address: '10.9.1.1', weight: 9 }, '10.9.1.3', '10.9.1.4'] }, { ...web, port: 81 },
      { ...dns, realServers: [{ address: '10.9.1.1', weight: 2 }] },
    ]
    const plan = await director.plan(wanted, { ...everything })
    ipvsadm('-A -t 10.9.0.1:81 -s lc')                          // planned to be added
    ipvsadm('-a -t 10.9.0.1:81 -r 10.9.1.1:80 -m -w 77')
    ipvsadm('-a -t 10.9.0.1:80 -r 10.9.1.3:80 -i -w 5')
    ipvsadm('-d -t 10.9.0.1:80 -r 10.9.1.1:80')                 // planned to be changed
    ipvsadm('-d -t 10.9.0.1:80 -r 10.9.1.2:8080')               // planned to be removed
    ipvsadm('-D -u 10.9.0.1:53')                                // its real servers were planned to be changed and removed
    await plan.apply()
    expect(plan.failed).toEqual([])
    const again = await director.plan(wanted, { ...everything })
    expect(`${again}`).toBe('- ipvsadm -d -t 10.9.0.1:81 -r 10.9.1.1:80') // what nobody planned for is seen by the next
    ipvsadm('-C')
    await (await director.plan(wanted)).apply()
    expect(`${await director.plan(wanted, { ...everything })}`).toBe('')
  })

  it('does the same as VirtualService.apply, and parseRules gives what it takes', async () => {
    await using service = await VirtualService.open(dns, { director })
    await service.apply()
    expect(`${await director.plan([dns], { prune: true })}`).toBe('')
    ipvsadm('-a -u 10.9.0.1:53 -r 10.9.1.9:53 -i')
    expect(`${await service.plan()}`).toBe('')
    await (await service.plan({ prune: true })).apply()
    expect(`${await director.plan(parseRules(ipvsadm('-S -n')), everything)}`).toBe('')
    expect((await director.list()).flatMap(({ realServers }) => realServers)).toHaveLength(4)
  })
})

describe('edits side by side', () => {
  afterEach(() => director.flush())

  it('a weight that is set keeps the thresholds that are set meanwhile, and the reverse', async () => {
    await director.addService({ ...web, realServers: [{ address: '10.9.1.1', weight: 1 }] })
    await using service = await VirtualService.open(web, { director })
    const state = async (): Promise<ServiceState['realServers'][number]> => (await director.get({ vip, port: 80, protocol: 'tcp' }))[0]!.realServers[0]!
    for (let round = 1; round <= 50; round++) {
      await Promise.all([
        service.realServer('10.9.1.1').setWeight(round),
        director.changeRealServer({ vip, port: 80, protocol: 'tcp' }, { address: '10.9.1.1', weight: 1000, thresholds: { upper: 100 + round } }),
        service.realServer('10.9.1.1').setWeight(round + 1),
      ])
      expect(await state()).toMatchObject({ weight: expect.toSatisfy((weight: number) => [1000, round + 1].includes(weight)) as number, thresholds: { upper: 100 + round, lower: 0 } })
    }
  })
})
