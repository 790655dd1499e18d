/**
 * The director's metrics over HTTP, for Prometheus to scrape: OpenMetrics to who asks for it,
 * Prometheus's own format to others.
 *
 *     npm run build && sudo node dist/examples/metrics.js [[ADDRESS:]PORT]   # or 127.0.0.1:9820
 *
 * In the lab, with a service to tell of; the first line is the example's,
 * the others are what curl got:
 *
 *     npm run lab -- bash -c 'ipvsadm -A -u 10.0.0.1:53 -s rr
 *       ipvsadm -a -u 10.0.0.1:53 -r 10.0.0.2 -i
 *       node dist/examples/metrics.js &
 *       curl -s --retry 9 --retry-connrefused 127.0.0.1:9820/metrics | grep service_
 *       kill $!; wait'
 *
 *     metrics at http://127.0.0.1:9820/metrics
 *     # HELP ipvs_service_info How a virtual service distributes its connections.
 *     # TYPE ipvs_service_info gauge
 *     ipvs_service_info{protocol="udp",vip="10.0.0.1",port="53",family="inet",scheduler="rr"} 1
 *     # HELP ipvs_service_real_servers Real servers of a virtual service, of any weight.
 *     # TYPE ipvs_service_real_servers gauge
 *     ipvs_service_real_servers{protocol="udp",vip="10.0.0.1",port="53",family="inet"} 1
 *     # HELP ipvs_service_connections_total Connections scheduled.
 *     # TYPE ipvs_service_connections_total counter
 *     ipvs_service_connections_total{protocol="udp",vip="10.0.0.1",port="53",family="inet"} 0
 *     # HELP ipvs_service_incoming_packets_total Packets from clients.
 *     …
 */

import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Director, formatMetrics, metricsContentTypes, perCpuStatistics, ipvsTotals } from 'ipvs-nl'

/** Answers `GET /metrics`, in OpenMetrics to whoever says that it understands it. */
async function answer(director: Director, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const reply = (status: number, type: string, body: string): void => {
    response.writeHead(status, { 'content-type': type, 'content-length': Buffer.byteLength(body), vary: 'accept' })
    response.end(request.method === 'HEAD' ? undefined : body)
  }
  if (new URL(request.url ?? '/', 'http://director').pathname !== '/metrics') {
    reply(404, 'text/plain', 'there is /metrics\n')
    return
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD')
    reply(405, 'text/plain', 'GET or HEAD\n')
    return
  }
  try {
    const [services, sums, cpus] = await Promise.all([director.list(), ipvsTotals(), perCpuStatistics()])
    const format = request.headers.accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus'
    reply(200, metricsContentTypes[format], formatMetrics({ services, totals: sums, cpus }, { format }))
  } catch (error) {
    reply(500, 'text/plain', `${(error as Error).message}\n`)
  }
}

const [, host = '127.0.0.1', port] = /^(?:(.*):)?(\d+)$/.exec(process.argv[2] ?? '9820') ?? []
if (port === undefined) {
  console.error('where to listen: [ADDRESS:]PORT')
  process.exit(2)
}

await using director = await Director.open()
const server: Server = createServer((request, response) => void answer(director, request, response))
await new Promise<void>((resolve, reject) => {
  server.once('error', reject).listen(Number(port), host.replace(/^\[|\]$/g, ''), resolve)
})
const { address, port: actual } = server.address() as { address: string; port: number }
console.log(`metrics at http://${address.includes(':') ? `[${address}]` : address}:${actual}/metrics`)

// Whoever is being answered still gets the whole answer.
await new Promise<void>(resolve => {
  const end = (): void => {
    server.close(() => resolve())
    server.closeIdleConnections()
  }
  process.once('SIGINT', end).once('SIGTERM', end)
})
