/** What `-R` reads: a command a line. */

/** As long as a word may be; what is longer is several words. */
const LONGEST = 4096

/** The words of a line: blanks part them, and nothing is quoted. ipvsadm's own name is left out. */
export const wordsOf = (line: string): string[] =>
  line.split(/[ \t\r]+/).flatMap(pieces).map(word => word.split('\0', 1)[0]!).filter(word => word !== 'ipvsadm')

const pieces = (word: string): string[] =>
  Array.from({ length: Math.ceil(word.length / LONGEST) }, (_, i) => word.slice(i * LONGEST, (i + 1) * LONGEST))

/** The lines of a text that comes in pieces, each as soon as it is there. */
export async function* linesOf(pieces: AsyncIterable<string>): AsyncGenerator<string, void, undefined> {
  let rest = ''
  for await (const piece of pieces) {
    const lines = (rest + piece).split('\n')
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}
