import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attributeSet, eachAttribute, kernelName, list, type AttributeSet, type Table } from '../../../generic-netlink/attributes.js'
import { by, bytes, flag, Input, ipv4, ipv6, string, u8, u16, u32, u64, type Codec } from '../../../generic-netlink/index.js'
import { DecodeError, EncodeError } from '../../../generic-netlink/errors.js'
import { command, controller, daemon, destination, info, service, stats, stats64 } from '../../../generic-netlink/index.js'
import * as some from '../../support/arbitraries.js'

const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text.replaceAll(' ', ''), 'hex'))
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
/** An attribute, written without the library. */
const tlv = (type: number, payload: string): string => {
  const bytes = Buffer.from(payload, 'hex')
  const header = Buffer.alloc(4)
  header.writeUInt16LE(4 + bytes.length)
  header.writeUInt16LE(type, 2)
  return Buffer.concat([header, bytes, Buffer.alloc(-bytes.length & 3)]).toString('hex')
}

const inner = attributeSet('X_INNER_ATTR', { id: [1, u32], name: [2, string(7)] })
const outer = attributeSet('X_ATTR', {
  addr:  [1, by('family', { inet: ipv4, inet6: ipv6 })], // read after the attribute that comes later
  inner: [2, inner],
  items: [3, list(inner)],
  there: [4, flag],
  small: [6, u8],
  family: [9, by('small', {}, string(5))],
})

describe('an attribute set', () => {
  it('writes what it is given, in that order, aligned, nests flagged as such; what is undefined is not written', () => {
    expect(text(outer.encode({ addr: '10.0.0.1', inner: { name: 'ab' }, there: true, small: 5, items: undefined, family: 'inet' }))).toBe(
      '08000100' + '0a000001' + '0c000280' + '07000200' + '61620000' + '04000400' + '05000600' + '05000000' + '09000900' + '696e6574' + '00000000')
    expect(text(outer.encode({}))).toBe('')
  })
  it('refuses what is none of its attributes', () => {
    expect(() => outer.encode({ smal: 5 } as object)).toThrow(expect.objectContaining({ name: 'EncodeError', message: expect.stringMatching(/_SMAL: there is no such attribute; the attributes are addr, inner, items, there, small, family$/) as string }))
  })
  it('reads in any order, siblings first, and gives every key', () => {
    const value = outer.decode(hex(tlv(9, '696e6574') + tlv(1, '0a000001') + tlv(6, '05')))
    expect(value).toStrictEqual({ addr: '10.0.0.1', inner: undefined, items: undefined, there: undefined, small: 5, family: 'inet' })
    expect(outer.decode(hex(tlv(1, '0a000001') + tlv(9, '696e657400') + tlv(6, '05'))).addr).toBe('10.0.0.1')
    expect(outer.decode(hex(''))).toEqual({})
  })
  it('the last of doubled attributes counts, as in the kernel', () => {
    expect(outer.decode(hex(tlv(6, '01') + tlv(6, '02'))).small).toBe(2)
    expect(outer.decode(hex(tlv(1, '0a000001') + tlv(1, '0a000002') + tlv(6, '05') + tlv(9, '696e6574') + tlv(9, '696e657436') + tlv(1, '00'.repeat(16)))).addr).toBe('::')
  })
  it('what the last object had and this one has not is not in this one, nor what a caller changed in the last', () => {
    const seen = new Map<number, string>([[6, '01'], [9, '696e6574'], [1, '0a000001'], [4, '']])
    fc.assert(fc.property(fc.array(fc.subarray([...seen.keys()]).chain(keys => fc.shuffledSubarray(keys, { minLength: keys.length })), { maxLength: 12 }), streams => {
      for (const keys of streams) {
        if (keys.includes(1) && !keys.includes(9)) continue
        const value = outer.decode(hex(keys.map(key => tlv(key, seen.get(key)!)).join('')))
        expect(value).toStrictEqual({
          addr: keys.includes(1) ? '10.0.0.1' : undefined, inner: undefined, items: undefined, there: keys.includes(4) ? true : undefined,
          small: keys.includes(6) ? 1 : undefined, family: keys.includes(9) ? 'inet' : undefined,
        })
        value.small = 200
        value.family = 'mine'
      }
    }))
  })
  it('the same attributes with other bytes are read anew, whatever their size, and so is what is not padded', () => {
    const set = attributeSet('T', { a: [1, u8], b: [2, u64], c: [3, bytes], d: [4, string(15)] })
    const streams = fc.array(fc.record({ a: fc.nat(3), b: fc.bigInt(0n, 2n ** 33n), c: fc.uint8Array({ maxLength: 9 }), d: fc.constantFrom('', 'rr', 'wrr', 'longer name') }), { maxLength: 8 })
    fc.assert(fc.property(streams, values => {
      const decoded = values.map(value => set.decode(set.encode(value)))
      expect(decoded).toEqual(values)
      for (const { c } of decoded) c?.fill(7)
      expect(values.map(value => set.decode(set.encode(value)))).toEqual(values)
    }))
    for (const last of ['01', '02', '01']) expect(set.decode(hex(`05000100${last}`))).toEqual({ a: Number(last) })
  })
  it('an error leaves nothing behind', () => {
    const good = hex(tlv(9, '696e6574') + tlv(6, '05') + tlv(1, '0a000001'))
    for (const bad of [tlv(9, '696e6574') + tlv(6, '0505'), tlv(9, '7878') + tlv(6, '06') + tlv(1, '0a000002'), tlv(9, '7878') + 'ffff0600']) {
      expect(outer.decode(good)).toMatchObject({ addr: '10.0.0.1', small: 5 })
      expect(() => outer.decode(hex(bad))).toThrow(DecodeError)
    }
    expect(outer.decode(good)).toMatchObject({ addr: '10.0.0.1', small: 5, family: 'inet' })
  })
  it('ignores what no row names, and the flags beside a number', () => {
    expect(outer.decode(hex(tlv(0, 'ff') + tlv(5, 'ff') + tlv(10, '') + tlv(0x3fff, 'ffff') + tlv(6, '07')))).toEqual({ small: 7 })
    expect(outer.decode(hex(tlv(2, tlv(1, '05000000')) + tlv(0x4006, '01')))).toEqual({ inner: { id: 5 }, small: 1 }) // without NLA_F_NESTED; with NLA_F_NET_BYTEORDER
  })
  it('fewer bytes than a header at the end are padding', () => {
    expect(outer.decode(hex(tlv(6, '01') + '010203'))).toEqual({ small: 1 })
    expect(outer.decode(hex('05000600 01'))).toEqual({ small: 1 }) // the last one need not be padded
  })
  it.each([
    ['03000600', 'an attribute claims 3 bytes of 4'], ['00000600', 'an attribute claims 0 bytes of 4'], ['09000600 01000000', 'an attribute claims 9 bytes of 8'],
    [tlv(6, '01') + 'ffff0600', 'an attribute claims 65535 bytes of 4'],
    [tlv(6, ''), 'X_ATTR_SMALL: expected 1 byte, got 0'], [tlv(6, '0102'), 'X_ATTR_SMALL: expected 1 byte, got 2'],
    [tlv(2, '05000100 05'.replace(' ', '')), 'X_ATTR_INNER > X_INNER_ATTR_ID: expected 4 bytes, got 1'],
    [tlv(2, 'ff000100'), 'X_ATTR_INNER: an attribute claims 255 bytes of 4'],
    [tlv(3, tlv(1, tlv(1, '05'))), 'X_ATTR_ITEMS > X_INNER_ATTR_ID: expected 4 bytes, got 1'],
    [tlv(3, tlv(1, '') + '0300'.padEnd(8, '0')), 'X_ATTR_ITEMS: an attribute claims 3 bytes of 4'],
    [tlv(1, '0a000001'), 'X_ATTR_ADDR: its type depends on family, which must be one of inet, inet6, not undefined'],
  ])('of %s says: %s', (bytes, message) => {
    expect(() => outer.decode(hex(bytes))).toThrow(DecodeError)
    expect(() => outer.decode(hex(bytes))).toThrow(new RegExp(`^${message}$`))
  })
  it('errors carry the path, outermost first', () => {
    const error = ((): DecodeError => { try { command.decode(hex(tlv(1, tlv(2, '06')))) } catch (e) { return e as DecodeError } throw new Error('it decodes') })()
    expect(error.message).toBe('IPVS_CMD_ATTR_SERVICE > IPVS_SVC_ATTR_PROTOCOL: expected 2 bytes, got 1')
    expect(error).toMatchObject({ name: 'DecodeError', code: 'ERR_NETLINK_DECODE', path: ['IPVS_CMD_ATTR_SERVICE', 'IPVS_SVC_ATTR_PROTOCOL'] })
    expect(() => command.encode({ dest: { weight: NaN } })).toThrow(expect.objectContaining({
      name: 'EncodeError', code: 'ERR_NETLINK_ENCODE', path: ['IPVS_CMD_ATTR_DEST', 'IPVS_DEST_ATTR_WEIGHT'],
      message: 'IPVS_CMD_ATTR_DEST > IPVS_DEST_ATTR_WEIGHT: NaN is not an integer from 0 to 4294967295',
    }))
    expect(() => command.encode({ service: { af: 'inet', flags: { flags: { nine: true } as never, mask: {} } } })).toThrow(
      'IPVS_CMD_ATTR_SERVICE > IPVS_SVC_ATTR_FLAGS: "nine" is not one of persistent, hashed, onePacket, sched1, sched2, sched3')
    expect(() => service.encode({ addr: '10.0.0.1' })).toThrow('IPVS_SVC_ATTR_ADDR: its type depends on af, which must be one of inet, inet6, not undefined')
    expect(() => service.encode({ af: 'inet', addr: '::1' })).toThrow('IPVS_SVC_ATTR_ADDR: "::1" is not an IPv4 address')
    expect(() => service.encode({ af: 'inet6', netmask: '255.255.255.0' })).toThrow('IPVS_SVC_ATTR_NETMASK: "255.255.255.0" is not an integer from 0 to 4294967295')
  })
  it('what is no object or list is refused with its path', () => {
    for (const value of [null, 5, 'x', true]) {
      expect(() => command.encode({ service: value as never })).toThrow(EncodeError)
      expect(() => command.encode({ service: { flags: value as never } })).toThrow('IPVS_CMD_ATTR_SERVICE > IPVS_SVC_ATTR_FLAGS: ')
      expect(() => command.encode({ dest: { tunFlags: value as never } })).toThrow('IPVS_CMD_ATTR_DEST > IPVS_DEST_ATTR_TUN_FLAGS: ')
      expect(() => controller.encode({ ops: value as never })).toThrow('CTRL_ATTR_OPS: ')
    }
    expect(() => command.encode(null as never)).toThrow(EncodeError)
  })
  it('reads at an offset of a larger buffer, and re-enters itself', () => {
    const buffer = hex(`ffffffff${tlv(6, '01')}ffff`)
    expect(outer.read(new Input(buffer), 4, 8, {})).toEqual({ small: 1 })
    const below: Codec<object> = { read: (...where) => tree.read(...where), write: (...what) => tree.write(...what) }
    const tree: AttributeSet<Table> = attributeSet('T', { n: [1, u8], below: [2, below] })
    const value = { n: 1, below: { n: 2, below: { n: 3 } } }
    expect(tree.decode(tree.encode(value))).toEqual(value)
  })
  it('a table whose siblings are missing, or wait for each other, is refused', () => {
    expect(() => attributeSet('T', { a: [1, by('b', { x: u8 })] })).toThrow(TypeError)
    expect(() => attributeSet('T', { a: [1, by('b', { x: u8 })], b: [2, by('a', { x: u8 })] })).toThrow(TypeError)
    expect(() => attributeSet('T', { a: [1, by('a', { x: u8 })] })).toThrow(TypeError)
  })
  it('keys spell the kernel\'s constants', () => {
    expect(kernelName('IPVS_SVC_ATTR', 'schedName')).toBe('IPVS_SVC_ATTR_SCHED_NAME')
    expect(kernelName('IPVS_SVC_ATTR', 'stats64')).toBe('IPVS_SVC_ATTR_STATS64')
    expect(kernelName('IPVS_DAEMON_ATTR', 'mcastGroup6')).toBe('IPVS_DAEMON_ATTR_MCAST_GROUP6')
  })
})

describe('lists and streams', () => {
  it('elements are numbered from one', () => {
    const set = attributeSet('L', { items: [1, list(u16)] })
    expect(text(set.encode({ items: [7, 8] }))).toBe('14000180' + '06000180' + '07000000' + '06000280' + '08000000')
    expect(set.decode(set.encode({ items: [] }))).toEqual({ items: [] })
    fc.assert(fc.property(fc.array(fc.nat(0xffff)), items => { expect(set.decode(set.encode({ items }))).toEqual({ items }) }))
  })
  it('eachAttribute tells numbers and places', () => {
    const seen: number[][] = []
    eachAttribute(new Input(hex(`00${tlv(0x8003, 'abcd')}${tlv(4, '')}`)), 1, 13, (...what) => seen.push(what))
    expect(seen).toEqual([[3, 5, 2], [4, 13, 0]])
  })
})

describe('properties', () => {
  it.each([
    ['service', service, some.service], ['destination', destination, some.destination], ['daemon', daemon, some.daemon], ['stats', stats, some.stats],
    ['stats64', stats64, some.stats64], ['info', info, some.info], ['command', command, some.command], ['controller', controller, some.controller],
  ] as [string, AttributeSet<Table>, fc.Arbitrary<object>][])('%s: decode ∘ encode is the identity, and so is encode ∘ decode on what was encoded', (_, set, arbitrary) => {
    fc.assert(fc.property(arbitrary, value => {
      const bytes = set.encode(value)
      expect(bytes.length % 4).toBe(0)
      const decoded = set.decode(bytes)
      expect(decoded).toEqual(value)
      expect(Object.keys(decoded)).toEqual(Object.keys(set.table))
      expect(set.encode(decoded)).toHaveLength(bytes.length)
      expect(set.decode(set.encode(decoded))).toEqual(value)
    }), { numRuns: 300 })
  })
  it('any bytes decode or throw DecodeError, and so do damaged ones', () => {
    const tried = (set: AttributeSet<Table>, bytes: Uint8Array): void => {
      try { set.decode(bytes) } catch (error) { expect(error).toBeInstanceOf(DecodeError) }
    }
    fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), bytes => { for (const set of [command, service, destination, controller, outer]) tried(set, bytes) }), { numRuns: 2000 })
    fc.assert(fc.property(some.command, fc.array(fc.tuple(fc.nat(600), fc.nat(255)), { maxLength: 4 }), fc.nat(600), (value, edits, cut) => {
      const bytes = command.encode(value).subarray(0, cut)
      for (const [at, byte] of edits) if (at < bytes.length) bytes[at] = byte
      tried(command, bytes)
    }), { numRuns: 2000 })
  })
})
