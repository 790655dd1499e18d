/** Tables of thousands of entries: planning is linear. */

import { expect, it } from 'vitest'
import { addressRemovals, addressSteps } from '../../../../lib/rtnetlink/address/addresses.js'
import type { AddressState } from '../../../../lib/rtnetlink/address/spec.js'
import { normalizeLink } from '../../../../lib/rtnetlink/link/link.js'
import { linkSteps } from '../../../../lib/rtnetlink/link/links.js'
import type { LinkSpec, LinkState } from '../../../../lib/rtnetlink/link/spec.js'
import { neighbourSteps, type NeighbourState } from '../../../../lib/rtnetlink/neighbour/neighbours.js'
import { routeRemovals, routeSteps } from '../../../../lib/rtnetlink/route/routes.js'
import type { RouteState } from '../../../../lib/rtnetlink/route/spec.js'

const upTo = <T>(count: number, make: (i: number) => T): T[] => Array.from({ length: count }, (_, i) => make(i))
const ip = (i: number): string => `10.${i >> 16}.${i >> 8 & 255}.${i & 255}`
const mac = (i: number): string => `02:00:00:00:${[i >> 8, i & 255].map(byte => byte.toString(16).padStart(2, '0')).join(':')}`

const address = (i: number): AddressState => ({
  address: `${ip(i)}/32`, link: 'd0', family: 'inet', scope: 'global', label: 'd0', lifetimes: { valid: 'forever', preferred: 'forever' },
  noprefixroute: false, nodad: false, secondary: false, temporary: false, tentative: false, dadfailed: false, deprecated: false,
})
const route = (i: number): RouteState =>
  ({ to: ip(i), family: 'inet', type: 'unicast', table: 'main', metric: 0, scope: 'link', protocol: 'boot', link: 'd0', dead: false })
const neighbour = (i: number): NeighbourState =>
  ({ address: ip(i), link: 'd0', family: 'inet', proxy: false, lladdr: mac(i), state: 'permanent', router: false, external: false })
const forwarding = (i: number): NeighbourState => ({ lladdr: mac(i), link: 'p0', at: 'master', state: 'static', sticky: false, external: false, bridge: 'b0' })
const tunnel = (i: number): LinkSpec => ({ kind: 'ipip', name: `t${i}`, local: ip(i) })
const link = (i: number): LinkState => {
  const { given: _, parameters, ...settings } = normalizeLink(tunnel(i))
  return { index: i + 1, operstate: 'unknown', carrier: true, mtu: 1480, altNames: [], statistics: {}, ...settings, ...parameters } as unknown as LinkState
}

const kinds: readonly [string, (count: number) => number][] = [
  ['addresses as wanted', n => addressSteps(upTo(n, address).map(({ address, link }) => ({ address, link })), upTo(n, address)).length],
  ['addresses to remove', n => addressRemovals(upTo(n, address), upTo(n, address)).length - n],
  ['addresses with another label', n => addressSteps(upTo(n, i => ({ address: `${ip(i)}/32`, link: 'd0', label: 'd0:x' })), upTo(n, address)).length - 2 * n],
  ['routes as wanted', n => routeSteps(upTo(n, i => ({ to: ip(i), link: 'd0' })), upTo(n, route)).length],
  ['routes to remove', n => routeRemovals(upTo(n, i => ({ to: ip(i) })), upTo(n, route)).length - n],
  ['neighbours as wanted', n => neighbourSteps(upTo(n, i => ({ address: ip(i), link: 'd0', lladdr: mac(i) })), upTo(n, neighbour)).length],
  ['forwarding entries as wanted', n => neighbourSteps(upTo(n, i => ({ lladdr: mac(i), link: 'p0', at: 'master' as const, state: 'static' as const })), upTo(n, forwarding)).length],
  ['links as wanted', n => linkSteps(upTo(n, tunnel), upTo(n, link)).length],
  ['links to add', n => linkSteps(upTo(n, tunnel), []).length - 2 * n],
]

it.each(kinds)('%s', (_, plan) => {
  const time = (count: number): number => {
    const begin = performance.now()
    expect(plan(count)).toBe(0)
    return performance.now() - begin
  }
  time(500)
  const [small, large] = [Math.min(time(1000), time(1000)), Math.min(time(8000), time(8000))]
  expect(large / Math.max(small, 2), `${small} ms, and ${large} ms of eight times as many`).toBeLessThan(24)
})
