import { describe, expect, it } from 'vitest'
import { fou, fouEncapsulation, fouPort, kernelName, Output } from '../../../../generic-netlink/index.js'
import { fouPortAttributes, fouSteps, normalizeFouPort, readFouPort, type FouPortSpec } from '../../../../lib/network/fou.js'
import { header } from '../../../support/headers.js'

describe('linux/fou.h', () => {
  const kernel = header('fou.h')
  it('has the numbers of the tables, and nothing besides', () => {
    const rows = Object.entries(fouPort.table).map(([key, [number]]) => [kernelName('FOU_ATTR', key), number])
    expect(rows).toEqual([...kernel].filter(([name]) => /^FOU_ATTR_(?!UNSPEC|MAX)/.test(name)))
    const commands = Object.entries(fou.commands).map(([key, [number]]) => [kernelName('FOU_CMD', key), number])
    expect(commands).toEqual([...kernel].filter(([name]) => /^FOU_CMD_(?!UNSPEC|MAX)/.test(name)))
    for (const type of ['direct', 'gue'] as const) {
      const to = new Output()
      fouEncapsulation.write(to, type, {})
      expect([...to.finish()]).toEqual([kernel.get(`FOU_ENCAP_${type.toUpperCase()}`)])
    }
    expect([fou.name, fou.version]).toEqual(['fou', kernel.get('FOU_GENL_VERSION')])
  })
})

describe('ports', () => {
  const specs: FouPortSpec[] = [{ port: 6080 }, { port: 6080, family: 'inet6' }, { port: 6081, kind: 'direct', protocol: 4 }]
  it('to the wire and back; GUE without a protocol', () => {
    for (const spec of specs) {
      const port = normalizeFouPort(spec)
      expect(readFouPort(fouPort.decode(fouPort.encode(fouPortAttributes(port))))).toEqual(port)
    }
    expect(fouPortAttributes(normalizeFouPort({ port: 6080 }))).toEqual({ port: 6080, af: 'inet', type: 'gue' })
  })

  it('steps: what is missing; what carries something else is removed first', () => {
    const lines = (actual: FouPortSpec[]): string[] => fouSteps(specs, actual.map(spec => normalizeFouPort(spec))).map(({ action, line }) => `${action} ${line}`)
    expect(lines([])).toEqual(['add ip fou add port 6080 gue', 'add ip fou add port 6080 gue -6', 'add ip fou add port 6081 ipproto 4'])
    expect(lines(specs)).toEqual([])
    expect(lines([specs[0]!, specs[1]!, { port: 6081 }])).toEqual(['remove ip fou del port 6081', 'add ip fou add port 6081 ipproto 4'])
  })

  it.each<[object, string]>([
    [{ port: 0 }, 'ports[0].port: 0 is not an integer from 1 to 65535'],
    [{ port: 1, family: 'ipv4' }, 'ports[0].family: "ipv4" is not one of inet, inet6'],
    [{ port: 1, kind: 'fou' }, 'ports[0].kind: "fou" is not one of gue, direct'],
    [{ port: 1, kind: 'direct' }, 'ports[0].protocol: is required for a direct port (1 to 255)'],
    [{ port: 1, protocol: 4 }, 'ports[0].protocol: only a direct port has one'],
  ])('%j is refused', (spec, message) => {
    expect(() => fouSteps([spec as FouPortSpec], [])).toThrow(message)
  })
})
