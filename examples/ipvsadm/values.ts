/** What stands behind an option, read as the C library reads it. */

import { formatIPv4, formatIPv6, parseIPv6, type ServiceAttributes } from 'ipvs-nl/generic-netlink'
import type { Names } from './names.js'

/**
 * `strtol` of a whole word: blanks and a sign before decimal digits;
 * undefined for anything else, and above 64 bits.
 */
function whole(text: string): bigint | undefined {
  if (!/^[ \t\n\v\f\r]*[+-]?\d+$/.test(text)) return undefined
  const digits = text.trim()
  const number = BigInt(digits.startsWith('+') ? digits.slice(1) : digits)
  return BigInt.asIntN(64, number) === number ? number : undefined
}

/** A number from `min` to `max`, or undefined. */
export function number(text: string, min: number, max: number): number | undefined {
  const n = whole(text)
  return n !== undefined && n >= BigInt(min) && n <= BigInt(max) ? Number(n) : undefined
}

/** `atoi`: whatever number the word begins with, in 32 bits; 0 where it begins with none. */
export function leadingNumber(text: string): number {
  const digits = /^[ \t\n\v\f\r]*([+-]?\d+)/.exec(text)?.[1] ?? '0'
  const n = BigInt(digits.startsWith('+') ? digits.slice(1) : digits)
  const most = (1n << 63n) - 1n
  return Number(BigInt.asIntN(32, n > most ? most : n < -most - 1n ? -most - 1n : n))
}

/** `inet_aton`: one to four numbers, decimal, octal or hexadecimal; the last for all bytes left. */
export function ipv4Of(text: string): string | undefined {
  const parts = /^[^ \t\n\v\f\r]*/.exec(text)![0].split('.')
  if (parts.length > 4 || !parts.every(part => /^(0[0-7]*|[1-9]\d*|0[xX][\da-fA-F]+)$/.test(part))) return undefined
  const numbers = parts.map(part => /^0\d/.test(part) ? parseInt(part, 8) : Number(part))
  const last = numbers.pop()!
  if (numbers.some(n => n > 255) || last >= 2 ** (8 * (4 - numbers.length))) return undefined
  return formatIPv4(numbers.reduce((address, n, i) => address + n * 2 ** (24 - 8 * i), last))
}

/** `inet_pton` of IPv6, in its correct form. */
export function ipv6Of(text: string): string | undefined {
  const bytes = parseIPv6(text)
  return bytes ? formatIPv6(bytes) : undefined
}

/** An address, perhaps with a port, as a service or a real server is named by. */
export interface Endpoint { readonly af: 'inet' | 'inet6'; readonly addr: string; readonly port?: number }

/** `10.0.0.1:80`, `www.example.org:http`, `[2001:db8::1]:80`, or an address; else undefined. */
export async function endpoint(
  text: string, protocol: ServiceAttributes['protocol'], names: Names,
): Promise<Endpoint | undefined> {
  if (/^\d*$/.test(text)) return undefined
  const brackets = /^\[([^\]]*)\]:(.*)$/s.exec(text)
  if (text.startsWith('[') && !brackets) return undefined
  const v6 = ipv6Of(brackets ? brackets[1]! : text)
  // In brackets the port is only seen behind an IPv6 address; otherwise behind the last colon.
  const [, host = '', port] = v6 !== undefined
    ? [undefined, v6, brackets?.[2]]
    : /^(.*?)(?::([^:]*))?$/s.exec(brackets ? brackets[1]! : text)!
  const addr = v6 ?? ipv4Of(host) ?? await names.addressOf(host)
  if (addr === undefined) return undefined
  const number = port === undefined ? undefined : portOf(port, protocol, names)
  if (port !== undefined && number === undefined) return undefined
  return { af: v6 === undefined ? 'inet' : 'inet6', addr, ...number !== undefined && { port: number } }
}

const portOf = (text: string, protocol: ServiceAttributes['protocol'], names: Names): number | undefined =>
  number(text, 0, 65535) ?? (typeof protocol === 'string' ? names.portOf(text, protocol) : undefined)
