import { describe, expect, it } from 'vitest'
import { hostIn, strangerTo } from '../../../../lib/diagnose/facts.js'
import { socketOf, unheard, type Socket } from '../../../../lib/diagnose/listeners.js'
import { diagnoseOptions, lookTwice, lostAfterDirector, lostAtRealServer, parseCounters, type Look } from '../../../../lib/diagnose/looks.js'
import type { RouteState } from '../../../../lib/rtnetlink/route/spec.js'

describe('/proc/net/tcp and udp', () => {
  const rest = ' 00000000:00000000 00:00000000 00000000     0        0 12345 1 0000000000000000 100 0 0 10 0'

  it.each<[string, string, Socket | undefined]>([
    ['the head', '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode', undefined],
    ['IPv4', `   0: 6400010A:0050 0A00010A:E2F4 03${rest}`, { protocol: 'tcp', address: '10.1.0.100', port: 80, client: '10.1.0.10:58100', state: 3 }],
    ['IPv6', `   1: 000001FD000000000000000001000000:0050 00000000000000000000000000000000:0000 0A${rest}`, { protocol: 'tcp', address: 'fd01::1', port: 80, client: '[::]:0', state: 10 }],
    ['IPv4 of an IPv6 socket', `   2: 0000000000000000FFFF00006400010A:0050 0000000000000000FFFF00000A00010A:0001 01${rest}`, { protocol: 'tcp', address: '10.1.0.100', port: 80, client: '10.1.0.10:1', state: 1 }],
    ['another port', `   3: 6400010A:0051 00000000:0000 0A${rest}`, undefined],
  ])('%s', (_, row, socket) => expect(socketOf('tcp', row, 80)).toEqual(socket))

  const at = (protocol: 'tcp' | 'udp', address: string): Socket => ({ protocol, address, port: 53, client: '', state: 0 })
  it.each<[string, string | undefined, ('tcp' | 'udp' | 'sctp')[] | undefined, Socket[], string[]]>([
    ['nobody',                     '10.0.0.1', ['tcp'],        [],                                           ['nobody listens on tcp port 53 of 10.0.0.1']],
    ['one of the protocols',       '10.0.0.1', ['tcp', 'udp'], [at('udp', '0.0.0.0')],                       ['nobody listens on tcp port 53 of 10.0.0.1, but at 0.0.0.0']],
    ['either',                     '10.0.0.1', undefined,      [at('udp', '10.0.0.1')],                      []],
    ['either, and neither',        '10.0.0.1', undefined,      [],                                           ['nobody listens on tcp and udp port 53 of 10.0.0.1']],
    ['IPv6\'s any, for IPv4',      '10.0.0.1', ['tcp'],        [at('tcp', '::')],                            []],
    ['IPv4\'s any, not for IPv6',  'fd00::1',  ['tcp'],        [at('tcp', '0.0.0.0')],                       ['nobody listens on tcp port 53 of fd00::1, but at 0.0.0.0']],
    ['loopback, for any address',  undefined,  ['tcp'],        [at('tcp', '127.0.0.53'), at('tcp', '::1')],  ['nobody listens on tcp port 53 of this host, but at 127.0.0.53, ::1']],
    ['any address',                undefined,  ['tcp'],        [at('tcp', '10.0.0.9')],                      []],
    ['SCTP, that no file tells',   '10.0.0.1', ['sctp'],       [],                                           []],
  ])('who listens: %s', (_, to, protocols, listeners, found) => expect(unheard(to, 53, protocols, listeners).map(each => each.found)).toEqual(found))
})

describe('two looks', () => {
  type Clients = Record<string, readonly [opening: boolean, expires?: number]>
  const look = (counters: Record<string, number>, clients: Clients = {}, packets: [bigint, bigint] = [0n, 0n]): Look => ({
    counters: new Map(Object.entries(counters)),
    clients: new Map([['rs', new Map(Object.entries(clients).map(([name, [opening, expires]]) => [name, { opening, ...expires !== undefined && { expires } }]))]]),
    packets: new Map([['rs', packets]]),
  })
  const director = (before: Look, after: Look): string[] => lostAfterDirector([before, after]).map(({ found }) => found)
  const server = (before: Look, after: Look): string[] => lostAtRealServer([before, after], 'tun0').map(({ found }) => found)

  it.each<[string, Clients, Clients, boolean]>([
    ['nobody comes',                    {},                          {},                                      false],
    ['a new one',                       {},                          { a: [true, 60] },                       false],
    ['one waits, and is silent',        { a: [true, 59] },           { a: [true, 58] },                       false],
    ['one waits, and asks again',       { a: [true, 59] },           { a: [true, 59] },                       true],
    ['one waits, and another comes',    { a: [true, 59] },           { a: [true, 58], b: [true, 59] },        true],
    ['one gets further',                { a: [true, 59] },           { a: [false, 900], b: [true, 59] },      false],
    ['one comes and gets further',      { a: [true, 59] },           { a: [true, 58], b: [false, 9], c: [true, 59] }, false],
    ['one got further long ago',        { a: [true, 59], b: [false, 100] }, { a: [true, 59], b: [false, 99] }, true],
  ])('connections: %s', (_, before, after, found) => {
    expect(director(look({}, before), look({}, after)).length).toBe(found ? 1 : 0)
    expect(server(look({}, before), look({ 'Tcp.PassiveOpens': 1 }, after))).toEqual([])
  })

  it('packets that no reply follows', () => {
    expect(director(look({}, {}, [1n, 1n]), look({}, {}, [2n, 1n]))).toEqual(['packets for rs pass, and no reply comes back'])
    expect(director(look({}, {}, [1n, 1n]), look({}, {}, [2n, 2n]))).toEqual([])
    expect(director(look({}, {}, [1n, 1n]), look({}, {}, [1n, 1n]))).toEqual([])
  })

  it.each<[string, Record<string, number>, string[]]>([
    ['all delivered', { tunnel: 5, 'Ip.InReceives': 20, 'Ip.InDelivers': 20 }, []],
    ['few dropped of those unwrapped', { tunnel: 5, 'Ip.InReceives': 20, 'Ip.InDelivers': 18 }, []],
    ['fragments', { tunnel: 0, 'Ip.InReceives': 20, 'Ip.InDelivers': 10, 'Ip.ReasmReqds': 20, 'Ip.ReasmOKs': 10 }, []],
    ['forwarded', { tunnel: 0, 'Ip.InReceives': 20, 'Ip.InDelivers': 10, 'Ip.ForwDatagrams': 10 }, []],
    ['dropped', { tunnel: 5, 'Ip.InReceives': 20, 'Ip.InDelivers': 15 }, ['tun0 unwrapped 5 packets meanwhile, and this host dropped 5 before their delivery']],
    ['dropped before', { tunnel: 0, 'Ip.InReceives': 20, 'Ip.InDelivers': 15 }, ['tun0 unwrapped nothing meanwhile, and this host dropped 5 packets before their delivery']],
    ['filtered', { tunnel: 5, 'Ip.InReceives': 20, 'Ip.InDelivers': 15, 'TcpExt.IPReversePathFilter': 5 }, ['the reverse path filter dropped 5 packets meanwhile']],
  ])('a real server: %s', (_, after, found) => expect(server(look(Object.fromEntries(Object.keys(after).map(name => [name, 0]))), look(after))).toEqual(found))

  it('counters', () => {
    expect(parseCounters('Ip: A InReceives\nIp: 1 2\nTcp: RtoMin\nTcp: -1\n')).toEqual(new Map([['Ip.A', 1], ['Ip.InReceives', 2], ['Tcp.RtoMin', -1]]))
  })

  it('an observation that cannot be is refused, and a signal ends one', async () => {
    for (const observe of [0, 99, 60_001, 1.5, NaN, '1000' as never]) {
      expect(() => diagnoseOptions({ observe })).toThrow(/^observe: /)
    }
    const { signal } = { signal: AbortSignal.timeout(50) }
    await expect(lookTwice(() => Promise.resolve(look({})), { observe: 60_000, signal })).rejects.toBe(await new Promise(resolve => {
      if (signal.aborted) resolve(signal.reason)
      signal.addEventListener('abort', () => { resolve(signal.reason) })
    }))
  })
})

it.each([['10.1.0.0/24', '10.1.0.1'], ['10.1.0.20/24', '10.1.0.1'], ['10.1.0.7/32', '10.1.0.7'], ['10.1.0.2/31', '10.1.0.3'], ['fd01::/64', 'fd01::1'], ['fd01::8', 'fd01::8']])(
  'a host of %s', (network, host) => expect(hostIn(network)).toBe(host))

it('a stranger to all routes but the default', () => {
  const routes = ['default', '223.0.0.0/8', '222.0.0.1', '2a00:df::/32'].map(to => ({ to, family: to.includes(':') ? 'inet6' : 'inet' } as RouteState))
  expect([strangerTo(routes, 'inet'), strangerTo(routes, 'inet6'), strangerTo([], 'inet')]).toEqual(['221.0.0.1', '2a00:de::1', '223.0.0.1'])
})
