import { describe, expect, it } from 'vitest'
import { Input, Output } from '../../../generic-netlink/buffers.js'
import { DecodeError, NetlinkError, EncodeError } from '../../../generic-netlink/errors.js'
import { eachMessage, readVerdict, writeMessage, type Message, type Verdict } from '../../../generic-netlink/message.js'

const bytes = (...parts: string[]): Uint8Array => new Uint8Array(Buffer.from(parts.join('').replaceAll(' ', ''), 'hex'))
const messages = (data: Uint8Array, end = data.length): Message[] => {
  const all: Message[] = []
  eachMessage(new Input(data), end, message => all.push({ ...message }))
  return all
}
const verdict = (...parts: string[]): Verdict => {
  const data = bytes(...parts)
  return readVerdict(new Input(data), messages(data)[0]!)
}

describe('messages', () => {
  it('are written with their header, and padded', () => {
    const to = new Output(4)
    to.take(4)
    to.bytes.fill(0xff)
    expect(writeMessage(to, 0x1c, 0x5, 0xdeadbeef, body => { const at = body.take(5); body.bytes.fill(0xab, at, at + 5) })).toBe(4)
    expect(Buffer.from(to.finish()).toString('hex')).toBe('ffffffff' + '18000000' + '1c00' + '0500' + 'efbeadde' + '00000000' + 'ababababab000000')
    expect(messages(to.finish().subarray(4))).toEqual([{ type: 0x1c, flags: 0x5, seq: 0xdeadbeef, port: 0, at: 16, length: 8 }])
  })
  it('are read one after the other, each from a multiple of four', () => {
    const two = bytes('11000000 1c00 0200 01000000 02000000 ab 000000', '10000000 0300 0200 01000000 02000000')
    expect(messages(two)).toEqual([
      { type: 0x1c, flags: 2, seq: 1, port: 2, at: 16, length: 1 }, { type: 3, flags: 2, seq: 1, port: 2, at: 36, length: 0 },
    ])
    expect(messages(two, 17)).toHaveLength(1) // the last one need not be padded
    expect(messages(two, 0)).toEqual([])
    expect(messages(Buffer.concat([two, Buffer.alloc(9)]), 36)).toHaveLength(2) // what lies behind the datagram is not read
  })
  it.each([
    ['a datagram that was cut', '20000000 1c00 0200 01000000 02000000', 'a netlink message of 32 bytes in a datagram that has 16 left'],
    ['a size below the header\'s', '0f000000 1c00 0200 01000000 02000000', 'a netlink message of 15 bytes in a datagram that has 16 left'],
    ['a size of zero', '00000000 0000 0000 00000000 00000000', 'a netlink message of 0 bytes in a datagram that has 16 left'],
    ['a rest below a header', '10000000 0300 0200 01000000 02000000 0000', 'a netlink message of 0 bytes in a datagram that has 2 left'],
    ['a size of 2^32 - 1', 'ffffffff 1c00 0200 01000000 02000000', 'a netlink message of 4294967295 bytes in a datagram that has 16 left'],
  ])('%s is an error', (_, hex, message) => expect(() => messages(bytes(hex))).toThrow(new DecodeError(message)))
})

describe('verdicts', () => {
  const request = '14000000 1c00 0500 01000000 00000000 05010000' // what the error message echoes
  const header = '14000000 1c00 0500 01000000 00000000'
  const tlvs = '0b000100 6e6f7065 21210000 08000200 18000000 08000500 03000000'
  it('an acknowledgement, and an error', () => {
    expect(verdict('24000000 0200 0001 01000000 02000000 00000000', header)).toEqual({ errno: 0 })
    expect(verdict('28000000 0200 0000 01000000 02000000 efffffff', request)).toEqual({ errno: -17 })
    expect(verdict('14000000 0200 0000 01000000 02000000 ffffffff')).toEqual({ errno: -1 })
  })
  it('with more to say, after the whole echo and after a capped one', () => {
    const extack = { message: 'nope!!', offset: 24, missing: 3 }
    expect(verdict('44000000 0200 0002 01000000 02000000 eaffffff', request, tlvs)).toEqual({ errno: -22, extack })
    expect(verdict('40000000 0200 0003 01000000 02000000 eaffffff', header, tlvs)).toEqual({ errno: -22, extack })
    expect(verdict('30000000 0300 0202 01000000 02000000 eaffffff', tlvs)).toEqual({ errno: -22, extack }) // of a dump, with nothing echoed
    expect(verdict('28000000 0200 0002 01000000 02000000 eaffffff', request)).toEqual({ errno: -22 }) // announced and absent
    expect(verdict('2c000000 0200 0002 01000000 02000000 eaffffff', request, '04000300')).toEqual({ errno: -22 }) // only a cookie
  })
  it('the end of a dump has an errno, or none', () => {
    expect(verdict('14000000 0300 0200 01000000 02000000 00000000')).toEqual({ errno: 0 })
    expect(verdict('14000000 0300 0200 01000000 02000000 fcffffff')).toEqual({ errno: -4 })
    expect(verdict('10000000 0300 0200 01000000 02000000')).toEqual({ errno: 0 })
    expect(verdict('12000000 0300 0200 01000000 02000000 ffff0000')).toEqual({ errno: 0 })
  })
  it.each([
    ['no room for an errno', '12000000 0200 0000 01000000 02000000 ffff0000', 'an error message of 2 bytes'],
    ['no room for the echo', '14000000 0200 0002 01000000 02000000 eaffffff', 'an error message of 4 bytes'],
    ['an echo longer than the message', `24000000 0200 0002 01000000 02000000 eaffffff ${header}`, 'an error message of 20 bytes echoes 20'],
    ['an echo of 2 GB', '24000000 0200 0002 01000000 02000000 eaffffff 00000080 1c00 0500 01000000 00000000', 'an error message of 20 bytes echoes 2147483648'],
    ['an echo of 4 GB', '24000000 0200 0002 01000000 02000000 eaffffff ffffffff 1c00 0500 01000000 00000000', 'an error message of 20 bytes echoes 4294967295'],
    ['an echo of nothing', '24000000 0200 0002 01000000 02000000 eaffffff 00000000 1c00 0500 01000000 00000000', 'an error message of 20 bytes echoes 0'],
    ['attributes that were cut', `2c000000 0200 0002 01000000 02000000 eaffffff ${request} 09000100`, 'an attribute claims 9 bytes of 4'],
    ['an attribute of the wrong size', `30000000 0200 0002 01000000 02000000 eaffffff ${request} 05000200 01000000`, 'NLMSGERR_ATTR_OFFS: expected 4 bytes, got 1'],
  ])('%s is an error', (_, hex, message) => expect(() => verdict(hex)).toThrow(expect.objectContaining({ name: 'DecodeError', message })))
})

describe('NetlinkError', () => {
  it('names the errno, the request, its object and the kernel\'s words', () => {
    const error = new NetlinkError(-17, 'IPVS newDest', { object: '10.0.0.1:53', extack: { message: 'because' } })
    expect(error).toMatchObject({ name: 'NetlinkError', code: 'EEXIST', errno: -17, request: 'IPVS newDest', object: '10.0.0.1:53', message: 'IPVS newDest: 10.0.0.1:53: because: EEXIST' })
    expect(error).toBeInstanceOf(Error)
    const bare = new NetlinkError(-3, 'IPVS getService')
    expect(bare.message).toBe('IPVS getService: ESRCH')
    expect(Object.keys(bare)).not.toContain('object')
    expect('cause' in bare).toBe(false)
    expect(new NetlinkError(-5, 'x', { cause: bare }).cause).toBe(bare)
  })
  it.each([[-95, 'EOPNOTSUPP'], [-92, 'ENOPROTOOPT'], [-97, 'EAFNOSUPPORT'], [-34, 'ERANGE'], [-125, 'ECANCELED'], [-110, 'ETIMEDOUT'], [-1, 'EPERM']])('%d is %s', (errno, code) =>
    expect(new NetlinkError(errno, 'x').code).toBe(code))
  it('an errno that nobody names is an error all the same', () => {
    for (const errno of [-524, -4095, -2147483648, 0, 5]) expect(new NetlinkError(errno, 'x').code).toMatch(/\w/)
  })
  it('an EncodeError is a RangeError', () => expect(new EncodeError('x')).toBeInstanceOf(RangeError))
})
