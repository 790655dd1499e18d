import { describe, expect, it } from 'vitest'
import { Connection, FamilyClient, ipvs, NETLINK_GENERIC, sequence, withItem, type Command } from '../../../generic-netlink/index.js'
import { FakeKernel } from '../../support/fake-kernel.js'
import { serviceOf } from '../../support/kernel.js'

describe('a sequence', () => {
  it('of an array sends the items of a range until it is stopped', () => {
    const sent = (from: number, to: number, most = 9): string[] => {
      const items: string[] = []
      sequence(['a', 'b', 'c', 'd']).each(item => items.push(item) < most, from, to)
      return items
    }
    expect([sent(0, 4), sent(1, 3), sent(2, 2), sent(0, 4, 2)]).toEqual([['a', 'b', 'c', 'd'], ['b', 'c'], [], ['a', 'b']])
  })
  it('is itself as a sequence', () => {
    const own = { length: 0, each: () => {} }
    expect(sequence(own)).toBe(own)
  })
  it('gives one item, or says that it does not', () => {
    expect(withItem(sequence(['a', 'b']), 1, item => `${item}!`)).toBe('b!')
    expect(withItem(sequence([null]), 0, item => item)).toBeNull()
    const empty = { length: 2, each: () => {} }
    expect(() => withItem(empty, 1, () => 0)).toThrow(new TypeError('the sequence of 2 items sends no item 1'))
  })
})

describe('a batch of a sequence', () => {
  type Table = typeof ipvs.commands
  const client = async (): Promise<FamilyClient<Table>> =>
    FamilyClient.find(new Connection(NETLINK_GENERIC, { openSocket: new FakeKernel().open }), ipvs)
  const command = (i: number): Command<Table> => ['newService', { service: serviceOf(i) }]

  it('that sends fewer items than its length rejects the others, and the next batch goes on', async () => {
    const ipvs = await client()
    const short = { length: 4, each: (send: (command: Command<Table>) => boolean, from: number) => { for (let i = from; i < 2 && send(command(i)); i++); } }
    const [outcomes, next] = await Promise.all([ipvs.batch(short), ipvs.batch([command(9)])])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected', 'rejected'])
    expect(outcomes[2]).toMatchObject({ reason: new TypeError('the sequence of 4 items sends no item 2') })
    expect(next).toMatchObject([{ status: 'fulfilled' }])
  })
  it('that throws rejects what it did not send, and the next batch goes on', async () => {
    const ipvs = await client()
    const oops = new Error('oops')
    const broken = { length: 3, each: (send: (command: Command<Table>) => boolean, from: number) => { if (from === 0) send(command(0)); throw oops } }
    const [outcomes, next] = await Promise.all([ipvs.batch(broken), ipvs.batch([command(9)])])
    expect(outcomes.slice(1)).toEqual([{ status: 'rejected', reason: oops }, { status: 'rejected', reason: oops }])
    expect(next).toMatchObject([{ status: 'fulfilled' }])
  })
})
