/** The stage of the examples: hosts on LANs, as network namespaces here, and their programs. */

import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from './patience.js'
import { execute, launch, LIMIT, succeed, type Output } from './processes.js'

/** A host, and what it is given before the example begins. */
export interface HostSpec {
  readonly name: string
  /** Its links. Each is plugged into a LAN and up, and has the addresses that follow. */
  readonly links: Readonly<Record<string, readonly [lan: string, ...addresses: string[]]>>
  /** What `ip` is told in it, beyond the links. */
  readonly ip?: readonly string[]
  readonly sysctl?: Readonly<Record<string, number>>
}

/** A program that runs until it is stopped. */
export interface Program {
  /** What it has printed. */
  readonly output: Output
  /** Ends it, and resolves when it is gone. */
  stop(signal?: NodeJS.Signals): Promise<Output>
}

/** The hosts, once they are up. Disposing of them ends the programs on them and removes them. */
export class Hosts implements AsyncDisposable {
  readonly #programs: Program[] = []
  readonly #names: readonly string[]
  readonly #signal: AbortSignal

  private constructor(names: readonly string[], signal: AbortSignal) {
    this.#names = ['switch', ...names]
    this.#signal = signal
  }

  /** Sets up all hosts. What the signal aborts is removed again. */
  static async up(specs: readonly HostSpec[], signal: AbortSignal): Promise<Hosts> {
    const hosts = new Hosts(specs.map(({ name }) => name), signal)
    try {
      // Not to be interrupted: what is made is to be removed.
      await succeed(['ip', '-batch', '-'], { input: hosts.#names.map(name => `netns add ${name}`).join('\n') })
      const lans = new Set(specs.flatMap(({ links }) => Object.values(links).map(([lan]) => lan)))
      await hosts.#ip('switch', [
        ...[...lans].flatMap(lan => [`link add ${lan} type bridge`, `link set ${lan} up`]),
        ...specs.flatMap(({ name, links }) => Object.entries(links).flatMap(([link, [lan]]) => [
          `link add ${name}-${link} master ${lan} type veth peer name ${link} netns ${name}`,
          `link set ${name}-${link} up`,
        ])),
      ])
      for (const { name, links, ip = [], sysctl = {} } of specs) {
        await hosts.#ip(name, [
          'link set lo up',
          ...Object.entries(links).flatMap(([link, [, ...addresses]]) => [
            ...addresses.map(address => `address add ${address} dev ${link}`),
            `link set ${link} up`,
          ]),
          ...ip,
        ])
        const settings = Object.entries(sysctl).map(([key, value]) => `${key}=${value}`)
        if (settings.length > 0) await hosts.must(name, ['sysctl', '-qw', ...settings])
      }
      return hosts
    } catch (error) {
      await hosts[Symbol.asyncDispose]()
      throw error
    }
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
  async start(
    host: string, command: readonly string[], ready: (program: Program) => Promise<boolean> | boolean,
  ): Promise<Program> {
    const { child, output, ended } = launch(['ip', 'netns', 'exec', host, ...command])
    const life = { over: false }
    const end = ended.catch(() => undefined).finally(() => { life.over = true })
    const program: Program = {
      output,
      async stop(signal = 'SIGTERM') {
        child.kill(signal)
        const timer = setTimeout(() => child.kill('SIGKILL'), patience(3_000))
        await end
        clearTimeout(timer)
        return output
      },
    }
    this.#programs.push(program)

    const deadline = performance.now() + LIMIT
    while (!await ready(program)) {
      this.#signal.throwIfAborted()
      const why = life.over ? 'ended'
        : performance.now() > deadline ? `was not ready within ${LIMIT / 1000} s` : undefined
      if (why) throw new Error(`${command[0]} on ${host} ${why}: ${output.stderr.trim() || 'it printed nothing'}`)
      await sleep(50)
    }
    return program
  }

  /** Ends all programs and removes all hosts, with everything in them. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#programs.map(program => program.stop()))
    const deletions = this.#names.map(name => `netns delete ${name}`).join('\n')
    await execute(['ip', '-force', '-batch', '-'], { input: deletions })
  }
}
