/** What was seen, read from what dig and tcpdump print, and whether it is what it should be. Nothing here does anything. */

/** A question to the VIP and what came back. */
export interface Answer {
  readonly protocol: 'udp' | 'tcp'
  /** The address by which the server named itself. */
  readonly server?: string | undefined
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

// ── reading ──

/** Reads what `dig +short CH TXT version.bind` printed. */
export function readAnswer(protocol: Answer['protocol'], output: string): Answer {
  const server = /^"server ([\d.]+)"$/m.exec(output)?.[1]
  if (server !== undefined) return { protocol, server }
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
  const dropped = /^(\d+) packets? dropped by kernel$/m.exec(stderr)?.[1]
  return {
    link,
    packets: packets.filter(packet => packet !== undefined),
    problems: [
      ...lines.filter((_, i) => packets[i] === undefined).map(line => `tcpdump on ${link} printed a line that is no packet of DNS: ${line}`),
      ...dropped === undefined ? [`tcpdump on ${link} did not end as it should: ${stderr.trim()}`] : [],
      ...Number(dropped) > 0 ? [`tcpdump on ${link} lost ${dropped} packets`] : [],
    ],
  }
}

/** A packet that carries a response, or a part of one: it comes from the port that the questions go to. */
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

// ── judging ──

/** Everything that is not as it should be, a sentence each; empty when all is well. */
export function failures({ servers, answers, captures }: Evidence): string[] {
  const packets = captures.flatMap(capture => capture.packets)
  const silent = servers.filter(server => !answers.some(answer => answer.server === server))
  const missed = servers.filter(server => !packets.some(packet => packet.link === 'eth1' && packet.tunnel?.to === server))
  const strangers = new Set(answers.flatMap(({ server }) => server === undefined || servers.includes(server) ? [] : server))
  return [
    ...(['udp', 'tcp'] as const).flatMap(protocol => {
      const asked = answers.filter(answer => answer.protocol === protocol)
      const lost = asked.filter(answer => answer.server === undefined)
      if (asked.length === 0) return `nothing was asked by ${protocol}`
      return lost.length > 0 ? `${lost.length} of ${asked.length} answers by ${protocol} are missing: ${lost[0]!.problem}` : []
    }),
    ...silent.map(server => `${server} gave none of the ${answers.length} answers`),
    ...[...strangers].map(server => `${server} answered, which is none of the servers`),
    ...missed.map(server => `no packet of IP in IP left the director's eth1 for ${server}`),
    ...captures.flatMap(({ link, packets }) => {
      const responses = packets.filter(isResponse)
      return responses.length > 0 ? `${responses.length} packets of responses passed through the director on ${link}, the first: ${responses[0]!.text}` : []
    }),
    ...captures.flatMap(({ problems }) => problems),
  ]
}
