/**
 * Words to options, as popt does: short ones bundled, long ones with `=`, and the leftover words.
 */

/** An option that may be given. */
export interface Option {
  readonly long: string
  /** One letter, or none. */
  readonly short: string
  /** `maybe`: the next word, unless that begins with `-`. */
  readonly takes: 'nothing' | 'value' | 'maybe'
}

/** An option that was given, or why the words from here on are none. */
export type Token<O extends Option> =
  | {
    readonly option: O
    readonly value: string | undefined
    /** The last word read. */
    readonly word: string
    readonly error?: never
  }
  | { readonly option?: never; readonly value?: never; readonly word: string; readonly error: string }

const UNKNOWN = 'unknown option'
const NO_VALUE = 'missing argument'
const UNWANTED = 'option does not take an argument'

/** Options by their names. */
export interface Known<O extends Option> {
  readonly long: ReadonlyMap<string, O>
  readonly short: ReadonlyMap<string, O>
}

/** Options, to be found by name. */
export const byName = <O extends Option>(options: readonly O[]): Known<O> => ({
  long: new Map(options.map(option => [option.long, option])),
  short: new Map(options.map(option => [option.short, option])),
})

/** Reads options one by one up to the first error, and puts aside what is none. */
export function* options<O extends Option>(
  words: readonly string[], known: Known<O>, leftover: string[],
): Generator<Token<O>, void, undefined> {
  for (const token of tokens(words, known, leftover)) {
    yield token
    if (!token.option) return
  }
}

function* tokens<O extends Option>(
  words: readonly string[], { long, short }: Known<O>, leftover: string[],
): Generator<Token<O>, void, undefined> {
  let next = 0
  /** An option's value, where its own word does not have it; and the token. */
  const given = (option: O, attached: string | undefined): Token<O> => {
    const isOption = option.takes === 'maybe' && words[next]?.startsWith('-')
    const value = attached ?? (next === words.length || isOption ? undefined : words[next++]!)
    const word = words[next - 1]!
    return value === undefined && option.takes === 'value' ? { word, error: NO_VALUE } : { option, value, word }
  }

  while (next < words.length) {
    const word = words[next++]!
    if (word === '--') {
      leftover.push(...words.slice(next))
      return
    }
    if (!word.startsWith('-') || word === '-') {
      leftover.push(word)
    } else if (word.startsWith('--')) {
      const [, name = '', value] = /^--([^=]*)(?:=(.*))?$/s.exec(word)!
      const option = long.get(name)
      if (!option) yield { word, error: UNKNOWN }
      else if (option.takes !== 'nothing') yield given(option, value)
      else if (value !== undefined) yield { word, error: UNWANTED }
      else yield { option, value, word }
    } else {
      for (let rest = word.slice(1); rest !== '';) {
        const option = short.get(rest[0]!)
        rest = rest.slice(1)
        if (!option) {
          yield { word, error: UNKNOWN }
        } else if (option.takes !== 'nothing') {
          yield given(option, rest === '' ? undefined : rest.startsWith('=') ? rest.slice(1) : rest)
          rest = ''
        } else if (rest.startsWith('=')) {
          yield { word, error: UNWANTED }
        } else {
          yield { option, value: undefined, word }
        }
      }
    }
  }
}
