/** A box that holds what was found. */

import { bold, dim, green, red, width, wrap } from './terminal.js'

/** A row of a box: what was found, whether that is well, and what is shown below it. */
export interface Row {
  /** Undefined where it was not tried. */
  readonly good: boolean | undefined
  readonly text: string
  readonly bars?: readonly Bar[]
}

/** A bar: as long as its number, which is shown with a note. */
export interface Bar { readonly name: string; readonly value: number; readonly note?: string }

/** The longest bar. */
const LONGEST = 36

/** Draws a box, no wider than the screen, nor than a common one. */
export function box(title: string, rows: readonly Row[]): string {
  const inside = Math.min(width(), 78) - 4
  const lines = rows.flatMap(({ good, text, bars = [] }) => {
    const mark = good === undefined ? '–' : good ? '✓' : '✗'
    const colour = good === undefined ? dim : good ? green : red
    const all = [...wrap(`${mark} ${text}`, inside), ...drawn(bars)]
    return all.map((line, i) => {
      const text = i === 0 ? line.replace(mark, colour(mark)) : line
      return `│ ${text}${' '.repeat(Math.max(inside - line.length, 0))} │`
    })
  })
  const good = rows.every(row => row.good)
  return [
    `┌─ ${(good ? green : red)(bold(title))} ${'─'.repeat(Math.max(inside - title.length - 1, 0))}┐`,
    ...lines,
    `└${'─'.repeat(inside + 2)}┘`,
  ].join('\n')
}

/** A cell of a bar for each, or, where that is too long, in proportion; above 0, at least one. */
function drawn(bars: readonly Bar[]): string[] {
  const most = Math.max(...bars.map(({ value }) => value))
  const widest = Math.max(...bars.map(({ name }) => name.length))
  return bars.map(({ name, value, note }) => {
    const cells = most <= LONGEST / 3 ? value * 3 : Math.ceil(value * LONGEST / most)
    return `    ${name.padEnd(widest)}  ${'█'.repeat(cells)}${cells > 0 ? ' ' : ''}${value}${note ? ` ${note}` : ''}`
  })
}
