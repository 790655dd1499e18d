import { describe, expect, it } from 'vitest'
import { BrakeError, Plan, PlanError, type Outcome, type PlanProgress, type Step, type StepBatch } from '../../../../lib/plan/plan.js'

/** Steps that write down what is done to them; those named in `broken` fail while they are in it. */
function steps(log: string[], broken: Set<string>, ...names: string[]): Step[] {
  return names.map(name => ({
    action: 'add', object: 'link', line: `ip link add ${name}`, ...name === 'b' && { why: 'it must be' },
    run: () => {
      if (broken.has(name)) return Promise.reject(new Error('no'))
      log.push(`+${name}`)
      return Promise.resolve()
    },
    undo: () => {
      if (broken.has(`undo ${name}`)) return Promise.reject(new Error('stuck'))
      log.push(`-${name}`)
      return Promise.resolve()
    },
  }))
}

describe('a plan', () => {
  it('is made in order, once, and taken back from the last', async () => {
    const log: string[] = []
    const plan = new Plan(steps(log, new Set(), 'a', 'b'))
    expect(plan.empty).toBe(false)
    await plan.apply()
    await plan.apply()
    expect(plan.done).toBe(2)
    await plan.revert()
    await plan.revert()
    expect(log).toEqual(['+a', '+b', '-b', '-a'])
    await plan.apply()
    expect(log.slice(4)).toEqual(['+a', '+b'])
  })

  it('stops at a step that fails, says which, and goes on from there', async () => {
    const log: string[] = []
    const broken = new Set(['b'])
    const plan = new Plan(steps(log, broken, 'a', 'b', 'c'))
    const error: unknown = await plan.apply().catch((e: unknown) => e)
    expect(error).toBeInstanceOf(PlanError)
    expect(error).toMatchObject({ name: 'PlanError', message: 'step 2 of 3 failed: ip link add b: no', step: plan.steps[1], cause: new Error('no') })
    expect(log).toEqual(['+a'])
    broken.clear()
    await plan.apply()
    expect(log).toEqual(['+a', '+b', '+c'])
  })

  it('takes back what was done before a step that failed, and what could not be taken back, later', async () => {
    const log: string[] = []
    const broken = new Set(['c', 'undo a'])
    const plan = new Plan(steps(log, broken, 'a', 'b', 'c'))
    await expect(plan.apply()).rejects.toThrow('step 3 of 3')
    await expect(plan.revert()).rejects.toThrow('stuck')
    expect(log).toEqual(['+a', '+b', '-b'])
    broken.clear()
    await plan.revert()
    expect(log).toEqual(['+a', '+b', '-b', '-a'])
  })

  it('begins no step after an abort, whose reason is passed on untouched', async () => {
    const log: string[] = []
    const plan = new Plan(steps(log, new Set(), 'a'))
    const reason = new Error('enough')
    await expect(plan.apply({ signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(log).toEqual([])
  })

  it('prints as commands with signs and reasons, and as data', () => {
    const [a, b] = steps([], new Set(), 'a', 'b')
    const plan = new Plan([a!, { ...b!, action: 'change' }, { ...a!, action: 'remove' }])
    expect(`${plan}`).toBe('+ ip link add a\n~ ip link add b   # it must be\n- ip link add a')
    expect(JSON.parse(JSON.stringify(plan))).toEqual([
      { action: 'add', object: 'link', line: 'ip link add a' }, { action: 'change', object: 'link', line: 'ip link add b', why: 'it must be' },
      { action: 'remove', object: 'link', line: 'ip link add a' },
    ])
    expect(`${new Plan([])}`).toBe('')
    expect(new Plan([]).empty).toBe(true)
  })
})

describe('steps that go together', () => {
  /** Some that are sent together; those named in `broken` fail, those in `skipped` need one that failed. */
  function batch(log: string[], broken: Set<string>, skipped: Set<string>, ...names: string[]): StepBatch {
    const made = (deed: string) => (indices: readonly number[]): Promise<Outcome[]> => {
      const lines = indices.map(i => names[i]!)
      log.push(`${deed} ${lines.join(' ')}`)
      return Promise.resolve(lines.map((line): Outcome => broken.has(line)
        ? { done: false, error: new Error(`no ${line}`) }
        : skipped.has(line) ? { done: false, skipped: true } : { done: true }))
    }
    const alone = (): Promise<never> => Promise.reject(new Error('alone'))
    return { length: names.length, at: i => ({ action: 'add', object: 'service', line: names[i]!, run: alone, undo: alone }), run: made('run'), undo: made('undo') }
  }

  it('are made and taken back at once, between others one by one', async () => {
    const log: string[] = []
    const plan = new Plan([...steps(log, new Set(), 'a'), batch(log, new Set(), new Set(), 'x', 'y'), batch(log, new Set(), new Set(), 'z'), ...steps(log, new Set(), 'b')])
    const told: PlanProgress[] = []
    await plan.apply({ progress: progress => told.push(progress) })
    expect(log).toEqual(['+a', 'run x y', 'run z', '+b'])
    expect(told.map(({ done, failed, total, step }) => [done, failed, total, step.line])).toEqual([[1, 0, 5, 'ip link add a'], [3, 0, 5, 'y'], [4, 0, 5, 'z'], [5, 0, 5, 'ip link add b']])
    await plan.revert()
    expect(log.slice(4)).toEqual(['-b', 'undo z', 'undo y x', '-a'])
    expect([plan.done, plan.applied]).toEqual([0, []])
  })

  it('tell which of them failed; the rest is tried again', async () => {
    const log: string[] = []
    const broken = new Set(['x']), skipped = new Set(['y'])
    const plan = new Plan([batch(log, broken, skipped, 'x', 'y', 'z'), ...steps(log, new Set(), 'a')])
    await expect(plan.apply()).rejects.toThrow('step 1 of 4 failed: x: no x')
    expect([plan.applied.map(({ line }) => line), plan.failed.map(({ step }) => step.line), log]).toEqual([['z'], ['x'], ['run x y z']])
    await expect(plan.apply({ onFailure: 'continue' })).rejects.toThrow('no x')
    expect(log.slice(1)).toEqual(['run x y', '+a'])
    broken.clear()
    skipped.clear()
    await plan.apply()
    expect([plan.done, plan.failed]).toEqual([4, []])
    expect(plan.counts).toEqual({ add: 4, change: 0, remove: 0 })
  })

  it('go a thousand at a time, and a brake lets none go', async () => {
    const log: string[] = []
    const names = Array.from({ length: 2500 }, (_, i) => `s${i}`)
    await new Plan([batch(log, new Set(), new Set(), ...names)]).apply()
    expect(log.map(line => line.split(' ').length - 1)).toEqual([1024, 1024, 452])
    const held = new Plan([batch(log, new Set(), new Set(), 'x')], { brake: 'too much' })
    await expect(held.apply()).rejects.toThrow(new BrakeError('too much'))
    expect(log).toHaveLength(3)
  })
})

describe('a step that needs another', () => {
  it('is not applied without it, and keeps it applied', async () => {
    const log: string[] = []
    const broken = new Set(['a'])
    const [a, b, c] = steps(log, broken, 'a', 'b', 'c') as [Step, Step, Step]
    const plan = new Plan([a, { ...b, needs: [a] }, c])
    const error: unknown = await plan.apply({ onFailure: 'continue' }).catch((e: unknown) => e)
    expect((error as PlanError).failed.map(({ step }) => step.line)).toEqual(['ip link add a'])
    expect(log).toEqual(['+c'])
    broken.clear()
    await plan.apply()
    expect(log).toEqual(['+c', '+a', '+b'])
    await plan.revert()
    expect(log.slice(3)).toEqual(['-c', '-b', '-a'])
  })

  it('holds for the steps of a batch', async () => {
    const log: string[] = []
    const [a, b] = steps(log, new Set(['a']), 'a', 'b') as [Step, Step]
    const batch: StepBatch = {
      length: 1, needs: [a], at: () => b,
      run: () => { log.push('run'); return Promise.resolve([{ done: true }]) },
      undo: () => Promise.resolve([{ done: true }]),
    }
    await expect(new Plan([a, batch]).apply({ onFailure: 'continue' })).rejects.toThrow('step 1 of 2')
    expect(log).toEqual([])
  })
})
