/** Counters of services and real servers. */

import type { Stats64Attributes, StatsAttributes } from '../../generic-netlink/families/ipvs.js'
import type { Stats } from './model.js'

/** Counters that JSON can hold. */
class Counters implements Stats {
  connections = 0n
  packetsIn = 0n
  packetsOut = 0n
  bytesIn = 0n
  bytesOut = 0n
  rates = { connections: 0, packetsIn: 0, packetsOut: 0, bytesIn: 0, bytesOut: 0 }

  // Without a constructor of their own, counters print as the plain object that they are.
  static { Reflect.deleteProperty(this.prototype, 'constructor') }

  toJSON(): Record<keyof Stats, string | Stats['rates']> {
    const { connections, packetsIn, packetsOut, bytesIn, bytesOut, rates } = this
    return {
      connections: `${connections}`, packetsIn: `${packetsIn}`, packetsOut: `${packetsOut}`,
      bytesIn: `${bytesIn}`, bytesOut: `${bytesOut}`, rates,
    }
  }
}

/** The counters of 64 bits; those of 32 bits where the kernel, before 4.1, has no others. */
export function readStats(
  { stats64, stats }: { stats64?: Stats64Attributes | undefined; stats?: StatsAttributes | undefined },
): Stats {
  const { conns, inpkts, outpkts, inbytes, outbytes, cps, inpps, outpps, inbps, outbps } = stats64 ?? stats ?? {}
  const counters = new Counters()
  // Most counters of most tables are idle. The kernel counts no bytes without packets.
  if (!conns && !inpkts && !outpkts && !inbps && !outbps && !cps) return counters
  counters.connections = BigInt(conns ?? 0)
  counters.packetsIn = BigInt(inpkts ?? 0)
  counters.packetsOut = BigInt(outpkts ?? 0)
  counters.bytesIn = inbytes ?? 0n
  counters.bytesOut = outbytes ?? 0n
  counters.rates = {
    connections: Number(cps ?? 0),
    packetsIn: Number(inpps ?? 0), packetsOut: Number(outpps ?? 0),
    bytesIn: Number(inbps ?? 0), bytesOut: Number(outbps ?? 0),
  }
  return counters
}

/** Whether two readings of the same counters are equal. */
export const sameStats = (a: Stats, b: Stats): boolean => a === b || (
  a.connections === b.connections && a.packetsIn === b.packetsIn && a.packetsOut === b.packetsOut
  && a.bytesIn === b.bytesIn && a.bytesOut === b.bytesOut && a.rates.connections === b.rates.connections
  && a.rates.packetsIn === b.rates.packetsIn && a.rates.packetsOut === b.rates.packetsOut
  && a.rates.bytesIn === b.rates.bytesIn && a.rates.bytesOut === b.rates.bytesOut)
