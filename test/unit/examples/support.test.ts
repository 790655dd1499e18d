/** What the examples read from curl, ping and tcpdump, and the stage that they stand on. */

import { describe, expect, it } from 'vitest'
import { readPing } from '../../../examples/support/ping.js'
import { readCaptured } from '../../../examples/support/tcpdump.js'
import { readReply, replyText, unserved } from '../../../examples/support/web.js'

describe('what curl printed', () => {
  it.each([
    ['server1 to 192.168.50.10\n', '', { server: 'server1', client: '192.168.50.10' }, 'server1, which sees 192.168.50.10'],
    ['', 'curl: (28) Connection timed out after 2001 milliseconds\n', { problem: 'curl: (28) Connection timed out after 2001 milliseconds' }, 'no answer: curl: (28) Connection timed out after 2001 milliseconds'],
    ['<html>\n', '', { problem: 'it says "<html>\\n"' }, 'no answer: it says "<html>\\n"'],
    ['', '', { problem: 'it says ""' }, 'no answer: it says ""'],
  ])('%j', (stdout, stderr, reply, text) => {
    expect(readReply(stdout, stderr)).toEqual(reply)
    expect(replyText(reply)).toBe(text)
  })

  it('is judged', () => {
    const replies = ['server1', 'server2'].map(server => ({ server, client: '192.0.2.1' }))
    expect(unserved(replies, ['server1', 'server2'])).toEqual([])
    expect(unserved([...replies, { problem: 'timed out' }], ['server1', 'server2'])).toEqual(['1 of 3 requests were not answered: timed out'])
    expect(unserved(replies, ['server1', 'server3'])).toEqual(['server3 answered none of the 2 requests'])
    expect(unserved([], ['server1'])).toEqual(['server1 answered none of the 0 requests'])
  })
})

describe('what ping printed', () => {
  const summary = (received: number): string => `\n--- 192.168.10.21 ping statistics ---\n3 packets transmitted, ${received} received, 0% packet loss, time 403ms\n`

  it.each([
    [`64 bytes from 192.168.10.21: icmp_seq=1 ttl=64 time=0.5 ms${summary(3)}`, { sent: 3, received: 3, problem: 'nothing came back' }],
    [`From 192.168.10.11 icmp_seq=1 Destination Host Unreachable${summary(0)}`, { sent: 3, received: 0, problem: 'Destination Host Unreachable' }],
    [`${summary(0)}ping: local error: message too long, mtu=1450\n`, { sent: 3, received: 0, problem: 'local error: message too long, mtu=1450' }],
    ['', { sent: 0, received: 0, problem: 'nothing came back' }],
  ])('%j', (output, pings) => expect(readPing(output)).toEqual(pings))
})

describe('what tcpdump printed', () => {
  it('a packet a line, and what is in VXLAN with it', () => {
    expect(readCaptured('host1\'s eth0', 'IP a > b: tcp 0\nIP c > d: VXLAN, flags [I] (0x08), vni 42\nIP e > f: ICMP echo request\n', '0 packets dropped by kernel\n')).toEqual({
      packets:  ['IP a > b: tcp 0', 'IP c > d: VXLAN, flags [I] (0x08), vni 42: IP e > f: ICMP echo request'],
      problems: [],
    })
  })

  it('and what it missed', () => {
    expect(readCaptured('host1\'s eth0', '', '2 packets dropped by kernel\n').problems).toEqual(['tcpdump on host1\'s eth0 lost 2 packets'])
    expect(readCaptured('host1\'s eth0', '', 'killed\n').problems).toEqual(['tcpdump on host1\'s eth0 did not end as it should: killed'])
  })
})
