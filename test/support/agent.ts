/**
 * What a test asks of a host: a process in the host's network namespace that does it. Starting Node takes about a second in the
 * lab, so that one process does all that is asked of its host. A line of JSON each way: `{ id, name, argument }`, and
 * `{ id, result }` or `{ id, error }`.
 */

import { execFile } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { createServer, connect, type Server } from 'node:net'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { diagnoseRealServer, planRealServer } from '../../lib/api/plan-real-server.js'
import type { RealServerSetup } from '../../lib/network/real-server.js'
import { VirtualService } from '../../lib/api/virtual-service.js'
import { Director } from '../../lib/api/director.js'
import type { RealServerSettings, ServiceKey, VirtualServiceSpec } from '../../lib/ipvs/model.js'
import { destinationAttributes } from '../../lib/ipvs/real-server.js'
import { keyAttributes } from '../../lib/ipvs/key.js'
import type { Finding } from '../../lib/diagnose/finding.js'
import type { DiagnoseOptions } from '../../lib/diagnose/looks.js'
import { directing } from './directing.js'
import type { Plan } from '../../lib/plan/plan.js'
import { streams } from './streams.js'
import { traffic } from './traffic.js'
import { sendRaw } from './raw.js'

/** A finding, with its plan as text. */
export type Told = Omit<Finding, 'plan'> & { readonly plan: string }

/** What became of a TCP connection. */
export type Outcome = 'echoed' | 'garbled' | 'timeout' | (string & {})

const execute = promisify(execFile)
/** Applied, and not reverted yet. */
const applied: Plan[] = []
const servers: Server[] = []
let coming: NodeJS.Timeout | undefined
/** Of the last diagnosis. */
let findings: Finding[] = []

/** How long a diagnosis looks at counters. */
interface Observing { readonly observe?: number | undefined }
const observing = (observe: number | undefined): DiagnoseOptions => observe === undefined ? {} : { observe }

const told = (found: Finding[]): Told[] => {
  findings = found
  return found.map(({ plan, ...rest }) => ({ ...rest, plan: `${plan}` }))
}

async function apply(plan: Plan): Promise<string> {
  applied.push(plan)
  await plan.apply()
  return `${plan}`
}

const run = async (command: readonly string[]): Promise<string> => (await execute(command[0]!, command.slice(1), { maxBuffer: 64 << 20 })).stdout

/** What the kernel changes by itself. */
const RESTLESS = /nf_conntrack_count|nf_conntrack_buckets|base_reachable_time/

/** The sysctls beneath a directory, by path. Reading them takes half the time of `sysctl -a`. */
const sysctlsOf = (directory: string): [path: string, value: string][] => readdirSync(directory, { withFileTypes: true }).flatMap(entry => {
  const path = `${directory}/${entry.name}`
  if (entry.isDirectory()) return sysctlsOf(path)
  if (RESTLESS.test(path)) return []
  try {
    return [[path, readFileSync(path, 'latin1')]]
  } catch {
    return [] // some can only be written
  }
})

export const operations = {
  run,
  ...traffic,
  ...directing,
  ...streams,
  /** Prepares the host as a real server; the plan's text. */
  prepare: async (spec: RealServerSetup) => await apply(await planRealServer(spec)),
  plan: async (spec: RealServerSetup) => `${await planRealServer(spec)}`,
  /** Makes the host a director; the plan's text. */
  async serve(spec: VirtualServiceSpec) {
    await using service = await VirtualService.open(spec)
    return await apply(await service.plan())
  },
  async planService(spec: VirtualServiceSpec) {
    await using service = await VirtualService.open(spec)
    return `${await service.plan()}`
  },
  /** What is wrong with the host as a real server. */
  diagnose: async ({ observe, ...spec }: RealServerSetup & Observing) => told(await diagnoseRealServer(spec, observing(observe))),
  /** What is wrong with it as a director. */
  async diagnoseService({ observe, ...spec }: VirtualServiceSpec & Observing) {
    await using service = await VirtualService.open(spec)
    return told(await service.diagnose(observing(observe)))
  },
  /** Applies the plans of what was found last. */
  async mend() { for (const { plan } of findings) await plan.apply() },
  /** Has IPVS forward to a port that is not the service's, which ipvsadm does not. */
  async misdirect({ service, server }: { service: ServiceKey; server: RealServerSettings }) {
    await using director = await Director.open()
    await sendRaw(director, [['newDest', { service: keyAttributes(service), dest: destinationAttributes(server) }]])
  },
  /** Takes back all that was applied, last first. */
  async revert() {
    for (let plan = applied.pop(); plan; plan = applied.pop()) await plan.revert()
  },
  async flush() {
    await using director = await Director.open()
    await director.flush()
  },
  /** What `ip` says of the host's network, of both families, and its sysctls. */
  async state() {
    const asked = execute('ip', ['-d', '-j', '-batch', '-'])
    asked.child.stdin!.end('link show\naddr show\nroute show table all\nfou show\n')
    const [links, addresses, routes, fou] = (await asked).stdout.trim().split('\n').map(line => JSON.parse(line) as unknown)
    return { links, addresses, routes, fou, sysctls: Object.fromEntries(sysctlsOf('/proc/sys/net')) }
  },
  /** Answers with whatever it is told, on a port of one or of all addresses. */
  async echo(at: number | { port: number; host: string }) {
    const { port, host } = typeof at === 'number' ? { port: at, host: '::' } : at
    const server = createServer({ allowHalfOpen: true }, socket => {
      socket.on('error', () => socket.destroy())
      socket.pipe(socket)
    })
    servers.push(server)
    await new Promise<void>((resolve, reject) => { server.once('error', reject).listen(port, host, resolve) })
  },
  /** Tells a server this many bytes, and compares what comes back. */
  async exchange({ host, port, bytes = 1000, timeout = 5000 }: { host: string; port: number; bytes?: number; timeout?: number }): Promise<Outcome> {
    const sent = randomBytes(bytes)
    return await new Promise(resolve => {
      const socket = connect({ host, port })
      const hash = createHash('sha1')
      const end = (outcome: Outcome): void => {
        clearTimeout(timer)
        socket.destroy()
        resolve(outcome)
      }
      const timer = setTimeout(() => end('timeout'), timeout)
      socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
      socket.on('connect', () => socket.end(sent))
      socket.on('data', data => hash.update(data))
      socket.on('end', () => end(hash.digest('hex') === createHash('sha1').update(sent).digest('hex') ? 'echoed' : 'garbled'))
    })
  },
  /** Comes again and again, by TCP or with datagrams, until `leave`. */
  async come({ host, port, protocol }: { host: string; port: number; protocol: 'tcp' | 'udp' }) {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    coming = setInterval(() => {
      if (protocol === 'udp') socket.send('?', port, host)
      else void operations.exchange({ host, port, timeout: 3000 })
    }, 100)
    socket.unref()
    return Promise.resolve()
  },
  leave() {
    clearInterval(coming)
    return Promise.resolve()
  },
  /** Answers datagrams on a port of all addresses. */
  async reflect(port: number) {
    const socket = createSocket('udp6', (message, { port, address }) => socket.send(message, port, address))
    await new Promise<void>((resolve, reject) => { socket.once('error', reject).bind(port, resolve) })
  },
} satisfies Record<string, (argument: never) => Promise<unknown>>

/** What can be asked. */
export type Operations = typeof operations

const asked = createInterface({ input: process.stdin })
asked.on('line', line => {
  const { id, name, argument } = JSON.parse(line) as { id: number; name: keyof Operations; argument: never }
  const answer = (content: object): void => { process.stdout.write(`${JSON.stringify({ id, ...content })}\n`) }
  operations[name](argument).then(
    (result: unknown) => answer({ result }),
    (error: unknown) => answer({ error: error instanceof Error ? error.message : String(error) }),
  )
})
asked.on('close', () => process.exit())
