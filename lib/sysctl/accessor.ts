/**
 * Sysctls of the network: read, set and planned, through /proc/sys/net.
 *
 * The kernel takes "010" for 8, "0x1" for 1, the first of "1 2", and any integer for a boolean; "" it takes and changes
 * nothing; and a key with ".." in it writes any file that root can. So keys are taken apart and checked before anything is
 * opened, values are written in one form, and what was written is read back.
 *
 * @module
 */

import { constants } from 'node:fs'
import { lstat, open, readdir } from 'node:fs/promises'
import { inspect } from 'node:util'
import { logger, type CallOptions } from '../../generic-netlink/index.js'
import { sysctlWants, sysctlRow, sysctlText, type KnownSysctl, type SysctlRow, type SysctlSettingOf, type SysctlValueOf } from './tables.js'
import { Plan, type Step } from '../plan/plan.js'

const debug = logger('ipvs-nl:sysctl')

// ── keys ──

/**
 * A key below `net`.
 *
 * - Segments: `['net', 'ipv4', 'conf', 'eth0.100', 'rp_filter']`.
 * - With slashes: `net/ipv4/conf/eth0.100/rp_filter`.
 * - With dots, as sysctl(8) has them: `net.ipv4.vs.conntrack`. A `/` in it stands for a dot within a name, as `sysctl -a`
 *   prints it: `net.ipv4.conf.eth0/100.rp_filter`. Under `conf` and `neigh`, where nothing but the device can have dots,
 *   `net.ipv4.conf.eth0.100.rp_filter` means the same (sysctl(8) does not find it).
 */
export type SysctlKey = KnownSysctl | (string & {}) | readonly string[]

/** What a key holds or is to hold: a number, some numbers, or text; flags also as true and false. */
export type SysctlValue = number | boolean | readonly number[] | string

/** Values by key, of keys that are text. */
export type SysctlValues = { readonly [K in KnownSysctl]?: SysctlSettingOf<K> } & Readonly<Record<string, SysctlValue>>

/** A key with the value that it is to hold. */
export interface SysctlSetting {
  /** Which key. */
  readonly key: SysctlKey
  /** What it is to hold. */
  readonly value: SysctlValue
  /** Why it is needed: shown in the plan. */
  readonly why?: string
}

/** What names of sysctls and of network devices are made of. Nothing of it means anything to a shell. */
const SEGMENT = /^[A-Za-z0-9_.:@+-]+$/

/** The one place outside of which no key leads. */
const ROOT = 'net'

/** Where the segment after the third is a device, and the last a parameter. */
const PER_DEVICE = /^net\.(ipv4|ipv6|mpls)\.(conf|neigh)\./

/**
 * A key's segments.
 *
 * @throws TypeError, RangeError where it is none
 */
export function sysctlSegments(key: SysctlKey): string[] {
  const segments: readonly unknown[] | undefined = typeof key === 'string' ? split(key) : Array.isArray(key) ? key : undefined
  if (!segments) throw new TypeError(`a sysctl's key is text or a list of segments, not ${inspect(key)}`)
  const shown = inspect(key)
  for (const segment of segments) {
    if (typeof segment !== 'string') throw new TypeError(`sysctl ${shown}: each segment is text`)
    if (segment === '.' || segment === '..') throw new RangeError(`sysctl ${shown}: ${inspect(segment)} leads elsewhere`)
    if (segment === '') throw new RangeError(`sysctl ${shown}: a segment is empty`)
    if (!SEGMENT.test(segment)) {
      throw new RangeError(`sysctl ${shown}: ${inspect(segment)} is not a name of letters, digits and _ . : @ + -`)
    }
  }
  if (segments[0] !== ROOT) throw new RangeError(`sysctl ${shown}: only keys below ${ROOT} are read and set here`)
  if (segments.length < 2) throw new RangeError(`sysctl ${shown}: names no key`)
  if (segments.length > 5 && PER_DEVICE.test(segments.join('.'))) throw new RangeError(`sysctl ${shown}: a device has no keys within keys`)
  return [...segments as readonly string[]]
}

/** As sysctl.d(5) has it: whichever of the two comes first separates. */
function split(key: string): string[] {
  if (/^[^.]*\//.test(key)) return key.split('/')
  const segments = key.split('.')
  const device = PER_DEVICE.test(key) && segments.length > 5 && !segments.includes('') ? segments.splice(3, segments.length - 4) : []
  if (device.length > 0) segments.splice(3, 0, device.join('.'))
  return segments.map(segment => segment.replaceAll('/', '.'))
}

/**
 * A key as `sysctl -a` prints it and sysctl(8) takes it: `net.ipv4.conf.eth0/100.rp_filter`.
 *
 * @throws TypeError, RangeError where it is none
 */
export const sysctlName = (key: SysctlKey): string => nameOf(sysctlSegments(key))

const nameOf = (segments: readonly string[]): string => segments.map(segment => segment.replaceAll('.', '/')).join('.')
const pathOf = (segments: readonly string[]): string => `/proc/sys/${segments.join('/')}`

// ── values ──

/** What is written for a value. @throws RangeError naming the key and what it takes */
function textOf(name: string, row: SysctlRow | undefined, value: unknown): string {
  const text = row ? sysctlText(row, value) : anyText(value)
  if (text !== undefined) return text
  const takes = row ? sysctlWants(row) : 'an integer, a list of integers, or text that is not empty and does not read as numbers'
  throw new RangeError(`sysctl ${name}: ${inspect(value)} is not what it takes: ${takes}`)
}

// -0 is 0.
const decimal = (value: number): string => String(value)

/** A word that the kernel could take for a number. */
const NUMERIC = /^[-+]?(0x[0-9a-f]*|[0-9]+(\.[0-9]*)?(e[-+]?[0-9]+)?|\.[0-9]+)$/i

function anyText(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? decimal(value) : undefined
  if (Array.isArray(value)) return value.length > 0 && Array.from(value).every(Number.isSafeInteger) ? (value as number[]).map(decimal).join(' ') : undefined
  if (typeof value !== 'string' || !/^[!-~]+( [!-~]+)*$/.test(value)) return undefined
  return value.split(' ').every(word => NUMERIC.test(word)) ? undefined : value
}

const words = (text: string): string[] => text.split(/\s+/).filter(Boolean)
const isNumber = (word: string): boolean => /^(0|-?[1-9][0-9]*)$/.test(word) && Number.isSafeInteger(Number(word))

/** What a key's text says. */
function valueOf(row: SysctlRow | undefined, text: string): number | readonly number[] | string {
  const parts = words(text)
  if (row?.takes === 'processors' || parts.length === 0 || !parts.every(isNumber)) return text
  return parts.length === 1 ? Number(parts[0]) : parts.map(Number)
}

/** Whether the kernel holds what was asked for. */
function same(row: SysctlRow | undefined, a: string, b: string): boolean {
  const alike = (text: string): boolean => row?.alike?.includes(Number(text)) ?? false
  return words(a).join(' ') === words(b).join(' ') || (alike(a) && alike(b))
}

// ── errors ──

/** Why a sysctl could not be read or set. */
export type SysctlErrorCode =
  /** No such key: IPVS is not loaded, no such device, or a kernel without it. */
  | 'ENOENT'
  /** The key can only be read, or only be written. */
  | 'EACCES'
  /** The process may not: it has no CAP_NET_ADMIN, or is not root. */
  | 'EPERM'
  /** /proc/sys is mounted read-only, as in most containers. */
  | 'EROFS'
  /** The kernel refuses the value. */
  | 'EINVAL'
  /** The kernel took the value and holds another. */
  | 'ERR_SYSCTL_MISMATCH'
  | (string & {})

/** A sysctl could not be read or set. */
export class SysctlError extends Error {
  static { this.prototype.name = 'SysctlError' }
  /** As on Node's own system errors, or `ERR_SYSCTL_MISMATCH`. */
  readonly code: SysctlErrorCode
  /** As `sysctl -a` prints it: `net.ipv4.vs.conntrack`. */
  readonly key: string
  constructor(code: SysctlErrorCode, key: string, message: string, options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.key = key
  }
}

/** What was found out about a key that could not be used. */
interface Circumstances {
  /** The permissions of its file; undefined where there is none. */
  readonly mode?: number | undefined
  /** Whether there are keys where it belongs; a user namespace of its own has an empty directory for IPVS. */
  readonly others: boolean
}

/** Why, in words, and under which code. */
function reason(code: string, segments: readonly string[], writing: boolean, { mode, others }: Circumstances): [SysctlErrorCode, string] {
  const row = sysctlRow(segments)
  switch (code) {
    case 'ENOENT': return [code, absent(segments, row, others)]
    case 'EACCES':
      // The kernel has one code for two things: nobody may, and you may not.
      if (mode !== undefined && (mode & (writing ? 0o222 : 0o444)) !== 0) return ['EPERM', 'the process may not; this needs root or CAP_NET_ADMIN']
      return [code, writing ? 'the kernel lets nobody set it here; it can only be read' : 'it can only be written']
    case 'EPERM': return [code, 'the process may not; this needs CAP_NET_ADMIN in this network namespace']
    case 'EROFS': return [code, '/proc/sys is mounted read-only, as container engines do it; set it outside, or let the engine set it (--sysctl)']
    case 'EINVAL':
    case 'ERANGE': return [code, `the kernel refuses the value${row ? `; it takes ${sysctlWants(row)}` : ': not in its range, or not of its kind'}`]
    case 'EISDIR': return [code, 'it is a directory of keys']
    default: return [code, 'the kernel says no more']
  }
}

function absent([, family, group, device]: readonly string[], row: SysctlRow | undefined, others: boolean): string {
  if (family === 'ipv4' && group === 'vs') {
    if (!others) {
      return 'IPVS is not loaded (modprobe ip_vs), or this network namespace belongs to a container\'s own user namespace, where older kernels hide its keys'
    }
    if (!row) return 'IPVS has no such key'
    return `this kernel has no such key; it came with Linux ${row.since ?? ''}${row.config === undefined ? '' : ` and needs ${row.config}`}`
  }
  if ((group === 'conf' || group === 'neigh') && !others) return `there is no interface ${device ?? ''} in this network namespace`
  return `this kernel has no such key here${row?.since === undefined ? '' : ` (it came with Linux ${row.since})`}, or its module is not loaded`
}

// ── files ──

/**
 * The files below /proc/sys: the seam for tests.
 * @internal
 */
export interface SysctlFiles {
  read(path: string): Promise<string>
  write(path: string, text: string): Promise<void>
  /** Permissions; undefined where there is no such file. */
  mode(path: string): Promise<number | undefined>
  /** The names in a directory; none where there is no such directory. */
  list(path: string): Promise<string[]>
}

const procfs: SysctlFiles = {
  async read(path) {
    const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
    try { return await file.readFile('utf8') } finally { await file.close() }
  },
  async write(path, text) {
    const file = await open(path, constants.O_WRONLY | constants.O_NOFOLLOW)
    // One write: the kernel ignores what comes at another offset.
    try { await file.write(text) } finally { await file.close() }
  },
  mode: path => lstat(path).then(({ mode }) => mode & 0o777, () => undefined),
  list: path => readdir(path).catch(() => []),
}

/** A key, taken apart. */
interface Target {
  readonly segments: readonly string[]
  readonly name: string
  readonly row: SysctlRow | undefined
}

function targetOf(key: SysctlKey): Target {
  const segments = sysctlSegments(key)
  return { segments, name: nameOf(segments), row: sysctlRow(segments) }
}

async function explained(files: SysctlFiles, { segments, name }: Target, error: unknown, text?: string): Promise<unknown> {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') return error
  const [mode, siblings] = await Promise.all([files.mode(pathOf(segments)), files.list(pathOf(segments.slice(0, -1)))])
  const [code, why] = reason(error.code, segments, text !== undefined, { mode, others: siblings.length > 0 })
  const what = text === undefined ? `read ${name}` : `set ${name} to ${JSON.stringify(text)}`
  return new SysctlError(code, name, `cannot ${what}: ${why} (${code})`, { cause: error })
}

async function read(files: SysctlFiles, target: Target, options?: CallOptions): Promise<string> {
  options?.signal?.throwIfAborted()
  try {
    const text = (await files.read(pathOf(target.segments))).replace(/\n$/, '')
    debug('%s = %s', target.name, text)
    return text
  } catch (error) { throw await explained(files, target, error) }
}

async function write(files: SysctlFiles, target: Target, text: string, options?: CallOptions): Promise<void> {
  options?.signal?.throwIfAborted()
  debug('%s := %s', target.name, text)
  // With its newline, as sysctl(8) writes: an empty text alone would change nothing.
  try { await files.write(pathOf(target.segments), `${text}\n`) } catch (error) { throw await explained(files, target, error, text) }
}

/** What is there; undefined where a key can only be written. */
async function before(files: SysctlFiles, target: Target, options?: CallOptions): Promise<string | undefined> {
  try { return await read(files, target, options) } catch (error) {
    if (error instanceof SysctlError && error.code === 'EACCES') return undefined
    throw error
  }
}

/** Sets a key and makes sure of it. Returns what it held. */
async function exchange(files: SysctlFiles, target: Target, text: string, options?: CallOptions): Promise<string | undefined> {
  const old = await before(files, target, options)
  if (old !== undefined) checkShape(target, text, old)
  await write(files, target, text, options)
  if (old === undefined) return old
  const now = await read(files, target)
  if (!same(target.row, text, now)) {
    const both = `was set to ${JSON.stringify(text)} and holds ${JSON.stringify(now)}`
    throw new SysctlError('ERR_SYSCTL_MISMATCH', target.name,
      `${target.name} ${both}: the kernel took it otherwise, or another process set it (ERR_SYSCTL_MISMATCH)`)
  }
  return old
}

/** Of a key that no table knows: as many numbers as it holds, or the kernel takes some and drops the rest. */
function checkShape({ name, row }: Target, text: string, actual: string): void {
  const [there, wanted] = [words(actual), words(text)]
  if (row || there.length === 0 || !there.every(isNumber) || !wanted.every(isNumber) || there.length === wanted.length) return
  throw new RangeError(`sysctl ${name}: it holds ${there.length} number${there.length === 1 ? '' : 's'}, not ${wanted.length}`)
}

// ── plans ──

/** Keys that the kernel carries over to others when they change; those others, with a `*` for each device. */
const SPREADS: Readonly<Record<string, readonly string[]>> = {
  'net.ipv4.ip_forward':            ['net/ipv4/conf/*/forwarding', 'net/ipv4/conf/all/accept_redirects'],
  'net.ipv4.conf.all.forwarding':   ['net/ipv4/conf/*/forwarding', 'net/ipv4/conf/all/accept_redirects'],
  'net.ipv6.conf.all.forwarding':   ['net/ipv6/conf/*/forwarding'],
  'net.ipv6.conf.all.disable_ipv6': ['net/ipv6/conf/*/disable_ipv6'],
}

async function companions(files: SysctlFiles, name: string): Promise<Target[]> {
  const found: Target[] = []
  for (const pattern of SPREADS[name] ?? []) {
    const [parent, key] = pattern.split('/*/') as [string, string?]
    const paths = key === undefined ? [parent] : (await files.list(`/proc/sys/${parent}`)).map(device => `${parent}/${device}/${key}`)
    // A device may have a name that no segment here can have; it is left alone.
    for (const path of paths) if (path.split('/').every(segment => SEGMENT.test(segment))) found.push(targetOf(path.split('/')))
  }
  return found
}

/** What a key held, and what those held that the kernel changes with it. */
async function snapshot(files: SysctlFiles, target: Target): Promise<[Target, string][]> {
  const texts: [Target, string][] = []
  for (const each of [target, ...await companions(files, target.name)]) {
    const text = await before(files, each)
    if (text !== undefined) texts.push([each, text])
  }
  return texts
}

/** Puts back what is not as it was. A key that went away, with its device, took its value along. */
async function restore(files: SysctlFiles, recorded: readonly [Target, string][], options?: CallOptions): Promise<void> {
  for (const [target, text] of recorded) {
    try {
      if (!same(target.row, text, await read(files, target, options))) await exchange(files, target, text, options)
    } catch (error) {
      if (!(error instanceof SysctlError && error.code === 'ENOENT')) throw error
      debug('%s is gone', target.name)
    }
  }
}

interface Wanted {
  readonly target: Target
  readonly text: string
  readonly why: string | undefined
}

/** Settings checked, each key once. @throws TypeError, RangeError naming the key */
function wantedOf(settings: readonly SysctlSetting[]): Wanted[] {
  const wanted = new Map<string, Wanted>()
  for (const { key, value, why } of settings) {
    const target = targetOf(key)
    const text = textOf(target.name, target.row, value)
    const twin = wanted.get(target.name)
    if (twin && twin.text !== text) throw new RangeError(`sysctl ${target.name}: is to be both ${twin.text} and ${text}`)
    if (!twin) wanted.set(target.name, { target, text, why })
  }
  return [...wanted.values()]
}

const settingsOf = (values: SysctlValues | readonly SysctlSetting[]): readonly SysctlSetting[] =>
  isList(values) ? values : Object.entries(values).map(([key, value]) => ({ key, value }))
const isList = (values: SysctlValues | readonly SysctlSetting[]): values is readonly SysctlSetting[] => Array.isArray(values)

/** For a shell. */
const quoted = (text: string): string => /^[\w./:,-]+$/.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`

function stepsOf(files: SysctlFiles, wanted: readonly Wanted[], actual: ReadonlyMap<string, string>): Step[] {
  return wanted.flatMap(({ target, text, why }): Step[] => {
    const there = actual.get(target.name)
    if (there !== undefined) {
      if (same(target.row, text, there)) return []
      checkShape(target, text, there)
    }
    let recorded: [Target, string][] = []
    return [{
      action: 'change', object: 'sysctl', line: `sysctl -w ${target.name}=${quoted(text)}`,
      ...why !== undefined && { why },
      async run(_host, options) {
        recorded = await snapshot(files, target)
        try { await exchange(files, target, text, options) } catch (error) {
          // A step that failed is not undone by its plan: what the kernel made of the value does not stay.
          await restore(files, recorded).catch((also: unknown) => debug('%s not restored: %o', target.name, also))
          throw error
        }
      },
      undo: (_host, options) => restore(files, recorded, options),
    }]
  })
}

/**
 * The steps from what is to what is wanted. Pure; the steps are not.
 *
 * A key that `actual` has not is set all the same: the step records what it finds when it is made, as for a device that an
 * earlier step of the plan adds.
 *
 * @param wanted - Values by key, or settings with their reasons.
 * @param actual - What keys hold, by name, as {@link Sysctl.read} returns it.
 * @throws TypeError, RangeError naming the key
 */
export const sysctlSteps = (wanted: SysctlValues | readonly SysctlSetting[], actual: ReadonlyMap<string, string>): Step[] =>
  stepsOf(procfs, wantedOf(settingsOf(wanted)), actual)

// ── the accessor ──

/** Reads, sets and plans sysctls of this process's network namespace. */
export interface Sysctl {
  /**
   * What a key holds: a number, some numbers, or text.
   *
   * Rejects with {@link SysctlError}, or before anything is opened with a TypeError or RangeError where the key is none.
   */
  get<const K extends SysctlKey>(key: K, options?: CallOptions): Promise<SysctlValueOf<K>>
  /**
   * Sets a key, reads it back and compares.
   *
   * Rejects with {@link SysctlError}, or before anything is opened with a TypeError or RangeError where the key is none or
   * the value not what it takes. Of a key that no table knows, the number of numbers is compared with what it holds before
   * it is written.
   */
  set<const K extends SysctlKey>(key: K, value: SysctlSettingOf<K>, options?: CallOptions): Promise<void>
  /** What keys hold, as text, by their names as `sysctl -a` prints them. Keys that are not there are left out. */
  read(keys: Iterable<SysctlKey>, options?: CallOptions): Promise<Map<string, string>>
  /**
   * What must be set for the keys to hold these values; empty where they do.
   *
   * Reverting the plan restores what each step found when it was made, also where the kernel carried it over to other keys
   * (`ip_forward` to every device). Rejects as {@link Sysctl.get} and {@link Sysctl.set} do.
   */
  plan(values: SysctlValues | readonly SysctlSetting[], options?: CallOptions): Promise<Plan>
}

/**
 * {@link sysctl} on other files.
 * @internal
 */
export function sysctlOver(files: SysctlFiles): Sysctl {
  return {
    async get<K extends SysctlKey>(key: K, options?: CallOptions) {
      const target = targetOf(key)
      return valueOf(target.row, await read(files, target, options)) as SysctlValueOf<K>
    },
    async set(key, value, options) {
      const [{ target, text }] = wantedOf([{ key, value: value }]) as [Wanted]
      await exchange(files, target, text, options)
    },
    async read(keys, options) {
      const targets = Array.from(keys, targetOf)
      const texts = new Map<string, string>()
      for (const target of targets) {
        try { texts.set(target.name, await read(files, target, options)) } catch (error) {
          if (!(error instanceof SysctlError && error.code === 'ENOENT')) throw error
        }
      }
      return texts
    },
    async plan(values, options) {
      const wanted = wantedOf(settingsOf(values))
      const actual = new Map<string, string>()
      for (const { target } of wanted) actual.set(target.name, await read(files, target, options))
      return new Plan(stepsOf(files, wanted, actual))
    },
  }
}

/**
 * The sysctls of this process's network namespace.
 *
 * @example
 * ```ts
 * import { sysctl } from 'ipvs-nl'
 *
 * await sysctl.set('net.ipv4.vs.expire_nodest_conn', true)
 * console.log(await sysctl.get('net.ipv4.vs.sync_threshold')) // [ 3, 50 ]
 * const plan = await sysctl.plan({ 'net.ipv4.conf.all.arp_ignore': 1, 'net.ipv4.conf.all.arp_announce': 2 })
 * console.log(`${plan}`) // ~ sysctl -w net.ipv4.conf.all.arp_ignore=1 …
 * await plan.apply()
 * await plan.revert() // as it was before
 * ```
 */
export const sysctl: Sysctl = sysctlOver(procfs)
