import { normalize } from 'node:path'
import fc from 'fast-check'
import { beforeEach, describe, expect, expectTypeOf, it } from 'vitest'
import { SpecError } from '../../../../generic-netlink/core.js'
import { sysctlOver } from '../../../../lib/sysctl/accessor.js'
import { SysctlError } from '../../../../lib/sysctl/errors.js'
import type { SysctlFiles } from '../../../../lib/sysctl/files.js'
import { sysctlName, sysctlSegments, type SysctlKey } from '../../../../lib/sysctl/keys.js'
import { sysctlSteps } from '../../../../lib/sysctl/steps.js'
import type { SysctlValue } from '../../../../lib/sysctl/values.js'
import type { SysctlValueOf } from '../../../../lib/sysctl/tables.js'
import { Session } from '../../../../lib/plan/session.js'

/** Files in memory; every access is counted. */
let files: Map<string, string>
let accesses: string[]
/** What a file makes of what is written to it, where that is not what is written. */
let takes: Map<string, (text: string) => string>

const failure = (code: string): Error => Object.assign(new Error(code), { code })
const memory: SysctlFiles = {
  read(path) {
    accesses.push(`read ${path}`)
    const text = files.get(path)
    return text === undefined ? Promise.reject(failure('ENOENT')) : Promise.resolve(`${text}\n`)
  },
  write(path, text) {
    accesses.push(`write ${path} ${JSON.stringify(text)}`)
    if (!files.has(path)) return Promise.reject(failure('ENOENT'))
    files.set(path, (takes.get(path) ?? (plain => plain))(text.replace(/\n$/, '')))
    return Promise.resolve()
  },
  mode: path => Promise.resolve([...files.keys()].some(file => file === path || file.startsWith(`${path}/`)) ? 0o644 : undefined),
  list: path => Promise.resolve([...new Set([...files.keys()].filter(file => file.startsWith(`${path}/`)).map(file => file.slice(path.length + 1).split('/')[0]!))]),
}
const sysctl = sysctlOver(memory)

beforeEach(() => {
  accesses = []
  takes = new Map()
  files = new Map(Object.entries({
    '/proc/sys/net/ipv4/vs/conntrack':                 '0',
    '/proc/sys/net/ipv4/vs/drop_entry':                '0',
    '/proc/sys/net/ipv4/vs/sync_threshold':            '3\t50',
    '/proc/sys/net/ipv4/vs/est_cpulist':               '0-3',
    '/proc/sys/net/ipv4/ip_forward':                   '0',
    '/proc/sys/net/ipv4/ip_local_port_range':          '32768\t60999',
    '/proc/sys/net/ipv4/tcp_congestion_control':       'cubic',
    '/proc/sys/net/ipv4/tcp_retries2':                 '15',
    '/proc/sys/net/ipv4/conf/all/accept_redirects':    '1',
    '/proc/sys/net/ipv4/conf/all/arp_ignore':          '0',
    '/proc/sys/net/ipv4/conf/all/forwarding':          '0',
    '/proc/sys/net/ipv4/conf/eth0.100/forwarding':     '1',
    '/proc/sys/net/ipv4/conf/eth0.100/rp_filter':      '1',
  }))
})

describe('keys', () => {
  it.each<[SysctlKey, string]>([
    ['net.ipv4.vs.conntrack',                                 'net/ipv4/vs/conntrack'],
    ['net/ipv4/vs/conntrack',                                 'net/ipv4/vs/conntrack'],
    [['net', 'ipv4', 'vs', 'conntrack'],                      'net/ipv4/vs/conntrack'],
    ['net.ipv4.conf.eth0/100.rp_filter',                      'net/ipv4/conf/eth0.100/rp_filter'],
    ['net.ipv4.conf.eth0.100.rp_filter',                      'net/ipv4/conf/eth0.100/rp_filter'],
    ['net.ipv4.conf.a.b.c.rp_filter',                         'net/ipv4/conf/a.b.c/rp_filter'],
    ['net.ipv6.neigh.eth0.100.gc_stale_time',                 'net/ipv6/neigh/eth0.100/gc_stale_time'],
    ['net/ipv4/conf/eth0.100/rp_filter',                      'net/ipv4/conf/eth0.100/rp_filter'],
    [['net', 'ipv4', 'conf', 'eth0.100', 'rp_filter'],        'net/ipv4/conf/eth0.100/rp_filter'],
    ['net.nf_conntrack_max',                                  'net/nf_conntrack_max'],
    ['net.ipv4.conf.wg-a@b:1+.rp_filter',                     'net/ipv4/conf/wg-a@b:1+/rp_filter'],
  ])('%j is %s', (key, path) => {
    expect(sysctlSegments(key).join('/')).toBe(path)
    expect(sysctlSegments(sysctlName(key)).join('/')).toBe(path) // the name means the same key
  })

  const refused: [unknown, RegExp][] = [
    ['',                                          /a segment is empty/],
    ['.',                                         /empty/],
    ['/',                                         /empty/],
    ['..',                                        /empty/],
    ['net',                                       /names no key/],
    ['net.',                                      /empty/],
    ['net..ipv4',                                 /empty/],
    ['net.ipv4.conf..rp_filter',                  /empty/],
    ['net.ipv4.conf.eth0..rp_filter',             /empty/],
    ['/net/ipv4/ip_forward',                      /empty/],
    ['net/ipv4//ip_forward',                      /empty/],
    ['net/ipv4/../../kernel/hostname',            /'\.\.' leads elsewhere/],
    ['net/ipv4/../../kernel/core_pattern',        /leads elsewhere/],
    ['net/ipv4/./ip_forward',                     /'\.' leads elsewhere/],
    ['net.ipv4.//.//.kernel.hostname',            /leads elsewhere/],
    ['net.ipv4./.ip_forward',                     /leads elsewhere/],
    [['net', '..', 'kernel', 'hostname'],         /leads elsewhere/],
    [['net', 'ipv4/../..', 'kernel', 'hostname'], /not a name/],
    [['net', 'ipv4', ''],                         /empty/],
    [['net', 'ipv4', 'a\0b'],                     /'a\\x00b' is not a name/],
    ['net.ipv4.ip_forward\0',                     /not a name/],
    ['net.ipv4.ip_forward\n',                     /not a name/],
    ['net.ipv4.ip forward',                       /not a name/],
    ['net.ipv4.conf.$(id).rp_filter',             /not a name/],
    ['net.ipv4.conf.a;b.rp_filter',               /not a name/],
    ['net.ipv4.conf.\x1b[31m.rp_filter',          /not a name/],
    ['net.ipv4.conf.é.rp_filter',                 /not a name/],
    ['kernel.hostname',                           /only keys below net/],
    ['kernel/core_pattern',                       /only keys below net/],
    ['vm.swappiness',                             /only keys below net/],
    ['../etc/passwd',                             /empty|leads elsewhere/],
    ['net/ipv4/conf/eth0/100/rp_filter',          /no keys within keys/],
    ['networks.ipv4',                             /only keys below net/],
    [[],                                          /only keys below net/],
    [['net', 1],                                  /each segment is text/],

    [['net', , 'ip_forward'],                     /each segment is text/],
    [undefined,                                   /is text or a list/],
    [null,                                        /is text or a list/],
    [7,                                           /is text or a list/],
    [{ 0: 'net', length: 1 },                     /is text or a list/],
  ]
  it.each(refused)('%j is refused before anything is opened', async (key, message) => {
    const bad = key as string
    for (const attempt of [() => sysctl.get(bad), () => sysctl.set(bad, 1), () => sysctl.read([bad]), () => sysctl.plan([{ key: bad, value: 1 }])]) {
      await expect(attempt()).rejects.toThrow(message)
      await expect(attempt()).rejects.toSatisfy(error => error instanceof SpecError)
    }
    expect(() => sysctlSteps([{ key: bad, value: 1 }], new Map())).toThrow(message)
    expect(accesses).toEqual([])
  })

  const pieces = fc.constantFrom('net', 'ipv4', 'conf', 'eth0', '..', '.', '/', '', '\0', 'kernel', '%2e%2e', '…', '\\', ' ', 'all', 'vs', '//', '../', 'neigh')
  const texts = fc.oneof(fc.string({ unit: 'binary' }), fc.array(pieces, { maxLength: 12 }).map(parts => parts.join('')), fc.array(pieces, { maxLength: 12 }).map(parts => parts.join('.')),
    fc.array(pieces, { maxLength: 12 }).map(parts => parts.join('/')), fc.tuple(fc.constantFrom('net.', 'net/', 'net.ipv4.conf.'), fc.string()).map(parts => parts.join('')))
  it('no key whatsoever leads out of /proc/sys/net, and every one that is taken is named so that it means the same', async () => {
    await fc.assert(fc.asyncProperty(fc.oneof(texts, fc.array(fc.oneof(texts, pieces), { maxLength: 8 })), async key => {
      accesses = []
      await sysctl.get(key).catch(() => undefined)
      await sysctl.set(key, 1).catch(() => undefined)
      for (const access of accesses) {
        const path = access.replace(/^(read|write) /, '').replace(/ "1\\n"$/, '')
        expect(path).toMatch(/^\/proc\/sys\/net\/./)
        expect(normalize(path)).toBe(path)
        expect(path).not.toMatch(/[\0-\x20\x7f]|\/\.{0,2}(\/|$)/)
        expect(sysctlSegments(sysctlName(key))).toEqual(sysctlSegments(key))
      }
    }), { numRuns: 3000 })
  })
})

describe('values', () => {
  const port = 'net.ipv4.tcp_retries2'
  const refused: [SysctlKey, unknown][] = [
    ...['', ' ', '010', '0x1', '1 2', '1', '-1', '+1', '1.5', '1e3', '.5', 'a\nb', 'a\0', ' a', 'a  b', 'é', NaN, 1.5, Infinity, 2 ** 53, [], [1.5], ['1'], [NaN], true, false, null, undefined, {}, 1n,

      [1, , 2], Symbol('a'), () => 1].map((value): [string, unknown] => [port, value]),
    ...['1', '', '010', 2, -1, 7, NaN, 1.5, [1], null, undefined].map((value): [string, unknown] => ['net.ipv4.vs.conntrack', value]),
    ['net.ipv4.ip_forward', 5], ['net.ipv4.conf.all.rp_filter', 7], ['net.ipv4.vs.sync_threshold', [50, 3]], ['net.ipv4.vs.sync_threshold', '3 50'],
    ['net/ipv4/conf/eth0.100/rp_filter', 3],
  ]
  it.each(refused)('%j: %o is refused before anything is opened', async (key, value) => {
    const bad = value as number
    await expect(sysctl.set(key as string, bad)).rejects.toThrow(SpecError)
    await expect(sysctl.plan([{ key, value: bad }])).rejects.toThrow(/^sysctl net\.ipv4\.[^:]*: .* is not (0 or 1|an integer|one of|two integers|a list)/s)
    expect(accesses).toEqual([])
  })

  it.each<[string, SysctlValue, string]>([
    ['net.ipv4.vs.conntrack',           true,           '1'],
    ['net.ipv4.vs.conntrack',           0,              '0'],
    ['net.ipv4.vs.sync_threshold',      [5, 60],        '5 60'],
    ['net.ipv4.vs.est_cpulist',         '',             ''],
    ['net.ipv4.vs.est_cpulist',         '0-1,3',        '0-1,3'],
    ['net.ipv4.tcp_congestion_control', 'bbr',          'bbr'],
    ['net.ipv4.ip_local_port_range',    [1024, 65535],  '1024 65535'],
    ['net.ipv4.tcp_retries2',           -1,             '-1'],
  ])('%s = %j is written as %j and a newline, and read back', async (key, value, text) => {
    await sysctl.set(key, value)
    const path = `/proc/sys/${key.replaceAll('.', '/')}`
    expect(accesses).toEqual([`read ${path}`, `write ${path} ${JSON.stringify(`${text}\n`)}`, `read ${path}`])
    expect(files.get(path)).toBe(text)
  })

  it('are read as numbers, lists of them, or text', async () => {
    expect(await sysctl.get('net.ipv4.vs.conntrack')).toBe(0)
    expect(await sysctl.get('net.ipv4.vs.sync_threshold')).toEqual([3, 50])
    expect(await sysctl.get('net.ipv4.vs.est_cpulist')).toBe('0-3')
    expect(await sysctl.get('net.ipv4.tcp_congestion_control')).toBe('cubic')
    files.set('/proc/sys/net/ipv4/vs/est_cpulist', '0')
    expect(await sysctl.get('net.ipv4.vs.est_cpulist')).toBe('0')
    for (const odd of ['', '010', '18446744073709551615', '00000000,00000001']) {
      files.set('/proc/sys/net/ipv4/tcp_congestion_control', odd)
      expect(await sysctl.get('net.ipv4.tcp_congestion_control')).toBe(odd)
    }
  })

  it('of an unknown key are as many as it holds', async () => {
    await expect(sysctl.set('net.ipv4.tcp_retries2', [1, 2])).rejects.toThrow('sysctl net.ipv4.tcp_retries2: it holds 1 number, not 2')
    await expect(sysctl.plan({ 'net.ipv4.ip_local_port_range': 5 })).rejects.toThrow('sysctl net.ipv4.ip_local_port_range: it holds 2 numbers, not 1')
    expect(accesses.filter(access => access.startsWith('write'))).toEqual([])
  })

  it('that the kernel took otherwise are an error that names both', async () => {
    takes.set('/proc/sys/net/ipv4/tcp_congestion_control', () => 'reno')
    await expect(sysctl.set('net.ipv4.tcp_congestion_control', 'bbr')).rejects.toMatchObject({
      name: 'SysctlError', code: 'ERR_SYSCTL_MISMATCH', key: 'net.ipv4.tcp_congestion_control',
      message: 'net.ipv4.tcp_congestion_control was set to "bbr" and holds "reno": the kernel changed the value, or another process set it (ERR_SYSCTL_MISMATCH)',
    })
  })

  it('that the kernel turns into each other are the same', async () => {
    takes.set('/proc/sys/net/ipv4/vs/drop_entry', text => text === '2' ? '1' : text)
    await sysctl.set('net.ipv4.vs.drop_entry', 2)
    expect((await sysctl.plan({ 'net.ipv4.vs.drop_entry': 2 })).empty).toBe(true)
    expect((await sysctl.plan({ 'net.ipv4.vs.drop_entry': 3 })).empty).toBe(false)
    takes.set('/proc/sys/net/ipv4/vs/drop_entry', () => '0')
    await expect(sysctl.set('net.ipv4.vs.drop_entry', 2)).rejects.toMatchObject({ code: 'ERR_SYSCTL_MISMATCH' })
  })

  it('have types, where the key is known', () => {
    expectTypeOf<SysctlValueOf<'net.ipv4.vs.conntrack'>>().toEqualTypeOf<number>()
    expectTypeOf<SysctlValueOf<'net.ipv4.vs.sync_threshold'>>().toEqualTypeOf<readonly [number, number]>()
    expectTypeOf<SysctlValueOf<'net.ipv4.vs.est_cpulist'>>().toEqualTypeOf<string>()
    expectTypeOf<SysctlValueOf<'net.ipv4.conf.eth0.100.rp_filter'>>().toEqualTypeOf<number>()
    expectTypeOf<SysctlValueOf<'net.core.default_qdisc'>>().toEqualTypeOf<number | readonly number[] | string>()
    expectTypeOf(() => sysctl.get('net.ipv4.vs.sync_threshold')).returns.resolves.toEqualTypeOf<readonly [number, number]>()
    const wrong = [
      // @ts-expect-error a flag takes no text
      () => sysctl.set('net.ipv4.vs.conntrack', 'yes'),
      // @ts-expect-error it takes two numbers
      () => sysctl.set('net.ipv4.vs.sync_threshold', [3]),
      // @ts-expect-error it takes a number
      () => sysctl.plan({ 'net.ipv4.vs.drop_entry': true }),
    ]
    expect(wrong).toHaveLength(3)
  })
})

describe('errors', () => {
  const refusing = (code: string, { mode = 0o644, without = '' } = {}) => sysctlOver({
    read: () => Promise.reject(failure(code)), write: () => Promise.reject(failure(code)), mode: () => Promise.resolve(mode),
    list: path => Promise.resolve(path === without ? [] : ['something']),
  })
  const writing = (code: string, mode: number) => sysctlOver({
    read: () => Promise.resolve('0\n'), write: () => Promise.reject(failure(code)), list: () => Promise.resolve([]), mode: () => Promise.resolve(mode),
  })

  it.each<[string, ReturnType<typeof sysctlOver>, string, string, string]>([
    ['IPVS is not loaded',     refusing('ENOENT', { without: '/proc/sys/net/ipv4/vs' }), 'net.ipv4.vs.conntrack', 'ENOENT',
      'IPVS is not loaded (modprobe ip_vs), or this network namespace belongs to a container\'s own user namespace, where older kernels hide its keys'],
    ['the kernel is older',    refusing('ENOENT'), 'net.ipv4.vs.est_nice', 'ENOENT', 'this kernel has no such key; it came with Linux 6.2'],
    ['built without',          refusing('ENOENT'), 'net.ipv4.vs.conntrack', 'ENOENT', 'this kernel has no such key; it came with Linux 2.6.37 and needs CONFIG_IP_VS_NFCT'],
    ['misspelt',               refusing('ENOENT'), 'net.ipv4.vs.contrack', 'ENOENT', 'IPVS has no such key'],
    ['no such device',         refusing('ENOENT', { without: '/proc/sys/net/ipv4/conf/tun0.1' }), 'net.ipv4.conf.tun0.1.rp_filter', 'ENOENT', 'there is no interface tun0.1 in this network namespace'],
    ['no such key',            refusing('ENOENT'), 'net.ipv4.nothing', 'ENOENT', 'this kernel has no such key here, or its module is not loaded'],
    ['only for writing',       refusing('EACCES', { mode: 0o200 }), 'net.ipv4.route.flush', 'EACCES', 'it can only be written'],
    ['not for this process',   refusing('EACCES', { mode: 0o600 }), 'net.ipv4.tcp_fastopen_key', 'EPERM', 'the process may not; this needs root or CAP_NET_ADMIN'],
    ['a directory',            refusing('EISDIR'), 'net.ipv4', 'EISDIR', 'it is a directory of keys'],
    ['something else',         refusing('EIO'), 'net.ipv4.ip_forward', 'EIO', 'the kernel gives no reason'],
  ])('reading: %s', async (_, over, key, code, why) => {
    await expect(over.get(key)).rejects.toMatchObject({
      name: 'SysctlError', code, key: sysctlName(key), message: `cannot read ${sysctlName(key)}: ${why} (${code})`, cause: expect.any(Error) as Error,
    })
  })

  it.each<[string, number, string, string, string]>([
    ['EACCES', 0o444, 'net.ipv4.vs.sync_qlen_max', 'EACCES', 'the kernel lets nobody set it here; it can only be read'],
    ['EACCES', 0o644, 'net.ipv4.vs.sync_qlen_max', 'EPERM',  'the process may not; this needs root or CAP_NET_ADMIN'],
    ['EPERM',  0o644, 'net.ipv4.tcp_retries2',     'EPERM',  'the process may not; this needs CAP_NET_ADMIN in this network namespace'],
    ['EROFS',  0o644, 'net.ipv4.tcp_retries2',     'EROFS',  '/proc/sys is read-only, as container engines mount it; set it outside, or by the engine (--sysctl)'],
    ['EINVAL', 0o644, 'net.ipv4.vs.sync_qlen_max', 'EINVAL', 'the kernel refuses the value; it takes an integer from 0 to 9007199254740991 (messages)'],
    ['EINVAL', 0o644, 'net.ipv4.tcp_retries2',     'EINVAL', 'the kernel refuses the value: not in its range, or not of its kind'],
  ])('setting: %s with permissions %o', async (code, mode, key, shown, why) => {
    const error: unknown = await writing(code, mode).set(key, 5).catch((error: unknown) => error)
    expect(error).toBeInstanceOf(SysctlError)
    expect(error).toMatchObject({ code: shown, key, message: `cannot set ${key} to "5": ${why} (${shown})` })
  })

  it('a key that can only be written is written and not compared', async () => {
    const written: string[] = []
    await sysctlOver({ read: () => Promise.reject(failure('EACCES')), write: (path, text) => { written.push(path, text); return Promise.resolve() }, list: () => Promise.resolve([]), mode: () => Promise.resolve(0o200) })
      .set('net.ipv4.route.flush', 1)
    expect(written).toEqual(['/proc/sys/net/ipv4/route/flush', '1\n'])
  })

  it('an abort is its own reason', async () => {
    const reason = new Error('enough')
    await expect(sysctl.get('net.ipv4.ip_forward', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(accesses).toEqual([])
  })
})

describe('plans', () => {
  it('show the commands, make them once, and take them back', async () => {
    const untouched = new Map(files)
    const wanted = [
      { key: 'net.ipv4.conf.all.arp_ignore', value: 1, why: 'so that the VIP stays silent' },
      { key: ['net', 'ipv4', 'conf', 'eth0.100', 'rp_filter'], value: 0 },
      { key: 'net.ipv4.vs.sync_threshold', value: [3, 60] },
      { key: 'net.ipv4.vs.conntrack', value: false },
    ]
    const plan = await sysctl.plan(wanted)
    expect(plan.toString()).toBe('~ sysctl -w net.ipv4.conf.all.arp_ignore=1   # so that the VIP stays silent\n'
      + '~ sysctl -w net.ipv4.conf.eth0/100.rp_filter=0\n~ sysctl -w net.ipv4.vs.sync_threshold=\'3 60\'')
    await plan.apply()
    expect((await sysctl.plan(wanted)).empty).toBe(true)
    await plan.revert()
    expect([...files].map(([key, text]) => [key, text.replace(' ', '\t')])).toEqual([...untouched])
  })

  it('restore what the step found, not what the plan saw', async () => {
    const plan = await sysctl.plan({ 'net.ipv4.conf.all.arp_ignore': 1 })
    files.set('/proc/sys/net/ipv4/conf/all/arp_ignore', '2')
    await plan.apply()
    await plan.revert()
    expect(files.get('/proc/sys/net/ipv4/conf/all/arp_ignore')).toBe('2')
  })

  it('restore what the kernel carried over', async () => {
    takes.set('/proc/sys/net/ipv4/ip_forward', on => {
      for (const path of files.keys()) if (path.endsWith('/forwarding')) files.set(path, on)
      files.set('/proc/sys/net/ipv4/conf/all/accept_redirects', on === '1' ? '0' : '1')
      return on
    })
    const untouched = new Map(files)
    const plan = await sysctl.plan({ 'net.ipv4.ip_forward': true })
    await plan.apply()
    expect(files.get('/proc/sys/net/ipv4/conf/all/forwarding')).toBe('1')
    await plan.revert()
    expect(files).toEqual(untouched)
  })

  it('go on where a device is gone with its keys', async () => {
    const plan = await sysctl.plan({ 'net.ipv4.conf.eth0.100.rp_filter': 0, 'net.ipv4.conf.all.arp_ignore': 1 })
    await plan.apply()
    files.delete('/proc/sys/net/ipv4/conf/eth0.100/rp_filter')
    await plan.revert()
    expect(files.get('/proc/sys/net/ipv4/conf/all/arp_ignore')).toBe('0')
  })

  it('leave nothing of a step that failed', async () => {
    takes.set('/proc/sys/net/ipv4/tcp_congestion_control', text => text === 'bbr' ? 'reno' : text)
    const plan = await sysctl.plan({ 'net.ipv4.tcp_congestion_control': 'bbr' })
    await expect(plan.apply()).rejects.toMatchObject({ name: 'PlanError', cause: { code: 'ERR_SYSCTL_MISMATCH' } })
    expect(files.get('/proc/sys/net/ipv4/tcp_congestion_control')).toBe('cubic')
  })

  it('cannot want two things of one key, however it is spelt', async () => {
    const twice = [{ key: 'net.ipv4.conf.eth0.100.rp_filter', value: 0 }, { key: 'net/ipv4/conf/eth0.100/rp_filter', value: 1 }]
    await expect(sysctl.plan(twice)).rejects.toThrow('sysctl net.ipv4.conf.eth0/100.rp_filter: cannot be both 0 and 1')
    expect((await sysctl.plan(twice.map(setting => ({ ...setting, value: 0 })))).steps).toHaveLength(1)
    await expect(sysctl.plan({ 'net.ipv4.ip_forward': 1, 'net/ipv4/conf/all/forwarding': 0 }))
      .rejects.toThrow('sysctl net.ipv4.conf.all.forwarding: is the same value as net.ipv4.ip_forward, and cannot be both 1 and 0')
  })

  it('of a key that is not there are refused, while steps for it can be made: its device may be yet to come', async () => {
    await expect(sysctl.plan({ 'net.ipv4.conf.tun0.rp_filter': 0 })).rejects.toMatchObject({ code: 'ENOENT' })
    const actual = await sysctl.read(['net.ipv4.conf.tun0.rp_filter', 'net.ipv4.conf.eth0.100.rp_filter', 'net.ipv4.vs.conntrack'])
    expect(actual).toEqual(new Map([['net.ipv4.conf.eth0/100.rp_filter', '1'], ['net.ipv4.vs.conntrack', '0']]))
    const steps = sysctlSteps({ 'net.ipv4.conf.tun0.rp_filter': 0, 'net.ipv4.conf.eth0.100.rp_filter': 1, 'net.ipv4.vs.conntrack': 1 }, actual)
    expect(steps.map(({ action, object, line }) => [action, object, line])).toEqual([
      ['change', 'sysctl', 'sysctl -w net.ipv4.conf.tun0.rp_filter=0'], ['change', 'sysctl', 'sysctl -w net.ipv4.vs.conntrack=1'],
    ])
    await using session = new Session()
    await steps[0]!.undo(session) // not made: nothing to take back, nothing opened
  })
})
