/**
 * A web service by network address translation (LVS-NAT): the director rewrites the address and the
 * port of each request, 80 to 8080, and writes them back in each response. So responses must pass
 * through it: it is the real servers' router. They need nothing else, not even to know of the VIP,
 * and see the clients' own addresses.
 *
 *     npm run lab -- node dist/examples/nat-web.js
 *     npm run lab -- node dist/examples/nat-web.js no-way-back   # a mistake; or no-forwarding
 */

import {
  diagnoseRealServer, Director, planNetwork, planRealServer, VirtualService,
  type RealServerSetup, type VirtualServiceSpec,
} from 'ipvs-nl'
import { role, run, script } from './support/example.js'
import { apply, print, report, step } from './support/print.js'
import { sniff, type Captured } from './support/tcpdump.js'
import { curl, replyText, serveWeb, unserved, type Reply } from './support/web.js'

const PICTURE = `
      client                 director                        real servers
  192.168.50.10     192.168.50.253  192.168.52.253     192.168.52.100, port 8080
        │         VIP 192.168.50.100      │            192.168.52.101, port 8080
        │                │                │                       │
  ──────┴────────────────┘                └───────────────────────┴──────

  request   192.168.50.10 > 192.168.50.100:80 ══ becomes ══> 192.168.50.10 > 192.168.52.100:8080
  response  192.168.50.100:80 > 192.168.50.10 <══ becomes ══ 192.168.52.100:8080 > 192.168.50.10`

const servers = [
  { host: 'server1', address: '192.168.52.100' },
  { host: 'server2', address: '192.168.52.101' },
] as const

const service: VirtualServiceSpec = {
  vip: '192.168.50.100', port: 80, protocol: 'tcp',
  network: { link: 'eth0' }, // the VIP; and with masq, that the director forwards
  scheduler: 'rr', forward: 'masq',
  realServers: servers.map(({ address }) => ({ address, port: 8080 })),
}

/** What makes a host one of its real servers: the way back. */
const preparation: RealServerSetup = { masq: { director: '192.168.52.253' } }

async function director(): Promise<void> {
  await apply(await planNetwork({
    addresses: [{ address: '192.168.50.253/24', link: 'eth0' }, { address: '192.168.52.253/24', link: 'eth1' }],
  }))
  await using web = await VirtualService.open(service)
  await apply(await web.plan())
  await using director = await Director.open()
  process.stdout.write(await director.save({ strict: true })) // what the kernel has now
}

async function server(name: string, address: string): Promise<void> {
  await apply(await planNetwork({ addresses: [{ address: `${address}/24`, link: 'eth0' }] }))
  await apply(await planRealServer(preparation))
  await serveWeb(name, address, 8080)
}

async function diagnoseDirector(): Promise<void> {
  await using web = await VirtualService.open(service)
  report(await web.diagnose())
}

async function diagnoseServer(): Promise<void> {
  report(await diagnoseRealServer(preparation))
}

await run({
  file: import.meta.url,
  picture: PICTURE,
  hosts: [
    { name: 'client', links: { eth0: ['lan50', '192.168.50.10/24'] } },
    { name: 'director', links: { eth0: ['lan50'], eth1: ['lan52'] } },
    ...servers.map(({ host }) => ({ name: host, links: { eth0: ['lan52'] as const } })),
  ],
  roles: { director, server, diagnoseDirector, diagnoseServer },
  mistakes: {
    'no-way-back': hosts => hosts.must('server2', ['ip', 'route', 'delete', 'default']),
    'no-forwarding': hosts => hosts.must('director', ['sysctl', '-qw', 'net.ipv4.ip_forward=0']),
  },

  async configure(hosts) {
    const [configured, ...ready] = await Promise.all([
      step('ipvs-nl configures the director', () => hosts.must('director', role(import.meta.url, 'director'))),
      ...servers.map(({ host, address }) => step(`ipvs-nl configures ${host}, which serves`, () => hosts.start(
        host, role(import.meta.url, 'server', host, address), ({ output }) => output.stdout.includes('serves http')))),
    ])
    print('APPLIED on the director, and what the kernel has then', configured.stdout)
    ready.forEach(({ output }, i) => print(`APPLIED on ${servers[i]!.host}`, output.stdout))
  },

  async observe(hosts) {
    const links = ['eth0', 'eth1']
    const sniffers = await step('tcpdump listens on the director', () =>
      Promise.all(links.map(link => sniff(hosts, 'director', link, 'tcp', '-q'))))

    print('REPLIES to curl http://192.168.50.100/')
    const replies: Reply[] = []
    for (let i = 1; i <= 4; i++) {
      const reply = await curl(hosts, 'client', 'http://192.168.50.100/')
      print('', `${i}  ${replyText(reply)}`)
      replies.push(reply)
    }

    const counters = await hosts.run('director', script('support/counters', String(replies.length)))
    print('COUNTERS, by VirtualService.list()', counters.stdout)

    const [outside, inside] = (await Promise.all(sniffers.map(sniffer => sniffer.end()))) as [Captured, Captured]
    const isRequest = (packet: string): boolean => /^IP 192\.168\.50\.10\.\d+ > /.test(packet)
    const isResponse = (packet: string): boolean => / > 192\.168\.50\.10\.\d+: /.test(packet)
    print('CAPTURED on the director: the first request and the first response, on both sides')
    for (const [i, { packets }] of [outside, inside].entries()) {
      for (const of of [isRequest, isResponse]) print('', `${links[i]}  ${packets.find(of) ?? 'none'}`)
    }

    const strangers = replies.filter(({ client }) => client !== undefined && client !== '192.168.50.10')
    return [
      ...unserved(replies, servers.map(({ host }) => host)),
      ...strangers.map(({ server, client }) => `${server} saw ${client} in the place of the client`),
      ...outside.packets.some(packet => packet.includes('.8080'))
        ? ['port 8080 shows on the clients\' side of the director']
        : [],
      ...inside.packets.some(packet => packet.includes('192.168.50.100'))
        ? ['the VIP shows on the servers\' side of the director']
        : [],
      ...inside.packets.some(isResponse) ? [] : ['no response passed through the director'],
      ...outside.problems, ...inside.problems,
      ...counters.code === 0 ? [] : [counters.stderr.trim()],
    ]
  },

  diagnosis: {
    director: role(import.meta.url, 'diagnoseDirector'),
    server1: role(import.meta.url, 'diagnoseServer'),
    server2: role(import.meta.url, 'diagnoseServer'),
  },

  conclusion: 'Both servers answered at port 8080 what was asked of port 80, saw the client\'s own address, '
    + 'and answered through the director.',
})
