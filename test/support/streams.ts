/** Streams of questions while others change the director, and those who change it: operations of a test's hosts. */

import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { patience } from '../../examples/support/patience.js'
import { Director } from '../../lib/api/director.js'
import type { DirectorSpec } from '../../lib/api/director-plan.js'

/** How often each answer came. */
export type Tally = Record<string, number>

/** Longer than any answer takes: what comes later is lost. */
const LOST = patience(3000)

/** Ends the streams of this process. */
let ending = new AbortController()

/** One question after the other, until the streams end. */
async function ask(tally: Tally, question: () => Promise<string>): Promise<void> {
  for (const { signal } = ending; !signal.aborted;) note(tally, await question())
}

function note(tally: Tally, answer: string): void { tally[answer] = (tally[answer] ?? 0) + 1 }

const codeOf = (error: NodeJS.ErrnoException): string => error.code ?? error.message

/** Who answers a TCP connection, or why nobody does. */
const knock = (host: string, port: number, localAddress: string): Promise<string> => new Promise(resolve => {
  const socket = connect({ host, port, localAddress })
  const done = (answer: string): void => {
    clearTimeout(timer)
    socket.resetAndDestroy()
    resolve(answer)
  }
  const timer = setTimeout(() => done('lost'), LOST)
  socket.once('data', data => done(data.toString('latin1').trim())).on('error', error => done(codeOf(error)))
})

/** Who answers a datagram, or why nobody does. */
const send = (socket: ReturnType<typeof createSocket>, host: string, port: number): Promise<string> => new Promise(resolve => {
  const done = (answer: string): void => {
    clearTimeout(timer)
    socket.removeAllListeners('message').removeAllListeners('error')
    resolve(answer)
  }
  const timer = setTimeout(() => done('lost'), LOST)
  socket.once('message', answer => done(answer.toString('latin1'))).once('error', error => done(codeOf(error)))
  socket.send('who?', port, host)
})

/** From where to where questions go. */
export interface Stream { readonly host: string; readonly port: number; readonly from: readonly string[] }

export const streams = {
  /** New TCP connections from each address, one after the other, until the streams end. */
  async newConnections({ host, port, from }: Stream): Promise<Tally> {
    const tally: Tally = {}
    await Promise.all(from.map(address => ask(tally, () => knock(host, port, address))))
    return tally
  },
  /** A UDP flow from each address: its datagrams, one after the other, keep their source port; until the streams end. */
  async oldFlows({ host, port, from }: Stream): Promise<Tally> {
    const tally: Tally = {}
    await Promise.all(from.map(async address => {
      const socket = createSocket('udp4')
      await new Promise<void>(resolve => { socket.bind({ address }, resolve) })
      await ask(tally, () => send(socket, host, port))
      socket.close()
    }))
    return tally
  },
  endStreams() {
    ending.abort()
    ending = new AbortController()
    return Promise.resolve()
  },
  /** Makes so many plans of specs in turn and applies them, by a director of its own; how many steps. */
  async alternate({ specs, plans }: { specs: DirectorSpec[]; plans: number }): Promise<number> {
    await using director = await Director.open()
    let steps = 0
    for (let i = 0; i < plans; i++) {
      const plan = await director.plan(specs[i % specs.length]!, { prune: true, force: true })
      await plan.apply()
      steps += plan.steps.length
    }
    return steps
  },
  /** Looks so many times what weights a real server has in its services; how often each was seen. */
  async weights({ server, times }: { server: string; times: number }): Promise<Tally> {
    await using director = await Director.open()
    const tally: Tally = {}
    for (let i = 0; i < times; i++) {
      const all = (await director.list()).flatMap(({ realServers }) => realServers)
      note(tally, all.filter(({ address }) => address === server).map(({ weight }) => weight).join(' '))
      await sleep(5)
    }
    return tally
  },
}
