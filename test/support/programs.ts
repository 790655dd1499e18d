/**
 * Programs are started by a shell that is there for nothing else: a fork copies the tables of a process's memory, and a test's process has
 * hundreds of megabytes of it, which makes it twice as slow as the start of most programs.
 */

import { execFileSync, spawn as start } from 'node:child_process'
import { mkdtempSync, openSync, readFileSync, readSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** How a program ended, and what it printed. */
export interface Ran { readonly status: number; readonly stdout: string; readonly stderr: string }

/** Reads how many words there are, and the words, each ended by NUL; answers with the status. Whatever end of file it reads is its own end. */
const SHELL = `
  cd "$1"
  exec <words >statuses
  while IFS= read -r -d '' count; do
    words=()
    for ((i = 0; i < count; i++)); do IFS= read -r -d '' word; words+=("$word"); done
    (cd "$OLDPWD" && exec "\${words[@]}") <stdin >stdout 2>stderr
    echo $?
  done
  rm -r "$1"`

let shell: { readonly directory: string; readonly words: number; readonly statuses: number } | undefined
function started(): NonNullable<typeof shell> {
  if (shell) return shell
  const directory = mkdtempSync(join(tmpdir(), 'programs.'))
  const [words, statuses] = [join(directory, 'words'), join(directory, 'statuses')]
  execFileSync('mkfifo', [words, statuses])
  start('bash', ['-c', SHELL, 'programs', directory], { stdio: 'ignore' }).unref()
  return shell = { directory, words: openSync(words, 'w'), statuses: openSync(statuses, 'r') }
}

/** Runs a program to its end; one that a signal ends has status 128 and the signal's number. @throws where it is not there */
export function spawn(program: string, words: readonly string[], input = ''): Ran {
  const { directory, ...fifo } = started()
  writeFileSync(join(directory, 'stdin'), input)
  writeSync(fifo.words, [`${words.length + 1}`, program, ...words, ''].join('\0'))
  const answer = Buffer.alloc(8)
  const read = readSync(fifo.statuses, answer)
  if (read === 0) throw new Error('the shell that starts programs has ended')
  const status = Number(answer.toString('latin1', 0, read))
  const [stdout, stderr] = ['stdout', 'stderr'].map(name => readFileSync(join(directory, name), 'utf8')) as [string, string]
  if (status === 127) throw new Error(stderr)
  return { status, stdout, stderr }
}
