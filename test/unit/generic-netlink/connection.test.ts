/** The conversation with a kernel that misbehaves, in ways that a real one does only under load. */

import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { Connection, FamilyClient, ipvs, NETLINK_GENERIC, type ServiceAttributes } from '../../../generic-netlink/index.js'
import { FakeKernel, type Misbehaviour } from '../../support/fake-kernel.js'
import { keyOf, serviceOf } from '../../support/kernel.js'

const numbers = (n: number): number[] => Array.from({ length: n }, (_, i) => i)
const codes = (outcomes: readonly PromiseSettledResult<unknown>[]): unknown[] =>
  outcomes.map(o => o.status === 'fulfilled' ? 'done' : (o.reason as { code?: string }).code)
const setUp = async (wrong: Partial<Misbehaviour> = {}, options: { timeLimit?: number; rows?: number } = {}) => {
  const kernel = new FakeKernel()
  kernel.wrong.events = wrong.events ?? false
  const connection = new Connection(NETLINK_GENERIC, { openSocket: kernel.open, timeLimit: options.timeLimit ?? 1000 })
  const client = await FamilyClient.find(connection, ipvs)
  await client.batch(numbers(options.rows ?? 0).map(i => ['newService', { service: serviceOf(i) }] as const))
  Object.assign(kernel.wrong, wrong)
  return { kernel, connection, client }
}
const missing: ServiceAttributes = keyOf(99_999)

describe.each([['read at once', false], ['by events', true]])('answers %s', (_, events) => {
  describe('dumps', () => {
    it('an errno in DONE rejects', async () => {
      const { client } = await setUp({ events, dumpErrno: 12 }, { rows: 30 })
      await expect(client.dump('getService', {}, { object: 'all' })).rejects.toMatchObject({ code: 'ENOMEM', errno: -12, request: 'IPVS getService', object: 'all' })
    })
    it('one that was interrupted is asked for again, four times in all', async () => {
      const { client, kernel } = await setUp({ events, interrupted: 3 }, { rows: 30 })
      expect(await client.dump('getService', {})).toHaveLength(30)
      kernel.wrong.interrupted = 4
      await expect(client.dump('getService', {})).rejects.toMatchObject({ code: 'EINTR', message: expect.stringContaining('changed during each of 4 attempts') as string })
      expect(await client.dump('getService', {})).toHaveLength(30)
      kernel.wrong.interrupted = 1
      expect(await client.dump('getDaemon', {})).toEqual([]) // told in the DONE of an empty one
      expect(kernel.wrong.interrupted).toBeLessThan(0)
    })
    it('one that was cut, overrun or left alone rejects, and the next has a socket of its own', async () => {
      const { client, kernel } = await setUp({ events }, { rows: 30, timeLimit: 60 })
      for (const [wrong, code] of [['cut', 'ENOBUFS'], ['overrun', 'ENOBUFS'], ['silent', 'ETIMEDOUT'], ['unsendable', 'EBADF']] as const) {
        kernel.wrong[wrong] = 1
        const both = [client.dump('getService', {}), client.dump('getService', {})]
        expect([wrong, ...codes(await Promise.allSettled(both))]).toEqual([wrong, code, 'done'])
        expect(await both[1]).toHaveLength(30)
      }
      await turn()
      expect(kernel.sockets.filter(socket => !socket.closed)).toHaveLength(2)
      expect(kernel.sockets.filter(socket => socket.referenced && !socket.closed)).toEqual([])
    })
    it('one that meets another on its socket is asked for again on a fresh one, four times in all', async () => {
      const { client, kernel } = await setUp({ events, busy: 1 }, { rows: 30 })
      expect(await client.dump('getService', {})).toHaveLength(30)
      expect(kernel.sockets.map(socket => socket.closed)).toEqual([false, true, false])
      kernel.wrong.busy = 4
      await expect(client.dump('getService', {})).rejects.toMatchObject({ code: 'EBUSY' })
      expect(await client.dump('getService', {})).toHaveLength(30)
    })
    it('many at once stand in a queue, and each is whole', async () => {
      const { client } = await setUp({ events, forged: true }, { rows: 50 })
      for (const rows of await Promise.all(numbers(20).map(() => client.dump('getService', {})))) expect(new Set(rows.map(row => row.service!.addr)).size).toBe(50)
    })
  })

  describe('commands', () => {
    it('that no answer came for reject, those after them do not', async () => {
      const { client, kernel } = await setUp({ events }, { timeLimit: 60 })
      for (const [wrong, code] of [['cut', 'ENOBUFS'], ['overrun', 'ENOBUFS'], ['silent', 'ETIMEDOUT'], ['unsendable', 'EBADF']] as const) {
        kernel.wrong[wrong] = 1
        await expect(client.call('zero', {}, { object: 'it' })).rejects.toMatchObject({ code, request: 'IPVS zero', object: 'it', message: expect.stringContaining('the outcome is unknown') as string })
        expect(await client.call('getInfo', {})).toMatchObject({ version: 0x010201 })
      }
      kernel.wrong.silent = 1
      const outcomes = await client.batch(numbers(300).map(() => ['zero', {}] as const))
      expect(outcomes.filter(o => o.status === 'rejected')).toHaveLength(128) // one datagram's worth
      expect(kernel.sockets.some(socket => socket.referenced)).toBe(false)
    })
    it('after an overrun find the socket empty', async () => {
      if (events) return
      const { client, kernel } = await setUp({ events }, { timeLimit: 60 })
      kernel.wrong.overflow = 1
      await expect(client.call('getInfo', {})).rejects.toMatchObject({ code: 'ENOBUFS' })
      expect(await client.call('getInfo', {})).toMatchObject({ version: 0x010201 })
    })
    it('of a source that throws reject with its error, and those of others are done', async () => {
      const { connection, client } = await setUp({ events })
      const oops = new Error('oops')
      const request = { name: 'x', type: 28, write: (to: { take(n: number): number; bytes: Uint8Array }) => { to.bytes.set([99, 1, 0, 0], to.take(4)) } }
      /** Three requests that the kernel refuses; the source throws from the third on, or when it is asked again. */
      const throwing = (again: boolean) => {
        let asked = 0
        return {
          length: 3,
          each(send: (one: typeof request) => boolean, from: number, to: number) {
            if (again && asked++ > 0) throw oops
            for (let i = from; i < to; i++) {
              if (!again && i === 2) throw oops
              if (!send(request)) return
            }
          },
        }
      }
      const reasons = async (again: boolean): Promise<unknown[]> =>
        (await connection.batch(throwing(again))).map((o): unknown => o.status === 'rejected' && ((o.reason as { code?: string }).code ?? o.reason))
      expect(await reasons(false)).toEqual(['EOPNOTSUPP', 'EOPNOTSUPP', oops])
      expect(await reasons(true)).toEqual([oops, oops, oops])
      expect(await client.call('getInfo', {})).toMatchObject({ version: 0x010201 })
    })
    it('are answered "done" where the kernel says nothing, as of EINTR', async () => {
      const { client } = await setUp({ events }, { timeLimit: 60 })
      const daemon = { state: 'master', mcastIfn: 'lo', syncId: 1 } as const
      await client.call('newDaemon', { daemon })
      await client.call('delDaemon', { daemon })
      expect(codes(await client.batch([['newDaemon', { daemon }], ['delDaemon', { daemon }], ['delDaemon', { daemon }], ['getInfo', {}]]))).toEqual(['done', 'done', 'ESRCH', 'done'])
    })
    it('of one tick share datagrams that fit the receive buffer, whatever fails', async () => {
      const sizes: number[] = []
      const { client } = await setUp({ events, onSend: datagram => sizes.push(datagram.length) })
      const outcomes = await Promise.allSettled(numbers(1000).map(i => client.call(i % 2 ? 'newService' : 'delService', { service: i % 2 ? serviceOf(i) : keyOf(i) })))
      expect(outcomes.map(o => o.status)).toEqual(numbers(1000).map(i => i % 2 ? 'fulfilled' : 'rejected'))
      expect(sizes.length).toBeLessThan(100) // 8, or more where the machine is busy and this kernel slow
      expect(sizes.length).toBeGreaterThan(7)
    })
    it('larger than a message can be are refused, and the rest is done', async () => {
      const { connection } = await setUp({ events })
      const huge = { name: 'huge', type: 28, write: (to: { take(n: number): number }) => { to.take(300_000) } }
      const small = { name: 'small', type: 28, write: (to: { take(n: number): number; bytes: Uint8Array }) => { to.bytes.set([17, 1, 0, 0], to.take(4)) } }
      expect(codes(await connection.batch([small, huge, small]))).toEqual(['done', 'EMSGSIZE', 'done'])
    })
    it('late answers do not count for others', async () => {
      if (!events) return
      const { client } = await setUp({ events, delay: 400 }, { timeLimit: 50 })
      await expect(client.call('delService', { service: missing })).rejects.toMatchObject({ code: 'ETIMEDOUT' })
      const next = client.call('getInfo', {})
      await expect(next).rejects.toMatchObject({ code: 'ETIMEDOUT' })
      await sleep(400)
    })
    it('a busy loop is no silence', async () => {
      const { client } = await setUp({ events, delay: 1 }, { timeLimit: 20 })
      for (let i = 0; i < 10; i++) {
        const asked = [client.call('getInfo', {}), client.dump('getService', {})]
        await Promise.resolve()
        for (const end = performance.now() + 30; performance.now() < end;);
        await Promise.all(asked)
      }
    })
  })

  describe('a family whose module was loaded anew', () => {
    it('is found again by all who ask at once', async () => {
      const { client, kernel } = await setUp({ events }, { rows: 3 })
      kernel.reload()
      const outcomes = await Promise.allSettled([
        ...numbers(300).map(i => client.call('newService', { service: serviceOf(i) })), client.dump('getService', {}), client.batch([['getInfo', {}], ['zero', {}]]),
      ])
      expect(new Set(codes(outcomes))).toEqual(new Set(['done']))
      expect(outcomes.at(-1)).toMatchObject({ value: [{ status: 'fulfilled', value: { version: 0x010201 } }, { status: 'fulfilled' }] })
      expect(kernel.ipvs.services.size).toBe(300)
    })
    it('repeats the commands of a sequence that overwrites each by the next', async () => {
      const { client, kernel } = await setUp({ events })
      kernel.reload()
      const command: ['newService', { service: ServiceAttributes }] = ['newService', { service: {} }]
      const source = {
        length: 300,
        each(send: (one: typeof command) => boolean, from: number, to: number) {
          for (let i = from; i < to; i++) {
            command[1].service = serviceOf(i)
            if (!send(command)) return
          }
        },
      }
      expect(new Set(codes(await client.batch(source)))).toEqual(new Set(['done']))
      expect(kernel.ipvs.services.size).toBe(300)
    })
    it('and not found again leaves ENOENT what it is; a batch never rejects', async () => {
      const { client, kernel } = await setUp({ events, absent: true })
      expect(codes(await client.batch([['getInfo', {}], ['zero', {}]]))).toEqual(['ENOENT', 'ENOENT'])
      await expect(client.dump('getService', {})).rejects.toMatchObject({ code: 'ENOENT', request: 'IPVS getService' })
      kernel.wrong.absent = false
      await expect(client.call('newService', { service: serviceOf(1, { schedName: 'nosuch' }) })).rejects.toMatchObject({ code: 'ENOENT' })
      await expect(FamilyClient.find(new Connection(NETLINK_GENERIC, { openSocket: new FakeKernel().open }), { name: 'x', version: 1, commands: {} })).rejects.toMatchObject({ code: 'ENOENT', object: 'x' })
    })
  })

  it('datagrams that no request is named in are ignored', async () => {
    const { client } = await setUp({ events, garbage: true }, { rows: 30 })
    expect(codes(await client.batch([['getInfo', {}], ['delService', { service: missing }], ['zero', {}]]))).toEqual(['done', 'ESRCH', 'done'])
    expect(await client.dump('getService', {})).toHaveLength(30)
  })

  it('close settles what waits, closes both sockets once, and holds nothing', async () => {
    const { client, kernel, connection } = await setUp({ events, delay: 20 }, { rows: 30 })
    const pending = [...numbers(200).map(() => client.call('getInfo', {})), client.dump('getService', {}), client.dump('getDaemon', {})]
    const settled = Promise.allSettled(pending)
    await Promise.resolve()
    connection.close()
    connection.close()
    const outcomes = await settled
    expect(outcomes.filter(o => o.status === 'rejected').every(o => (o.reason as { code: string }).code === 'ECANCELED')).toBe(true)
    if (events) expect(outcomes.filter(o => o.status === 'rejected')).toHaveLength(202)
    expect(kernel.sockets.every(socket => socket.closed)).toBe(true)
    await expect(client.call('getInfo', {})).rejects.toMatchObject({ code: 'ECANCELED', message: 'IPVS getInfo: the connection was closed' })
  })

  it('close from within an answer, and asking from within one, are fine', async () => {
    const { connection } = await setUp({ events })
    const lookUp = (read: () => unknown) => ({ name: 'x', type: 16, write: (to: { take(n: number): number; bytes: Uint8Array }) => { to.bytes.set([3, 2, 0, 0], to.take(4)) }, read })
    let inner: Promise<unknown> | undefined
    await connection.dump(lookUp(() => inner ??= connection.dump(lookUp(() => 1))))
    expect(await inner).toEqual([1, 1])
    const dump = connection.dump(lookUp(() => connection.close()))
    await expect(dump).rejects.toMatchObject({ code: 'ECANCELED' })
  })

  it('without CAP_NET_ADMIN all is EPERM', async () => {
    const { client } = await setUp({ events, unprivileged: true })
    expect(codes(await client.batch([['flush', {}], ['getInfo', {}], ['newService', { service: serviceOf(1) }]]))).toEqual(['EPERM', 'EPERM', 'EPERM'])
    await expect(client.dump('getService', {})).rejects.toMatchObject({ code: 'EPERM' })
  })
})

it('a command that no table has is a TypeError', async () => {
  const { client } = await setUp()
  const refusal = new TypeError('the family IPVS has no command "newServise"')
  await expect(client.call('newServise' as never, {} as never)).rejects.toThrow(refusal)
  await expect(client.dump('newServise' as never, {} as never)).rejects.toThrow(refusal)
  expect(await client.batch([['getInfo', {}], ['newServise' as never, {}], ['zero', {}]])).toMatchObject([
    { status: 'fulfilled' }, { status: 'rejected', reason: refusal }, { status: 'fulfilled' },
  ])
})

it('a socket that the system refuses rejects the dump that wanted it', async () => {
  const kernel = new FakeKernel()
  let refuse = false
  const connection = new Connection(NETLINK_GENERIC, { openSocket: (...how) => { if (refuse) throw new Error('EMFILE'); return kernel.open(...how) } })
  const client = await FamilyClient.find(connection, ipvs)
  refuse = true
  await expect(client.dump('getService', {})).rejects.toThrow('EMFILE')
  refuse = false
  expect(await client.dump('getService', {})).toEqual([])
})
