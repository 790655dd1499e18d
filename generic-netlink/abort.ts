/** Hearing of an abort. */

const waiting = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Has `giveUp` called once the signal aborts, and returns what takes that back.
 *
 * A signal gets one listener, however many requests wait for it: of more than ten Node warns.
 */
export function onAbort(signal: AbortSignal, giveUp: () => void): () => void {
  let all = waiting.get(signal)
  if (!all) {
    const own = all = new Set<() => void>()
    waiting.set(signal, own)
    signal.addEventListener('abort', () => { for (const each of [...own]) each() }, { once: true })
  }
  all.add(giveUp)
  return () => { all.delete(giveUp) }
}
