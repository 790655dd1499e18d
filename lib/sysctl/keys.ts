/** Keys of sysctls: their segments, names and paths, checked before a file is opened. */

import { inspect } from 'node:util'
import { SpecError } from '../base/check.js'
import { sysctlRow, type KnownSysctl, type SysctlRow } from './tables.js'

/**
 * A key below `net`.
 *
 * - Segments: `['net', 'ipv4', 'conf', 'eth0.100', 'rp_filter']`.
 * - With slashes: `net/ipv4/conf/eth0.100/rp_filter`.
 * - With dots, as in sysctl(8): `net.ipv4.vs.conntrack`. A `/` in it stands for a dot within a
 *   name, as `sysctl -a` prints it: `net.ipv4.conf.eth0/100.rp_filter`. Under `conf` and `neigh`,
 *   where only the device can have dots, `net.ipv4.conf.eth0.100.rp_filter` means the same
 *   (sysctl(8) does not find it).
 */
export type SysctlKey = KnownSysctl | (string & {}) | readonly string[]

/** The characters of sysctls' and network devices' names. No shell gives a meaning to any. */
const SEGMENT = /^[A-Za-z0-9_.:@+-]+$/

/** Keys whose fourth segment is a device, and whose last segment is a parameter. */
const PER_DEVICE = /^net\.(ipv4|ipv6|mpls)\.(conf|neigh)\./

/** Whether a name can be a segment. */
export const isSegment = (name: string): boolean => SEGMENT.test(name)

/** Splits a key into its segments. @throws SpecError where the key is invalid */
export function sysctlSegments(key: SysctlKey): string[] {
  const segments: unknown = typeof key === 'string' ? split(key) : key
  const invalid = (why: string): SpecError => new SpecError(`sysctl ${inspect(key)}`, why)
  if (!Array.isArray(segments)) throw invalid('a key is text or a list of segments')
  for (const segment of segments as unknown[]) {
    if (typeof segment !== 'string') throw invalid('each segment is text')
    if (segment === '.' || segment === '..') throw invalid(`${inspect(segment)} leads elsewhere`)
    if (segment === '') throw invalid('a segment is empty')
    if (!isSegment(segment)) throw invalid(`${inspect(segment)} is not a name of letters, digits and _ . : @ + -`)
  }
  if (segments[0] !== 'net') throw invalid('only keys below net are read and set here')
  if (segments.length < 2) throw invalid('names no key')
  if (segments.length > 5 && PER_DEVICE.test(segments.join('.'))) throw invalid('a device has no keys within keys')
  return [...segments as string[]]
}

/** Splits as sysctl.d(5) does: the first `.` or `/` is the separator. */
function split(key: string): string[] {
  if (/^[^.]*\//.test(key)) return key.split('/')
  const segments = key.split('.')
  if (PER_DEVICE.test(key) && segments.length > 5 && !segments.includes('')) {
    segments.splice(3, segments.length - 4, segments.slice(3, -1).join('.'))
  }
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

/** Checks a key. @throws SpecError where it is invalid */
export function targetOf(key: SysctlKey): Target {
  const segments = sysctlSegments(key)
  const name = segments.map(segment => segment.replaceAll('.', '/')).join('.')
  return { segments, name, path: `/proc/sys/${segments.join('/')}`, row: sysctlRow(segments) }
}

/**
 * A key as `sysctl -a` prints it and sysctl(8) takes it: `net.ipv4.conf.eth0/100.rp_filter`.
 *
 * @throws SpecError where the key is invalid
 */
export const sysctlName = (key: SysctlKey): string => targetOf(key).name
