import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('../../', import.meta.url))
const bin = (name: string): string => join(root, 'node_modules/.bin', name)

/** Runs a program; where it fails, with what it printed as the reason. */
function run(program: string, args: readonly string[], cwd: string): string {
  try {
    return execFileSync(program, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string }
    throw new Error(`${program} ${args.join(' ')}\n${stdout}${stderr}`, { cause: error })
  }
}

describe('the package as users get it', () => {
  let home: string
  let tarball: string

  beforeAll(() => {
    home = mkdtempSync(join(tmpdir(), 'ipvs-nl-'))
    const [packed] = JSON.parse(run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', home], root)) as [{ filename: string }]
    tarball = join(home, packed.filename)
    writeFileSync(join(home, 'package.json'), '{ "type": "module" }')
    run('npm', ['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball], home)
  }, 120_000)
  afterAll(() => rmSync(home, { recursive: true, force: true }))

  it('is imported', () => {
    const script = `
      import { Director, parseRules, VirtualService } from 'ipvs-nl'
      import { ipvs } from 'ipvs-nl/generic-netlink'
      import { sortServices } from 'ipvs-nl/ipvsadm'
      console.log(typeof VirtualService.open, typeof Director.open, typeof sortServices, parseRules('-A -t 192.0.2.1:80 -s rr').length, ipvs.commands.newService[0])
    `
    expect(run(process.execPath, ['--input-type=module', '-e', script], home)).toBe('function function function 1 1\n')
  })

  it('has stack traces that name the sources', () => {
    const script = 'import { parseRules } from \'ipvs-nl\'\ntry { parseRules(\'nonsense\') } catch (error) { console.log(error.stack) }'
    const stack = run(process.execPath, ['--enable-source-maps', '--input-type=module', '-e', script], home)
    const [, place] = /node_modules\/ipvs-nl\/(lib\/ipvs\/rules\/\w+\.ts):\d+/.exec(stack) ?? []
    expect(place, stack).toBe('lib/ipvs/rules/rule.ts')
  })

  it('types a consumer, who checks libraries strictly, and refuses what is wrong', () => {
    writeFileSync(join(home, 'user.ts'), `
      import { VirtualService, type Step, type VirtualServiceSpec } from 'ipvs-nl'
      import { service } from 'ipvs-nl/generic-netlink'
      export const dns: VirtualServiceSpec = { vip: '192.0.2.1', port: 53, protocols: ['udp'], forward: 'tunnel', realServers: ['198.51.100.1'] }
      export const bytes: Uint8Array = service.encode({ af: 'inet', port: 53 })
      // @ts-expect-error a VIP or a firewall mark, not both
      export const both: VirtualServiceSpec = { vip: '192.0.2.1', port: 53, protocols: ['udp'], fwmark: 1, realServers: [] }
      // @ts-expect-error GUE needs its port
      export const gue: VirtualServiceSpec = { vip: '192.0.2.1', port: 53, protocols: ['udp'], realServers: [], forward: { kind: 'gue' } }
      // @ts-expect-error applying a step is the plan's work
      export const run = (step: Step): unknown => step.run
      export const open = (): Promise<VirtualService> => VirtualService.open(dns)
    `)
    const options = ['--noEmit', '--strict', '--target', 'ES2022', '--module', 'NodeNext', '--lib', 'ES2023,ESNext.Disposable', '--types', 'node', '--typeRoots', join(root, 'node_modules/@types')]
    run(bin('tsc'), [...options, 'user.ts'], home)
  }, 60_000)

  it('holds the library and nothing else', () => {
    const files = run('tar', ['-tf', tarball], home).trim().split('\n').map(file => file.replace('package/', ''))
    const sources = /^(lib|generic-netlink)\/[\w/-]+\.ts$/, types = /^dist\/(lib|generic-netlink)\/[\w/-]+\.d\.ts(\.map)?$/
    expect(files.filter(file => !sources.test(file) && !types.test(file)).sort()).toEqual([
      'CHANGELOG.md', 'LICENSE', 'README.md',
      'dist/generic-netlink.js', 'dist/index.js', 'dist/index.js.map', 'dist/ipvsadm.js', 'dist/ipvsadm.js.map', 'dist/wire.js', 'dist/wire.js.map',
      'package.json',
    ])
    const { dependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { dependencies: object }
    expect(Object.keys(dependencies).sort()).toEqual(['bitwise', 'debug', 'ip-address', 'netlink'])
  })

  it('is clean for publint and arethetypeswrong', () => {
    run(bin('publint'), ['run', tarball, '--strict'], home)
    run(bin('attw'), [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color'], home)
  }, 60_000)
})
