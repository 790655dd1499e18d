/**
 * What `ip_vs_ctl.c` does with a message, in memory: a table of services, and the errno of each refusal.
 * Requests are taken apart by hand; answers are written with the library's tables.
 */

import { isIPv4 } from 'node:net'
import {
  command, daemon, destination, info, Input, ipvs, service, serviceFlags,
  type CommandAttributes, type DaemonAttributes, type DestinationAttributes, type ServiceAttributes,
} from '../../generic-netlink/index.js'

const EPERM = 1, ENOENT = 2, ESRCH = 3, EINTR = 4, EBUSY = 16, EEXIST = 17, ENODEV = 19, EINVAL = 22, ERANGE = 34, EOPNOTSUPP = 95, EAFNOSUPPORT = 97
export const errnos = { EPERM, ENOENT, ESRCH, EINTR, EBUSY, EEXIST, ENODEV, EINVAL, ERANGE, EOPNOTSUPP, EAFNOSUPPORT } as const

/** The kernel's refusal of one message. */
export class Refused extends Error {
  /** Positive, as in C. */
  readonly errno: number
  constructor(errno: number) {
    super(`errno ${errno}`)
    this.errno = errno
  }
}
const refuse = (errno: number): never => { throw new Refused(errno) }

/** Attributes by number. */
export function attributesOf(bytes: Uint8Array): Map<number, Buffer> {
  const found = new Map<number, Buffer>()
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  for (let at = 0; at + 4 <= buffer.length;) {
    const length = buffer.readUInt16LE(at)
    if (length < 4 || at + length > buffer.length) break
    found.set(buffer.readUInt16LE(at + 2) & 0x3fff, buffer.subarray(at + 4, at + length))
    at += length + 3 & ~3
  }
  return found
}

interface Entry { service: ServiceAttributes; flags: number; readonly dests: Map<string, DestinationAttributes> }

const SVC = { af: 1, protocol: 2, addr: 3, port: 4, fwmark: 5, sched: 6, flags: 7, timeout: 8, netmask: 9, pe: 11 }
const DEST = { addr: 1, port: 2, fwd: 3, weight: 4, uThresh: 5, lThresh: 6, af: 11, tunType: 13, tunPort: 14 }
const DAEMON = { state: 1, ifn: 2, syncId: 3 }
const TUNNEL = 2, HASHED = 2, HZ = 100
const schedulers = ['rr', 'wrr', 'lc', 'wlc', 'lblc', 'lblcr', 'dh', 'sh', 'mh', 'sed', 'nq', 'fo', 'ovf', 'none']
const zero = { conns: 0, inpkts: 0, outpkts: 0, inbytes: 0n, outbytes: 0n, cps: 0, inpps: 0, outpps: 0, inbps: 0, outbps: 0 }
const zero64 = Object.fromEntries(Object.keys(zero).map(key => [key, 0n]))

/** The nest's attributes, or EINVAL where one of those is missing or too short, as the kernel's policy has it. */
function nest(bytes: Buffer | undefined, required: readonly number[], sizes: Readonly<Record<number, number>>): Map<number, Buffer> {
  const found = attributesOf(bytes ?? refuse(EINVAL))
  if (required.some(number => !found.has(number))) refuse(EINVAL)
  for (const [number, size] of Object.entries(sizes)) if ((found.get(Number(number))?.length ?? size) < size) refuse(EINVAL)
  return found
}

/** Text with its NUL, at most so long. */
function textOf(bytes: Buffer | undefined, max: number): string | undefined {
  if (!bytes) return undefined
  const end = bytes.indexOf(0)
  return end < 0 || end > max ? refuse(EINVAL) : bytes.toString('latin1', 0, end)
}

export class FakeIpvs {
  readonly services = new Map<string, Entry>()
  readonly daemons = new Map<number, DaemonAttributes>()
  /** Schedulers whose modules are not there. */
  readonly missing = new Set<string>()
  timeouts = { timeoutTcp: 900, timeoutTcpFin: 120, timeoutUdp: 300 }

  /** The errno, positive, with which a test refuses a command; 0 lets it pass. */
  refuse: (name: string, sent: CommandAttributes) => number = () => 0

  /** Answers one message: the command and attributes of each answer. @throws Refused */
  answer(cmd: number, dump: boolean, payload: Uint8Array): { cmd: number; attributes: Uint8Array }[] {
    const [name] = Object.entries(ipvs.commands).find(([, [number]]) => number === cmd) ?? []
    const attributes = attributesOf(payload)
    const reply = (as: number, ...values: CommandAttributes[]) => values.map(value => ({ cmd: as, attributes: command.encode(value) }))
    if (dump) {
      switch (name) {
        case 'getService': return reply(1, ...[...this.services.values()].map(entry => ({ service: this.#told(entry) })))
        case 'getDest': return reply(5, ...[...this.#lookedFor(attributes)?.dests.values() ?? []].map(dest => ({ dest })))
        case 'getDaemon': return reply(9, ...[1, 2].flatMap(state => this.daemons.get(state) ?? []).map(daemon => ({ daemon })))
        default: return refuse(EOPNOTSUPP)
      }
    }
    const errno = this.refuse(name ?? '', command.decode(payload))
    if (errno) refuse(errno)
    switch (name) {
      case 'getInfo': return [{ cmd: 14, attributes: info.encode({ version: 0x010201, connTabSize: 4096 }) }]
      case 'getConfig': return reply(12, this.timeouts)
      case 'getService': return reply(1, { service: this.#told(this.#find(attributes).entry ?? refuse(ESRCH)) })
      case undefined: case 'setInfo': case 'getDest': case 'getDaemon': return refuse(EOPNOTSUPP)
      case 'flush': this.services.clear(); break
      case 'setConfig': this.#configure(attributes); break
      case 'newDaemon': case 'delDaemon': this.#daemon(name, attributes); break
      case 'zero': if (attributes.has(1) && !this.#find(attributes).entry) refuse(ESRCH); break
      case 'newService': case 'setService': case 'delService': this.#service(name, attributes); break
      default: this.#dest(name, attributes)
    }
    return []
  }

  #told({ service: own, flags }: Entry): ServiceAttributes {
    const word = Buffer.alloc(8, 0xff)
    word.writeUInt32LE(flags)
    return { ...own, flags: serviceFlags.read(new Input(word), 0, 8, {}), stats: zero, stats64: zero64 }
  }

  /** The service that a message names; its key, where there is none. */
  #find(attributes: Map<number, Buffer>, full = false): { key: string; found: Map<number, Buffer>; entry: Entry | undefined } {
    const { af, protocol, addr, port, fwmark, sched, flags, timeout, netmask } = SVC
    const found = nest(attributes.get(1), [af], { [af]: 2, [protocol]: 2, [port]: 2, [fwmark]: 4, [timeout]: 4, [netmask]: 4 })
    if (!found.has(fwmark) && [protocol, addr, port].some(number => !found.has(number))) refuse(EINVAL)
    const family = found.get(af)!.readUInt16LE()
    if (family !== 2 && family !== 10) refuse(EAFNOSUPPORT)
    const which = found.has(fwmark) ? [fwmark] : [protocol, addr, port]
    const key = [family, ...which.map(number => found.get(number)!.toString('hex').padEnd(number === addr ? 32 : 0, '0'))].join()
    if (full && [sched, flags, timeout, netmask].some(number => !found.has(number))) refuse(EINVAL)
    return { key, found, entry: this.services.get(key) }
  }

  /** For a dump, which has no way to say that there is no such service. */
  #lookedFor(attributes: Map<number, Buffer>): Entry | undefined {
    try { return this.#find(attributes).entry } catch { return undefined }
  }

  #service(name: 'newService' | 'setService' | 'delService', attributes: Map<number, Buffer>): void {
    const { key, found, entry } = this.#find(attributes, name !== 'delService')
    if (name === 'delService') {
      if (!this.services.delete(key)) refuse(ESRCH)
      return
    }
    const schedName = textOf(found.get(SVC.sched), 15)!
    const peName = textOf(found.get(SVC.pe), 16)
    if (name === 'setService' && !entry) refuse(ESRCH)
    if (name === 'newService' && entry) refuse(EEXIST)
    if (!schedulers.includes(schedName) || this.missing.has(schedName) || (peName ?? 'sip') !== 'sip') refuse(ENOENT)
    const value = service.decode(attributes.get(1)!)
    if (value.af === 'inet6' && !(value.netmask as number >= 1 && value.netmask as number <= 128)) refuse(EINVAL)
    const [flags, mask] = [found.get(SVC.flags)!.readUInt32LE(), found.get(SVC.flags)!.readUInt32LE(4)]
    const word = (((entry ? entry.flags : 0) & ~mask) | (flags & mask) | HASHED) >>> 0
    if (value.fwmark !== undefined) Object.assign(value, { protocol: undefined, addr: undefined, port: undefined })
    if (entry) Object.assign(entry, { service: value, flags: word })
    else this.services.set(key, { service: value, flags: word, dests: new Map() })
  }

  #dest(name: string, attributes: Map<number, Buffer>): void {
    const { found: svc, entry = refuse(ESRCH) } = this.#find(attributes)
    const full = name !== 'delDest'
    const { addr, port, fwd, weight, uThresh, lThresh, af, tunType, tunPort } = DEST
    const found = nest(attributes.get(2), full ? [addr, port, fwd, weight, uThresh, lThresh] : [addr, port],
      { [port]: 2, [fwd]: 4, [weight]: 4, [uThresh]: 4, [lThresh]: 4, [af]: 2, [tunType]: 1, [tunPort]: 2 })
    const own = svc.get(SVC.af)!.readUInt16LE()
    const family = found.get(af)?.readUInt16LE() || own
    if (family !== 2 && family !== 10) refuse(EAFNOSUPPORT)
    if (full && family !== own && (this.daemons.size > 0 || (found.get(fwd)!.readUInt32LE() & 7) !== TUNNEL)) refuse(EINVAL)
    const key = `${family},${found.get(addr)!.toString('hex').padEnd(32, '0')},${found.get(port)!.toString('hex')}`
    if (!full) {
      if (!entry.dests.delete(key)) refuse(ENOENT)
      return
    }

    const [least, most] = [found.get(lThresh)!.readUInt32LE(), found.get(uThresh)!.readUInt32LE()]
    if (most > 0x7fffffff) refuse(EINVAL)
    if (found.get(weight)!.readUInt32LE() > 0x7fffffff || least > most) refuse(ERANGE)
    if (found.get(tunType)?.[0] === 1 && !found.get(tunPort)?.readUInt16BE()) refuse(EINVAL)
    if (name === 'setDest' && !entry.dests.has(key)) refuse(ENOENT)
    if (name === 'newDest' && entry.dests.has(key)) refuse(EEXIST)
    const bytes = Buffer.from(attributes.get(2)!)
    const value = destination.decode(found.has(af) ? bytes : Buffer.concat([bytes, Buffer.from([6, 0, af, 0, family, 0, 0, 0])]))
    if (name === 'newDest' && !isUnicast(value.addr!)) refuse(EINVAL)
    const { activeConns = 0, inactConns = 0 } = entry.dests.get(key) ?? {}
    entry.dests.set(key, {
      tunType: 'ipip', tunPort: 0, tunFlags: {}, activeConns, inactConns, persistConns: 0,
      ...given(value), stats: zero, stats64: zero64,
    })
  }

  #daemon(name: string, attributes: Map<number, Buffer>): void {
    const found = nest(attributes.get(3), name === 'newDaemon' ? [DAEMON.state, DAEMON.ifn, DAEMON.syncId] : [DAEMON.state], { [DAEMON.state]: 4, [DAEMON.syncId]: 4 })
    const state = found.get(DAEMON.state)!.readUInt32LE()
    if (state !== 1 && state !== 2) refuse(EINVAL)
    if (name === 'delDaemon') {
      if (!this.daemons.delete(state)) refuse(ESRCH)
      return refuse(EINTR) // its thread never ran
    }
    const mixed = ({ service: { af }, dests }: Entry): boolean => [...dests.values()].some(dest => dest.addrFamily !== af)
    if ([...this.services.values()].some(mixed)) refuse(EINVAL)
    const mcastIfn = textOf(found.get(DAEMON.ifn), 15)
    if (mcastIfn !== 'lo') refuse(ENODEV)
    if (this.daemons.has(state)) refuse(EEXIST)
    this.daemons.set(state, { syncMaxlen: 0, mcastGroup: '224.0.0.81', mcastPort: 8848, mcastTtl: 1, ...given(daemon.decode(attributes.get(3)!)) })
  }

  #configure(attributes: Map<number, Buffer>): void {
    const values = [4, 5, 6].map(number => attributes.get(number)?.readUInt32LE() ?? 0)
    if (values.some(seconds => seconds > 0x7fffffff / HZ)) refuse(EINVAL)
    const { timeoutTcp, timeoutTcpFin, timeoutUdp } = this.timeouts
    this.timeouts = { timeoutTcp: values[0]! || timeoutTcp, timeoutTcpFin: values[1]! || timeoutTcpFin, timeoutUdp: values[2]! || timeoutUdp }
  }
}

/** The keys that have a value. */
const given = <T extends object>(value: T): T => Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined)) as T

/** What a routing table without a broadcast address of ours takes for a destination. */
function isUnicast(address: string): boolean {
  if (isIPv4(address)) return address !== '0.0.0.0' && address !== '255.255.255.255' && !/^2(2[4-9]|3\d)\./.test(address)
  return address !== '::' && !/^ff|^fe[89ab]|^::ffff:/.test(address)
}
