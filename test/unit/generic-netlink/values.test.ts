import { isIPv4, isIPv6 } from 'node:net'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  be16, be32, bytes, DecodeError, EncodeError, flag, Input, ip, ipv4, ipv6, s32, string, u8, u16, u32, u64, type Fixed,
} from '../../../generic-netlink/index.js'
import { ipv6Groups, ipv6Of } from '../../support/arbitraries.js'
import { read, write } from '../../support/codec.js'

describe('numbers', () => {
  it.each([
    [u8, 0xab, 'ab'], [u16, 0x0102, '0201'], [u32, 0xfffefdfc, 'fcfdfeff'], [s32, -2, 'feffffff'], [be16, 53, '0035'], [be32, 0xc0a83264, 'c0a83264'],
    [u64, 1n, '0100000000000000'], [u64, 0n, '0000000000000000'], [u64, 0xffffffffn, 'ffffffff00000000'], [u64, 2n ** 64n - 1n, 'ffffffffffffffff'],
    [u64, 2n ** 32n, '0000000001000000'],
  ] as [Fixed<unknown>, unknown, string][])('%# %s %s', (codec, value, hex) => {
    expect(write(codec, value)).toBe(hex)
    expect(read(codec, hex)).toBe(value)
  })

  const nonsense: unknown[] = [NaN, 1.5, '5', '', null, undefined, true, {}, [], [5], Infinity, -Infinity, 5n, new Date(0), Object(5)]
  it.each([[u8, 0, 0xff], [u16, 0, 0xffff], [u32, 0, 0xffffffff], [s32, -(2 ** 31), 2 ** 31 - 1], [be16, 0, 0xffff], [be32, 0, 0xffffffff]] as [Fixed<number>, number, number][])(
    '%# take integers of their range and nothing that DataView would make a number of', (codec, min, max) => {
      for (const value of [...nonsense, min - 1, max + 1]) expect(() => write(codec, value)).toThrow(EncodeError)
      for (const value of [min, max, 0, -0]) expect(read(codec, write(codec, value))).toBe(value === 0 ? 0 : value)
    })
  it('u64 takes bigints of its range', () => {
    for (const value of [...nonsense.filter(n => typeof n !== 'bigint'), 5, -1n, 2n ** 64n]) expect(() => write(u64, value)).toThrow(EncodeError)
    fc.assert(fc.property(fc.bigInt(0n, 2n ** 64n - 1n), n => { expect(read(u64, write(u64, n))).toBe(n) }))
  })
  it('say what was wrong', () => {
    expect(() => write(u8, 256)).toThrow(new EncodeError('256 is not an integer from 0 to 255'))
    expect(() => write(be16, '53')).toThrow(new EncodeError('"53" is not an integer from 0 to 65535'))
    expect(() => write(u64, 5)).toThrow(new EncodeError('5 is not a bigint of 64 bits'))
    expect(() => write(u32, 5n)).toThrow(new EncodeError('5n is not an integer from 0 to 4294967295'))
    expect(() => read(u8, '')).toThrow(new DecodeError('expected 1 byte, got 0'))
    expect(() => read(u64, '01020304')).toThrow(new DecodeError('expected 8 bytes, got 4'))
  })
  it.each([[u8, 1], [u16, 2], [u32, 4], [s32, 4], [be16, 2], [be32, 4], [u64, 8]] as [Fixed<unknown>, number][])('%# have one size', (codec, size) => {
    expect(codec.size).toBe(size)
    for (const other of [0, size - 1, size + 1, size * 2]) expect(() => read(codec, 'ab'.repeat(other))).toThrow(DecodeError)
  })
})

describe('text and bytes', () => {
  it('text ends with a NUL, and what follows it is not text', () => {
    expect(write(string(15), 'rr')).toBe('727200')
    expect(write(string(15), '')).toBe('00')
    expect(read(string(15), '727200')).toBe('rr')
    expect(read(string(15), '7272')).toBe('rr')
    expect(read(string(15), '7200720000')).toBe('r')
    expect(read(string(15), '')).toBe('')
  })
  it('a NUL inside, text too long in bytes, and what is not text are refused', () => {
    expect(() => write(string(15), 'rr\0wrr')).toThrow(new EncodeError('"rr\\u0000wrr" contains a NUL'))
    expect(() => write(string(4), 'abcde')).toThrow(new EncodeError('"abcde" is longer than 4 bytes'))
    expect(() => write(string(3), 'éé')).toThrow('is longer than 3 bytes')
    expect(write(string(4), 'éé')).toBe('c3a9c3a900')
    for (const value of [null, 5, undefined, ['rr'], Buffer.from('rr'), {}]) expect(() => write(string(15), value)).toThrow(EncodeError)
  })
  it('any text comes back', () => {
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }).filter(s => !s.includes('\0')), s => { expect(read(string(1000), write(string(1000), s))).toBe(s) }))
  })
  it('bytes are copied, both ways', () => {
    fc.assert(fc.property(fc.uint8Array(), b => { expect(read(bytes, write(bytes, b))).toEqual(b) }))
    const source = new Input(Buffer.from('010203', 'hex'))
    const copy = bytes.read(source, 1, 2, {})
    source.bytes[1] = 9
    expect([...copy]).toEqual([2, 3])
    for (const value of [null, 'ab', 5, [1, 2]]) expect(() => write(bytes, value)).toThrow(EncodeError)
  })
  it('a flag is there or not', () => {
    expect(write(flag, true)).toBe('')
    expect(read(flag, '')).toBe(true)
  })
})

describe('IPv4 addresses', () => {
  it('are dotted decimal, and nothing else is', () => {
    const almost = fc.oneof(fc.stringMatching(/^[0-9.]{0,18}$/), fc.ipV4(), fc.ipV4Extended(), fc.tuple(fc.ipV4(), fc.nat(20), fc.constantFrom('', '.', '0', ' ', '٣', '-', '/')).map(
      ([a, at, c]) => a.slice(0, at) + c + a.slice(at)))
    fc.assert(fc.property(almost, s => {
      if (isIPv4(s)) expect(read(ipv4, write(ipv4, s))).toBe(s)
      else expect(() => write(ipv4, s)).toThrow(new EncodeError(`${JSON.stringify(s)} is not an IPv4 address`))
    }), { numRuns: 3000 })
  })
  it.each(['1.2.3', '1.2.3.4.5', '01.2.3.4', '1.2.3.256', '', '1..2.3', '1.2.3.4/24', ' 1.2.3.4', '1.2.3.4\n', '0x1.2.3.4', '16909060', '::1', null, undefined, 16909060, {}, ['1.2.3.4']])(
    '%j is none', value => { expect(() => write(ipv4, value)).toThrow(EncodeError) })
  it('are read from four bytes, or from more as the kernel pads them', () => {
    expect(read(ipv4, 'c0a83264')).toBe('192.168.50.100')
    expect(read(ipv4, 'ffffffff')).toBe('255.255.255.255')
    expect(read(ipv4, '00000000')).toBe('0.0.0.0')
    expect(read(ipv4, `80000001${'00'.repeat(12)}`)).toBe('128.0.0.1')
    expect(() => read(ipv4, '0a0000')).toThrow(new DecodeError('expected 4 bytes, got 3'))
  })
})

describe('IPv6 addresses', () => {
  const hexOf = (groups: readonly number[]): string => groups.map(g => g.toString(16).padStart(4, '0')).join('')

  it('are read in their correct form', () => {
    fc.assert(fc.property(ipv6Groups, groups => { expect(read(ipv6, hexOf(groups))).toBe(ipv6Of(groups)) }), { numRuns: 2000 })
    expect(read(ipv6, '20010db8000000000001000000000001')).toBe('2001:db8::1:0:0:1')
    expect(read(ipv6, '20010db8000000010001000100010001')).toBe('2001:db8:0:1:1:1:1:1') // one group of zeros stays
    expect(read(ipv6, '00'.repeat(16))).toBe('::')
  })
  it('are written from every form', () => {
    fc.assert(fc.property(ipv6Groups, groups => {
      for (const form of [ipv6Of(groups), groups.map(g => g.toString(16).padStart(4, '0').toUpperCase()).join(':'),
        `${groups.slice(0, 6).map(g => g.toString(16)).join(':')}:${groups.slice(6).map(g => `${g >> 8}.${g & 255}`).join('.')}`]) {
        expect([form, write(ipv6, form)]).toEqual([form, hexOf(groups)])
      }
    }))
    fc.assert(fc.property(fc.ipV6(), text => { expect(read(ipv6, write(ipv6, text))).toBe(new URL(`http://[${text}]`).hostname.slice(1, -1)) }), { numRuns: 2000 })
  })
  it('and nothing else is one', () => {
    const almost = fc.oneof(fc.stringMatching(/^[0-9a-f:]{0,24}$/), fc.stringMatching(/^::[0-9.]{0,16}$/), fc.tuple(fc.ipV6(), fc.nat(40), fc.constantFrom(':', '::', '0', '.', 'g', '00000')).map(
      ([a, at, c]) => a.slice(0, at) + c + a.slice(at)))
    fc.assert(fc.property(almost, s => {
      if (isIPv6(s)) expect(write(ipv6, s)).toHaveLength(32)
      else expect(() => write(ipv6, s), s).toThrow(EncodeError)
    }), { numRuns: 5000 })
  })
  it.each(['fe80::1%eth0', 'fe80::1%2', '::1/128', '2001:db8::/32', '[::1]', '10.0.0.1', '', ':', ' ::1', '::1 ', null, undefined, 5, {}, ['::1']])(
    '%j is none', value => { expect(() => write(ipv6, value)).toThrow(EncodeError) })
  it('a refused address is refused again', () => {
    for (let i = 0; i < 2; i++) expect(() => write(ipv6, 'fe80::1%eth0')).toThrow(new EncodeError('"fe80::1%eth0" is not an IPv6 address'))
  })
  it('take sixteen bytes', () => { expect(() => read(ipv6, '00'.repeat(15))).toThrow(new DecodeError('expected 16 bytes, got 15')) })
  it('stay right however many there are', () => {
    for (let i = 0; i < 70_000; i++) ipv6.read(new Input(Uint8Array.of(0x20, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, i >> 16, i >> 8, i)), 0, 16, {})
    expect(read(ipv6, '20010000000000000000000000000005')).toBe('2001::5')
  })
})

describe('an address of either family', () => {
  it('is told apart by its length, or its colons', () => {
    expect(read(ip, '0a000001')).toBe('10.0.0.1')
    expect(read(ip, `${'00'.repeat(15)}01`)).toBe('::1')
    expect(write(ip, '10.0.0.1')).toBe('0a000001')
    expect(write(ip, '::1')).toBe(`${'00'.repeat(15)}01`)
    for (const value of [null, 5, 'x', ':x', undefined]) expect(() => write(ip, value)).toThrow(EncodeError)
    for (const hex of ['', '0a', '0a00000102', '00'.repeat(15)]) expect(() => read(ip, hex)).toThrow(DecodeError)
  })
})
