/** What clients and servers do to each other: operations of a test's hosts. */

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, connect, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A connection that is held, and what became of it. */
export interface Held {
  /** Who answers at its other end. */
  readonly server: string
  /** What it sent and got back since the last look. */
  readonly echoes: number
  /** The longest time that an echo took since the last look, in milliseconds. */
  readonly slowest: number
  readonly error?: string
}

/** Between two pings of a held connection, in milliseconds. */
const PING = 20

/** A TCP connection that is pinged until it is let go. */
class Connection {
  readonly #socket: Socket
  readonly named: Promise<string>
  #server = ''
  #error: string | undefined
  #echoes = 0
  #slowest = 0
  #sentAt = 0
  #text = ''

  constructor(host: string, port: number, localAddress?: string) {
    this.#socket = connect({ host, port, ...localAddress !== undefined && { localAddress } })
    this.#socket.setEncoding('latin1').setNoDelay()
    this.named = new Promise((resolve, reject) => {
      this.#socket.on('error', (error: NodeJS.ErrnoException) => {
        this.#error = error.code ?? error.message
        reject(error)
      })
      this.#socket.on('data', (text: string) => {
        this.#text += text
        for (let end = this.#text.indexOf('\n'); end >= 0; end = this.#text.indexOf('\n')) {
          const line = this.#text.slice(0, end)
          this.#text = this.#text.slice(end + 1)
          if (this.#server === '') resolve(this.#server = line)
          else this.#echoed()
        }
      })
      this.#socket.on('end', () => { this.#error ??= 'ended' })
    })
  }

  #echoed(): void {
    this.#echoes++
    this.#slowest = Math.max(this.#slowest, performance.now() - this.#sentAt)
    setTimeout(() => this.ping(), PING)
  }

  ping(): void {
    this.#sentAt = performance.now()
    if (!this.#socket.destroyed) this.#socket.write('ping\n')
  }

  look(): Held {
    const waiting = this.#sentAt === 0 ? 0 : this.#echoes === 0 ? performance.now() - this.#sentAt : 0
    const held = { server: this.#server, echoes: this.#echoes, slowest: Math.max(this.#slowest, waiting), ...this.#error !== undefined && { error: this.#error } }
    this.#echoes = this.#slowest = 0
    return held
  }

  /** Ends it, as both ends do or by a reset, and waits for that: what is still to be sent may find no service, and IPVS never hears of the end. */
  end(reset = false): Promise<void> {
    return new Promise(resolve => {
      if (this.#socket.destroyed) { resolve(); return }
      this.#socket.once('close', () => resolve())
      if (this.#socket.connecting) this.#socket.destroy() // a reset would wait for the connection
      else if (reset) this.#socket.resetAndDestroy()
      else this.#socket.end()
    })
  }
}

const held = new Map<string, Connection[]>()
const flows = new Map<string, UdpSocket>()
/** The source port of all flows, until they are closed: IPVS would take a new one from the same port for the old one. */
let flowPort = 40_000

/** What one datagram of a flow is answered. */
function ask(socket: UdpSocket, host: string, port: number, timeout: number): Promise<string> {
  return new Promise(resolve => {
    const done = (answer: string): void => {
      clearTimeout(timer)
      socket.removeAllListeners('message').removeAllListeners('error')
      resolve(answer)
    }
    const timer = setTimeout(() => done('timeout'), timeout)
    socket.once('message', answer => done(answer.toString('latin1'))).once('error', (error: NodeJS.ErrnoException) => done(error.code ?? error.message))
    socket.send('who?', port, host)
  })
}

export const traffic = {
  /** Answers on a port of all addresses, TCP and UDP: with its name, then with what it is told. */
  async named({ name, port }: { name: string; port: number }) {
    const server = createServer({ allowHalfOpen: false }, socket => {
      socket.on('error', () => socket.destroy())
      socket.setNoDelay().write(`${name}\n`)
      socket.pipe(socket)
    })
    await new Promise<void>((resolve, reject) => { server.once('error', reject).listen({ port, host: '0.0.0.0', backlog: 512 }, resolve) })
    const socket = createSocket('udp4')
    socket.on('message', (_, { address, port }) => socket.send(name, port, address))
    await new Promise<void>((resolve, reject) => { socket.once('error', reject).bind(port, resolve) })
  },
  /** Opens connections and pings them until they are let go; who answers them. From these addresses, one each, or so many from any. */
  async hold({ group, host, port, from }: { group: string; host: string; port: number; from: number | string[] }) {
    const made = (typeof from === 'number' ? Array.from({ length: from }, () => undefined) : from).map(address => new Connection(host, port, address))
    held.set(group, [...held.get(group) ?? [], ...made])
    const names = await Promise.all(made.map(({ named }) => named))
    for (const connection of made) connection.ping()
    return names
  },
  /** What became of them since the last look; after so many milliseconds. */
  async look({ group, after = 0 }: { group: string; after?: number }): Promise<Held[]> {
    await sleep(after)
    return (held.get(group) ?? []).map(connection => connection.look())
  },
  /** Ends those that this server answers, or all; or resets them, after which IPVS forgets them sooner. */
  async letGo({ group, server, reset = false }: { group: string; server?: string; reset?: boolean }) {
    const all = held.get(group) ?? []
    const going = await Promise.all(all.map(async connection => server === undefined || await connection.named === server))
    await Promise.all(all.filter((_, i) => going[i]).map(connection => connection.end(reset)))
    held.set(group, all.filter((_, i) => !going[i]))
  },
  /** Who answers a new connection from each of these addresses, or why nobody does. */
  async whoAnswers({ host, port, from }: { host: string; port: number; from: string[] }): Promise<string[]> {
    return await Promise.all(from.map(async address => {
      const connection = new Connection(host, port, address)
      const answer = await Promise.race([connection.named.catch((error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error)), sleep(3000, 'timeout')])
      await connection.end(true)
      return answer
    }))
  },
  /** Who answers a datagram of each of these flows: a flow keeps its address and port. */
  async whoAnswersFlows({ host, port, from, timeout = 3000 }: { host: string; port: number; from: string[]; timeout?: number }): Promise<string[]> {
    return await Promise.all(from.map(async address => {
      const known = flows.get(address)
      const socket = known ?? createSocket('udp4')
      if (!known) {
        flows.set(address, socket)
        await new Promise<void>(resolve => { socket.bind({ address, port: flowPort }, resolve) })
      }
      return await ask(socket, host, port, timeout)
    }))
  },
  closeFlows() {
    for (const socket of flows.values()) socket.close()
    flows.clear()
    flowPort++
    return Promise.resolve()
  },
}
