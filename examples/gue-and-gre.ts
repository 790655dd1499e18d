/**
 * One service, two kinds of tunnels: the director reaches one real server by GUE (in UDP), the
 * other by GRE, both with checksums. A GRE link that does not expect a checksum drops packets that
 * have one, in silence; RealServer.plan makes one that does.
 *
 *     npm run lab -- node dist/examples/gue-and-gre.js
 *     npm run lab -- node dist/examples/gue-and-gre.js no-checksum   # a mistake; or no-port
 */

import {
  diagnoseRealServer, Director, planNetwork, planRealServer, VirtualService,
  type RealServerSetup, type VirtualServiceSpec,
} from 'ipvs-nl'
import { role, run } from './support/example.js'
import { apply, print, report, step } from './support/print.js'
import { succeed } from './support/processes.js'
import { sniff } from './support/tcpdump.js'
import { curl, replyText, serveWeb, unserved, type Reply } from './support/web.js'

const PICTURE = `
     client         director: the VIP 192.168.50.100
  192.168.50.10       192.168.50.253
        │                    │
  ──────┴─────────┬──────────┘
                  │ .50.254
                router
                  │ .52.254
        ┌─────────┴───────────┐
     server1               server2
  192.168.52.100        192.168.52.101
  GUE, UDP port 6080    GRE

  request   client ──> director ══ GUE or GRE ══> router ══> server
  response  client <──────────────────────────── router <── server`

/** What the director and the servers agree upon. */
const tunnels = {
  server1: { address: '192.168.52.100', kind: 'gue', port: 6080, checksum: 'csum' },
  server2: { address: '192.168.52.101', kind: 'gre', checksum: 'csum' },
} as const

const service: VirtualServiceSpec = {
  vip: '192.168.50.100', port: 80, protocol: 'tcp',
  network: { link: 'eth0', routes: [{ to: '192.168.52.0/24', via: '192.168.50.254' }] },
  scheduler: 'rr',
  realServers: [
    { address: tunnels.server1.address, forward: { kind: 'gue', port: 6080, checksum: 'csum' } },
    { address: tunnels.server2.address, forward: { kind: 'gre', checksum: 'csum' } },
  ],
}

/** Makes a host one of its real servers: its tunnel from this director, with the VIP at its end. */
function preparation(name: string): RealServerSetup {
  const { address: local, ...kind } = tunnels[name as keyof typeof tunnels]
  return { vip: '192.168.50.100', tunnel: { ...kind, local, remote: '192.168.50.253' } }
}

async function director(): Promise<void> {
  await apply(await planNetwork({ addresses: [{ address: '192.168.50.253/24', link: 'eth0' }] }))
  await using web = await VirtualService.open(service)
  await apply(await web.plan())
  await using director = await Director.open()
  process.stdout.write(await director.save({ strict: true })) // what the kernel has now
}

async function server(name: string): Promise<void> {
  const { address } = tunnels[name as keyof typeof tunnels]
  await apply(await planNetwork({
    addresses: [{ address: `${address}/24`, link: 'eth0' }],
    routes: [{ to: 'default', via: '192.168.52.254' }],
  }))
  await apply(await planRealServer(preparation(name)))
  await serveWeb(name, '192.168.50.100', 80)
}

// What tunnels carry to the VIP, and with checksums only: behind 8 bytes of UDP and 4 of GUE,
// behind 8 of GRE; an IP header has its destination at 16.
const VIP = '0xc0a83264'
const GUE = `udp port 6080 and udp[6:2] != 0 and udp[28:4] = ${VIP}`
const GRE = `proto gre and ip[20] & 0x80 != 0 and ip[44:4] = ${VIP}`
const RESPONSES = 'tcp and src host 192.168.50.100'

async function diagnoseDirector(): Promise<void> {
  await using web = await VirtualService.open(service)
  report(await web.diagnose())
}

async function diagnoseServer(name: string): Promise<void> {
  report(await diagnoseRealServer(preparation(name)))
}

await run({
  file: import.meta.url,
  picture: PICTURE,
  hosts: [
    { name: 'client', links: { eth0: ['lan50', '192.168.50.10/24'] }, ip: ['route add default via 192.168.50.254'] },
    { name: 'director', links: { eth0: ['lan50'] } },
    {
      name:   'router',
      links:  { eth0: ['lan50', '192.168.50.254/24'], eth1: ['lan52', '192.168.52.254/24'] },
      sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.all.rp_filter': 2 }, // responses have the VIP as their source
    },
    { name: 'server1', links: { eth0: ['lan52'] } },
    { name: 'server2', links: { eth0: ['lan52'] } },
  ],
  roles: { director, server, diagnoseDirector, diagnoseServer },
  mistakes: {
    /** As `ip link add … type gre` makes it. */
    'no-checksum': hosts => hosts.must('server2', ['ip', 'link', 'change', 'tun0', 'type', 'gre', 'nocsum']),
    'no-port': hosts => hosts.must('server1', ['ip', 'fou', 'del', 'port', '6080']),
  },

  async configure(hosts) {
    await step('the operator loads fou, which the kernel does not do by itself', () => succeed(['modprobe', 'fou']))
    const [configured, ...ready] = await Promise.all([
      step('ipvs-nl configures the director', () => hosts.must('director', role(import.meta.url, 'director'))),
      ...Object.keys(tunnels).map(name => step(`ipvs-nl configures ${name}, which serves`, () => hosts.start(
        name, role(import.meta.url, 'server', name), ({ output }) => output.stdout.includes('serves http')))),
    ])
    print('APPLIED on the director, and what the kernel has then', configured.stdout)
    ready.forEach(({ output }, i) => print(`APPLIED on server${i + 1}`, output.stdout))
  },

  async observe(hosts) {
    const sniffer = await step('tcpdump listens on the director', () =>
      sniff(hosts, 'director', 'eth0', `(${GUE}) or (${GRE}) or (${RESPONSES})`, '-q'))
    print('REPLIES to curl http://192.168.50.100/')
    const replies: Reply[] = []
    for (let i = 1; i <= 4; i++) {
      const reply = await curl(hosts, 'client', 'http://192.168.50.100/')
      print('', `${i}  ${replyText(reply)}`)
      replies.push(reply)
    }

    const { packets, problems } = await sniffer.end()
    const gue = packets.filter(packet => /^IP 192\.168\.50\.253\.\d+ > 192\.168\.52\.100\.6080: UDP/.test(packet))
    const greOuter = 'IP 192.168.50.253 > 192.168.52.101: GREv0, off 0x0, length '
    const greInner = /length \d+: IP 192\.168\.50\.10\.\d+ > 192\.168\.50\.100\.80: /
    const gre = packets.filter(packet => packet.startsWith(greOuter) && greInner.test(packet))
    const responses = packets.filter(packet => !gue.includes(packet) && !gre.includes(packet))
    print('CAPTURED on the director', [gue[0], gre[0]].map(packet => packet ?? 'none').join('\n'))
    print('', `${gue.length} packets of GUE, ${gre.length} of GRE, ${responses.length} responses`)

    return [
      ...unserved(replies, Object.keys(tunnels)),
      ...gue.length > 0 ? [] : ['no GUE with a checksum left the director for 192.168.52.100'],
      ...gre.length > 0 ? [] : ['no GRE with a checksum left the director for 192.168.52.101'],
      ...responses.length === 0 ? []
        : [`${responses.length} packets of responses passed through the director, the first: ${responses[0]}`],
      ...problems,
    ]
  },

  diagnosis: {
    director: role(import.meta.url, 'diagnoseDirector'),
    server1: role(import.meta.url, 'diagnoseServer', 'server1'),
    server2: role(import.meta.url, 'diagnoseServer', 'server2'),
  },

  conclusion: 'Both servers answered what came to one through GUE and to the other through GRE; '
    + 'no response came back through the director.',
})
