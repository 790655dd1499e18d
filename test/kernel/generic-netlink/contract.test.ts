import { contract } from '../../support/contract.js'
import { modes, socketsOf } from '../../support/kernel.js'

for (const mode of modes) contract(`a real kernel, through the ${mode}`, socketsOf(mode))
