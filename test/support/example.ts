/** The examples as a person runs them. */

import { execFile, execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** How an example ended. */
export interface ExampleRun { readonly code: number | null; readonly stdout: string; readonly stderr: string }

/** Runs an example to its end, with a mistake; sends it one SIGINT as soon as it has printed `interruptAt`. */
export function example(name: string, mistake?: string, interruptAt?: string): Promise<ExampleRun> {
  const program = fileURLToPath(new URL(`../../dist/examples/${name}.js`, import.meta.url))
  return new Promise(resolve => {
    const child = execFile(process.execPath, [program, ...mistake === undefined ? [] : [mistake]], (_, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr })
    })
    let printed = ''
    child.stdout!.on('data', (text: string) => {
      printed += text
      if (interruptAt === undefined || !printed.includes(interruptAt)) return
      child.kill('SIGINT')
      interruptAt = undefined
    })
  })
}

/** The lines below a title. */
export const section = (stdout: string, title: string): string[] => new RegExp(`^${title}.*\n((?:.+\n)+)`, 'm').exec(stdout)?.[1]?.trimEnd().split('\n') ?? []

/** How many lines match. */
export const count = (lines: readonly string[], pattern: RegExp): number => lines.filter(line => pattern.test(line)).length

/** What examples have left behind: namespaces, and programs that run. */
export function leftovers(): string[] {
  const programs = execFileSync('ps', ['-eo', 'args=']).toString().split('\n')
  return [
    ...execFileSync('ip', ['netns', 'list']).toString().split('\n').filter(Boolean),
    ...programs.filter(args => /^(unbound|tcpdump|dig|curl|ping) | --as /.test(args)),
  ]
}
