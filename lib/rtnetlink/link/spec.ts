/** Links as specs declare them and as states describe them, in the words of `ip link`. */

import type { Infer } from '../../../generic-netlink/core.js'
import type { link, linkStats } from '../wire/link.js'
import type { LinkKind, LinkKinds } from './kinds/index.js'
import type { Settings } from './settings.js'

export type * from './kinds/index.js'
export type { EthernetSettings, LinkSettings } from './settings.js'

/**
 * A link that should exist.
 *
 * A parameter of a tunnel, a VXLAN or a Geneve link that is left out gets its default.
 * A setting, or a parameter of a bridge, that is left out stays as it is.
 */
export type LinkSpec = LinkKinds[LinkKind]['spec']

/** The parameters of each kind of link. */
export type LinkParameters = { [K in LinkKind]: LinkKinds[K]['parameters'] }

/**
 * A change of a link: settings of a link of any kind, and parameters where the kind is named.
 * Fields that are left out stay as they are.
 */
export type LinkPatch = { readonly name: string } & (
  | Settings & { readonly kind?: undefined }
  | { [K in LinkKind]: Settings & { readonly kind: K } & LinkParameters[K] }[LinkKind])

/** Counters since the link was added. */
export interface LinkStatistics extends Infer<typeof linkStats> {}

/** The state of a link of any kind. */
export interface LinkStatus {
  /** The kernel's number for it in this network namespace. */
  readonly index: number
  readonly name: string
  /** Whether it is set up; `operstate` and `carrier` say whether it works. */
  readonly up: boolean
  /** Of most tunnels `unknown`. */
  readonly operstate: NonNullable<Infer<typeof link>['operstate']>
  readonly carrier: boolean
  /** Largest packet in bytes. */
  readonly mtu: number
  /** The MAC address of a link that carries Ethernet. */
  readonly address?: string
  /** The name of the bridge or bond whose port the link is. */
  readonly master?: string
  readonly alias?: string
  /** Its other names. */
  readonly altNames: readonly string[]
  readonly statistics: LinkStatistics
}

type ParameterName = { [K in LinkKind]: keyof LinkParameters[K] }[LinkKind]

/** A link of a kind that the library reads and cannot add. */
export interface OtherLink {
  /** Undefined for plain links, such as network cards. */
  readonly kind?: string
  /** The link below, of a VLAN for example. */
  readonly link?: string
  /** Its parameters in the kernel's form. */
  readonly data?: Uint8Array
}

/** A link that exists, in the words of its spec. A parameter without a value is undefined. */
export type LinkState = LinkStatus & (
  | { [K in LinkKind]: { readonly kind: K; readonly data?: undefined } & LinkParameters[K] }[LinkKind]
  | OtherLink & { readonly [K in Exclude<ParameterName, keyof OtherLink>]?: undefined })

/** Which links are listed; all conditions must hold. */
export interface LinkFilter {
  readonly kind?: string
  /** The bridge or bond whose ports are listed. */
  readonly master?: string
  readonly up?: boolean
}
