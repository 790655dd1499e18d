/** What the kernel has counted in all, and the state of its tables: /proc/net/ip_vs_stats, ip_vs_stats_percpu, ip_vs_status. */

import { DecodeError, type CallOptions } from '../../generic-netlink/index.js'
import type { Stats } from '../ipvs/model.js'
import { readProcNet } from './files.js'

/** The counters of one processor: every packet counts where it was handled. The kernel has no rates for it. */
export interface CpuStatistics extends Omit<Stats, 'rates'> {
  /** The processor's number, from 0. Those that could be plugged in are listed, too. */
  cpu: number
}

/** The state of one of the kernel's hash tables. */
export interface TableStatus {
  /** How many connections or services it holds. */
  entries: number
  /** How many buckets it has; 0 while there is no table yet. */
  buckets: number
  /** The buckets' number as a power of two. */
  bits: number
  /** The load factor, as a power of two of entries per bucket: −4 is 16 buckets an entry. Set by `net.ipv4.vs.conn_lfactor`, `svc_lfactor`. */
  loadFactor: number
  /** How many buckets have no entry, one, two, … up to six; and, last, seven or more. Absent while the table has no entry. */
  lengths?: number[]
}

/** The state of IPVS in this network namespace. */
export interface IpvsStatus {
  connections: TableStatus
  services: TableStatus
  /** The threads that compute rates. */
  estimation: {
    /** How many there are, and how many there may be. */
    threads: number
    maxThreads: number
    /** How many counters a chain holds at most, and a thread. */
    chainLength: number
    countersPerThread: number
  }
}

/**
 * The counters and rates of all services together, of those that are gone, too; since the last `zero()` without a service.
 *
 * The kernel sums them up every two seconds. Rejects with `ENOENT` where it has no IPVS.
 */
export async function ipvsTotals(options?: CallOptions): Promise<Stats> {
  return parseTotals(await readProcNet('ip_vs_stats', options))
}

/** The counters of each processor, up to date; `zero()` does not touch them. Rejects with `ENOENT` where the kernel has no IPVS. */
export async function perCpuStatistics(options?: CallOptions): Promise<CpuStatistics[]> {
  return parsePerCpu(await readProcNet('ip_vs_stats_percpu', options))
}

/** The state of the connection and service tables, or undefined where the kernel does not show it (before Linux 7.1) or has no IPVS. */
export async function ipvsStatus(options?: CallOptions): Promise<IpvsStatus | undefined> {
  try {
    return parseStatus(await readProcNet('ip_vs_status', options))
  } catch (error) {
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
  if (!found) throw new DecodeError(`/proc/net/${file}: ${JSON.stringify(line ?? 'its end')} is not five hexadecimal numbers`)
  return found.slice(1).map(digits => BigInt(`0x${digits}`)) as unknown as Numbers
}

const counters = ([connections, packetsIn, packetsOut, bytesIn, bytesOut]: Numbers): Omit<Stats, 'rates'> =>
  ({ connections, packetsIn, packetsOut, bytesIn, bytesOut })

/** The text of ip_vs_stats. @throws DecodeError */
export function parseTotals(text: string): Stats {
  const lines = text.split('\n')
  const [connections, packetsIn, packetsOut, bytesIn, bytesOut] = five('ip_vs_stats', lines[5]).map(Number) as [number, number, number, number, number]
  return { ...counters(five('ip_vs_stats', lines[2])), rates: { connections, packetsIn, packetsOut, bytesIn, bytesOut } }
}

/** The text of ip_vs_stats_percpu, of which the total (`~`) and its rates stand in ip_vs_stats, too. @throws DecodeError */
export function parsePerCpu(text: string): CpuStatistics[] {
  const rows = text.split('\n').slice(2)
  const end = rows.findIndex(row => /^ *~ /.test(row))
  if (end < 0) throw new DecodeError('/proc/net/ip_vs_stats_percpu: it has no row of totals (~)')
  return rows.slice(0, end).map(row => {
    // The processor's number is hexadecimal as well.
    const [, cpu, rest] = /^ *([\dA-F]+) (.*)$/.exec(row) ?? []
    return { cpu: parseInt(cpu ?? '0', 16), ...counters(five('ip_vs_stats_percpu', rest)) }
  })
}

/** The text of ip_vs_status: a line `Name:<tab>value` each. Lines that are not known are passed over. @throws DecodeError */
export function parseStatus(text: string): IpvsStatus {
  const values = new Map(text.split('\n').map(line => line.split(':\t') as [string, string]))
  const numbers = (name: string): number[] => {
    const found = values.get(name)?.match(/-?\d+/g)
    if (!found) throw new DecodeError(`/proc/net/ip_vs_status: it has no ${name}`)
    return found.map(Number)
  }
  const table = (all: string, one: string): TableStatus => {
    const [buckets = 0, bits = 0, loadFactor = 0] = numbers(`${one} buckets`)
    const length = (i: number): number => Number(values.get(`${one} buckets len-${i}`)?.split(' ')[0] ?? 0)
    return {
      entries: numbers(all)[0]!, buckets, bits, loadFactor,
      ...values.has(`${one} buckets empty`) && { lengths: [numbers(`${one} buckets empty`)[0]!, ...[1, 2, 3, 4, 5, 6, 7].map(length)] },
    }
  }
  const [threads = 0, maxThreads = 0] = numbers('Stats thread slots')
  return {
    connections: table('Conns', 'Conn'),
    services: table('Services', 'Service'),
    estimation: { threads, maxThreads, chainLength: numbers('Stats chain max len')[0]!, countersPerThread: numbers('Stats thread ests')[0]! },
  }
}
