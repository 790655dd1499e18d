import { describe, expectTypeOf, it } from 'vitest'
import { fieldSet, type Field } from '../../lib/base/field.js'

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
