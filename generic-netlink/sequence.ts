/** Sequences whose items are made one at a time. */

import { checkList } from './check.js'

/** Items in order: a long batch makes each when it is sent, and is never in memory as a whole. */
export interface Sequence<T> {
  readonly length: number
  /**
   * Calls `send` with the items from index `from` to index `to`, without the latter, in order,
   * until `send` returns false. An item is valid until `send` returns; the next one may overwrite
   * it. Each item can be asked for again.
   */
  each(send: (item: T) => boolean, from: number, to: number): void
}

/** Returns a sequence of an array, and a sequence as it is. @throws SpecError for anything else */
export const sequence = <T>(items: readonly T[] | Sequence<T>): Sequence<T> => isSequence(items) ? items : {
  length: checkList('batch', items).length,
  each(send, from, to) { for (let i = from; i < to && send(items[i]!); i++); },
}

const isSequence = <T>(items: readonly T[] | Sequence<T>): items is Sequence<T> =>
  typeof (items as Partial<Sequence<T>> | null)?.each === 'function'

/** Calls `use` with one item and returns the result. @throws TypeError where it is not sent */
export function withItem<T, R>(items: Sequence<T>, index: number, use: (item: T) => R): R {
  let result: { value: R } | undefined
  items.each(item => {
    result = { value: use(item) }
    return false
  }, index, index + 1)
  if (!result) throw new TypeError(`the sequence of ${items.length} items sends no item ${index}`)
  return result.value
}
