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

/** Processes of guests whose files are in `directory`, so that no test sees those of another. */
export const guests = (directory: string) => readdirSync('/proc').filter(pid => {
  if (!/^\d+$/.test(pid)) return false
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(`\0uml_dir=${directory}/`)
  } catch {
    return false // gone meanwhile
  }
})
