import { describe, expect, it } from 'vitest'
import { atPath, boolean, checkList, checkObject, integer, SpecError, within } from '../../../../lib/base/check.js'

describe('atPath', () => {
  it.each([
    ['', 'mtu', 'mtu'],
    ['link', 'mtu', 'link.mtu'],
    ['links', 0, 'links[0]'],
    ['links[0]', 'mtu', 'links[0].mtu'],
    ['', 0, '[0]'],
  ])('%j, %j', (path, key, joined) => expect(atPath(path, key)).toBe(joined))
})

it('a SpecError has the path and the reason apart, and is a RangeError', () => {
  const error = new SpecError('port', 'is closed').within('servers[0]')
  expect(error).toBeInstanceOf(RangeError)
  expect(error).toMatchObject({ name: 'SpecError', path: 'servers[0].port', why: 'is closed', message: 'servers[0].port: is closed' })
  expect(new SpecError('', 'no such list').message).toBe('no such list')
})

describe('within', () => {
  it.each<[string, () => unknown, string]>([
    ['a field', () => integer('port', -1, 0, 9), 'server.port: -1 is not an integer from 0 to 9'],
    ['the part itself', () => checkObject('', null, new Set()), 'server: null is not an object'],
    ['an element', () => integer('[2]', -1, 0, 9), 'server[2]: -1 is not an integer from 0 to 9'],
  ])('begins the path of %s with the part\'s', (_, check, sentence) => expect(() => within('server', check)).toThrow(sentence))

  it('leaves errors that no check throws, such as a TypeError of a getter', () => {
    expect(() => within('server', () => { throw new TypeError('port: gone') })).toThrow(new TypeError('port: gone'))
  })
})

it('checkObject names the field that is unknown, and those that are known', () => {
  expect(() => checkObject('link', { nmae: 'x' }, new Set(['name', 'kind']))).toThrow('link: there is no field "nmae"; there are name, kind')
})
it('checkList returns the array', () => expect(checkList('ports', [1])).toEqual([1]))
it('boolean refuses words', () => expect(() => boolean('up', 'no')).toThrow('up: "no" is not true or false'))
