/** The network of the example: five hosts on three LANs, as network namespaces of this machine. */

import { setTimeout as sleep } from 'node:timers/promises'
import { execute, launch, succeed, type Output } from './processes.js'

/** What all this is for: the one address of the DNS service. */
export const vip = '192.168.50.100'

/** The hosts that answer. */
export const servers = ['192.168.52.100', '192.168.52.101'] as const

interface Host {
  readonly name: string
  /** What `ip` is told in it, beyond the links. */
  readonly ip: readonly string[]
  /** The addresses of its links. The third number is the LAN into which the link is plugged. */
  readonly links: Readonly<Record<string, readonly [string, ...string[]]>>
  readonly sysctl: Readonly<Record<string, number>>
}

const hosts: readonly Host[] = [
  {
    name:   'client',
    links:  { eth0: ['192.168.50.10/24'] },
    ip:     ['route add default via 192.168.50.254'],
    sysctl: {},
  },
  {
    name:   'director',
    links:  { eth0: ['192.168.50.253/24', `${vip}/32`], eth1: ['192.168.51.253/24'] },
    ip:     ['route add 192.168.52.0/24 via 192.168.51.254'],
    sysctl: { 'net.ipv4.ip_forward': 0 },
  },
  {
    name:   'router',
    links:  { eth0: ['192.168.50.254/24'], eth1: ['192.168.51.254/24'], eth2: ['192.168.52.254/24'] },
    ip:     [],
    // Responses come in on eth2 with the VIP as their source, which lives behind eth0: a strict filter would drop them.
    sysctl: { 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.all.rp_filter': 2 },
  },
  ...servers.map((address, i): Host => ({
    name:   `server${i + 1}`,
    links:  { eth0: [`${address}/24`] },
    ip:     [
      'route add default via 192.168.52.254',
      // Takes packets out of tunnels from this director alone; the VIP on it makes them this host's own.
      `link add tun0 type ipip local ${address} remote 192.168.51.253`,
      `address add ${vip}/32 dev tun0`,
      'link set tun0 up',
    ],
    sysctl: {
      'net.ipv4.ip_forward': 1,
      'net.ipv4.conf.all.arp_ignore': 1, 'net.ipv4.conf.tun0.arp_ignore': 1,
      'net.ipv4.conf.all.arp_announce': 2, 'net.ipv4.conf.tun0.arp_announce': 2,
      'net.ipv4.conf.tun0.rp_filter': 2,
    },
  })),
]

/** A program that runs until it is stopped. */
export interface Program {
  /** What it has printed. */
  readonly output: Output
  /** Ends it, and resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<Output>
}

/** The hosts, once they are up. Disposing of it ends the programs on them and removes them. */
export class Topology implements AsyncDisposable {
  readonly #programs: Program[] = []
  readonly #made: string[] = []
  readonly #signal: AbortSignal

  private constructor(signal: AbortSignal) { this.#signal = signal }

  /** Sets up all hosts. What the signal aborts is removed again. */
  static async up(signal: AbortSignal): Promise<Topology> {
    const topology = new Topology(signal)
    try {
      await topology.#add('switch', ['lan50', 'lan51', 'lan52'].flatMap(lan => [`link add ${lan} type bridge`, `link set ${lan} up`]))
      for (const { name, links, ip, sysctl } of hosts) {
        await topology.#add(name, ['link set lo up'])
        await topology.#ip('switch', Object.entries(links).flatMap(([link, [address]]) => [
          `link add ${name}-${link} master ${lanOf(address)} type veth peer name ${link} netns ${name}`,
          `link set ${name}-${link} up`,
        ]))
        await topology.#ip(name, [
          ...Object.entries(links).flatMap(([link, addresses]) => [...addresses.map(address => `address add ${address} dev ${link}`), `link set ${link} up`]),
          ...ip,
        ])
        if (Object.keys(sysctl).length > 0) await topology.must(name, ['sysctl', '-qw', ...Object.entries(sysctl).map(([key, value]) => `${key}=${value}`)])
      }
      return topology
    } catch (error) {
      await topology[Symbol.asyncDispose]()
      throw error
    }
  }

  async #add(name: string, commands: readonly string[]): Promise<void> {
    await succeed(['ip', 'netns', 'add', name]) // not to be interrupted: what is made is to be remembered
    this.#made.push(name)
    await this.#ip(name, commands)
  }

  async #ip(host: string, commands: readonly string[]): Promise<void> {
    await succeed(['ip', '-n', host, '-batch', '-'], { signal: this.#signal, input: commands.join('\n') })
  }

  /** Runs a command on a host to its end, however it ends. */
  async run(host: string, command: readonly string[]): Promise<Output> {
    return await execute(['ip', 'netns', 'exec', host, ...command], { signal: this.#signal })
  }

  /** Runs a command on a host that has to succeed. */
  async must(host: string, command: readonly string[]): Promise<Output> {
    return await succeed(['ip', 'netns', 'exec', host, ...command], { signal: this.#signal })
  }

  /** Starts a program on a host, and resolves when it is ready. */
  async start(host: string, command: readonly string[], ready: (program: Program) => Promise<boolean> | boolean): Promise<Program> {
    const { child, output, ended } = launch(['ip', 'netns', 'exec', host, ...command])
    const life = { over: false }
    const end = ended.catch(() => undefined).finally(() => { life.over = true })
    const program: Program = {
      output,
      async stop(signal = 'SIGTERM') {
        child.kill(signal)
        const timer = setTimeout(() => child.kill('SIGKILL'), 3_000)
        await end
        clearTimeout(timer)
        return output
      },
    }
    this.#programs.push(program)

    const deadline = performance.now() + 30_000
    while (!await ready(program)) {
      this.#signal.throwIfAborted()
      const why = life.over ? 'ended' : performance.now() > deadline ? 'was not ready within 30 s' : undefined
      if (why) throw new Error(`${command[0]} on ${host} ${why}: ${output.stderr.trim() || 'it printed nothing'}`)
      await sleep(50)
    }
    return program
  }

  /** Ends all programs and removes all hosts, with everything in them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map(program => program.stop()))
    for (const name of this.#made.splice(0).reverse()) await execute(['ip', 'netns', 'delete', name])
  }
}

/** `192.168.50.10/24` is on `lan50`. */
const lanOf = (address: string): string => `lan${address.split('.')[2]}`
