/** Appliers at once, on several processors: what they leave is exact, and none of them fails. */

import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { Director, formatRules } from '../../lib/index.js'
import { OWNED, wanted } from '../support/applier.js'
import { Program } from '../support/program.js'

const SERVICES = 100, ROUNDS = 5, PORT = 80
/** What an applier removes is in nobody's way: it is this suite's. */
const MINE = { prune: true, owner: OWNED, force: true }

const director = await Director.open(), other = await Director.open()
beforeEach(() => director.flush())
afterAll(async () => {
  await director.flush()
  for (const each of [director, other]) await each.close()
})

const programs: Program[] = []
afterEach(async () => { for (const program of programs.splice(0)) await program.kill() })
function start(...words: (string | number)[]): Program {
  const program = new Program(words)
  programs.push(program)
  return program
}

const rows = (text: string): string[] => text.trimEnd().split('\n').toSorted()
const inTable = async (): Promise<string[]> => rows(formatRules(await director.list()))
const linesOf = (services: number, variant: number): string[] => rows(formatRules(wanted(services, PORT, variant)))

/** Has all of them apply once, at the same time: a program and its variant each. How many steps each made. */
async function race(...appliers: readonly [program: Program, variant: number][]): Promise<number[]> {
  for (const [program, variant] of appliers) program.go(variant)
  for (const [program] of appliers) expect(await program.line()).toBe('begin')
  const said = await Promise.all(appliers.map(([program]) => program.line()))
  return said.map(line => {
    expect(line).toMatch(/^done \d+$/)
    return Number(line.split(' ')[1])
  })
}

/** Every line of the table is what somebody wants. */
async function expectOneOf(...wants: string[][]): Promise<void> {
  const possible = new Set(wants.flat())
  expect((await inTable()).filter(line => !possible.has(line))).toEqual([])
}

describe('two processes', () => {
  it('that want the same, and a third that adds and deletes beside them: the table is exact each time', async () => {
    const foreign = start('foreign', 50), [one, two] = [start('apply', SERVICES, PORT), start('apply', SERVICES, PORT)]
    expect(await foreign.line()).toBe('begin')
    const steps: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      steps.push(...await race([one, round % 3], [two, round % 3]))
      const own = (await inTable()).filter(line => !line.includes(' 10.51.0.1:'))
      expect(own).toEqual(linesOf(SERVICES, round % 3))
    }
    foreign.end()
    const said = await foreign.line()
    expect(said).toMatch(/^done \d+$/)
    console.log(`steps of each applier, by round: ${steps.join(' ')}; services added and deleted beside them: ${said.split(' ')[1]}`)
  })

  it('that want different things of the same services: neither fails, and the last word is exact', async () => {
    const more = start('apply', SERVICES, PORT), fewer = start('apply', SERVICES / 2, PORT)
    const steps: number[] = []
    for (let round = 0; round < ROUNDS; round++) {
      steps.push(...await race([more, 0], [fewer, 1]))
      await expectOneOf(linesOf(SERVICES, 0), linesOf(SERVICES / 2, 1))
      await race([more, 0])
      expect(await inTable()).toEqual(linesOf(SERVICES, 0))
      expect(await race([more, 0])).toEqual([0])
      await race([more, 2]) // so that both have all to do in the next round
    }
    console.log(`steps of each applier, by round: ${steps.join(' ')}`)
  })
})

describe('two directors of one process', () => {
  const apply = async (by: Director, services: number, variant: number): Promise<void> =>
    (await by.plan(wanted(services, PORT, variant), MINE)).apply()

  it('that want the same: the table is exact each time', async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const variant = round % 3
      await Promise.all([director, other].map(by => apply(by, SERVICES, variant)))
      expect(await inTable()).toEqual(linesOf(SERVICES, variant))
    }
  })

  it('that want different things, while a third process wants something else again: none fails, and the last word is exact', async () => {
    const third = start('apply', SERVICES, PORT)
    for (let round = 0; round < ROUNDS; round++) {
      const [, , listed] = await Promise.all([
        apply(director, SERVICES, 0), apply(other, SERVICES / 2, 1),
        sleep(10).then(() => other.list()), race([third, 2]),
      ])
      expect(listed.every(({ vip }) => vip?.startsWith('10.50.'))).toBe(true)
      await expectOneOf(linesOf(SERVICES, 0), linesOf(SERVICES / 2, 1), linesOf(SERVICES, 2))
    }
    await apply(director, SERVICES, 0)
    expect(await inTable()).toEqual(linesOf(SERVICES, 0))
  })
})
