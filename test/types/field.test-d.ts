import { describe, expectTypeOf, it } from 'vitest'
import { among, attribute, fieldSet, inRange, type Field } from '../../lib/base/field.js'
import { entryFields } from '../../lib/rtnetlink/fields.js'

type Spec = { readonly a: number; readonly b?: string } | { readonly a: number; readonly c: boolean }
interface Wire { x?: number }
const field = {} as Field<Wire>

describe('fieldSet', () => {
  it('has a field for each key of the spec, and no other', () => {
    const set = fieldSet<Spec, Wire>()('thing', { a: field, b: field, c: field })
    expectTypeOf(set.normalize({})).toEqualTypeOf<Spec>()
    expectTypeOf(set.names).toEqualTypeOf<readonly ('a' | 'b' | 'c')[]>()
    // @ts-expect-error c is forgotten
    fieldSet<Spec, Wire>()('thing', { a: field, b: field })
    // @ts-expect-error the spec has no d
    fieldSet<Spec, Wire>()('thing', { a: field, b: field, c: field, d: field })
    const more = { a: field, b: field, c: field, d: field }
    // @ts-expect-error nor by way of a spread
    fieldSet<Spec, Wire>()('thing', { ...more })
    // @ts-expect-error a field of another wire
    fieldSet<Spec, { x: string; y: number }>()('thing', { a: field, b: field, c: {} as Field<{ z: number }> })
  })
})

describe('attribute', () => {
  it('is an attribute that the wire has, with a value that fits it', () => {
    interface One { a?: number | 'x' }
    const set = fieldSet<{ readonly a: number }, One>()
    set('thing', { a: attribute('a', inRange(1, 9)) })
    set('thing', { a: attribute('a', among(['x'])) })
    // @ts-expect-error the wire has no b
    set('thing', { a: attribute('b', inRange(1, 9)) })
    // @ts-expect-error the wire's a is no y
    set('thing', { a: attribute('a', among(['y'])) })
  })
})

describe('entryFields', () => {
  it('takes the names of one kind of message', () => {
    const { header, attribute, link, flag } = entryFields<'neighbour'>()
    attribute('vni', inRange(0, 9))
    link('attributes', 'ifindex')
    flag('header', 'router')
    // @ts-expect-error neighbours have no metric
    attribute('priority', inRange(0, 9))
    // @ts-expect-error it is an attribute
    header('vni', inRange(0, 9))
    // @ts-expect-error it is no attribute
    link('attributes', 'index')
    // @ts-expect-error routes have this flag
    flag('header', 'onlink')
  })
})
