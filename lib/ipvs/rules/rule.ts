/** A line of ipvsadm's rules: its words and options. */

import { optionsByWord, otherCommands, type Field } from './options.js'

/** The refusal of a line. The message names line, column and word. */
export class RulesError extends SyntaxError {
  override readonly name = 'RulesError'
  /** The line, and the word's first column, from 1. */
  readonly line: number
  readonly column: number
  /** The refused option or value. */
  readonly word: string
  constructor(line: number, { word, column }: Word, why: string) {
    super(`line ${line}, column ${column}: ${JSON.stringify(word)}: ${why}`)
    this.line = line
    this.column = column
    this.word = word
  }
}

/** A word of a line. */
export interface Word { word: string; column: number }

/** An option on a line. The value is a word of its own, or the end of the option's word. */
export interface Given extends Word { name: string; value: Word | undefined }

/** A line, split into options as popt does for ipvsadm. */
export class Rule {
  readonly line: number
  readonly options = new Map<Field, Given>()
  #command: Given | undefined
  readonly #words: readonly Word[]
  #next = 0

  constructor(words: readonly Word[], line: number) {
    this.#words = words
    this.line = line
    while (this.#next < words.length) this.#read(words[this.#next++]!)
    if (!this.#command) throw this.fail(words[0]!, 'the command, -A or -a, must come first')
  }

  get command(): Given { return this.#command! }

  fail(at: Word, why: string): RulesError { return new RulesError(this.line, at, why) }

  #read(at: Word): void {
    const { word, column } = at
    if (word === '--') {
      if (this.#next < this.#words.length) throw this.fail(this.#words[this.#next]!, 'is not an option')
    } else if (word.startsWith('--')) {
      const equals = word.indexOf('=')
      if (equals < 0) return this.#take(at)
      const value = { word: word.slice(equals + 1), column: column + equals + 1 }
      this.#take({ word: word.slice(0, equals), column }, value)
    } else if (word.length > 1 && word.startsWith('-')) this.#bundle(at)
    else throw this.fail(at, 'is not an option')
  }

  /** Reads letters in one word; the last letter may have its value attached. */
  #bundle({ word, column }: Word): void {
    for (let i = 1; i < word.length; i++) {
      const letter = { word: `-${word[i]!}`, column: i === 1 ? column : column + i }
      const from = word[i + 1] === '=' ? i + 2 : i + 1
      const rest = i + 1 < word.length ? { word: word.slice(from), column: column + from } : undefined
      if ((optionsByWord.get(letter.word)?.takes ?? 'nothing') !== 'nothing') return this.#take(letter, rest)
      this.#take(letter)
    }
  }

  #take(at: Word, attached?: Word): void {
    const option = optionsByWord.get(at.word)
    const command = this.#command
    if (!option) {
      const other = otherCommands.has(at.word)
      throw this.fail(at, other ? 'is not a rule: rules have -A or -a' : 'is not an option of ipvsadm')
    }
    const { name, field, takes, commands } = option
    if (!command && field !== 'command') throw this.fail(at, 'the command, -A or -a, must come first')
    if (command && !commands.includes(command.name)) throw this.fail(at, `is not an option of ${command.word}`)
    const before = this.options.get(field)
    if (before) throw this.fail(at, `conflicts with ${before.word} on the same line`)
    if (field === 'family' && this.options.get('service')?.name !== 'fwmark-service') {
      throw this.fail(at, 'belongs after -f; an address implies its family')
    }

    const value = takes === 'nothing' ? attached : attached ?? this.#following(takes)
    if (takes === 'nothing' && value) throw this.fail(at, 'takes no value')
    if (value ? value.word === '' : takes === 'value') throw this.fail(at, 'the value is missing')
    const given: Given = { word: at.word, column: at.column, name, value }
    this.options.set(field, given)
    this.#command ??= given
  }

  #following(takes: 'value' | 'maybe'): Word | undefined {
    const next = this.#words[this.#next]
    if (next === undefined || (takes === 'maybe' && next.word.startsWith('-'))) return undefined
    this.#next++
    return next
  }
}

const BLANKS = ' \t\r'

/** The words of a line. ipvsadm ignores its own name; a word with `#` in front begins a comment. */
export function wordsOf(text: string): Word[] {
  const words: Word[] = []
  for (let end = 0, begin = 0; begin < text.length; begin = end + 1) {
    for (end = begin; end < text.length && !BLANKS.includes(text[end]!);) end++
    const word = text.slice(begin, end)
    if (word.startsWith('#')) break
    if (word !== '' && word !== 'ipvsadm') words.push({ word, column: begin + 1 })
  }
  return words
}
