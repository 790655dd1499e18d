/** Hosts on LANs, as network namespaces of this machine, with a process in each that does what a test asks of it. */

import { spawn, type ChildProcess } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Operations } from './agent.js'
import { run } from './run.js'

const agent = fileURLToPath(new URL('../../dist/test/support/agent.js', import.meta.url))

/** A host, and what it has. */
export interface HostSpec {
  readonly name: string
  /** Each of its links is plugged into a LAN, and has addresses. */
  readonly links: Readonly<Record<string, readonly [lan: string, ...addresses: string[]]>>
  /** What `ip` is told in it, beyond the links. */
  readonly ip?: readonly string[]
  /** Whether it is left as a new network namespace is, lo down. @defaultValue false */
  readonly untouched?: boolean
}

type Argument<K extends keyof Operations> = Parameters<Operations[K]>
type Result<K extends keyof Operations> = ReturnType<Operations[K]>

const ip = (commands: readonly string[], ...options: string[]): string => run('ip', [...options, '-batch', '-'], commands.join('\n'))

/** A host that is there. */
export class TestHost {
  readonly name: string
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>()
  #id = 0

  constructor(name: string) {
    this.name = name
    this.#process = spawn('ip', ['netns', 'exec', name, process.execPath, agent], { stdio: ['pipe', 'pipe', 'inherit'] })
    createInterface({ input: this.#process.stdout! }).on('line', line => {
      const { id, result, error } = JSON.parse(line) as { id: number; result?: unknown; error?: string }
      const { resolve, reject } = this.#waiting.get(id)!
      this.#waiting.delete(id)
      if (error === undefined) resolve(result)
      else reject(new Error(`${name}: ${error}`))
    })
    this.#process.on('exit', code => {
      for (const { reject } of this.#waiting.values()) reject(new Error(`${name}: its process ended with ${code ?? 'a signal'}`))
      this.#waiting.clear()
    })
  }

  /** Has the host do something. */
  call<K extends keyof Operations>(name: K, ...[argument]: Argument<K>): Result<K> {
    return new Promise<unknown>((resolve, reject) => {
      const id = ++this.#id
      this.#waiting.set(id, { resolve, reject })
      this.#process.stdin!.write(`${JSON.stringify({ id, name, argument })}\n`)
    }) as Result<K>
  }

  /** Tells `ip` on the host one or several commands. */
  ip(...commands: string[]): string { return ip(commands, '-n', this.name) }

  /** Has the host forget whom it has met, and what it was told of paths. */
  forget(): void { for (const family of ['-4', '-6']) ip(['neigh flush all', 'route flush cache'], family, '-n', this.name) }

  /** Sets sysctls on the host. */
  async sysctl(...settings: string[]): Promise<void> { await this.call('run', ['sysctl', '-qw', ...settings]) }

  /** Ends its process. */
  async end(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = new Promise(resolve => this.#process.once('exit', resolve))
    this.#process.stdin!.end()
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), 5_000)
    await ended
    clearTimeout(timer)
  }
}

/** Hosts and the switch between them. Disposing of them ends their processes and removes them. */
export class TestHosts implements AsyncDisposable {
  readonly #hosts = new Map<string, TestHost>()
  readonly #made: string[] = []

  /** Sets up hosts. */
  static async up(specs: readonly HostSpec[]): Promise<TestHosts> {
    const hosts = new TestHosts()
    try {
      hosts.#add('switch')
      const lans = new Set(specs.flatMap(({ links }) => Object.values(links).map(([lan]) => lan)))
      ip([...lans].flatMap(lan => [`link add ${lan} type bridge mcast_snooping 0`, `link set ${lan} up`]), '-n', 'switch')
      for (const spec of specs) hosts.#plug(spec)
      await Promise.all(specs.map(({ name }) => hosts.host(name).call('run', ['true'])))
      return hosts
    } catch (error) {
      await hosts[Symbol.asyncDispose]()
      throw error
    }
  }

  /** One of them. */
  host(name: string): TestHost {
    const host = this.#hosts.get(name)
    if (!host) throw new Error(`there is no host ${name}`)
    return host
  }

  #add(name: string): void {
    run('ip', ['netns', 'add', name])
    this.#made.push(name)
  }

  #plug({ name, links, ip: more = [], untouched = false }: HostSpec): void {
    this.#add(name)
    // Addresses are of use at once.
    run('ip', ['netns', 'exec', name, 'sysctl', '-qw', 'net.ipv6.conf.default.accept_dad=0', 'net.ipv6.conf.all.accept_dad=0', 'net.ipv6.conf.default.accept_ra=0'])
    ip(Object.entries(links).flatMap(([link, [lan]]) => [
      `link add ${name}-${link} master ${lan} type veth peer name ${link} netns ${name}`, `link set ${name}-${link} up`,
    ]), '-n', 'switch')
    ip([
      ...untouched ? [] : ['link set lo up'],
      ...Object.entries(links).flatMap(([link, [, ...addresses]]) => [...addresses.map(address => `address add ${address} dev ${link}`), `link set ${link} up`]),
      ...more,
    ], '-n', name)
    this.#hosts.set(name, new TestHost(name))
  }

  /** Ends their processes and removes them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#hosts.values()].map(host => host.end()))
    for (const name of this.#made.splice(0).reverse()) run('ip', ['netns', 'delete', name])
  }
}
