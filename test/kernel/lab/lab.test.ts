import { execFileSync } from 'node:child_process'
import { expect, test } from 'vitest'

const sh = (script: string) => execFileSync('bash', ['-euc', script], { encoding: 'utf8' })

test('the lab is root in a kernel with IPVS', () => {
  console.log(`kernel ${sh('uname -sr')}`)
  expect(process.getuid?.()).toBe(0)
  expect(sh('ipvsadm -Ln')).toMatch(/^IP Virtual Server version 1\.\d+\.\d+ \(size=\d+\)\n/)
})

test('schedulers load by themselves', () => {
  expect(sh('ipvsadm -A -t 192.0.2.1:80 -s mh; ipvsadm -Ln; ipvsadm -D -t 192.0.2.1:80')).toContain('TCP  192.0.2.1:80 mh')
})

test('kinds of link load by themselves, fou by name', () => {
  const kinds = {
    ipip:   'type ipip local 192.0.2.1 remote 192.0.2.2',
    gre:    'type gre local 192.0.2.1 remote 192.0.2.2',
    vxlan:  'type vxlan id 42 remote 192.0.2.2 dstport 4789',
    dummy:  'type dummy',
    bridge: 'type bridge',
  }
  for (const [kind, definition] of Object.entries(kinds)) {
    expect(sh(`ip link add lab0 ${definition}; ip -d link show lab0; ip link delete lab0`)).toContain(kind)
  }
  sh('modprobe fou; grep -q ^fou /proc/modules')
})

test('namespaces are hosts: they reach each other over a veth pair', () => {
  expect(sh(`
    ip netns add lab-a
    ip link add lab-v0 type veth peer name eth0 netns lab-a
    ip address add 198.51.100.1/24 dev lab-v0
    ip link set lab-v0 up
    ip -n lab-a address add 198.51.100.2/24 dev eth0
    ip -n lab-a link set eth0 up
    ip netns exec lab-a ip -br address show eth0
    python3 -c 'import socket; s = socket.socket(); s.settimeout(5); print(s.connect_ex(("198.51.100.2", 9)))'
    ip netns delete lab-a`)).toMatch(/198\.51\.100\.2\/24[^]*\n111\n$/) // ECONNREFUSED: the other host answered
})

test('what marks packets for a service by firewall mark loads by itself', () => {
  expect(sh(`
    tc qdisc add dev lo clsact
    tc filter add dev lo ingress protocol ip flower ip_proto tcp dst_ip 192.0.2.1 dst_port 80 action skbedit mark 7
    tc filter show dev lo ingress
    tc qdisc del dev lo clsact`)).toMatch(/dst_port 80[^]*skbedit +mark 7/)
})

test('what is written to /tmp stays in the lab, and every device a program needs is there', () => {
  expect(sh('findmnt -no FSTYPE /tmp; findmnt -no FSTYPE /run').split('\n')).toEqual(['tmpfs', 'tmpfs', ''])
  sh('echo >/dev/null; head -c 1 /dev/urandom >/dev/null; cat <(echo) >/dev/null; script -qc true /dev/null >/dev/null; touch /dev/shm/a; rm /dev/shm/a')
})
