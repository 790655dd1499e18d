import { describe, expect, it } from 'vitest'
import { NetlinkError } from '../../../../generic-netlink/index.js'
import { explained, refusal, type Asked, type Reasons } from '../../../../lib/base/explain.js'

interface Painting extends Asked { readonly colour?: string }
const door: Painting = { verb: 'paint', kind: 'door', object: 'door 7' }
const reasons: Reasons<Painting> = {
  'paint door EEXIST': 'it is painted already',
  'paint * EEXIST':    'it has a colour already',
  '* door EBUSY':      ({ colour }) => colour === undefined ? undefined : `it is being painted ${colour}`,
  '* * EBUSY':         'it is in use',
}
const message = (errno: number, asked: Painting, refusal = {}, why?: string): string =>
  (explained(new NetlinkError(errno, 'PAINT', refusal), asked, reasons, why) as Error).message

describe('explained', () => {
  it.each([
    ['verb, kind and error', -17, door, 'cannot paint door 7: it is painted already (EEXIST)'],
    ['verb and error', -17, { ...door, kind: 'wall', object: 'wall 1' }, 'cannot paint wall 1: it has a colour already (EEXIST)'],
    ['a reason that needs the request', -16, { ...door, colour: 'red' }, 'cannot paint door 7: it is being painted red (EBUSY)'],
    ['the next row where a function finds nothing', -16, door, 'cannot paint door 7: it is in use (EBUSY)'],
    ['no reason', -2, door, 'cannot paint door 7: ENOENT'],
  ])('by %s', (_, errno, asked, sentence) => expect(message(errno, asked)).toBe(sentence))

  it('prefers the caller\'s reason', () => expect(message(-17, door, {}, 'it is made of glass')).toBe('cannot paint door 7: it is made of glass (EEXIST)'))

  it('adds the kernel\'s sentence', () => {
    expect(message(-17, door, { extack: { message: 'wet' } })).toBe('cannot paint door 7: it is painted already; the kernel says: wet (EEXIST)')
    expect(message(-2, door, { extack: { message: 'wet' } })).toBe('cannot paint door 7: the kernel says: wet (ENOENT)')
  })

  it('keeps code, errno, request and ext-ack, and names object and cause', () => {
    const error = new NetlinkError(-17, 'PAINT', { extack: { message: 'wet', offset: 4 } })
    expect(explained(error, door, reasons)).toMatchObject({
      code: 'EEXIST', errno: -17, request: 'PAINT', object: 'door 7', extack: { message: 'wet', offset: 4 }, cause: error,
    })
  })

  it.each([-125, -110, -105, -90, -61])('keeps the connection\'s own sentence (%d)', errno => {
    expect(message(errno, door, { message: 'its own sentence' })).toBe('its own sentence')
  })

  it('returns any other value as it is', () => {
    const reason = { any: 'thing' }
    expect(explained(reason, door, reasons)).toBe(reason)
  })
})

describe('refusal', () => {
  it('has the kernel\'s form', () => {
    expect(refusal('EOPNOTSUPP', 'PAINT', door, 'it is of glass')).toMatchObject({
      name: 'NetlinkError', code: 'EOPNOTSUPP', errno: -95, request: 'PAINT', object: 'door 7', message: 'cannot paint door 7: it is of glass (EOPNOTSUPP)',
    })
  })
})
