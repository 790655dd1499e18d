/** The example as a person runs it, and with each of its mistakes: it has to tell them from a network that works. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { count, example, leftovers, section, type ExampleRun } from '../../support/example.js'

/** Runs the demo with an argument. What it prints into a pipe has no escape codes and no long line; lines are returned unwrapped. */
async function demo(argument?: string, interruptAt?: string): Promise<ExampleRun> {
  const { code, stdout, stderr } = await example('dns-over-ipip/demo', argument, interruptAt)
  expect(stdout).not.toMatch(/[\x00-\x09\x0b-\x1f]/)
  expect(stdout.split('\n').filter(line => line.length > 100)).toEqual([])
  return { code, stdout: stdout.replace(/^ {2}after \d+ s still: .*\n/gm, '').replace(/\n(?: {6}| {8})(?=\S)/g, ' '), stderr }
}

/** Runs the demo on a terminal of 80 columns, with all that it writes there. */
function demoOnTerminal(): Promise<{ code: number | null; written: string }> {
  const program = fileURLToPath(new URL('../../../dist/examples/dns-over-ipip/demo.js', import.meta.url))
  return new Promise(resolve => {
    const child = execFile('script', ['-qec', `stty rows 24 cols 80; ${process.execPath} ${program}`, '/dev/null'], (_, written) => {
      resolve({ code: child.exitCode, written })
    })
  })
}

/** The last box, without its frame. */
const boxed = (stdout: string): string[] => [...stdout.matchAll(/^│ (.*?) *│$/gm)].map(([, text]) => text!)

afterEach(() => { // however it ended
  expect(leftovers()).toEqual([])
})

describe('DNS over IPIP', () => {
  it('shows on a terminal what matters most', async () => {
    const { code, written } = await demoOnTerminal()
    expect(code, written).toBe(0)
    // What stays of a line is what follows the last time that it was erased.
    const coloured = written.split('\n').map(line => line.trimEnd().split('\r\x1b[K').at(-1)!)
    const lines = coloured.map(line => line.replace(/\x1b\[\d+m/g, '')), stdout = lines.join('\n')
    expect(coloured).toContain('\x1b[1mAPPLIED on server1\x1b[0m')
    expect(coloured.find(line => line.includes('ipvs-nl sets up'))).toMatch(/^\x1b\[32m✓/)
    expect(count(written.split('\r'), /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/)).toBeGreaterThan(10)
    expect(stdout).not.toMatch(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏\x1b]/)
    expect(lines.filter(line => line.length > 80)).toEqual([])
    expect(lines.length).toBeLessThanOrEqual(54) // the last is empty

    expect(section(stdout, 'APPLIED on server1').at(-1)).toBe('  server2: the same, with .101')
    expect(section(stdout, 'ANSWERS').map(line => line.replace(/ +\d+\.\d(?= |$)/g, '').trim())).toEqual(['udp', 'tcp'].map(protocol => expect.stringMatching(
      new RegExp(`^${protocol}( +\\.10[01]){6}$`)) as string))
    expect(boxed(stdout)).toEqual([
      '✓ 12 of 12 questions answered, by UDP and by TCP',
      '✓ shared out 6 and 6',
      '    server1  ██████████████████ 6',
      '    server2  ██████████████████ 6',
      '✓ 0 replies through the director: servers answer the client directly',
      '✓ 0 messages sent by a second apply to change anything (the first: 16)',
      expect.stringMatching(/^✓ 0 of \d{3,} questions lost, at \d+ a second, by a drain of server2; it gave$/),
      expect.stringMatching(/^ {4}before {5}█+ \d+ of \d+$/),
      expect.stringMatching(/^ {4}meanwhile {2}(█+ )?\d+ of \d+ in \d+\.\d s$/),
      expect.stringMatching(/^ {4}after {6}0 of \d+$/),
    ])
    expect(stdout).toMatch(/^┌─ IT WORKS ─+┐$/m)
    expect(stdout).toMatch(/^DONE in \d+ s$/m)
  })

  it('shows all with --verbose', async () => {
    const { code, stdout, stderr } = await demo('--verbose')
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

    const again = section(stdout, 'APPLIED AGAIN')
    expect(count(again, /^ {2}the first time: 16 messages to the kernel change something, [1-9]\d* read$/), stdout).toBe(1)
    expect(count(again, /^ {2}again: 0 change something, [1-9]\d* read$/), stdout).toBe(1)
    expect(again).toContain('  its plans are empty')

    const drained = section(stdout, 'DRAINED 192.168.52.101')
    expect(count(drained, /^ {2}before .* 192\.168\.52\.100 answered [1-9]\d*, 192\.168\.52\.101 answered [1-9]\d*$/), stdout).toBe(1)
    expect(count(drained, /^ {2}after {3}([1-9]\d+) questions: 192\.168\.52\.100 answered \1, 192\.168\.52\.101 answered 0$/), stdout).toBe(1)
    expect(boxed(stdout).filter(line => !line.startsWith(' '))).toHaveLength(5)
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
    expect(stdout).toMatch(/^┌─ IT DOES NOT WORK ─+┐$/m)
    expect(boxed(stdout)).toEqual([
      '✗ 6 of 12 questions answered, by UDP and by TCP',
      '✗ shared out 6 and 0',
      '    server1  ██████████████████ 6',
      '    server2  0',
      '✓ 0 replies through the director: servers answer the client directly',
      '– a second apply: not tried',
      '– a drain of server2: not tried',
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
    expect(boxed(stdout).slice(0, 2)).toEqual(['✓ 12 of 12 questions answered, by UDP and by TCP', '✓ shared out 6 and 6'])
    expect(count(boxed(stdout), /^✗ [1-9]\d* replies through the director/)).toBe(1)
    const reasons = section(stdout, 'FAILED')
    expect(reasons).toHaveLength(2)
    expect(count(reasons, /\d+ packets of responses passed through the director on eth[01], the first: IP 192\.168\.50\.100\.53 > 192\.168\.50\.10\./), stdout).toBe(2)
  })

  it('leaves nothing behind when it is interrupted', async () => {
    const { code, stdout } = await demo(undefined, 'sets up the director')
    expect(code, stdout).toBe(130)
    expect(section(stdout, 'FAILED')).toEqual(['  - ended by SIGINT'])
  })

  it('knows its mistakes', async () => {
    const { code, stderr } = await demo('no-such')
    expect(code).toBe(2)
    expect(stderr).toContain('tunnel-down, weight-zero, detour, --verbose')
  })
})
