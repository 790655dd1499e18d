/** The example as a person runs it, and with each of its mistakes: it has to tell them from a network that works. */

import { afterEach, describe, expect, it } from 'vitest'
import { count, example, leftovers, section, type ExampleRun } from '../support/example.js'

const demo = (mistake?: string, interruptAt?: string): Promise<ExampleRun> => example('dns-over-ipip/demo', mistake, interruptAt)

afterEach(() => { // however it ended
  expect(leftovers()).toEqual([])
})

describe('DNS over IPIP', () => {
  it('works', async () => {
    const { code, stdout, stderr } = await demo()
    expect(stderr).toBe('')
    expect(code, stdout).toBe(0)

    const director = section(stdout, 'APPLIED on the director')
    expect(director).toContain('  + ip link add tun1 type ipip local 192.168.51.253 remote 192.168.52.101')
    expect(director).toContain('  + ip addr add 10.0.0.253/24 dev tun1')
    expect(director).toContain('  + ip addr add 192.168.50.100/32 dev eth0')
    expect(director).toContain('  + ip route add 192.168.52.0/24 via 192.168.51.254')
    for (const [i, server] of ['192.168.52.100', '192.168.52.101'].entries()) {
      const applied = section(stdout, `APPLIED on server${i + 1}`)
      expect(applied).toContain(`  + ip link add tun0 type ipip local ${server} remote 192.168.51.253`)
      expect(applied).toContain('  + ip addr add 192.168.50.100/32 dev tun0')
      expect(applied.join('\n')).toMatch(/^ {2}~ sysctl -w net\.ipv4\.conf\.tun0\.rp_filter=2 /m)
    }

    const rules = section(stdout, 'CONFIGURED')
    for (const option of ['-u', '-t']) {
      expect(rules).toContain(`  -A ${option} 192.168.50.100:53 -s rr`)
      for (const server of ['192.168.52.100', '192.168.52.101']) {
        expect(rules).toContain(`  -a ${option} 192.168.50.100:53 -r ${server}:53 -i -w 1 --tun-type ipip`)
      }
    }
    expect(rules).toContain('  ipvsadm -S -n prints the same.')

    const answers = section(stdout, 'ANSWERS')
    expect(answers).toHaveLength(12)
    for (const protocol of ['udp', 'tcp']) {
      for (const server of ['192\\.168\\.52\\.100', '192\\.168\\.52\\.101']) {
        expect(count(answers, new RegExp(`^  ${protocol} \\d  ${server} `))).toBe(3)
      }
    }

    const counters = section(stdout, 'COUNTERS')
    expect(count(counters, /^ {2}(udp|tcp) 192\.168\.50\.100:53 rr +6 +(6|36) +\d+ +0$/)).toBe(2)
    expect(count(counters, /^ {4}→ 192\.168\.52\.10[01]:53 +1 +3 +(3|18) +\d+ +0$/)).toBe(4)

    const captured = section(stdout, 'CAPTURED')
    expect(count(captured, /^ {2}eth0: \d+ packets, 0 of them IP in IP, 0 responses$/)).toBe(1)
    expect(count(captured, /^ {2}eth1: (\d+) packets, \1 of them IP in IP, 0 responses$/)).toBe(1)
    for (const server of ['100', '101']) {
      expect(count(captured, new RegExp(`IP 192\\.168\\.51\\.253 > 192\\.168\\.52\\.${server}: IP 192\\.168\\.50\\.10\\.\\d+ > 192\\.168\\.50\\.100\\.53: `))).toBe(6)
    }
    expect(captured.join('\n')).not.toContain('RESPONSE')
  })

  it('finds a server whose tunnel is down', async () => {
    const { code, stdout } = await demo('tunnel-down')
    expect(code, stdout).toBe(1)
    const reasons = section(stdout, 'FAILED')
    expect(count(reasons, /3 of 6 answers by (udp|tcp) are missing: /), stdout).toBe(2)
    expect(reasons).toContain('  - 192.168.52.101 gave none of the 12 answers')
    const diagnosed = section(stdout, 'DIAGNOSED')
    expect(diagnosed.filter(line => !line.endsWith(': nothing found'))).toEqual([
      expect.stringMatching(/^ {2}server2: tunnel-down: tun0 is down/), '    ~ ip link set tun0 up',
    ])
  })

  it('finds a server that is left out', async () => {
    const { code, stdout } = await demo('weight-zero')
    expect(code, stdout).toBe(1)
    expect(section(stdout, 'FAILED')).toEqual([
      '  - 192.168.52.101 gave none of the 12 answers',
      '  - no packet of IP in IP left the director\'s eth1 for 192.168.52.101',
    ])
  })

  it('finds responses that pass through the director, though all questions are answered', async () => {
    const { code, stdout } = await demo('detour')
    expect(code, stdout).toBe(1)
    expect(count(section(stdout, 'ANSWERS'), / 192\.168\.52\.10[01] /)).toBe(12)
    const reasons = section(stdout, 'FAILED')
    expect(reasons).toHaveLength(2)
    expect(count(reasons, /\d+ packets of responses passed through the director on eth[01], the first: IP 192\.168\.50\.100\.53 > 192\.168\.50\.10\./), stdout).toBe(2)
  })

  it('leaves nothing behind when it is interrupted', async () => {
    const { code, stdout } = await demo(undefined, 'unbound answers')
    expect(code, stdout).toBe(130)
    expect(section(stdout, 'FAILED')).toEqual(['  - ended by SIGINT'])
  })

  it('knows its mistakes', async () => {
    const { code, stderr } = await demo('no-such')
    expect(code).toBe(2)
    expect(stderr).toContain('tunnel-down, weight-zero, detour')
  })
})
