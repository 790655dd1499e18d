/** IP addresses, text and bytes, with the last results kept. Performance: address texts. */

import { Memo } from './memo.js'
import { ipAddress } from './packages.js'

/** The texts of IPv4 addresses at an index from the number; a later one overwrites an earlier. */
const v4Numbers = new Int32Array(65536)
const v4Texts = new Array<string | undefined>(65536).fill(undefined)
const v6Text = new Memo<string, string>()
const v6Bytes = new Memo<string, Uint8Array | null>()

/** Writes an IPv4 address; false where the text is not dotted decimal without leading zeros. */
export function putIPv4(to: Uint8Array, at: number, text: string): boolean {
  let octet = -1, dots = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit === -2 && octet >= 0 && dots < 3) {
      to[at + dots++] = octet
      octet = -1
    } else if (digit >= 0 && digit <= 9 && octet !== 0) {
      octet = octet < 0 ? digit : octet * 10 + digit
      if (octet > 255) return false
    } else { return false }
  }
  if (octet >= 0) to[at + dots] = octet
  return dots === 3 && octet >= 0
}

const four = new Uint8Array(4)

/** An IPv4 address as a number; -1 where the text is not dotted decimal without leading zeros. */
export const parseIPv4 = (text: string): number =>
  putIPv4(four, 0, text) ? (four[0]! << 24 | four[1]! << 16 | four[2]! << 8 | four[3]!) >>> 0 : -1

/** Formats an IPv4 address that is a number. */
export function formatIPv4(n: number): string {
  const index = Math.imul(n, 0x9e3779b1) >>> 16 // 2³² by the golden ratio: neighbours lie far apart
  const known = v4Texts[index]
  if (known !== undefined && v4Numbers[index] === (n | 0)) return known
  v4Numbers[index] = n
  return v4Texts[index] = `${n >>> 24}.${n >>> 16 & 255}.${n >>> 8 & 255}.${n & 255}`
}

/** The 16 bytes of an IPv6 address; null for any other text, and with a zone or a prefix. */
export function parseIPv6(text: string): Uint8Array | null {
  const known = v6Bytes.get(text)
  if (known !== undefined) return known
  if (!/^[0-9a-fA-F:.]+$/.test(text)) return v6Bytes.set(text, null)
  const { Address6 } = ipAddress()
  if (!Address6.isValid(text)) return v6Bytes.set(text, null)
  const tail = new Address6(text).toUnsignedByteArray()
  return v6Bytes.set(text, Uint8Array.from({ length: 16 }, (_, i) => tail[tail.length - 16 + i] ?? 0))
}

/** Formats an IPv6 address as RFC 5952 says. */
export function formatIPv6(bytes: Uint8Array): string {
  const key = Buffer.from(bytes.buffer, bytes.byteOffset, 16).toString('latin1')
  return v6Text.get(key) ?? v6Text.set(key, ipAddress().Address6.fromByteArray([...bytes]).correctForm())
}
