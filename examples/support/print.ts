/** What a person sees. */

import type { Finding, Plan } from 'ipvs-nl'
import { bold, during, green, red, say, terminal, wrap, yellow } from './terminal.js'

/** A title, and what is below it. */
export function print(title: string, text = ''): void {
  if (title) say(`\n${(title.startsWith('FAILED') ? red : bold)(title)}`)
  if (!text) return
  for (const line of text.replace(/^\n/, '').trimEnd().split('\n')) {
    const signed = wrap(`  ${line}`).join('\n')
      .replace(/^( *)([+~-]) /, (_, indent: string, sign: string) => `${indent}${SIGNS[sign]!(sign)} `)
    say(line && signed)
  }
}

/** The colours of what a plan adds, changes and removes. */
const SIGNS: Readonly<Record<string, (sign: string) => string>> = { '+': green, '~': yellow, '-': red }

/** Does something that takes a while, and says how long it took. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  const result = await during(what, work)
  say(`${terminal ? green('✓') : '*'} ${what} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
  return result
}

/** Prints what a plan will do, and does it. */
export async function apply(plan: Plan): Promise<void> {
  console.log(`${plan}`)
  await plan.apply()
}

/** Prints what is wrong with a host, and what would mend it. */
export function report(findings: readonly Finding[]): void {
  for (const { problem, found, consequence, advice, plan } of findings) {
    console.log(`${problem}: ${found}; ${consequence}`)
    console.log(plan.empty ? `  ${advice}` : `${plan}`.replace(/^/gm, '  '))
  }
}
