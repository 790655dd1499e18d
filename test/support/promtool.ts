/** Prometheus's own judgement of metrics. */

import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** Where test/lab/fetch puts it. */
const cached = fileURLToPath(new URL('../lab/.cache/promtool', import.meta.url))

function run(args: readonly string[], input?: string): { status: number | null; output: string } {
  const { status, stdout, stderr, error } = spawnSync(existsSync(cached) ? cached : 'promtool', args, { input, encoding: 'utf8' })
  if (error) throw new Error('promtool is missing: run test/lab/install', { cause: error })
  return { status, output: stdout + stderr }
}

/** What `promtool check metrics` says of a text in Prometheus's format: nothing, and status 0, if it has no complaint. */
export const promtool = (text: string): { status: number | null; output: string } => run(['check', 'metrics'], text)

/** How many samples Prometheus reads from a text in OpenMetrics. `promtool check` knows nothing of that format, but the import of old samples does. */
export function openMetricsSamples(text: string): number {
  // Not in the guest's /tmp, which is memory: promtool asks for 512 MB of room first.
  mkdirSync(dirname(cached), { recursive: true })
  const folder = mkdtempSync(join(dirname(cached), 'blocks-'))
  try {
    const file = join(folder, 'metrics')
    writeFileSync(file, text.replace(/^[^#\n].*$/gm, '$& 1700000000')) // it wants to know of each when it was taken
    const { status, output } = run(['tsdb', 'create-blocks-from', 'openmetrics', file, join(folder, 'blocks')])
    const [, samples] = /(?:\S+ +){4}(\d+)/.exec(output.split('\n')[1] ?? '') ?? []
    if (status !== 0 || samples === undefined) throw new Error(`promtool does not take this OpenMetrics: ${output}`)
    return Number(samples)
  } finally {
    rmSync(folder, { recursive: true })
  }
}
