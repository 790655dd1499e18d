/** Medians and tables. */

export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

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
