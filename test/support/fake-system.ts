/** A machine for the lab's scripts, on which a test says what apt, dpkg, sudo and id answer. */

import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const lab = fileURLToPath(new URL('../lab/', import.meta.url))

/** The real programs that the scripts may find; every other is missing unless a test fakes it. */
const programs = ['bash', 'true', 'env', 'cat', 'cp', 'sed', 'awk', 'grep', 'sort', 'paste', 'rm', 'mv', 'mkdir', 'mktemp', 'dirname', 'realpath', 'uname',
  'sleep', 'head', 'tail', 'touch', 'flock', 'find', 'ln', 'id', 'dpkg', 'dpkg-deb', 'tar']

export class FakeSystem {
  readonly root = mkdtempSync(join(tmpdir(), 'lab system '))
  readonly #bin = join(this.root, 'bin')
  readonly #calls = join(this.root, 'calls')

  constructor(osRelease: string) {
    mkdirSync(this.#bin)
    mkdirSync(join(this.root, 'lab'))
    for (const program of programs) {
      const path = ['/usr/bin', '/bin'].map(directory => join(directory, program)).find(existsSync)
      if (path === undefined) throw new Error(`${program} is missing here`)
      symlinkSync(path, join(this.#bin, program))
    }
    for (const file of ['install', 'fetch', 'portable', 'apt.sh', 'debian.sh', 'roots.sh']) copyFileSync(join(lab, file), join(this.root, 'lab', file))
    writeFileSync(join(this.root, 'os-release'), osRelease)
    mkdirSync(join(this.root, 'keyrings'))
    writeFileSync(join(this.root, 'keyrings/debian-archive-keyring.gpg'), '')
    writeFileSync(join(this.root, 'cpuinfo'), 'flags : fpu\n')
    writeFileSync(this.#calls, '')
  }

  /** Replaces a program by lines of bash; each call is noted. */
  fake(program: string, script: string): this {
    return this.#program(join(this.#bin, program), program, script)
  }

  /** Replaces a script of the lab. */
  fakeScript(name: string, script: string): this {
    return this.#program(join(this.root, 'lab', name), name, script)
  }

  #program(path: string, name: string, script: string): this {
    rmSync(path, { force: true })
    writeFileSync(path, `#!/bin/bash\necho "${name} $*" >>"$FAKE/calls"\n${script}\n`)
    chmodSync(path, 0o755)
    return this
  }

  /** The calls of a faked program so far, with their arguments. */
  calls(program: string): string[] {
    return readFileSync(this.#calls, 'utf8').split('\n').filter(line => line.startsWith(`${program} `)).map(line => line.slice(program.length + 1))
  }

  #environment(env: Record<string, string>): NodeJS.ProcessEnv {
    return {
      PATH: this.#bin, FAKE: this.root, TMPDIR: this.root, HOME: this.root,
      LAB_OS_RELEASE: join(this.root, 'os-release'), LAB_CPUINFO: join(this.root, 'cpuinfo'),
      LAB_KEYRINGS: join(this.root, 'keyrings'), ...env,
    }
  }

  run(script: string, args: string[] = [], env: Record<string, string> = {}): { status: number | null; stdout: string; stderr: string } {
    const { status, stdout, stderr } = spawnSync(join(this.root, 'lab', script), args, { env: this.#environment(env), encoding: 'utf8' })
    return { status, stdout, stderr }
  }

  start(script: string, args: string[] = []): ChildProcess {
    return spawn(join(this.root, 'lab', script), args, { env: this.#environment({}), stdio: ['ignore', 'pipe', 'pipe'] })
  }

  [Symbol.dispose](): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}
