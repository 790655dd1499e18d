import { execFileSync, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { FakeSystem } from '../../support/fake-system.js'

/** Builds a package from the text of its files; a file of /usr/bin is executable. */
function build(system: FakeSystem, name: string, files: Record<string, string>): void {
  const tree = join(system.root, 'trees', name)
  mkdirSync(join(tree, 'DEBIAN'), { recursive: true })
  chmodSync(join(tree, 'DEBIAN'), 0o755) // whatever the umask
  writeFileSync(join(tree, 'DEBIAN/control'), `Package: ${name}\nVersion: 1\nArchitecture: all\nMaintainer: nobody <nobody@example.test>\nDescription: a package\n`)
  for (const [path, content] of Object.entries(files)) {
    mkdirSync(join(tree, path, '..'), { recursive: true })
    writeFileSync(join(tree, path), content)
    if (path.startsWith('usr/bin/')) chmodSync(join(tree, path), 0o755)
  }
  execFileSync('dpkg-deb', ['--build', tree, join(system.root, `${name}.deb`)], { stdio: 'ignore' })
}

/** A machine in reach of an archive: kernel 6.12 in stable, 7.2 in testing; apt is told of a suite by its own source. */
function machine({ download = '' } = {}): FakeSystem {
  const system = new FakeSystem('ID=debian\n')
  build(system, 'user-mode-linux', {
    'usr/bin/linux.uml': '#!/bin/sh\necho 6.12.1\n', 'usr/lib/uml/modules/6.12.1/modules.dep': '',
  })
  build(system, 'linux-image-6.12-amd64', { 'boot/vmlinuz-6.12-amd64': 'kernel', 'lib/modules/6.12-amd64/modules.order': '' })
  build(system, 'prometheus', { 'usr/bin/promtool': '#!/bin/sh\necho promtool\n' })
  return system
    .fake('dpkg', 'if [[ $1 == --print-architecture ]]; then echo amd64; else exec /usr/bin/dpkg "$@"; fi')
    .fake('depmod', 'touch "$2/lib/modules/$3/modules.dep"')
    .fake('apt-get', `
      case "$*" in
        *--print-uris*) echo "'http://mirror.example.test/debian/dists/some/InRelease' some 0" ;;
        *download*)
          ${download}
          for word; do
            [[ ! -e $FAKE/$word.deb ]] || { cp "$FAKE/$word.deb" .; exit; }
          done
          echo "E: Unable to locate package" >&2
          exit 100 ;;
      esac`)
    .fake('apt-cache', `
      suite=$(sed -n 's/^Suites: //p' "\${2%/conf}/debian.sources")
      case "$3 $suite" in
        'madison stable') echo "$4 | 6.12um1+b2 | somewhere" ;;
        'madison testing') echo "$4 | 7.2um1 | somewhere" ;;
        'madison unstable') echo "$4 | 7.2um1 | somewhere" ;;
        depends*) echo "$4"; echo "  Depends: linux-base"; echo "  Depends: linux-image-6.12-amd64" ;;
      esac`)
}

const cache = (system: FakeSystem) => join(system.root, 'lab/.cache')
const lines = (system: FakeSystem, name: string) => `${cache(system)}/${name}/usr/bin/linux.uml\n${cache(system)}/${name}/usr/lib/uml/modules/6.12.1\n`
const downloads = (system: FakeSystem) => system.calls('apt-get').filter(call => call.includes(' download '))

describe('fetch', () => {
  test('prints kernel and modules, and the second time without apt', () => {
    using system = machine()
    expect(system.run('fetch', ['uml', '6.12'])).toEqual({
      status: 0, stdout: lines(system, 'uml-6.12'),
      stderr: 'looking for user-mode-linux in Debian\'s stable\nfetching user-mode-linux 6.12um1+b2 from Debian\'s stable\n',
    })
    expect(readdirSync(cache(system)).sort()).toEqual(['lock', 'uml-6.12'])

    system.fake('apt-get', 'exit 1')
    expect(system.run('fetch', ['uml', '6.12'])).toEqual({ status: 0, stdout: lines(system, 'uml-6.12'), stderr: '' })
  })

  test('looks through the suites for a version', () => {
    using system = machine()
    const { status, stderr } = system.run('fetch', ['uml', '7.2'])
    expect(stderr).toBe('looking for user-mode-linux in Debian\'s stable\nlooking for user-mode-linux in Debian\'s testing\nfetching user-mode-linux 7.2um1 from Debian\'s testing\n')
    expect(status).toBe(0)
  })

  test.each([['6.1'], ['7.20'], ['12']])('6.12 and 7.2 are not %s', version => {
    using system = machine()
    const { status, stdout, stderr } = system.run('fetch', ['uml', version])
    expect(stderr).toContain(version === '12'
      ? 'test/lab/fetch: 12 is neither a version such as 6.12 nor a suite such as stable\n'
      : `test/lab/fetch: Debian has no user-mode-linux ${version}; it has 6.12um1+b2 (stable), 7.2um1 (testing), 7.2um1 (unstable), none (oldstable)\n`)
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' })
  })

  test('takes a suite by name, and no other', () => {
    using system = machine()
    expect(system.run('fetch', ['uml', 'testing']).stderr).toBe('looking for user-mode-linux in Debian\'s testing\nfetching user-mode-linux 7.2um1 from Debian\'s testing\n')
  })

  test('gives a stock kernel its list of modules', () => {
    using system = machine()
    const at = `${cache(system)}/stock-stable`
    expect(system.run('fetch', ['stock'])).toMatchObject({ status: 0, stdout: `${at}/boot/vmlinuz-6.12-amd64\n${at}/lib/modules/6.12-amd64\n` })
    expect(system.calls('depmod')).toHaveLength(1)
  })

  test('takes Debian\'s keys and mirror from packages where the machine has neither', () => {
    using system = machine({ download: 'cp "$FAKE"/lab/.cache/fetch.*/apt/debian.sources "$FAKE" 2>/dev/null' })
    rmSync(join(system.root, 'keyrings/debian-archive-keyring.gpg'))
    build(system, 'debian-archive-keyring', { 'usr/share/keyrings/debian-archive-keyring.gpg': 'keys' })
    build(system, 'debootstrap', { 'usr/share/debootstrap/scripts/sid': 'default_mirror http://other.example.test/debian\n', 'usr/sbin/debootstrap': '' })
    // The machine's own mirror has nothing of Debian's.
    const script = readFileSync(join(system.root, 'bin/apt-get'), 'utf8').split('\n').slice(2).join('\n')
    system.fake('apt-get', `[[ "$*" != *update* || "$*" == *print-uris* ]] || ! grep -q mirror.example "\${2%/conf}/debian.sources" || exit 100\n${script}`)
    expect(system.run('fetch', ['uml', '6.12'])).toMatchObject({ status: 0, stdout: lines(system, 'uml-6.12') })
    const sources = readFileSync(join(system.root, 'debian.sources'), 'utf8')
    expect(sources).toContain('URIs: http://other.example.test/debian\n')
    expect(sources).toMatch(/^Signed-By: .*\/fetch\.\w+\/own\/usr\/share\/keyrings\/debian-archive-keyring\.gpg$/m)
  })

  test('takes promtool from the package that has it', () => {
    using system = machine()
    expect(system.run('fetch', ['promtool'])).toEqual({ status: 0, stdout: `${cache(system)}/promtool\n`, stderr: 'fetching promtool\n' })
    expect(execFileSync(`${cache(system)}/promtool`, { encoding: 'utf8' })).toBe('promtool\n')
  })

  test('keeps signatures and the machine\'s own lists out of harm', () => {
    using system = machine({ download: 'cp "$FAKE"/lab/.cache/fetch.*/apt/{conf,debian.sources} "$FAKE"' })
    expect(system.run('fetch', ['uml', 'stable']).status).toBe(0)
    const [conf, sources] = ['conf', 'debian.sources'].map(file => readFileSync(join(system.root, file), 'utf8'))
    for (const name of ['AllowInsecureRepositories', 'AllowWeakRepositories', 'AllowUnauthenticated']) expect(conf).toMatch(new RegExp(`::${name} "false";`))
    for (const name of ['State::Lists', 'Cache::Archives', 'Etc::sourcelist', 'Etc::sourceparts']) {
      expect(conf).toMatch(new RegExp(`Dir::${name} "${cache(system).replaceAll('.', '\\.')}/fetch\\.`))
    }
    expect(sources).toMatch(/^Signed-By: .*\/keyrings\/debian-archive-keyring\.gpg$/m)
    expect(sources).not.toMatch(/trusted/i)
  })
})

describe('a failure is a sentence, and leaves nothing', () => {
  test.each([[[]], [['uml']], [['stock', '6.12', 'x']], [['moon', '1.2']]])('%j', args => {
    using system = machine()
    expect(system.run('fetch', args)).toEqual({
      status: 1, stdout: '', stderr: 'test/lab/fetch: fetch what? The arguments are: uml VERSION, or stock [VERSION], or promtool\n',
    })
  })

  test('no network', () => {
    using system = machine().fake('apt-get', 'echo "E: Could not resolve mirror" >&2; exit 100')
    const { status, stderr } = system.run('fetch', ['uml', '6.12'])
    expect(stderr).toMatch(/E: Could not resolve mirror\ntest\/lab\/fetch: .* is there a network\?\n$/)
    expect(status).toBe(1)
    expect(readdirSync(cache(system))).toEqual(['lock'])
  })

  test('no download', () => {
    using system = machine({ download: 'exit 100' })
    expect(system.run('fetch', ['uml', '6.12'])).toMatchObject({ status: 1, stderr: expect.stringMatching(/: user-mode-linux cannot be downloaded\n$/) as string })
    expect(readdirSync(cache(system))).toEqual(['lock'])
  })

  test('arm64 has no User Mode Linux', () => {
    using system = machine().fake('dpkg', 'echo arm64')
    expect(system.run('fetch', ['uml', '6.12'])).toMatchObject({
      status: 1, stderr: 'test/lab/fetch: Debian has User Mode Linux for amd64 and i386 only, not for arm64: use LAB=qemu\n',
    })
  })

  test('a package whose kernel does not run here', () => {
    using system = machine()
    rmSync(join(system.root, 'user-mode-linux.deb'))
    build(system, 'libc6', { 'usr/share/doc': '' })
    build(system, 'user-mode-linux', { 'usr/bin/linux.uml': '#!/bin/sh\nexit 1\n' })
    expect(system.run('fetch', ['uml', '6.12'])).toMatchObject({ status: 1, stdout: '' })
    expect(readdirSync(cache(system))).toEqual(['lock'])
  })
})

const finished = async (child: ChildProcess) => {
  const [stdout, stderr, [status]] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, 'close') as Promise<[number | null]>])
  return { status, stdout, stderr }
}

test('of two at once, one downloads', async () => {
  using system = machine({ download: 'sleep 1' })
  const both = await Promise.all([1, 2].map(() => finished(system.start('fetch', ['uml', '6.12']))))
  expect(both.map(({ status, stdout }) => ({ status, stdout }))).toEqual([1, 2].map(() => ({ status: 0, stdout: lines(system, 'uml-6.12') })))
  expect(both.filter(({ stderr }) => stderr === 'waiting for another test/lab/fetch\n')).toHaveLength(1)
  expect(downloads(system)).toHaveLength(1)
})

test('one that is ended leaves nothing, and the next is not kept waiting', async () => {
  using system = machine({ download: '[[ -e $FAKE/again ]] || { touch "$FAKE/again"; exec sleep 3; }' })
  const child = system.start('fetch', ['uml', '6.12'])
  const ended = finished(child)
  while (downloads(system).length === 0) await sleep(20)
  child.kill('SIGTERM')
  expect((await ended).status).toBe(143)
  expect(readdirSync(cache(system))).toEqual(['lock'])
  expect(system.run('fetch', ['uml', '6.12'])).toMatchObject({ status: 0, stdout: lines(system, 'uml-6.12') })
})
