import { describe, expect, it } from 'vitest'
import { directorNetwork } from '../../../../lib/network/director.js'
import type { VirtualServiceSpec } from '../../../../lib/ipvs/model.js'
import { normalize } from '../../../../lib/ipvs/normalize.js'

const base: VirtualServiceSpec = { vip: '192.0.2.1', port: 80, protocols: ['tcp'], realServers: ['198.51.100.1'], network: {} }
const six: VirtualServiceSpec = { vip: '2001:db8::1', port: 80, protocols: ['tcp'], realServers: ['2001:db8:2::1'], network: {} }
const of = (spec: VirtualServiceSpec) => directorNetwork(spec, normalize(spec))

it('asks for nothing where the spec has no network', () => {
  expect(of({ ...base, forward: 'masq', network: undefined })).toEqual({})
})

describe('address and routes', () => {
  it.each<[VirtualServiceSpec, object]>([
    [{ ...base, network: { link: 'eth0' } }, { address: '192.0.2.1', link: 'eth0' }],
    [{ ...base, network: { link: 'eth0', prefix: 24, label: 'eth0:vip' } }, { address: '192.0.2.1/24', link: 'eth0', label: 'eth0:vip' }],
    // Never the source of a packet to a real server, which has it too.
    [{ ...six, network: { link: 'eth0' } }, { address: '2001:db8::1', link: 'eth0', lifetimes: { valid: 'forever', preferred: 0 } }],
  ])('%j', (spec, address) => {
    expect(of(spec).addresses).toEqual([address])
  })

  it('passes routes on, and leaves the VIP to others where no link is said', () => {
    const routes = [{ to: '198.51.100.0/24', via: '192.0.2.254' }]
    expect(of({ ...base, network: { routes } })).toEqual({ routes, sysctls: [] })
  })
})

describe('sysctls', () => {
  const persistence = { timeout: 20 }
  it.each<[string, VirtualServiceSpec, string[]]>([
    ['route',               base,                                                                  []],
    ['tunnel',              { ...base, forward: 'tunnel' },                                        []],
    ['masq',                { ...base, forward: 'masq' },                                          ['net.ipv4.ip_forward=1']],
    ['one of them masq',    { ...base, realServers: ['198.51.100.1', { address: '198.51.100.2', forward: 'masq' }] }, ['net.ipv4.ip_forward=1']],
    ['masq of IPv6',        { ...six, forward: 'masq' },                                           ['net.ipv6.conf.all.forwarding=1']],
    ['persistence',         { ...base, persistence },                                              ['net.ipv4.vs.expire_quiescent_template=1']],
    ['sh',                  { ...base, scheduler: 'sh' },                                          ['net.ipv4.vs.expire_nodest_conn=1']],
    ['dh',                  { ...base, scheduler: 'dh' },                                          ['net.ipv4.vs.expire_nodest_conn=1']],
    ['mh',                  { ...base, scheduler: 'mh' },                                          ['net.ipv4.vs.expire_nodest_conn=1']],
    ['sh that falls back',  { ...base, scheduler: 'sh', schedulerFlags: ['sh-fallback'] },         []],
    ['all of it',           { ...base, forward: 'masq', scheduler: 'sh', persistence },            ['net.ipv4.ip_forward=1', 'net.ipv4.vs.expire_quiescent_template=1', 'net.ipv4.vs.expire_nodest_conn=1']],
  ])('%s', (_, spec, sysctls) => {
    const wanted = of(spec).sysctls!
    expect(wanted.map(({ key, value }) => `${String(key)}=${String(value)}`)).toEqual(sysctls)
    expect(wanted.every(({ why }) => why !== undefined)).toBe(true)
  })
})
