/**
 * A web service by direct routing (LVS-DR): the director leaves each packet as it is, and only puts
 * a real server's MAC address on its frame. All are on one LAN and all have the VIP; so the real
 * servers must not say so to anyone, by ARP: the VIP is on their loopback, and arp_ignore and
 * arp_announce keep it there. Responses go to the client directly.
 *
 * The director schedules by weight, 3 to 1, and keeps each client with the server
 * that it got first (persistence, 20 s).
 *
 *     npm run lab -- node dist/examples/direct-routing-web.js
 *     npm run lab -- node dist/examples/direct-routing-web.js arp-leak   # a mistake; or no-vip
 */

import {
  Addresses, diagnoseRealServer, Director, planNetwork, planRealServer, VirtualService,
  type RealServerSetup, type VirtualServiceSpec,
} from 'ipvs-nl'
import { role, run, script } from './support/example.js'
import { apply, print, report, step } from './support/print.js'
import { sniff } from './support/tcpdump.js'
import { curl, replyText, serveWeb, unserved, type Reply } from './support/web.js'

const PICTURE = `
  clients 192.168.50.10 to .17      director 192.168.50.253, the VIP 192.168.50.100 (eth0:vip)
              │                                  │
  ────────────┴──────┬───────────────────────────┴────────┬──────────
                     │                                    │
       server1 192.168.50.101, weight 3     server2 192.168.50.102, weight 1
              lo 192.168.50.100                    lo 192.168.50.100

  request   client ──> director ──> server, at its MAC address
  response  client <─────────────── server`

const servers = [
  { host: 'server1', address: '192.168.50.101', weight: 3 },
  { host: 'server2', address: '192.168.50.102', weight: 1 },
] as const
const clients = Array.from({ length: 8 }, (_, i) => `192.168.50.${10 + i}`)

const service: VirtualServiceSpec = {
  vip: '192.168.50.100', port: 80, protocol: 'tcp',
  network: { link: 'eth0', prefix: 24, label: 'eth0:vip' },
  scheduler: 'wrr', persistence: { timeout: 20 }, forward: 'route',
  realServers: servers.map(({ address, weight }) => ({ address, weight })),
}

/** What makes a host one of its real servers: the VIP, unheard of. */
const preparation: RealServerSetup = { vip: '192.168.50.100', route: { link: 'eth0' } }

async function director(): Promise<void> {
  await apply(await planNetwork({ addresses: [{ address: '192.168.50.253/24', link: 'eth0' }] }))
  await using director = await Director.open()
  await director.setTimeouts({ tcp: 30, tcpFin: 5, udp: 60 })
  await using web = await VirtualService.open(service, { director })
  await apply(await web.plan())

  // What the kernel has now.
  process.stdout.write(await director.save({ strict: true }))
  const { tcp, tcpFin, udp } = await director.timeouts()
  console.log(`timeouts ${tcp} ${tcpFin} ${udp}`)
  await using addresses = await Addresses.open()
  for (const { address, label, secondary } of await addresses.list({ link: 'eth0', family: 'inet' })) {
    console.log(`${address} ${label}${secondary ? ' secondary' : ''}`)
  }
}

async function server(name: string, address: string): Promise<void> {
  await apply(await planNetwork({ addresses: [{ address: `${address}/24`, link: 'eth0' }] }))
  await apply(await planRealServer(preparation))
  await serveWeb(name, '192.168.50.100', 80)
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
    { name: 'client', links: { eth0: ['lan', ...clients.map(address => `${address}/24`)] } },
    { name: 'director', links: { eth0: ['lan'] } },
    ...servers.map(({ host }) => ({ name: host, links: { eth0: ['lan'] as const } })),
  ],
  roles: { director, server, diagnoseDirector, diagnoseServer },
  mistakes: {
    'arp-leak': hosts => hosts.must('server1', [
      'sysctl', '-qw', 'net.ipv4.conf.all.arp_ignore=0', 'net.ipv4.conf.eth0.arp_ignore=0',
    ]),
    'no-vip': hosts => hosts.must('server2', ['ip', 'address', 'delete', '192.168.50.100/32', 'dev', 'lo']),
  },

  async configure(hosts) {
    const [configured, ...ready] = await Promise.all([
      step('ipvs-nl configures the director', () => hosts.must('director', role(import.meta.url, 'director'))),
      ...servers.map(({ host, address }) => step(`ipvs-nl configures ${host}, which serves`, () => hosts.start(
        host, role(import.meta.url, 'server', host, address), ({ output }) => output.stdout.includes('serves http')))),
    ])
    print('APPLIED on the director, and what the kernel has then', configured.stdout)
    ready.forEach(({ output }, i) => print(`APPLIED on ${servers[i]!.host}`, output.stdout))
    return configured.stdout
  },

  async observe(hosts, configured) {
    const names = ['director', ...servers.map(({ host }) => host)]
    const macOf = async (host: string): Promise<string> =>
      (await hosts.must(host, ['cat', '/sys/class/net/eth0/address'])).stdout.trim()
    const macs = [...await Promise.all(names.map(macOf)), await macOf('client')]
    const [directorMac] = macs
    const name = (mac: string): string => [...names, 'client'][macs.indexOf(mac)] ?? mac
    const sniffer = await step('tcpdump listens on the client', () =>
      sniff(hosts, 'client', 'eth0', 'arp or tcp port 80', '-q', '-e'))

    print('REPLIES to curl http://192.168.50.100/, of each client twice')
    const replies: (Reply & { from: string })[] = []
    for (const from of [...clients, ...clients]) {
      const reply = await curl(hosts, 'client', 'http://192.168.50.100/', '--interface', from)
      print('', `${from}  ${replyText(reply)}`)
      replies.push({ ...reply, from })
    }

    const counters = await hosts.run('director', script('support/counters', String(replies.length)))
    print('COUNTERS, by VirtualService.list()', counters.stdout)

    const { packets, problems } = await sniffer.end()
    const source = (packet: string): string => packet.split(' ', 1)[0]!
    const target = (packet: string): string => / > ([0-9a-f:]{17})/.exec(packet)?.[1] ?? ''
    // "it is mine", and "I have it, and ask"
    const aboutVip = packets.filter(packet => /Reply 192\.168\.50\.100 is-at|tell 192\.168\.50\.100,/.test(packet))
    const leaks = aboutVip.filter(packet => source(packet) !== directorMac)
    const requests = packets.filter(packet => / > 192\.168\.50\.100\.80: /.test(packet))
    const responses = packets.filter(packet => / 192\.168\.50\.100\.80 > /.test(packet))
    const bypassing = requests.filter(packet => target(packet) !== directorMac)
    const returned = responses.filter(packet => source(packet) === directorMac)
    const clientsOf = (host: string): Set<string> =>
      new Set(replies.filter(({ server }) => server === host).map(({ from }) => from))
    const shares = servers.map(({ host }) => clientsOf(host).size)
    const serversOf = (client: string): Set<string | undefined> =>
      new Set(replies.filter(({ from }) => from === client).map(({ server }) => server))
    const moved = clients.filter(client => serversOf(client).size > 1)

    print('OBSERVED on the client')
    print('', `clients of server1 and server2: ${shares.join(' and ')}`)
    for (const packet of aboutVip) {
      print('', `ARP by ${name(source(packet))}: ${/(Reply|Request).*(?=, length)/.exec(packet)![0]}`)
    }
    for (const packet of [requests[0], responses[0]]) {
      const ways = packet && `frame from ${name(source(packet))} to ${name(target(packet))}`
      print('', packet ? `${ways}: ${/\d[\d.]+ > [\d.]+(?=: tcp)/.exec(packet)![0]}` : 'none')
    }

    return [
      ...unserved(replies, servers.map(({ host }) => host)),
      ...shares[0] === 6 && shares[1] === 2 ? []
        : [`server1 and server2 have ${shares.join(' and ')} clients; by their weights it should be 6 and 2`],
      ...moved.map(client => `${client} did not stay with one server`),
      ...leaks.length > 0 ? [`${name(source(leaks[0]!))} says by ARP that the VIP is its own: ${leaks[0]}`] : [],
      ...aboutVip.length > leaks.length ? [] : ['the director does not say by ARP that the VIP is its own'],
      ...bypassing.length === 0 ? []
        : [`${bypassing.length} packets of requests did not go to the director, but to ${name(target(bypassing[0]!))}`],
      ...returned.length > 0 ? [`${returned.length} packets of responses came back through the director`] : [],
      ...configured.includes('\ntimeouts 30 5 60\n') ? [] : ['the timeouts are not 30 5 60'],
      ...configured.includes('\n192.168.50.100/24 eth0:vip secondary\n') ? []
        : ['the VIP is no secondary address with the label eth0:vip'],
      ...problems,
      ...counters.code === 0 ? [] : [counters.stderr.trim()],
    ]
  },

  diagnosis: {
    director: role(import.meta.url, 'diagnoseDirector'),
    server1: role(import.meta.url, 'diagnoseServer'),
    server2: role(import.meta.url, 'diagnoseServer'),
  },

  conclusion: 'Each client was served twice by the same server, three times as many of them by server1; '
    + 'nobody but the director claimed the VIP, and no response passed through it.',
})
