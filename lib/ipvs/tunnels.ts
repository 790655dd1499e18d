/** Tunnels to real servers: a row for each type that IPVS has. */

import { familyOf, type Family } from '../base/address.js'
import { integer, invalid, oneOf, SpecError } from '../base/check.js'
import type { LinkSpec } from '../rtnetlink/link/spec.js'

/** The checksums of tunnels: `remcsum` leaves the inner checksum to the receiver. */
export type TunnelChecksum = 'csum' | 'remcsum'

/** An encapsulation of packets to a real server. */
export type Tunnel =
  | { readonly kind: 'ipip'; readonly port?: never; readonly checksum?: never }
  | {
    readonly kind: 'gue'
    /** The UDP port on which the real server unwraps, 1 to 65535. */
    readonly port: number
    /** @defaultValue none */
    readonly checksum?: 'csum' | 'remcsum'
  }
  | {
    readonly kind: 'gre'
    readonly port?: never
    /**
     * Director and real server need the same: a link that expects no checksum drops packets
     * that have one, in silence. @defaultValue none
     */
    readonly checksum?: 'csum'
  }

/** A type of tunnel. The wire has its number; ipvsadm has the same word. */
export type TunnelKind = Tunnel['kind']

interface TunnelRow {
  /** Whether the packets are in UDP, to a port on which the real server unwraps. */
  readonly port: boolean
  /** The outer headers of each packet, in bytes. */
  readonly overhead: Readonly<Record<Family, number>>
  /** The checksums that the type can have, and their bytes in each packet. */
  readonly checksums: Readonly<Partial<Record<TunnelChecksum, number>>>
  /** The kind of link that unwraps inner packets out of outer packets, and its parameters. */
  unwrap(outer: Family, inner: Family, checksum: TunnelChecksum | undefined): UnwrappingLink
}

/** The part of a link's spec that depends on the tunnel. */
type UnwrappingLink =
  | Pick<Extract<LinkSpec, { kind: 'ipip' | 'sit' }>, 'kind'>
  | { kind: 'ip6tnl'; mode: 'any' }
  | { kind: 'gre' | 'ip6gre'; checksum: boolean }

/** The mode of `ip link`, ip6ip6, drops IPv4 in silence. */
const unwrapIp: TunnelRow['unwrap'] = (outer, inner) =>
  outer === 'inet6' ? { kind: 'ip6tnl', mode: 'any' } : { kind: inner === 'inet' ? 'ipip' : 'sit' }

export const tunnels: Readonly<Record<TunnelKind, TunnelRow>> = {
  ipip: { port: false, overhead: { inet: 20, inet6: 40 }, checksums: {}, unwrap: unwrapIp },
  // A GUE port unwraps UDP and passes on an IPIP packet. Remcsum's private option takes 8 bytes.
  gue:  { port: true, overhead: { inet: 32, inet6: 52 }, checksums: { csum: 0, remcsum: 8 }, unwrap: unwrapIp },
  gre:  {
    port: false, overhead: { inet: 24, inet6: 44 }, checksums: { csum: 4 },
    unwrap: (outer, _, checksum) => ({ kind: outer === 'inet' ? 'gre' : 'ip6gre', checksum: checksum === 'csum' }),
  },
}

/** Whether a type of tunnel is one of the table; the kernel may have others. */
export const isTunnelKind = (kind: string | number): kind is TunnelKind => Object.hasOwn(tunnels, kind)

/** The checksums that a type of tunnel can have. */
export const checksumsOf = (kind: TunnelKind): TunnelChecksum[] =>
  Object.keys(tunnels[kind].checksums) as TunnelChecksum[]

/** The tunnel that a spec names. @throws SpecError naming the field */
export function checkTunnel(
  { kind: given, port, checksum }: { readonly kind?: unknown; readonly port?: unknown; readonly checksum?: unknown },
): Tunnel {
  const kind = oneOf('kind', given, Object.keys(tunnels) as TunnelKind[])
  const checksums = checksumsOf(kind)
  if (tunnels[kind].port) integer('port', port, 1, 65535)
  else if (port !== undefined) throw new SpecError('port', `a tunnel of kind ${kind} has no port; remove it`)
  if (checksum !== undefined && !checksums.some(each => each === checksum)) {
    if (checksums.length === 0) throw new SpecError('checksum', `a tunnel of kind ${kind} has no checksum; remove it`)
    throw invalid('checksum', checksum, `a checksum of ${kind}: ${checksums.join(', ')}`)
  }
  return { kind, ...port !== undefined && { port }, ...checksum !== undefined && { checksum } } as Tunnel
}

/**
 * The bytes of each packet that a tunnel takes: a path of 1500 bytes carries 1480 in IPIP.
 * `local` is the real server's end.
 */
export const tunnelOverhead = (
  { kind, checksum, local }: { readonly kind: TunnelKind; readonly checksum?: TunnelChecksum; readonly local: string },
): number =>
  tunnels[kind].overhead[familyOf(local)] + (checksum === undefined ? 0 : tunnels[kind].checksums[checksum] ?? 0)
