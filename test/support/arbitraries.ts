/** Values of every attribute set, for properties. Every key is optional but the ones that others depend on. */

import { isIPv4 } from 'node:net'
import fc from 'fast-check'
import type {
  CommandAttributes, DaemonAttributes, DestinationAttributes, FamilyAttributes, InfoAttributes, ServiceAttributes, Stats64Attributes,
} from '../../generic-netlink/index.js'

const u8 = fc.nat(0xff)
const u16 = fc.nat(0xffff)
const u32 = fc.nat(0xffffffff)
const u64 = fc.bigInt(0n, 2n ** 64n - 1n)

/** An IPv6 address as its bytes, and in its correct form as the URL standard has it. */
export const ipv6Of = (groups: readonly number[]): string => new URL(`http://[${groups.map(g => g.toString(16)).join(':')}]`).hostname.slice(1, -1)
export const ipv6Groups = fc.array(fc.oneof(fc.constant(0), u16), { minLength: 8, maxLength: 8 })
export const ipv6 = ipv6Groups.map(ipv6Of)
export const ipv4 = fc.ipV4().filter(isIPv4)

/** Text that takes at most `max` bytes and has no NUL. */
export const text = (max: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'grapheme', maxLength: max }).filter(s => !s.includes('\0') && Buffer.byteLength(s) <= max)

/** Bits that are set, by name or, where they have none, by number. */
export const bitsOf = (size: number, names: readonly string[]): fc.Arbitrary<Record<string, true>> =>
  fc.subarray(Array.from({ length: size * 8 }, (_, i) => names[i] ?? String(i))).map(keys => Object.fromEntries(keys.map(key => [key, true])))

const family = fc.constantFrom('inet' as const, 'inet6' as const)
const names = ['persistent', 'hashed', 'onePacket', 'sched1', 'sched2', 'sched3']
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> => fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>

const statsOf = <T>(small: fc.Arbitrary<T>) => some({
  conns: small, inpkts: small, outpkts: small, inbytes: u64, outbytes: u64, cps: small, inpps: small, outpps: small, inbps: small, outbps: small,
})
export const stats = statsOf(u32)
export const stats64: fc.Arbitrary<Stats64Attributes> = statsOf(u64)

/** At most one of the two: the kernel gives both, and of its two only the wide one is read. */
const counters = fc.oneof(fc.constant({}), stats.map(value => ({ stats: value })), stats64.map(value => ({ stats64: value })))

export const service: fc.Arbitrary<ServiceAttributes> = family.chain(af => some({
  protocol: fc.oneof(fc.constantFrom('tcp' as const, 'udp' as const, 'sctp' as const), u16.filter(n => ![6, 17, 132].includes(n))),
  addr: af === 'inet' ? ipv4 : ipv6, port: u16, fwmark: u32, schedName: text(15),
  flags: fc.record({ flags: bitsOf(4, names), mask: bitsOf(4, names) }),
  timeout: u32, netmask: af === 'inet' ? ipv4 : u32, peName: text(16),
}).chain(rest => counters.map(counted => ({ af, ...rest, ...counted }))))

export const destination: fc.Arbitrary<DestinationAttributes> = family.chain(addrFamily => some({
  addr: addrFamily === 'inet' ? ipv4 : ipv6, port: u16,
  fwdMethod: fc.oneof(fc.constantFrom('masq' as const, 'local' as const, 'tunnel' as const, 'route' as const, 'bypass' as const), fc.integer({ min: 5, max: 0xffffffff })),
  weight: u32, uThresh: u32, lThresh: u32, activeConns: u32, inactConns: u32, persistConns: u32,
  tunType: fc.oneof(fc.constantFrom('ipip' as const, 'gue' as const, 'gre' as const), fc.integer({ min: 3, max: 255 })),
  tunPort: u16, tunFlags: bitsOf(2, ['csum', 'remcsum']),
}).chain(rest => counters.map(counted => ({ addrFamily, ...rest, ...counted }))))

export const daemon: fc.Arbitrary<DaemonAttributes> = some({
  state: fc.oneof(fc.constantFrom('master' as const, 'backup' as const), fc.integer({ min: 3, max: 0xffffffff }), fc.constant(0)),
  mcastIfn: text(15), syncId: u32, syncMaxlen: u16, mcastGroup: ipv4, mcastGroup6: ipv6, mcastPort: u16, mcastTtl: u8,
})

export const info: fc.Arbitrary<InfoAttributes> = some({ version: u32, connTabSize: u32 })

export const command: fc.Arbitrary<CommandAttributes> = some({ service, dest: destination, daemon, timeoutTcp: u32, timeoutTcpFin: u32, timeoutUdp: u32 })

export const controller: fc.Arbitrary<FamilyAttributes> = some({
  familyId: u16, familyName: text(15), version: u32, hdrsize: u32, maxattr: u32,
  ops: fc.array(some({ id: u32, flags: bitsOf(4, ['adminPerm', 'do', 'dump', 'hasPolicy', 'unsAdminPerm']) }), { maxLength: 20 }),
  mcastGroups: fc.array(some({ name: text(15), id: u32 }), { maxLength: 4 }),
})
