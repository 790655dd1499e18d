import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes, Output } from '../../../generic-netlink/index.js'

describe('output', () => {
  it('grows, and keeps what is written', () => {
    fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), parts => {
      const to = new Output(1)
      for (const part of parts) bytes.write(to, part, {})
      expect(Buffer.from(to.finish())).toEqual(Buffer.concat(parts))
    }))
  })
  it('aligns with zeros', () => {
    const to = new Output(8)
    to.bytes.fill(0xff)
    to.take(5)
    to.align()
    to.align()
    expect([...to.finish()]).toEqual([255, 255, 255, 255, 255, 0, 0, 0])
  })
})
