/** ipvsadm's rules: each line to what it means and back, each mistake by its place, and nothing lost on the way. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SpecError } from '../../../../lib/base/check.js'
import { serviceName } from '../../../../lib/ipvs/names.js'
import type { RealServerState, Service, ServiceState, Stats, VirtualServiceSpec } from '../../../../lib/ipvs/model.js'
import { formatRules, realServerArguments, serviceArguments, serviceKeyArguments } from '../../../../lib/ipvs/rules/format.js'
import { parseRules } from '../../../../lib/ipvs/rules/parse.js'
import { RulesError } from '../../../../lib/ipvs/rules/rule.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { virtualServices } from '../../../support/services.js'

/** Observed of `ipvsadm -S -n`; restored, they are printed again. */
const GOLDEN = `\
-A -t 10.0.0.1:80 -s rr
-a -t 10.0.0.1:80 -r 192.168.9.2:8080 -m -w 5
-a -t 10.0.0.1:80 -r 192.168.9.3:80 -g -w 1
-a -t 10.0.0.1:80 -r 192.168.9.4:80 -i -w 1 --tun-type ipip
-a -t 10.0.0.1:80 -r 192.168.9.5:80 -i -w 1 --tun-type gue --tun-port 6080 --tun-nocsum
-a -t 10.0.0.1:80 -r 192.168.9.7:80 -i -w 9 --tun-type gue --tun-port 6080 --tun-remcsum
-a -t 10.0.0.1:80 -r 192.168.9.8:80 -i -w 1 --tun-type gre --tun-csum
-a -t 10.0.0.1:80 -r [fd00::5]:80 -i -w 1 --tun-type ipip
-A -t 10.0.0.2:0 -s wlc -p 600 -M 255.255.255.0
-A -t 10.0.0.3:80 -s sh -b sh-fallback,sh-port
-A -t 10.0.0.5:80 -s wlc -b flag-1,flag-3
-A -u 10.0.0.1:53 -s wlc -o
-A -u 10.0.0.2:5060 -s wlc -p 60 --pe sip -o
-A --sctp-service 10.0.0.1:5000 -s wrr
-A -t [fd00::10]:80 -s rr -p 60 -M 64
-A -f 7 -s rr -p 90
-a -f 7 -r 192.168.9.2:0 -g -w 1
-A -f 7 -6 -s rr
-a -f 7 -6 -r [fd00::2]:0 -g -w 1
-A -f 8 -6 -s rr -p 50 -M 48
`

const one = (text: string): VirtualServiceSpec => {
  const specs = parseRules(text)
  expect(specs).toHaveLength(1)
  return specs[0]!
}
const server = (words: string, service = '-t 10.0.0.1:80'): unknown => one(`-A ${service}\n-a ${service} ${words}`).realServers[0]

describe('parseRules', () => {
  it('reads what ipvsadm saves, and formatRules prints it again', () => {
    expect(formatRules(parseRules(GOLDEN), { strict: true })).toBe(GOLDEN)
    expect(formatRules(parseRules(GOLDEN))).toBe(GOLDEN)
  })

  it('reads a declared drain, which ipvsadm does not know; strictly it prints what the kernel has', () => {
    const text = '-A -t 10.0.0.1:80 -s sh\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 5 --drain\n-a -t 10.0.0.1:80 -r 10.0.1.2:80 -g -w 1\n'
    expect(one(text).realServers).toMatchObject([{ address: '10.0.1.1', weight: 5, drain: true }, { address: '10.0.1.2' }])
    expect(one(text).realServers[1]).not.toHaveProperty('drain')
    expect(formatRules(parseRules(text))).toBe(text)
    expect(formatRules(parseRules(text), { strict: true })).toBe(text.replace('-s sh', '-s sh -b sh-fallback').replace('-w 5 --drain', '-w 0'))
  })

  it('gives a spec for each -A line, with what the line says', () => {
    expect(parseRules(GOLDEN).slice(0, 3)).toEqual([
      {
        vip: '10.0.0.1', port: 80, protocols: ['tcp'], scheduler: 'rr', realServers: [
          { address: '192.168.9.2', port: 8080, weight: 5, forward: 'masq' },
          { address: '192.168.9.3', port: 80, weight: 1, forward: 'route' },
          { address: '192.168.9.4', port: 80, weight: 1, forward: 'tunnel' },
          { address: '192.168.9.5', port: 80, weight: 1, forward: { kind: 'gue', port: 6080 } },
          { address: '192.168.9.7', port: 80, weight: 9, forward: { kind: 'gue', port: 6080, checksum: 'remcsum' } },
          { address: '192.168.9.8', port: 80, weight: 1, forward: { kind: 'gre', checksum: 'csum' } },
          { address: 'fd00::5', port: 80, weight: 1, forward: 'tunnel' },
        ],
      },
      { vip: '10.0.0.2', port: 0, protocols: ['tcp'], scheduler: 'wlc', persistence: { timeout: 600, netmask: '255.255.255.0' }, realServers: [] },
      { vip: '10.0.0.3', port: 80, protocols: ['tcp'], scheduler: 'sh', schedulerFlags: ['sh-fallback', 'sh-port'], realServers: [] },
    ])
  })

  const SERVICE = { vip: '10.0.0.1', port: 80, protocols: ['tcp'], scheduler: 'rr', realServers: [] }
  it.each([
    ['-A -t 10.0.0.1:80 -s rr', 'short'],
    ['--add-service --tcp-service 10.0.0.1:80 --scheduler rr', 'long'],
    ['--add-service --tcp-service=10.0.0.1:80 --scheduler=rr', 'long, with ='],
    ['-At 10.0.0.1:80 -srr', 'bundled'],
    ['-At10.0.0.1:80 -s=rr', 'attached'],
    ['ipvsadm -A -t 10.0.0.1:80 -s rr', 'a command line'],
    ['ipvsadm -A ipvsadm -t 10.0.0.1:80 -s rr', 'its name anywhere'],
    ['-A -s rr -t 10.0.0.1:80', 'in any order'],
    [' \t-A\t-t  10.0.0.1:80 -s rr \t\r', 'with other blanks'],
    ['-A -t 10.0.0.1:80 -s rr # the web', 'with a comment'],
    ['# the web\n\n   \n#\r\n-A -t 10.0.0.1:80 -s rr', 'after comments and blank lines'],
    ['-A -t 10.0.0.1:80 -s rr --', 'with an end of options'],
    ['-A -t 10.0.0.1:http -s rr', 'by the name of a port'],
    ['-A -t 10.0.0.1:+080 -s rr', 'with a sign and zeros'],
  ])('reads %j, %s', text => {
    expect(parseRules(text)).toEqual([SERVICE])
  })

  it.each([
    ['-p', {}],
    ['-p 60', { timeout: 60 }],
    ['-p60', { timeout: 60 }],
    ['-p=60', { timeout: 60 }],
    ['--persistent', {}],
    ['--persistent=60', { timeout: 60 }],
    ['-p -s wlc', {}],
    ['-p # comment', {}],
    ['-p -M 255.255.0.0', { netmask: '255.255.0.0' }],
    ['-M 255.255.0.0 -p 5', { timeout: 5, netmask: '255.255.0.0' }],
  ])('reads the optional value of %s', (words, persistence) => {
    expect(one(`-A -t 10.0.0.1:80 ${words}`).persistence).toEqual(persistence)
  })

  it.each([
    ['-A -f 7', { fwmark: 7, family: 'inet' }],
    ['-A -f 4294967295', { fwmark: 4294967295, family: 'inet' }],
    ['-A -f7 -6', { fwmark: 7, family: 'inet6' }],
    ['-A -f 7 -6p 60', { fwmark: 7, family: 'inet6', persistence: { timeout: 60 } }],
    ['-A -f 7 -M 64 -6', { fwmark: 7, family: 'inet6', netmask: 64 }],
    ['-A -M 64 -t [FD00:0::1]:80', { vip: 'fd00::1', port: 80, protocols: ['tcp'], netmask: 64 }],
    ['-A -t fd00::1:80 -p', { vip: 'fd00::1:80', port: 0, protocols: ['tcp'], persistence: {} }],
    ['-A -t 10.0.0.1 -p', { vip: '10.0.0.1', port: 0, protocols: ['tcp'], persistence: {} }],
    ['-A -u 10.0.0.1:domain -op 60', { vip: '10.0.0.1', port: 53, protocols: ['udp'], onePacket: true, persistence: { timeout: 60 } }],
    ['-A -u 10.0.0.1:5060 -p --pe sip', { vip: '10.0.0.1', port: 5060, protocols: ['udp'], persistence: { engine: 'sip' } }],
    ['-A --sctp-service 10.0.0.1:5000', { vip: '10.0.0.1', port: 5000, protocols: ['sctp'] }],
    ['-A -t 10.0.0.1:80 -b ,flag-3,,flag-1,flag-3', { vip: '10.0.0.1', port: 80, protocols: ['tcp'], schedulerFlags: ['flag-1', 'flag-3'] }],
    ['-A -f 7 -b flag-2,sh-fallback -s sh', { fwmark: 7, family: 'inet', scheduler: 'sh', schedulerFlags: ['sh-fallback', 'sh-port'] }],
    ['-A -f 7 -b flag-3,flag-1 -s mh', { fwmark: 7, family: 'inet', scheduler: 'mh', schedulerFlags: ['mh-fallback', 'flag-3'] }],
  ])('reads %s', (text, spec) => {
    expect(one(text)).toEqual({ ...spec, realServers: [] })
  })

  it.each([
    ['-r 10.0.1.1', { port: 80, forward: 'route' }],
    ['-r 10.0.1.1:8080', { port: 80, forward: 'route' }],
    ['-r 10.0.1.1:8080 -i', { port: 80, forward: 'tunnel' }],
    ['-r 10.0.1.1:8080 -m', { port: 8080, forward: 'masq' }],
    ['-r 10.0.1.1:0 -m', { port: 0, forward: 'masq' }],
    ['-m -r 10.0.1.1', { port: 80, forward: 'masq' }],
    ['-r 10.0.1.1:http -mw5', { port: 80, forward: 'masq', weight: 5 }],
    ['-r 10.0.1.1:8080 --local', { port: 8080, forward: 'local' }],
    ['--real-server=10.0.1.1 --masquerading --weight=2147483647', { port: 80, forward: 'masq', weight: 2147483647 }],
    ['-r 10.0.1.1 --gatewaying --u-threshold 9 --l-threshold 4', { port: 80, forward: 'route', thresholds: { upper: 9, lower: 4 } }],
    ['-r 10.0.1.1 -x 9', { port: 80, forward: 'route', thresholds: { upper: 9, lower: 0 } }],
    ['-r 10.0.1.1 --ipip --tun-type gue --tun-port=6080 --tun-csum', { port: 80, forward: { kind: 'gue', port: 6080, checksum: 'csum' } }],
    ['--tun-type gre --tun-nocsum -i -r 10.0.1.1', { port: 80, forward: { kind: 'gre' } }],
  ])('reads the real server %s', (words, expected) => {
    expect(server(words)).toEqual({ address: '10.0.1.1', weight: 1, ...expected })
  })

  it('leaves the port of a real server of a firewall mark alone', () => {
    expect(server('-r 10.0.1.1', '-f 7')).toEqual({ address: '10.0.1.1', port: 0, weight: 1, forward: 'route' })
    expect(server('-r 10.0.1.1:8080 -i', '-f 7')).toEqual({ address: '10.0.1.1', port: 8080, weight: 1, forward: 'tunnel' })
    expect(server('-r fd00::1', '-f 7 -6')).toEqual({ address: 'fd00::1', port: 0, weight: 1, forward: 'route' })
  })

  it('gives real servers to the service that they name, wherever it was added', () => {
    const specs = parseRules('-A -t 10.0.0.1:80\n-A -t [fd00:0:0::1]:80\n-a -t 10.0.0.1:http -r 10.0.1.1\n-a -t [fd00::1]:80 -r fd00::2\n-a -t 10.0.0.1:80 -r 10.0.1.2')
    expect(specs.map(spec => spec.realServers.map(s => (s as { address: string }).address))).toEqual([['10.0.1.1', '10.0.1.2'], ['fd00::2']])
  })

  it('knows where a line is wrong', () => {
    const text = '# rules\r\n-A -t 10.0.0.1:80 -s rr\r\n\r\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m -w heavy\r\n'
    const error = (() => { try { return parseRules(text) } catch (error) { return error } })()
    expect(error).toBeInstanceOf(RulesError)
    expect(error).toBeInstanceOf(SyntaxError)
    expect(error).toMatchObject({ name: 'RulesError', line: 4, column: 40, word: 'heavy', message: 'line 4, column 40: "heavy": is not a number' })
  })

  /** A line, the word that is wrong in it, and the reason; the word's column is where it stands in the line. */
  const A = '-A -t 10.0.0.1:80'
  const a = '-a -t 10.0.0.1:80 -r 10.0.1.1:80'
  it.each([
    // the line
    ['10.0.0.1:80 -A', '10.0.0.1:80', 'is not an option'],
    ['-t 10.0.0.1:80 -A', '-t', 'the command, -A or -a, must come first'],
    ['--', '--', 'the command, -A or -a, must come first'],
    ['-A', '-A', 'the service is missing: -t, -u, --sctp-service or -f'],
    ['-A -s rr', '-A', 'the service is missing: -t, -u, --sctp-service or -f'],
    ['-C', '-C', 'is not a rule: rules have -A or -a'],
    ['-E -t 10.0.0.1:80', '-E', 'is not a rule: rules have -A or -a'],
    ['--set 1 2 3', '--set', 'is not a rule: rules have -A or -a'],
    ['ipvsadm --restore', '--restore', 'is not a rule: rules have -A or -a'],
    ['/sbin/ipvsadm -A -t 10.0.0.1:80', '/sbin/ipvsadm', 'is not an option'],
    [`${A} -A`, '-A', 'conflicts with -A on the same line', 18],
    [`${A} -a`, '-a', 'conflicts with -A on the same line', 18],
    [`${A} rr`, 'rr', 'is not an option'],
    [`${A} - `, '-', 'is not an option', 18],
    [`${A} -- rr`, 'rr', 'is not an option'],
    [`${A} -z`, '-z', 'is not an option of ipvsadm'],
    [`${A} -oz`, '-z', 'is not an option of ipvsadm', 20],
    [`${A} --sched rr`, '--sched', 'is not an option of ipvsadm'],
    [`${A} --toString`, '--toString', 'is not an option of ipvsadm'],
    [`${A} --sched=rr`, '--sched', 'is not an option of ipvsadm'],
    [`${A} -s`, '-s', 'the value is missing'],
    [`${A} -s # rr`, '-s', 'the value is missing'],
    [`${A} --scheduler=`, '--scheduler', 'the value is missing'],
    [`${A} -p=`, '-p', 'the value is missing'],
    [`${A} --ops=1`, '--ops', 'takes no value'],
    [`${A} -s rr -s rr`, '-s', 'conflicts with -s on the same line', 24],
    [`${A} --scheduler rr -s rr`, '-s', 'conflicts with --scheduler on the same line', 33],
    [`${A} -u 10.0.0.1:80`, '-u', 'conflicts with -t on the same line'],
    [`${A} -w 1`, '-w', 'is not an option of -A'],
    [`${A} -r 10.0.1.1`, '-r', 'is not an option of -A'],
    [`--add-service -t 10.0.0.1:80 -x 1`, '-x', 'is not an option of --add-service'],
    [`${a} -s rr`, '-s', 'is not an option of -a'],
    [`${a} -p`, '-p', 'is not an option of -a'],
    // services
    [`-A -t 10.0.0.1:80\n-A -t 10.0.0.1:80`, '10.0.0.1:80', 'duplicates the service of line 1', 6],
    ['-A -t 10.1:80', '10.1:80', 'an IPv4 address has four decimal numbers'],
    ['-A -t 10.0.0.01:80', '10.0.0.01:80', 'an IPv4 address has four decimal numbers'],
    ['-A -t 10.0.0.256:80', '10.0.0.256:80', 'an IPv4 address has four decimal numbers'],
    ['-A -t 0x0a000001:80', '0x0a000001:80', 'an IPv4 address has four decimal numbers'],
    ['-A -t :80', ':80', 'an IPv4 address has four decimal numbers'],
    ['-A -t 80', '80', 'an IPv4 address has four decimal numbers'],
    ['-A -t www:80', 'www:80', 'is a host name, and names are not resolved: write the address'],
    ['-A -t 10.0.0.1:80:90', '10.0.0.1:80:90', 'is not an IPv6 address'],
    ['-A -t fd00::1%lo -p', 'fd00::1%lo', 'is not an IPv6 address'],
    ['-A -t [fd00::1] -p', '[fd00::1]', 'brackets enclose an IPv6 address before a port: [2001:db8::1]:80'],
    ['-A -t [fd00::1]80', '[fd00::1]80', 'brackets enclose an IPv6 address before a port: [2001:db8::1]:80'],
    ['-A -t [10.0.0.1]:80', '[10.0.0.1]:80', 'brackets enclose an IPv6 address before a port: [2001:db8::1]:80'],
    ['-A -t 10.0.0.1:', '10.0.0.1:', 'the port is missing'],
    ['-A -t 10.0.0.1:65536', '10.0.0.1:65536', '65536 is not a port from 0 to 65535'],
    ['-A -t 10.0.0.1:-1', '10.0.0.1:-1', '"-1" is not a known port of tcp: write the number'],
    ['-A -t 10.0.0.1:toString', '10.0.0.1:toString', '"toString" is not a known port of tcp: write the number'],
    ['-A -u 10.0.0.1:ftp', '10.0.0.1:ftp', '"ftp" is not a known port of udp: write the number'],
    ['-A -t 10.0.0.1:0', '10.0.0.1:0', '0 is every port and requires persistence; set persistence: {}'],
    ['-A -t fd00::1', 'fd00::1', '0 is every port and requires persistence; set persistence: {}'],
    ['-A -t 224.0.0.1:80', '224.0.0.1:80', '224.0.0.1 is a multicast address'],
    ['-A -f 0', '0', '0 is not an integer from 1 to 4294967295'],
    ['-A -f 4294967296', '4294967296', '4294967296 is not an integer from 1 to 4294967295'],
    ['-A -f -1', '-1', 'is not a number'],
    ['-A -f 0x10', '0x10', 'is not a number'],
    ['-A -6 -f 7', '-6', 'belongs after -f; an address implies its family'],
    [`${A} -6`, '-6', 'belongs after -f; an address implies its family'],
    [`${A} -s RR`, 'RR', '"RR" is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [`${A} --scheduler=../x`, '../x', '"../x" is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [`${A} -p 0`, '0', '0 is not an integer from 1 to 2678400', 21],
    [`${A} -p2678401`, '2678401', '2678401 is not an integer from 1 to 2678400'],
    [`${A} -p 1.5`, '1.5', 'is not a number'],
    [`${A} -po`, 'o', 'is not a number', 20],
    [`${A} -p -M 24`, '24', '"24" is not a mask such as 255.255.255.0'],
    [`${A} -M 255.0.255.0`, '255.0.255.0', '"255.0.255.0" is not a mask such as 255.255.255.0'],
    ['-A -f 7 -p -M 255.255.255.0 -6', '255.255.255.0', 'is not a number'],
    ['-A -f 7 -6 -p -M 129', '129', '129 is not an integer from 1 to 128'],
    ['-A -f 7 -6 -M 0', '0', '0 is not an integer from 1 to 128'],
    [`${A} -o`, '-o', 'requires UDP or a firewall mark'],
    [`${A} -p --pe sip`, 'sip', 'sip requires UDP or a firewall mark'],
    ['-A -u 10.0.0.1:80 --pe sip', '--pe', 'has no effect without -p'],
    [`${A} -b flag-4`, 'flag-4', '"flag-4" is not one of flag-1, flag-2, flag-3, sh-fallback, sh-port, mh-fallback, mh-port'],
    [`${A} -b flag-1,toString`, 'flag-1,toString', '"toString" is not one of flag-1, flag-2, flag-3, sh-fallback, sh-port, mh-fallback, mh-port'],
    [`${A} -s rr -b sh-port`, 'sh-port', 'sh-port is a flag of the scheduler sh, and this service has rr'],
    // real servers
    ['-a -t 10.0.0.1:80', '-a', 'the real server, -r, is missing'],
    ['-a -r 10.0.1.1', '-a', 'the service is missing: -t, -u, --sctp-service or -f'],
    ['-a -u 10.0.0.1:80 -r 10.0.1.1', '10.0.0.1:80', 'no earlier line adds this service'],
    ['-a -f 7 -r 10.0.1.1', '7', 'no earlier line adds this service'],
    [`${a}\n${a} -w 5`, '10.0.1.1:80', 'duplicates the real server of line 2'],
    [`${a} -g -i`, '-i', 'conflicts with -g on the same line'],
    [`${a} -gm`, '-m', 'conflicts with -g on the same line', 35],
    [`${a} -m -w -1`, '-1', 'is not a number'],
    [`${a} -m -w 2147483648`, '2147483648', '2147483648 is not an integer from 0 to 2147483647'],
    [`${a} -x 3 -y 5`, '5', '5 is above the upper threshold, 3', 41],
    [`${a} -y 5`, '5', '5 is above the upper threshold, 0'],
    [`${a} -x 2147483648`, '2147483648', '2147483648 is not an integer from 0 to 2147483647'],
    ['-a -t 10.0.0.1:80 -r www', 'www', 'is a host name, and names are not resolved: write the address'],
    ['-a -t 10.0.0.1:80 -r 224.0.0.1 -m', '224.0.0.1', '224.0.0.1 is a multicast address'],
    ['-a -t 10.0.0.1:80 -r 10.0.1.1:99999 -g', '10.0.1.1:99999', '99999 is not a port from 0 to 65535'],
    ['-a -t 10.0.0.1:80 -r [fd00::5]:80 -m', '[fd00::5]:80', 'fd00::5 is of another family than the service, which needs a tunnel; set forward: \'tunnel\''],
    [`${a} --tun-type ipip`, '--tun-type', 'requires -i'],
    [`${a} -m --tun-port 6080`, '--tun-port', 'requires -i'],
    [`${a} -i --tun-type vxlan`, 'vxlan', '"vxlan" is not one of ipip, gue, gre'],
    [`${a} -i --tun-type gue`, 'gue', 'gue requires --tun-port'],
    [`${a} -i --tun-type gue --tun-port 0`, '0', '0 is not an integer from 1 to 65535', 62],
    [`${a} -i --tun-port 6080`, '6080', 'a tunnel of kind ipip has no port; remove it'],
    [`${a} -i --tun-type gre --tun-port 6080`, '6080', 'a tunnel of kind gre has no port; remove it'],
    [`${a} -i --tun-csum`, '--tun-csum', 'ipip has no checksum'],
    [`${a} -i --tun-type ipip --tun-nocsum`, '--tun-nocsum', 'ipip has no checksum'],
    [`${a} -i --tun-type gre --tun-remcsum`, '--tun-remcsum', '"remcsum" is not a checksum of gre: csum'],
    [`${a} -i --tun-type gue --tun-port 1 --tun-csum --tun-nocsum`, '--tun-nocsum', 'conflicts with --tun-csum on the same line'],
  ] as [string, string, string, number?][])('refuses %j at %j: %s', (text, word, why, at) => {
    const before = text.startsWith('-a -t') && !text.startsWith('-a -u') ? `${A}\n` : ''
    const lines = (before + text).split('\n')
    const column = (at ?? lines.at(-1)!.indexOf(word)) + 1
    expect(() => parseRules(before + text)).toThrow(expect.objectContaining({
      name: 'RulesError', line: lines.length, column, word, message: `line ${lines.length}, column ${column}: ${JSON.stringify(word)}: ${why}`,
    }) as Error)
  })

  it('gives specs or a RulesError for any words', () => {
    const word = fc.oneof(
      fc.constantFrom('-A', '-a', '-t', '-f', '-6', '-s', '-p', '-M', '-b', '-r', '-m', '-g', '-i', '-w', '-x', '-y', '-o', '--pe', '--local', '--tun-type', '--tun-port', '--',
        '10.0.0.1:80', '[fd00::1]:80', 'fd00::2', '7', 'rr', 'gue', 'flag-1', '255.255.255.0', '#', '\n', '\r\n', 'ipvsadm', '-A -t 10.0.0.1:80', '-a -t 10.0.0.1:80 -r'),
      fc.string({ maxLength: 8 }),
    )
    fc.assert(fc.property(fc.array(word, { maxLength: 30 }), words => {
      try {
        parseRules(words.join(' ')).forEach(normalize)
      } catch (error) {
        if (!(error instanceof RulesError)) throw error
        const line = words.join(' ').split('\n')[error.line - 1]!
        expect(line.slice(error.column - 1)).toContain(error.word.replace(/^-(.)$/, '$1'))
      }
    }), { numRuns: 2000 })
  })
})

// ── what the kernel may hold ──

const idle: Stats = {
  connections: 0n, packetsIn: 0n, packetsOut: 0n, bytesIn: 0n, bytesOut: 0n,
  rates: { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 },
}
const realServerState = (more: Partial<RealServerState> = {}): RealServerState => ({
  address: '10.0.1.1', port: 80, forward: 'masq', weight: 1, thresholds: { upper: 0, lower: 0 },
  activeConnections: 0, inactiveConnections: 0, persistentConnections: 0, stats: idle, ...more,
})
const state = (more: object = {}, ...servers: Partial<RealServerState>[]): ServiceState => ({
  vip: '10.0.0.1', port: 80, protocol: 'tcp', scheduler: 'rr', schedulerFlags: [], onePacket: false, stats: idle, realServers: servers.map(realServerState), ...more,
})
const mark = (more: object, ...servers: Partial<RealServerState>[]): ServiceState =>
  ({ ...state(more, ...servers), vip: undefined, port: undefined, protocol: undefined, ...more } as unknown as ServiceState)

describe('formatRules', () => {
  it.each([
    [state({}, { thresholds: { upper: 9, lower: 4 } }),
      '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m -w 1\n',
      '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -m -w 1 -x 9 -y 4\n'],
    [state({ netmask: '255.255.255.0' }), '-A -t 10.0.0.1:80 -s rr\n', '-A -t 10.0.0.1:80 -s rr -M 255.255.255.0\n'],
    [state({ vip: 'fd00::1', netmask: 64 }), '-A -t [fd00::1]:80 -s rr\n', '-A -t [fd00::1]:80 -s rr -M 64\n'],
    [state({ engine: 'sip' }), '-A -t 10.0.0.1:80 -s rr --pe sip\n', '-A -t 10.0.0.1:80 -s rr --pe sip\n'],
    [mark({ fwmark: 0xffffffff, family: 'inet6' }, { address: 'fd00::2', port: 0 }),
      '-A -f -1 -6 -s rr\n-a -f -1 -6 -r [fd00::2]:0 -m -w 1\n', '-A -f 4294967295 -6 -s rr\n-a -f 4294967295 -6 -r [fd00::2]:0 -m -w 1\n'],
    [state({ scheduler: 'sh', schedulerFlags: ['flag-3'] }), '-A -t 10.0.0.1:80 -s sh -b \n', '-A -t 10.0.0.1:80 -s sh -b flag-3\n'],
    [state({ scheduler: 'sh', schedulerFlags: ['sh-port', 'flag-3'] }), '-A -t 10.0.0.1:80 -s sh -b sh-port\n', '-A -t 10.0.0.1:80 -s sh -b sh-port,flag-3\n'],
    [state({}, { forward: 'local' }), '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 -g -w 1\n',
      '-A -t 10.0.0.1:80 -s rr\n-a -t 10.0.0.1:80 -r 10.0.1.1:80 --local -w 1\n'],
    [state({ vip: '::102:304' }, { address: '::ffff:a00:1', forward: 'route' }),
      '-A -t [::1.2.3.4]:80 -s rr\n-a -t [::1.2.3.4]:80 -r [::ffff:10.0.0.1]:80 -g -w 1\n',
      '-A -t [::1.2.3.4]:80 -s rr\n-a -t [::1.2.3.4]:80 -r [::ffff:10.0.0.1]:80 -g -w 1\n'],
    [state({ vip: '::5' }), '-A -t [::5]:80 -s rr\n', '-A -t [::5]:80 -s rr\n'],
  ])('prints as ipvsadm does, or all that there is: %#', (service, strict, lossless) => {
    expect(formatRules([service], { strict: true })).toBe(strict)
    expect(formatRules([service])).toBe(lossless)
  })

  it.each([
    [state({ protocol: 47 }), '-A --xxx-service 10.0.0.1:80 -s rr', 'protocol 47 10.0.0.1:80: ipvsadm has no option for protocol 47'],
    [state({}, { forward: 'bypass' }), '-a -t 10.0.0.1:80 -r 10.0.1.1:80 (null) -w 1', 'tcp 10.0.0.1:80 to 10.0.1.1:80: ipvsadm has no option for forwarding bypass'],
    [state({}, { forward: 7 }), '-a -t 10.0.0.1:80 -r 10.0.1.1:80 (null) -w 1', 'tcp 10.0.0.1:80 to 10.0.1.1:80: ipvsadm has no option for forwarding 7'],
    [state({}, { forward: { kind: 3, port: 0, checksum: undefined } }), '-a -t 10.0.0.1:80 -r 10.0.1.1:80 -i -w 1', 'tcp 10.0.0.1:80 to 10.0.1.1:80: ipvsadm has no option for tunnel type 3'],
    [state({}, { forward: { kind: 'ipip', port: 0, checksum: 'csum' } }), '-a -t 10.0.0.1:80 -r 10.0.1.1:80 -i -w 1 --tun-type ipip',
      'tcp 10.0.0.1:80 to 10.0.1.1:80: ipvsadm has no option for tunnel flags 1 of ipip'],
    [state({}, { forward: { kind: 'gre', port: 5, checksum: undefined } }), '-a -t 10.0.0.1:80 -r 10.0.1.1:80 -i -w 1 --tun-type gre --tun-nocsum',
      'tcp 10.0.0.1:80 to 10.0.1.1:80: ipvsadm has no option for port 5 of gre'],
    [state({}, { forward: { kind: 'gre', port: 0, checksum: 'remcsum' } }), '-a -t 10.0.0.1:80 -r 10.0.1.1:80 -i -w 1 --tun-type gre --tun-remcsum',
      'tcp 10.0.0.1:80 to 10.0.1.1:80: ipvsadm has no option for tunnel flags 2 of gre'],
    [state({}, { address: 'fd00::2', forward: { kind: 'gue', port: 5, checksum: 3 } }), undefined, 'tcp 10.0.0.1:80 to [fd00::2]:80: ipvsadm has no option for tunnel flags 3 of gue'],
  ])('refuses what only a foreign program sets, unless strict: %#', (service, line, why) => {
    expect(() => formatRules([service])).toThrow(why)
    if (line === undefined) expect(() => formatRules([service], { strict: true })).toThrow(SpecError)
    else expect(formatRules([service], { strict: true }).split('\n').at(-2)).toBe(line)
  })

  it('refuses a spec that is not valid', () => {
    expect(() => formatRules([{ vip: '10.0.0.1', port: 0, protocols: ['tcp'], realServers: [] }])).toThrow(SpecError)
  })

  it('prints a line for each of several protocols, and takes normal forms and states', () => {
    const spec: VirtualServiceSpec = { vip: '10.0.0.1', port: 53, protocols: ['udp', 'tcp'], forward: 'tunnel', realServers: ['10.0.1.1'] }
    const text = `\
-A -t 10.0.0.1:53 -s wlc
-a -t 10.0.0.1:53 -r 10.0.1.1:53 -i -w 1 --tun-type ipip
-A -u 10.0.0.1:53 -s wlc
-a -u 10.0.0.1:53 -r 10.0.1.1:53 -i -w 1 --tun-type ipip
`
    expect(formatRules([spec])).toBe(text)
    expect(formatRules(normalize(spec))).toBe(text)
    expect(formatRules(normalize(spec).map(service => ({ ...service, stats: idle }) as ServiceState))).toBe(text)
    expect(formatRules([])).toBe('')
  })

  it('sorts by subtraction in 32 bits', () => {
    const vips = ['10.0.0.1', '255.255.255.254', '0.0.0.1', '10.0.0.2']
    const sorted = (...of: string[]): string[] => formatRules(of.map(vip => state({ vip }))).split('\n').slice(0, -1).map(line => line.split(/[ :]/)[2]!)
    expect(sorted(...vips)).toEqual(['255.255.255.254', '0.0.0.1', '10.0.0.1', '10.0.0.2'])
    expect(sorted('10.0.0.1', '224.0.0.1')).toEqual(['224.0.0.1', '10.0.0.1'])
    // No order at all, since 10 < 127 < 224 < 10: the order in which they were listed decides.
    expect(sorted('10.0.0.1', '127.0.0.1', '224.0.0.1')).toEqual(['10.0.0.1', '127.0.0.1', '224.0.0.1'])
    expect(sorted('127.0.0.1', '224.0.0.1', '10.0.0.1')).toEqual(['127.0.0.1', '224.0.0.1', '10.0.0.1'])
    expect(sorted('224.0.0.1', '127.0.0.1', '10.0.0.1')).toEqual(['224.0.0.1', '10.0.0.1', '127.0.0.1'])
  })
})

describe('an operator\'s notation', () => {
  it('says a service and a real server', () => {
    const service = state({ persistence: { timeout: 60, netmask: '255.255.255.255' } })
    expect(serviceKeyArguments(service)).toBe('-t 10.0.0.1:80')
    expect(serviceArguments(service)).toBe('-t 10.0.0.1:80 -s rr -p 60')
    expect(realServerArguments(service, realServerState())).toBe('-t 10.0.0.1:80 -r 10.0.1.1:80 -m -w 1')
  })

  it('says what no rule can', () => {
    expect(serviceArguments(state({ protocol: 47 }))).toBe('--protocol 47 10.0.0.1:80 -s rr')
    expect(realServerArguments(state(), realServerState({ forward: 'bypass' }))).toBe('-t 10.0.0.1:80 -r 10.0.1.1:80 --forward bypass -w 1')
    expect(realServerArguments(state(), realServerState({ forward: { kind: 3, port: 5, checksum: 65535 } })))
      .toBe('-t 10.0.0.1:80 -r 10.0.1.1:80 -i -w 1 --tun-type 3 --tun-port 5 --tun-flags 65535')
  })
})

// ── nothing is lost ──

/** Services by name, with their real servers in one order. */
const byName = (services: readonly Service[]): Record<string, Service> => Object.fromEntries(services.map(service =>
  [serviceName(service), { ...service, realServers: service.realServers.toSorted((a, b) => `${a.address} ${a.port}` < `${b.address} ${b.port}` ? -1 : 1) }]))

describe('rules of any valid services', () => {
  it('read back as the same services', () => {
    fc.assert(fc.property(virtualServices(), specs => {
      const services = specs.flatMap(normalize)
      expect(byName(parseRules(formatRules(specs)).flatMap(normalize))).toEqual(byName(services))
    }), { numRuns: 500 })
  })

  it('print again as they were, where ipvsadm\'s order is one', () => {
    fc.assert(fc.property(virtualServices({ ordered: true, local: false }), fc.boolean(), (specs, strict) => {
      const text = formatRules(specs, { strict })
      fc.pre(!text.includes('-b \n'))
      expect(formatRules(parseRules(text), { strict })).toBe(text)
    }), { numRuns: 300 })
  })

  it('say the same as each service and real server by itself', () => {
    fc.assert(fc.property(virtualServices(), specs => {
      const lines = specs.flatMap(normalize).flatMap(service =>
        [`-A ${serviceArguments(service)}`, ...service.realServers.map(server => `-a ${realServerArguments(service, server)}`)])
      expect(formatRules(specs).split('\n').slice(0, -1).sort()).toEqual(lines.sort())
    }))
  })
})
