import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { attributeSet, counters, DecodeError, Input, Output, u64 } from '../../../generic-netlink/index.js'

const set = attributeSet('X', { a: [1, u64], b: [3, u64] })
const codec = counters(set)
type Pair = { a?: bigint; b?: bigint }

const read = (bytes: Uint8Array) => codec.read(new Input(Buffer.concat([Buffer.alloc(4), bytes])), 4, bytes.length, {})
const bytesOf = (value: Pair): Buffer => Buffer.from(set.encode(value))
const pad = Buffer.from([4, 0, 2, 0])
const counter = fc.oneof(fc.constant(0n), fc.bigInt(0n, 2n ** 64n - 1n))

describe('counters', () => {
  it('are read like properties, each object its own, however many there are', () => {
    fc.assert(fc.property(fc.array(fc.record({ a: counter, b: counter }), { maxLength: 500 }), pairs => {
      const values = pairs.map(pair => read(bytesOf(pair)))
      expect(values.map(({ a, b }) => ({ a, b }))).toEqual(pairs)
    }), { numRuns: 20 })
  })
  it('are found by for-in, and shown, and made plain', () => {
    const value = read(bytesOf({ a: 5n, b: 2n ** 64n - 1n }))
    const names: string[] = []
    for (const name in value) names.push(name)
    expect(names).toEqual(['a', 'b'])
    expect(inspect({ value })).toBe(inspect({ value: { a: 5n, b: 2n ** 64n - 1n } }))
    expect(JSON.stringify({ value }, (_, v: unknown) => typeof v === 'bigint' ? `${v}` : v)).toBe('{"value":{"a":"5","b":"18446744073709551615"}}')
    expect(() => { (value).a = 1n }).toThrow(TypeError)
  })
  it('that are all zero are one frozen plain object', () => {
    const zeros = read(bytesOf({ a: 0n, b: 0n }))
    expect(zeros).toStrictEqual({ a: 0n, b: 0n })
    expect(Object.isFrozen(zeros)).toBe(true)
    expect(read(bytesOf({ a: 0n, b: 1n })).b).toBe(1n)
    expect(read(bytesOf({ a: 0n, b: 0n }))).toBe(zeros)
  })
  it('of which some are missing, as from another kernel, are a plain object', () => {
    expect(read(bytesOf({ b: 7n }))).toStrictEqual({ a: undefined, b: 7n })
    expect(read(bytesOf({}))).toStrictEqual({ a: undefined, b: undefined })
    expect(read(Buffer.concat([bytesOf({ a: 1n }), bytesOf({ a: 2n })]))).toStrictEqual({ a: 2n, b: undefined })
  })
  it('stand among padding and strangers; the last of doubled ones counts', () => {
    const { a, b } = read(Buffer.concat([bytesOf({ a: 1n }), pad, bytesOf({ a: 2n }), Buffer.from([5, 0, 9, 0, 1, 0, 0, 0]), bytesOf({ b: 3n })]))
    expect([a, b]).toEqual([2n, 3n])
  })
  it('that are wrong are refused at once, as by the set itself', () => {
    const good = bytesOf({ a: 1n, b: 2n })
    for (const bad of [
      Buffer.concat([good, Buffer.from([3, 0, 1, 0])]), Buffer.concat([good, Buffer.from([8, 0, 1, 0, 1, 0, 0, 0])]), good.subarray(0, -1), Buffer.concat([good, Buffer.from([9, 0, 7, 0])]),
    ]) {
      let expected: unknown
      try { set.decode(bad) } catch (error) { expected = error }
      expect(expected).toBeInstanceOf(DecodeError)
      expect(() => read(bad)).toThrow(expected)
    }
    expect(read(good).b).toBe(2n)
  })
  it('are written as the set writes them, decoded ones too', () => {
    for (const value of [{ a: 1n, b: 2n }, read(bytesOf({ a: 1n, b: 2n }))]) {
      const to = new Output()
      codec.write(to, value, {})
      expect(Buffer.from(to.finish())).toEqual(bytesOf({ a: 1n, b: 2n }))
    }
  })
})
