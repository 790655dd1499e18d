/** What ping printed. */

/** How many requests were sent, and answered. */
export interface Pings {
  readonly sent: number
  readonly received: number
  /** Why some were not. */
  readonly problem: string
}

/** Reads what `ping -n` printed. */
export function readPing(output: string): Pings {
  const [, sent = 0, received = 0] = /^(\d+) packets transmitted, (\d+) received/m.exec(output) ?? []
  const problem = /^(?:From \S+ icmp_seq=\d+ |ping: )(.+)$/m.exec(output)?.[1] ?? 'nothing came back'
  return { sent: Number(sent), received: Number(received), problem }
}
