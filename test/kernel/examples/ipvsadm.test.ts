/** examples/ipvsadm.ts against the real ipvsadm 1.31: the same command lines, from the same table. */

import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Connection, FamilyClient, ipvs } from '../../../generic-netlink/index.js'
import { ours, resultOf, stateOf, theirs, wordsOf, type State } from '../../support/ipvsadm.js'
import { connect } from '../../support/kernel.js'

/** Names for some addresses; the machine's own DNS is out of reach, and nobody's business. */
const HOSTS = `127.0.0.1 localhost
10.0.0.1 vip.example.org vip
10.0.0.2 a-very-long-name-of-a-host-that-goes-on-and-on-and-on.example-of-a-domain.org
10.0.0.3 twenty-eight-characters-abcd.org
10.0.1.1 rs1
fd00::1 vip6.example.org
fd00::11 rs6
255.255.255.0 mask.example.org
`

let connection: Connection
let client: FamilyClient<typeof ipvs.commands>
beforeAll(async () => {
  ({ connection, client } = await connect('descriptor'))
  writeFileSync('/tmp/hosts', HOSTS)
  execFileSync('mount', ['--bind', '/tmp/hosts', '/etc/hosts'])
})
afterAll(async () => {
  await client.call('flush', {})
  connection.close()
  execFileSync('umount', ['/etc/hosts'])
})

/** What every line begins with: services of every kind, in an order that is not the listed one. */
const TABLE = `-A -f 7 -6 -s wlc -o
-a -f 7 -6 -r fd00::11
-A -f 7 -p 90
-a -f 7 -r 10.0.1.1:80 -m
-A -t 10.0.0.1:80 -s sh -b sh-port,sh-fallback -p 60 -M 255.255.255.0
-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -m -w 5 -x 100 -y 50
-a -t 10.0.0.1:80 -r 10.0.0.2 -i
-a -t 10.0.0.1:80 -r [fd00::11]:80 -i --tun-type gue --tun-port 65535 --tun-remcsum
-A -t 10.0.0.2:443
-A -u 10.0.0.1:53 -s rr -o
-a -u 10.0.0.1:53 -r 10.0.1.1:53
-A -t [fd00::1]:80 -s mh -b mh-port -p -M 64
-a -t [fd00::1]:80 -r [fd00:1111:2222:3333:4444:5555:6666:7777]:80
-a -t [fd00::1]:80 -r 10.0.0.3:80 -i --tun-type gre --tun-csum
`

let start: State
beforeAll(async () => {
  expect(theirs(['-R'], TABLE)).toEqual({ status: 0, stdout: '', stderr: '' })
  start = await stateOf(client)
})

/** Gives both the same lines, and tells how many of them end how. */
async function same(lines: readonly string[]): Promise<Record<number, number>> {
  const statuses: Record<number, number> = {}
  for (const line of lines) {
    const words = wordsOf(line)
    const theirOwn = await resultOf(client, start, () => theirs(words))
    expect({ line, ...await resultOf(client, start, () => ours(words)) }).toEqual({ line, ...theirOwn })
    statuses[theirOwn.status] = (statuses[theirOwn.status] ?? 0) + 1
  }
  return statuses
}

const S = '-A -t 10.9.9.9:80'
const U = '-A -u 10.9.9.9:80'
const E = '-E -t 10.0.0.1:80'
const R = '-a -t 10.0.0.2:443 -r 10.0.1.9:80'
const M = '--start-daemon master --mcast-interface lo'

const LINES: Readonly<Record<string, readonly string[]>> = {
  'commands': [
    '', '-x', '--nosuch', 'foo', '--', '-', '\'\'', '-n', '-t 10.0.0.1:80 -A', '-6', '-Lz', '-L -z', '-L --nosuch', '-L --nosuch=1', '-L -- foo', '-L foo', '-L -', '-L \'\'', '-?',
    '--usage', '-A -A', `${S} -A`, `${S} -E`, `${S} --start-daemon master`, `${S} --start-daemon`, `${S} -L`, '-At 10.9.9.9:80 -Lb flag-1', '-A --=foo', '-A ---', '-A --=', '-L=',
    '-L=n', '--list=1', '-L -n=', '--add-service', '--clear', '-C', '--zero', '-Z', '--list', '--save', '-l', '-ln', '-nL', '--set', '--restore', '-C -C', 'x -C', '-C x', '-S x',

  ],
  'virtual services': [
    S, '-At10.9.9.9:80', '-At=10.9.9.9:80', '-A -t==10.9.9.9:80', '--add-service --tcp-service=10.9.9.9:80 --scheduler=rr', `${S} -s rr`, `${S} -srr`, `${S} -s=rr`, `${S} -s==rr`,
    `${S} -s=`, `${S} -s ''`, `${S} -s`, `${S} --scheduler`, `${S} --scheduler=`, `${S} -s nosuch`, `${S} -s RR`, `${S} -s none`, `${S} -s abcdefghijklmno`, `${S} -s abcdefghijklmnop`, `${S} -s \u00e4\u00f6\u00fc\u00e4\u00f6\u00fc\u00e4\u00f6\u00fc`, '-A -t \u00e4:80',
    `${S} -s rr -s rr`, `${S} -s rr -s`, '-A', '-A -s rr', '-A -t', '-A -t \'\'', '-A --tcp-service', '-A --tcp-service=', '-A -t 10.0.0.1:80', '-A -t 10.0.0.1:81',
    '-A -u 10.0.0.1:80', '-A --sctp-service 10.0.0.1:80', '-A -t 80', '-A -t :80', '-A -t 10.9.9.9', '-A -t 10.9.9.9:', '-A -t 10.9.9.9:0', '-A -t 10.9.9.9:0 -p',
    '-A -t 10.9.9.9:65535', '-A -t 10.9.9.9:65536', '-A -t 10.9.9.9:-1', '-A -t 10.9.9.9:+80', '-A -t 10.9.9.9:~80', '-A -t 10.9.9.9:80~', '-A -t 10.9.9.9:0x50', '-A -t 10.9.9.9:080',
    '-A -t 10.9.9.9:80:90', '-A -t 10.9.9.9:http', '-A -t 10.9.9.9:HTTP', '-A -t 10.9.9.9:www', '-A -u 10.9.9.9:domain', '-A -u 10.9.9.9:http', '-A -t 10.9.9.9:nosuch',
    '-A --sctp-service 10.9.9.9:http', '-A -t 10.9.9.9~foo:80', '-A -t 10.9.9.9~:80', '-A -t ~10.9.9.9:80', '-A -t 10.1:80', '-A -t 10.1.257:80', '-A -t 012.1.2.3:80',
    '-A -t 0xa.1:80', '-A -t 0x.1:80', '-A -t 08.1.1.1:80', '-A -t 4294967295:80', '-A -t 4294967296:80', '-A -t 0xffffffff1:80', '-A -t 1.2.3.256:80', '-A -t 256.2.3:80',
    '-A -t 1.16777216:80', '-A -t 1.16777215:80', '-A -t 1..2:80', '-A -t 1.2.:80', '-A -t .1:80', '-A -t 1.2.3.4.5:80', '-A -t -1.2.3.4:80', '-A -t 0:80', '-A -t 0.0.0.0:80',
    '-A -t 224.0.0.1:80', '-A -t 127.0.0.1:80', '-A -t 255.255.255.255:80', '-A -t localhost:80', '-A -t vip:81', '-A -t vip.example.org:82', '-A -t nosuch.example.org:80',
    '-A -t vip6.example.org:80', '-A -t a,b:80', '-A -t vip', '-A -t [fd00::9]:80', '-A -t fd00::9', '-A -t fd00::9 -p', '-A -t fd00::9:80', '-A -t fd00::9:80 -p', '-A -t [fd00::9]',
    '-A -t [fd00::9] -p', '-A -t [fd00::9]:', '-A -t [fd00::9]80', '-A -t [fd00::9', '-A -t fd00::9]:80', '-A -t []:80', '-A -t [10.9.9.9]:80', '-A -t [10.9.9.9]:80 -p',
    '-A -t [10.9.9.9:81]:80', '-A -t [FD00::9]:80', '-A -t [fd00::9%lo]:80', '-A -t [fd00::9]:http', '-A -t [fd00::9]:80:90', '-A -t [::1.2.3.4]:80', '-A -t [::1:2]:80',
    '-A -t [::]:80', '-A -t [::1]:80', '-A -t [ff02::1]:80', '-A -t [::ffff:10.0.0.1]:80', '-A -t [1:0:2:0:3:0:4:0]:80', '-A -t [1:0:0:2:0:0:0:3]:80', '-A -t [fd00::g]:80',
    '-A -t [1:2:3:4:5:6:7:8:9]:80', '-A -t [1::2::3]:80', '-A -t [vip]:80', '-A -t :::80', '-A -t [::]:0 -p', '-A -f 9', '-Af9', '-A -f 0', '-A -f -1', '-A -f +9', '-A -f ~9',
    '-A -f 9~', '-A -f 4294967295', '-A -f 4294967296', '-A -f 2147483648', '-A -f 99999999999999999999', '-A -f 0x10', '-A -f 010', '-A -f 9x', '-A -f \'\'', '-A -f', '-A -f 7',
    '-A -f 7 -6', '-A -f 9 -6', '-A -6 -f 9', '-A -f9 --ipv6', '-A -f 9 -66', '-A -f 9 -6p 60', `${S} -6`, '-A -f 9 -t 10.9.9.9:80', '-A -t 10.9.9.9:80 -f 9', `${S} -u 10.9.9.9:80`,
    `${S} -t 10.9.9.9:80`, '-A -f 9 -o', '-A -f 9 --pe sip', '-A -f 9 -s rr -p 100 -M 255.0.0.0', '-A -f 9 -6 -M 48 -p', '-A -f 9 -M 48 -6 -p', '-A -f 9 -M 48 -p',
  ],
  'their options': [
    `${S} -p`, `${S} -p 60`, `${S} -p60`, `${S} -p=60`, `${S} --persistent=60`, `${S} --persistent 60`, `${S} --persistent`, `${S} --persistent=`, `${S} -p ''`, `${S} -p 0`,
    `${S} -p -1`, `${S} -p 1`, `${S} -p 2678400`, `${S} -p 2678401`, `${S} -p xx`, `${S} -p 0x10`, `${S} -p 010`, `${S} -p +10`, `${S} -p ~10`, `${S} -p 1.5`,
    `${S} -p 99999999999999999999`, `${S} -p -s rr`, `${S} -p -s`, `${S} -p -p`, `${S} -po`, `${S} -p -- x`, `${S} -p 60 x`, '-A -p 60 -t 10.9.9.9:80', '-A -p -t 10.9.9.9:80',
    `${S} -p -- `, `${S} -M 255.255.255.0`, `${S} -p -M 255.255.255.0`, `${S} -M 255.255.255.0 -p`, `${S} -p -M 255.255.255.255`, `${S} -p -M 0.0.0.0`, `${S} -p -M 255.0.255.0`,
    `${S} -p -M 24`, `${S} -p -M 0xffffff00`, `${S} -p -M mask.example.org`, `${S} -p -M nosuch`, `${S} -p -M ''`, `${S} -p -M`, `${S} -p -M 255.255.255.0 -M 255.255.255.0`,
    '-A -M 255.0.0.0 -p -t 10.9.9.9:80', '-A -M 64 -p -t [fd00::9]:80', '-A -t [fd00::9]:80 -p -M 64', '-A -t [fd00::9]:80 -p -M 0', '-A -t [fd00::9]:80 -p -M 1',
    '-A -t [fd00::9]:80 -p -M 128', '-A -t [fd00::9]:80 -p -M 129', '-A -t [fd00::9]:80 -p -M 064', '-A -t [fd00::9]:80 -p -M 64abc', '-A -t [fd00::9]:80 -p -M abc',
    '-A -t [fd00::9]:80 -p -M 4294967360', '-A -t [fd00::9]:80 -p -M ~+64', '-A -t [fd00::9]:80 -p -M -64', '-A -t [fd00::9]:80 -M 64', '-A -t [fd00::9]:80 -p -M 255.255.255.0',
    `${S} -o`, U, `${U} -o`, `${U} --ops`, `${U} -o -o`, `${U} -op`, '-A -o -u 10.9.9.9:80', '-A --sctp-service 10.9.9.9:80 -o', `${U} -o=`, `${U} -o=1`, `${U} -o==1`, `${U} --ops=1`,
    `${U} --ops=`, `${U} -p --pe sip`, `${U} --pe sip`, `${U} -p --pe=sip`, `${U} -p --pe nosuch`, `${U} -p --pe ''`, `${U} -p --pe`, `${U} --pe sip --pe sip`,
    `${U} -p --pe abcdefghijklmnopq`, `${S} -p --pe sip`, `${S} -b flag-1`, `${S} -b=flag-1,flag-2,flag-3`, `${S} -b flag-3,flag-1,flag-1`, `${S} -b flag-1,`, `${S} -b ,flag-1`,
    `${S} -b flag-1,,flag-2`, `${S} -b ''`, `${S} -b flag-4`, `${S} -b FLAG-1`, `${S} -b`, `${S} -b toString`, `${S} -b flag-1 -b flag-2`, `${S} -s sh -b sh-port`,
    `${S} -b sh-port -s sh`, `${S} -b sh-port`, `${S} -s mh -b sh-port`, `${S} -s sh -b sh-fallback,sh-port`, `${S} -s sh -b flag-1,flag-2`, `${S} -s sh -b flag-3`,
    `${S} -s sh -b mh-port`, `${S} -s mh -b mh-fallback,mh-port,flag-3`, `${S} -s mh -b mh-fallback`, `${S} --sched-flags flag-2`, '-A -t 10.9.9.9:0 -b nosuch',
    '-A -t 10.9.9.9:0 -b nosuch foo', '-A -b nosuch', `${S} -b sh-port -w 1`, `${S} rr`, `${S} -w 1`, `${S} -r 10.0.0.2:80`, `${S} -g`, `${S} -m`, `${S} -i`, `${S} -n`, `${S} -x 5`,
    `${S} -y 5`, `${S} -c`, `${S} -X`, `${S} --stats`, `${S} --sort`, `${S} --nosort`, `${S} --syncid 3`, `${S} --daemon`, `${S} --timeout`, `${S} --rate`, `${S} --thresholds`,
    `${S} --persistent-conn`, `${S} --tun-info`, `${S} --tun-type gue`, `${S} --mcast-ttl 4`, `${S} --mcast-port 4`, `${S} --mcast-group 239.1.1.1`, `${S} --mcast-interface lo`,
    `${S} --sync-maxlen 4`, `${S} -w x`, `${S} -x x`, `${S} -y x`, `${S} --syncid x`, `${S} --tun-type x`, `${S} --tun-port x`, `${S} --mcast-port x`, `${S} -nn`, '-A -n -w 1',
    '-A -w 1 -n', E, `${E} -s rr`, `${E} -s nosuch`, `${E} -p`, `${E} -p 5 -M 255.0.0.0`, `${E} -b flag-1`, `${E} -s wlc -o`, '-E -t 10.9.9.9:80', '-E -u 10.0.0.1:53',
    '-E -u 10.0.0.1:53 -p --pe sip', '-E -f 7', '-E -f 7 -6 -s rr', '-E -f 7 -p -M 255.0.0.0', '-E', '-E -t 10.0.0.1:0', '-E -t [fd00::1]:80 -s rr', '-E -t [fd00::1]:80 -p 3 -M 3',
    '--edit-service -t vip:http', `${E} -r 10.0.0.2`, '-D -t 10.0.0.1:80', '-D -t vip:http', '-D -t 10.0.0.1:81', '-D -u 10.0.0.1:53', '-D -f 7', '-D -f 7 -6', '-D -f 8',
    '-D -t [fd00::1]:80', '-D -t [fd00::2]:80', '-D', '-D -t 10.0.0.1:80 -s rr', '-D -t 10.0.0.1:80 -p', '--delete-service -u vip:domain', '-D -t 0.0.0.0:0', '-D -t 10.0.0.1',
    '-D -t 10.0.0.1:80 x', '-D -n',
  ],
  'real servers': [
    R, '-a -t 10.0.0.2:443 -r 10.0.1.9', '-a -t 10.0.0.2:443 -r 10.0.1.9:', '-a -t 10.0.0.2:443 -r 10.0.1.9:0', '-a -t 10.0.0.2:443 -r 10.0.1.9:0 -m',
    '-a -t 10.0.0.2:443 -r 10.0.1.9:8080 -g', '-a -t 10.0.0.2:443 -r 10.0.1.9:8080 -i', '-a -t 10.0.0.2:443 -r 10.0.1.9:8080 -m', '-a -r 10.0.1.9:80 -t 10.0.0.2:443',
    '-a -m -r 10.0.1.9 -t 10.0.0.2:443', '-a -m -r 10.0.1.9:http -t 10.0.0.2:443', '-a -t 10.0.0.2:443', '-a -r 10.0.1.9:80', '-a', '-a -t 10.0.0.2:443 -r',
    '-a -t 10.0.0.2:443 -r \'\'', '-a -t 10.0.0.2:443 -r 80', '-a -t 10.0.0.2:443 -r :80', '-a -t 10.0.0.2:443 -r 10.0.1.9:99999', '-a -t 10.0.0.2:443 -r rs1:http -m',
    '-a -t 10.0.0.2:443 -r rs1', '-a -t 10.0.0.2:443 -r nosuch', '-a -t 10.0.0.2:443 -r 10.1', '-a -t 10.0.0.9:443 -r 10.0.1.9', '-a -f 9 -r 10.0.1.9',
    '-a -t 10.0.0.1:80 -r 10.0.1.1:8080 -m', '-a -t 10.0.0.1:80 -r 10.0.1.1:8080', `${R} -g -g`, `${R} -g -i`, `${R} -gm`, `${R} -mw 5`, `${R} -m -w5`, `${R} -m -w=5`, `${R} -m -w 0`,
    `${R} -m -w -1`, `${R} -m -w 65535`, `${R} -m -w 65536`, `${R} -m -w 2147483647`, `${R} -m -w 2147483648`, `${R} -m -w 1 -w 1`, `${R} -m -w 0x10`, `${R} -m -w 010`, `${R} -m -w x`,
    `${R} -m -w`, `${R} -m -w ''`, `${R} -m -w -0`, `${R} -m -x 5 -y 3`, `${R} -m -x 3 -y 5`, `${R} -m -y 5`, `${R} -m -x 2147483647`, `${R} -m -x 2147483648`, `${R} -m -x -1`,
    `${R} -m -y -1`, `${R} -m -y x`, `${R} -m -x 1 -x 1`, `${R} -m -y 1 -y 1`, `${R} --u-threshold=9 --l-threshold=8`, `${R} --masquerading --weight=7`, `${R} --gatewaying`,
    `${R} --ipip`, '--add-server --tcp-service=10.0.0.2:443 --real-server=10.0.1.9:80', `${R} -r 10.0.1.8`, `${R} -6`, `${R} -s rr`, `${R} -p`, `${R} -M 255.0.0.0`, `${R} -n`,
    `${R} -c`, `${R} -o`, `${R} -b flag-1`, `${R} -b nosuch`, `${R} --pe sip`, `${R} x`, '-a -t 10.0.0.2:443 -r 224.0.0.1', '-a -t 10.0.0.2:443 -r 0.0.0.0',
    '-a -t 10.0.0.2:443 -r 255.255.255.255', '-a -t 10.0.0.2:443 -r 127.0.0.1', '-a -t 10.0.0.2:443 -r 10.0.0.2', '-a -t 10.0.0.2:443 -r [fd00::5]:80 -m',
    '-a -t 10.0.0.2:443 -r [fd00::5]:80', '-a -t 10.0.0.2:443 -r [fd00::5]:80 -i', '-a -t 10.0.0.2:443 -r fd00::5 -i', '-a -t 10.0.0.2:443 -r [fd00::5] -i',
    '-a -t [fd00::1]:80 -r 10.0.1.9:80 -i', '-a -t [fd00::1]:80 -r 10.0.1.9:80 -g', '-a -t [fd00::1]:80 -r fd00::5 -m', '-a -t [fd00::1]:80 -r fd00::5',
    '-a -t [fd00::1]:80 -r [fe80::5]:80 -m', '-a -t [fd00::1]:80 -r [::]:80 -m', '-a -t [fd00::1]:80 -r [::1]:80 -m', '-a -t [fd00::1]:80 -r [::ffff:10.0.0.1]:80 -m',
    '-a -t [fd00::1]:80 -r [ff02::1]:80 -m', `${R} -i --tun-type ipip`, `${R} --tun-type ipip`, `${R} -m --tun-type ipip`, `${R} -i --tun-type gue`,
    `${R} -i --tun-port 6080 --tun-type gue`, `${R} -i --tun-port 6080`, `${R} -i --tun-type gue --tun-port 0`, `${R} -i --tun-type gue --tun-port 65535`,
    `${R} -i --tun-type gue --tun-port 65536`, `${R} -i --tun-type gue --tun-port x`, `${R} -i --tun-type gue --tun-port 6080 --tun-csum`,
    `${R} -i --tun-type gue --tun-port 6080 --tun-nocsum`, `${R} -i --tun-type gue --tun-port 6080 --tun-remcsum`, `${R} -i --tun-type gue --tun-port 6080 --tun-csum --tun-remcsum`,
    `${R} -i --tun-type gue --tun-port 6080 --tun-nocsum --tun-remcsum`, `${R} -i --tun-type gue --tun-csum --tun-remcsum`, `${R} -i --tun-type gre`,
    `${R} -i --tun-type gre --tun-port 6080`, `${R} -i --tun-type gre --tun-csum`, `${R} -i --tun-type gre --tun-nocsum`, `${R} -i --tun-type gre --tun-remcsum`,
    `${R} -i --tun-type gre --tun-csum --tun-nocsum`, `${R} -i --tun-type ipip --tun-nocsum`, `${R} -i --tun-csum`, `${R} -i --tun-remcsum --tun-port 5`, `${R} -i --tun-type vxlan`,
    `${R} -i --tun-type GUE --tun-port 1`, `${R} -i --tun-type ''`, `${R} -i --tun-type`, `${R} -g --tun-port 6080`, `${R} --tun-csum`, `${R} -m --tun-nocsum`, `${R} -m --tun-remcsum`,
    `${R} -i --tun-type gue --tun-port 5 --tun-port 6`, `${R} -i --tun-type gue --tun-type gue`, `${R} -i --tun-csum --tun-csum`, `${R} -i --tun-info`,
    '-a -t 10.0.0.2:443 -r [fd00::5]:80 --tun-type gre', '-a -f 7 -r 10.0.1.9:80', '-a -f 7 -r 10.0.1.9', '-a -f 7 -r 10.0.1.9:8080 -i', '-a -f 7 -r 10.0.1.9:http -m',
    '-a -f 7 -r fd00::5 -i', '-a -f 7 -6 -r fd00::5', '-a -f 7 -6 -r 10.0.1.9 -i', '-a -f 7 -6 -r 10.0.1.9', '-a -f 7 -r fd00::5 -6', '-a -f 7 -r 10.0.1.1:80',
    '-e -t 10.0.0.1:80 -r 10.0.1.1:8080 -m', '-e -t 10.0.0.1:80 -r 10.0.1.1:8080 -m -w 9 -x 7', '-e -t 10.0.0.1:80 -r 10.0.1.1:8080', '-e -t 10.0.0.1:80 -r 10.0.0.2',
    '-e -t 10.0.0.1:80 -r 10.0.0.2 -i --tun-type gre', '-e -t 10.0.0.1:80 -r [fd00::11]:80', '-e -t 10.0.0.1:80 -r [fd00::11]:80 -i', '-e -t 10.0.0.9:80 -r 10.0.0.2',
    '-e -t 10.0.0.1:80 -r 10.0.0.9', '-e -t 10.0.0.1:80', '-e', '-e -f 7 -r 10.0.1.1:80 -w 3', '-e -f 7 -6 -r fd00::11 -w 3', '--edit-server -t vip:80 -r rs1:8080 -m -w 0',
    '-e -t 10.0.0.1:80 -r 10.0.1.1:8080 -m -x 1 -y 2', '-d -t 10.0.0.1:80 -r 10.0.1.1:8080', '-d -t 10.0.0.1:80 -r 10.0.1.1', '-d -t 10.0.0.1:80 -r 10.0.0.2',
    '-d -t 10.0.0.1:80 -r [fd00::11]:80', '-d -t 10.0.0.1:80 -r fd00::11', '-d -t 10.0.0.9:80 -r 10.0.0.2', '-d -t 10.0.0.1:80 -r 10.0.0.9', '-d -t 10.0.0.1:80', '-d',
    '-d -f 7 -r 10.0.1.1:80', '-d -f 7 -r 10.0.1.1', '-d -f 7 -6 -r fd00::11', '-d -t 10.0.0.1:80 -r 10.0.0.2 -m', '-d -t 10.0.0.1:80 -r 10.0.0.2 -w 1',
    '--delete-server -u vip:domain -r rs1', '-d -t [fd00::1]:80 -r 10.0.0.3:80', '-d -t 10.0.0.1:80 -r 224.0.0.1',
  ],
  'lists': [
    '-L', '-l', '-Ln', '-L -n', '-nL', '-L --numeric', '-L -n -n', '-Lnn', '-L --sort', '-L --sort --sort', '-L --nosort', '-Ln --nosort', '-L --nosort --nosort', '-L --exact', '-LX',
    '-L -XX', '-L --syncid 3', '-L --syncid 300', '-L --syncid 3 --syncid 3',
    ...[
      '--stats', '--rate', '--thresholds', '--persistent-conn', '--tun-info',
    ].flatMap(view => [`-L ${view}`, `-Ln ${view}`, `-Ln ${view} --exact`, `-Ln ${view} --nosort`, `-Ln ${view} -t 10.0.0.1:80`,
      `-L ${view} ${view}`, `-L -c ${view}`, `-L --timeout ${view}`, `-L --daemon ${view}`, `-L ${view}=1`]),
    '-L --stats --rate', '-L --rate --thresholds', '-L --persistent-conn --thresholds', '-L --tun-info --persistent-conn', '-L --tun-info --stats', '-L -t 10.0.0.1:80',
    '-L -t vip:http', '-Ln -t vip:http', '-L -t 10.0.0.1:80 --nosort', '-Ln -u 10.0.0.1:53', '-L -u 10.0.0.1:53', '-Ln -f 7', '-Ln -f 7 -6', '-L -f 7', '-L -f 9',
    '-Ln -t [fd00::1]:80', '-L -t [fd00::1]:80', '-L -t 10.0.0.9:80', '-Ln -t 10.0.0.9:80 --stats', '-L -t 0.0.0.0:0', '-L -t 10.0.0.2:443', '-L -t 10.0.0.1', '-L -t x', '-L -t',
    '-L --sctp-service 10.0.0.1:80', '-L -t 10.0.0.1:80 -u 10.0.0.1:53', '-L -6', '-L -f 0', '-Lc', '-Lcn', '-L -c', '-L --connection', '-L -c -c', '-L -c -t 10.0.0.1:80',
    '-L -c --timeout', '-L -c --daemon', '-L -c --nosort', '-L -c --exact', '-Lcn --persistent-conn', '-L --timeout', '-L --timeout -n', '-L --timeout --daemon',
    '-L --timeout -t 10.0.0.1:80', '-L --timeout --timeout', '-L --timeout --exact --nosort', '-L --daemon', '-L --daemon --exact', '-L --daemon -f 7',
    ...[
      '-s rr', '-p', '-M 255.0.0.0', '-r 10.0.0.1', '-m', '-w 1', '-x 1', '-y 1', '--mcast-interface lo', '-o', '--pe sip', '-b flag-1', '-b nosuch', '--mcast-group 239.1.1.1',
      '--mcast-port 1', '--mcast-ttl 1', '--sync-maxlen 1', '--tun-type gue', '--tun-port 1', '--tun-nocsum', '--tun-csum', '--tun-remcsum',
    ].map(option => `-L ${option}`),
    '-S', '-Sn', '-S -n', '-S --numeric', '-S -c', '-S -t 10.0.0.1:80', '-SnX', '-S --nosort', '-S --sort', '-S -n -n',
  ],
  'the table as a whole': [
    '-C', '-C -n', '-C -t 10.0.0.1:80', '-Z', '-Z -t 10.0.0.1:80', '-Z -t 10.0.0.9:80', '-Z -f 7', '-Z -f 7 -6', '-Z -f 8', '-Z -t 0.0.0.0:0', '-Z -u 0.0.0.0:0', '-Z -t [::]:0',
    '-Z -t 0.0.0.0:80', '-Z -t 10.0.0.1', '-Z -n', '-Z -t [fd00::1]:80', '-Z -u vip:domain', '-Z -s rr', '--zero', '-Z x', '--set 1 2 3', '--set 0 0 0', '--set 5 0 0', '--set 0 5 0',
    '--set 0 0 5', '--set', '--set 1', '--set 1 2', '--set 1 2 3 4', '--set -1 2 3', '--set 1 -2 3', '--set x 2 3', '--set 1 x 3', '--set 1 2 x', '--set \'\' 2 3',
    '--set 2678400 2678400 2678400', '--set 2678401 1 1', '--set 1 2678401 1', '--set 1 1 2678401', '--set x x x x', '--set 900 -- 120 300', '1 --set 2 3', '1 2 3 --set',
    '--set -- -1 2 3', '--set 1 2 3 -n', '--set 1 2 3 -t 10.0.0.1:80', '--set=1 2 3', '--set 1.5 2 3', '--set +1 ~2 3', M, `${M} --syncid 7`, `${M} --syncid 0`,
    `${M} --syncid 255`, `${M} --syncid 256`, `${M} --syncid -1`, `${M} --syncid x`, `${M} --mcast-group 239.1.1.1 --mcast-port 9999 --mcast-ttl 5 --sync-maxlen 1000`,
    `${M} --mcast-group 10.1.1.1`, `${M} --mcast-group 239.1.1`, `${M} --mcast-group 240.0.0.1`, `${M} --mcast-group 239.01.1.1`, `${M} --mcast-group x`, `${M} --mcast-group ''`,
    `${M} --mcast-group ff02::1`, `${M} --mcast-group FF05::99`, `${M} --mcast-group fd00::1`, `${M} --mcast-group :`, `${M} --mcast-group [ff02::1]`, `${M} --mcast-port 0`,
    `${M} --mcast-port 65535`, `${M} --mcast-port 65536`, `${M} --mcast-ttl 0`, `${M} --mcast-ttl 255`, `${M} --mcast-ttl 256`, `${M} --sync-maxlen 0`, `${M} --sync-maxlen 1`,
    `${M} --sync-maxlen 65507`, `${M} --sync-maxlen 65508`, `${M} --mcast-interface lo`, `${M} --mcast-ttl 1 --mcast-ttl 1`, `${M} -n`, `${M} -t 10.0.0.1:80`, `${M} x`,
    `${M} --daemon`, '--start-daemon master', '--start-daemon=backup --mcast-interface=lo', '--start-daemon backup --mcast-interface lo --sync-maxlen 100',
    '--start-daemon backup --mcast-interface nosuch', '--start-daemon backup --mcast-interface abcdefghijklmnopqrstu', '--start-daemon backup --mcast-interface \'\'', '--start-daemon',
    '--start-daemon foo', '--start-daemon \'\'', '--start-daemon MASTER', '--start-daemon master backup', '--stop-daemon', '--stop-daemon foo', '--stop-daemon master',
    '--stop-daemon backup', '--stop-daemon master --syncid 3', '--stop-daemon master --syncid 300', '--stop-daemon master --mcast-interface lo', '--stop-daemon master x', '-R -n',
    '-R x', '-R -t 10.0.0.1:80',
  ],
}

describe('the same status, output and table as the real ipvsadm', () => {
  it.each(Object.keys(LINES))('%s', async group => { await same(LINES[group]!) }, 1_200_000)
})

// ── lines made up ──

const value = (good: readonly string[], bad: readonly string[]): fc.Arbitrary<string> =>
  fc.oneof({ weight: 5, arbitrary: fc.constantFrom(...good) }, { weight: 1, arbitrary: fc.constantFrom(...bad) })
const option = (names: readonly string[], values?: fc.Arbitrary<string>): fc.Arbitrary<string[]> => values === undefined
  ? fc.constantFrom(...names).map(name => [name])
  : fc.tuple(fc.constantFrom(...names), values, fc.boolean()).map(([name, text, one]) => one && name.startsWith('--') ? [`${name}=${text}`] : one && text !== '' ? [name + text] : [name, text])

const ENDPOINTS = ['10.0.0.1:80', '10.0.0.2:443', '10.0.0.1:53', '10.9.9.9:80', '10.9.9.9', '[fd00::1]:80', '[fd00::9]:8080', 'vip:http', 'fd00::1', '10.0.0.1:0']
const SERVERS = ['10.0.1.1:8080', '10.0.1.1', '10.0.0.2', '[fd00::11]:80', 'fd00::11', '10.0.1.9:443', 'rs1:80', '10.0.0.3:80']
const NUMBERS = ['0', '1', '5', '255', '65535']
const NO_NUMBERS = ['', 'x', '-1', '4294967296', '0x1', '1.5', '~1']
const service = fc.oneof(
  { weight: 4, arbitrary: option(['-t', '-u', '--tcp-service', '--udp-service', '--sctp-service'], value(ENDPOINTS, ['', '80', ':80', 'nosuch:80', '[fd00::1]', '10.0.0.1:x'])) },
  { weight: 1, arbitrary: fc.tuple(option(['-f', '--fwmark-service'], value(['7', '8', '4294967295'], ['0', 'x', '4294967296'])), fc.constantFrom([], ['-6'])).map(words => words.flat()) },
)
const OPTIONS: Readonly<Record<'service' | 'server' | 'list' | 'daemon', readonly fc.Arbitrary<string[]>[]>> = {
  service: [
    option(['-s', '--scheduler'], value(['rr', 'sh', 'mh', 'wlc'], ['', 'nosuch'])), option(['-p', '--persistent']), option(['-p', '--persistent'], value(['60', '2678400'], NO_NUMBERS)), option(['-o', '--ops']),
    option(['-M', '--netmask'], value(['255.255.0.0', '64', '255.255.255.255', '128'], ['', '0', '129', 'nosuch'])), option(['--pe'], value(['sip'], ['', 'nosuch'])),
    option(['-b', '--sched-flags'], value(['flag-1', 'flag-1,flag-3', 'sh-port', 'sh-port,sh-fallback', 'mh-port'], ['', 'nosuch', 'flag-1,'])),
  ],
  server: [
    option(['-g', '-i', '-m', '--gatewaying', '--ipip', '--masquerading']), option(['-i']), option(['-w', '--weight'], value(NUMBERS, NO_NUMBERS)), option(['-x', '--u-threshold'], value(NUMBERS, NO_NUMBERS)),
    option(['-y', '--l-threshold'], value(NUMBERS, NO_NUMBERS)), option(['--tun-type'], value(['ipip', 'gue', 'gre'], ['', 'vxlan'])), option(['--tun-port'], value(['6080', '65535'], NO_NUMBERS)),
    option(['--tun-nocsum', '--tun-csum', '--tun-remcsum']),
  ],
  list: [
    option(['-n', '--numeric', '-c', '-X', '--exact', '--timeout', '--daemon', '--nosort', '--sort']), option(['-n']), option(['--stats', '--rate', '--thresholds', '--persistent-conn', '--tun-info']), service,
  ],
  daemon: [
    option(['--mcast-interface'], value(['lo'], ['', 'nosuch'])), option(['--syncid'], value(['0', '255'], ['256', 'x'])), option(['--mcast-group'], value(['239.1.1.1', 'ff02::1'], ['', '10.1.1.1', 'fd00::1'])),
    option(['--mcast-port', '--mcast-ttl', '--sync-maxlen'], value(['1', '200'], ['0', '65536', 'x'])),
  ],
}
const server = option(['-r', '--real-server'], value(SERVERS, ['', '80', '224.0.0.1', 'nosuch', '10.0.1.1:x']))

/** A command with what it needs, mostly, some of its options, and at times one of another's. */
const command = (names: readonly string[], needs: readonly fc.Arbitrary<string[]>[], own: readonly fc.Arbitrary<string[]>[]): fc.Arbitrary<string[]> =>
  fc.record({
    name: fc.constantFrom(...names),
    needed: fc.tuple(...needs),
    some: fc.array(fc.oneof(...own.length > 0 ? own : [fc.constant<string[]>([])]), { maxLength: 4 }),
    foreign: fc.option(fc.oneof(...Object.values(OPTIONS).flat(), server, fc.constantFrom(['x'], ['--'], ['-z'])), { nil: [], freq: 1 }),
    shuffled: fc.integer({ min: 0, max: 9 }),
  }).map(({ name, needed, some, foreign, shuffled }) => {
    // An option is read in the light of those before it.
    const rest = shuffled === 0 ? [...some, ...needed] : [...needed, ...some]
    return [name, ...rest.flat(), ...shuffled < 2 ? foreign : []]
  })

const line: fc.Arbitrary<string> = fc.oneof(
  { weight: 3, arbitrary: command(['-A', '-E', '--add-service', '--edit-service'], [service], OPTIONS.service) },
  { weight: 4, arbitrary: command(['-a', '-e', '--add-server', '--edit-server'], [service, server], OPTIONS.server) },
  { weight: 1, arbitrary: command(['-d', '--delete-server'], [service, server], []) },
  { weight: 1, arbitrary: command(['-D', '-Z', '--delete-service'], [service], []) },
  { weight: 2, arbitrary: command(['-L', '--list'], [], OPTIONS.list) },
  { weight: 1, arbitrary: command(['--start-daemon=master', '--start-daemon=backup', '--stop-daemon=master'], [option(['--mcast-interface'], fc.constant('lo'))], OPTIONS.daemon) },
  { weight: 1, arbitrary: command(['--set 1 2', '--set', '-S', '-C', '-R'], [], [option(NUMBERS), option(['-n'])]) },
).map(words => words.map(word => word === '' ? '\'\'' : word).join(' '))

describe('of lines made up at random too', () => {
  it.each([1, 2])('seed %i', async seed => {
    const { 0: done = 0, 2: wrong = 0, 255: refused = 0 } = await same(fc.sample(line, { seed, numRuns: 100 }))
    expect(Math.min(done, wrong, refused), `${done} ${wrong} ${refused}`).toBeGreaterThan(10)
  }, 600_000)
})
