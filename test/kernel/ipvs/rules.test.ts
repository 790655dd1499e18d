/** ipvsadm's rules against the real ipvsadm: what one prints the other reads, byte by byte. */

import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Connection, DestinationAttributes, FamilyClient, ipvs, ServiceAttributes } from '../../../generic-netlink/index.js'
import type { Service, ServiceState } from '../../../lib/ipvs/model.js'
import { formatRules } from '../../../lib/ipvs/rules/format.js'
import { parseRules } from '../../../lib/ipvs/rules/parse.js'
import { RulesError } from '../../../lib/ipvs/rules/rule.js'
import { normalize } from '../../../lib/ipvs/normalize.js'
import { destinationAttributes, readRealServer } from '../../../lib/ipvs/real-server.js'
import { readService, serviceAttributes } from '../../../lib/ipvs/service.js'
import { connect, EVERY_BIT } from '../../support/kernel.js'
import { servicesOf } from '../../support/ipvsadm.js'
import { spawn, type Ran } from '../../support/programs.js'
import { virtualServices, type ArbitraryOptions } from '../../support/services.js'

let connection: Connection
let client: FamilyClient<typeof ipvs.commands>
beforeAll(async () => { ({ connection, client } = await connect('descriptor')) })
afterEach(() => client.call('flush', {}))
afterAll(() => connection.close())

const ipvsadm = (words: readonly string[], input = ''): Ran => spawn('ipvsadm', words, input)
const restore = (text: string): void => { expect(ipvsadm(['-R'], text)).toEqual({ status: 0, stdout: '', stderr: '' }) }
const save = (): string => {
  const { status, stdout } = ipvsadm(['-S', '-n'])
  expect(status).toBe(0)
  return stdout
}

/** The table as the kernel lists it, in its order. */
async function list(): Promise<ServiceState[]> {
  const services: ServiceState[] = []
  for (const { service } of await client.dump('getService', {})) {
    const realServers = await client.dump('getDest', { service: keyOf(service!) })
    services.push({ ...readService(service!), realServers: realServers.map(({ dest }) => readRealServer(dest!)) })
  }
  return services
}
/** Since Linux 7.1 the table grows in the background, and its order changes with it: then once more. */
const listedAsPrinted = (): Promise<void> => expect.poll(async () => {
  const [listed, printed] = [formatRules(await list(), { strict: true }), save()]
  return listed === printed ? 'the same' : [listed, printed]
}, { timeout: 10_000 }).toBe('the same')
const keyOf = ({ af, fwmark, protocol, addr, port }: ServiceAttributes): ServiceAttributes =>
  fwmark === undefined ? { af, protocol, addr, port } : { af, fwmark }

async function add(service: Service): Promise<void> {
  await client.call('newService', { service: serviceAttributes(service) })
  for (const server of service.realServers) await client.call('newDest', { service: keyOf(serviceAttributes(service)), dest: destinationAttributes(server) })
}

/** The services of a spec that ipvsadm can be told of: it reads no empty list of flags, which is how it prints flag-3 of sh and mh. */
const sample = (options: ArbitraryOptions, seed: number): Service[] =>
  fc.sample(virtualServices({ minLength: 60, maxLength: 90, ...options }), { seed, numRuns: 1 })[0]!.flatMap(normalize)
const readable = (service: Service): boolean => !/ -b \n/.test(formatRules([service], { strict: true }))
const sorted = (text: string): string[] => text.split('\n').sort()

describe('what formatRules prints', () => {
  const seeds = [1, 2, 3, 4, 5]

  it.each(seeds)('ipvsadm reads, and prints again byte by byte: addresses near one another, seed %i', async seed => {
    const services = sample({ ordered: true, local: false }, seed).filter(readable)
    expect(services.length).toBeGreaterThanOrEqual(60)
    const text = formatRules(services, { strict: true })
    restore(text)
    expect(save()).toBe(text)
    expect(formatRules(await list(), { strict: true })).toBe(text)
    expect(formatRules(parseRules(text), { strict: true })).toBe(text)
  })

  it.each(seeds)('ipvsadm reads, and prints again in the order of what the kernel lists: any addresses, seed %i', async seed => {
    const services = sample({ maxMark: 0x7fffffff, local: false }, seed + 100).filter(readable)
    expect(services.length).toBeGreaterThanOrEqual(60)
    const text = formatRules(services, { strict: true })
    restore(text)
    expect(sorted(save())).toEqual(sorted(text))
    await listedAsPrinted()
  })

  it.each(seeds)('of any services and of what the kernel lists is what ipvsadm prints, seed %i', async seed => {
    const services = sample({}, seed + 200)
    for (const service of services) await add(service)
    await listedAsPrinted()
    expect(sorted(formatRules(await list()))).toEqual(sorted(formatRules(services)))
    // One by one the order is known, the kernel's being that the newest real server is first.
    for (const service of services) {
      const lines = save().split('\n')
      const own = formatRules([service], { strict: true })
      const begin = lines.indexOf(own.split('\n')[0]!)
      expect(lines.slice(begin, begin + 1 + service.realServers.length).join('\n') + '\n').toBe(own)
      if (service.realServers.length > 3) break
    }
  })

  it('is what ipvsadm prints of addresses and marks that lie too far apart to be in order', async () => {
    const vips = ['10.0.0.1', '127.0.0.1', '224.0.0.1', '255.255.255.254', '128.0.0.1', '0.0.0.1', '192.168.0.1', '10.0.0.2', '1::1', '7fff::1', '8000::1', 'fd00::1', '::1:2', '::1.2.3.4',
      'fd00::7fff:ffff:0:1', 'fd00::8000:0:0:1', 'fd00::1:0:0:1']
    for (const protocol of ['tcp', 'udp', 'sctp'] as const) {
      for (const vip of vips) await add(service({ vip, port: 80, protocol }))
    }
    for (const port of [1, 32768, 65535]) await add(service({ vip: '10.0.0.1', port, protocol: 'tcp' }))
    for (const fwmark of [1, 0x7fffffff, 0x80000000, 0xb0000000, 0xffffffff]) {
      for (const family of ['inet', 'inet6'] as const) await add(service({ fwmark, family }))
    }
    const key = keyOf(serviceAttributes(service({ vip: '10.0.0.1', port: 80, protocol: 'tcp' })))
    for (const [i, address] of [...vips, '10.9.0.0', '0.10.0.0', 'a00:9::', 'a:9::', '128.0.0.0', '8000:0:1::', '8000:0:f000::', '8000::9'].entries()) {
      if (address.startsWith('22') || address.startsWith('127')) continue
      const server = { address, port: 80 + i % 3, forward: 'tunnel' as const, weight: i, thresholds: { upper: 0, lower: 0 } }
      await client.call('newDest', { service: key, dest: destinationAttributes(server) })
    }
    expect(await list()).toHaveLength(vips.length * 3 + 3 + 10)
    await listedAsPrinted()
  })

  it('is what ipvsadm prints of what only foreign programs set', async () => {
    const flags = (...names: string[]): ServiceAttributes['flags'] => ({ flags: Object.fromEntries(names.map(name => [name, true])), mask: EVERY_BIT })
    const base: ServiceAttributes = { af: 'inet', protocol: 'tcp', addr: '10.0.0.1', port: 80, schedName: 'rr', flags: flags(), timeout: 0, netmask: '255.255.255.255' }
    const services: ServiceAttributes[] = [
      base,
      { ...base, protocol: 47 },
      { ...base, port: 0 },
      { ...base, addr: '0.0.0.0' },
      { ...base, addr: '224.0.0.9', flags: flags('onePacket') },
      { ...base, addr: '10.0.0.2', schedName: 'sh', flags: flags('sched3') },
      { ...base, addr: '10.0.0.3', schedName: 'mh', flags: flags('sched1', 'sched3') },
      { ...base, addr: '10.0.0.4', peName: 'sip' },
      { ...base, addr: '10.0.0.5', netmask: '255.0.255.0', flags: flags('persistent') },
      { ...base, addr: '10.0.0.6', netmask: '255.0.255.0', timeout: 5 },
      { ...base, addr: '10.0.0.7', timeout: 4000000, flags: flags('persistent') },
      { af: 'inet6', fwmark: 0xffffffff, schedName: 'wlc', flags: flags('persistent', 'onePacket', 'sched1', 'sched2', 'sched3'), timeout: 0, netmask: 1 },
    ]
    for (const service of services) await client.call('newService', { service })
    const server: DestinationAttributes = { addrFamily: 'inet', addr: '10.0.1.1', port: 8080, fwdMethod: 'masq', weight: 1, uThresh: 9, lThresh: 3 }
    const servers: DestinationAttributes[] = [
      server,
      ...(['local', 'tunnel', 'route', 'bypass', 5, 6, 7] as const).map((fwdMethod, i) => ({ ...server, fwdMethod, addr: `10.0.2.${i}` })),
      { ...server, fwdMethod: 'tunnel', addr: '10.0.3.1', tunType: 3 },
      { ...server, fwdMethod: 'tunnel', addr: '10.0.3.2', tunType: 'ipip', tunPort: 9, tunFlags: { csum: true } },
      { ...server, fwdMethod: 'tunnel', addr: '10.0.3.3', tunType: 'gre', tunPort: 9, tunFlags: { remcsum: true } },
      { ...server, fwdMethod: 'masq', addr: '10.0.3.4', tunType: 'gue', tunPort: 9 },
    ]
    for (const dest of servers) await client.call('newDest', { service: keyOf(base), dest })
    const listed = await list()
    expect(listed.map(({ realServers }) => realServers.length).sort((a, b) => a - b)).toEqual([...Array<number>(11).fill(0), 12])
    expect(formatRules(listed, { strict: true })).toBe(save())
    expect(save()).toContain('--xxx-service')
    expect(save()).toContain('(null)')
  })
})

const service = (key: Partial<Service>): Service =>
  ({ ...key, scheduler: 'rr', schedulerFlags: [], onePacket: false, realServers: [] } as unknown as Service)

// ── what is a rule ──

/** The table that `-a` lines begin with. */
const BASE = '-A -t 10.0.0.1:80\n-A -t [fd00::1]:80\n-A -f 7\n-A -f 7 -6\n-A -t 10.0.0.3:0 -p\n'
const A = '-A -t 10.9.9.9:80'
const a = '-a -t 10.0.0.1:80 -r 10.0.1.1:80'

/** Lines on which the two agree: what one refuses the other does, and what both take is the same rule. */
const SAME = [
  `${A} -s rr`, '-At 10.9.9.9:80 -srr', '-At10.9.9.9:80 -s=rr', '-A -t=10.9.9.9:80', '--add-service --tcp-service=10.9.9.9:80 --scheduler=rr',
  `ipvsadm ${A}`, '-A ipvsadm -t 10.9.9.9:80', `${A} -s ipvsadm`, `/sbin/ipvsadm ${A}`, '--', '-A', '-A -s rr', '-t 10.9.9.9:80 -A', `${A} -A`, `${A} -a`,
  `${A} -p`, `${A} -p 60`, `${A} -p60`, `${A} -p=60`, `${A} --persistent=60`, `${A} -p 0`, `${A} -p -1`, `${A} -p 2678400`, `${A} -p 2678401`, `${A} -p xx`,
  `${A} -p 0x10`,
  `${A} -p 010`, `${A} -p +10`, `${A} -p 1.5`, `${A} -p=`, `${A} -p -s rr`, `${A} -p -s`, `${A} -p -p`, `${A} -po`, `${A} -p 99999999999999999999`,
  '-A -p 60 -t 10.9.9.9:80',
  `${A} -p -M 255.255.255.0`, `${A} -p -M 0.0.0.0`, `${A} -M 255.255.255.0 -p`, '-A -M 255.255.255.0 -p -t 10.9.9.9:80', `${A} -M 255.255.255.0`,
  '-A -t [fd00::9]:80 -p -M 64', '-A -t [fd00::9]:80 -p -M 0', '-A -t [fd00::9]:80 -p -M 128', '-A -t [fd00::9]:80 -p -M 129', '-A -t [fd00::9]:80 -p -M 064',
  '-A -t [fd00::9]:80 -p -M 255.255.255.0', '-A -f 9 -6 -p 60 -M 64 -M 64',
  '-A -t [fd00::9] -p', '-A -t fd00::9 -p', '-A -t fd00::9', '-A -t fd00::9:80 -p', '-A -t [fd00::9]:', '-A -t [fd00::9]:0 -p', '-A -t [fd00::9]80 -p',
  '-A -t [fd00::9',
  '-A -t [10.9.9.9]:80', '-A -t [FD00::9]:80', '-A -t [fd00::9%lo]:80', '-A -t [fd00::9]:http', '-A -t [fd00::9]:80:90', '-A -t [::1.2.3.4]:80',
  '-A -t [::1:2]:80', '-A -t [1:0:2:0:3:0:4:0]:80',
  '-A -t 10.9.9.9', '-A -t 10.9.9.9 -p', '-A -t 10.9.9.9:', '-A -t 10.9.9.9:0', '-A -t 10.9.9.9:0 -p', '-A -t 10.9.9.9:65535', '-A -t 10.9.9.9:65536',
  '-A -t 10.9.9.9:-1',
  '-A -t 10.9.9.9:http', '-A -t 10.9.9.9:HTTP', '-A -u 10.9.9.9:domain', '-A --sctp-service 10.9.9.9:http', '-A -t 10.9.9.9:nosuch', '-A -t 10.9.9.9:+80',
  '-A -t 10.9.9.9:080',
  '-A -t 10.9.9.9:0x50', '-A -t :80', '-A -t 80', '-A -t 10.0.0.256:80', '-A -t 10.0.0.1.1:80', '-A -t 10.9.9.9:80:90',
  '-A -f 9', '-A -f 0', '-A -f -1', '-A -f 4294967295', '-A -f 4294967296', '-A -f 2147483648', '-A -f 0x10', '-A -f 010', '-A -f +9', '-A -f 9x',
  '-A -f 9 -6', '-A -6 -f 9',
  '-A -f9 --ipv6', '-A -f 9 -6p 60', '-A -f 9 -6 -M 64 -p', `${A} -6`, '-A -f 9 -t 10.9.9.9:80', `${A} -u 10.9.9.9:80`, `${A} -s rr -s rr`,
  `${A} -o`, '-A -u 10.9.9.9:80 --ops', '-A -u 10.9.9.9:80 -o -o', '-A -f 9 -o', '-A --sctp-service 10.9.9.9:80 -o', '-A -o -t 10.9.9.9:80',
  '-A -op -u 10.9.9.9:80', `${A} -o=1`, `${A} --ops=1`,
  `${A} -s sh -b sh-port`, `${A} -b sh-port -s sh`, `${A} -s sh -b sh-port,sh-fallback`, `${A} -s sh -b flag-1,flag-2`, `${A} -s sh -b sh-port,flag-2`,
  `${A} -s mh -b mh-port`, `${A} -b sh-port`,
  `${A} -b=flag-1`, `${A} -b flag-1,flag-1`, `${A} -b flag-1,`, `${A} -b ,flag-1`, `${A} -b flag-1,,flag-2`, `${A} -b flag-4`, `${A} -b FLAG-1`, `${A} -b`,
  `${A} -b flag-1 -b flag-2`,
  '-A -u 10.9.9.9:80 -p --pe sip', '-A -u 10.9.9.9:80 -p --pe sip --pe sip', '-A -u 10.9.9.9:80 -p --pe abcdefghijklmnopq', `${A} -s abcdefghijklmnop`,
  `${A} -s none`, `${A} -s RR`,
  `${A} rr`, `${A} --`, `${A} -- foo`, `${A} -`, `${A} -z`, `${A} --nosuch`, `${A} --sched rr`, `${A} -scheduler rr`, `${A} -w 1`, `${A} -r 10.0.0.2:80`,
  `${A} -g`, `${A} -n`, `${A} -x 5`,
  '-A -t', `${A} -s`, '-A -t 10.0.0.1:80',
  a, '-a -t 10.0.0.1:80 -r 10.0.1.1', '-a -t 10.0.0.1:80 -r 10.0.1.1:', '-a -t 10.0.0.1:80 -r 10.0.1.1:0', '-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -g', '-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -i',
  '-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -m', '-a -t 10.0.0.1:80 -r 10.0.1.1:0 -m', '-a -r 10.0.1.1:80 -t 10.0.0.1:80', '-a -t 10.0.0.1:80',
  '-a -r 10.0.1.1:80', '-a -t 10.0.0.1:80 -r 10.0.1.1:99999 -g',
  `${a} -g -g`, `${a} -g -i`, `${a} -gm`, `${a} -mw 5`, `${a} -m -w5`, `${a} -m -w=5`, `${a} -m -w 0`, `${a} -m -w -1`, `${a} -m -w 65536`,
  `${a} -m -w 2147483647`, `${a} -m -w 2147483648`,
  `${a} -m -w 1 -w 1`, `${a} -m -w 0x10`, `${a} -m -w 010`, `${a} -m -w x`, `${a} -m -w`, `${a} -m -x 5 -y 3`, `${a} -m -x 3 -y 5`, `${a} -m -y 5`,
  `${a} -m -x 2147483647`, `${a} -m -x 2147483648`, `${a} -m -x -1`,
  `${a} --masquerading --weight=7`, `${a} --gatewaying`, `${a} --ipip`, '--add-server --tcp-service=10.0.0.1:80 --real-server=10.0.1.1:80',
  '-a -t 10.0.0.1:80 -r [fd00::5]:80 -m', '-a -t 10.0.0.1:80 -r [fd00::5]:80', '-a -t 10.0.0.1:80 -r [fd00::5]:80 -i', '-a -t 10.0.0.1:80 -r fd00::5 -i',
  '-a -t 10.0.0.1:80 -r [fd00::5] -i',
  '-a -t [fd00::1]:80 -r 10.0.1.1:80 -i', '-a -t [fd00::1]:80 -r 10.0.1.1:80 -g', '-a -t [fd00::1]:80 -r fd00::5 -m',
  '-a -t [fd00::1]:80 -r [fe80::5]:80 -m', '-a -t [fd00::1]:80 -r [::]:80 -m',
  '-a -t [fd00::1]:80 -r [::ffff:10.0.0.1]:80 -m', `${a} -i --tun-type ipip`, `${a} --tun-type ipip`, `${a} -m --tun-type ipip`, `${a} -i --tun-type gue`,
  `${a} -i --tun-port 6080 --tun-type gue`, `${a} -i --tun-port 6080`,
  `${a} -i --tun-type gue --tun-port 0`, `${a} -i --tun-type gue --tun-port 65536`, `${a} -i --tun-type gue --tun-port 6080 --tun-csum`,
  `${a} -i --tun-type gue --tun-port 6080 --tun-remcsum`,
  `${a} -i --tun-type gue --tun-port 6080 --tun-csum --tun-remcsum`, `${a} -i --tun-type gre`, `${a} -i --tun-type gre --tun-port 6080`,
  `${a} -i --tun-type gre --tun-csum`, `${a} -i --tun-type gre --tun-remcsum`,
  `${a} -i --tun-type ipip --tun-nocsum`, `${a} -i --tun-csum`, `${a} -i --tun-type vxlan`, `${a} -i --tun-type GUE --tun-port 1`, `${a} -g --tun-port 6080`,
  `${a} -i --tun-type gue --tun-port 5 --tun-port 6`,
  '-a -f 7 -r 10.0.1.1:80', '-a -f 7 -r 10.0.1.1', '-a -f 7 -r 10.0.1.1:8080 -i', '-a -f 7 -r 10.0.1.1:http -m', '-a -f 7 -r fd00::5 -i',
  '-a -f 7 -6 -r fd00::5', '-a -f 7 -6 -r 10.0.1.1 -i', '-a -f 7 -r fd00::5 -6',
  '-a -f 9 -r 10.0.1.1', '-a -u 10.0.0.1:80 -r 10.0.1.1:80', '-a -t 10.0.0.3 -r 10.0.1.1 -m', '-a -t 10.0.0.3:0 -r 10.0.1.1:80 -m',
  '-a -t 10.0.0.3:0 -r 10.0.1.1:80 -g', `${a} -s rr`, `${a} -p 60`, `${a} -o`, `${a} -b flag-1`,
  `${a} -M 255.255.255.0`, `${a} --pe sip`, `${a} -6`, '-a -t 10.0.0.1:80 -r 0.0.0.0:80 -m', '-a -t 10.0.0.1:80 -r 224.0.0.1:80 -m',
  '-a -t 10.0.0.1:80 -r 255.255.255.255:80 -m', '-a -t 10.0.0.1:80 -r 240.0.0.1:80 -m',
  `${a} -r 10.0.1.2:80`, '-a -t 10.0.0.1:80 -r 80 -m',
]

/** Lines that one of the two takes, or that mean something else to it, and why. */
const DIFFERENT: [line: string, ipvsadm: 'takes' | 'refuses', here: 'takes' | 'refuses', why: string][] = [
  [`${A} # comment`, 'refuses', 'takes', 'its comments do not work; people write them all the same'],
  ['# comment', 'refuses', 'takes', 'as above'],
  [`${a} --local`, 'refuses', 'takes', 'the superset'],
  ['-C', 'takes', 'refuses', 'rules only add'],
  ['-Z', 'takes', 'refuses', 'rules only add'],
  ['--set 1 2 3', 'takes', 'refuses', 'rules only add'],
  ['-E -t 10.0.0.1:80 -s rr', 'takes', 'refuses', 'rules only add'],
  ['-A -t localhost:80', 'takes', 'refuses', 'a library does not ask the resolver'],
  ['-A -t 10.9:80', 'takes', 'refuses', 'means 10.0.0.9, which not everybody knows'],
  ['-A -t 012.9.9.9:80', 'takes', 'refuses', 'means 10.9.9.9, octal'],
  ['-A -t 0x0a090909:80', 'takes', 'refuses', 'as above'],
  [`${A} -p -M 24`, 'takes', 'refuses', 'means 0.0.0.24, which nobody means'],
  [`${A} -p -M 255.0.255.0`, 'takes', 'refuses', 'not a network'],
  ['-A -p -M 64 -t [fd00::9]:80', 'takes', 'takes', 'it loses the mask that comes before its service'],
  ['-A -f 9 -p -M 64 -6', 'takes', 'takes', 'as above'],
  ['-A -f 9 -p -M 255.255.255.0 -6', 'takes', 'refuses', 'as above; here it is no mask of this family'],
  ['-A -f 9 -6 -6', 'takes', 'refuses', 'it notices every other repetition'],
  [`${A} --scheduler=`, 'takes', 'refuses', 'it falls back to its default'],
  ['-A -u 10.9.9.9:80 --pe=', 'takes', 'refuses', 'it falls back to none'],
  ['-A -u 10.9.9.9:80 --pe sip', 'takes', 'refuses', 'does nothing without persistence'],
  [`${A} -p --pe sip`, 'takes', 'refuses', 'the engine reads datagrams'],
  ['-A -t 0.0.0.0:80', 'takes', 'refuses', 'no packet is for this address'],
  ['-A -t 255.255.255.255:80', 'takes', 'refuses', 'as above'],
  ['-A -t 224.0.0.1:80', 'takes', 'refuses', 'as above'],
  ['-A -t [::]:80', 'takes', 'refuses', 'as above'],
  ['-A -t [ff02::1]:80', 'takes', 'refuses', 'as above'],
  ['-A -t [::ffff:10.0.0.1]:80', 'takes', 'refuses', 'as above'],
  [`${a} -m -w -0`, 'takes', 'refuses', 'a sign without a use'],
  ['-a -m -r 10.0.1.1 -t 10.0.0.1:80', 'takes', 'takes', 'before its service it has port 0 there; here it is the service\'s, as everywhere'],
]
/** By the bare kernel, a scheduler or engine that nobody has: only the kernel knows. */
const UNKNOWN_HERE = [`${A} -s nosuch`, '-A -u 10.9.9.9:80 -p --pe nosuch']

describe('what is a rule', () => {
  /** What the real ipvsadm makes of a line after the base table: the rules saved, or undefined where it refuses. */
  const theirs = async (line: string): Promise<string | undefined> => {
    await client.call('flush', {})
    return ipvsadm(['-R'], `${BASE}${line}\n`).status === 0 ? save() : undefined
  }
  const ours = (line: string): string | undefined => {
    try {
      return formatRules(parseRules(`${BASE}${line}\n`), { strict: true })
    } catch (error) {
      if (!(error instanceof RulesError)) throw error
      expect(error.line).toBe(6)
      return undefined
    }
  }
  const verdict = (result: string | undefined): string => result === undefined ? 'refuses' : 'takes'

  /** The same of many lines, from as few processes as can be: one takes them in turn until a line ends it. It has to add something to be taken. */
  const allTheirs = async (lines: readonly string[]): Promise<(string | undefined)[]> => {
    const base = await theirs('')
    const results: (string | undefined)[] = []
    while (results.length < lines.length) {
      const rest = lines.slice(results.length)
      const { stdout } = ipvsadm(['-R'], rest.map(line => `-C\n${BASE}${line}\n-S -n\n-L --timeout\n`).join(''))
      const saved = stdout.split(/^Timeout .*\n/m).slice(0, -1)
      results.push(...saved.map(rules => rules === base ? undefined : rules))
      if (saved.length < rest.length) results.push(undefined)
    }
    return results
  }

  it('is the same to ipvsadm and to parseRules', async () => {
    const all = await allTheirs(SAME)
    const blocks = (rules: string | undefined): unknown => rules === undefined ? 'refused' : servicesOf(rules)
    for (const [i, line] of SAME.entries()) expect([line, blocks(ours(line))]).toEqual([line, blocks(all[i])])
    expect([all.length, all.filter(rules => rules === undefined).length > 100, all.filter(rules => rules !== undefined).length > 100]).toEqual([SAME.length, true, true])
  }, 600_000)

  it.each(DIFFERENT)('differs on purpose: %j, which ipvsadm %s and parseRules %s: %s', async (line, they, we) => {
    const [their, our] = [await theirs(line), ours(line)]
    expect([verdict(their), verdict(our)]).toEqual([they, we])
    expect(our).not.toBe(their)
  })

  it.each(UNKNOWN_HERE)('is for the kernel to say: %s', async line => {
    expect([verdict(await theirs(line)), verdict(ours(line))]).toEqual(['refuses', 'takes'])
  })

  it('names ports as ipvsadm does', async () => {
    // The package netbase, on which those of the lab depend; ipvsadm knows the names from there.
    const names = new Set([...readFileSync('/etc/services', 'utf8').matchAll(/^([^#\s]\S*)/gm)].map(([, name]) => name!))
    const known = [...names].flatMap(name => ['-t', '-u'].map(option => `-A ${option} 10.0.0.1:${name} -s wlc\n`)).filter(line => ours(line) !== undefined)
    expect(known.length).toBeGreaterThan(40)
    await client.call('flush', {})
    restore(known.join(''))
    expect(formatRules(parseRules(known.join('')), { strict: true })).toBe(save())
  })
})
