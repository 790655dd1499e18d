/** The parts of examples/ipvsadm.ts that need no kernel; that they do as ipvsadm does, test/kernel/examples/ipvsadm.test.ts shows. */

import fc from 'fast-check'
import type { ServiceState } from 'ipvs-nl'
import { describe, expect, it } from 'vitest'
import { banner, connectionRow, connectionsTitle, counter, serviceRows, title, VIEWS } from '../../../examples/ipvsadm/listing.js'
import { byName, byNumber } from '../../../examples/ipvsadm/naming.js'
import { services, type Names } from '../../../examples/ipvsadm/names.js'
import { BadOption, Exit, readLine } from '../../../examples/ipvsadm/options.js'
import { byName as optionsByName, options, type Option } from '../../../examples/ipvsadm/popt.js'
import { linesOf, wordsOf } from '../../../examples/ipvsadm/restore.js'
import { KNOWN, misused, misusedTunnel, OPTION_NAMES } from '../../../examples/ipvsadm/rules.js'
import { endpoint, ipv4Of, leadingNumber, number } from '../../../examples/ipvsadm/values.js'

const SERVICES = '# name port\nhttp\t80/tcp\twww # the web\ndomain 53/tcp\ndomain 53/udp\nwww-too 80/tcp\n\nbad line\nsip 5060/udp\n'
const HOSTS: Readonly<Record<string, string>> = { vip: '10.0.0.1', rs1: '10.0.1.1' }
const names: Names = {
  ...services(SERVICES),
  addressOf: host => Promise.resolve(HOSTS[host]),
  hostOf: address => Promise.resolve(Object.keys(HOSTS).find(host => HOSTS[host] === address)),
}

describe('words', () => {
  const known: Option[] = [{ long: 'all', short: 'a', takes: 'nothing' }, { long: 'value', short: 'v', takes: 'value' }, { long: 'maybe', short: 'm', takes: 'maybe' }]
  const read = (line: string): string => {
    const leftover: string[] = []
    const tokens = [...options(line.split(' ').filter(word => word !== ''), optionsByName(known), leftover)]
    return [...tokens.map(({ option, value, word, error }) => option ? `${option.long}${value === undefined ? '' : `=${value}`}` : `${word}: ${error}`), ...leftover.map(word => `+${word}`)].join(' ')
  }
  it.each([
    ['-a -v x', 'all value=x'], ['-avx', 'all value=x'], ['-av=x', 'all value=x'], ['-av==x', 'all value==x'], ['-v=', 'value='], ['--value=x=y', 'value=x=y'], ['--value x', 'value=x'], ['-v -a', 'value=-a'],
    ['-v', '-v: missing argument'], ['-a=', '-a=: option does not take an argument'], ['--all=1', '--all=1: option does not take an argument'], ['-az', 'all -az: unknown option'], ['--al', '--al: unknown option'],
    ['-m', 'maybe'], ['-m 5', 'maybe=5'], ['-m -a', 'maybe all'], ['-m -- -a', 'maybe +-a'], ['-m5', 'maybe=5'], ['x -a y', 'all +x +y'], ['- -a', 'all +-'], ['-a -- -v x', 'all +-v +x'], ['--=x', '--=x: unknown option'],
  ])('%s', (line, expected) => expect(read(line)).toBe(expected))
})

describe('values', () => {
  it.each([['10.0.0.1', '10.0.0.1'], ['10.1', '10.0.0.1'], ['10.1.257', '10.1.1.1'], ['012.0x1.2.3', '10.1.2.3'], ['4294967295', '255.255.255.255'], ['10.0.0.1 foo', '10.0.0.1'], ['0', '0.0.0.0'],
    ['4294967296', undefined], ['08.1.1.1', undefined], ['1..2', undefined], ['1.2.3.256', undefined], ['1.2.3.4.5', undefined], ['0x', undefined], ['', undefined], ['-1', undefined], [' 1.2.3.4', undefined],
  ])('the IPv4 address %j is %s', (text, expected) => expect(ipv4Of(text)).toBe(expected))

  it('numbers', () => {
    fc.assert(fc.property(fc.integer(), n => number(` ${n}`, -0x80000000, 0x7fffffff) === n && leadingNumber(`${n}x`) === n))
    for (const text of ['', ' ', '1 ', '0x1', '1.5', '9223372036854775808', '99']) expect(number(text, 0, 98)).toBeUndefined()
    expect([leadingNumber('4294967360'), leadingNumber('x'), leadingNumber('99999999999999999999')]).toEqual([64, 0, -1])
  })

  it.each([
    ['10.0.0.1:80', { af: 'inet', addr: '10.0.0.1', port: 80 }], ['vip:www', { af: 'inet', addr: '10.0.0.1', port: 80 }], ['vip', { af: 'inet', addr: '10.0.0.1' }], ['[FD00::1]:80', { af: 'inet6', addr: 'fd00::1', port: 80 }],
    ['fd00::1', { af: 'inet6', addr: 'fd00::1' }], ['[10.0.0.1]:80', { af: 'inet', addr: '10.0.0.1' }], ['[fd00::1]', undefined], ['80', undefined], ['', undefined], [':80', undefined], ['vip:sip', undefined], ['vip:65536', undefined],
  ])('the endpoint %j', async (text, expected) => expect(await endpoint(text, 'tcp', names)).toEqual(expected))
})

describe('a line', () => {
  const refusal = async (line: string): Promise<[number, string]> => {
    try {
      await readLine(line.split(' '), 'ipvsadm', names)
    } catch (error) {
      if (error instanceof Exit) return [error.status, error.message]
      if (error instanceof BadOption) return [255, error.message]
      throw error
    }
    throw new Error(`${line}: taken`)
  }

  it('is the kernel\'s attributes', async () => {
    const { command, service, server } = await readLine('-a -t vip:http -r rs1:8080 -i --tun-type gue --tun-port 6080 --tun-csum -w 5 -x 9'.split(' '), 'ipvsadm', names)
    expect(command).toBe('add-server')
    expect(service).toMatchObject({ af: 'inet', protocol: 'tcp', addr: '10.0.0.1', port: 80 })
    expect(server).toEqual({ addrFamily: 'inet', addr: '10.0.1.1', port: 80, fwdMethod: 'tunnel', weight: 5, uThresh: 9, lThresh: 0, tunType: 'gue', tunPort: 6080, tunFlags: { csum: true } })
  })

  it('is read from left to right: a mask is of the family so far', async () => {
    expect((await readLine('-A -M 64 -f 7 -p'.split(' '), 'ipvsadm', names)).service).toMatchObject({ af: 'inet', fwmark: 7, netmask: '0.0.0.64', timeout: 360, schedName: 'wlc' })
    expect((await readLine('-A -f 7 -6 -M 64'.split(' '), 'ipvsadm', names)).service).toMatchObject({ af: 'inet6', netmask: 64 })
    expect((await readLine('-A -M 64 -f 7 -6'.split(' '), 'ipvsadm', names)).service).toMatchObject({ af: 'inet6', netmask: 128 })
  })

  it.each([
    ['-x', 255, 'Try `ipvsadm -h\' or \'ipvsadm --help\' for more information.'], ['-L -z', 255, '-z: unknown option'], ['-A -t', 255, '-t: missing argument'], ['-A -E', 2, 'invalid option `-E\''],
    ['-A -t vip:80 -t vip:80', 2, 'multiple \'service-address\' options specified'], ['-A', 2, 'You need to supply the \'service-address\' option for the \'add-service\' command'], ['-A -b ,', 2, 'invalid scheduler flag `,\''],
    ['-A -t vip:80 -b toString', 2, 'invalid scheduler flag `toString\''], ['--set 1 2', 2, '--set option requires 3 timeout values'], ['-C x', 2, 'unexpected argument x'],
  ])('%s is refused: %i, %s', async (line, status, text) => expect(await refusal(line)).toEqual([status, text]))

  it('has no option that goes with no command, nor one that no rule knows', () => {
    const commands = [...new Set(KNOWN.flatMap(({ command }) => command ?? []))]
    for (const name of OPTION_NAMES) {
      expect(KNOWN.some(option => option.name === name), name).toBe(true)
      expect(commands.some(command => !misused(command, new Set([name]))?.startsWith('Illegal')), name).toBe(true)
    }
    expect(misusedTunnel('gre', new Set(['tun-port']))).toBe('Illegal \'tun-port\' option with the \'gre\' tunnel type')
    expect(misusedTunnel('gue', new Set(['tun-port', 'tun-csum', 'tun-remcsum']))).toBe('The option \'tun-remcsum\' conflicts with the \'tun-csum\' option in the \'gue\' tunnel type')
  })
})

describe('lists', () => {
  it.each([
    [0n, '        0', '        0'], [99_999_999n, ' 99999999', ' 99999999'], [100_000_000n, '  100000K', ' 100000000'], [999_999_999n, '  999999K', ' 999999999'], [1_000_000_000n, '    1000M', ' 1000000000'],
    [99_999_999_999n, '   99999M', ' 99999999999'], [100_000_000_000n, '     100G', ' 100000000000'], [99_999_999_999_999n, '   99999G', ' 99999999999999'], [100_000_000_000_000n, '     100T', ' 100000000000000'],
    [(1n << 64n) - 1n, '18446744T', ' 18446744073709551615'],
  ])('the counter %s', (n, short, exact) => expect([counter(n, false), counter(n, true)]).toEqual([short, exact]))

  const rates = { connections: 1, packetsIn: 2, packetsOut: 3, bytesIn: 4_000_000_000, bytesOut: 5 }
  const stats = { connections: 1n, packetsIn: 2n, packetsOut: 3n, bytesIn: 4_000_000_000n, bytesOut: 5n, rates }
  const service: ServiceState = {
    vip: '10.0.0.1', port: 80, protocol: 'tcp', scheduler: 'sh', schedulerFlags: ['sh-port', 'flag-3'], onePacket: true, persistence: { timeout: 60, netmask: '255.0.0.0', engine: 'sip' }, stats,
    realServers: [
      { address: '10.0.1.1', port: 8080, forward: 'masq', weight: 5, thresholds: { upper: 9, lower: 3 }, activeConnections: 1, inactiveConnections: 2, persistentConnections: 3, stats },
      { address: 'fd00:1111:2222:3333:4444:5555:6666:7777', port: 80, forward: { kind: 'gue', port: 65535, checksum: 'remcsum' }, weight: 1, thresholds: { upper: 0, lower: 0 },
        activeConnections: 0, inactiveConnections: 0, persistentConnections: 0, stats },
    ],
  }
  const lines = (view: typeof VIEWS[number], exact = false): string[] => serviceRows(service, { view, exact }, byNumber).split('\n')

  it('show each row in the columns of its title', () => {
    expect(lines('rules')).toEqual([
      'TCP  10.0.0.1:80 sh (sh-port) persistent 60 mask 255.0.0.0 pe sip ops', '  -> 10.0.1.1:8080                Masq    5      1          2         ',
      '  -> [fd00:1111:2222:3333:4444:5555:6666:7777]:80 Tunnel  1      0          0         ', '',
    ])
    expect(lines('stats')[1]).toBe('  -> 10.0.1.1:8080                       1        2        3    4000M        5')
    expect(lines('rate', true)[1]).toBe('  -> 10.0.1.1:8080                       1        2        3 4000000000        5')
    expect(lines('thresholds')[1]).toBe('  -> 10.0.1.1:8080                9          3          1          2         ')
    expect(lines('persistent-conn')[1]).toBe('  -> 10.0.1.1:8080                5         3           1          2         ')
    expect(lines('tun-info')[2]).toBe('  -> [fd00:1111:2222:3333:4444:5555:6666:7777]:80 Tunnel  gue:65535:r+c 1      0          0         ')
    for (const view of VIEWS) expect(title({ view, exact: false }).split('\n')).toHaveLength(3)
    expect(banner('1.2.1', 4096)).toBe('IP Virtual Server version 1.2.1 (size=4096)\n')
  })

  it('cut names of IPv4 addresses, and no others', async () => {
    const long = 'a-very-long-name-of-a-host-that-goes-on-and-on-and-on.example-of-a-domain.org'
    const naming = await byName(['10.0.0.1', '10.0.1.1'], { ...names, hostOf: () => Promise.resolve(long) })
    expect(serviceRows(service, { view: 'rules', exact: false }, naming).split('\n').slice(0, 2)).toEqual([
      'TCP  a-very-long-name-of-a-host-t sh (sh-port) persistent 60 mask 255.0.0.0 pe sip ops', '  -> a-very-long-name-of-a-host-t Masq    5      1          2         ',
    ])
    expect(naming('10.0.0.1', 80, 'tcp')).toHaveLength(59)
    expect((await byName(['10.0.0.1'], names))('10.0.0.1', 53, 'udp')).toBe('vip:domain')
    expect(byNumber('::102:304', 80, 'tcp')).toBe('[::1.2.3.4]:80')
  })

  it('show connections, and a mark in place of the VIP', () => {
    const row = { protocol: 'tcp', client: { address: '10.0.2.1', port: 40001 }, virtual: { address: '10.0.0.1', port: 80 }, server: { address: '10.0.1.1', port: 8080 }, state: 'ESTABLISHED', expires: 3661, template: false } as const
    expect(connectionRow(row, false, byNumber)).toBe('TCP 61:01  ESTABLISHED 10.0.2.1:40001     10.0.0.1:80        10.0.1.1:8080\n')
    expect(connectionRow({ ...row, engine: { name: 'sip', data: 'a@b' } }, true, byNumber)).toBe('TCP 61:01  ESTABLISHED 10.0.2.1:40001     10.0.0.1:80        10.0.1.1:8080    sip                a@b\n')
    expect(connectionRow({ ...row, protocol: 0, virtual: { fwmark: 0x01000005 } }, true, byNumber)).toContain(' 1.0.0.5:0 ')
    expect(connectionRow({ ...row, protocol: 0, client: { address: 'fd00::', port: 0 }, virtual: { fwmark: 0x80000001 } }, true, byNumber)).toContain(' [8000:1::]:0 ')
    expect(connectionsTitle(true)).toBe('IPVS connection entries\npro expire state       source             virtual            destination        pe name          pe_data\n')
  })
})

describe('what is restored', () => {
  it('is words between blanks', () => {
    expect(wordsOf(' \t-A -t\r10.0.0.1:80 ipvsadm # x\r')).toEqual(['-A', '-t', '10.0.0.1:80', '#', 'x'])
    expect(wordsOf('x'.repeat(5000)).map(word => word.length)).toEqual([4096, 904])
  })

  it('is lines, however they come', async () => {
    async function* pieces(...texts: string[]): AsyncGenerator<string, void, undefined> { for (const text of texts) yield await Promise.resolve(text) }
    await fc.assert(fc.asyncProperty(fc.array(fc.constantFrom('a', 'b\n', '\n', 'c\nd')), async texts => {
      const lines = []
      for await (const line of linesOf(pieces(...texts))) lines.push(line)
      expect(lines.map(line => `${line}\n`).join('')).toBe(texts.join('').replace(/[^\n]$/, '$&\n'))
    }))
  })

  it('names ports as the first line that fits', () => {
    const { portOf, serviceOf } = services(SERVICES)
    expect([portOf('www', 'tcp'), portOf('www', 'udp'), portOf('www-too', 'tcp'), serviceOf(80, 'tcp'), serviceOf(53, 'udp'), serviceOf(53, 'sctp')]).toEqual([80, undefined, 80, 'http', 'domain', undefined])
  })
})
