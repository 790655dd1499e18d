/**
 * Two hosts that share an Ethernet over VXLAN: each has a bridge and, as its port, a VXLAN link to
 * the other host. What is plugged into one bridge reaches what is plugged into the other as if one
 * cable joined them. (IPVS itself has no tunnels of VXLAN; such an Ethernet is what direct routing
 * needs between a director and real servers that are in different networks.)
 *
 *     npm run lab -- node dist/examples/vxlan-overlay.js
 *     npm run lab -- node dist/examples/vxlan-overlay.js other-vni   # a mistake; or other-port
 */

import { planNetwork } from 'ipvs-nl'
import { role, run } from './support/example.js'
import type { Hosts } from './support/hosts.js'
import { readPing } from './support/ping.js'
import { apply, print, step } from './support/print.js'
import { sniff } from './support/tcpdump.js'

const PICTURE = `
     host1                                              host2
  vbr0 192.168.10.11/24                      vbr0 192.168.10.21/24     the Ethernet that they share
  └─ vxlan42  ═══════════ VXLAN 42 ═══════════  vxlan42 ─┘
     │                                             │
  eth0 172.16.0.11/24 ────── UDP, port 4789 ────── eth0 172.16.0.21/24  the network that they have`

const ends = [
  { underlay: '172.16.0.11', address: '192.168.10.11' },
  { underlay: '172.16.0.21', address: '192.168.10.21' },
] as const

/** On each host: all that it takes. */
async function host(local: string, remote: string, address: string): Promise<void> {
  await apply(await planNetwork({
    links: [
      { kind: 'bridge', name: 'vbr0' },
      { kind: 'vxlan', name: 'vxlan42', id: 42, port: 4789, local, remote, link: 'eth0', master: 'vbr0' },
    ],
    addresses: [
      { address: `${local}/24`, link: 'eth0' },
      { address: `${address}/24`, link: 'vbr0' },
    ],
  }))
}

/** Another VXLAN link in the place of host2's. */
const replace = (parameters: string) => (hosts: Hosts): Promise<unknown> => hosts.must('host2', ['sh', '-ec', `
  ip link delete vxlan42
  ip link add vxlan42 master vbr0 type vxlan ${parameters} local 172.16.0.21 remote 172.16.0.11 dev eth0
  ip link set vxlan42 up`])

await run({
  file: import.meta.url,
  picture: PICTURE,
  hosts: [{ name: 'host1', links: { eth0: ['underlay'] } }, { name: 'host2', links: { eth0: ['underlay'] } }],
  roles: { host },
  mistakes: {
    'other-vni': replace('id 43 dstport 4789'),
    'other-port': replace('id 42 dstport 8472'), // what ip link takes where it is told none
  },

  async configure(hosts) {
    const plans = await step('ipvs-nl configures both hosts', () => Promise.all(ends.map(({ underlay, address }, i) =>
      hosts.must(`host${i + 1}`, role(import.meta.url, 'host', underlay, ends[1 - i]!.underlay, address)))))
    plans.forEach(({ stdout }, i) => print(`APPLIED on host${i + 1}`, stdout))
  },

  async observe(hosts) {
    const sniffer = await step('tcpdump listens on host1\'s eth0', () => sniff(hosts, 'host1', 'eth0', 'udp'))
    print('PINGS from host1')
    // As large as fits, and not to be fragmented: 1500 bytes less 50 of VXLAN, less 28 of ping.
    const pings = []
    for (const size of ['56', '1422']) {
      const command = ['ping', '-n', '-c', '3', '-i', '0.2', '-W', '1', '-M', 'do', '-s', size, ends[1].address]
      const { stdout, stderr } = await hosts.run('host1', command)
      const ping = readPing(stdout + stderr)
      print('', `${size} bytes to ${ends[1].address}: ${ping.received} of ${ping.sent} answered`)
      pings.push({ size, ...ping })
    }

    const { packets, problems } = await sniffer.end()
    print('CAPTURED on host1\'s eth0', packets.filter(packet => packet.includes('ICMP echo')).slice(0, 2).join('\n'))
    print('', `${packets.length} packets in all`)

    const carried = (from: number, to: number, what: string): number => {
      const [outer, inner] = [ends[from]!.underlay, ends[from]!.address]
      const [otherOuter, otherInner] = [ends[to]!.underlay, ends[to]!.address]
      const vxlan = ` > ${otherOuter}.4789: VXLAN, flags [I] (0x08), vni 42: `
      const echo = `${vxlan}IP ${inner} > ${otherInner}: ICMP echo ${what}, `
      return packets.filter(packet => packet.startsWith(`IP ${outer}.`) && packet.includes(echo)).length
    }
    const [requests, replies] = [carried(0, 1, 'request'), carried(1, 0, 'reply')]
    const strangers = packets.filter(packet => !packet.includes('.4789: VXLAN, flags [I] (0x08), vni 42: '))
    return [
      ...pings.filter(({ received }) => received !== 3)
        .map(({ size, sent, received, problem }) =>
          `${received} of ${sent} pings of ${size} bytes were answered: ${problem}`),
      ...requests === 6 ? [] : [`${requests} of 6 requests left host1 in VXLAN 42`],
      ...replies === 6 ? [] : [`${replies} of 6 replies came to host1 in VXLAN 42`],
      ...strangers.length === 0 ? [] : [
        `${strangers.length} packets on host1's eth0 were not of VXLAN 42 at port 4789, the first: ${strangers[0]}`,
      ],
      ...problems,
    ]
  },

  conclusion: 'Each host reached the other over their shared Ethernet; every packet of it travelled in VXLAN 42.',
})
