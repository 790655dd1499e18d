/** What a person sees of what happened: the most telling lines, or, with --verbose, all. */

import type { Row } from '../support/box.js'
import { print } from '../support/print.js'
import { isResponse, openings, phases, share, type Again, type Answer, type Capture, type Drain } from './checks.js'
import { servers, vip } from './topology.js'

export const verbose = process.argv.includes('--verbose')

export const PICTURE = `
     client: asks              director: shares questions out
     192.168.50.10             192.168.50.253      192.168.51.253
           │                         │                   │
     ──────┴────────────┬────────────┘                   │
                        │ .50.254                .51.254 │
                        └──────────── router ────────────┘
                                        │ .52.254
                     ┌──────────────────┴──────────────────┐
            server1: answers                      server2: answers
              192.168.52.100                        192.168.52.101
     The DNS address ${vip} is on the director and on both servers.
     question  client ──> director ══ IP in IP ══> router ══> server
     answer    client <────────────────────────── router <── server`

// ── what was applied ──

/** The lines of the director's plans that say what it is. */
const DIRECTORS = /192\.168\.50\.100\/32|ip route|-u /
/** Those of a server. */
const SERVERS = /ip link add|192\.168\.50\.100\/32|tun0\.rp_filter/

/** Prints what was applied on the director and on the servers. */
export function printApplied(director: string, plans: readonly string[]): void {
  print('APPLIED on the director by ipvs-nl: what an operator would type for it',
    told(director, DIRECTORS, 'links, addresses, and the same for TCP'))
  const [first, ...others] = plans
  print('APPLIED on server1', told(first!, SERVERS, 'its address and route, and what keeps the VIP silent'))
  others.forEach((plan, i) => {
    const [address, other] = [servers[0], servers[i + 1]!]
    const same = plan === first!.replaceAll(address, other)
    const host = `server${i + 2}`
    if (verbose || !same) print(`APPLIED on ${host}`, plan)
    else print('', `${host}: the same, with .${other.split('.').at(-1)}`)
  })
}

/** A plan's most telling lines, without their reasons; with --verbose, all. */
function told(plan: string, telling: RegExp, rest: string): string {
  if (verbose) return plan
  const lines = plan.trimEnd().split('\n'), shown = lines.filter(line => telling.test(line))
  const brief = shown.map(line => line.replace(/ {3}# .*/, ''))
  return [...brief, `and ${lines.length - shown.length} more: ${rest}`].join('\n')
}

// ── what happened ──

/** Prints the last answer by one protocol; without --verbose all six, once they are there. */
export function printAnswers(answers: readonly Answer[]): void {
  const { protocol, server, time, problem } = answers.at(-1)!
  if (verbose) {
    const result = server === undefined ? `no answer: ${problem}` : `${server}  ${time!.toFixed(1)} ms`
    print('', `${protocol} ${answers.length}  ${result}`)
  } else if (answers.length === 6) {
    const cells = answers.map(({ server, time }) =>
      server === undefined ? 'no answer' : `.${server.split('.').at(-1)} ${time!.toFixed(1)}`)
    print('', `${protocol}  ${cells.map(cell => cell.padEnd(10)).join(' ')}`)
  }
}

/** Prints what tcpdump saw on a link. */
export function printCapture({ link, packets }: Capture): void {
  const tunnelled = packets.filter(packet => packet.tunnel)
  const first = openings(tunnelled)
  const responses = packets.filter(isResponse)
  print('', [
    `${link}: ${packets.length} packets, ${tunnelled.length} of them IP in IP, ${responses.length} responses`,
    ...first.map(({ text }) => `  ${text}`),
    ...first.length > 0 ? [`  and ${tunnelled.length - first.length} more of these ${first.length} conversations`] : [],
    ...responses.slice(0, 4).map(({ text }) => `  RESPONSE ${text}`),
  ].join('\n'))
}

/** Prints what a second apply did. */
export function printAgain({ plan, first, again }: Again): void {
  print('APPLIED AGAIN on the director, and what nlmon saw of it on netlink', [
    `the first time: ${first.changing} messages to the kernel change something, ${first.reading} read`,
    `again: ${again.changing} change something, ${again.reading} read`,
    plan.length === 0 ? 'its plans are empty' : `its plans:\n${plan.join('\n')}`,
  ].join('\n'))
}

/** Prints who answered before a drain, during it and after it. */
export function printDrain(drain: Drain): void {
  const rows = Object.entries(phases(drain)).map(([phase, answers]) => {
    const shares = servers.map(server => `${server} answered ${share(answers, server)}`).join(', ')
    return `${phase.padEnd(6)}  ${answers.length} questions: ${shares}`
  })
  print(`DRAINED ${drain.server} in ${seconds(drain)} s, while a client asked ${rate(drain)} times a second`,
    rows.join('\n'))
}

const seconds = ({ begun, ended }: Drain): string => ((ended - begun) / 1000).toFixed(1)

function rate({ stream }: Drain): string {
  const times = stream.map(({ asked }) => asked)
  return (stream.length * 1000 / (Math.max(...times) - Math.min(...times))).toFixed(0)
}

// ── the verdict ──

/** What came of it all. What was not tried is undefined. */
export interface Result {
  readonly answers: readonly Answer[]
  readonly captures: readonly Capture[]
  readonly again: Again | undefined
  readonly drain: Drain | undefined
}

/** The rows of the last box. */
export function rows(
  { answers, captures, again, drain }: Result, good: { readonly again: boolean; readonly drain: boolean },
): Row[] {
  const answered = answers.filter(({ server }) => server !== undefined).length
  const shares = servers.map(server => share(answers, server))
  const responses = captures.flatMap(({ packets }) => packets.filter(isResponse)).length
  return [
    {
      good: answered === answers.length,
      text: `${answered} of ${answers.length} questions answered, by UDP and by TCP`,
    },
    {
      good: answered > 0 && new Set(shares).size === 1,
      text: `shared out ${shares.join(' and ')}`,
      bars: servers.map((_, i) => ({ name: `server${i + 1}`, value: shares[i]! })),
    },
    { good: responses === 0, text: `${responses} replies through the director: servers answer the client directly` },
    again === undefined
      ? { good: undefined, text: 'a second apply: not tried' }
      : {
          good: good.again,
          text: `${again.again.changing} messages sent by a second apply to change anything `
            + `(the first: ${again.first.changing})`,
        },
    drain === undefined ? { good: undefined, text: 'a drain of server2: not tried' } : drainRow(drain, good.drain),
  ]
}

function drainRow(drain: Drain, good: boolean): Row {
  const { stream, server } = drain
  const lost = stream.filter(({ problem }) => problem !== undefined).length
  const names = { before: 'before', during: 'meanwhile', after: 'after' }
  return {
    good,
    text: `${lost} of ${stream.length} questions lost, at ${rate(drain)} a second, by a drain of server2; it gave`,
    bars: (['before', 'during', 'after'] as const).map(phase => {
      const answers = phases(drain)[phase]
      const time = phase === 'during' ? ` in ${seconds(drain)} s` : ''
      return { name: names[phase], value: share(answers, server), note: `of ${answers.length}${time}` }
    }),
  }
}
