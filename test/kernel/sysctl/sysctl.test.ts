import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { release } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { effectiveSysctl } from '../../../lib/sysctl/effective.js'
import {
  ipv4ConfSysctls, ipv6ConfSysctls, ipvsSysctls, networkSysctls, type SysctlRow,
} from '../../../lib/sysctl/tables.js'
import { sysctlText } from '../../../lib/sysctl/values.js'
import { sysctl } from '../../../lib/sysctl/accessor.js'
import { sysctlName, sysctlSegments, type SysctlKey } from '../../../lib/sysctl/keys.js'
import { sysctlSteps } from '../../../lib/sysctl/steps.js'
import type { SysctlValue } from '../../../lib/sysctl/values.js'
import { Plan } from '../../../lib/plan/plan.js'
import { asNobody, NODE, run } from '../../support/run.js'

const sh = (script: string): string => run('bash', ['-euc', script])
/** What sysctl(8) says. */
const theirs = (key: string): string => run('sysctl', ['-n', key]).trim().replaceAll('\t', ' ')
/** The same without a process: what the file says. */
const raw = (key: string): string => readFileSync(`/proc/sys/${sysctlSegments(key).join('/')}`, 'utf8').trim().replaceAll('\t', ' ')
/** The network's sysctls, but for those that count by themselves. */
const all = (): string => sh('sysctl -a -r \'^net\\.\' 2>/dev/null | grep -v -e nf_conntrack_count -e netdev_rss_key -e nf_log').trim()

const VLAN = 'eth0.100'
let untouched = ''
beforeAll(() => {
  sh(`modprobe -a ip_vs ip_vs_lblc ip_vs_lblcr; ip link add ${VLAN} type dummy`)
  untouched = all()
})
afterAll(() => {
  const left = all()
  sh(`ip link delete ${VLAN}`)
  expect(left).toBe(untouched)
})

/** Runs a script in a Node process of its own, under another program; it prints what it found as JSON. */
function elsewhere(prefix: readonly string[], script: string, node = process.execPath): Promise<unknown> {
  const [program, ...args]: string[] = [...prefix, node, '--input-type=module', '-e', `
    import { sysctl } from './dist/lib/index.js'
    const failure = promise => promise.then(() => 'nothing', ({ name, code, message }) => ({ name, code, message }))
    console.log(JSON.stringify(await (async () => { ${script} })()))`]
  return new Promise((resolve, reject) => execFile(program!, args, { cwd: fileURLToPath(new URL('../../../', import.meta.url)), timeout: 60_000 }, (error, stdout, stderr) => {
    if (error) reject(new Error(`${error.message}\n${stderr}`)); else resolve(JSON.parse(stdout))
  }))
}

const newer = (a: string, b: string): number => {
  const [x, y] = [a, b].map(version => version.split('.').map(part => parseInt(part, 10))) as [number[], number[]]
  return (x[0]! - y[0]!) || (x[1]! - y[1]!) || (x[2] ?? 0) - (y[2] ?? 0)
}

describe('the table of net.ipv4.vs', () => {
  const rows = Object.entries<SysctlRow>(ipvsSysctls)

  it('has every key of this kernel, and none that it should have and lacks', () => {
    const here = readdirSync('/proc/sys/net/ipv4/vs').sort()
    expect(here.filter(key => !Object.hasOwn(ipvsSysctls, key))).toEqual([])
    const missing = rows.filter(([key, { since, config }]) => config === undefined && newer(release(), since!) >= 0 && !here.includes(key))
    expect(missing.map(([key]) => key)).toEqual([])
    const early = rows.filter(([key, { since }]) => newer(release(), since!) < 0 && here.includes(key))
    expect(early.map(([key]) => key)).toEqual([])
  })

  it('has the defaults of a new network namespace', async () => {
    const found = await elsewhere(['unshare', '--net'], `
      const { readdirSync } = await import('node:fs')
      return Object.fromEntries(await Promise.all(readdirSync('/proc/sys/net/ipv4/vs').map(async key => [key, await sysctl.get('net.ipv4.vs.' + key)])))`) as Record<string, unknown>
    expect(Object.keys(found).length).toBeGreaterThan(25)
    for (const [key, value] of Object.entries(found)) {
      const row: SysctlRow = ipvsSysctls[key as keyof typeof ipvsSysctls]
      if (row.takes === 'processors') expect(value, key).toMatch(/^[\d,-]*$/)
      else if (row.default === undefined) expect(value, key).toBeGreaterThan(0)
      else expect(value, key).toEqual(row.default)
    }
  })

  it('has ranges whose ends the kernel takes', async () => {
    for (const [key, row] of rows) {
      if (!readdirSync('/proc/sys/net/ipv4/vs').includes(key) || key === 'debug_level') continue
      const { takes } = row
      const ends: SysctlValue[] = takes === 'flag' ? [true, false] : takes === 'threshold' ? [[0, 1], [5, 0], [3, 50]] : takes === 'processors' ? ['0'] : 'oneOf' in takes ? [...takes.oneOf] : [takes.from, takes.to]
      const before = raw(`net.ipv4.vs.${key}`)
      for (const value of ends) {
        await sysctl.set(`net.ipv4.vs.${key}`, value)
        if (!row.alike) expect(raw(`net.ipv4.vs.${key}`), key).toBe(sysctlText(row, value))
      }
      writeFileSync(`/proc/sys/net/ipv4/vs/${key}`, before)
    }
  })

  it('refuses what the kernel refuses, where the kernel does', async () => {
    for (const bad of ['sync_version=2', 'sync_retries=4', 'sync_ports=3', 'sync_ports=0', 'drop_entry=4', 'drop_packet=-1', 'secure_tcp=4', 'sync_threshold=50 3', 'sync_threshold=-1 5']) {
      const [key, value] = bad.split('=') as [string, string]
      expect(() => run('sysctl', ['-w', `net.ipv4.vs.${bad}`]), bad).toThrow(/Invalid argument/)
      const numbers = value.split(' ').map(Number)
      await expect(sysctl.set(`net.ipv4.vs.${key}`, numbers.length === 1 ? numbers[0]! : numbers), bad).rejects.toThrow(/is not (0 or 1|an integer|one of|two integers|a list)/)
    }
  })
})

describe('the neighbours', () => {
  it('are there, with their defaults', async () => {
    const found = await elsewhere(['unshare', '--net'], `
      const keys = ${JSON.stringify([
        ...Object.keys(networkSysctls), ...Object.keys(ipv4ConfSysctls).map(key => `net.ipv4.conf.lo.${key}`), ...Object.keys(ipv6ConfSysctls).map(key => `net.ipv6.conf.lo.${key}`),
      ].filter(key => !key.startsWith('net.core')))}
      return Object.fromEntries(await Promise.all(keys.map(async key => [key, await sysctl.get(key)])))`) as Record<string, unknown>
    for (const [table, prefix] of [[networkSysctls, ''], [ipv4ConfSysctls, 'net.ipv4.conf.lo.'], [ipv6ConfSysctls, 'net.ipv6.conf.lo.']] as const) {
      for (const [key, row] of Object.entries<SysctlRow>(table)) if (!key.startsWith('net.core')) expect(found[prefix + key], key).toBe(row.default)
    }
    expect(await sysctl.get('net.core.fb_tunnels_only_for_init_net')).toBe(0)
  })

  it('keep what is written, to the ends of their ranges', async () => {
    for (const [key, row] of Object.entries<SysctlRow>(ipv4ConfSysctls)) {
      const name = `net.ipv4.conf.${VLAN}.${key}`
      const before = await sysctl.get(name)
      for (let value = 0; value <= 8; value++) {
        if (sysctlText(row, value) === undefined) continue
        await sysctl.set(name, value)
        expect(raw(name), name).toBe(`${value}`)
      }
      await sysctl.set(name, before)
    }
  })
})

describe('against sysctl(8)', () => {
  it('reads what it wrote, and writes what it reads', async () => {
    const cases: [SysctlKey, string, SysctlValue][] = [
      ['net.ipv4.vs.conntrack',                              '1',           1],
      ['net.ipv4.vs.sync_threshold',                         '5 60',        [5, 60]],
      ['net.ipv4.ip_local_port_range',                       '20000 30000', [20000, 30000]],
      ['net.ipv4.tcp_congestion_control',                    'reno',        'reno'],
      ['net.ipv4.tcp_retries2',                              '9',           9],
      [`net.ipv4.conf.${VLAN}.rp_filter`,                    '2',           2],
      [`net/ipv4/conf/${VLAN}/arp_ignore`,                   '8',           8],
      [['net', 'ipv4', 'conf', VLAN, 'send_redirects'],      '0',           0],
      [`net.ipv4.neigh.${VLAN}.gc_stale_time`,               '77',          77],
      ['net.ipv4.conf.all.arp_announce',                     '2',           2],
      ['net.ipv4.ip_local_reserved_ports',                   '8080,9000-9010', '8080,9000-9010'],
    ]
    for (const [key, text, value] of cases) {
      const name = sysctlName(key)
      const before = theirs(name)
      run('sysctl', ['-qw', `${name}=${text}`])
      expect(await sysctl.get(key), name).toEqual(value)
      run('sysctl', ['-qw', `${name}=${before}`])
      await sysctl.set(key, value)
      expect(theirs(name), name).toBe(text)
      const plan = new Plan(sysctlSteps([{ key, value }], await sysctl.read([key])))
      expect(plan.empty, name).toBe(true)
      run('sysctl', ['-qw', `${name}=${before}`])
    }
  })

  it('prints lines that it takes', async () => {
    const plan = await sysctl.plan([
      { key: `net.ipv4.conf.${VLAN}.rp_filter`, value: 1 }, { key: 'net.ipv4.vs.sync_threshold', value: [4, 40] }, { key: 'net.ipv4.vs.conn_reuse_mode', value: 0 },
    ])
    sh(plan.steps.map(({ line }) => line).join('\n'))
    expect((await sysctl.plan([{ key: `net.ipv4.conf.${VLAN}.rp_filter`, value: 1 }, { key: 'net.ipv4.vs.sync_threshold', value: [4, 40] }])).empty).toBe(true)
    sh(`sysctl -qw net.ipv4.conf.eth0/100.rp_filter=0 net.ipv4.vs.sync_threshold='3 50' net.ipv4.vs.conn_reuse_mode=1`)
  })

  it('a read-only key reads, a write-only key writes', async () => {
    expect(await sysctl.get('net.ipv4.tcp_available_congestion_control')).toContain('reno')
    await sysctl.set('net.ipv4.route.flush', 1)
  })
})

describe('refusals', () => {
  it('what the kernel would take otherwise never reaches it', async () => {
    // Each is something that the kernel takes: with sysctl(8) or a shell they change a file, or the wrong value.
    const hostname = readFileSync('/proc/sys/kernel/hostname', 'utf8')
    const pattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8')
    const bad: [string | readonly string[], unknown][] = [
      ['net.ipv4.tcp_retries2', '010'], ['net.ipv4.tcp_retries2', '0x1'], ['net.ipv4.tcp_retries2', '1 2'], ['net.ipv4.tcp_retries2', ''],
      ['net.ipv4.tcp_retries2', [1, 2]], ['net.ipv4.tcp_retries2', NaN], ['net.ipv4.tcp_retries2', 1.5],
      ['net.ipv4.ip_forward', 5], ['net.ipv4.ip_forward', -1], ['net.ipv4.conf.all.rp_filter', 7], ['net.ipv4.vs.conntrack', 7], ['net.ipv4.vs.sync_threshold', [50, 3]],
      ['net/ipv4/../../kernel/hostname', 'evil'], ['net/ipv4/../../kernel/core_pattern', '|/bin/x'], ['net.ipv4.//.//.kernel.hostname', 'evil'],
      [['net', '..', 'kernel', 'hostname'], 'evil'], [['..', '..', 'etc', 'hostname'], 'evil'], ['kernel.hostname', 'evil'], ['net.ipv4.ip_forward\0', 1],
    ]
    for (const [key, value] of bad) {
      await expect(sysctl.set(key as string, value as number), `${String(key)} = ${String(value)}`).rejects.toThrow(/^sysctl /)
    }
    expect([readFileSync('/proc/sys/kernel/hostname', 'utf8'), readFileSync('/proc/sys/kernel/core_pattern', 'utf8')]).toEqual([hostname, pattern])
  })

  it('opens nothing under /proc/sys for them', () => {
    const traced = sh(`strace -f -qq -e trace=open,openat,openat2 -o /run/sysctl.trace ${process.execPath} --input-type=module -e '
      import { sysctl } from "./dist/lib/index.js"
      const bad = [["net/ipv4/../../kernel/hostname", "evil"], ["net.ipv4.ip_forward", 5], ["net.ipv4.tcp_retries2", "010"], [["net", "..", "kernel", "hostname"], "evil"], ["kernel.hostname", "evil"]]
      let refused = 0
      for (const [key, value] of bad) await sysctl.set(key, value).catch(() => refused++)
      for (const [key, value] of bad) await sysctl.plan([{ key, value }]).catch(() => refused++)
      await sysctl.get("net.ipv4.vs.conntrack")
      console.log(refused)'
      grep -o '"/proc/sys/net[^"]*".*' /run/sysctl.trace; grep -c -e kernel/hostname -e ip_forward -e tcp_retries2 /run/sysctl.trace || true; rm /run/sysctl.trace`)
    expect(traced).toMatch(/^10\n"\/proc\/sys\/net\/ipv4\/vs\/conntrack", O_RDONLY\|O_NOFOLLOW\|O_CLOEXEC\) = \d+\n0\n$/)
  })
})

describe('errors', () => {
  const failing = (promise: Promise<unknown>): Promise<unknown> => promise.then(() => 'nothing', (error: unknown) => error)

  it('no such key, no such device', async () => {
    expect(await failing(sysctl.get('net.ipv4.vs.contrack'))).toMatchObject({ code: 'ENOENT', message: 'cannot read net.ipv4.vs.contrack: IPVS has no such key (ENOENT)' })
    if (newer(release(), '6.2') < 0) {
      expect(await failing(sysctl.set('net.ipv4.vs.est_nice', 5))).toMatchObject({ code: 'ENOENT', message: 'cannot read net.ipv4.vs.est_nice: this kernel has no such key; it came with Linux 6.2 (ENOENT)' })
    }
    expect(await failing(sysctl.set('net.ipv4.conf.eth9.7.rp_filter', 1))).toMatchObject({
      code: 'ENOENT', message: 'cannot read net.ipv4.conf.eth9/7.rp_filter: there is no interface eth9.7 in this network namespace (ENOENT)',
    })
    expect(await failing(sysctl.get('net.ipv4.conf.all'))).toMatchObject({ code: 'EISDIR' })
  })

  it('read-only, write-only, out of range', async () => {
    expect(await failing(sysctl.set('net.ipv4.tcp_available_congestion_control', 'reno'))).toMatchObject({
      name: 'SysctlError', code: 'EACCES', key: 'net.ipv4.tcp_available_congestion_control',
      message: 'cannot set net.ipv4.tcp_available_congestion_control to "reno": the kernel lets nobody set it here; it can only be read (EACCES)',
    })
    expect(await failing(sysctl.get('net.ipv4.route.flush'))).toMatchObject({ code: 'EACCES', message: 'cannot read net.ipv4.route.flush: it can only be written (EACCES)' })
    expect(await failing(sysctl.set('net.ipv4.tcp_retries2', 100_000))).toMatchObject({
      code: 'EINVAL', message: 'cannot set net.ipv4.tcp_retries2 to "100000": the kernel refuses the value: not in its range, or not of its kind (EINVAL)',
    })
    expect(await failing(sysctl.set('net.ipv4.tcp_congestion_control', 'nonesuch'))).toMatchObject({ code: 'ENOENT' })
  })

  it('/proc/sys mounted read-only', async () => {
    expect(await elsewhere(['unshare', '--mount', 'bash', '-euc', 'mount -o bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys; exec "$@"', 'lab'], `
      return [await sysctl.get('net.ipv4.vs.conntrack'), await failure(sysctl.set('net.ipv4.vs.conntrack', 1))]`)).toEqual([0, {
      name: 'SysctlError', code: 'EROFS',
      message: 'cannot set net.ipv4.vs.conntrack to "1": /proc/sys is read-only, as container engines mount it; set it outside, or by the engine (--sysctl) (EROFS)',
    }])
  })

  it('not root; root without CAP_NET_ADMIN; CAP_NET_ADMIN without root', async () => {
    const script = `return [await sysctl.get('net.ipv4.vs.conntrack'), await failure(sysctl.set('net.ipv4.vs.conntrack', 0)), await failure(sysctl.set('net.ipv4.ip_forward', 0))]`
    const denied = { name: 'SysctlError', code: 'EPERM' }
    expect(await elsewhere(asNobody(['--bounding-set=-all', '--inh-caps=-all']), script, NODE)).toMatchObject([0,
      { ...denied, message: 'cannot set net.ipv4.vs.conntrack to "0": the process may not; this needs root or CAP_NET_ADMIN (EPERM)' }, denied])
    expect(await elsewhere(['setpriv', '--bounding-set=-net_admin', '--inh-caps=-net_admin'], script)).toMatchObject([0, 'nothing',
      { ...denied, message: 'cannot set net.ipv4.ip_forward to "0": the process may not; this needs CAP_NET_ADMIN in this network namespace (EPERM)' }])
    expect(await elsewhere(asNobody(['--inh-caps=-all,+net_admin', '--ambient-caps=-all,+net_admin']), script, NODE)).toEqual([0, 'nothing', 'nothing'])
  })

  it('a network namespace of a user namespace of its own', async () => {
    const [forward, vs] = await elsewhere(['unshare', '--user', '--map-root-user', '--net'], `
      return [await failure(sysctl.set('net.ipv4.ip_forward', 1)), await failure(sysctl.get('net.ipv4.vs.conntrack'))]`) as [unknown, unknown]
    expect(forward).toBe('nothing')
    if (newer(release(), '6.2') < 0) expect(vs).toMatchObject({ code: 'ENOENT', message: expect.stringContaining('IPVS is not loaded') as string })
  })
})

describe('plans', () => {
  beforeEach(() => expect(all()).toBe(untouched))

  const wanted: [SysctlKey, SysctlValue][] = [
    ['net.ipv4.ip_forward', true], ['net.ipv6.conf.all.forwarding', 1], ['net.ipv4.vs.expire_nodest_conn', true], ['net.ipv4.vs.sync_threshold', [4, 0]],
    ['net.ipv4.vs.drop_entry', 1], ['net.ipv4.conf.all.rp_filter', 2], ['net.ipv4.conf.default.arp_ignore', 1], [`net.ipv4.conf.${VLAN}.arp_announce`, 2],
    ['net.ipv4.tcp_congestion_control', 'reno'], ['net.ipv4.ip_local_port_range', [20000, 30000]], ['net.ipv4.ip_local_reserved_ports', '8080-8081'],
  ]
  const settings = wanted.map(([key, value]) => ({ key, value }))

  it('change what differs, once; reverted, every sysctl is as before', async () => {
    sh(`sysctl -qw net.ipv4.conf.eth0/100.forwarding=1 net.ipv4.conf.all.accept_redirects=0`)
    const before = all()
    const plan = await sysctl.plan(settings)
    expect(plan.steps).toHaveLength(wanted.length)
    await plan.apply()
    expect((await sysctl.plan(settings)).toString()).toBe('')
    expect(theirs('net.ipv4.conf.lo.forwarding')).toBe('1')
    await plan.revert()
    expect(all()).toBe(before)
    sh(`sysctl -qw net.ipv4.conf.eth0/100.forwarding=0 net.ipv4.conf.all.accept_redirects=1`)
  })

  it('reverted in the middle leave nothing, and a hundred times the same plan changes once', async () => {
    const plan = await sysctl.plan([...settings.slice(0, 4), { key: 'net.ipv4.tcp_retries2', value: 100_000 }])
    await expect(plan.apply()).rejects.toMatchObject({ name: 'PlanError', cause: { code: 'EINVAL' } })
    expect(plan.done).toBe(4)
    await plan.revert()
    expect(all()).toBe(untouched)
    let steps = 0
    const first = await sysctl.plan(settings)
    for (let i = 0; i < 100; i++) {
      const again = i === 0 ? first : await sysctl.plan(settings)
      steps += again.steps.length
      await again.apply()
    }
    expect(steps).toBe(wanted.length)
    await first.revert()
  })

  it('set a device that is yet to come, and forget one that is gone', async () => {
    const key = ['net', 'ipv4', 'conf', 'eth1.7', 'rp_filter']
    const plan = new Plan(sysctlSteps([{ key, value: 2 }], await sysctl.read([key])))
    await expect(plan.apply()).rejects.toMatchObject({ cause: { code: 'ENOENT' } })
    sh('ip link add eth1.7 type dummy')
    await plan.apply()
    expect(theirs('net.ipv4.conf.eth1/7.rp_filter')).toBe('2')
    sh('ip link delete eth1.7')
    await plan.revert()
    expect(plan.done).toBe(0)
  })

  it('stay in their network namespace', async () => {
    expect(await elsewhere(['unshare', '--net'], `
      const plan = await sysctl.plan({ 'net.ipv4.vs.conntrack': 1, 'net.ipv4.ip_forward': 1, 'net.ipv4.conf.all.arp_ignore': 1 })
      await plan.apply()
      return [plan.steps.length, await sysctl.get('net.ipv4.vs.conntrack')]`)).toEqual([3, 1])
  })

  it('the defences may change by themselves', async () => {
    for (const key of ['net.ipv4.vs.drop_entry', 'net.ipv4.vs.drop_packet', 'net.ipv4.vs.secure_tcp']) {
      await sysctl.set(key, 2)
      expect(['1', '2']).toContain(theirs(key))
      expect((await sysctl.plan([{ key, value: 2 }])).empty).toBe(true)
      await sysctl.set(key, 0)
    }
  })
})

/** A counter of the kernel: of two lines, the first has the names. */
function counter(file: string, group: string, name: string): number {
  const [names, values] = readFileSync(`/proc/net/${file}`, 'utf8').split('\n').filter(line => line.startsWith(`${group}: `)).map(line => line.split(' ')) as [string[], string[]]
  return Number(values[names.indexOf(name)])
}

describe('what counts on a device', () => {
  it('is what the kernel goes by: a packet from nowhere, under every pair of rp_filter', async () => {
    sh(`
      ip netns add rpf
      ip link add rpf0 type veth peer name rpf1 netns rpf
      ip address add 198.51.100.1/24 dev rpf0
      ip link set rpf0 up
      ip -n rpf link set lo up
      ip -n rpf address add 198.51.100.2/24 dev rpf1
      ip -n rpf address add 203.0.113.7/32 dev lo
      ip -n rpf link set rpf1 up
      ip -n rpf route add 198.51.100.1/32 dev rpf1 src 203.0.113.7
      ip link add rpfd type dummy
      ip link set rpfd up
      ip route add 203.0.113.7/32 dev rpfd`)
    try {
      for (const all of [0, 1, 2]) {
        for (const device of [0, 1, 2]) {
          await sysctl.set('net.ipv4.conf.all.rp_filter', all)
          await sysctl.set('net.ipv4.conf.rpf0.rp_filter', device)
          // The source's route is out of another device: only strict drops it.
          const before = [counter('snmp', 'Ip', 'InReceives'), counter('netstat', 'TcpExt', 'IPReversePathFilter')] as const
          sh('ip netns exec rpf bash -c "echo >/dev/udp/198.51.100.1/9"')
          for (let i = 0; i < 50 && counter('snmp', 'Ip', 'InReceives') === before[0]; i++) await new Promise(resolve => setTimeout(resolve, 20))
          const dropped = counter('netstat', 'TcpExt', 'IPReversePathFilter') - before[1]
          expect(dropped, `all ${all}, device ${device}`).toBe(effectiveSysctl('rp_filter', 'rpf0', { all, device }).value === 1 ? 1 : 0)
        }
      }
    } finally {
      sh('ip link delete rpf0; ip link delete rpfd; ip netns delete rpf; sysctl -qw net.ipv4.conf.all.rp_filter=0')
    }
  })
})
