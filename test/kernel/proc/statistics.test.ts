import { existsSync, readFileSync } from 'node:fs'
import { createSocket } from 'node:dgram'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { ipvsStatus, perCpuStatistics, ipvsTotals, type CpuStatistics, type Stats } from '../../../lib/index.js'
import { ipvsadm, run } from '../../support/run.js'

/** The source port of the next datagram: one that the system gave out again would go on with its old connection. */
let port = 20_000

/** Datagrams of 28 + 100 bytes to a virtual service, from one port each. */
async function send(count: number): Promise<void> {
  for (let i = 0; i < count; i++) {
    const socket = createSocket('udp4')
    await new Promise<void>(resolve => { socket.bind(port++, '10.9.2.1', resolve) })
    await new Promise((resolve, reject) => { socket.send(Buffer.alloc(100), 53, '10.9.0.1', error => error ? reject(error) : resolve(undefined)) })
    socket.close()
  }
}
const counters = ({ connections, packetsIn, packetsOut, bytesIn, bytesOut }: Omit<Stats, 'rates'>): bigint[] => [connections, packetsIn, packetsOut, bytesIn, bytesOut]
const sum = (rows: readonly CpuStatistics[]): bigint[] => rows.map(counters).reduce((all, row) => all.map((n, i) => n + row[i]!))

beforeAll(() => {
  ipvsadm('-C')
  run('ip', ['-batch', '-'], ['link add stat0 type dummy', 'link set stat0 up', 'address add 10.9.0.1/16 dev stat0', 'address add 10.9.2.1/16 dev stat0'].join('\n'))
  ipvsadm('-Z')
  ipvsadm('-A -u 10.9.0.1:53 -s rr')
  ipvsadm('-a -u 10.9.0.1:53 -r 10.9.77.2:53 -g')
})
afterAll(() => {
  ipvsadm('-C')
  run('ip', ['link', 'delete', 'stat0'])
})

it('totals are what all services count, and what the file says', async () => {
  // The kernel sums up all counters every two seconds; after this, what other tests have sent is in.
  await send(1)
  await expect.poll(() => ipvsadm('-Ln --stats --exact'), { timeout: 20_000 }).toMatch(/:53 +1 +1 /)
  const before = await ipvsTotals()
  await send(40)
  await expect.poll(async () => (await ipvsTotals()).connections - before.connections, { timeout: 20_000 }).toBe(40n)
  const now = await ipvsTotals()
  expect(counters(now).map((n, i) => n - counters(before)[i]!)).toEqual([40n, 40n, 0n, 40n * 128n, 0n])
  expect(ipvsadm('-Ln --stats --exact')).toMatch(/^UDP +10\.9\.0\.1:53 +41 +41 +0 +5248 +0$/m)
  const lines = readFileSync('/proc/net/ip_vs_stats', 'latin1').split('\n')
  expect(lines[2]!.trim().split(/ +/).map(digits => BigInt(`0x${digits}`))).toEqual(counters(now))
  await send(200)
  await expect.poll(async () => (await ipvsTotals()).rates, { timeout: 20_000 }).toMatchObject({ connections: expect.toSatisfy((n: number) => n > 0) as number, packetsOut: 0 })
  const { rates } = await ipvsTotals()
  expect(rates.bytesIn).toBeGreaterThan(rates.packetsIn)
})

it('each processor counts what it did, at once, and zeroing the totals leaves that', async () => {
  const before = await perCpuStatistics()
  expect(before.map(row => row.cpu)).toEqual(readFileSync('/proc/net/ip_vs_stats_percpu', 'latin1').split('\n').filter(row => /^ +\d/.test(row)).slice(0, -1).map((_, i) => i))
  await send(7)
  const after = await perCpuStatistics()
  expect(sum(after).map((n, i) => n - sum(before)[i]!)).toEqual([7n, 7n, 0n, 7n * 128n, 0n])
  ipvsadm('-Z')
  expect((await ipvsTotals()).connections).toBe(0n)
  expect(await perCpuStatistics()).toEqual(after)
})

it('the state of the tables is told where the kernel shows it', async () => {
  const status = await ipvsStatus()
  if (existsSync('/proc/net/ip_vs_status')) expect(status).toMatchObject({ services: { entries: 1 } })
  else expect(status).toBeUndefined()
})
