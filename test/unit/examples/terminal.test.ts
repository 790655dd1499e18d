/** What a person sees of an example: plain lines, colours, a spinner, a box; and what the witness on netlink counts. */

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { readRequests } from '../../../examples/support/nlmon.js'

const ESCAPE = '\x1b'

/** The examples' own modules, fresh, for a process with this environment; and what they print. */
async function screen(env: Record<string, string> = {}) {
  vi.resetModules()
  for (const name of ['TERMINAL_COLUMNS', 'NO_COLOR', 'TERM']) vi.stubEnv(name, env[name])
  let printed = ''
  vi.spyOn(process.stdout, 'write').mockImplementation(text => {
    printed += text as string
    return true
  })
  const terminal = await import('../../../examples/support/terminal.js')
  const { print, step } = await import('../../../examples/support/print.js')
  const { box } = await import('../../../examples/support/box.js')
  return { ...terminal, print, step, box, printed: () => printed }
}

beforeEach(() => vi.useFakeTimers())
afterEach(() => {
  vi.useRealTimers()
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

const wait = (milliseconds: number) => () => new Promise(resolve => setTimeout(resolve, milliseconds))

describe('elsewhere than on a terminal', () => {
  it('are plain lines', async () => {
    const { print, printed } = await screen()
    print('TITLE', '+ ip link add\n\n- ip link delete\n')
    expect(printed()).toBe('\nTITLE\n  + ip link add\n\n  - ip link delete\n')
  })

  it('is a line after a step, and never five seconds of silence', async () => {
    const { step, printed } = await screen()
    const short = step('short', wait(1_000))
    await vi.advanceTimersByTimeAsync(1_000)
    await short
    expect(printed()).toBe('* short (1.0 s)\n')
    const long = step('long', wait(9_000))
    await vi.advanceTimersByTimeAsync(9_000)
    await long
    expect(printed()).toBe('* short (1.0 s)\n  after 4 s still: long\n  after 7 s still: long\n* long (9.0 s)\n')
  })

  it('is nothing more once a step has failed', async () => {
    const { step, printed } = await screen()
    await expect(step('bad', () => Promise.reject(new Error('no')))).rejects.toThrow('no')
    await vi.advanceTimersByTimeAsync(20_000)
    expect(printed()).toBe('')
  })

  it('has lines of any length, unless they are limited', async () => {
    const { print, limit, printed } = await screen()
    const long = 'word '.repeat(30).trim()
    print('', long)
    expect(printed()).toBe(`  ${long}\n`)
    limit(100)
    print('', long)
    expect(Math.max(...printed().split('\n').slice(1).map(line => line.length))).toBeLessThanOrEqual(100)
  })
})

describe('on a terminal', () => {
  it('is a spinner below the lines, which goes', async () => {
    const { step, say, printed } = await screen({ TERMINAL_COLUMNS: '40' })
    const end = step('a step with a name that is longer than a line', wait(250))
    say('a line')
    await vi.advanceTimersByTimeAsync(250)
    await end
    expect(printed().split('\n').map(line => line.slice(line.lastIndexOf('\r') + 1))).toEqual([
      `${ESCAPE}[Ka line`,
      `${ESCAPE}[K${ESCAPE}[32m✓${ESCAPE}[0m a step with a name that is longer than a line (0.3 s)`,
      '',
    ])
    const frames = printed().split('\r').filter(frame => /[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏]/.test(frame)).map(frame => frame.replace(new RegExp(`${ESCAPE}\\[\\d*[mK]`, 'g'), ''))
    expect(frames.length).toBeGreaterThanOrEqual(3)
    for (const frame of frames) expect(frame.trimEnd().length).toBeLessThan(40)
  })

  it('has colours, unless NO_COLOR is set', async () => {
    const coloured = await screen({ TERMINAL_COLUMNS: '80' })
    coloured.print('FAILED', '+ a')
    expect(coloured.printed()).toBe(`\n${ESCAPE}[31mFAILED${ESCAPE}[0m\n  ${ESCAPE}[32m+${ESCAPE}[0m a\n`)
    const plain = await screen({ TERMINAL_COLUMNS: '80', NO_COLOR: '1' })
    plain.print('FAILED', '+ a')
    expect(plain.printed()).toBe('\nFAILED\n  + a\n')
  })

  it('that is dumb, is as elsewhere', async () => {
    const { print, printed } = await screen({ TERMINAL_COLUMNS: '80', TERM: 'dumb' })
    print('TITLE')
    expect(printed()).toBe('\nTITLE\n')
  })
})

describe('lines that are too long', () => {
  it.each([
    ['  one two three', 20, ['  one two three']],
    ['  one two three', 9, ['  one two', '      three']],
    ['  - one two three', 10, ['  - one', '      two', '      three']],
    ['  overlongword two', 8, ['  overlongword', '      two']],
    ['overlongword', 8, ['overlongword']],
    ['', 8, ['']],
  ])('%j in %d columns', async (line, width, lines) => {
    const { wrap } = await screen()
    expect(wrap(line, width)).toEqual(lines)
  })
})

describe('a box', () => {
  const rows = [
    { good: true, text: 'all answered', bars: [{ name: 'one', value: 6 }, { name: 'other', value: 3, note: 'of 9' }, { name: 'none', value: 0 }] },
    { good: false, text: 'some lost' },
    { good: undefined, text: 'this was not tried' },
  ]

  it('has a row for each, bars, and one width', async () => {
    const { box, limit } = await screen()
    limit(40)
    expect(box('TITLE', rows)).toBe([
      '┌─ TITLE ──────────────────────────────┐',
      '│ ✓ all answered                       │',
      '│     one    ██████████████████ 6      │',
      '│     other  █████████ 3 of 9          │',
      '│     none   0                         │',
      '│ ✗ some lost                          │',
      '│ – this was not tried                 │',
      '└──────────────────────────────────────┘',
    ].join('\n'))
  })

  it('draws large numbers in proportion, with a cell at least', async () => {
    const { box } = await screen()
    const drawn = box('TITLE', [{ good: true, text: 'x', bars: [{ name: 'a', value: 720 }, { name: 'b', value: 360 }, { name: 'c', value: 1 }] }])
    expect(drawn.split('\n').slice(2, 5).map(line => line.split('█').length - 1)).toEqual([36, 18, 1])
  })

  it('is green where all is well, red where not', async () => {
    const { box } = await screen({ TERMINAL_COLUMNS: '80' })
    expect(box('T', rows.slice(0, 1)).split('\n')[0]).toContain(`${ESCAPE}[32m`)
    expect(box('T', rows).split('\n')[0]).toContain(`${ESCAPE}[31m`)
  })
})

describe('requests that nlmon saw', () => {
  const SUMMARY = '9 packets captured\n9 packets received by filter\n0 packets dropped by kernel\n'

  /** A netlink message, in the machine's byte order (little-endian here). */
  function message(type: number, flags: number, command = 0): Buffer {
    const bytes = Buffer.alloc(20)
    bytes.writeUInt32LE(20)
    bytes.writeUInt16LE(type, 4)
    bytes.writeUInt16LE(flags, 6)
    bytes[16] = command
    return bytes
  }

  /** A pcap file of these packets. */
  function pcap(...packets: [family: number, ...messages: Buffer[]][]): Buffer {
    return Buffer.concat([Buffer.alloc(24), ...packets.flatMap(([family, ...messages]) => {
      const cooked = Buffer.alloc(16)
      cooked.writeUInt16BE(family, 14)
      const packet = Buffer.concat([cooked, ...messages])
      const record = Buffer.alloc(16)
      record.writeUInt32LE(packet.length, 8)
      record.writeUInt32LE(packet.length, 12)
      return [record, packet]
    })])
  }

  it('are told apart from answers, those that read from those that change', () => {
    const requests = readRequests(pcap(
      [0, message(16, 0x605), message(18, 0x301), message(20, 0x605)], // RTM_NEWLINK, RTM_GETLINK as a dump, RTM_NEWADDR
      [0, message(16, 0), message(20, 2), message(2, 0), message(3, 2)], // news, a dump's answer, an acknowledgement, a dump's end
      [16, message(16, 1, 3)], // the controller is asked for a family
      [16, message(24, 5, 1), message(24, 5, 5), message(24, 0x301, 4), message(1, 1)], // IPVS: a service, a real server, a dump; a no-op
    ), SUMMARY)
    expect(requests).toEqual({ changing: 4, reading: 3, problems: [] })
  })

  it('are not to be relied upon where some are missing', () => {
    expect(readRequests(pcap(), SUMMARY.replace('0 packets dropped', '2 packets dropped')).problems).toEqual(['tcpdump on nlmon0 lost 2 packets'])
    const whole = pcap([0, message(16, 5)])
    whole.writeUInt32LE(1000, 24 + 12) // its length on the wire
    expect(readRequests(whole, SUMMARY).problems).toEqual(['tcpdump on nlmon0 has cut packets short'])
    expect(readRequests(pcap(), 'killed\n').problems).toEqual(['tcpdump on nlmon0 did not end as it should: killed'])
  })
})
