import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { effectiveSysctl } from '../../../../lib/sysctl/effective.js'
import {
  ipv4ConfSysctls, ipv6ConfSysctls, ipvsSysctls, networkSysctls, sysctlRow, type SysctlRow,
} from '../../../../lib/sysctl/tables.js'
import { sysctlRange, sysctlText } from '../../../../lib/sysctl/values.js'

const rows: [string, SysctlRow][] = [ipvsSysctls, ipv4ConfSysctls, ipv6ConfSysctls, networkSysctls].flatMap(table => Object.entries<SysctlRow>(table))

describe('the tables', () => {
  it.each(rows)('%s: its default is among what it takes, and it says what it means', (_, row) => {
    if (row.default !== undefined) expect(sysctlText(row, row.default)).toBe([row.default].flat().join(' '))
    expect(row.meaning).toMatch(/^\S.{10,}[^.\s]$/)
    if (row.since !== undefined) expect(row.since).toMatch(/^\d+\.\d+(\.\d+)?$/)
    expect(sysctlRange(row)).not.toBe('')
  })

  it('are in the order of the alphabet, as a directory lists them', () => {
    for (const table of [ipvsSysctls, ipv4ConfSysctls]) expect(Object.keys(table)).toEqual(Object.keys(table).sort())
  })

  it('are found by key, for every device, and for nothing that an object has by itself', () => {
    expect(sysctlRow(['net', 'ipv4', 'vs', 'conntrack'])).toBe(ipvsSysctls.conntrack)
    expect(sysctlRow(['net', 'ipv4', 'conf', 'eth0.100', 'rp_filter'])).toBe(ipv4ConfSysctls.rp_filter)
    expect(sysctlRow(['net', 'ipv6', 'conf', 'all', 'forwarding'])).toBe(ipv6ConfSysctls.forwarding)
    expect(sysctlRow(['net', 'ipv4', 'ip_forward'])).toBe(networkSysctls['net.ipv4.ip_forward'])
    for (const key of [['net', 'ipv4', 'vs'], ['net', 'ipv6', 'vs', 'conntrack'], ['net', 'ipv4', 'vs', 'toString'], ['net', 'ipv4', 'vs', '__proto__'], ['net', 'ipv4', 'conf', 'all']]) {
      expect(sysctlRow(key)).toBeUndefined()
    }
  })
})

describe('values', () => {
  const { conntrack, drop_entry, sync_threshold, est_cpulist, est_nice, sync_ports } = ipvsSysctls
  const cases: [SysctlRow, unknown[], unknown[]][] = [
    [conntrack,                  [true, false, 0, 1],                                [2, -1, 7, '1', 'yes', null, undefined, [1], NaN]],
    [drop_entry,                 [0, 1, 2, 3],                                       [-1, 4, true, '3', 1.5, NaN, Infinity]],
    [est_nice,                   [-20, 0, 19],                                       [-21, 20, -0.5]],
    [sync_ports,                 [1, 2, 64],                                         [0, 3, 128, true]],
    [sync_threshold,             [[3, 50], [0, 1], [9, 0], [0, 0]],                  [[50, 3], [3, 3], [-1, 5], [1, -1], [3], [1, 2, 3], '3 50', 3, [1.5, 3], [1, 2 ** 31]]],
    [est_cpulist,                ['', '0', '0-1', '0-3,6', '1,3,5-9'],               ['all', '0,1', '1-0', '3,1', '0-0', '00', '0-', ',', '0 1', '0-N', '-1', 5, [0, 1], '1e3', '0-1-2']],
    [ipv4ConfSysctls.arp_ignore, [0, 1, 2, 3, 8],                                    [4, 7, 9, true]],
    [ipv4ConfSysctls.rp_filter,  [0, 1, 2],                                          [3, 7, -1]],
  ]
  it.each(cases)('%o', (row, right, wrong) => {
    for (const value of right) expect(sysctlText(row, value), String(value)).toBe(Array.isArray(value) ? value.join(' ') : typeof value === 'boolean' ? String(Number(value)) : String(value))
    for (const value of wrong) expect(sysctlText(row, value), String(value)).toBeUndefined()
  })

  it('writes -0 as 0', () => expect(sysctlText(est_nice, -0)).toBe('0'))

  it('never writes what the kernel could take otherwise', () => {
    fc.assert(fc.property(fc.constantFrom(...rows.map(([, row]) => row)), fc.anything(), (row, value) => {
      const text = sysctlText(row, value)
      if (text !== undefined) expect(text).toMatch(/^((0|-?[1-9]\d*)( (0|[1-9]\d*))?|[\d,-]*)$/)
    }), { numRuns: 2000 })
  })
})

describe('what counts on a device', () => {
  it.each([
    [0, 0, 0], [0, 1, 1], [0, 2, 2], [1, 0, 1], [1, 1, 1], [1, 2, 2], [2, 0, 2], [2, 1, 2], [2, 2, 2],
  ])('rp_filter: all %i, device %i: %i', (all, device, value) => {
    expect(effectiveSysctl('rp_filter', 'tun0', { all, device }).value).toBe(value)
  })

  it('is explained', () => {
    expect(effectiveSysctl('rp_filter', 'tun0', { all: 1, device: 0 }).sentence).toBe(
      'rp_filter of tun0 is in effect 1: the larger of conf.all (1) and conf.tun0 (0) counts;'
      + ' a packet is dropped unless its source is routed: 0 never, 1 (strict) by the packet\'s link, 2 (loose) by any link')
  })

  it('is the device\'s alone for forwarding', () => {
    expect(effectiveSysctl('forwarding', 'eth0', { all: 1, device: 0 })).toMatchObject({ value: 0, sentence: expect.stringContaining('conf.eth0 alone counts') as string })
  })
})
