import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Turns } from '../../../../lib/ipvs/edit-lock.js'

describe('turns', () => {
  it('let edits go side by side, and what must be alone never beside anything, in any order of asking and ending', async () => {
    await fc.assert(fc.asyncProperty(fc.scheduler(), fc.array(fc.record({ alone: fc.boolean(), fails: fc.boolean() }), { maxLength: 12 }), async (scheduler, works) => {
      const turns = new Turns()
      let edits = 0, alone = 0, ended = 0
      const all = works.map(({ alone: isAlone, fails }, i) => {
        const work = async (): Promise<number> => {
          expect(alone).toBe(0)
          if (isAlone) { expect(edits).toBe(0); alone++ } else edits++
          try {
            await scheduler.schedule(Promise.resolve(), `work ${i}`)
            if (fails) throw new Error('no')
            return i
          } finally {
            if (isAlone) alone--
            else edits--
            ended++
          }
        }
        return (isAlone ? turns.alone(work) : turns.beside(work)).then(result => expect(result).toBe(i), (error: unknown) => {
          if (!fails) throw error
        })
      })
      await scheduler.waitFor(Promise.all(all))
      expect(ended).toBe(works.length)
    }))
  })

  it('begin an edit at once where nobody is alone', () => {
    const turns = new Turns()
    let begun = 0
    for (let i = 0; i < 3; i++) void turns.beside(() => { begun++; return Promise.resolve() })
    expect(begun).toBe(3)
  })
})
