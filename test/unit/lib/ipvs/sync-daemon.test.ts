import { describe, expect, it } from 'vitest'
import { daemonAttributes, normalizeSyncDaemon, readDaemon, syncDaemonArguments } from '../../../../lib/ipvs/sync-daemon.js'

describe('a sync daemon', () => {
  it('goes to the wire and back with all it can be told', () => {
    const spec = { state: 'master', link: 'eth0.100', syncId: 9, maxLength: 1000, group: 'ff02::51', port: 9000, ttl: 4 } as const
    expect(daemonAttributes(spec)).toEqual({ state: 'master', mcastIfn: 'eth0.100', syncId: 9, syncMaxlen: 1000, mcastGroup6: 'ff02::51', mcastPort: 9000, mcastTtl: 4 })
    expect(readDaemon(daemonAttributes(spec))).toEqual(spec)
    expect(normalizeSyncDaemon(spec)).toEqual(spec)
    expect(syncDaemonArguments(spec)).toBe('master --mcast-interface eth0.100 --syncid 9 --sync-maxlen 1000 --mcast-group ff02::51 --mcast-port 9000 --mcast-ttl 4')
  })
  it('says only what it was told, and its id', () => {
    expect(daemonAttributes(normalizeSyncDaemon({ state: 'backup', link: 'eth0' }))).toEqual({ state: 'backup', mcastIfn: 'eth0', syncId: 0 })
  })
  it('has the payload that the kernel gives it', () => {
    const lengthOf = (more: object): unknown => normalizeSyncDaemon({ state: 'backup', link: 'eth0', ...more }).maxLength
    expect([{ maxLength: 500 }, { maxLength: 1025 }, { maxLength: 500, state: 'master' }].map(lengthOf)).toEqual([1024, 1025, 500])
    expect([{ maxLength: 65507 }, { maxLength: 65507, group: 'ff02::51' }].map(lengthOf)).toEqual([65507, 65487])
  })
  it.each<[object, string]>([
    [{ interface: 'eth0' }, 'sync daemon: there is no field "interface"'],
    [{ link: undefined }, 'link: undefined is not an interface name'],
    [{ state: undefined }, 'state: undefined is not one of master, backup'],
    [{ state: 'slave' }, 'state: "slave" is not one of master, backup'],
    [{ link: '../eth0' }, 'link: "../eth0" is not an interface name'],
    [{ link: '..' }, 'link: ".." is not an interface name'],
    [{ link: 'sixteen-letters-' }, 'link: "sixteen-letters-" is not an interface name'],
    [{ syncId: 256 }, 'syncId: 256 is not an integer from 0 to 255'],
    [{ maxLength: 0 }, 'maxLength: 0 is not an integer from 1 to 65507'],
    [{ group: '192.0.2.1' }, 'group: 192.0.2.1 is not a multicast address'],
    [{ group: '2001:db8::1' }, 'group: 2001:db8::1 is not a multicast address'],
    [{ port: 0 }, 'port: 0 is not an integer from 1 to 65535'],
    [{ ttl: 0 }, 'ttl: 0 is not an integer from 1 to 255'],
  ])('refuses %j', (wrong, message) => {
    expect(() => normalizeSyncDaemon({ state: 'master', link: 'eth0', ...wrong })).toThrow(message)
  })
})
