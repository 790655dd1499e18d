/** A process of applier.ts. */

import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const applier = fileURLToPath(new URL('../../dist/test/support/applier.js', import.meta.url))

/** A program that does what it is told on stdin and says so on stdout, a line each. */
export class Program {
  readonly #process: ChildProcess
  readonly #lines: AsyncIterator<string>

  /** @param space - The network namespace that it runs in; absent: this one */
  constructor(words: readonly (string | number)[], space?: string) {
    const argv = [process.execPath, applier, ...words.map(String)]
    const [program, ...rest] = space === undefined ? argv : ['ip', 'netns', 'exec', space, ...argv]
    this.#process = spawn(program!, rest, { stdio: ['pipe', 'pipe', 'inherit'] })
    this.#lines = createInterface(this.#process.stdout!)[Symbol.asyncIterator]()
  }

  go(variant = 0): void { this.#process.stdin!.write(`go ${variant}\n`) }
  end(): void { this.#process.stdin!.end() }
  /** Its next line; where it ended without one, what it ended with. */
  async line(): Promise<string> {
    const { value, done } = await this.#lines.next() as IteratorResult<string, undefined>
    return done === true ? `ended ${this.#process.exitCode ?? this.#process.signalCode ?? ''}` : value
  }

  async kill(): Promise<void> {
    this.#process.stdin!.destroy()
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = once(this.#process, 'exit')
    this.#process.kill('SIGKILL')
    await ended
  }
}
