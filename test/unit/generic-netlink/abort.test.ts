import { describe, expect, it } from 'vitest'
import { onAbort } from '../../../generic-netlink/abort.js'
import { Connection, FamilyClient, ipvs, NETLINK_GENERIC } from '../../../generic-netlink/index.js'
import { FakeKernel } from '../../support/fake-kernel.js'

describe('an abort', () => {
  it('is heard by all who wait for it, but not by those who do no longer', () => {
    const abort = new AbortController()
    const heard: number[] = []
    const forget = Array.from({ length: 30 }, (_, i) => onAbort(abort.signal, () => heard.push(i)))
    forget.forEach((each, i) => { if (i % 3 > 0) each() })
    abort.abort()
    expect(heard).toEqual(Array.from({ length: 10 }, (_, i) => i * 3))
  })

  it('that many requests wait for makes Node warn of nothing', async () => {
    const warnings: string[] = []
    const hear = (warning: Error): void => { warnings.push(warning.name) }
    process.on('warning', hear)
    const client = await FamilyClient.find(new Connection(NETLINK_GENERIC, { openSocket: new FakeKernel().open }), ipvs)
    const { signal } = new AbortController()
    await Promise.all(Array.from({ length: 50 }, (_, i) => i % 2 ? client.dump('getService', {}, { signal }) : client.call('getInfo', {}, { signal })))
    await new Promise(resolve => setImmediate(resolve))
    process.off('warning', hear)
    expect(warnings).toEqual([])
  })
})
