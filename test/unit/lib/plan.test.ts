import { describe, expect, it } from 'vitest'
import { Plan, PlanError, type Step } from '../../../lib/plan.js'

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
