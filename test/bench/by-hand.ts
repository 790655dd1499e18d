/**
 * The yardstick for the codecs: the same message read and written by a function for it alone, as the kernel of today
 * sends it and without a check. What tables, checks and errors cost is the distance from here. Little-endian.
 */

const FORWARDING = ['masq', 'local', 'tunnel', 'route', 'bypass']
const TUNNEL = ['ipip', 'gue', 'gre']
const OCTETS = Array.from({ length: 256 }, (_, octet) => String(octet))

const swap = (n: number): number => (n & 0xff) << 8 | n >>> 8 & 0xff

/** Reads a destination's attributes, from word `at` to word `end`; of the counters only whether there are any. */
export function readDestination(words: Uint32Array, at: number, end: number): object {
  let addr = '', port = 0, forwarding = 0, weight = 0, upper = 0, lower = 0, active = 0, inactive = 0, persistent = 0, family = 0
  let type = 0, tunnelPort = 0, flags = 0, counted = 0
  for (let i = at; i < end;) {
    const head = words[i]!, value = words[i + 1]!, size = head & 0xffff
    switch (head >>> 16 & 0x3fff) {
      case 1: addr = `${OCTETS[value & 255]}.${OCTETS[value >>> 8 & 255]}.${OCTETS[value >>> 16 & 255]}.${OCTETS[value >>> 24]}`; break
      case 2: port = swap(value); break
      case 3: forwarding = value; break
      case 4: weight = value; break
      case 5: upper = value; break
      case 6: lower = value; break
      case 7: active = value; break
      case 8: inactive = value; break
      case 9: persistent = value; break
      case 11: family = value & 0xffff; break
      case 12:
        for (let j = i + 1; j < i + (size >> 2);) {
          const inner = words[j]! & 0xffff
          if (inner === 12) counted |= words[j + 1]! | words[j + 2]!
          j += inner + 3 >> 2
        }
        break
      case 13: type = value & 255; break
      case 14: tunnelPort = swap(value); break
      case 15: flags = value & 0xffff; break
    }
    i += size + 3 >> 2
  }
  return {
    addr, port, fwdMethod: FORWARDING[forwarding], weight, uThresh: upper, lThresh: lower, activeConns: active, inactConns: inactive, persistConns: persistent,
    addrFamily: family === 2 ? 'inet' : 'inet6', stats64: counted !== 0, tunType: TUNNEL[type], tunPort: tunnelPort, tunFlags: flags,
  }
}

/** What {@link writeRequest} writes. */
export interface Plain {
  readonly service: { readonly addr: string; readonly port: number }
  readonly dest: {
    readonly addr: string
    readonly port: number
    readonly fwdMethod: string
    readonly weight: number
    readonly uThresh: number
    readonly lThresh: number
    readonly tunType: string
    readonly tunPort: number
  }
}

function octets(text: string): number {
  let address = 0, octet = 0, shift = 0
  for (let i = 0; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit >= 0) {
      octet = octet * 10 + digit
    } else {
      address |= octet << shift
      octet = 0
      shift += 8
    }
  }
  return address | octet << shift
}

/** Writes a UDP service's key and a destination; returns how many words that is. */
export function writeRequest(words: Int32Array, { service, dest }: Plain): number {
  let at = 0
  const put = (size: number, type: number, value: number): void => {
    words[at++] = 4 + size | type << 16
    words[at++] = value
  }
  words[at++] = 36 | 0x8001 << 16
  put(2, 1, 2)
  put(2, 2, 17)
  put(4, 3, octets(service.addr))
  put(2, 4, swap(service.port))
  words[at++] = 84 | 0x8002 << 16
  put(4, 1, octets(dest.addr))
  put(2, 2, swap(dest.port))
  put(4, 3, FORWARDING.indexOf(dest.fwdMethod))
  put(4, 4, dest.weight)
  put(4, 5, dest.uThresh)
  put(4, 6, dest.lThresh)
  put(2, 11, 2)
  put(1, 13, TUNNEL.indexOf(dest.tunType))
  put(2, 14, swap(dest.tunPort))
  put(2, 15, 1)
  return at
}
