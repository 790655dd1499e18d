import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { Director, VirtualService, type VirtualServiceSpec } from '../../../lib/index.js'
import { recordedDirector } from '../../support/director.js'
import { ipvsadm, run } from '../../support/run.js'

const { director } = await recordedDirector()

const key = { vip: '10.9.0.1', port: 80, protocol: 'tcp' } as const
const [A, B, C] = ['10.9.1.1', '10.9.1.2', '10.9.1.3'] as const
const specOf = (more: object = {}, of: object = {}): VirtualServiceSpec =>
  ({ vip: key.vip, port: key.port, protocols: ['tcp'], scheduler: 'sh', realServers: [{ address: A, weight: 5, ...of }, B, C], ...more }) as unknown as VirtualServiceSpec
const saved = (): string => ipvsadm('-S -n')
const apply = async (spec: VirtualServiceSpec): Promise<void> => (await director.plan([spec], { prune: true, force: true })).apply()
const planned = async (spec: VirtualServiceSpec): Promise<string> => `${await director.plan([spec], { prune: true, force: true })}`

describe('a drain', () => {
  const modprobe = readFileSync('/proc/sys/kernel/modprobe', 'latin1').trim()
  afterEach(() => { run('sysctl', ['-qw', `kernel.modprobe=${modprobe}`]) })

  it('without the scheduler that it needs leaves everything as before: settings, weights, sysctls', async () => {
    const spec = specOf({ scheduler: 'dh', protocols: ['tcp', 'udp'], onePacket: true, persistence: { timeout: 60 } })
    await apply(spec)
    run('sysctl', ['-qw', 'net.ipv4.vs.expire_quiescent_template=0'])
    run('modprobe', ['-qr', 'ip_vs_lblc'])
    run('sysctl', ['-qw', 'kernel.modprobe=/bin/false'])
    const before = saved()
    await expect(director.drain({ ...key, protocol: undefined, protocols: ['tcp', 'udp'] } as never, A)).rejects.toMatchObject({ code: 'ENOENT' })
    expect(saved()).toBe(before)
    expect(run('sysctl', ['-n', 'net.ipv4.vs.expire_quiescent_template'])).toBe('0\n')
    expect(await planned(spec)).toBe('')
  })

  it('is known to a plan whose director is closed, and to a director opened later', async () => {
    await apply(specOf())
    await director.drain(key, A)
    const other = await Director.open()
    const plan = await other.plan([specOf({ scheduler: 'mh' }, { weight: 7 })])
    await other.close()
    await plan.apply()
    expect(saved()).toContain('-s mh -b mh-fallback\n')
    expect(saved()).toContain(`-r ${A}:80 -g -w 0\n`)
    await using later = await Director.open()
    await later.undrain(key, A)
    expect(saved()).toContain('-s mh\n')
    expect(saved()).toContain(`-r ${A}:80 -g -w 7\n`)
  })

  it('outlives ipvsadm -C and a module that is loaded anew', async () => {
    await apply(specOf())
    await director.drain(key, A)
    const drained = saved()
    ipvsadm('-C')
    await apply(specOf())
    expect(saved()).toBe(drained)
    ipvsadm('-C')
    await director.undrain(key, A)
    await apply(specOf())
    expect(saved()).not.toContain('-w 0')
    expect(saved()).not.toContain('fallback')
  })
})

describe('a declared drain', () => {
  it('is made, printed, read back and ended', async () => {
    const spec = specOf({ persistence: { timeout: 60 } }, { drain: true })
    run('sysctl', ['-qw', 'net.ipv4.vs.expire_quiescent_template=0'])
    const plan = await director.plan([spec])
    expect(`${plan}`.split('\n')).toEqual([
      '~ sysctl -w net.ipv4.vs.expire_quiescent_template=1   # persistent clients would stay on a real server of weight 0',
      '+ ipvsadm -A -t 10.9.0.1:80 -s sh -p 60 -b sh-fallback', `+ ipvsadm -a -t 10.9.0.1:80 -r ${A}:80 -g -w 0`,
      `+ ipvsadm -a -t 10.9.0.1:80 -r ${B}:80 -g -w 1`, `+ ipvsadm -a -t 10.9.0.1:80 -r ${C}:80 -g -w 1`,
    ])
    await plan.apply()
    expect(saved()).toContain(`-r ${A}:80 -g -w 0\n`)
    expect(await planned(spec)).toBe('')
    director.ipvs.overrides.clear() // as a restart
    expect(await planned(spec)).toBe('')
    const again = specOf({ persistence: { timeout: 60 } })
    expect((await planned(again)).split('\n')).toEqual([
      `~ ipvsadm -e -t 10.9.0.1:80 -r ${A}:80 -g -w 5`, '~ ipvsadm -E -t 10.9.0.1:80 -s sh -p 60', // in this order: no client is refused
    ])
    await apply(again)
    expect(await (await VirtualService.open(again, { director })).realServer(A).state()).toMatchObject([{ weight: 5 }])
  })
})
