/** The example's judgement: what it reads from dig and tcpdump, and that it finds each thing that can be wrong. */

import { describe, expect, it } from 'vitest'
import {
  againFailures, drainFailures, failures, isResponse, openings, phases, readAnswer, readCapture, readPacket,
  type Again, type Answer, type Capture, type Drain, type Evidence,
} from '../../../examples/dns-over-ipip/checks.js'
import { rows } from '../../../examples/dns-over-ipip/screen.js'

const TUNNELLED = 'IP 192.168.51.253 > 192.168.52.101: IP 192.168.50.10.50927 > 192.168.50.100.53: UDP, length 53'
const RESPONSE = 'IP 192.168.50.100.53 > 192.168.50.10.49985: UDP, length 75'
const SUMMARY = 'tcpdump: verbose output suppressed\nlistening on eth1\n1 packet captured\n2 packets received by filter\n0 packets dropped by kernel\n'

describe('what dig printed', () => {
  const ANSWER = 'version.bind.\t\t0\tCH\tTXT\t"server 192.168.52.100"\n;; Query time: 4321 usec\n;; SERVER: 192.168.50.100#53(192.168.50.100) (UDP)\n'

  it('names the server, and says how long it took', () => {
    expect(readAnswer('udp', ANSWER)).toEqual({ protocol: 'udp', server: '192.168.52.100', time: 4.321 })
  })
  it.each([
    [';; communications error to 192.168.50.100#53: timed out\n;; no servers could be reached\n', 'communications error to 192.168.50.100#53: timed out'],
    [';; Connection to 192.168.50.100#53(192.168.50.100) for version.bind failed: connection refused.\n', 'Connection to 192.168.50.100#53(192.168.50.100) for version.bind failed: connection refused.'],
    ['"9.18.49-1~deb12u3-Debian"\n', '"9.18.49-1~deb12u3-Debian"'],
    ['', 'an empty answer'],
  ])('or why there is none: %j', (output, problem) => {
    expect(readAnswer('tcp', output)).toEqual({ protocol: 'tcp', problem })
  })
  it('an answer at the second attempt is an answer', () => {
    expect(readAnswer('udp', `;; communications error to 192.168.50.100#53: timed out\n${ANSWER}`).server).toBe('192.168.52.100')
  })
})

describe('what tcpdump printed', () => {
  it('IP in IP', () => {
    expect(readPacket('eth1', TUNNELLED)).toEqual({
      link:   'eth1', text:   TUNNELLED,
      tunnel: { from: '192.168.51.253', to: '192.168.52.101' },
      from:   { address: '192.168.50.10', port: 50927 },
      to:     { address: '192.168.50.100', port: 53 },
    })
  })
  it('plain IP', () => {
    const packet = readPacket('eth0', RESPONSE)!
    expect(packet.tunnel).toBeUndefined()
    expect(packet.from).toEqual({ address: '192.168.50.100', port: 53 })
    expect(isResponse(packet)).toBe(true)
    expect(isResponse(readPacket('eth1', TUNNELLED)!)).toBe(false)
  })
  it('TCP in a tunnel, and a response in one', () => {
    expect(readPacket('eth1', 'IP 10.0.0.1 > 10.0.0.2: IP 10.1.0.1.44987 > 10.1.0.2.53: tcp 0')?.to.port).toBe(53)
    expect(isResponse(readPacket('eth1', 'IP 10.0.0.2 > 10.0.0.1: IP 10.1.0.2.53 > 10.1.0.1.44987: tcp 0')!)).toBe(true)
  })
  it.each([
    'ARP, Request who-has 192.168.51.254 tell 192.168.51.253, length 28',
    'IP 192.168.52.101 > 192.168.51.253: ICMP 192.168.52.101 protocol 4 unreachable, length 88',
    'IP6 fe80::1.53 > fe80::2.1024: UDP, length 5',
    '',
  ])('and nothing else: %j', line => {
    expect(readPacket('eth1', line)).toBeUndefined()
  })
  it('a whole capture', () => {
    const capture = readCapture('eth1', `${TUNNELLED}\n${RESPONSE}\n`, SUMMARY)
    expect(capture.packets.map(packet => packet.text)).toEqual([TUNNELLED, RESPONSE])
    expect(capture.problems).toEqual([])
  })
  it('a capture that cannot be relied upon', () => {
    expect(readCapture('eth1', '', SUMMARY.replace('0 packets dropped', '3 packets dropped')).problems).toEqual(['tcpdump on eth1 lost 3 packets'])
    expect(readCapture('eth1', '', 'listening on eth1\n').problems).toEqual(['tcpdump on eth1 did not end as it should: listening on eth1'])
    expect(readCapture('eth1', 'IP what\n', SUMMARY).problems).toEqual(['tcpdump on eth1 printed a line that is no packet of DNS: IP what'])
  })
  it('the first packet of each conversation', () => {
    const packets = [TUNNELLED, TUNNELLED, TUNNELLED.replace('50927', '50928')].map(line => readPacket('eth1', line)!)
    expect(openings(packets)).toEqual([packets[0], packets[2]])
  })
})

describe('the verdict', () => {
  const servers = ['192.168.52.100', '192.168.52.101']
  const answers: readonly Answer[] = (['udp', 'tcp'] as const).flatMap(protocol => servers.map(server => ({ protocol, server })))
  const tunnelled = servers.map(server => readPacket('eth1', TUNNELLED.replace('192.168.52.101', server))!)
  const questions = [readPacket('eth0', 'IP 192.168.50.10.50927 > 192.168.50.100.53: UDP, length 53')!]
  const capture = (link: string, packets: Capture['packets'], problems: readonly string[] = []): Capture => ({ link, packets, problems })
  const good: Evidence = { servers, answers, captures: [capture('eth0', questions), capture('eth1', tunnelled)] }
  const response = (link: string) => readPacket(link, RESPONSE)!

  it.each<[string, Partial<Evidence>, string[]]>([
    ['all is well', {}, []],
    [
      'an answer is missing',
      { answers: [...answers, { protocol: 'udp', problem: 'timed out' }] },
      ['1 of 3 answers by udp are missing: timed out'],
    ],
    [
      'one server gave none',
      { answers: answers.map(answer => ({ ...answer, server: servers[0]! })) },
      ['192.168.52.101 gave none of the 4 answers'],
    ],
    [
      'the servers have unequal shares',
      { answers: [...answers, { protocol: 'udp', server: servers[0]! }] },
      ['the servers\' shares of the 5 answers differ: 192.168.52.100 gave 3, 192.168.52.101 gave 2'],
    ],
    [
      'nothing was asked',
      { answers: [] },
      ['nothing was asked by udp', 'nothing was asked by tcp', '192.168.52.100 gave none of the 0 answers', '192.168.52.101 gave none of the 0 answers'],
    ],
    [
      'a stranger answered',
      { answers: [...answers, { protocol: 'tcp', server: '192.168.52.102' }] },
      ['192.168.52.102 answered, which is none of the servers'],
    ],
    [
      'no tunnel to one of them',
      { captures: [capture('eth0', questions), capture('eth1', tunnelled.slice(0, 1))] },
      ['no packet of IP in IP left the director\'s eth1 for 192.168.52.101'],
    ],
    [
      'a response left the director',
      { captures: [capture('eth0', [...questions, response('eth0')]), capture('eth1', tunnelled)] },
      [`1 packets of responses passed through the director on eth0, the first: ${RESPONSE}`],
    ],
    [
      'a response came to the director',
      { captures: [capture('eth0', questions), capture('eth1', [response('eth1'), ...tunnelled, response('eth1')])] },
      [`2 packets of responses passed through the director on eth1, the first: ${RESPONSE}`],
    ],
    [
      'the capture lost packets',
      { captures: [capture('eth0', questions, ['tcpdump on eth0 lost 3 packets']), capture('eth1', tunnelled)] },
      ['tcpdump on eth0 lost 3 packets'],
    ],
  ])('%s', (_, change, reasons) => {
    expect(failures({ ...good, ...change })).toEqual(reasons)
  })
})

describe('a second apply', () => {
  const requests = (changing: number, reading: number, problems: readonly string[] = []) => ({ changing, reading, problems })
  const good: Again = { plan: [], first: requests(16, 20), again: requests(0, 20) }

  it.each<[string, Partial<Again>, string[]]>([
    ['all is well', {}, []],
    ['its plan is not empty', { plan: ['~ ip link set tun0 up'] }, ['a second apply had something to do: ~ ip link set tun0 up']],
    ['it changed something', { again: requests(2, 20) }, ['a second apply sent 2 messages to the kernel that change something']],
    ['the tap missed the first', { first: requests(0, 0) }, ['nlmon saw no change by the first apply']],
    ['the tap missed the second', { again: requests(0, 0) }, ['nlmon saw no reading by the second apply']],
    ['the tap lost packets', { again: requests(0, 20, ['tcpdump on nlmon0 lost 3 packets']) }, ['tcpdump on nlmon0 lost 3 packets']],
  ])('%s', (_, change, reasons) => {
    expect(againFailures({ ...good, ...change })).toEqual(reasons)
  })
})

describe('a drain', () => {
  const [other, server] = ['192.168.52.100', '192.168.52.101'] as const
  /** A question each 20 ms from 0 on; the servers take turns until the drain begins at 1000. */
  const stream = Array.from({ length: 120 }, (_, i) => ({ asked: i * 20, server: i * 20 < 1000 && i % 2 === 1 ? server : other }))
  const good: Drain = { server, begun: 1000, ended: 1100, stream }

  it('has questions before it, during it and after it', () => {
    const { before, during, after } = phases(good)
    expect([before.length, during.length, after.length]).toEqual([50, 6, 64])
  })

  it.each<[string, Partial<Drain>, string[]]>([
    ['all is well', {}, []],
    [
      'a question was lost',
      { stream: [...stream, { asked: 1050, problem: 'no answer within 2500 ms' }] },
      [`1 of 121 questions around the drain of ${server} were lost: no answer within 2500 ms`],
    ],
    [
      'the server took none before',
      { stream: stream.map(({ asked }) => ({ asked, server: other })) },
      [`${server} answered none of the 50 questions before its drain`],
    ],
    [
      'the server went on',
      { stream: [...stream, { asked: 1101, server }] },
      [`${server} answered 1 of the 65 questions that were asked after its drain`],
    ],
    ['it was hardly watched', { ended: 2000 }, [`only 19 questions were asked after the drain of ${server}`]],
  ])('%s', (_, change, reasons) => {
    expect(drainFailures({ ...good, ...change })).toEqual(reasons)
  })

  it('and all else is in the last box', () => {
    const servers = [other, server], responses = [readPacket('eth0', RESPONSE)!]
    const answers: Answer[] = servers.flatMap(server => [{ protocol: 'udp', server }, { protocol: 'tcp', server }])
    const capture: Capture = { link: 'eth0', packets: [], problems: [] }
    const again: Again = { plan: [], first: { changing: 16, reading: 9, problems: [] }, again: { changing: 0, reading: 9, problems: [] } }
    expect(rows({ answers, captures: [capture], again, drain: good }, { again: true, drain: true })).toEqual([
      { good: true, text: '4 of 4 questions answered, by UDP and by TCP' },
      { good: true, text: 'shared out 2 and 2', bars: [{ name: 'server1', value: 2 }, { name: 'server2', value: 2 }] },
      { good: true, text: '0 replies through the director: servers answer the client directly' },
      { good: true, text: '0 messages sent by a second apply to change anything (the first: 16)' },
      {
        good: true,
        text: '0 of 120 questions lost, at 50 a second, by a drain of server2; it gave',
        bars: [
          { name: 'before', value: 25, note: 'of 50' },
          { name: 'meanwhile', value: 0, note: 'of 6 in 0.1 s' },
          { name: 'after', value: 0, note: 'of 64' },
        ],
      },
    ])

    const bad = rows({ answers: [{ protocol: 'udp', problem: 'timed out' }], captures: [{ ...capture, packets: responses }], again: undefined, drain: undefined }, { again: true, drain: true })
    expect(bad.map(({ good, text }) => [good, text])).toEqual([
      [false, '0 of 1 questions answered, by UDP and by TCP'],
      [false, 'shared out 0 and 0'],
      [false, '1 replies through the director: servers answer the client directly'],
      [undefined, 'a second apply: not tried'],
      [undefined, 'a drain of server2: not tried'],
    ])
    expect(rows({ answers, captures: [], again, drain: good }, { again: false, drain: false }).map(({ good }) => good)).toEqual([true, true, true, false, false])
  })
})
