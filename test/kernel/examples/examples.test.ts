/** The other examples as a person runs them, and with their mistakes: each has to tell them from what works. */

import { afterEach, describe, expect, it } from 'vitest'
import { count, example, leftovers, section } from '../../support/example.js'

/** Runs an example that has to succeed. */
async function good(name: string): Promise<string> {
  const { code, stdout, stderr } = await example(name)
  expect(stderr).toBe('')
  expect(code, stdout).toBe(0)
  return stdout
}

/** Runs an example with a mistake and returns what it says is wrong. The library has to find the cause, and nothing else. */
async function bad(name: string, mistake: string, diagnosis: readonly RegExp[] = []): Promise<string[]> {
  const { code, stdout } = await example(name, mistake)
  expect(code, stdout).toBe(1)
  const reasons = section(stdout, 'FAILED')
  expect(reasons.length, stdout).toBeGreaterThan(0)
  const found = section(stdout, 'DIAGNOSED').filter(line => !line.startsWith('    ') && !line.endsWith(': nothing found'))
  expect(found, stdout).toEqual(diagnosis.map(pattern => expect.stringMatching(pattern) as string))
  return reasons
}

afterEach(() => { // however it ended
  expect(leftovers()).toEqual([])
})

describe('a VXLAN overlay', () => {
  it('works', async () => {
    const stdout = await good('vxlan-overlay')
    const applied = section(stdout, 'APPLIED on host1')
    expect(applied).toContain('  + ip addr add 192.168.10.11/24 dev vbr0')
    expect(count(applied, /^ {2}\+ ip link add vxlan42 type vxlan id 42 .*remote 172\.16\.0\.21 local 172\.16\.0\.11 dev eth0 dstport 4789/)).toBe(1)
    expect(section(stdout, 'APPLIED on host2')).toContain('  + ip addr add 192.168.10.21/24 dev vbr0')
    expect(section(stdout, 'PINGS')).toEqual([56, 1422].map(size => `  ${size} bytes to 192.168.10.21: 3 of 3 answered`))
    expect(section(stdout, 'CAPTURED').join('\n')).toMatch(/^ {2}IP 172\.16\.0\.11\.\d+ > 172\.16\.0\.21\.4789: VXLAN, flags \[I\] \(0x08\), vni 42: IP 192\.168\.10\.11 > 192\.168\.10\.21: ICMP echo request/m)
  })

  it('finds another network identifier', async () => {
    expect(await bad('vxlan-overlay', 'other-vni')).toContain('  - 0 of 3 pings of 56 bytes were answered: nothing came back')
  })
})

describe('direct routing', () => {
  it('works', async () => {
    const stdout = await good('direct-routing-web')
    const applied = section(stdout, 'APPLIED on the director')
    expect(applied).toContain('  -A -t 192.168.50.100:80 -s wrr -p 20')
    expect(applied).toContain('  -a -t 192.168.50.100:80 -r 192.168.50.101:80 -g -w 3')
    const replies = section(stdout, 'REPLIES')
    expect(replies).toHaveLength(16)
    expect(replies.slice(8)).toEqual(replies.slice(0, 8)) // each client's second reply is from the same server
    expect(count(replies, / {2}server1, which sees /)).toBe(12)
    expect(count(section(stdout, 'OBSERVED'), /^ {2}ARP by (?!director: Reply 192\.168\.50\.100 is-at )/)).toBe(0)
  })

  it('finds a server that answers ARP for the VIP', async () => {
    expect(count(await bad('direct-routing-web', 'arp-leak', [/^ {2}server1: arp-leak: /]), /^ {2}- server1 says by ARP that the VIP is its own: /)).toBe(1)
  })
})

describe('NAT', () => {
  it('works', async () => {
    const stdout = await good('nat-web')
    expect(section(stdout, 'APPLIED on the director')).toContain('  -a -t 192.168.50.100:80 -r 192.168.52.100:8080 -m -w 1')
    expect(section(stdout, 'APPLIED on server1')).toContain('  + ip route add default via 192.168.52.253')
    for (const server of [1, 2]) expect(count(section(stdout, 'REPLIES'), new RegExp(`server${server}, which sees 192\\.168\\.50\\.10$`))).toBe(2)
    expect(count(section(stdout, 'COUNTERS'), /^ {2}tcp 192\.168\.50\.100:80 rr +4 +\d+ +\d+ +[1-9]\d*$/)).toBe(1)
  })

  it('finds a server that does not answer through the director', async () => {
    expect(await bad('nat-web', 'no-way-back', [/^ {2}server2: no-route: /])).toContain('  - server2 answered none of the 4 requests')
  })
})

describe('GUE and GRE', () => {
  it('work', async () => {
    const stdout = await good('gue-and-gre')
    const applied = section(stdout, 'APPLIED on the director')
    expect(applied).toContain('  -a -t 192.168.50.100:80 -r 192.168.52.100:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-csum')
    expect(applied).toContain('  -a -t 192.168.50.100:80 -r 192.168.52.101:80 -i -w 1 --tun-type gre --tun-csum')
    expect(section(stdout, 'APPLIED on server1')).toContain('  + ip fou add port 6080 gue')
    for (const server of [1, 2]) expect(count(section(stdout, 'REPLIES'), new RegExp(`server${server}, which sees 192\\.168\\.50\\.10$`))).toBe(2)
    expect(count(section(stdout, 'CAPTURED'), /^ {2}[1-9]\d* packets of GUE, [1-9]\d* of GRE, 0 responses$/)).toBe(1)
  })

  it('find a server that expects no checksum', async () => {
    expect(await bad('gue-and-gre', 'no-checksum', [/^ {2}server2: gre-checksum: /])).toContain('  - server2 answered none of the 4 requests')
  })
})
