import { expect, test } from 'vitest'
import { FakeSystem } from '../../support/fake-system.js'

test.each([
  [['moon'], 0, 'moon is no root; there are debian-12, debian-13 and ubuntu-24.04'],
  [['--quick'], 1000, 'this needs root, for debootstrap and namespaces: sudo test/lab/portable'],
])('portable %j by user %i is refused in a sentence', (args, id, sentence) => {
  using system = new FakeSystem('ID=debian\n')
  system.fake('id', `echo ${id}`)
  expect(system.run('portable', args)).toEqual({ status: 1, stdout: '', stderr: `test/lab/portable: ${sentence}\n` })
})
