import { contract } from '../../support/contract.js'
import { FakeKernel } from '../../support/fake-kernel.js'

contract('the fake kernel, read at once', new FakeKernel().open)

const byEvents = new FakeKernel()
byEvents.wrong.events = true
byEvents.wrong.forged = true
contract('the fake kernel, by events, with forgeries', byEvents.open)
