/** What runs on the hosts: name servers, a client's questions, and what watches. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { script } from '../support/example.js'
import type { Hosts } from '../support/hosts.js'
import { patience } from '../support/patience.js'
import { ENOUGH, readAnswer, readCapture, type Answer, type Capture, type Drain, type StreamAnswer } from './checks.js'
import { vip } from './topology.js'

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

/** Starts a name server; it answers when this resolves. */
export async function startUnbound(hosts: Hosts, host: string, address: string): Promise<void> {
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

/** Captures on a link of the director until the function that it returns is called. */
export async function sniff(hosts: Hosts, link: string): Promise<() => Promise<Capture>> {
  const filter = 'ip proto 4 or port 53' // 4 is IP in IP
  const command = ['tcpdump', '-n', '-t', '-q', '-l', '--immediate-mode', '-i', link, filter]
  const program = await hosts.start('director', command, ({ output }) => output.stderr.includes('listening on'))
  return async () => {
    const { stdout, stderr } = await program.stop('SIGINT')
    return readCapture(link, stdout, stderr)
  }
}

/** Asks one question, as a client. */
export async function ask(hosts: Hosts, protocol: Answer['protocol']): Promise<Answer> {
  const how = [protocol === 'tcp' ? '+tcp' : '+notcp', '+noall', '+answer', '+stats', '-u', `+time=${patience(2)}`]
  const { stdout } = await hosts.run('client', ['dig', `@${vip}`, 'version.bind', 'CH', 'TXT', '+tries=1', ...how])
  return readAnswer(protocol, stdout)
}

/** Drains a server while a client asks all the time. */
export async function drainUnderLoad(hosts: Hosts, server: string): Promise<Drain> {
  const asked = (output: string): number => output.split('\n').length - 1
  const client = await hosts.start('client', script('dns-over-ipip/stream', vip), ({ output }) =>
    asked(output.stdout) >= ENOUGH)
  const { stdout } = await hosts.must('director', script('dns-over-ipip/drain', server))
  const { begun, ended } = JSON.parse(stdout) as Pick<Drain, 'begun' | 'ended'>

  const enough = asked(client.output.stdout) + 2 * ENOUGH, deadline = performance.now() + patience(30_000)
  while (asked(client.output.stdout) < enough && performance.now() < deadline) await sleep(50)
  const { stdout: answers, stderr, code } = await client.stop()
  if (code !== 0) throw new Error(`the client that asks all the time failed: ${stderr.trim() || `exit status ${code}`}`)
  return { server, begun, ended, stream: answers.trimEnd().split('\n').map(line => JSON.parse(line) as StreamAnswer) }
}
