import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePerCpu, parseStatus, parseTotals } from '../../../../lib/proc/statistics.js'

const u64 = fc.bigInt(0n, 2n ** 64n - 1n)
const rate = fc.nat(2 ** 31)
const counters = fc.record({ connections: u64, packetsIn: u64, packetsOut: u64, bytesIn: u64, bytesOut: u64 })
const rates = fc.record({ connections: rate, packetsIn: rate, packetsOut: rate, bytesIn: rate, bytesOut: rate })

/** As net/netfilter/ipvs/ip_vs_ctl.c prints five numbers; larger ones push the others aside. */
const five = (values: Readonly<Record<'connections' | 'packetsIn' | 'packetsOut' | 'bytesIn' | 'bytesOut', bigint | number>>): string =>
  [[values.connections, 8], [values.packetsIn, 8], [values.packetsOut, 8], [values.bytesIn, 16], [values.bytesOut, 16]]
    .map(([value, width]) => value!.toString(16).toUpperCase().padStart(Number(width))).join(' ')

describe('ip_vs_stats', () => {
  it('comes back as the kernel wrote it, of all 64 bits', () => {
    fc.assert(fc.property(counters, rates, (counters, rates) => {
      expect(parseTotals([
        '   Total Incoming Outgoing         Incoming         Outgoing', '   Conns  Packets  Packets            Bytes            Bytes', five(counters), '',
        ' Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s', five(rates), '',
      ].join('\n'))).toEqual({ ...counters, rates })
    }))
  })

  it.each(['', 'a\nb\n1 2 3 4\n\nc\n1 2 3 4 5\n', 'a\nb\n1 2 3 4 5\n'])('%j is refused', text => {
    expect(() => parseTotals(text)).toThrow(/^\/proc\/net\/ip_vs_stats: .* is not five hexadecimal numbers$/)
  })
})

describe('ip_vs_stats_percpu', () => {
  const text = (rows: readonly string[]): string => [
    '       Total Incoming Outgoing         Incoming         Outgoing', 'CPU    Conns  Packets  Packets            Bytes            Bytes', ...rows,
    `  ~ ${five({ connections: 1, packetsIn: 2, packetsOut: 3, bytesIn: 4, bytesOut: 5 })}`, '', '     Conns/s   Pkts/s   Pkts/s          Bytes/s          Bytes/s',
    `    ${five({ connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 })}`, '',
  ].join('\n')

  it('comes back as the kernel wrote it, whatever the number of processors', () => {
    fc.assert(fc.property(fc.array(counters, { maxLength: 300 }), rows => {
      const cpus = rows.map((row, cpu) => ({ cpu, ...row }))
      expect(parsePerCpu(text(cpus.map(({ cpu, ...row }) => `${cpu.toString(16).toUpperCase().padStart(3)} ${five(row)}`)))).toEqual(cpus)
    }), { numRuns: 20 })
  })

  it('of another kind is refused', () => {
    expect(() => parsePerCpu('')).toThrow('/proc/net/ip_vs_stats_percpu: the row of totals (~) is missing')
    expect(() => parsePerCpu(text(['  0 1 2 3 4']))).toThrow('"1 2 3 4" is not five hexadecimal numbers')
  })
})

/** Written from the kernel's source and its author's sample (Linux 7.1, net/netfilter/ipvs/ip_vs_ctl.c): no kernel that has the file ran here. */
const STATUS = `Conns:\t9401
Conn buckets:\t524288 (19 bits, lfactor -5)
Conn buckets empty:\t505633 (96%)
Conn buckets len-1:\t18322 (98%)
Conn buckets len-2:\t329 (1%)
Conn buckets len-7:\t1 (0%)
Services:\t12
Service buckets:\t128 (7 bits, lfactor -3)
Service buckets empty:\t116 (90%)
Service buckets len-1:\t12 (100%)
Stats thread slots:\t1 (max 16)
Stats chain max len:\t16
Stats thread ests:\t38400
`

describe('ip_vs_status', () => {
  it('says how full the tables are', () => {
    expect(parseStatus(STATUS)).toEqual({
      connections: { entries: 9401, buckets: 524288, bits: 19, loadFactor: -5, lengths: [505633, 18322, 329, 0, 0, 0, 0, 1] },
      services: { entries: 12, buckets: 128, bits: 7, loadFactor: -3, lengths: [116, 12, 0, 0, 0, 0, 0, 0] },
      estimation: { threads: 1, maxThreads: 16, chainLength: 16, countersPerThread: 38400 },
    })
  })

  it('says nothing of the lengths of empty tables', () => {
    const empty = STATUS.replace(/^.* (empty|len-\d):.*\n/gm, '').replace('9401', '0').replace('12', '0').replace('524288 (19 bits, lfactor -5)', '0 (0 bits, lfactor 0)')
    expect(parseStatus(empty)).toMatchObject({
      connections: { entries: 0, buckets: 0, bits: 0, loadFactor: 0 }, services: { entries: 0, buckets: 128, bits: 7, loadFactor: -3 },
    })
    expect(parseStatus(empty).connections).not.toHaveProperty('lengths')
  })

  it('with lines of a later kernel is read all the same, and without one of these is not', () => {
    expect(parseStatus(`${STATUS}Conns limit:\t5\n`).connections.entries).toBe(9401)
    expect(() => parseStatus(STATUS.replace(/^Services.*\n/m, ''))).toThrow('/proc/net/ip_vs_status: Services is missing')
  })
})
