/** What a person sees. */

import type { Finding, Plan } from 'ipvs-nl'

/** A title, and what is below it. */
export function print(title: string, text = ''): void {
  if (title) console.log(`\n${title}`)
  if (text) console.log(text.replace(/^\n/, '').trimEnd().replace(/^(?=.)/gm, '  '))
}

/** Does something that takes a while, and says how long it took. */
export async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now()
  const result = await work()
  console.log(`* ${what} (${((performance.now() - start) / 1000).toFixed(1)} s)`)
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
