// What keeps User Mode Linux from running is provoked here, and said in a sentence; what need not keep it is lived with.
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, cpSync, existsSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterAll, describe, expect, test } from 'vitest'
import { guests, lab, mounted, run } from '../../support/lab.js'

const isRoot = process.getuid?.() === 0
const directory = mkdtempSync('/var/tmp/lab-sentences-')
afterAll(() => rmSync(directory, { recursive: true }))

const PTRACE = 101
const AFFINITY = [203, 204] // set and get
// personality, mount, unshare, setns, bpf, perf_event_open, kcmp, process_vm_readv: denied by a usual container
const CONTAINER = [135, 165, 272, 308, 321, 298, 312, 310]

const denied = (...calls: number[]) => ['python3', join(import.meta.dirname, '../../support/deny.py'), calls.join()]
/** A directory of the programs in PATH, without some. */
function farm(without: RegExp) {
  const bin = mkdtempSync(join(directory, 'bin'))
  for (const path of (process.env.PATH ?? '').split(':').filter(path => existsSync(path))) {
    for (const name of readdirSync(path)) if (!without.test(name) && !existsSync(join(bin, name))) symlinkSync(join(path, name), join(bin, name))
  }
  return bin
}

/** An executable script of that name in a directory of its own. */
function program(name: string, script: string) {
  const path = join(mkdtempSync(join(directory, 'bin')), name)
  writeFileSync(path, `#!/bin/bash\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

describe('a sentence says', { timeout: 180_000 }, () => {
  test.each([
    ['that ptrace is denied', denied(PTRACE), 'this machine denies ptrace, as some containers do: allow it'],
    ['that strace is around it', ['strace', '-f', '-o', '/dev/null'], 'a debugger or strace follows this process'],
    ['that kernel.yama.ptrace_scope is 3', [...mounted(`
      echo 3 >${directory}/scope
      [ -d /proc/sys/kernel/yama ] || { mount -t tmpfs none /proc/sys/kernel; mkdir /proc/sys/kernel/yama; touch /proc/sys/kernel/yama/ptrace_scope; }
      mount --bind ${directory}/scope /proc/sys/kernel/yama/ptrace_scope`), ...denied(PTRACE)], 'kernel.yama.ptrace_scope is 3'],
    ['that files are limited in size', ['prlimit', '--fsize=100000000'], 'it may not write files longer than 97656 kB'],
    ['so where the signal is ignored, too', ['sh', '-c', 'trap "" XFSZ; exec prlimit --fsize=100000000 "$@"', 'sh'], 'files longer than 97656 kB'],
    ['that the address space is limited', ['prlimit', '--as=200000000'], 'the limit on address space (ulimit -v) is too low for LAB_MEMORY=256M'],
  ])('%s, above the kernel\'s last words', (_, through, sentence) => {
    const { status, stdout, stderr } = lab(['echo', 'in vain'], { through })
    expect(stderr.split('\n')[0]).toMatch(/^test\/lab\/run: the kernel did not boot: .*\. Its last words:$/)
    expect(stderr.split('\n')[0]).toContain(sentence)
    expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
  })

  test.each([
    ['that /proc is missing', mounted('mount -t tmpfs none /proc'), 'here is no /proc: mount'],
    ['that /dev/null is missing', mounted('mount -t tmpfs none /dev'), 'here is no /dev/null: mount'],
    ['that no directory takes the memory', mounted(`
      for d in /dev/shm /tmp /var/tmp; do mount --bind $d $d; done
      mount -o remount,bind,noexec /dev/shm; mount -o remount,bind,noexec /tmp; mount -o remount,bind,ro /var/tmp`),
    /no directory for the guest's 256 MB[^]*\/dev\/shm is mounted noexec[^]*\/tmp is mounted noexec[^]*\/var\/tmp is not a directory that can be written/],
    ['that a processor cannot be chosen', ['env', 'LAB_CPU=0', ...denied(...AFFINITY)], 'LAB_CPU=0 is denied'],
    ['that the processor is another', ['env', `PATH=${dirname(program('uname', 'echo aarch64'))}:${process.env.PATH}`],
      'User Mode Linux runs on x86 processors alone, and this one is aarch64: LAB=qemu brings another kernel'],
    ['what the kernel\'s --version says', ['env', `LAB_KERNEL=${program('linux', 'echo "version GLIBC_2.38 not found" >&2; exit 1')}`], 'its --version says: version GLIBC_2.38 not found'],
  ])('%s, and no kernel starts', (_, through, sentence) => {
    const { status, stdout, stderr } = lab(['echo', 'in vain'], { through })
    expect(stderr).toMatch(/^test\/lab\/run: /)
    expect(stderr).not.toContain('last words')
    expect(stderr).toMatch(sentence)
    expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
  })

  test.runIf(isRoot)('that processes are limited, also where the command has a status', () => {
    // Limits do not hold for root, and count all processes of a user: this one has no others. It sees a
    // copy: this one may lie where it cannot look.
    const copy = join(directory, 'lab')
    cpSync(dirname(run), copy, { recursive: true, filter: source => basename(source) !== '.cache' })
    chmodSync(directory, 0o755)
    const few = (processes: number) => lab(['bash', '-c', 'for i in {1..9}; do sleep 3 & done; true'], {
      script: join(copy, 'run'), cwd: '/', through: ['setpriv', '--reuid=65533', '--regid=65533', '--clear-groups', 'prlimit', `--nproc=${processes}`],
    })
    const sentence = 'this machine denied the kernel a process'
    expect(few(8)).toMatchObject({ status: 125, stderr: expect.stringMatching(`^test/lab/run: the kernel did not boot: ${sentence}`) as string })
    const { status, stderr } = few(20)
    expect(stderr).toMatch(`test/lab/run: ${sentence}`)
    expect(status).not.toBe(125)
    expect(few(1000)).toEqual({ status: 0, stdout: '', stderr: '' })
  })

  // The limit is a file that this machine's memory may not have: the kernel itself is killed by hand.
  test.each([
    ['', 'it was killed, most likely for want of memory: set LAB_MEMORY below 213M'],
    ['mount -t tmpfs none /sys/fs/cgroup; echo 104857600 >/sys/fs/cgroup/memory.max', 'the memory of this container or control group is limited to 100 MB'],
  ])('that the kernel was killed, for memory (%j)', async (limits, sentence) => {
    const [program, ...words] = [...mounted(limits), run, 'bash', '-c', 'echo started; sleep 30']
    const child = spawn(program, words, { env: { ...process.env, IPVS_NL_LAB: '', LAB_MEMORY: '213M', TMPDIR: directory }, stdio: ['ignore', 'pipe', 'pipe'] })
    child.stdout.once('data', () => spawnSync('kill', ['-KILL', ...guests(directory)])) // some end with the first
    const [stderr, status] = await Promise.all([text(child.stderr), once(child, 'exit')])
    expect(stderr).toMatch(/^test\/lab\/run: the kernel ended before the command: /)
    expect(stderr.split('\n')[0]).toContain(sentence)
    expect(status).toEqual([125, null])
  })

  test('that the directory of the guest\'s memory is full', () => {
    const { status, stderr } = lab(['python3', '-c', 'import time; time.sleep(4); print(len(b"a" * 200_000_000))'], {
      through: mounted(`mount -t tmpfs -o size=320M none /mnt; export TMPDIR=/mnt
        (while kill -0 $$ && ! [ -e /mnt/*/running ]; do sleep 0.1; done; head -c 300M /dev/zero >/mnt/full 2>/dev/null) &`),
    })
    expect(stderr).toMatch(/^test\/lab\/run: the kernel ended before the command: \/mnt is full, .*set TMPDIR/)
    expect(status).toBe(125)
  })

  test.runIf(isRoot)('that a control group limits memory', () => {
    const { status, stdout, stderr } = lab(['python3', '-c', 'print("started", flush=True); print(len(b"a" * 200_000_000))'], {
      through: ['bash', '-euc', `
        if [[ -e /sys/fs/cgroup/memory/memory.limit_in_bytes ]]; then
          group=/sys/fs/cgroup/memory$(awk -F: '$2 == "memory" { print $3 }' /proc/self/cgroup)/lab-test.$$ file=memory.limit_in_bytes
        else
          group=/sys/fs/cgroup/lab-test.$$ file=memory.max
          echo +memory >/sys/fs/cgroup/cgroup.subtree_control
        fi
        mkdir "$group"
        echo 120M >"$group/$file"
        result=0
        (echo "$BASHPID" >"$group/cgroup.procs"; exec "$@") || result=$?
        for i in {1..50}; do rmdir "$group" 2>/dev/null && break; sleep 0.1; done
        exit $result`, 'bash'],
    })
    expect(stderr).toMatch(/^test\/lab\/run: the kernel ended before the command: it was killed, .* limited to 120 MB: raise that, or set LAB_MEMORY below 256M/)
    expect({ status, stdout }).toEqual({ status: 125, stdout: 'started\n' })
  })
})

describe('the lab runs', { timeout: 180_000 }, () => {
  test.each([
    ['in a container that denies the choice of a processor, mounts, namespaces and more', denied(...CONTAINER, ...AFFINITY)],
    ['without taskset, ps and LANG, with umask 077', ['bash', '-c', `umask 077; unset LANG; PATH=${farm(/^(taskset|ps)$/)}; "$@"`, 'bash']],
    ['with a /dev/shm of 64 MB, mounted noexec', mounted('mount -t tmpfs -o size=64M,noexec none /dev/shm; unset TMPDIR')],
    ['with a TMPDIR that is relative', ['env', '-C', directory, 'TMPDIR=.']],
    ['with a TMPDIR whose name has a space, in another one', ['env', `TMPDIR=${mkdtempSync(join(directory, 'a b'))}`]],
    ['with a long TMPDIR', ['env', `TMPDIR=${mkdtempSync(join(directory, 'x'.repeat(200)))}`]],
  ])('%s', (_, through) => {
    expect(lab(['bash', '-c', 'id -u; exit 7'], { through })).toEqual({ status: 7, stdout: '0\n', stderr: '' })
  })

  test('where few files may be open', () => {
    const open = 'import glob; print(len([open(name) for name in glob.glob("/usr/bin/*")[:200]]))'
    expect(lab(['python3', '-c', open], { through: ['prlimit', '--nofile=64:1024'] })).toEqual({ status: 0, stdout: '200\n', stderr: '' })
  })
})

test('a machine without qemu is told what to install', () => {
  const { status, stdout, stderr } = lab(['true'], { env: { LAB: 'qemu', PATH: farm(/^qemu-system-/) } })
  expect(stderr).toMatch(/^test\/lab\/run: LAB=qemu needs qemu-system-(x86_64|aarch64): run test\/lab\/install qemu\n$/)
  expect({ status, stdout }).toEqual({ status: 125, stdout: '' })
})

test('a TMPDIR that leads to a name with a space is refused', () => {
  symlinkSync(mkdtempSync(join(directory, 'a b')), join(directory, 'link'))
  expect(lab(['true'], { env: { TMPDIR: join(directory, 'link'), LAB_MEMORY: '9000G' } }).stderr).toContain(`${directory}/link has a space`)
})
