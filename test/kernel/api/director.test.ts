import { setImmediate } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Director, formatRules, NetlinkError, parseRules, serviceName, VirtualService, type ServiceState, type VirtualServiceSpec } from '../../../lib/index.js'
import type { IpvsCommand } from '../../../lib/ipvs/client.js'
import { normalize } from '../../../lib/ipvs/normalize.js'
import { recordedDirector } from '../../support/director.js'
import { servicesOf } from '../../support/ipvsadm.js'
import { asNobody, ipvsadm, NODE, run } from '../../support/run.js'
import { virtualServices } from '../../support/services.js'
import { sendRaw } from '../../support/raw.js'

const { director, sent } = await recordedDirector()

const vip = '10.9.0.1'
const web: VirtualServiceSpec = {
  vip, port: 80, protocols: ['tcp'], scheduler: 'wrr', realServers: [{ address: '10.9.1.1', weight: 3 }, { address: '10.9.1.2', forward: 'masq', port: 8080 }],
}
const dns = {
  vip, port: 53, protocols: ['udp', 'tcp'], scheduler: 'rr', forward: 'tunnel', realServers: ['10.9.1.1', '10.9.1.2'],
} satisfies VirtualServiceSpec
const key = { vip, port: 80, protocol: 'tcp' } as const
const plain = ({ realServers, ...service }: ServiceState): object => ({ ...service, realServers: realServers.map(({ address, port, weight }) => `${address}:${port} w${weight}`) })

describe('verbs', () => {
  it('adds a service per protocol with its real servers, and ipvsadm reads them', async () => {
    await director.addService(dns)
    await director.addService(web)
    expect(ipvsadm('-S -n')).toBe([
      '-A -t 10.9.0.1:53 -s rr', '-a -t 10.9.0.1:53 -r 10.9.1.1:53 -i -w 1 --tun-type ipip', '-a -t 10.9.0.1:53 -r 10.9.1.2:53 -i -w 1 --tun-type ipip',
      '-A -t 10.9.0.1:80 -s wrr', '-a -t 10.9.0.1:80 -r 10.9.1.1:80 -g -w 3', '-a -t 10.9.0.1:80 -r 10.9.1.2:8080 -m -w 1',
      '-A -u 10.9.0.1:53 -s rr', '-a -u 10.9.0.1:53 -r 10.9.1.1:53 -i -w 1 --tun-type ipip', '-a -u 10.9.0.1:53 -r 10.9.1.2:53 -i -w 1 --tun-type ipip', '',
    ].join('\n'))
    expect((await director.get({ vip, port: 53, protocols: ['udp', 'tcp', 'sctp'] })).map(s => s.protocol)).toEqual(['udp', 'tcp'])
    expect(await director.get({ vip, port: 5353, protocols: ['udp'] })).toEqual([])
  })

  it('lists what ipvsadm wrote, with counters that are bigint and rates that are numbers', async () => {
    ipvsadm('-A -u 10.9.0.1:5060 -s mh -p 90 -M 255.255.255.0 --pe sip -b mh-fallback,mh-port')
    ipvsadm('-a -u 10.9.0.1:5060 -r 10.9.1.3:5060 -i -w 4 -x 20 -y 10 --tun-type gue --tun-port 6080 --tun-remcsum')
    const idle = {
      connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n,
      rates: { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 },
    }
    expect(await director.list()).toEqual([{
      vip, port: 5060, protocol: 'udp', scheduler: 'mh', schedulerFlags: ['mh-fallback', 'mh-port'], onePacket: false,
      persistence: { timeout: 90, netmask: '255.255.255.0', engine: 'sip' }, stats: idle,
      realServers: [{
        address: '10.9.1.3', port: 5060, forward: { kind: 'gue', port: 6080, checksum: 'remcsum' }, weight: 4, thresholds: { upper: 20, lower: 10 },
        activeConnections: 0, inactiveConnections: 0, persistentConnections: 0, stats: idle,
      }],
    }])
  })

  it('lists no service that another program deletes meanwhile, neither empty nor with some of its real servers', async () => {
    await using other = await Director.open()
    const small = Array.from({ length: 200 }, (_, i): VirtualServiceSpec => ({ ...web, vip: `10.9.2.${i + 1}`, forward: 'masq', realServers: ['10.9.1.1'] }))
    const large: VirtualServiceSpec = { ...web, realServers: Array.from({ length: 3000 }, (_, i) => `10.8.${i >> 7}.${1 + (i & 127)}`) }
    let cut = 0
    for (let turns = 0; turns < 16; turns++) {
      await (await other.plan([large, ...small])).apply()
      const listing = director.list()
      for (let turn = 0; turn < turns; turn++) await setImmediate()
      await other.flush()
      const listed = await listing
      expect(listed.filter(({ vip, realServers }) => realServers.length !== (vip === large.vip ? 3000 : 1)).map(serviceName)).toEqual([])
      if (listed.length < 201) cut++
    }
    expect(cut).toBeGreaterThan(1)
  })

  it('leaves the real servers of a service alone that was there already', async () => {
    await director.addService({ ...dns, protocols: ['tcp'] as const, realServers: [] })
    await expect(director.addService(dns)).rejects.toMatchObject({
      code: 'EEXIST', request: 'IPVS newService', object: 'virtual service tcp 10.9.0.1:53',
      message: 'cannot add virtual service tcp 10.9.0.1:53: it is there already; change it instead (EEXIST)',
    })
    expect((await director.list()).map(s => [s.protocol, s.realServers.length])).toEqual(expect.arrayContaining([['tcp', 0], ['udp', 2]]))
  })

  it('changes services and real servers in place', async () => {
    await director.addService(web)
    await director.changeService({ ...key, scheduler: 'sh', schedulerFlags: ['sh-port'], persistence: { timeout: 60 } })
    await director.changeRealServer(key, { address: '10.9.1.1', weight: 7, forward: { kind: 'gre', checksum: 'csum' } })
    await director.removeRealServer(key, { address: '10.9.1.2', port: 8080 })
    await director.addRealServer(key, '10.9.1.4')
    expect(ipvsadm('-S -n')).toBe('-A -t 10.9.0.1:80 -s sh -p 60 -b sh-port\n'
      + '-a -t 10.9.0.1:80 -r 10.9.1.1:80 -i -w 7 --tun-type gre --tun-csum\n-a -t 10.9.0.1:80 -r 10.9.1.4:80 -g -w 1\n')
    await director.changeService({ ...key, scheduler: 'sh' })
    expect(ipvsadm('-S -n')).toMatch(/^-A -t 10.9.0.1:80 -s sh\n/)
    await director.removeService(key)
    expect(ipvsadm('-S -n')).toBe('')
  })

  it('removes what nobody should have made', async () => {
    await sendRaw(director, [['newService', { service: { af: 'inet', protocol: 47, addr: '0.0.0.0', port: 9, schedName: 'rr', flags: { flags: {}, mask: {} }, timeout: 0, netmask: '255.255.255.255' } }]])
    const [odd] = await director.list()
    expect(odd).toMatchObject({ vip: '0.0.0.0', protocol: 47 })
    await director.removeService(odd!)
    expect(await director.list()).toEqual([])
  })

  it('sets timeouts, those that are said', async () => {
    await director.setTimeouts({ tcp: 901, udp: 301 })
    await director.setTimeouts({ tcpFin: 121 })
    expect(await director.timeouts()).toEqual({ tcp: 901, tcpFin: 121, udp: 301 })
    expect(ipvsadm('-L --timeout')).toBe('Timeout (tcp tcpfin udp): 901 121 301\n')
    await director.setTimeouts({ tcp: 900, tcpFin: 120, udp: 300 })
    await expect(director.setTimeouts({ tcp: 2678401 })).rejects.toThrow('tcp: 2678401 is not an integer from 1 to 2678400')
  })

  it('starts, lists and stops sync daemons, with all they can be told', async () => {
    run('ip', ['link', 'add', 'sync0', 'type', 'dummy'])
    run('ip', ['addr', 'add', '10.77.0.1/24', 'dev', 'sync0'])
    run('ip', ['link', 'set', 'sync0', 'up'])
    try {
      await director.startSyncDaemon({ state: 'master', link: 'sync0', syncId: 9, maxLength: 1000, group: '239.1.1.1', port: 9000, ttl: 4 })
      await director.startSyncDaemon({ state: 'backup', link: 'sync0' })
      expect(await director.syncDaemons()).toEqual([
        { state: 'master', link: 'sync0', syncId: 9, maxLength: 1000, group: '239.1.1.1', port: 9000, ttl: 4 },
        expect.objectContaining({ state: 'backup', link: 'sync0', syncId: 0, group: '224.0.0.81', port: 8848, ttl: 1 }),
      ])
      expect(ipvsadm('-L --daemon')).toContain('master sync daemon (mcast=sync0, syncid=9, maxlen=1000, group=239.1.1.1, port=9000, ttl=4)')
      await expect(director.startSyncDaemon({ state: 'master', link: 'sync0' })).rejects.toMatchObject({
        code: 'EEXIST', message: 'cannot start master sync daemon on sync0: one runs already; stop it first (EEXIST)',
      })
    } finally {
      await director.stopSyncDaemon('master')
      await director.stopSyncDaemon('backup')
      run('ip', ['link', 'del', 'sync0'])
    }
    expect(await director.syncDaemons()).toEqual([])
    await expect(director.stopSyncDaemon('backup')).rejects.toMatchObject({ code: 'ESRCH', message: 'cannot stop backup sync daemon: none runs (ESRCH)' })
  })

  it('tells of the kernel, saves, zeroes and flushes', async () => {
    expect(await director.info()).toEqual({ version: '1.2.1', connectionTableSize: expect.any(Number) as number })
    await director.addService({ ...web, realServers: [{ address: '10.9.1.1', thresholds: { upper: 9, lower: 3 } }] })
    expect(await director.save({ strict: true })).toBe(ipvsadm('-S -n'))
    expect(await director.save()).toContain('-x 9 -y 3')
    await director.zero()
    await director.zero(key)
    await expect(director.zero({ ...key, port: 81 })).rejects.toMatchObject({ code: 'ESRCH', message: 'cannot zero virtual service tcp 10.9.0.1:81: it is not there (ESRCH)' })
    await director.flush()
    expect(await director.list()).toEqual([])
  })
})

describe('counters', () => {
  it('count what passes, and start anew at zero()', async () => {
    run('ip', ['addr', 'add', '10.9.0.1/32', 'dev', 'lo'])
    try {
      await director.addService({ vip, port: 9, protocols: ['udp'], scheduler: 'rr', forward: 'local', realServers: ['10.9.0.1'] })
      run('bash', ['-c', 'for i in 1 2 3; do echo hello >/dev/udp/10.9.0.1/9; done 2>/dev/null || true'])
      const total = async (): Promise<bigint> => (await director.list())[0]!.stats.packetsIn
      await expect.poll(total, { timeout: 10_000, interval: 200 }).toBe(3n)
      const [service] = await director.list()
      expect(service!.stats.bytesIn).toBe(3n * 34n) // 20 of IP, 8 of UDP, "hello\n"
      expect(service!.realServers[0]!.stats.packetsIn).toBe(3n)
      expect(service!.realServers[0]!.inactiveConnections).toBe(3)
      await director.zero({ vip, port: 9, protocol: 'udp' })
      await expect.poll(total, { timeout: 10_000, interval: 200 }).toBe(0n)
    } finally {
      run('ip', ['addr', 'del', '10.9.0.1/32', 'dev', 'lo'])
    }
  })
})

describe('VirtualService', () => {
  it('applies, again changes nothing, and mends what others changed', async () => {
    await using service = await VirtualService.open({ ...dns, persistence: { timeout: 50, netmask: '255.255.0.0' } }, { director })
    await service.apply()
    const table = ipvsadm('-S -n')
    expect(table.split('\n')).toHaveLength(7)
    sent.length = 0
    await service.apply()
    const looked = sent.length
    expect(looked).toBeGreaterThan(0)

    ipvsadm('-E -u 10.9.0.1:53 -s sh')
    ipvsadm('-e -t 10.9.0.1:53 -r 10.9.1.2:53 -i -w 9 --tun-type gre')
    ipvsadm('-d -u 10.9.0.1:53 -r 10.9.1.1:53')
    ipvsadm('-a -u 10.9.0.1:53 -r 10.9.1.9:53 -i')
    sent.length = 0
    await service.apply()
    expect(sent.length).toBe(looked + 2) // what is missing is looked for twice; all four in one datagram
    expect(ipvsadm('-S -n').split('\n').filter(line => !line.includes('10.9.1.9')).join('\n')).toBe(table)
    expect(ipvsadm('-S -n')).toContain('10.9.1.9:53') // not named, not touched
    expect((await service.state()).map(plain)).toEqual(expect.arrayContaining((await director.list()).map(plain)))
  })

  it('weighs and removes a real server in all its protocols, keeping all else', async () => {
    await using service = await VirtualService.open({ ...dns, forward: { kind: 'gue', port: 6080, checksum: 'csum' }, realServers: [{ address: '10.9.1.1', thresholds: { upper: 5 } }, '10.9.1.2'] }, { director })
    await service.apply()
    await service.realServer('10.9.1.1').setWeight(0)
    expect((await service.realServer('10.9.1.1').state()).map(({ weight, forward, thresholds }) => ({ weight, forward, thresholds }))).toEqual(
      Array(2).fill({ weight: 0, forward: { kind: 'gue', port: 6080, checksum: 'csum' }, thresholds: { upper: 5, lower: 0 } }))
    await service.realServer('10.9.1.1').remove()
    expect((await service.state()).map(s => s.realServers.map(r => r.address))).toEqual([['10.9.1.2'], ['10.9.1.2']])
    await expect(service.realServer('10.9.1.1').setWeight(1)).rejects.toMatchObject({
      code: 'ENOENT', message: expect.stringContaining('cannot change real server 10.9.1.1:53 of virtual service udp 10.9.0.1:53: it is not among the service\'s real servers') as string,
    })
    await service.zero()
    await service.remove()
    expect(await VirtualService.list()).toEqual([])
  })

  it('opens and closes a director of its own', async () => {
    const service = await VirtualService.open(web)
    await service.apply()
    await service.close()
    await service.close()
    expect(ipvsadm('-S -n')).toContain('-A -t 10.9.0.1:80 -s wrr')
    await expect(service.apply()).rejects.toMatchObject({ code: 'ECANCELED' })
  })
})

describe('each errno of the kernel arrives with code, object and sentence', () => {
  const service = { af: 'inet', protocol: 'tcp', addr: vip, port: 80 } as const
  const full = { ...service, schedName: 'rr', flags: { flags: {}, mask: {} }, timeout: 0, netmask: '255.255.255.255' } as const
  const dest = { addrFamily: 'inet', addr: '10.9.1.1', port: 80 } as const
  const whole = { ...dest, fwdMethod: 'route', weight: 1, uThresh: 0, lThresh: 0 } as const
  const object = 'virtual service tcp 10.9.0.1:80'
  const server = `real server 10.9.1.1:80 of ${object}`
  const elsewhere = { ...service, port: 81 }

  it.each<[IpvsCommand, code: string, object: string, sentence: string]>([
    [['newService', { service: full }], 'EEXIST', object, `cannot add ${object}: it is there already; change it instead (EEXIST)`],
    [['newService', { service: { ...full, port: 81, schedName: 'nosuch' } }], 'ENOENT', 'virtual service tcp 10.9.0.1:81', 'the kernel has no scheduler "nosuch" (module ip_vs_nosuch) (ENOENT)'],
    [['setService', { service: { ...full, schedName: 'nosuch', peName: 'nope' } }], 'ENOENT', object, 'no scheduler "nosuch" (module ip_vs_nosuch), or no persistence engine "nope" (module ip_vs_pe_nope)'],
    [['newService', { service: elsewhere }], 'EINVAL', 'virtual service tcp 10.9.0.1:81', '(EINVAL)'],
    [['newService', { service: { af: 7, fwmark: 5 } }], 'EAFNOSUPPORT', 'virtual service fwmark 5', 'is IPv6 disabled? (EAFNOSUPPORT)'],
    [['setService', { service: { ...full, port: 81 } }], 'ESRCH', 'virtual service tcp 10.9.0.1:81', 'it is not there; add it first (ESRCH)'],
    [['delService', { service: elsewhere }], 'ESRCH', 'virtual service tcp 10.9.0.1:81', 'cannot remove virtual service tcp 10.9.0.1:81: it is not there (ESRCH)'],
    [['getService', { service: elsewhere }], 'ESRCH', 'virtual service tcp 10.9.0.1:81', 'cannot read virtual service tcp 10.9.0.1:81: it is not there (ESRCH)'],
    [['zero', { service: elsewhere }], 'ESRCH', 'virtual service tcp 10.9.0.1:81', 'cannot zero virtual service tcp 10.9.0.1:81: it is not there (ESRCH)'],
    [['newDest', { service: elsewhere, dest: whole }], 'ESRCH', 'real server 10.9.1.1:80 of virtual service tcp 10.9.0.1:81', 'there is no such virtual service; add it first (ESRCH)'],
    [['newDest', { service, dest: whole }], 'EEXIST', server, `cannot add ${server}: it is there already; change it instead (EEXIST)`],
    [['setDest', { service, dest: { ...whole, port: 82 } }], 'ENOENT', 'real server 10.9.1.1:82 of virtual service tcp 10.9.0.1:80', 'it is not among the service\'s real servers; add it first (ENOENT)'],
    [['delDest', { service, dest: { ...dest, port: 82 } }], 'ENOENT', 'real server 10.9.1.1:82 of virtual service tcp 10.9.0.1:80', 'it is not among the service\'s real servers (ENOENT)'],
    [['setDest', { service, dest: { ...whole, weight: 2 ** 31 } }], 'ERANGE', server, 'the weight is above 2147483647, or the lower threshold above the upper (ERANGE)'],
    [['setDest', { service, dest: { ...whole, lThresh: 1 } }], 'ERANGE', server, 'the weight is above 2147483647, or the lower threshold above the upper (ERANGE)'],
    [['newDest', { service, dest: { ...whole, addr: '10.9.1.9', fwdMethod: 'tunnel', tunType: 'gue' } }], 'EINVAL', 'real server 10.9.1.9:80 of virtual service tcp 10.9.0.1:80', '(EINVAL)'],
    [['newDest', { service, dest: { ...whole, addr: '224.0.0.1' } }], 'EINVAL', 'real server 224.0.0.1:80 of virtual service tcp 10.9.0.1:80', 'the kernel takes no such address: it is not unicast'],
    [['newDest', { service, dest: { ...whole, addrFamily: 'inet6', addr: 'fd00::1' } }], 'EINVAL', 'real server [fd00::1]:80 of virtual service tcp 10.9.0.1:80', '(EINVAL)'],
    [['newDest', { service, dest: { ...whole, addrFamily: 7, addr: undefined } }], 'EINVAL', 'real server ?:80 of virtual service tcp 10.9.0.1:80', '(EINVAL)'],
    [['newDaemon', { daemon: { state: 'master', mcastIfn: 'nosuch', syncId: 0 } }], 'ENODEV', 'master sync daemon on nosuch', 'there is no such interface in this network namespace (ENODEV)'],
    [['newDaemon', { daemon: { state: 3, mcastIfn: 'lo', syncId: 0 } }], 'EINVAL', '3 sync daemon on lo', '(EINVAL)'],
    [['delDaemon', { daemon: { state: 'master' } }], 'ESRCH', 'master sync daemon', 'cannot stop master sync daemon: none runs (ESRCH)'],
    [['setConfig', { timeoutTcp: 0xffffffff }], 'EINVAL', 'timeouts', 'cannot set timeouts: a timeout is too long for the kernel (EINVAL)'],
    [['setInfo', {}], 'EOPNOTSUPP', 'IPVS', 'this kernel does not know the command; it is older than the feature (EOPNOTSUPP)'],
    [['getDest', { service }], 'EOPNOTSUPP', `real servers of ${object}`, '(EOPNOTSUPP)'],
  ])('%j is %s', async (command, code, object, sentence) => {
    await sendRaw(director, [['newService', { service: full }], ['newDest', { service, dest: whole }]])
    const error: unknown = await sendRaw(director, [command]).then(() => undefined, (e: unknown) => e)
    expect(error).toBeInstanceOf(NetlinkError)
    const { code: found, errno, object: about = '', message, request } = error as NetlinkError
    expect({ found, about, request }).toEqual({ found: code, about: object, request: `IPVS ${command[0]}` })
    expect(errno).toBeLessThan(0)
    expect(message).toContain(sentence)
    expect(message).toMatch(/^cannot /)
  })

  it('EPERM, for whoever has no CAP_NET_ADMIN', () => {
    const script = 'import { VirtualService } from "ipvs-nl"; VirtualService.list().catch(e => console.log(e.code, e.message))'
    const [program, ...args] = asNobody([NODE, '--input-type=module', '-e', script])
    expect(run(program, args)).toBe(
      'EPERM cannot read virtual services: this needs CAP_NET_ADMIN in the initial user namespace, which root of a container\'s own user namespace does not have (EPERM)\n')
  })

  it('several at once: the first, and the others in its cause', async () => {
    await expect(director.removeService({ vip, port: 53, protocols: ['udp', 'tcp'] })).rejects.toMatchObject({
      code: 'ESRCH', message: 'cannot remove virtual service udp 10.9.0.1:53: it is not there (ESRCH); 1 more failed, listed in cause',
      cause: { errors: [{ message: 'cannot remove virtual service tcp 10.9.0.1:53: it is not there (ESRCH)' }] },
    })
  })

  it('an AbortSignal\'s reason, untouched', async () => {
    const reason = new Error('enough')
    await expect(director.list({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    await expect(director.addService(web, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(await director.list()).toEqual([])
  })
})

describe('at random', () => {
  /** What strict rules leave out, taken out of what was said. */
  const saved = (spec: VirtualServiceSpec): object[] => normalize(spec).map(({ netmask: _, ...service }) => ({
    ...service, realServers: service.realServers.map(server => ({ ...server, thresholds: { upper: 0, lower: 0 } })),
  }))
  const bare = ({ stats: _, realServers, ...service }: ServiceState): object => ({
    ...service, realServers: realServers.map(({ address, port, forward, weight, thresholds }) => ({ address, port, forward, weight, thresholds })),
  })
  const byText = (a: unknown, b: unknown): number => JSON.stringify(a) < JSON.stringify(b) ? -1 : 1
  const canonical = (services: readonly object[]): unknown => (services as { realServers: object[] }[])
    .map(service => Object.fromEntries(Object.entries({ ...service, realServers: service.realServers.toSorted(byText) }).sort(([a], [b]) => a < b ? -1 : 1)))
    .sort(byText)

  it('what Director writes, ipvsadm prints as formatRules does, and Director reads back; and the reverse', async () => {
    const seed = Math.trunc(Math.random() * 2 ** 31)
    let services = 0, servers = 0
    const kinds = new Set<string>()
    for (const specs of fc.sample(virtualServices({ minLength: 15, maxLength: 25, local: true }), { numRuns: 40, seed })) {
      const wanted = specs.flatMap(normalize)
      services += wanted.length
      servers += wanted.reduce((n, { realServers }) => n + realServers.length, 0)
      for (const { protocol, persistence, onePacket, realServers } of wanted) {
        kinds.add(`${protocol ?? 'fwmark'}${persistence ? ' persistent' : ''}${persistence?.engine ? ' engine' : ''}${onePacket ? ' one-packet' : ''}`)
        for (const { forward } of realServers) kinds.add(JSON.stringify(typeof forward === 'object' ? { ...forward, port: 0 } : forward))
      }
      await director.flush()
      await Promise.all(specs.map(spec => director.addService(spec)))
      const listed = await director.list()
      expect(canonical(listed.map(bare)), `seed ${seed}`).toEqual(canonical(wanted))

      const text = ipvsadm('-S -n')
      expect(servicesOf(formatRules(listed, { strict: true })), `seed ${seed}`).toEqual(servicesOf(text))
      expect(servicesOf(await director.save({ strict: true }))).toEqual(servicesOf(text))

      // What a save of the library's own says, it restores; what ipvsadm's says, ipvsadm restores, and the library reads.
      const lossless = await director.save()
      await director.flush()
      await Promise.all(parseRules(lossless).map(spec => director.addService(spec)))
      expect(canonical((await director.list()).map(bare)), `seed ${seed}`).toEqual(canonical(wanted))
      await director.flush()
      if (specs.some(unsayable)) continue
      ipvsadm('-R', text)
      expect(canonical((await director.list()).map(bare)), `seed ${seed}`).toEqual(canonical(specs.flatMap(saved)))
      expect(servicesOf(await director.save({ strict: true }))).toEqual(servicesOf(text))
    }
    console.log(`seed ${seed}: ${services} services with ${servers} real servers, of ${kinds.size} kinds: ${[...kinds].sort().join(', ')}`)
    expect(services).toBeGreaterThanOrEqual(500)
  })

  /** What ipvsadm prints and cannot read again: marks it takes for negative, and the director itself, for which it has no option. */
  const unsayable = (spec: VirtualServiceSpec): boolean =>
    (spec.fwmark ?? 0) >= 2 ** 31 || normalize(spec).some(({ realServers }) => realServers.some(({ forward }) => forward === 'local'))
})
