/** The screen: what it can show, lines on it, and below them what is being done. */

const { stdout, env } = process

// TERMINAL_COLUMNS: the terminal is at the end of a pipe, and this wide.
const columns = stdout.isTTY ? stdout.columns || 80 : Number(env.TERMINAL_COLUMNS ?? 0)

/** Whether a person's terminal shows the output. Elsewhere it is plain lines, without colour. */
export const terminal = columns > 0 && env.TERM !== 'dumb'

let widest = terminal ? columns : Infinity

/** Lets no line be longer. */
export function limit(width: number): void {
  widest = Math.min(widest, width)
}

/** How long a line may be. */
export const width = (): number => widest

// ── text ──

const style = (code: number) => (text: string): string =>
  terminal && !env.NO_COLOR ? `\x1b[${code}m${text}\x1b[0m` : text

export const bold = style(1), dim = style(2), red = style(31), green = style(32), yellow = style(33)

/** Breaks a line at its spaces, and indents the rest by four more. Never breaks a word. */
export function wrap(line: string, width = widest): string[] {
  const lines: string[] = []
  const indent = `${/^ */.exec(line)![0]}    `
  let rest = line
  while (rest.length > width) {
    const before = rest.lastIndexOf(' ', width)
    const end = rest.slice(0, before).trim() === '' ? rest.indexOf(' ', rest.search(/\S/)) : before
    if (end === -1) break
    lines.push(rest.slice(0, end).trimEnd())
    rest = indent + rest.slice(end).trimStart()
  }
  return [...lines, rest]
}

// ── lines, and what is being done ──

const FRAMES = '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏', FRAME = 100
/** So long it is silent elsewhere, in milliseconds, before it says that it is still at it. */
const SILENCE = 3_500

/** What is being done, and since when. */
const running = new Map<symbol, { readonly what: string; readonly start: number }>()
let timer: NodeJS.Timeout | undefined
let drawn = false
let spoke = performance.now()

/** Prints a line, above what is being done. */
export function say(line: string): void {
  spoke = performance.now()
  erase()
  stdout.write(`${line}\n`)
  if (running.size > 0) draw()
}

/** Shows that something is being done, until the function that it returns is called. */
function begin(what: string): () => void {
  const key = Symbol()
  running.set(key, { what, start: performance.now() })
  timer ??= setInterval(draw, terminal ? FRAME : 500)
  draw()
  return () => {
    running.delete(key)
    erase()
    if (running.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}

/** Shows that something is being done, until it is. */
export async function during<T>(what: string, work: () => Promise<T>): Promise<T> {
  const end = begin(what)
  try { return await work() } finally { end() }
}

function draw(): void {
  const now = performance.now()
  const [first] = running.values()
  if (terminal) {
    const text = [...running.values()].map(({ what }) => what).join('; ')
    const frame = FRAMES[Math.floor(now / FRAME) % FRAMES.length]!
    stdout.write(`\r\x1b[K${green(frame)} ${text.slice(0, widest - 3)}`)
    drawn = true
  } else if (first && now - spoke >= SILENCE) {
    say(`  after ${((now - first.start) / 1000).toFixed(0)} s still: ${first.what}`)
  }
}

function erase(): void {
  if (drawn) stdout.write('\r\x1b[K')
  drawn = false
}
