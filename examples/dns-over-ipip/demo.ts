/**
 * DNS behind one address, balanced over IPIP to two servers that answer the client directly: builds it, asks it twelve
 * questions, shows what happened, and exits with 1 when anything is not as it should be. As root, in a kernel with IPVS:
 *
 *     npm run demo
 *     test/lab/run node dist/examples/dns-over-ipip/demo.js tunnel-down     # a mistake, to see it found
 */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { run, script } from '../support/example.js'
import type { Hosts, Program } from '../support/hosts.js'
import { print, step } from '../support/print.js'
import { failures, isResponse, openings, readAnswer, readCapture, type Answer, type Capture } from './checks.js'
import { hosts, servers, vip } from './topology.js'

const PICTURE = `
        client                     director: the VIP 192.168.50.100; tun0 and tun1 10.0.0.253
     192.168.50.10           192.168.50.253   192.168.51.253
           │                        │               │
     ──────┴───────────┬────────────┘               │
                       │ .50.254            .51.254 │
                       └───────── router ───────────┘
                                    │ .52.254
                 ┌──────────────────┴──────────────────┐
              server1                               server2
     eth0 192.168.52.100                   eth0 192.168.52.101
     tun0 192.168.50.100                   tun0 192.168.50.100

     question  client ──> director ══ IP in IP ══> router ══> server
     answer    client <────────────────────────── router <── server`

/** Mistakes that people make, to see that they are found. */
const mistakes: Readonly<Record<string, (hosts: Hosts) => Promise<unknown>>> = {
  'tunnel-down': hosts => hosts.must('server2', ['ip', 'link', 'set', 'tun0', 'down']),
  'weight-zero': hosts => hosts.must('director', script('dns-over-ipip/weight', servers[1], '0')),
  /** The router sends the responses back by way of a director that forwards. */
  async 'detour'(hosts) {
    await hosts.must('director', ['sysctl', '-qw', 'net.ipv4.ip_forward=1', 'net.ipv4.conf.eth1.accept_local=1'])
    await hosts.must('router', ['ip', 'route', 'add', '192.168.50.10', 'via', '192.168.51.253'])
  },
}

/** What the director's rules are, by ipvs-nl and by ipvsadm. */
interface Rules { readonly rules: string; readonly witness: string }

async function configure(hosts: Hosts): Promise<Rules> {
  const configured = Promise.all(servers.map(async (address, i) => {
    const host = `server${i + 1}`
    const { stdout } = await step(`ipvs-nl configures ${host}`, () => hosts.must(host, script('dns-over-ipip/server', address)))
    await step(`unbound answers on ${host}`, () => startUnbound(hosts, host, address))
    return stdout
  }))
  const [{ stdout }, plans] = await Promise.all([
    step('ipvs-nl configures the director', () => hosts.must('director', script('dns-over-ipip/director'))),
    configured,
  ])
  const isRule = (line: string): boolean => /^-[Aa] /.test(line)
  const lines = stdout.split(/^/m)
  const rules = lines.filter(isRule).join('')
  const witness = (await hosts.must('director', ['ipvsadm', '-S', '-n'])).stdout

  print('APPLIED on the director, as its plans say it', lines.filter(line => !isRule(line)).join(''))
  plans.forEach((plan, i) => print(`APPLIED on server${i + 1}`, plan))
  print('CONFIGURED, as ipvs-nl reads it back from the kernel', rules)
  print('', rules === witness ? 'ipvsadm -S -n prints the same.' : `but ipvsadm -S -n prints:\n${witness}`)
  return { rules, witness }
}

async function observe(hosts: Hosts, { rules, witness }: Rules): Promise<string[]> {
  const sniffers = await step('tcpdump listens on the director', () => Promise.all(['eth0', 'eth1'].map(link => sniff(hosts, link))))
  print('ANSWERS to dig @192.168.50.100 version.bind CH TXT')
  const answers: Answer[] = []
  for (const protocol of ['udp', 'tcp'] as const) {
    for (let i = 1; i <= 6; i++) answers.push(await ask(hosts, protocol, i))
  }

  // By the time that the counters show, the last packet has long been captured.
  const counters = await hosts.run('director', script('support/counters', String(answers.length)))
  print('COUNTERS, by VirtualService.list()', counters.stdout)

  const captures = await Promise.all(sniffers.map(async ({ link, program }) => {
    const { stdout, stderr } = await program.stop('SIGINT')
    return readCapture(link, stdout, stderr)
  }))
  print('CAPTURED on the director')
  captures.forEach(printCapture)

  return [
    ...rules === witness ? [] : ['ipvs-nl and ipvsadm print different rules'],
    ...failures({ servers, answers, captures }),
    ...counters.code === 0 ? [] : [counters.stderr.trim()],
  ]
}

// ── what runs on the hosts ──

/** A name server that tells its name, knows one zone and asks nobody else. */
const unboundConf = (address: string): string => `
  server:
    interface: ${vip}
    access-control: 192.168.50.0/24 allow
    identity: "server ${address}"
    version: "server ${address}"
    local-zone: "." refuse
    local-zone: "example.test." static
    local-data: "www.example.test. A 203.0.113.80"
    module-config: "iterator"
    chroot: ""
    username: ""
    directory: ""
    pidfile: ""
    use-syslog: no
  remote-control:
    control-enable: no
`

async function startUnbound(hosts: Hosts, host: string, address: string): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'dns-over-ipip-'))
  try {
    const file = join(directory, 'unbound.conf')
    await writeFile(file, unboundConf(address))
    await hosts.start(host, ['unbound', '-d', '-c', file], async ({ output }) => {
      if (!output.stderr.includes('start of service')) return false
      const { stdout } = await hosts.run(host, ['dig', `@${vip}`, 'www.example.test', '+short', '+time=1', '+tries=1'])
      return stdout === '203.0.113.80\n'
    })
  } finally {
    await rm(directory, { recursive: true })
  }
}

async function sniff(hosts: Hosts, link: string): Promise<{ link: string; program: Program }> {
  const filter = 'ip proto 4 or port 53' // 4 is IP in IP
  const command = ['tcpdump', '-n', '-t', '-q', '-l', '--immediate-mode', '-i', link, filter]
  return { link, program: await hosts.start('director', command, ({ output }) => output.stderr.includes('listening on')) }
}

async function ask(hosts: Hosts, protocol: Answer['protocol'], number: number): Promise<Answer> {
  const start = performance.now()
  const question = ['dig', `@${vip}`, `+${protocol === 'tcp' ? '' : 'no'}tcp`, 'version.bind', 'CH', 'TXT', '+short', '+time=2', '+tries=1']
  const answer = readAnswer(protocol, (await hosts.run('client', question)).stdout)
  print('', `${protocol} ${number}  ${answer.server ?? `no answer: ${answer.problem}`}  ${(performance.now() - start).toFixed(0)} ms`)
  return answer
}

// ── what a person sees ──

function printCapture({ link, packets }: Capture): void {
  const tunnelled = packets.filter(packet => packet.tunnel)
  const first = openings(tunnelled)
  const responses = packets.filter(isResponse)
  print('', [
    `${link}: ${packets.length} packets, ${tunnelled.length} of them IP in IP, ${responses.length} responses`,
    ...first.map(({ text }) => `  ${text}`),
    ...first.length > 0 ? [`  and ${tunnelled.length - first.length} more of these ${first.length} conversations`] : [],
    ...responses.slice(0, 4).map(({ text }) => `  RESPONSE ${text}`),
  ].join('\n'))
}

// ── start ──

await run({
  file: import.meta.url,
  picture: PICTURE,
  hosts, mistakes, configure, observe,
  diagnosis: {
    director: script('dns-over-ipip/diagnose'),
    server1: script('dns-over-ipip/diagnose', servers[0]),
    server2: script('dns-over-ipip/diagnose', servers[1]),
  },
  conclusion: 'Both servers answered, by UDP and by TCP; questions reached them in tunnels; no response came back through the director.',
})
