import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { FakeSystem } from '../../support/fake-system.js'

const debian = 'ID=debian\n'
const ubuntu = 'ID=ubuntu\nID_LIKE=debian\n'

const all = ['kmod', 'iproute2', 'procps', 'util-linux', 'ipvsadm', 'unbound', 'bind9-dnsutils', 'tcpdump', 'curl', 'iputils-ping', 'gcc',
  'libc6-dev', 'linux-libc-dev', 'strace', 'python3', 'python3-pyroute2', 'user-mode-linux']

interface Machine { release?: string; missing?: string[]; user?: 'root' | 'sudo' | 'nobody'; architecture?: string }

/** A machine with all packages but some; its apt-get installs whatever it is asked for. */
function machine({ release = debian, missing = [], user = 'root', architecture = 'amd64' }: Machine = {}): FakeSystem {
  const installed = all.filter(name => !missing.includes(name)).map(name => `installed:${name}`).join(' ')
  const system = new FakeSystem(release)
  return system
    .fake('dpkg-query', `printf '%s ' ${installed}`)
    .fake('dpkg', `echo ${architecture}`)
    .fake('id', `echo ${user === 'root' ? 0 : 1000}`)
    .fake('sudo', user === 'sudo' ? 'shift; exec "$@"' : 'exit 1')
    .fake('apt-get', ':')
    .fakeScript('fetch', ':')
}

/** What apt-get was asked to install. */
const installs = (system: FakeSystem) => system.calls('apt-get').filter(call => / install /.test(call)).map(call => / --no-install-recommends (.*?) -q /.exec(call)?.[1])

describe('install', () => {
  test('is silent where nothing is missing', () => {
    using system = machine()
    expect(system.run('install')).toEqual({ status: 0, stdout: '', stderr: '' })
    expect(system.calls('apt-get')).toEqual([])
  })

  test('asks for what is missing of the part alone', () => {
    using system = machine({ missing: all })
    expect(system.run('install', ['demo'])).toMatchObject({ status: 0, stdout: '' })
    expect(installs(system)).toEqual(['kmod iproute2 procps util-linux ipvsadm unbound bind9-dnsutils tcpdump user-mode-linux'])
    expect(system.calls('fetch')).toEqual([])
  })

  test('fetches promtool for the tests', () => {
    using system = machine({ missing: ['strace'] })
    expect(system.run('install', ['test'])).toEqual({ status: 0, stdout: '', stderr: 'installing strace\n' })
    expect(system.calls('fetch')).toEqual(['promtool'])
  })

  test('goes on without promtool, in a sentence', () => {
    using system = machine().fakeScript('fetch', 'exit 1')
    const { status, stderr } = system.run('install', ['test'])
    expect(stderr).toMatch(/^test\/lab\/install: promtool is missing, for the test of metrics/)
    expect(status).toBe(0)
  })

  test('fetches stale lists, then asks again', () => {
    using system = machine({ missing: ['kmod'] })
    system.fake('apt-get', 'case "$*" in *update*) touch "$FAKE/fresh" ;; *) [[ -e $FAKE/fresh ]] ;; esac')
    expect(system.run('install').status).toBe(0)
    expect(system.calls('apt-get').map(call => /update|install/.exec(call)?.[0])).toEqual(['install', 'update', 'install'])
  })

  test('uses sudo where it asks for no password', () => {
    using system = machine({ missing: ['kmod'], user: 'sudo' })
    expect(system.run('install')).toMatchObject({ status: 0 })
    expect(system.calls('sudo').some(call => call.includes('apt-get'))).toBe(true)
    expect(installs(system)).toEqual(['kmod'])
  })

  test.each([['with', 'sudo sh -c \'', true], ['without', 'su -c \'', false]] as const)('prints one line for everything, on a machine %s sudo', (_, start, has) => {
    using system = machine({ missing: ['kmod', 'strace', 'python3-pyroute2', 'user-mode-linux'], user: 'nobody' })
    if (!has) rmSync(join(system.root, 'bin/sudo'))
    expect(system.run('install', ['demo'])).toEqual({
      status: 1, stdout: '', stderr: 'test/lab/install: packages are missing. Run:\n'
        + `${start}apt-get update && apt-get install -y --no-install-recommends kmod strace python3-pyroute2 user-mode-linux'\n`,
    })
    expect(system.calls('apt-get')).toEqual([])
  })

  test('a part that does not exist is refused', () => {
    using system = machine()
    expect(system.run('install', ['all'])).toEqual({ status: 1, stdout: '', stderr: 'test/lab/install: all is no part; there are demo, test, bench and qemu\n' })
  })

  test('a machine without dpkg learns what is needed', () => {
    using system = machine()
    for (const program of ['dpkg', 'dpkg-query']) rmSync(join(system.root, 'bin', program))
    const { status, stderr } = system.run('install', ['demo'])
    expect(stderr).toMatch(/^test\/lab\/install: this is neither Debian nor Ubuntu; needed are: kmod iproute2 .*user-mode-linux\n$/)
    expect(status).toBe(1)
  })
})

describe('the kernel', () => {
  test.each([ubuntu, 'ID=linuxmint\nID_LIKE="ubuntu debian"\n'])('is fetched on %j, and not asked of apt', release => {
    using system = machine({ release, missing: ['user-mode-linux', 'kmod'] })
    expect(system.run('install', ['demo'])).toMatchObject({ status: 0, stdout: '' })
    expect(installs(system)).toEqual(['kmod'])
    expect(system.calls('fetch')).toEqual(['uml stable'])
  })

  test('that cannot be fetched fails the installation', () => {
    using system = machine({ release: ubuntu }).fakeScript('fetch', 'echo reason >&2; exit 1')
    expect(system.run('install', ['demo'])).toEqual({ status: 1, stdout: '', stderr: 'reason\n' })
  })

  test('is a package on a derivative of Debian', () => {
    using system = machine({ release: 'ID=raspbian\nID_LIKE=debian\n', missing: ['user-mode-linux'] })
    expect(system.run('install', ['demo']).status).toBe(0)
    expect(installs(system)).toEqual(['user-mode-linux'])
  })

  test('does not exist for arm64: qemu is named', () => {
    using system = machine({ architecture: 'arm64', missing: all })
    expect(system.run('install', ['demo'])).toEqual({
      status: 1, stdout: '', stderr: 'test/lab/install: there is no User Mode Linux for arm64; with LAB=qemu in front, the command runs on Debian\'s own kernel under qemu\n',
    })
    expect(system.calls('apt-get')).toEqual([])
  })

  test.each([['arm64', 'qemu-system-arm'], ['amd64', 'qemu-system-x86']])('with LAB=qemu is Debian\'s own: on %s by %s', (architecture, qemu) => {
    using system = machine({ architecture, missing: ['user-mode-linux'] })
    expect(system.run('install', ['demo'], { LAB: 'qemu' }).status).toBe(0)
    expect(installs(system)[0]).toMatch(new RegExp(`^${qemu}\\b`))
    expect(installs(system)[0]).not.toContain('user-mode-linux')
  })

  test('needs a compiler where the processor has AMX and the machine has none', () => {
    using system = machine()
    writeFileSync(join(system.root, 'cpuinfo'), 'flags : fpu amx_tile\n')
    expect(system.run('install', ['demo']).status).toBe(0)
    expect(installs(system)).toEqual(['tcc'])
    expect(system.fake('gcc', ':').run('install', ['demo'])).toEqual({ status: 0, stdout: '', stderr: '' })
  })
})

describe('a package that the archive lacks', () => {
  const lacking = (release: string, components: string) => machine({ release, missing: ['ipvsadm'] }).fake('apt-get', `
    case "$*" in
      indextargets*) printf '%s\\n' ${components} ;;
      *install*) echo 'E: Unable to locate package ipvsadm' >&2; exit 100 ;;
    esac`)
  const byHand = 'By hand:\napt-get update && apt-get install -y --no-install-recommends ipvsadm\n'

  test('is named with the line to run', () => {
    using system = lacking(debian, 'main')
    expect(system.run('install', ['demo'])).toEqual({
      status: 1, stdout: '', stderr: `installing ipvsadm\ntest/lab/install: this machine's archive has no package ipvsadm. ${byHand}`,
    })
  })

  test('is said to be in universe where that is switched off', () => {
    using system = lacking(ubuntu, 'main restricted')
    expect(system.run('install', ['demo']).stderr).toContain(`no package ipvsadm; Ubuntu has it in 'universe', which is switched off: sudo add-apt-repository universe. ${byHand}`)
  })

  test('is not said to be in universe where that is on', () => {
    using system = lacking(ubuntu, 'main universe')
    expect(system.run('install', ['demo']).stderr).toContain(`no package ipvsadm. ${byHand}`)
  })

  test('another failure shows what apt said last', () => {
    using system = machine({ missing: ['ipvsadm'] }).fake('apt-get', 'echo "E: dpkg was interrupted" >&2; exit 100')
    expect(system.run('install', ['demo'])).toEqual({
      status: 1, stdout: '', stderr: `installing ipvsadm\nE: dpkg was interrupted\ntest/lab/install: apt-get could not install the packages. ${byHand}`,
    })
  })
})

describe('a lock that another apt holds', () => {
  const words = 'echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 42 (apt-get)" >&2; exit 100'

  test('is waited for, and said once', () => {
    using system = machine({ missing: ['kmod'] })
    system.fake('apt-get', `
      case "$*" in
        *update*) [[ $(grep -c update "$FAKE/calls") -ge 3 ]] || { ${words}; }; touch "$FAKE/fresh" ;;
        *) [[ -e $FAKE/fresh ]] ;;
      esac`)
    expect(system.run('install')).toEqual({
      status: 0, stdout: '', stderr: 'installing kmod\nwaiting for process 42 (apt-get), which holds /var/lib/apt/lists/lock\n',
    })
    expect(system.calls('apt-get').map(call => /update|install/.exec(call)?.[0])).toEqual(['install', 'update', 'update', 'update', 'install'])
  })

  test('is waited for until a limit', () => {
    using system = machine({ missing: ['kmod'] }).fake('apt-get', words)
    expect(system.run('install', [], { LAB_APT_TIMEOUT: '1' })).toEqual({
      status: 1, stdout: '', stderr: 'installing kmod\nwaiting for process 42 (apt-get), which holds /var/lib/apt/lists/lock\n'
        + 'test/lab/install: process 42 (apt-get) holds /var/lib/apt/lists/lock for more than 1 seconds; wait for its end and run this again\n',
    })
  })

  test('is what apt-get itself says', async () => {
    const work = mkdtempSync(join(tmpdir(), 'lock-'))
    mkdirSync(join(work, 'lists/partial'), { recursive: true })
    const holder = spawn('python3', ['-c', `
import fcntl, sys
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()`, join(work, 'lists/lock')], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await once(holder.stdout, 'data')
      const waiting = spawn('bash', ['-euc', `
        . test/lab/apt.sh
        work=$1 log=$1/log
        fail() { echo "$1" >&2; exit 1; }
        apt apt-get -o Dir::State::Lists="$1/lists" -o Dir::Etc::sourcelist=/dev/null -o Dir::Etc::sourceparts=/dev/null update`, 'bash', work], { stdio: ['ignore', 'inherit', 'pipe'] })
      const ended = once(waiting, 'close')
      let said = ''
      for await (const part of waiting.stderr.setEncoding('utf8')) {
        said += String(part)
        holder.stdin.end() // frees it
      }
      expect(said).toBe(`waiting for process ${holder.pid} (python3), which holds ${work}/lists/lock\n`)
      expect(await ended).toEqual([0, null])
    } finally {
      holder.kill()
      rmSync(work, { recursive: true })
    }
  })
})

test('every script of the lab is one that bash can read', () => {
  for (const script of ['install', 'fetch', 'portable', 'apt.sh', 'debian.sh', 'roots.sh']) {
    expect(spawnSync('bash', ['-n', `test/lab/${script}`], { encoding: 'utf8' }).stderr).toBe('')
  }
})
