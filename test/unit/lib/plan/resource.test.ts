/** Resources, by one whose kernel is a list. */

import { beforeEach, describe, expect, it } from 'vitest'
import { atPath, checkList, optionsOf, SpecError, type Check } from '../../../../lib/base/check.js'
import { Resource, stepOn, type ResourceKind } from '../../../../lib/plan/resource.js'
import type { Conversation } from '../../../../lib/plan/session.js'

interface Lamp { readonly id: number; readonly watts?: number }
interface LampFilter { readonly ids?: readonly number[] }

/** A kernel that writes down what it is asked. */
class Kernel implements Conversation {
  readonly asked: string[] = []
  readonly lamps = new Map<number, Required<Lamp>>()
  closed = false
  close(): void { this.closed = true }
}

const open = (): Kernel => { throw new Error('a step opens a conversation of its own') }
const step = (action: 'add' | 'change' | 'remove', lamp: Lamp) => stepOn<Kernel>(open, {
  action, object: 'link', line: `${action} ${lamp.id}`,
  run(kernel) {
    kernel.asked.push(`${action} ${lamp.id}`)
    if (action === 'remove') kernel.lamps.delete(lamp.id)
    else kernel.lamps.set(lamp.id, { watts: 40, ...kernel.lamps.get(lamp.id), ...lamp })
    return Promise.resolve()
  },
  undo: () => Promise.resolve(),
})
const checkId = (id: number): number => {
  if (!(id > 0)) throw new SpecError('id', `${id} is not above 0`)
  return id
}
function find(id: number, actual: readonly Required<Lamp>[]): Required<Lamp> | undefined {
  checkId(id)
  return actual.find(lamp => lamp.id === id)
}

const kind: ResourceKind<Kernel, Lamp, number, Required<Lamp>, LampFilter, Lamp> = {
  plural: 'lamps',
  open,
  filter: optionsOf<LampFilter>({ ids: checkList as Check<readonly number[]> }, 'filter'),
  list(kernel, { ids }) {
    kernel.asked.push(`list ${ids?.join() ?? 'all'}`)
    return Promise.resolve([...kernel.lamps.values()].filter(({ id }) => ids?.includes(id) ?? true))
  },
  filterOf: ids => ({ ids }),
  finder: actual => id => find(id, actual),
  idOf: ({ id }) => id,
  missing: (verb, id) => new Error(`cannot ${verb} lamp ${id}`),
  check({ id }, path) {
    if (!(id > 0)) throw new SpecError(atPath(path, 'id'), `${id} is not above 0`)
  },
  add(kernel, lamps) {
    for (const lamp of lamps) {
      kernel.asked.push(`add ${lamp.id}`)
      kernel.lamps.set(lamp.id, { watts: 40, ...lamp })
    }
    return Promise.resolve()
  },
  changes: (lamp, state) => {
    checkId(lamp.id)
    return state && (lamp.watts ?? state.watts) !== state.watts ? [step('change', lamp)] : []
  },
  replacement: ({ id, watts = 40 }, actual) => find(id, actual)!.watts === watts ? [] : [step('change', { id, watts })],
  steps: (wanted, actual) => wanted.flatMap(lamp => {
    const state = find(lamp.id, actual)
    return state === undefined ? [step('add', lamp)] : state.watts === (lamp.watts ?? 40) ? [] : [step('change', lamp)]
  }),
  remove(kernel, ids) {
    for (const id of ids) {
      kernel.asked.push(`remove ${id}`)
      kernel.lamps.delete(id)
    }
    return Promise.resolve()
  },
  removals: (ids, actual) => ids.flatMap(id => find(id, actual) ? [step('remove', { id })] : []),
}

class Lamps extends Resource<Kernel, Lamp, number, Required<Lamp>, LampFilter, Lamp> {
  constructor(kernel: Kernel) { super(kind, kernel) }
}

let kernel: Kernel, lamps: Lamps
beforeEach(() => {
  kernel = new Kernel()
  lamps = new Lamps(kernel)
  for (const [id, watts] of [[1, 40], [2, 60], [3, 100]] as const) kernel.lamps.set(id, { id, watts })
})
const lines = (plan: { readonly steps: readonly { readonly line: string }[] }): string[] => plan.steps.map(({ line }) => line)

describe('a resource', () => {
  it('lists all, or what a filter lets pass', async () => {
    expect((await lamps.list()).map(({ id }) => id)).toEqual([1, 2, 3])
    expect(await lamps.list({ ids: [2] })).toEqual([{ id: 2, watts: 60 }])
  })

  it('reads one, and asks for no more', async () => {
    expect([await lamps.get(3), await lamps.get(4)]).toEqual([{ id: 3, watts: 100 }, undefined])
    expect(kernel.asked).toEqual(['list 3', 'list 4'])
  })

  it('adds one or several', async () => {
    await lamps.add({ id: 4 })
    await lamps.add([{ id: 5 }, { id: 6, watts: 11 }])
    expect(kernel.asked).toEqual(['add 4', 'add 5', 'add 6'])
  })

  it('changes the fields that are named, and replaces all', async () => {
    await lamps.change({ id: 2 })
    await lamps.change({ id: 2, watts: 75 })
    expect(kernel.lamps.get(2)).toEqual({ id: 2, watts: 75 })
    await lamps.replace({ id: 2 })
    expect(kernel.lamps.get(2)).toEqual({ id: 2, watts: 40 })
    expect(kernel.asked).toEqual(['list 2', 'list 2', 'change 2', 'list 2', 'change 2'])
  })

  it('removes one or several; where one of them is missing, none', async () => {
    await lamps.remove(1)
    await expect(lamps.remove([2, 7])).rejects.toThrow('cannot remove lamp 7')
    expect([...kernel.lamps.keys()]).toEqual([2, 3])
    await lamps.remove([2, 3])
    expect(kernel.lamps.size).toBe(0)
  })

  it.each([['change', (id: number) => lamps.change({ id })], ['replace', (id: number) => lamps.replace({ id })]] as const)('that is missing: %s rejects', async (_, run) => {
    await expect(run(7)).rejects.toThrow('cannot change lamp 7')
    expect(kernel.lamps.has(7)).toBe(false)
  })

  it('plans what differs, and what is to go', async () => {
    const plan = await lamps.plan([{ id: 1 }, { id: 2, watts: 75 }, { id: 9 }])
    expect(lines(plan)).toEqual(['change 2', 'add 9'])
    expect(lines(await lamps.planRemoval([3, 7]))).toEqual(['remove 3'])
    expect(kernel.asked).toEqual(['list 1,2,9', 'list 3,7'])
  })

  it('refuses what is wrong before it asks for anything', async () => {
    const wrong = [
      () => lamps.get(0), () => lamps.add([{ id: 4 }, { id: 0 }]), () => lamps.change({ id: 0 }), () => lamps.replace({ id: 0 }), () => lamps.remove([1, 0]),
      () => lamps.plan([{ id: 0 }]), () => lamps.planRemoval([0]), () => lamps.plan({ id: 1 } as never), () => lamps.planRemoval(1 as never),
    ]
    const errors = await Promise.all(wrong.map(run => run().then(() => 'none', (error: unknown) => (error as Error).message)))
    expect(errors).toEqual([
      'id: 0 is not above 0', 'lamps[1].id: 0 is not above 0', ...Array<string>(5).fill('id: 0 is not above 0'), 'lamps: an object is not a list', 'lamps: 1 is not a list',
    ])
    expect(kernel.asked).toEqual([])
  })

  it('is closed with its conversation', async () => {
    await lamps[Symbol.asyncDispose]()
    expect(kernel.closed).toBe(true)
  })
})
