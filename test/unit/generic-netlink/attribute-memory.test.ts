/** The memory of a set, against the plain set: the same values, the same bytes, the same errors. */

import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { remembered } from '../../../generic-netlink/attribute-memory.js'
import { eachAttribute } from '../../../generic-netlink/attributes.js'
import {
  attributeSet, be16, bits, by, bytes, command, flag, Input, ipv4, ipv6, list, Output, string, struct, u8, u16, u32, u64, unless,
  type AttributeSet, type Codec, type Table,
} from '../../../generic-netlink/index.js'
import * as some from '../../support/arbitraries.js'

const innermost = attributeSet('INNERMOST', { a: [1, u64], b: [2, u8] })
const inner = attributeSet('INNER', { id: [1, u32], name: [2, string(7)], innermost: [3, innermost] })
/** Every kind of codec: of constant size and not, dependent and not, within and not. */
const plain = attributeSet('X', {
  addr:   [1, by('family', { inet: ipv4, inet6: ipv6 })], // depends on an attribute that may come later
  family: [2, string(5)],
  small:  [3, u8],
  port:   [4, be16],
  name:   [5, string(9)],
  big:    [6, u64],
  inner:  [7, inner],
  way:    [8, by('family', { inet: inner, inet6: list(u8) })], // of no constant size
  items:  [9, list(inner)],
  raw:    [10, bytes],
  there:  [11, flag],
  flags:  [12, bits(u16, ['up', 'down'])],
  pair:   [13, struct({ a: u8, b: u32 })],
  old:    [14, unless('inner', inner)],
  end:    [15, u8],
})

const id = fc.record({ id: fc.nat(2), name: fc.constantFrom('a', 'b', 'ab', 'too long for it'), innermost: fc.record({ a: fc.constantFrom(0n, 1n, 2n ** 40n), b: fc.nat(1) }, { requiredKeys: [] }) }, { requiredKeys: [] })
/** Few values of each attribute, so that a sequence repeats itself; some that are refused. */
const value = fc.record({
  family: fc.constantFrom('inet', 'inet6'), addr: fc.constantFrom('10.0.0.1', '10.0.0.2', 'fd00::1'), small: fc.constantFrom(1, 2, 256), port: fc.nat(2),
  name: fc.constantFrom('', 'rr', 'wr', 'wrr', 'x'.repeat(9)), big: fc.constantFrom(0n, 1n, -1n), inner: id, way: fc.oneof(id, fc.constantFrom([], [1], [2])),
  items: fc.array(id, { maxLength: 2 }), raw: fc.uint8Array({ maxLength: 3 }), there: fc.constant(true), flags: fc.constantFrom({}, { up: true }, { down: true }, { no: true }),
  pair: fc.constantFrom({ a: 1, b: 2 }, { a: 2, b: 3 }, {}), old: id, end: fc.constantFrom(1, 2, undefined),
}, { requiredKeys: ['family'] })

/** Mostly one object again and again with another value here and there: so the memory is at work. */
const sequence = fc.tuple(fc.array(value, { minLength: 1, maxLength: 5 }), fc.array(fc.tuple(fc.nat(4), value, fc.boolean()), { maxLength: 20 })).map(([kinds, steps]) =>
  steps.map(([kind, other, change]) => {
    const last = kinds[kind % kinds.length]!
    return change ? { ...last, ...Object.fromEntries(Object.entries(other).filter(([key]) => key in last)) } : last
  }))

type Result = { value: unknown } | { error: unknown }
const result = (run: () => unknown): Result => { try { return { value: run() } } catch (error) { return { error } } }
const encoded = (set: AttributeSet<Table>, object: object): Result => result(() => {
  const to = new Output(8)
  to.take(4)
  set.write(to, object, {})
  return Buffer.from(to.finish()).subarray(4).toString('hex')
})

/** The attributes of a stream in another order, doubled, with strangers among them, or damaged. */
const disturbed = (stream: Uint8Array, order: readonly number[], edits: readonly (readonly [at: number, byte: number])[], cut: number): Uint8Array => {
  const attributes: Uint8Array[] = []
  eachAttribute(new Input(stream), 0, stream.length, (_, at, length) => attributes.push(stream.subarray(at - 4, at + length + 3 & ~3)))
  const stranger = Buffer.from('05006300ab000000', 'hex')
  const parts = [...order.map(i => attributes[i] ?? stranger), ...attributes.filter((_, i) => !order.includes(i))]
  const all = new Uint8Array(Buffer.concat(parts))
  for (const [at, byte] of edits) if (at < all.length) all[at] = byte
  return all.subarray(0, all.length - cut)
}
const disturbance = fc.tuple(
  fc.array(fc.nat(15), { maxLength: 3 }), fc.oneof(fc.constant([]), fc.array(fc.tuple(fc.nat(120), fc.nat(255)), { maxLength: 2 })), fc.constantFrom(0, 0, 0, 0, 1, 3, 7),
)

describe('a remembered set', () => {
  const writes = (set: AttributeSet<Table>, objects: fc.Arbitrary<object[]>, numRuns: number): void => {
    fc.assert(fc.property(objects, objects => {
      const memory = remembered(set)
      for (const object of objects) expect(encoded(memory, object)).toEqual(encoded(set, object))
    }), { numRuns })
  }
  it('writes the bytes of the plain set, or throws its error, whatever came before', () => {
    writes(plain, sequence, 1000)
    writes(command, fc.array(some.command, { maxLength: 8 }), 200)
    // A shorter nest in place of a longer one reaches into the attribute behind it.
    const memory = remembered(plain)
    for (const [id, end] of [[{ id: 1 }, 1], [{}, 1], [{ id: 1 }, 1], [{}, 2]] as const) {
      for (const key of ['way', 'inner']) {
        const object = { family: 'inet', [key]: id, end }
        expect(encoded(memory, object)).toEqual(encoded(plain, object))
      }
    }
  })

  const reads = (set: AttributeSet<Table>, objects: fc.Arbitrary<object[]>, numRuns: number): void => {
    fc.assert(fc.property(objects, fc.array(fc.tuple(disturbance, fc.boolean(), fc.boolean()), { minLength: 20, maxLength: 20 }), (objects, how) => {
      const memory = remembered(set)
      const given: [value: unknown, expected: unknown][] = []
      objects.forEach((object, i) => {
        const [how1, visit, change] = how[i]!
        const stream = result(() => set.encode(object))
        if ('error' in stream) return
        const from = new Input(disturbed(stream.value as Uint8Array, ...how1))
        const expected = result(() => set.read(from, 0, from.bytes.length, {}))
        const found = result(() => visit
          ? memory.visit(from, 0, from.bytes.length, lent => structuredClone(lent))
          : memory.read(from, 0, from.bytes.length, {}))
        expect(found).toStrictEqual(expected)
        if ('error' in found) return
        expect(Object.keys(found.value as object)).toEqual(Object.keys(set.table))
        if (!visit && change) spoil(found.value as Record<string, unknown>)
        else given.push([found.value, (expected as { value: unknown }).value])
      })
      for (const [value, expected] of given) expect(value).toStrictEqual(expected) // no later read reaches into them
    }), { numRuns })
  }
  /** Changes all that a caller can change. */
  const spoil = (object: Record<string, unknown>): void => {
    for (const key in object) {
      const value = object[key]
      if (value instanceof Uint8Array) value.fill(7)
      else if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) spoil(value as Record<string, unknown>)
      object[key] = 'spoilt'
    }
  }
  it('reads the values of the plain set, or throws its error, whatever came before', () => {
    reads(plain, sequence, 1000)
    reads(command, fc.array(some.command, { maxLength: 8 }), 200)
  })

  it('leaves only what is unlike the last objects to the plain set', () => {
    const calls = { read: 0, write: 0 }
    const memory = remembered({
      ...plain,
      read: (...where) => { calls.read++; return plain.read(...where) },
      write: (...what) => { calls.write++; plain.write(...what) },
    })
    const objects = [1, 2, 3, 4].map(n => ({ family: 'inet', addr: `10.0.0.${n}`, inner: { id: n, innermost: { a: BigInt(n) } }, ...n % 2 && { end: n } }))
    for (let round = 0; round < 3; round++) {
      for (const object of objects) {
        const stream = memory.encode(object)
        expect(memory.decode(stream)).toEqual(object)
        memory.visit(new Input(stream), 0, stream.length, lent => expect(lent).toEqual(object))
      }
    }
    expect(calls).toEqual({ read: 2, write: 2 })
  })

  it('reads within a visit of its own, and within its own codec', () => {
    const memory = remembered(plain)
    const streams = [1, 2].map(small => plain.encode({ family: 'inet', small, inner: { id: small } }))
    const inputs = streams.map(stream => new Input(stream))
    for (let round = 0; round < 3; round++) {
      memory.visit(inputs[0]!, 0, streams[0]!.length, first => {
        memory.visit(inputs[1]!, 0, streams[1]!.length, second => {
          expect([first.small, first.inner, second.small, second.inner?.id]).toEqual([1, { id: 1 }, 2, 2])
        })
        expect(memory.decode(streams[1]!).small).toBe(2)
        expect([first.small, first.inner?.id]).toEqual([1, 1])
      })
    }
    expect(() => memory.visit(inputs[0]!, 0, streams[0]!.length, () => { throw new Error('mine') })).toThrow('mine')
    const below: Codec<object> = { read: (...where) => tree.read(...where), write: (...what) => tree.write(...what) }
    const tree: AttributeSet<Table> = remembered(attributeSet('T', { n: [1, u8], below: [2, below] }))
    for (const value of [1, 2, 3].map(n => ({ n, below: { n: n + 1, below: { n: n + 2 } } }))) expect(tree.decode(tree.encode(value))).toEqual(value)
  })
})
