/**
 * What any kernel with IPVS does with the raw tables: each command, and each errno that it refuses with.
 * The fake kernel and the real one pass the same tests, so what unit tests believe of the kernel is true.
 */

import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  Connection, describeFamily, FamilyClient, ipvs, NETLINK_GENERIC, NetlinkError,
  type Command, type CommandAttributes, type DaemonAttributes, type DestinationAttributes, type ServiceAttributes,
} from '../../generic-netlink/index.js'
import type { OpenSocket } from '../../generic-netlink/socket.js'
import { EVERY_BIT } from './kernel.js'

type Commands = typeof ipvs.commands
type Name = keyof Commands

const v4: ServiceAttributes = { af: 'inet', protocol: 'udp', addr: '192.168.50.100', port: 53 }
const v6: ServiceAttributes = { af: 'inet6', protocol: 'tcp', addr: '2001:db8::53', port: 53 }
const mark: ServiceAttributes = { af: 'inet', fwmark: 0x80000001 }
const whole = (key: ServiceAttributes, more: ServiceAttributes = {}): ServiceAttributes =>
  ({ ...key, schedName: 'rr', flags: { flags: {}, mask: EVERY_BIT }, timeout: 0, netmask: key.af === 'inet' ? '255.255.255.255' : 128, ...more })
const server: DestinationAttributes = { addrFamily: 'inet', addr: '192.168.52.100', port: 53 }
const full = (more: DestinationAttributes = {}): DestinationAttributes => ({ ...server, fwdMethod: 'tunnel', weight: 1, uThresh: 0, lThresh: 0, ...more })
const without = <T extends object>(value: T, key: keyof T): T => ({ ...value, [key]: undefined })
const daemon: DaemonAttributes = { state: 'master', mcastIfn: 'lo', syncId: 7 }

/** Registers the tests for a kernel that is reached through `open`. */
export function contract(name: string, open: OpenSocket): void {
  describe(`the contract: ${name}`, () => {
    let connection: Connection
    let client: FamilyClient<Commands>
    const run = (command: Name, attributes: CommandAttributes = {}): Promise<unknown> => client.call(command, attributes)
    /** "done", or the errno's name. */
    const outcome = (command: Name, attributes: CommandAttributes = {}): Promise<string> => run(command, attributes).then(() => 'done', (error: unknown) => {
      expect(error).toBeInstanceOf(NetlinkError)
      expect((error as NetlinkError).request).toBe(`IPVS ${command}`)
      return String((error as NetlinkError).code)
    })
    const services = async (): Promise<ServiceAttributes[]> => (await client.dump('getService', {})).map(row => row.service!)
    const dests = async (service: ServiceAttributes): Promise<DestinationAttributes[]> => (await client.dump('getDest', { service })).map(row => row.dest!)
    const clear = async (): Promise<void> => {
      await run('flush')
      for (const state of ['master', 'backup'] as const) await outcome('delDaemon', { daemon: { state } })
    }

    beforeAll(async () => {
      connection = new Connection(NETLINK_GENERIC, { openSocket: open })
      client = await FamilyClient.find(connection, ipvs)
    })
    beforeEach(clear)
    afterAll(async () => {
      await clear()
      connection.close()
    })

    describe('families', () => {
      it('are known to the controller, by name', async () => {
        const family = await describeFamily(connection, 'IPVS')
        expect(family).toMatchObject({ familyName: 'IPVS', version: 1, hdrsize: 0, maxattr: 6 })
        expect(family.familyId).toBeGreaterThan(16)
        expect(family.ops?.map(op => op.id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 17])
        expect(family.ops?.every(op => op.flags?.adminPerm)).toBe(true)
        await expect(describeFamily(connection, 'nobody')).rejects.toMatchObject({ code: 'ENOENT', request: 'nlctrl getFamily', object: 'nobody' })
      })
    })

    describe('services', () => {
      it('are added, read one by one and all, changed, deleted', async () => {
        for (const [i, key] of [v4, v6, mark].entries()) {
          expect(await outcome('newService', { service: whole(key, { timeout: i }) })).toBe('done')
          expect((await client.call('getService', { service: key })).service).toMatchObject({ ...whole(key, { timeout: i }), flags: { flags: { hashed: true }, mask: EVERY_BIT } })
        }
        expect((await services()).map(service => service.fwmark ?? service.addr).sort()).toEqual([mark.fwmark, v4.addr, v6.addr].sort())
        expect(await client.call('getService', { service: mark })).toMatchObject({ service: { protocol: undefined, addr: undefined, port: undefined, stats64: { conns: 0n, outbps: 0n } } })

        await run('setService', { service: whole(v4, { schedName: 'wlc', timeout: 300, flags: { flags: { persistent: true, sched2: true, 9: true }, mask: EVERY_BIT }, netmask: '255.255.255.0' }) })
        expect((await client.call('getService', { service: v4 })).service).toMatchObject({
          schedName: 'wlc', timeout: 300, netmask: '255.255.255.0', flags: { flags: { persistent: true, hashed: true, sched2: true, 9: true } },
        })
        await run('delService', { service: v6 })
        await run('delService', { service: mark })
        expect((await services()).map(service => service.addr)).toEqual([v4.addr])
        expect((await client.call('getService', { service: v4 })).service?.stats).toBeUndefined() // told besides stats64, and not read
      })
      it('SET changes the flags of the mask and no others, and clears a persistence engine that it leaves out', async () => {
        const flags = async (): Promise<unknown> => (await client.call('getService', { service: v4 })).service?.flags?.flags
        await run('newService', { service: whole(v4, { flags: { flags: { persistent: true, onePacket: true }, mask: EVERY_BIT }, timeout: 300, peName: 'sip' }) })
        expect(await flags()).toEqual({ persistent: true, hashed: true, onePacket: true })
        expect((await services())[0]?.peName).toBe('sip')
        await run('setService', { service: whole(v4, { flags: { flags: { persistent: false, sched1: true }, mask: { persistent: true } }, timeout: 300 }) })
        expect(await flags()).toEqual({ hashed: true, onePacket: true })
        expect((await services())[0]?.peName).toBeUndefined()
        await run('setService', { service: whole(v4, { flags: { flags: {}, mask: {} } }) })
        expect(await flags()).toEqual({ hashed: true, onePacket: true })
      })
      it('a mark is known by its family and number alone', async () => {
        await run('newService', { service: whole(mark) })
        await run('newService', { service: whole({ ...mark, af: 'inet6' }) })
        expect(await outcome('newService', { service: whole({ ...mark, ...v4 }) })).toBe('EEXIST')
        expect(await services()).toHaveLength(2)
      })
      it('are refused with', async () => {
        await run('newService', { service: whole(v4) })
        const other = { ...v4, port: 54 }
        const rows: [expected: string, command: Name, attributes: CommandAttributes][] = [
          ['EEXIST', 'newService', { service: whole(v4, { schedName: 'wlc' }) }],
          ['ESRCH', 'setService', { service: whole(other) }], ['ESRCH', 'delService', { service: other }], ['ESRCH', 'getService', { service: other }],
          ['ESRCH', 'zero', { service: other }], ['ESRCH', 'newDest', { service: other, dest: full() }], ['ESRCH', 'setDest', { service: other, dest: full() }],
          ['ESRCH', 'delDest', { service: other, dest: server }],
          ['ENOENT', 'newService', { service: whole(other, { schedName: 'nosuch' }) }], ['ENOENT', 'newService', { service: whole(other, { schedName: '' }) }],
          ['ENOENT', 'newService', { service: whole(other, { schedName: 'RR' }) }], ['ENOENT', 'setService', { service: whole(v4, { schedName: 'nosuch' }) }],
          ['ENOENT', 'newService', { service: whole(other, { peName: 'nosuch' }) }],
          ...(['af', 'protocol', 'addr', 'port', 'schedName', 'flags', 'timeout', 'netmask'] as const).filter(key => key !== 'af')
            .map((key): typeof rows[number] => ['EINVAL', 'newService', { service: { ...without(whole(other, { addr: undefined, netmask: undefined }), key) } }]),
          ['EINVAL', 'newService', { service: { protocol: 'tcp', port: 1 } }], ['EINVAL', 'newService', {}], ['EINVAL', 'setService', { service: v4 }],
          ['EINVAL', 'getService', {}], ['EINVAL', 'delService', { service: {} }],
          ['EINVAL', 'newService', { service: whole(v6, { netmask: 0 }) }], ['EINVAL', 'newService', { service: whole(v6, { netmask: 129 }) }],
          ['EAFNOSUPPORT', 'newService', { service: { af: 99, fwmark: 5, schedName: 'rr', flags: { flags: {}, mask: {} }, timeout: 0 } }],
          ['EAFNOSUPPORT', 'delService', { service: { af: 0, fwmark: 5 } }],
        ]
        const found: typeof rows = []
        for (const [, command, attributes] of rows) found.push([await outcome(command, attributes), command, attributes])
        expect(found).toEqual(rows)
        expect(await services()).toHaveLength(1)
      })
    })

    describe('destinations', () => {
      beforeEach(async () => {
        await run('newService', { service: whole(v4) })
        await run('newService', { service: whole(v6) })
      })
      it('are added, listed, changed, deleted', async () => {
        const gue = full({ tunType: 'gue', tunPort: 6080, tunFlags: { csum: true }, weight: 0x7fffffff, uThresh: 1000, lThresh: 10 })
        await run('newDest', { service: v4, dest: gue })
        await run('newDest', { service: v4, dest: full({ addr: '192.168.52.101', fwdMethod: 'masq', port: 5353 }) })
        await run('newDest', { service: v4, dest: full({ addrFamily: 'inet6', addr: '2001:db8::1' }) })
        await run('newDest', { service: v6, dest: full({ addrFamily: 'inet6', addr: '2001:db8::1', tunType: 'gre', fwdMethod: 'route' }) })
        const listed = await dests(v4)
        expect(listed.map(dest => dest.addr).sort()).toEqual(['192.168.52.100', '192.168.52.101', '2001:db8::1'])
        expect(listed.find(dest => dest.addr === server.addr)).toMatchObject({ ...gue, activeConns: 0, inactConns: 0, persistConns: 0, stats64: { conns: 0n } })
        expect(listed.find(dest => dest.port === 5353)).toMatchObject({ fwdMethod: 'masq', tunType: 'ipip', tunPort: 0, tunFlags: {} })
        expect(await dests(v6)).toMatchObject([{ addrFamily: 'inet6', addr: '2001:db8::1', fwdMethod: 'route', tunType: 'gre' }])

        await run('setDest', { service: v4, dest: full({ weight: 0 }) }) // without its tunnel, it falls back to IPIP
        expect((await dests(v4)).find(dest => dest.addr === server.addr)).toMatchObject({ weight: 0, uThresh: 0, lThresh: 0, tunType: 'ipip', tunPort: 0, tunFlags: {} })
        await run('delDest', { service: v4, dest: server })
        await run('delDest', { service: v4, dest: { addrFamily: 'inet6', addr: '2001:db8::1', port: 53 } })
        expect((await dests(v4)).map(dest => dest.addr)).toEqual(['192.168.52.101'])
      })
      it('numbers beyond the names are taken, the forwarding method by its low bits', async () => {
        const keep = async (more: DestinationAttributes): Promise<DestinationAttributes> => {
          await run('setDest', { service: v4, dest: full(more) })
          return (await dests(v4))[0]!
        }
        await run('newDest', { service: v4, dest: full() })
        expect(await keep({ tunType: 255, tunFlags: Object.fromEntries([['csum', true], ['remcsum', true], [15, true]]) })).toMatchObject({ tunType: 255, tunFlags: { csum: true, remcsum: true, 15: true } })
        expect((await keep({ fwdMethod: 6 })).fwdMethod).toBe(6)
      })
      it('are refused with', async () => {
        await run('newDest', { service: v4, dest: full() })
        const other = { ...server, port: 54 }
        const rows: [expected: string, command: Name, dest: DestinationAttributes, service?: ServiceAttributes][] = [
          ['EEXIST', 'newDest', full({ weight: 5, fwdMethod: 'route' })], ['ENOENT', 'setDest', full(other)], ['ENOENT', 'delDest', other],
          ['ENOENT', 'delDest', { addrFamily: 'inet6', addr: '2001:db8::1', port: 53 }],
          ['ERANGE', 'newDest', full({ ...other, weight: 2 ** 31 })], ['ERANGE', 'setDest', full({ weight: 2 ** 32 - 1 })],
          ['ERANGE', 'newDest', full({ ...other, lThresh: 2, uThresh: 1 })], ['ERANGE', 'newDest', full({ ...other, lThresh: 1 })],
          ['EINVAL', 'newDest', full({ ...other, tunType: 'gue' })], ['EINVAL', 'newDest', full({ ...other, fwdMethod: 'masq', tunType: 'gue', tunPort: 0 })],
          ['EINVAL', 'setDest', full({ tunType: 'gue' })],
          ...(['port', 'fwdMethod', 'weight', 'uThresh', 'lThresh'] as const).map((key): typeof rows[number] => ['EINVAL', 'newDest', without(full(other), key)]),
          ['EINVAL', 'newDest', { addrFamily: 'inet', port: 1 }], ['EINVAL', 'delDest', {}],
          ...['0.0.0.0', '224.0.0.1', '239.255.255.255', '255.255.255.255'].map((addr): typeof rows[number] => ['EINVAL', 'newDest', full({ addr })]),
          ...['::', 'ff02::1', 'fe80::1'].map((addr): typeof rows[number] => ['EINVAL', 'newDest', full({ addrFamily: 'inet6', addr }), v6]),
          ['EINVAL', 'newDest', full({ addrFamily: 'inet6', addr: '2001:db8::1', fwdMethod: 'masq' })], ['EINVAL', 'newDest', full({ fwdMethod: 'route' }), v6],
        ]
        const found: typeof rows = []
        for (const [, command, dest, ...service] of rows) found.push([await outcome(command, { service: service[0] ?? v4, dest }), command, dest, ...service])
        expect(found).toEqual(rows)
        expect(await outcome('newDest', { service: v4 })).toBe('EINVAL')
        expect(await dests(v4)).toHaveLength(1)
      })
      it('of a missing service are none, and of no service too', async () => {
        expect(await dests({ ...v4, port: 54 })).toEqual([])
        expect(await client.dump('getDest', {})).toEqual([])
      })
      it('go with their service, and with a flush', async () => {
        await run('newDest', { service: v4, dest: full() })
        await run('delService', { service: v4 })
        expect(await dests(v4)).toEqual([])
        await run('newService', { service: whole(v4) })
        expect(await dests(v4)).toEqual([])
        await run('flush')
        expect(await services()).toEqual([])
      })
    })

    describe('daemons', () => {
      const listed = async (): Promise<unknown[]> => (await client.dump('getDaemon', {})).map(row => row.daemon)
      it('are started, listed master first, stopped', async () => {
        expect(await listed()).toEqual([])
        await run('newDaemon', { daemon: { ...daemon, state: 'backup', syncId: 8 } })
        await run('newDaemon', { daemon: { ...daemon, syncMaxlen: 1400, mcastGroup: '224.0.0.99', mcastPort: 9999, mcastTtl: 3 } })
        expect(await listed()).toMatchObject([
          { ...daemon, syncMaxlen: 1400, mcastGroup: '224.0.0.99', mcastPort: 9999, mcastTtl: 3 }, { state: 'backup', mcastIfn: 'lo', syncId: 8, mcastGroup: '224.0.0.81', mcastPort: 8848, mcastTtl: 1 },
        ])
        await run('delDaemon', { daemon: { state: 'master' } })
        expect(await listed()).toMatchObject([{ state: 'backup' }])
      })
      it('are refused with', async () => {
        expect(await outcome('newDaemon', { daemon: { ...daemon, mcastIfn: 'nosuch' } })).toBe('ENODEV')
        expect(await outcome('newDaemon', {})).toBe('EINVAL')
        for (const key of ['state', 'mcastIfn', 'syncId'] as const) expect([key, await outcome('newDaemon', { daemon: without(daemon, key) })]).toEqual([key, 'EINVAL'])
        expect(await outcome('newDaemon', { daemon: { ...daemon, state: 5 } })).toBe('EINVAL')
        expect(await outcome('delDaemon', {})).toBe('EINVAL')
        expect(await outcome('delDaemon', { daemon: { state: 'master' } })).toBe('ESRCH')
        await run('newDaemon', { daemon })
        expect(await outcome('newDaemon', { daemon: { ...daemon, syncId: 9 } })).toBe('EEXIST')
      })
      it('and servers of the other family keep each other out', async () => {
        const mixed = full({ addrFamily: 'inet6', addr: '2001:db8::1' })
        await run('newService', { service: whole(v4) })
        await run('newDest', { service: v4, dest: mixed })
        expect(await outcome('newDaemon', { daemon })).toBe('EINVAL')
        await run('delDest', { service: v4, dest: mixed })
        await run('newDaemon', { daemon })
        expect(await outcome('newDest', { service: v4, dest: mixed })).toBe('EINVAL')
      })
    })

    it('timeouts: 0 keeps what is, and too long is EINVAL', async () => {
      const before = await client.call('getConfig', {})
      await run('setConfig', { timeoutTcp: 1000, timeoutUdp: 0 })
      await run('setConfig', {})
      expect(await client.call('getConfig', {})).toEqual({ ...before, timeoutTcp: 1000 })
      for (const seconds of [2 ** 31, 2 ** 32 - 1]) expect(await outcome('setConfig', { timeoutTcpFin: seconds })).toBe('EINVAL')
      expect(await client.call('getConfig', {})).toEqual({ ...before, timeoutTcp: 1000 })
      await run('setConfig', before)
    })

    it('the version, and zeroing of one and of all', async () => {
      const answer = await client.call('getInfo', {})
      expect(answer.version).toBe(0x010201)
      expect(answer.connTabSize).toBeGreaterThanOrEqual(0)
      await run('newService', { service: whole(v4) })
      expect(await outcome('zero', { service: v4 })).toBe('done')
      expect(await outcome('zero')).toBe('done')
    })

    it('what no operation answers is EOPNOTSUPP', async () => {
      for (const command of ['setInfo', 'getDest', 'getDaemon'] as const) expect([command, await outcome(command, { service: v4 })]).toEqual([command, 'EOPNOTSUPP'])
      for (const command of ['getConfig', 'getInfo', 'newService', 'flush'] as const) {
        await expect(client.dump(command, {})).rejects.toMatchObject({ code: 'EOPNOTSUPP', request: `IPVS ${command}` })
      }
    })

    it('a batch does what it can, one outcome each, in order', async () => {
      const batch: Command<Commands>[] = [
        ['newService', { service: whole(v4) }], ['newService', { service: whole(v4) }, 'udp 192.168.50.100:53'], ['newDest', { service: v4, dest: full() }], ['getInfo', {}],
        ['delDest', { service: v4, dest: { ...server, port: 1 } }], ['getService', { service: v6 }], ['getService', { service: v4 }], ['newService', { service: { af: 'inet', port: NaN } }],
        ['delService', { service: v4 }], ['getConfig', {}],
      ]
      const outcomes = await client.batch(batch)
      expect(outcomes.map(o => o.status === 'fulfilled' ? o.value : (o.reason as { code: string }).code)).toEqual([
        undefined, 'EEXIST', undefined, expect.objectContaining({ version: 0x010201 }), 'ENOENT', 'ESRCH', expect.objectContaining({ service: expect.objectContaining({ schedName: 'rr' }) as unknown }),
        'ERR_NETLINK_ENCODE', undefined, expect.objectContaining({ timeoutTcp: expect.any(Number) as number }),
      ])
      expect((outcomes[1] as PromiseRejectedResult).reason).toMatchObject({ object: 'udp 192.168.50.100:53', errno: -17, message: 'IPVS newService: udp 192.168.50.100:53: EEXIST' })
      expect(await services()).toEqual([])
      expect(await client.batch([])).toEqual([])
    })

    it('a table of 2000 is listed whole, and emptied', async () => {
      const keys = Array.from({ length: 2000 }, (_, i) => ({ ...v4, port: i + 1 }))
      expect((await client.batch(keys.map(key => ['newService', { service: whole(key) }]))).filter(o => o.status === 'rejected')).toEqual([])
      const [one, two] = await Promise.all([services(), services()])
      for (const rows of [one, two]) expect(rows.map(row => row.port).sort((a, b) => a! - b!)).toEqual(keys.map(key => key.port))
      await run('flush')
      expect(await services()).toEqual([])
    })
  })
}
