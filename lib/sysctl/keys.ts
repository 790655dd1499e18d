/** Keys of sysctls: their segments, names and paths, checked before a file is opened. */

import { inspect } from 'node:util'
import { sysctlRow, type KnownSysctl, type SysctlRow } from './tables.js'

/**
 * A key below `net`.
 *
 * - Segments: `['net', 'ipv4', 'conf', 'eth0.100', 'rp_filter']`.
 * - With slashes: `net/ipv4/conf/eth0.100/rp_filter`.
 * - With dots, as in sysctl(8): `net.ipv4.vs.conntrack`. A `/` in it stands for a dot within a
 *   name, as `sysctl -a`
 *   prints it: `net.ipv4.conf.eth0/100.rp_filter`. Under `conf` and `neigh`, where only the device
 * can have dots,
 *   `net.ipv4.conf.eth0.100.rp_filter` means the same (sysctl(8) does not find it).
 */
export type SysctlKey = KnownSysctl | (string & {}) | readonly string[]

/**
 * The characters of sysctls' and network devices' names. None of them means anything to a shell.
 */
const SEGMENT = /^[A-Za-z0-9_.:@+-]+$/

/** The directory that no key leaves. */
const ROOT = 'net'

/** Keys whose fourth segment is a device, and whose last segment is a parameter. */
const PER_DEVICE = /^net\.(ipv4|ipv6|mpls)\.(conf|neigh)\./

/** Whether a name can be a segment. */
export const isSegment = (name: string): boolean => SEGMENT.test(name)

/**
 * Splits a key into its segments.
 *
 * @throws TypeError, RangeError where the key is invalid
 */
export function sysctlSegments(key: SysctlKey): string[] {
  const segments: readonly unknown[] | undefined = typeof key === 'string'
    ? split(key)
    : Array.isArray(key)
      ? key
      : undefined
  if (!segments) throw new TypeError(`a sysctl's key is text or a list of segments, not ${inspect(key)}`)
  const shown = inspect(key)
  for (const segment of segments) {
    if (typeof segment !== 'string') throw new TypeError(`sysctl ${shown}: each segment is text`)
    if (segment === '.' || segment === '..') {
      throw new RangeError(`sysctl ${shown}: ${inspect(segment)} leads elsewhere`)
    }
    if (segment === '') throw new RangeError(`sysctl ${shown}: a segment is empty`)
    if (!isSegment(segment)) {
      throw new RangeError(`sysctl ${shown}: ${inspect(segment)} is not a name of letters, digits and _ . : @ + -`)
    }
  }
  if (segments[0] !== ROOT) throw new RangeError(`sysctl ${shown}: only keys below ${ROOT} are read and set here`)
  if (segments.length < 2) throw new RangeError(`sysctl ${shown}: names no key`)
  if (segments.length > 5 && PER_DEVICE.test(segments.join('.'))) {
    throw new RangeError(`sysctl ${shown}: a device has no keys within keys`)
  }
  return [...segments as readonly string[]]
}

/** Splits as sysctl.d(5) does: the first `.` or `/` is the separator. */
function split(key: string): string[] {
  if (/^[^.]*\//.test(key)) return key.split('/')
  const segments = key.split('.')
  const device = PER_DEVICE.test(key) && segments.length > 5 && !segments.includes('')
    ? segments.splice(3, segments.length - 4)
    : []
  if (device.length > 0) segments.splice(3, 0, device.join('.'))
  return segments.map(segment => segment.replaceAll('/', '.'))
}

/** A key with its name, its path, and its row in the tables. */
export interface Target {
  readonly segments: readonly string[]
  /** `net.ipv4.conf.eth0/100.rp_filter` */
  readonly name: string
  /** `/proc/sys/net/ipv4/conf/eth0.100/rp_filter` */
  readonly path: string
  readonly row: SysctlRow | undefined
}

/** Checks a key. @throws TypeError, RangeError where it is invalid */
export function targetOf(key: SysctlKey): Target {
  const segments = sysctlSegments(key)
  return {
    segments, name: segments.map(
      segment => segment.replaceAll('.', '/'),
    ).join('.'), path: `/proc/sys/${segments.join('/')}`, row: sysctlRow(segments),
  }
}

/**
 * A key as `sysctl -a` prints it and sysctl(8) takes it: `net.ipv4.conf.eth0/100.rp_filter`.
 *
 * @throws TypeError, RangeError where the key is invalid
 */
export const sysctlName = (key: SysctlKey): string => targetOf(key).name
