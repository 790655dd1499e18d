import { release } from 'node:os'
import { describe, expect, it } from 'vitest'
import { Modules, thisSystem, type ModuleSystem } from '../../../../lib/ipvs/modules.js'

const BUILTIN = `/lib/modules/${release()}/modules.builtin`

interface Machine {
  loaded?: readonly string[]
  files?: Record<string, string>
  holders?: readonly string[]
  /** The modules that modprobe knows, and those of them that it can load; `slow` and `unknown` are its end. */
  knows?: readonly string[]
  loads?: readonly string[] | 'slow' | 'unknown'
}

/** A machine, and the modprobes that it ran. */
function machine({ loaded = ['ip_vs'], files = {}, holders = [], knows = [], loads = knows }: Machine): ModuleSystem & { ran: string[] } {
  const ran: string[] = []
  return {
    ran,
    exists: path => Promise.resolve(loaded.some(name => path === `/sys/module/${name}`)),
    read: path => Promise.resolve({ '/proc/sys/kernel/modprobe': '/sbin/modprobe\n', ...files }[path]),
    list: () => Promise.resolve(holders),
    run: (program, args) => {
      ran.push([program, ...args].join(' '))
      const name = args.at(-1)!
      if (args.includes('-n')) return Promise.resolve(knows.includes(name) ? 0 : 1)
      return Promise.resolve(typeof loads === 'string' ? loads : loads.includes(name) ? 0 : 1)
    },
  }
}

describe('a module', () => {
  it.each<[what: string, of: Machine, presence: string, runs: number]>([
    ['that is loaded',                     { loaded: ['ip_vs', 'ip_vs_x'] }, 'present', 0],
    ['that is built in',                   { files: { [BUILTIN]: 'kernel/net/netfilter/ipvs/ip_vs_x.ko\n' } }, 'present', 0],
    ['that modprobe loads',                { knows: ['ip_vs', 'ip_vs_x'] }, 'present', 1],
    ['that modprobe does not know',        { knows: ['ip_vs'] }, 'missing', 3],
    ['that this process may not load',     { knows: ['ip_vs', 'ip_vs_x'], loads: [] }, 'unknown', 3],
    ['in a container without modules',     { knows: [] }, 'unknown', 2],
    ['where modprobe does not end',        { loads: 'slow' }, 'slow', 1],
    ['where modprobe cannot run',          { loads: 'unknown' }, 'unknown', 1],
    ['where the kernel calls no modprobe', { files: { '/proc/sys/kernel/modprobe': '\n' } }, 'unknown', 0],
    ['without /sys',                       { loaded: [] }, 'unknown', 0],
    ['beside a foreign one',               { knows: ['ip_vs'], holders: ['ip_vs_rr', 'ip_vs_ours'] }, 'unknown', 1],
    ['beside those of Linux',              { knows: ['ip_vs'], holders: ['ip_vs_rr', 'xt_ipvs', 'ip_vs_ftp'] }, 'missing', 3],
  ])('%s', async (_, of, presence, runs) => {
    const system = machine(of), modules = new Modules(system)
    expect(await Promise.all([modules.find('ip_vs_x'), modules.find('ip_vs_x')])).toEqual([presence, presence])
    expect(system.ran).toHaveLength(runs)
  })

  it('is looked for by its name alone', async () => {
    const system = machine({ knows: ['ip_vs'] })
    expect(await new Modules(system).find('ip_vs_../x')).toBe('unknown')
    expect(system.ran).toEqual([])
    await new Modules(machine({ knows: ['ip_vs'] })).find('ip_vs_x')
    await new Modules(system).find('ip_vs_x')
    expect(system.ran).toEqual(['/sbin/modprobe -q -- ip_vs_x', '/sbin/modprobe -n -q -- ip_vs', '/sbin/modprobe -n -q -- ip_vs_x'])
  })
})

describe('a program', () => {
  it('runs beside the event loop, until a signal ends it', async () => {
    expect(await thisSystem.run('/bin/sh', ['-c', 'exit 3'])).toBe(3)
    expect(await thisSystem.run('/nonexistent', [])).toBe('unknown')
    const abort = new AbortController()
    const running = thisSystem.run('/bin/sleep', ['60'], abort.signal)
    abort.abort()
    expect(await running).toBe('unknown')
    expect(await thisSystem.run('/bin/sleep', ['60'], abort.signal)).toBe('unknown')
  })
})
