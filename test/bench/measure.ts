/** Times, medians and tables. */

import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Milliseconds. Before, the collector gets through with what the benchmark itself made: with the young generation alone, for a
 * whole collection gives memory back, and the next thing that is made pays the kernel for every page of it, in this guest more
 * than for all else.
 */
export async function timed(run: () => Promise<unknown>): Promise<number> {
  globalThis.gc?.({ type: 'minor' })
  await sleep(200)
  const start = performance.now()
  await run()
  return performance.now() - start
}

/** The longest time between two turns of the event loop while `run` runs, in milliseconds. Watching costs turns: not for timing. */
export async function longestTurn(run: () => Promise<unknown>): Promise<number> {
  let last = performance.now(), longest = 0, running = true
  const turn = (): void => {
    const now = performance.now()
    longest = Math.max(longest, now - last)
    last = now
    if (running) setImmediate(turn)
  }
  setImmediate(turn)
  await run()
  running = false
  turn()
  return longest
}

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** How many times as long one thing takes as another that was timed beside it, round by round: the median, as a machine is faster in one round than in the next. */
export const pairwise = (these: readonly number[], those: readonly number[]): number => median(these.map((ms, round) => ms / those[round]!))

/** Three significant digits. */
export const digits = (n: number): string => n >= 100 ? String(Math.round(n)) : n.toPrecision(3)

/** Prints rows in columns; the first is a heading. */
export function print(title: string, rows: readonly (readonly string[])[]): void {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map(row => row[column]!.length)))
  console.log(`\n${title}`)
  for (const [name, ...cells] of rows) {
    console.log(['', name!.padEnd(widths[0]!), ...cells.map((cell, i) => cell.padStart(widths[i + 1]!))].join('  '))
  }
}

/** A goal and whether it is met: `≤ 2.2 met`. */
export const verdict = (met: boolean, goal: string): string => `${goal} ${met ? 'met' : 'MISSED'}`
