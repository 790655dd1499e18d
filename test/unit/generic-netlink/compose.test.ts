import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  bits, by, bytes, DecodeError, EncodeError, enumeration, ipv6, Output, struct, u8, u16, u32, u64, unless,
} from '../../../generic-netlink/index.js'
import { bitsOf } from '../../support/arbitraries.js'
import { read, write } from '../../support/codec.js'

describe('names for numbers', () => {
  const colour = enumeration(u16, { red: 1, green: 2 })
  it('are lossless both ways', () => {
    fc.assert(fc.property(fc.nat(0xffff), n => {
      const value = read(colour, write(colour, n))
      expect(value).toBe(n === 1 ? 'red' : n === 2 ? 'green' : n)
      expect(write(colour, value)).toBe(write(u16, n))
    }))
  })
  it('refuse what is neither a name nor a number of the size', () => {
    for (const value of ['blue', 'toString', '__proto__', '1', '', null, undefined, NaN, 1.5, -1, 0x10000, {}]) expect(() => write(colour, value)).toThrow(EncodeError)
    expect(() => write(colour, 'blue')).toThrow(new EncodeError('"blue" is not one of red, green'))
    expect(() => read(colour, '01')).toThrow(new DecodeError('expected 2 bytes, got 1'))
  })
})

describe('bits', () => {
  const names = ['a', 'b', 'c']
  it.each([1, 2, 4])('of %d bytes are lossless both ways', size => {
    const of = [u8, u16, u8, u32][size - 1]!
    const codec = bits(of, names)
    fc.assert(fc.property(fc.nat(2 ** (size * 8) - 1), n => {
      const hex = write(of, n)
      const value = read(codec, hex)
      expect(write(codec, value)).toBe(hex)
      expect(Object.values(value).every(bit => bit)).toBe(true)
      expect(Object.keys(value)).toHaveLength(n.toString(2).replaceAll('0', '').length)
    }))
    fc.assert(fc.property(bitsOf(size, names), value => { expect(read(codec, write(codec, value))).toEqual(value) }))
  })
  it('that are false are not set, and those with a name go by it', () => {
    const codec = bits(u32, names)
    expect(write(codec, { a: false, b: true, 31: true, 30: false })).toBe('02000080')
    expect(read(codec, '02000080')).toEqual({ b: true, 31: true })
    expect(read(codec, '00000000')).toEqual({})
    for (const value of [{ d: true }, { 0: true }, { 32: true }, { '-1': true }, { toString: true }, null, undefined, 5, 'a']) expect(() => write(codec, value)).toThrow(EncodeError)
    expect(() => write(codec, { d: true })).toThrow(new EncodeError('"d" is not one of a, b, c'))
  })
})

describe('structs', () => {
  const C = struct({ a: u8, b: u16, c: u8, d: u32, e: u64, f: u8 })
  it('lie as the compiler lays them out, padding zeroed', () => {
    expect(C.size).toBe(32)
    const value = { a: 1, b: 2, c: 3, d: 4, e: 5n, f: 6 }
    const hex = '0100' + '0200' + '03000000' + '04000000' + '00000000' + '0500000000000000' + '0600000000000000'
    const to = new Output()
    to.take(32)
    to.bytes.fill(0xff)
    to.length = 0
    C.write(to, value, {})
    expect(Buffer.from(to.finish()).toString('hex')).toBe(hex)
    expect(read(C, hex)).toEqual(value)
    expect(read(C, `${hex}ffff`)).toEqual(value)
  })
  it('in structs are aligned to their widest field', () => {
    const flags = struct({ flags: u32, mask: u32 })
    expect(struct({ a: u32, flags }).size).toBe(12)
    expect(struct({ a: u8, three: struct({ x: u8, y: u8, z: u8 }), b: u8 }).size).toBe(5)
    expect(struct({ a: u8, address: ipv6 }).size).toBe(20) // struct in6_addr is of 32-bit words
    expect(write(struct({ a: u8, flags }), { a: 1, flags: { flags: 2, mask: 3 } })).toBe('010000000200000003000000')
  })
  it('are whole', () => {
    expect(() => read(C, '00'.repeat(31))).toThrow(new DecodeError('expected a struct of 32 bytes, got 31'))
    for (const value of [{}, { a: 1 }, null, undefined, 5]) expect(() => write(C, value)).toThrow(EncodeError)
  })
})

describe('by', () => {
  const codec = by('kind', { small: u8, large: u32 })
  it('reads and writes as its sibling says', () => {
    expect(codec.after).toBe('kind')
    expect(write(codec, 5, { kind: 'small' })).toBe('05')
    expect(read(codec, '05000000', { kind: 'large' })).toBe(5)
    expect(read(by('kind', { small: u8 }, bytes), '0506', { kind: 'other' })).toEqual(new Uint8Array([5, 6]))
    expect(read(by('kind', { small: u8 }, bytes), '0506')).toEqual(new Uint8Array([5, 6]))
  })
  it('says what it depends on', () => {
    expect(() => read(codec, '05')).toThrow(new DecodeError('its type depends on kind, which must be one of small, large, not undefined'))
    expect(() => write(codec, 5, { kind: 'other' })).toThrow(new EncodeError('its type depends on kind, which must be one of small, large, not "other"'))
    for (const kind of ['toString', 'constructor', 5, null]) expect(() => read(codec, '05', { kind })).toThrow(DecodeError)
  })
})

describe('unless', () => {
  it('reads where its sibling is absent, and always writes', () => {
    const codec = unless('wide', u8)
    expect([codec.after, read(codec, '05', {}), read(codec, '05', { wide: 0n }), read(codec, '', { wide: {} })]).toEqual(['wide', 5, undefined, undefined])
    expect(write(codec, 5, { wide: 1n })).toBe('05')
    expect(() => read(codec, '')).toThrow(DecodeError)
  })
})
