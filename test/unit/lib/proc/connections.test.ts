import fc from 'fast-check'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, it } from 'vitest'
import { connectionStates, parseConnection, parseConnections, type ConnectionState } from '../../../../lib/proc/connection-rows.js'
import { connections, matcher, type ConnectionFilter } from '../../../../lib/proc/connections.js'
import { ipv4, ipv6 } from '../../../support/arbitraries.js'
import { formatConnection, headers } from '../../../support/connections.js'

const parse = (line: string): ConnectionState => parseConnection(line)!
async function* pieces(...texts: string[]): AsyncGenerator<string> { for (const text of texts) yield await Promise.resolve(text) }
const collect = async (rows: AsyncIterable<ConnectionState>): Promise<ConnectionState[]> => {
  const all = []
  for await (const row of rows) all.push(row)
  return all
}

// ── rows of every kind ──

const port = fc.nat(65535)
const end = (address: fc.Arbitrary<string>) => fc.record({ address, port })
const state = fc.constantFrom(...connectionStates)
const expires = fc.oneof(fc.nat(2678400), fc.constant(0x7fffffff))
/** What a file shows besides: the one a persistence engine's data, which may have blanks; the other an origin. */
const more = fc.oneof(
  fc.constant({}),
  fc.record({ engine: fc.record({ name: fc.constant('sip'), data: fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 255 }) }) }),
  fc.record({ origin: fc.constantFrom('local' as const, 'sync' as const) }),
)
const protocol = fc.oneof(fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const), fc.constantFrom(1, 50, 51, 58, 255))

const row: fc.Arbitrary<ConnectionState> = fc.constantFrom(ipv4, ipv6).chain(address => fc.oneof(
  { weight: 3, arbitrary: fc.record({ protocol, client: end(address), virtual: end(address), server: end(fc.oneof(ipv4, ipv6)), state, expires, more }) },
  {
    weight: 1, arbitrary: fc.record({
      protocol: fc.constant(0), client: address.map(address => ({ address, port: 0 })), virtual: fc.record({ fwmark: fc.integer({ min: 1, max: 0xffffffff }) }),
      server: end(fc.oneof(ipv4, ipv6)), state: fc.constantFrom('NONE', 'ASSURED'), expires, more,
    }),
  },
)).map(({ more, ...rest }) => ({ ...rest, template: rest.client.port === 0 && ['NONE', 'ASSURED'].includes(rest.state), ...more }))

describe('rows', () => {
  it('are read as the kernel writes them', () => {
    expect(parse('TCP AC100002 ACD2 0A000001 0050 C0A80902 1F90 ESTABLISHED     894')).toEqual({
      protocol: 'tcp', client: { address: '172.16.0.2', port: 44242 }, virtual: { address: '10.0.0.1', port: 80 }, server: { address: '192.168.9.2', port: 8080 },
      state: 'ESTABLISHED', expires: 894, template: false,
    })
    expect(parse('SCTP fd01:0000:0000:0000:0000:0000:0000:0002 E874 fd02:0000:0000:0000:0000:0000:0000:0001 8E3C C0A80902 8E3C C-SENT      SYNC         7')).toEqual({
      protocol: 'sctp', client: { address: 'fd01::2', port: 59508 }, virtual: { address: 'fd02::1', port: 36412 }, server: { address: '192.168.9.2', port: 36412 },
      state: 'C-SENT', expires: 7, template: false, origin: 'sync',
    })
    expect(parse('UDP AC100002 0000 0A000001 13C4 C0A80902 13C4 ASSURED          54 sip 006617d3@172.16.0.2')).toMatchObject({
      client: { port: 0 }, expires: 54, template: true, engine: { name: 'sip', data: '006617d3@172.16.0.2' },
    })
    expect(parse('IP  fd01:0000:0000:0000:0000:0000:0000:0000 0000 0000:0007:0000:0000:0000:0000:0000:0000 0000 C0A80902 0000 NONE            299')).toMatchObject({
      protocol: 0, client: { address: 'fd01::', port: 0 }, virtual: { fwmark: 7 }, template: true,
    })
  })

  it('come back from text as they were, whatever families, protocols and columns they have', () => {
    fc.assert(fc.property(row, row => { expect(parse(formatConnection(row))).toEqual(row) }), { numRuns: 2000 })
  })

  it('that the kernel prints while a timer ends have no seconds left', () => {
    expect(parse('UDP 0A090201 9C44 0A090001 0035 0A094D02 0035 UDP         184467440737095516').expires).toBe(0)
  })

  it('that wait for a client of which the port is not known yet (passive FTP) are no templates', () => {
    expect(parse('TCP 0A090201 0000 0A090001 0014 0A094D02 0014 LISTEN          120').template).toBe(false)
  })

  it('that are none are refused, with the row', () => {
    expect(() => parseConnection('TCP 0A090201 9C44 0A090001 0035')).toThrow('has an unknown row: "TCP 0A090201 9C44 0A090001 0035"')
    expect(headers.map(parseConnection)).toEqual([undefined, undefined])
  })
})

describe('a file', () => {
  it('is read the same in whatever pieces it comes', async () => {
    await fc.assert(fc.asyncProperty(fc.array(row, { maxLength: 8 }), fc.array(fc.nat(1000), { maxLength: 12 }), async (rows, cuts) => {
      const text = [headers[0], ...rows.map(formatConnection), ''].join('\n')
      const at = [0, ...cuts.map(cut => cut % (text.length + 1)).sort((a, b) => a - b), text.length]
      expect(await collect(parseConnections(pieces(...at.slice(1).map((end, i) => text.slice(at[i], end)))))).toEqual(rows)
    }))
  })

  it('that ends within a row is refused', async () => {
    await expect(collect(parseConnections(pieces('UDP 0A090201 9C44 0A09')))).rejects.toThrow('ends within a row: "UDP 0A090201 9C44 0A09"')
  })

  it('of a million rows takes no more memory than one of a thousand', async () => {
    setFlagsFromString('--expose-gc')
    const gc = runInNewContext('gc') as () => void
    const ROWS = 1_000_000, PIECE = 50 // rows that the kernel gives at a time
    const hex = (n: number, digits: number): string => n.toString(16).toUpperCase().padStart(digits, '0')
    const text = async function* (): AsyncGenerator<string> {
      for (let i = 0; i < ROWS; i += PIECE) {
        let piece = ''
        for (let j = i; j < i + PIECE; j++) piece += `TCP ${hex(0x0a000000 + j, 8)} ${hex(j & 0xffff, 4)} C0A80001 0050 C0A80902 1F90 ESTABLISHED     ${899 - j % 800}\n`
        yield await Promise.resolve(piece)
      }
    }
    const used = (): number => {
      gc()
      return process.memoryUsage().heapUsed
    }
    let rows = 0, sum = 0, most = 0, early = 0
    for await (const { client, expires } of parseConnections(text())) {
      rows++
      sum += client.port + expires
      if (rows === 1000) early = used()
      if (rows % 100_000 === 0) most = Math.max(most, used())
    }
    expect(rows).toBe(ROWS)
    expect(sum).toBeGreaterThan(ROWS)
    // What is remembered of addresses is bounded, too (65536); a million rows would be 300 MB.
    expect((most - early) / 2 ** 20).toBeLessThan(30)
  })
})

// ── filters ──

const lines = {
  tcp:      'TCP C0000207 9C41 0A090001 0050 0A090101 1F90 ESTABLISHED     894',
  udp:      'UDP C0000208 9C44 0A090001 0035 0A094D02 0035 UDP             299',
  six:      'TCP 2001:0db8:0000:0000:0000:0000:0000:0007 9C42 fd09:0000:0000:0000:0000:0000:0000:0001 0050 0A090101 0050 SYN_RECV         57',
  network:  'TCP C0000200 0000 0A090001 0050 0A090102 0050 ASSURED         299',
  mark:     'IP  C0000207 0000 00000007 0000 0A094D04 0000 NONE            299',
  mark6:    'IP  2001:0db8:0000:0000:0000:0000:0000:0000 0000 0000:0007:0000:0000:0000:0000:0000:0000 0000 0A094D04 0000 NONE            299',
  told:     'TCP C0000307 9C41 0A090001 0051 0A090101 1F90 FIN_WAIT    SYNC       12',
}
const found = (filter: ConnectionFilter): string[] => {
  const match = matcher(filter)
  return Object.entries(lines).filter(([, line]) => match(parse(line))).map(([name]) => name)
}

describe('a filter', () => {
  const vip = '10.9.0.1'
  it.each<[ConnectionFilter, string]>([
    [{}, 'tcp udp six network mark mark6 told'],
    [{ service: { vip, port: 80, protocol: 'tcp' } }, 'tcp network'],
    [{ service: { vip, port: 0, protocols: ['tcp', 'udp'] } }, 'tcp udp network told'],
    [{ service: { vip: 'FD09:0::1', port: 80, protocol: 'tcp' } }, 'six'],
    [{ service: { fwmark: 7 } }, 'mark'],
    [{ service: { fwmark: 7, family: 'inet6' } }, 'mark6'],
    [{ server: '10.9.1.1' }, 'tcp six told'],
    [{ server: { address: '10.9.1.1', port: 8080 } }, 'tcp told'],
    [{ client: '192.0.2.7' }, 'tcp mark'],
    [{ client: '192.0.2.99/24' }, 'tcp udp network mark'],
    [{ client: '192.0.2.0/23' }, 'tcp udp network mark told'],
    [{ client: '0.0.0.0/0' }, 'tcp udp network mark told'],
    [{ client: '2001:db8::/32' }, 'six mark6'],
    [{ client: '2001:db8::4/126' }, 'six'],
    [{ client: '::/0' }, 'six mark6'],
    [{ client: '2001:db8::7' }, 'six'],
    [{ state: 'ESTABLISHED' }, 'tcp'],
    [{ state: ['SYN_RECV', 'ASSURED'] }, 'six network'],
    [{ templates: true }, 'network mark mark6'],
    [{ templates: false, client: '192.0.2.0/24' }, 'tcp udp'],
    [{ origin: 'sync' }, 'told'],
  ])('%j', (filter, names) => expect(found(filter).join(' ')).toBe(names))

  it('of networks knows them as their bits say', () => {
    fc.assert(fc.property(fc.constantFrom(ipv4, ipv6).chain(address => fc.tuple(address, address)), fc.nat(128), ([one, other], some) => {
      const width = one.includes(':') ? 128 : 32
      const length = some % (width + 1)
      const row = (address: string): ConnectionState => ({ ...parse(lines.tcp), client: { address, port: 1 } })
      const match = matcher({ client: `${one}/${length}` })
      const bits = (address: string): string => {
        const n = address.includes(':')
          ? BigInt(`0x${formatConnection(row(address)).split(/ +/)[1]!.replaceAll(':', '')}`)
          : BigInt(`0x${formatConnection(row(address)).split(/ +/)[1]!}`)
        return n.toString(2).padStart(width, '0').slice(0, length)
      }
      expect(match(row(other))).toBe(bits(one) === bits(other))
      expect(match(row(one))).toBe(true)
    }))
  })

  it.each<[unknown, string]>([
    [null, 'filter: null is not an object'],
    [{ vip: '10.0.0.1' }, 'filter: there is no field "vip"'],
    [{ service: { vip: '10.0.0.1', port: 80 } }, 'protocols: '],
    [{ service: 'web' }, 'service: "web" is not an object'],
    [{ server: { port: 80 } }, 'server.address: undefined is not an IPv4 or IPv6 address'],
    [{ server: { address: '10.0.0.1', port: 65536 } }, 'server.port: 65536'],
    [{ server: { address: '10.0.0.1', weight: 1 } }, 'server: there is no field "weight"'],
    [{ client: '10.0.0' }, 'client: "10.0.0"'],
    [{ client: '10.0.0.0/33' }, 'client (the prefix\'s length): 33'],
    [{ state: 'established' }, 'state: "established" is not one of NONE, ESTABLISHED, '],
    [{ state: ['UDP', 7] }, 'state[1]: 7 is not one of'],
    [{ state: [] }, 'state: the list is empty'],
    [{ templates: 1 }, 'templates: 1 is not true or false'],
    [{ origin: 'SYNC' }, 'origin: "SYNC" is not one of local, sync'],
  ])('%j is refused when it is given, not when it is read', (filter, message) => {
    expect(() => connections(filter as ConnectionFilter)).toThrow(message)
  })

  it('for an origin, and options against it, are refused', () => {
    expect(() => connections({ origin: 'sync' }, { origin: false })).toThrow('origin: the filter needs the origin')
  })

  it('does not run before it is asked, and not after an abort', async () => {
    const reason = new Error('enough')
    await expect(connections({}, { signal: AbortSignal.abort(reason) }).next()).rejects.toBe(reason)
  })
})
