/** The kinds of links: one is a file here, its attributes on the wire, and a line in two lists. */

import { bridge, type BridgeParameters, type BridgeSpec } from './bridge.js'
import { dummy, type DummySpec } from './dummy.js'
import { geneve, type GeneveParameters, type GeneveSpec } from './geneve.js'
import {
  gre, gretap, ip6gre, ip6gretap,
  type GreParameters, type GreSpec, type GretapSpec, type Ip6greParameters, type Ip6greSpec, type Ip6gretapSpec,
} from './gre.js'
import { ip6tnl, type Ip6tnlParameters, type Ip6tnlSpec } from './ip6tnl.js'
import { ipip, type IpipParameters, type IpipSpec } from './ipip.js'
import type { Kind } from './kind.js'
import { sit, type SitParameters, type SitSpec } from './sit.js'
import { veth, type VethParameters, type VethSpec } from './veth.js'
import { vxlan, type VxlanParameters, type VxlanSpec } from './vxlan.js'

export type { BridgeParameters, BridgeSpec } from './bridge.js'
export type { DummySpec } from './dummy.js'
export type { GeneveParameters, GeneveSpec } from './geneve.js'
export type {
  GreHeader, GreParameters, GreSpec, GretapSpec, Ip6greParameters, Ip6greSpec, Ip6gretapSpec,
} from './gre.js'
export type { Ip6tnlParameters, Ip6tnlSpec } from './ip6tnl.js'
export type { IpipParameters, IpipSpec } from './ipip.js'
export type { SitParameters, SitSpec } from './sit.js'
export type { Encapsulation, EndsOf, External, IPv4Tunnel, IPv6Tunnel, TunnelEnds } from './tunnel.js'
export type { UdpTunnel } from './udp.js'
export type { VethParameters, VethPeer, VethSpec } from './veth.js'
export type { VxlanParameters, VxlanSpec } from './vxlan.js'

/** Specs and parameters of each kind. */
export interface LinkKinds {
  ipip: { spec: IpipSpec; parameters: IpipParameters }
  sit: { spec: SitSpec; parameters: SitParameters }
  ip6tnl: { spec: Ip6tnlSpec; parameters: Ip6tnlParameters }
  gre: { spec: GreSpec; parameters: GreParameters }
  gretap: { spec: GretapSpec; parameters: GreParameters }
  ip6gre: { spec: Ip6greSpec; parameters: Ip6greParameters }
  ip6gretap: { spec: Ip6gretapSpec; parameters: Ip6greParameters }
  vxlan: { spec: VxlanSpec; parameters: VxlanParameters }
  geneve: { spec: GeneveSpec; parameters: GeneveParameters }
  bridge: { spec: BridgeSpec; parameters: BridgeParameters }
  dummy: { spec: DummySpec; parameters: object }
  veth: { spec: VethSpec; parameters: VethParameters }
}

/** The kinds of links that can be added. */
export type LinkKind = keyof LinkKinds

/** The descriptions of the kinds. @internal */
export const kinds: Readonly<Record<LinkKind, Kind>> = {
  ipip, sit, ip6tnl, gre, gretap, ip6gre, ip6gretap, vxlan, geneve, bridge, dummy, veth,
}

/** Whether links of this kind can be added. @internal */
export const isKind = (kind: unknown): kind is LinkKind => typeof kind === 'string' && Object.hasOwn(kinds, kind)

/**
 * The kinds of the links that the kernel creates by itself, by name. Links of the last three kinds
 * cannot be added here.
 * @internal
 */
export const FALLBACKS: ReadonlyMap<string, string> = new Map([
  ...Object.entries(kinds).flatMap(
    ([kind, { fallback }]): [string, string][] => fallback === undefined ? [] : [[fallback, kind]],
  ),
  ['erspan0', 'erspan'], ['ip_vti0', 'vti'], ['ip6_vti0', 'vti6'],
])
