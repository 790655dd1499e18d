/** tcpdump on a host's link. */

import type { Hosts } from './hosts.js'

/** A capture that runs. */
export interface Sniffer {
  /** Ends it. */
  end(): Promise<Captured>
}

/** What was captured. */
export interface Captured {
  /** As tcpdump printed it: a packet each. */
  readonly packets: readonly string[]
  /** Why it cannot be relied upon. */
  readonly problems: readonly string[]
}

/** Captures what the filter lets through; is ready when it resolves. */
export async function sniff(
  hosts: Hosts, host: string, link: string, filter: string, ...options: string[]
): Promise<Sniffer> {
  const command = ['tcpdump', '-n', '-t', '-l', '--immediate-mode', ...options, '-i', link, filter]
  const program = await hosts.start(host, command, ({ output }) => output.stderr.includes('listening on'))
  return {
    async end() {
      const { stdout, stderr } = await program.stop('SIGINT')
      return readCaptured(`${host}'s ${link}`, stdout, stderr)
    },
  }
}

/**
 * Reads what tcpdump printed: on stdout a packet a line, but what is in VXLAN on a line of its own;
 * and on stderr how many it lost.
 */
export function readCaptured(where: string, stdout: string, stderr: string): Captured {
  return {
    packets:  stdout.replace(/(: VXLAN, .*)\n/g, '$1: ').split('\n').filter(line => line !== ''),
    problems: captureProblems(where, stderr),
  }
}

/** Reads the last words of tcpdump: why a capture cannot be relied upon. */
export function captureProblems(where: string, stderr: string): string[] {
  const dropped = /^(\d+) packets? dropped by kernel$/m.exec(stderr)?.[1]
  if (dropped === undefined) return [`tcpdump on ${where} did not end as it should: ${stderr.trim()}`]
  return Number(dropped) > 0 ? [`tcpdump on ${where} lost ${dropped} packets`] : []
}
