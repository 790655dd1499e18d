/** Total counters and table states: /proc/net/ip_vs_stats, ip_vs_stats_percpu, ip_vs_status. */

import { DecodeError, type CallOptions } from '../../generic-netlink/core.js'
import type { Stats } from '../ipvs/model.js'
import { readProcNet } from './files.js'

/** The counters of one processor, of its packets. The kernel has no rates for processors. */
export interface CpuStatistics extends Omit<Stats, 'rates'> {
  /** The processor's number, from 0. Processors that can be plugged in are listed too. */
  cpu: number
}

/** The state of one of the kernel's hash tables. */
export interface TableStatus {
  /** The number of connections or services. */
  entries: number
  /** The number of buckets, also as a power of two; 0 where the table does not exist yet. */
  buckets: number
  bits: number
  /**
   * The load factor, as a power of two of entries per bucket: −4 is 16 buckets an entry.
   * Set by `net.ipv4.vs.conn_lfactor`, `svc_lfactor`.
   */
  loadFactor: number
  /**
   * The numbers of buckets with no entry, one entry, and so on to six; last, seven or more.
   * Absent while the table is empty.
   */
  lengths?: number[]
}

/** The state of IPVS in this network namespace. */
export interface IpvsStatus {
  connections: TableStatus
  services: TableStatus
  /** The threads that compute rates. */
  estimation: {
    /** The number of threads, and its limit. */
    threads: number
    maxThreads: number
    /** The limits of counters in a chain, and in a thread. */
    chainLength: number
    countersPerThread: number
  }
}

/**
 * Reads the counters and rates of all services together, removed services included, since the last
 * `zero()` without a service. The kernel updates them every two seconds. Rejects with `ENOENT`
 * where the kernel has no IPVS.
 */
export async function ipvsTotals(options?: CallOptions): Promise<Stats> {
  return parseTotals(await readProcNet('ip_vs_stats', options))
}

/**
 * Reads the current counters of each processor; `zero()` does not reset them.
 * Rejects with `ENOENT` where the kernel has no IPVS.
 */
export async function perCpuStatistics(options?: CallOptions): Promise<CpuStatistics[]> {
  return parsePerCpu(await readProcNet('ip_vs_stats_percpu', options))
}

/**
 * Reads the state of the connection and service tables;
 * undefined where the kernel does not show it (before Linux 7.1) or has no IPVS.
 */
export async function ipvsStatus(options?: CallOptions): Promise<IpvsStatus | undefined> {
  try { return parseStatus(await readProcNet('ip_vs_status', options)) } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

// ── the files ──

/** Five hexadecimal numbers: connections, packets and bytes, in and out. */
const FIVE = /^ *([\dA-F]+) +([\dA-F]+) +([\dA-F]+) +([\dA-F]+) +([\dA-F]+)$/

type Numbers = readonly [bigint, bigint, bigint, bigint, bigint]

function five(file: string, line: string | undefined): Numbers {
  const found = FIVE.exec(line ?? '')
  if (!found) {
    const text = JSON.stringify(line ?? 'the end of the file')
    throw new DecodeError(`/proc/net/${file}: ${text} is not five hexadecimal numbers`)
  }
  return found.slice(1).map(digits => BigInt(`0x${digits}`)) as unknown as Numbers
}

const counters = ([connections, packetsIn, packetsOut, bytesIn, bytesOut]: Numbers): Omit<Stats, 'rates'> =>
  ({ connections, packetsIn, packetsOut, bytesIn, bytesOut })

/** The text of ip_vs_stats. @throws DecodeError */
export function parseTotals(text: string): Stats {
  const lines = text.split('\n')
  const [connections, packetsIn, packetsOut, bytesIn, bytesOut] =
    five('ip_vs_stats', lines[5]).map(Number) as [number, number, number, number, number]
  const rates = { connections, packetsIn, packetsOut, bytesIn, bytesOut }
  return { ...counters(five('ip_vs_stats', lines[2])), rates }
}

/**
 * The text of ip_vs_stats_percpu, without its total (`~`) and rates, which are in ip_vs_stats too.
 * @throws DecodeError
 */
export function parsePerCpu(text: string): CpuStatistics[] {
  const rows = text.split('\n').slice(2)
  const end = rows.findIndex(row => /^ *~ /.test(row))
  if (end < 0) throw new DecodeError('/proc/net/ip_vs_stats_percpu: the row of totals (~) is missing')
  return rows.slice(0, end).map(row => {
    // The processor's number is hexadecimal too.
    const [, cpu, rest] = /^ *([\dA-F]+) (.*)$/.exec(row) ?? []
    return { cpu: parseInt(cpu ?? '0', 16), ...counters(five('ip_vs_stats_percpu', rest)) }
  })
}

/** The text of ip_vs_status: lines of `Name:<tab>value`, some unknown. @throws DecodeError */
export function parseStatus(text: string): IpvsStatus {
  const values = new Map(text.split('\n').map(line => line.split(':\t') as [string, string]))
  const numbers = (name: string): number[] => {
    const found = values.get(name)?.match(/-?\d+/g)
    if (!found) throw new DecodeError(`/proc/net/ip_vs_status: ${name} is missing`)
    return found.map(Number)
  }
  const table = (all: string, one: string): TableStatus => {
    const [buckets = 0, bits = 0, loadFactor = 0] = numbers(`${one} buckets`)
    const length = (i: number): number => Number(values.get(`${one} buckets len-${i}`)?.split(' ')[0] ?? 0)
    return {
      entries: numbers(all)[0]!, buckets, bits, loadFactor,
      ...values.has(`${one} buckets empty`) && {
        lengths: [numbers(`${one} buckets empty`)[0]!, ...[1, 2, 3, 4, 5, 6, 7].map(length)],
      },
    }
  }
  const [threads = 0, maxThreads = 0] = numbers('Stats thread slots')
  return {
    connections: table('Conns', 'Conn'),
    services: table('Services', 'Service'),
    estimation: {
      threads, maxThreads,
      chainLength: numbers('Stats chain max len')[0]!,
      countersPerThread: numbers('Stats thread ests')[0]!,
    },
  }
}
