/** Prefixes: an address, and how many of its first bits name its network. */

import { formatIPv4, formatIPv6, parseIPv4, parseIPv6 } from '../../generic-netlink/core.js'
import { familyOf, isMulticast, type Family } from './address.js'
import { address, integer, SpecError } from './check.js'

/** `192.0.2.1/24`, taken apart. */
export interface Prefix {
  readonly family: Family
  /** In its correct form. */
  readonly address: string
  /** Bits of the network. */
  readonly length: number
}

/** How many bits an address of the family has. */
export const widthOf = (family: Family): number => family === 'inet' ? 32 : 128

/**
 * An address with or without the length of its prefix; alone it is the longest.
 * @throws SpecError naming the path
 */
export function parsePrefix(path: string, value: unknown): Prefix {
  const [, text, length] = typeof value === 'string' ? /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(value) ?? [] : []
  if (text === undefined) {
    throw new SpecError(path, `${JSON.stringify(value)} is not an address or an address/length`)
  }
  const correct = address(path, text), family = familyOf(correct), width = widthOf(family)
  const bits = length === undefined ? width : integer(`${path} (the prefix's length)`, Number(length), 0, width)
  return { family, address: correct, length: bits }
}

/** The address with all bits behind the prefix zero. */
export function networkOf({ family, address, length }: Prefix): string {
  if (family === 'inet') return formatIPv4((length === 0 ? 0 : parseIPv4(address) & -1 << 32 - length) >>> 0)
  // A byte keeps its low eight bits.
  return formatIPv6(parseIPv6(address)!.map((byte, i) => byte & 0xff00 >> Math.min(8, Math.max(0, length - 8 * i))))
}

/** What tells the addresses of a network. */
export function contains({ family, address, length }: Prefix): (address: string) => boolean {
  if (family === 'inet') {
    const mask = length === 0 ? 0 : -1 << 32 - length
    const network = parseIPv4(address) & mask
    return other => {
      const n = parseIPv4(other)
      return n >= 0 && (n & mask) === network
    }
  }
  const network = parseIPv6(address)!
  const whole = length >> 3
  const partial = 0xff00 >> (length & 7) & 0xff
  return other => {
    const bytes = familyOf(other) === 'inet6' ? parseIPv6(other) : null
    if (!bytes) return false
    for (let i = 0; i < whole; i++) if (bytes[i] !== network[i]) return false
    return whole === 16 || ((bytes[whole]! ^ network[whole]!) & partial) === 0
  }
}

/** Why an address can be that of no link, and no one's neighbour or gateway. */
function notUnicast(text: string): string | undefined {
  if (text === '0.0.0.0' || text === '::') return 'the unspecified address'
  if (text === '255.255.255.255') return 'the broadcast address'
  return isMulticast(text) ? 'a multicast address' : undefined
}

/** An address that a host can have. @throws SpecError naming the path */
export function unicast(path: string, value: unknown): string {
  const text = address(path, value)
  const why = notUnicast(text)
  if (why !== undefined) throw new SpecError(path, `${text} is ${why}`)
  return text
}
