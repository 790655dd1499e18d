/**
 * The memory of an attribute set: the objects of a listing, and the commands of a batch, are alike.
 *
 * A listing repeats the same attributes in the same order, most with the same bytes; a batch
 * repeats the same keys with the same sizes. So the set remembers the last objects, decodes only
 * the bytes that differ, and encodes only the values that differ. Performance: remembered reading,
 * remembered writing, borrowed answers.
 *
 * The plain set stays the authority: it reads and writes each object that is unlike the remembered
 * ones, and reports each error.
 */

import { attributeSetOf, type AttributeSet, type Table } from './attributes.js'
import type { Input } from './buffers.js'
import { layoutOf, type Values } from './layout.js'
import { readPattern, type ReadPattern } from './read-pattern.js'
import { writePattern, type WritePattern } from './write-pattern.js'

/** How many patterns: listings mix services by address and mark, batches services and servers. */
const PATTERNS = 4

/** Adds a memory to a set: same values, same bytes, faster where the objects are alike. */
export function remembered<const T extends Table>(set: AttributeSet<T>): AttributeSet<T> {
  const layout = layoutOf(set)
  const read: ReadPattern[] = []
  const written: WritePattern[] = []

  const matchRead = (from: Input, at: number, length: number): ReadPattern | undefined => {
    for (let i = 0; i < read.length; i++) {
      const pattern = read[i]!
      if (pattern.busy) continue
      pattern.busy = true
      if (attempt(pattern, from, at, length)) {
        toFront(read, pattern)
        return pattern
      }
      pattern.busy = false
    }
    return undefined
  }
  const learn = (from: Input, at: number, length: number, value: object): void => {
    const pattern = readPattern(layout, from, at, length, value as Values)
    if (pattern) add(read, pattern)
  }

  return attributeSetOf(set.prefix, set.table, {
    read(from, at, length, siblings) {
      const pattern = matchRead(from, at, length)
      if (pattern) {
        pattern.busy = false
        return pattern.copy() as never
      }
      const value = set.read(from, at, length, siblings)
      learn(from, at, length, value)
      return value
    },
    visit(from, at, length, use) {
      const pattern = matchRead(from, at, length)
      if (pattern) { try { return use(pattern.values as never) } finally { pattern.busy = false } }
      const value = set.read(from, at, length, {})
      learn(from, at, length, value)
      return use(value)
    },
    write(to, value, siblings) {
      for (let i = 0; i < written.length; i++) {
        const pattern = written[i]!
        if (pattern.write(to, value)) {
          toFront(written, pattern)
          return
        }
      }
      const begin = to.length
      set.write(to, value, siblings)
      const pattern = writePattern(layout, to, begin, value)
      if (pattern) add(written, pattern)
    },
  })
}

// ── patterns, the last used first ──

function toFront<P>(patterns: P[], pattern: P): void {
  if (patterns[0] === pattern) return
  const i = patterns.indexOf(pattern) // a codec that uses its own set may have moved it
  if (i < 0) return
  patterns.copyWithin(1, 0, i)
  patterns[0] = pattern
}

function add<P>(patterns: P[], pattern: P): void { if (patterns.unshift(pattern) > PATTERNS) patterns.pop() }

/** Reads with a pattern. False after an error, too: the plain set then reports it. */
function attempt(pattern: ReadPattern, from: Input, at: number, length: number): boolean {
  try { return pattern.read(from, at, length) } catch { return false }
}
