/**
 * The kernel's own test of IPVS, in idea: a client, a director and servers as network namespaces; bytes at random through the VIP
 * arrive as they were, by NAT, direct routing and tunnels. The director is set up by lines that an operator would type, and
 * `ipvsadm` is examples/ipvsadm.ts.
 */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { TestHosts, type TestHost } from '../../support/hosts.js'

const VIP = '192.0.2.100'
const BIN = '/tmp/bin'
const PROGRAM = fileURLToPath(new URL('../../../dist/examples/ipvsadm.js', import.meta.url))
const BYTES = 300_000

/*
 *   client ── front 10.0.0.0/24 ── director ── back 172.16.0.0/24 ── server1, server2
 *     └─────────────────── direct 10.0.1.0/24 ──────────────────────────┘
 */
let hosts: TestHosts
let client: TestHost, director: TestHost, servers: TestHost[]
beforeAll(async () => {
  mkdirSync(BIN, { recursive: true })
  writeFileSync(`${BIN}/ipvsadm`, `#!/bin/sh\nexec ${process.execPath} ${PROGRAM} "$@"\n`)
  chmodSync(`${BIN}/ipvsadm`, 0o755)
  hosts = await TestHosts.up([
    { name: 'client', links: { eth0: ['front', '10.0.0.2/24'], eth1: ['direct', '10.0.1.2/24'] }, ip: [`route add ${VIP} via 10.0.0.1`] },
    { name: 'director', links: { eth0: ['front', '10.0.0.1/24'], eth1: ['back', '172.16.0.1/24'] }, ip: [`address add ${VIP}/32 dev lo`] },
    ...[1, 2].map(i => ({ name: `server${i}`, links: { eth0: ['back', `172.16.0.1${i}/24`], eth1: ['direct', `10.0.1.1${i}/24`] } as const })),
  ])
  client = hosts.host('client')
  director = hosts.host('director')
  servers = [hosts.host('server1'), hosts.host('server2')]
  // Replies come by another way than requests go.
  for (const host of [client, ...servers]) await host.sysctl('net.ipv4.conf.all.rp_filter=0', 'net.ipv4.conf.eth0.rp_filter=0', 'net.ipv4.conf.eth1.rp_filter=0')
  await director.sysctl('net.ipv4.ip_forward=1')
  for (const server of servers) {
    await server.call('echo', 8080)
    await server.call('echo', 8000)
  }
}, 240_000)
afterAll(async () => { await hosts[Symbol.asyncDispose]() })

/** A line on the director. */
const shell = async (line: string): Promise<string> => await director.call('run', ['env', `PATH=${BIN}:${process.env.PATH!}`, 'sh', '-ec', line])

beforeEach(async () => {
  expect(await shell('command -v ipvsadm')).toBe(`${BIN}/ipvsadm\n`)
  await shell('ipvsadm -C')
})

/** Bytes at random to the VIP, and back: once to each server. */
async function exchange(port: number): Promise<void> {
  for (const _ of servers) expect(await client.call('exchange', { host: VIP, port, bytes: BYTES, timeout: 60_000 })).toBe('echoed')
  // The kernel sums its counters up every two seconds.
  await expect.poll(() => shell('ipvsadm -L -n --stats'), { timeout: 20_000, interval: 1000 })
    .toMatch(new RegExp(`^TCP +${VIP}:${port} +2 .*\n  -> 172\\.16\\.0\\.11:\\d+ +1 .*\n  -> 172\\.16\\.0\\.12:\\d+ +1 .*\n$`, 'm'))
}

describe('bytes through the VIP arrive as they were', () => {
  it('by NAT', async () => {
    for (const server of servers) server.ip('route replace 10.0.0.0/24 via 172.16.0.1')
    await shell(`
      ipvsadm -A -t ${VIP}:8080 -s rr
      ipvsadm -a -t ${VIP}:8080 -r 172.16.0.11:8000 -m
      ipvsadm -a -t ${VIP}:8080 -r 172.16.0.12:8000 -m
    `)
    await exchange(8080)
  })

  it('by direct routing', async () => {
    for (const server of servers) {
      await server.sysctl('net.ipv4.conf.eth0.arp_ignore=1', 'net.ipv4.conf.eth1.arp_ignore=1', 'net.ipv4.conf.eth1.arp_announce=2')
      server.ip('route replace 10.0.0.0/24 via 10.0.1.2', `address add ${VIP}/32 dev lo`)
    }
    await shell(`
      ipvsadm -A -t ${VIP}:8080 -s rr
      ipvsadm -a -t ${VIP}:8080 -r 172.16.0.11 -g
      ipvsadm -a -t ${VIP}:8080 -r 172.16.0.12 -g
    `)
    await exchange(8080)
    for (const server of servers) server.ip(`address delete ${VIP}/32 dev lo`)
  })

  it('by tunnels', async () => {
    for (const server of servers) {
      server.ip('route replace 10.0.0.0/24 via 10.0.1.2', 'link add tun0 type ipip local any remote any external', 'link set tun0 up', `address add ${VIP}/32 dev tun0`)
      await server.sysctl('net.ipv4.conf.tun0.rp_filter=0', 'net.ipv4.conf.eth0.arp_ignore=1', 'net.ipv4.conf.eth1.arp_ignore=1', 'net.ipv4.conf.eth1.arp_announce=2')
    }
    await shell(`
      echo "-A -t ${VIP}:8080 -s rr
      -a -t ${VIP}:8080 -r 172.16.0.11 -i
      -a -t ${VIP}:8080 -r 172.16.0.12 -i" | ipvsadm -R
    `)
    await exchange(8080)
  })
})
