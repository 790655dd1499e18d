import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { formatRules } from '../../../lib/index.js'
import { OWNED, wanted } from '../../support/applier.js'
import { recordedDirector } from '../../support/director.js'
import { Program } from '../../support/program.js'
import { run } from '../../support/run.js'

const { director } = await recordedDirector()

const programs: Program[] = []
afterEach(async () => { for (const program of programs.splice(0)) await program.kill() })
function start(...given: ConstructorParameters<typeof Program>): Program {
  const program = new Program(...given)
  programs.push(program)
  return program
}

const SERVICES = 2000
const rows = (text: string): string[] => text.split('\n').toSorted()
const inTable = async (): Promise<string[]> => rows(formatRules(await director.list()))
const planned = async (port: number): Promise<number> =>
  (await director.plan(wanted(SERVICES, port), { prune: true, owner: OWNED, force: true })).steps.length

describe('an applier of 2,000 services with 4,000 real servers', () => {
  it('killed at ten random moments and begun again converges, and then has nothing to do', { timeout: 400_000 }, async () => {
    // What was removed is kept in mind by the kernel, so that adding it again is slow: each round has a network namespace of its own.
    const begin = async (space: string): Promise<Program> => {
      const program = start(['apply', SERVICES, 80], space)
      program.go()
      expect(await program.line()).toBe('begin')
      return program
    }
    const round = async (killAfter: number): Promise<{ left: number; took: number }> => {
      const space = `crash${programs.length}`
      run('ip', ['netns', 'add', space])
      run('ip', ['-n', space, 'link', 'set', 'lo', 'up'])
      const program = await begin(space)
      const begun = performance.now()
      await Promise.race([program.line(), sleep(killAfter)])
      const took = performance.now() - begun
      await program.kill()
      const second = await begin(space)
      const left = Number(/^done (\d+)$/.exec(await second.line())?.[1])
      second.go()
      expect([await second.line(), await second.line()]).toEqual(['begin', 'done 0'])
      await second.kill()
      expect(rows(run('ip', ['netns', 'exec', space, 'ipvsadm', '-S', '-n']))).toEqual(rows(formatRules(wanted(SERVICES, 80), { strict: true })))
      run('ip', ['netns', 'del', space])
      return { left, took }
    }
    const { left: none, took: whole } = await round(120_000)
    expect(none).toBe(0)
    const left: number[] = []
    for (let i = 0; i < 10; i++) left.push((await round(Math.random() * whole)).left)
    console.log(`a whole run: ${Math.round(whole)} ms; left undone at the kills, of ${SERVICES * 3}: ${left.join(', ')}`)
    expect(left.some(undone => undone > 0)).toBe(true)
  })

  it('beside another that wants the same, and a program that adds and deletes 200 services a second: the state is exact, and its services are untouched', async () => {
    const port = 2000
    // Some are there already, otherwise; some nobody wants any more.
    await (await director.plan([...wanted(SERVICES, port).slice(0, 500).map(spec => ({ ...spec, scheduler: 'lc', realServers: ['10.60.0.1', '10.60.0.7'] })), ...wanted(300, port + 1)])).apply()
    const foreign = start(['foreign', 200])
    expect(await foreign.line()).toBe('begin')
    const appliers = [start(['apply', SERVICES, port]), start(['apply', SERVICES, port])]
    await sleep(1500) // both are up
    for (const applier of appliers) applier.go()
    for (const applier of appliers) expect(await applier.line()).toBe('begin')
    for (const applier of appliers) expect(await applier.line()).toMatch(/^done \d+$/)
    foreign.end()
    const said = await foreign.line()
    expect(said).toMatch(/^done \d+$/)
    expect(Number(said.split(' ')[1])).toBeGreaterThan(50)
    expect(await planned(port)).toBe(0)
    expect(await inTable()).toEqual(rows(formatRules(wanted(SERVICES, port))))
  })
})
