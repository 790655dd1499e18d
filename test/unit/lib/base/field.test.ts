import { describe, expect, it } from 'vitest'
import { integer, oneOf, SpecError } from '../../../../lib/base/check.js'
import { fieldSet, type Field } from '../../../../lib/base/field.js'

interface Wire { port?: number; color?: string; owner?: number; size?: number }
interface Names { nameOf(index: number): string; indexOf(name: string): number }
interface Spec { readonly port: number; readonly color?: 'red' | 'blue'; readonly owner?: string | undefined; readonly size?: number }

const port: Field<Wire> = {
  check: (path, value) => integer(path, value, 1, 65535),
  write(to, value) { to.port = value as number },
  read: from => from.port,
  words: value => `port ${value as number}`,
}
const fields = {
  port,
  color: {
    otherwise: 'red',
    check: (path: string, value: unknown) => oneOf(path, value, ['red', 'blue']),
    write(to: Wire, value: unknown) { to.color = value as string },
    read: (from: Wire) => from.color,
    words: (value: unknown) => `color ${value as string}`,
  },
  owner: {
    otherwise: undefined,
    check: (_: string, value: unknown) => String(value),
    write(to: Wire, value: unknown, names: Names) { to.owner = value === undefined ? 0 : names.indexOf(value as string) },
    read: ({ owner = 0 }: Wire, names: Names) => owner === 0 ? undefined : names.nameOf(owner),
    words: (value: unknown) => `owner ${value as string}`,
    absent: ({ color }: Readonly<Record<string, unknown>>) => color === 'blue' ? 'a blue one has none' : undefined,
  },
  size: {
    otherwise: ({ port }: Readonly<Record<string, unknown>>) => (port as number) * 2,
    check: (path: string, value: unknown) => integer(path, value, 0, 1e6),
    write(to: Wire, value: unknown) { to.size = value as number },
    read: (from: Wire) => from.size,
    words: (value: unknown) => `size ${value as number}`,
    same: (wanted: unknown, actual: unknown) => Math.abs((wanted as number) - (actual as number)) < 2,
  },
}
const things = fieldSet<Spec, Wire, Names>()('thing', fields, {
  stateOnly: ['index'],
  verify({ port: number, size }) { if (number === size) throw new SpecError('size', `${String(size)} is the port`) },
})
const names: Names = { nameOf: index => index === 7 ? 'seven' : '?', indexOf: name => name === 'seven' ? 7 : -1 }

describe('fieldSet', () => {
  it('gives the normal form, with defaults that depend on the object, in the order of the fields', () => {
    expect(Object.entries(things.normalize({ owner: 'seven', port: 80 }))).toEqual([['port', 80], ['color', 'red'], ['owner', 'seven'], ['size', 160]])
    expect(things.normalize({ port: 80, color: 'blue' })).not.toHaveProperty('owner')
    expect(Object.entries(things.normalizePart({ size: 4 }))).toEqual([['size', 4]])
  })

  it('tolerates fields of states, and leaves them out', () => {
    expect(things.normalize({ port: 80, index: 3 })).not.toHaveProperty('index')
    expect(things.settable({ port: 80, index: 3, size: undefined })).toEqual({ port: 80 })
  })

  it.each<[unknown, string, string]>([
    [{ port: 0 }, 'things[2].port: 0 is not an integer from 1 to 65535', 'port: 0 is not an integer from 1 to 65535'],
    [{ port: 1, colour: 'red' }, 'things[2]: there is no field "colour"; there are port, color, owner, size', 'thing: there is no field "colour"'],
    [{ port: 1, color: 'blue', owner: 'x' }, 'things[2].owner: a blue one has none', 'owner: a blue one has none'],
    [{ port: 5, size: 5 }, 'things[2].size: 5 is the port', 'size: 5 is the port'],
    [null, 'things[2]: null is not an object', 'thing: null is not an object'],
    [[], 'things[2]: an array is not an object', 'thing: an array is not an object'],
  ])('refuses %j by its path', (given, inList, alone) => {
    expect(() => things.normalize(given, 'things[2]')).toThrow(inList)
    expect(() => things.normalize(given)).toThrow(alone)
  })

  it('writes all fields or the named ones, and reads them back', () => {
    const spec = things.normalize({ port: 80, owner: 'seven' })
    expect(things.write({}, spec, names)).toEqual({ port: 80, color: 'red', owner: 7, size: 160 })
    expect(things.write({}, spec, names, ['owner'])).toEqual({ owner: 7 })
    expect(things.read({ port: 80, color: 'red', owner: 7, size: 160 }, names)).toEqual(spec)
    expect(things.read({ port: 80, color: 'blue', owner: 7 }, names)).toEqual({ port: 80, color: 'blue' })
  })

  it('names the differences, and says the words of them or of all but the defaults', () => {
    const wanted = things.normalize({ port: 80, owner: 'seven' })
    expect(things.differences(wanted, { ...wanted, size: 161, index: 4 })).toEqual([])
    expect(things.differences(wanted, { ...wanted, size: 163, owner: 'eight' })).toEqual(['owner', 'size'])
    expect(things.differences({ port: 80 }, {})).toEqual(['port'])
    expect(things.words(wanted)).toBe('port 80 owner seven')
    expect(things.words(wanted, ['color', 'size'])).toBe('color red size 160')
  })
})
