/**
 * Prints the virtual services of this host with their counters, as soon as these show
 * so many connections: the kernel sums them up every two seconds only.
 *
 *     node dist/examples/support/counters.js 12
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Director, VirtualService, type RealServerState, type ServiceState } from 'ipvs-nl'
import { patience } from './patience.js'

const expected = BigInt(process.argv[2] ?? 0)
const deadline = performance.now() + patience(4_000)

await using director = await Director.open()
let services = await VirtualService.list({ director })
while (connections(services) < expected && performance.now() < deadline) {
  await sleep(100)
  services = await VirtualService.list({ director })
}
console.log(table(services))
if (connections(services) < expected) {
  console.error(`the kernel counts ${connections(services)} connections, not ${expected}`)
  process.exitCode = 1
}

function connections(services: readonly ServiceState[]): bigint {
  return services.reduce((sum, { stats }) => sum + stats.connections, 0n)
}

function table(services: readonly ServiceState[]): string {
  const rows = services.flatMap(service => [
    [`${service.protocol} ${service.vip}:${service.port} ${service.scheduler}`, '', ...counters(service)],
    ...service.realServers.map(server =>
      [`  → ${server.address}:${server.port}`, String(server.weight), ...counters(server)]),
  ])
  const lines = [['virtual service', 'weight', 'connections', 'packets in', 'bytes in', 'packets out'], ...rows]
  const widths = lines[0]!.map((_, i) => Math.max(...lines.map(line => line[i]!.length)))
  // Names to the left, numbers to the right.
  const aligned = (cell: string, i: number): string => i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)
  return lines.map(line => line.map(aligned).join('  ')).join('\n')
}

function counters({ stats }: ServiceState | RealServerState): string[] {
  return [stats.connections, stats.packetsIn, stats.bytesIn, stats.packetsOut].map(String)
}
