/**
 * DNS behind one address, balanced over IPIP to two servers that answer the client directly: builds
 * it, asks it twelve questions, applies it again, takes a server out under load, and exits with 1
 * when anything is not as it should be.
 *
 *     npm run demo
 *     npm run demo -- --verbose         # all that it does and sees
 *     npm run demo -- tunnel-down       # a mistake, to see it found
 *
 * These install and build first. In a kernel with IPVS, as root:
 * `node dist/examples/dns-over-ipip/demo.js`.
 */

import { box } from '../support/box.js'
import { run, script } from '../support/example.js'
import type { Hosts } from '../support/hosts.js'
import { tap, type Requests } from '../support/nlmon.js'
import { print, step } from '../support/print.js'
import { during, say } from '../support/terminal.js'
import { againFailures, drainFailures, failures, type Again, type Answer, type Capture, type Drain } from './checks.js'
import { ask, drainUnderLoad, sniff, startUnbound } from './programs.js'
import { PICTURE, printAgain, printAnswers, printApplied, printCapture, printDrain, rows, verbose } from './screen.js'
import { hosts, servers, vip } from './topology.js'

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

/** What observing needs of configuring. */
interface Configured {
  /** What the director's rules are, by ipvs-nl and by ipvsadm. */
  readonly rules: string
  readonly witness: string
  /** What the director sent to its kernel. */
  readonly first: Requests
  readonly sniffers: readonly (() => Promise<Capture>)[]
}

async function configure(hosts: Hosts): Promise<Configured> {
  const plans = servers.map(async (address, i) =>
    (await hosts.must(`server${i + 1}`, script('dns-over-ipip/server', address))).stdout)
  const answering = Promise.all(servers.map(async (address, i) => {
    await plans[i]
    await startUnbound(hosts, `server${i + 1}`, address)
  }))
  answering.catch(() => undefined) // reported below
  const [director, ...applied] = await step('ipvs-nl sets up the director and both servers', () =>
    Promise.all([direct(hosts), ...plans]))
  const sniffers = Promise.all(['eth0', 'eth1'].map(link => sniff(hosts, link)))
  sniffers.catch(() => undefined) // reported below
  await step('unbound, a DNS server, answers on both', () => answering)

  const witness = (await hosts.must('director', ['ipvsadm', '-S', '-n'])).stdout
  printApplied(director.plan, applied)
  if (verbose) {
    print('CONFIGURED, as ipvs-nl reads it back from the kernel', director.rules)
    print('', director.rules === witness ? 'ipvsadm -S -n prints the same.' : `but ipvsadm -S -n prints:\n${witness}`)
  }
  return { rules: director.rules, witness, first: director.requests, sniffers: await sniffers }
}

/** Applies the director's plans: what they say, the kernel's rules then, and the sent messages. */
async function direct(hosts: Hosts): Promise<{ plan: string; rules: string; requests: Requests }> {
  const end = await tap(hosts, 'director')
  const { stdout } = await hosts.must('director', script('dns-over-ipip/director'))
  const lines = stdout.split(/^/m), isRule = (line: string): boolean => /^-[Aa] /.test(line)
  return {
    plan: lines.filter(line => !isRule(line)).join(''),
    rules: lines.filter(isRule).join(''),
    requests: await end(),
  }
}

async function observe(hosts: Hosts, { rules, witness, first, sniffers }: Configured): Promise<string[]> {
  print(`ANSWERS to dig @${vip} version.bind CH TXT: server and milliseconds`)
  const answers: Answer[] = []
  for (const protocol of ['udp', 'tcp'] as const) {
    const six: Answer[] = []
    await during(`dig asks by ${protocol}`, async () => {
      for (let i = 1; i <= 6; i++) {
        six.push(await ask(hosts, protocol))
        printAnswers(six)
      }
    })
    answers.push(...six)
  }

  // By the time that the counters show, the last packet has long been captured.
  const counters = await during('ipvs-nl reads the counters', () =>
    hosts.run('director', script('support/counters', String(answers.length))))
  const captures = await Promise.all(sniffers.map(end => end()))
  if (verbose) {
    print('COUNTERS, by VirtualService.list()', counters.stdout)
    print('CAPTURED on the director')
    captures.forEach(printCapture)
  }
  const reasons = [
    ...rules === witness ? [] : ['ipvs-nl and ipvsadm print different rules'],
    ...failures({ servers, answers, captures }),
    ...counters.code === 0 ? [] : [counters.stderr.trim()],
  ]

  // What does not work once is not put to further tests.
  let again: Again | undefined, drain: Drain | undefined
  if (reasons.length === 0) {
    again = await during('ipvs-nl applies all to the director again', async () => {
      const { plan, requests } = await direct(hosts)
      return { plan: plan.split('\n').filter(line => line !== ''), first, again: requests }
    })
    if (verbose) printAgain(again)
    drain = await during('ipvs-nl drains server2 while a client asks 50 times a second', () =>
      drainUnderLoad(hosts, servers[1]))
    if (verbose) printDrain(drain)
  }
  const againReasons = again ? againFailures(again) : [], drainReasons = drain ? drainFailures(drain) : []
  reasons.push(...againReasons, ...drainReasons)

  const good = { again: againReasons.length === 0, drain: drainReasons.length === 0 }
  const verdict = reasons.length === 0 ? 'IT WORKS' : 'IT DOES NOT WORK'
  say(`\n${box(verdict, rows({ answers, captures, again, drain }, good))}`)
  return reasons
}

// ── start ──

await run({
  file: import.meta.url,
  options: ['--verbose'],
  width: 100,
  picture: PICTURE,
  hosts, mistakes, configure, observe,
  diagnosis: {
    director: script('dns-over-ipip/diagnose'),
    server1: script('dns-over-ipip/diagnose', servers[0]),
    server2: script('dns-over-ipip/diagnose', servers[1]),
  },
  conclusion: 'More: npm run demo -- --verbose. A mistake, found: npm run demo -- tunnel-down',
})
