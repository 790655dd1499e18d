/** Listeners of abort signals. */

const listeners = new WeakMap<AbortSignal, Set<() => void>>()

/**
 * Calls `abort` when the signal aborts. Returns a function that removes the listener.
 *
 * A signal gets one listener for all requests: Node warns of more than ten.
 */
export function onAbort(signal: AbortSignal, abort: () => void): () => void {
  let all = listeners.get(signal)
  if (!all) {
    const own = all = new Set<() => void>()
    listeners.set(signal, own)
    signal.addEventListener('abort', () => { for (const listener of [...own]) listener() }, { once: true })
  }
  all.add(abort)
  return () => { all.delete(abort) }
}
