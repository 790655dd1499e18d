/** A web server that says who it is and who asks, and curl, which asks it. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { Hosts } from './hosts.js'

/** Serves in this process, until it is ended. */
export async function serveWeb(name: string, address: string, port: number): Promise<void> {
  const server = createServer(({ socket }, response) => response.end(`${name} to ${socket.remoteAddress}\n`))
  server.listen(port, address)
  await once(server, 'listening')
  console.log(`${name} serves http://${address}:${port}/`)
}

/** What came of a request. */
export interface Reply {
  /** The server, by the name that it says. */
  readonly server?: string
  /** The client's address, as the server sees it. */
  readonly client?: string
  /** Why there is none of these. */
  readonly problem?: string
}

/** Asks once. */
export async function curl(hosts: Hosts, host: string, url: string, ...options: string[]): Promise<Reply> {
  const { stdout, stderr } = await hosts.run(host, ['curl', '-sS', '--max-time', '2', ...options, url])
  return readReply(stdout, stderr)
}

/** Reads what curl printed. */
export function readReply(stdout: string, stderr: string): Reply {
  const [, server, client] = /^(\S+) to (\S+)\n$/.exec(stdout) ?? []
  if (server !== undefined) return { server, client: client! }
  return { problem: stderr.trim() || `it says ${JSON.stringify(stdout)}` }
}

/** A reply in words. */
export const replyText = ({ server, client, problem }: Reply): string =>
  problem === undefined ? `${server}, which sees ${client}` : `no answer: ${problem}`

/** Which servers did not answer as they should: every request has an answer, by all servers. */
export function unserved(replies: readonly Reply[], servers: readonly string[]): string[] {
  const lost = replies.filter(({ problem }) => problem !== undefined)
  return [
    ...lost.length > 0 ? [`${lost.length} of ${replies.length} requests were not answered: ${lost[0]!.problem}`] : [],
    ...servers.filter(server => !replies.some(reply => reply.server === server))
      .map(server => `${server} answered none of the ${replies.length} requests`),
  ]
}
