import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EditLock } from '../../../../lib/ipvs/edit-lock.js'

describe('the edit lock', () => {
  it('lets edits run side by side, and an exclusive task alone, in any order of beginnings and ends', async () => {
    await fc.assert(fc.asyncProperty(fc.scheduler(), fc.array(fc.record({ alone: fc.boolean(), fails: fc.boolean() }), { maxLength: 12 }), async (scheduler, works) => {
      const lock = new EditLock()
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
        return (isAlone ? lock.exclusive(work) : lock.shared(work)).then(result => expect(result).toBe(i), (error: unknown) => {
          if (!fails) throw error
        })
      })
      await scheduler.waitFor(Promise.all(all))
      expect(ended).toBe(works.length)
    }))
  })

  it('begins an edit at once where no exclusive task runs', () => {
    const lock = new EditLock()
    let begun = 0
    for (let i = 0; i < 3; i++) void lock.shared(() => { begun++; return Promise.resolve() })
    expect(begun).toBe(3)
  })
})
