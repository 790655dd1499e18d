import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export const run = join(import.meta.dirname, '../lab/run')

interface Options {
  env?: Record<string, string | undefined>
  input?: string
  cwd?: string
  /** A command that runs the lab, such as one that lowers a limit first. */
  through?: string[]
  script?: string
}

/** Runs a command in a lab, with little memory. */
export function lab(command: string[], { env, input, cwd, through = [], script = run }: Options = {}) {
  const [program = '', ...words] = [...through, script, ...command]
  const { status, stdout, stderr } = spawnSync(program, words, {
    cwd, input, env: { ...process.env, IPVS_NL_LAB: '', LAB_MEMORY: '256M', ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'], encoding: 'utf8', maxBuffer: 1 << 26,
  })
  return { status, stdout, stderr }
}

/**
 * A shell that is root with mounts of its own, which a script changes before it runs the lab. Users
 * need user namespaces for that, which some machines deny them.
 */
export function mounted(script: string): string[] {
  const root = process.getuid?.() === 0 ? [] : ['--map-root-user']
  if (root.length > 0 && spawnSync('unshare', ['--mount', ...root, 'true']).status !== 0) {
    throw new Error('this machine denies user namespaces, which this test needs: run it as root, or allow them, '
      + 'on Ubuntu by sysctl -w kernel.apparmor_restrict_unprivileged_userns=0')
  }
  return ['unshare', '--mount', ...root, 'sh', '-ec', `${script}\nexec "$@"`, 'sh']
}

/** Processes of guests whose files are in `directory`, so that no test sees those of another. */
export const guests = (directory: string) => readdirSync('/proc').filter(pid => {
  if (!/^\d+$/.test(pid)) return false
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`\0uml_dir=${directory}/`)
  } catch {
    return false // gone meanwhile
  }
})
