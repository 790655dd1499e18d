/** IPVS over generic netlink: `linux/ip_vs.h` and the policies of `ip_vs_ctl.c`, as tables. */

import { attributeSet } from '../attributes.js'
import { remembered } from '../attribute-memory.js'
import type { Fixed, Infer } from '../codec.js'
import { bits, by, enumeration, struct, unless } from '../compose.js'
import { be16, ipv4, ipv6, string, u8, u16, u32, u64 } from '../values.js'
import { family } from '../family.js'

/** `AF_*` */
export const addressFamily = enumeration(u16, { inet: 2, inet6: 10 })
/** `IPPROTO_*` */
export const protocol = enumeration(u16, { tcp: 6, udp: 17, sctp: 132 })
/** `IP_VS_CONN_F_*`: forwarding methods */
export const forwarding = enumeration(u32, { masq: 0, local: 1, tunnel: 2, route: 3, bypass: 4 })
/** `IP_VS_CONN_F_TUNNEL_TYPE_*` */
export const tunnelType = enumeration(u8, { ipip: 0, gue: 1, gre: 2 })
/** `IP_VS_TUNNEL_ENCAP_FLAG_*` */
export const tunnelFlags = bits(u16, ['csum', 'remcsum'])
/** `IP_VS_STATE_*`: the role of a synchronisation daemon */
export const daemonState = enumeration(u32, { master: 1, backup: 2 })

/** `struct ip_vs_flags`. The kernel changes the bits of `mask` and no others. */
export const serviceFlags = struct({
  flags: bits(u32, ['persistent', 'hashed', 'onePacket', 'sched1', 'sched2', 'sched3']),
  mask:  bits(u32, ['persistent', 'hashed', 'onePacket', 'sched1', 'sched2', 'sched3']),
})

/** The rows of counters, of which all but bytes have the size `of`. */
const counters = <T>(of: Fixed<T>) => ({
  /** Connections scheduled. */
  conns:    [1,  of],
  /** Packets from clients. */
  inpkts:   [2,  of],
  /** Packets to clients, where they pass through the director. */
  outpkts:  [3,  of],
  inbytes:  [4,  u64],
  outbytes: [5,  u64],
  /** Connections per second. */
  cps:      [6,  of],
  inpps:    [7,  of],
  outpps:   [8,  of],
  /** Bytes per second. */
  inbps:    [9,  of],
  outbps:   [10, of],
} as const)
/** `IPVS_STATS_ATTR_*`: counters of 32 bits, of kernels before 4.1. */
export const stats = attributeSet('IPVS_STATS_ATTR', counters(u32))
/** `IPVS_STATS_ATTR_*`: counters of 64 bits. */
export const stats64 = attributeSet('IPVS_STATS_ATTR', counters(u64))

/** `IPVS_SVC_ATTR_*`: a virtual service. */
export const service = attributeSet('IPVS_SVC_ATTR', {
  af:        [1,  addressFamily],
  protocol:  [2,  protocol],
  /** The VIP. The kernel pads IPv4 to 16 bytes, so `af` names the family. */
  addr:      [3,  by('af', { inet: ipv4, inet6: ipv6 })],
  port:      [4,  be16],
  /** Names a service by firewall mark, which has no protocol, address or port. */
  fwmark:    [5,  u32],
  schedName: [6,  string(15)],
  flags:     [7,  serviceFlags],
  /** Persistence timeout in seconds. */
  timeout:   [8,  u32],
  /** Persistence granularity: a mask for IPv4, a prefix length for IPv6. */
  netmask:   [9,  by('af', { inet: ipv4, inet6: u32 })],
  stats:     [10, unless('stats64', stats)],
  /** Persistence engine. A `setService` without it clears it. */
  peName:    [11, string(16)],
  stats64:   [12, stats64],
})

/** `IPVS_DEST_ATTR_*`: a destination, which is one real server of a service. */
export const destination = attributeSet('IPVS_DEST_ATTR', {
  addr:         [1,  by('addrFamily', { inet: ipv4, inet6: ipv6 })],
  port:         [2,  be16],
  fwdMethod:    [3,  forwarding],
  weight:       [4,  u32],
  /** Above this many connections the scheduler skips the destination; 0 is no limit. */
  uThresh:      [5,  u32],
  /** Below this many connections the scheduler uses the destination again. */
  lThresh:      [6,  u32],
  activeConns:  [7,  u32],
  inactConns:   [8,  u32],
  persistConns: [9,  u32],
  stats:        [10, unless('stats64', stats)],
  addrFamily:   [11, addressFamily],
  stats64:      [12, stats64],
  /** A `setDest` without it makes the tunnel IPIP. */
  tunType:      [13, tunnelType],
  tunPort:      [14, be16],
  tunFlags:     [15, tunnelFlags],
})

/** `IPVS_DAEMON_ATTR_*`: a connection synchronisation daemon. */
export const daemon = attributeSet('IPVS_DAEMON_ATTR', {
  state:       [1, daemonState],
  mcastIfn:    [2, string(15)],
  syncId:      [3, u32],
  /** Payload of a datagram, in bytes; 0 is what the interface's MTU allows. */
  syncMaxlen:  [4, u16],
  mcastGroup:  [5, ipv4],
  mcastGroup6: [6, ipv6],
  /** Host byte order, unlike every other port of this family. */
  mcastPort:   [7, u16],
  mcastTtl:    [8, u8],
})

/** `IPVS_CMD_ATTR_*`: the top level of every IPVS message but GET_INFO's reply. */
export const command = remembered(attributeSet('IPVS_CMD_ATTR', {
  service:       [1, service],
  dest:          [2, destination],
  daemon:        [3, daemon],
  /** Seconds. In `setConfig`, 0 keeps the present value. */
  timeoutTcp:    [4, u32],
  timeoutTcpFin: [5, u32],
  timeoutUdp:    [6, u32],
}))

/** `IPVS_INFO_ATTR_*` */
export const info = attributeSet('IPVS_INFO_ATTR', {
  /** `0x010201` is 1.2.1. */
  version:     [1, u32],
  connTabSize: [2, u32],
})

/** `IPVS_CMD_*`. The kernel sends no notifications. */
export const ipvs = family('IPVS', 1, {
  newService: [1,  command],
  setService: [2,  command],
  delService: [3,  command],
  getService: [4,  command, command],
  newDest:    [5,  command],
  setDest:    [6,  command],
  delDest:    [7,  command],
  getDest:    [8,  command, command],
  newDaemon:  [9,  command],
  delDaemon:  [10, command],
  getDaemon:  [11, command, command],
  setConfig:  [12, command],
  getConfig:  [13, command, command],
  /** The command of the answer to `getInfo`. The kernel refuses it as a request. */
  setInfo:    [14, command],
  getInfo:    [15, command, info],
  zero:       [16, command],
  flush:      [17, command],
})

/** The attributes of a virtual service. */
export interface ServiceAttributes extends Infer<typeof service> {}
/** The attributes of a destination. */
export interface DestinationAttributes extends Infer<typeof destination> {}
/** The attributes of a synchronisation daemon. */
export interface DaemonAttributes extends Infer<typeof daemon> {}
/** The attributes of a message. */
export interface CommandAttributes extends Infer<typeof command> {}
/** The attributes of the answer to `getInfo`. */
export interface InfoAttributes extends Infer<typeof info> {}
/** Counters of 32 bits. */
export interface StatsAttributes extends Infer<typeof stats> {}
/** Counters of 64 bits. */
export interface Stats64Attributes extends Infer<typeof stats64> {}
/** Flags of a tunnel. */
export type TunnelFlags = Infer<typeof tunnelFlags>
