/** What was seen, read from what dig and tcpdump print, and whether it is what it should be. */

import type { Requests } from '../support/nlmon.js'
import { captureProblems } from '../support/tcpdump.js'

/** A question to the VIP and what came back. */
export interface Answer {
  readonly protocol: 'udp' | 'tcp'
  /** The address by which the server named itself. */
  readonly server?: string | undefined
  /** How long it took, in milliseconds. */
  readonly time?: number
  /** What dig says where it got no answer. */
  readonly problem?: string
}

/** A packet that tcpdump saw. */
export interface Packet {
  /** The director's link on which it was. */
  readonly link: string
  /** As tcpdump printed it. */
  readonly text: string
  /** The outer addresses of IP in IP. */
  readonly tunnel?: { readonly from: string; readonly to: string }
  readonly from: Endpoint
  readonly to: Endpoint
}

/** An address and a port. */
export interface Endpoint { readonly address: string; readonly port: number }

/** All that tcpdump saw on one link. */
export interface Capture {
  readonly link: string
  readonly packets: readonly Packet[]
  /** Why it cannot be relied upon. */
  readonly problems: readonly string[]
}

/** What the checks look at. */
export interface Evidence {
  /** The servers that should answer. */
  readonly servers: readonly string[]
  readonly answers: readonly Answer[]
  readonly captures: readonly Capture[]
}

/** A second apply of the same. */
export interface Again {
  /** The changes that its plans ask for. */
  readonly plan: readonly string[]
  /** What was sent to the kernel at the first time, and again. */
  readonly first: Requests
  readonly again: Requests
}

/** A question of the stream. */
export interface StreamAnswer {
  /** When it was asked: milliseconds of the machine's clock. */
  readonly asked: number
  readonly server?: string
  /** Why there is no answer. */
  readonly problem?: string
}

/** A server that was taken out while questions came in. */
export interface Drain {
  readonly server: string
  /** When the drain began and ended, by the clock of the questions. */
  readonly begun: number
  readonly ended: number
  readonly stream: readonly StreamAnswer[]
}

/** So many questions have to be asked after a drain before it is judged. */
export const ENOUGH = 50

// ── reading ──

/** The address by which a server names itself, in what it answers. */
export const serverOf = (text: string): string | undefined => /\bserver (\d+\.\d+\.\d+\.\d+)/.exec(text)?.[1]

/**
 * Reads what `dig -u +noall +answer +stats CH TXT version.bind` printed.
 * Without -u its clock ticks a hundred times a second.
 */
export function readAnswer(protocol: Answer['protocol'], output: string): Answer {
  const server = serverOf(output), time = /^;; Query time: (\d+) usec$/m.exec(output)?.[1]
  if (server !== undefined && time !== undefined) return { protocol, server, time: Number(time) / 1000 }
  return { protocol, problem: output.split('\n', 1)[0]!.replace(/^;;\s*/, '') || 'an empty answer' }
}

const PACKET = /^IP (?:([\d.]+) > ([\d.]+): IP )?(\d+\.\d+\.\d+\.\d+)\.(\d+) > (\d+\.\d+\.\d+\.\d+)\.(\d+): /

/** Reads a line of `tcpdump -n -t -q`; undefined where it is not UDP or TCP over IPv4. */
export function readPacket(link: string, text: string): Packet | undefined {
  const [, outerFrom, outerTo, from, fromPort, to, toPort] = PACKET.exec(text) ?? []
  if (from === undefined) return undefined
  return {
    link, text,
    ...outerFrom !== undefined && { tunnel: { from: outerFrom, to: outerTo! } },
    from: { address: from, port: Number(fromPort) },
    to: { address: to!, port: Number(toPort) },
  }
}

/** Reads what tcpdump printed: packets on stdout, and on stderr how many it lost. */
export function readCapture(link: string, stdout: string, stderr: string): Capture {
  const lines = stdout.split('\n').filter(line => line !== '')
  const packets = lines.map(line => readPacket(link, line))
  return {
    link,
    packets: packets.filter(packet => packet !== undefined),
    problems: [
      ...lines.filter((_, i) => packets[i] === undefined)
        .map(line => `tcpdump on ${link} printed a line that is no packet of DNS: ${line}`),
      ...captureProblems(link, stderr),
    ],
  }
}

/** A packet that carries a response, or a part of one: it comes from the port of the questions. */
export const isResponse = (packet: Packet): boolean => packet.from.port === 53

/** The first packet of each conversation. */
export function openings(packets: readonly Packet[]): Packet[] {
  const first = new Map<string, Packet>()
  for (const packet of packets) {
    const client = `${packet.from.address}:${packet.from.port}`
    if (!first.has(client)) first.set(client, packet)
  }
  return [...first.values()]
}

/** The questions of a stream: those before a drain, those during it, and those after it. */
export function phases({ stream, begun, ended }: Drain): Record<'before' | 'during' | 'after', StreamAnswer[]> {
  return {
    before: stream.filter(({ asked }) => asked < begun),
    during: stream.filter(({ asked }) => asked >= begun && asked <= ended),
    after:  stream.filter(({ asked }) => asked > ended),
  }
}

/** How many of these a server gave. */
export const share = (answers: readonly { readonly server?: string | undefined }[], server: string): number =>
  answers.filter(answer => answer.server === server).length

// ── judging ──

/** Everything that is not as it should be, a sentence each; empty when all is well. */
export function failures({ servers, answers, captures }: Evidence): string[] {
  const packets = captures.flatMap(capture => capture.packets)
  const silent = servers.filter(server => !answers.some(answer => answer.server === server))
  const missed = servers.filter(server =>
    !packets.some(packet => packet.link === 'eth1' && packet.tunnel?.to === server))
  const uneven = answers.every(({ server }) => server !== undefined)
    && new Set(servers.map(server => share(answers, server))).size > 1
  const strangers = new Set(answers.flatMap(({ server }) =>
    server === undefined || servers.includes(server) ? [] : server))
  return [
    ...(['udp', 'tcp'] as const).flatMap(protocol => {
      const asked = answers.filter(answer => answer.protocol === protocol)
      const lost = asked.filter(answer => answer.server === undefined)
      if (asked.length === 0) return `nothing was asked by ${protocol}`
      if (lost.length === 0) return []
      return `${lost.length} of ${asked.length} answers by ${protocol} are missing: ${lost[0]!.problem}`
    }),
    ...silent.map(server => `${server} gave none of the ${answers.length} answers`),
    ...uneven && silent.length === 0
      ? [`the servers' shares of the ${answers.length} answers differ: ${
          servers.map(server => `${server} gave ${share(answers, server)}`).join(', ')}`]
      : [],
    ...[...strangers].map(server => `${server} answered, which is none of the servers`),
    ...missed.map(server => `no packet of IP in IP left the director's eth1 for ${server}`),
    ...captures.flatMap(({ link, packets }) => {
      const responses = packets.filter(isResponse)
      if (responses.length === 0) return []
      return `${responses.length} packets of responses passed through the director on ${link}, `
        + `the first: ${responses[0]!.text}`
    }),
    ...captures.flatMap(({ problems }) => problems),
  ]
}

/** What is wrong with a second apply. */
export function againFailures({ plan, first, again }: Again): string[] {
  return [
    ...plan.length > 0 ? [`a second apply had something to do: ${plan[0]}`] : [],
    ...again.changing > 0 ? [`a second apply sent ${again.changing} messages to the kernel that change something`] : [],
    // A tap that sees nothing proves nothing.
    ...first.changing === 0 ? ['nlmon saw no change by the first apply'] : [],
    ...again.reading === 0 ? ['nlmon saw no reading by the second apply'] : [],
    ...first.problems,
    ...again.problems,
  ]
}

/** What is wrong with a drain. */
export function drainFailures(drain: Drain): string[] {
  const { server, stream } = drain, { before, after } = phases(drain)
  const lost = stream.filter(({ problem }) => problem !== undefined)
  const late = share(after, server)
  return [
    ...lost.length === 0 ? []
      : [`${lost.length} of ${stream.length} questions around the drain of ${server} were lost: ${lost[0]!.problem}`],
    ...share(before, server) > 0 ? []
      : [`${server} answered none of the ${before.length} questions before its drain`],
    ...after.length < ENOUGH ? [`only ${after.length} questions were asked after the drain of ${server}`] : [],
    ...late > 0 ? [`${server} answered ${late} of the ${after.length} questions that were asked after its drain`] : [],
  ]
}
