/** The steps from the actual values of sysctls to the wanted ones. */

import type { Step } from '../plan/plan.js'
import { atPath, invalid, optionsOf, SpecError, text } from '../base/check.js'
import type { CallOptions } from '../../generic-netlink/core.js'
import { SysctlError } from './errors.js'
import { exchange, log, procfs, read, readIfReadable, type SysctlFiles } from './files.js'
import { isSegment, targetOf, type SysctlKey, type Target } from './keys.js'
import { checkCount, sameText, textOf, type SysctlValue, type SysctlValues } from './values.js'

/** A key with the value that it should hold. */
export interface SysctlSetting {
  readonly key: SysctlKey
  readonly value: SysctlValue
  /** Why it is needed: shown in the plan. */
  readonly why?: string
}

const settingFields = optionsOf<SysctlSetting>({
  key: (_, value) => value as SysctlKey, value: (_, value) => value as SysctlValue, why: text,
}, 'setting')

/** Checks the form of settings; keys and values have their own checks. @throws SpecError */
export function checkSettings(values: unknown, path = 'values'): SysctlValues | readonly SysctlSetting[] {
  if (Array.isArray(values)) return values.map((each: SysctlSetting, i) => settingFields(each, atPath(path, i)))
  if (typeof values === 'object' && values !== null) return values as SysctlValues
  throw invalid(path, values, 'an object or a list')
}

/** A setting in its normal form. */
export interface Wanted {
  readonly target: Target
  readonly text: string
  readonly why: string | undefined
}

/** The key under which the kernel has the same value, for keys that are second names. */
const SAME: Readonly<Record<string, string>> = { 'net.ipv4.conf.all.forwarding': 'net.ipv4.ip_forward' }

/**
 * Settings in their normal form, each key once.
 * @throws SpecError naming the key, also where two names of one sysctl have different values
 */
export function normalizeSysctls(values: SysctlValues | readonly SysctlSetting[]): Wanted[] {
  const settings = Array.isArray(values) ? values as readonly SysctlSetting[]
    : Object.entries(values as SysctlValues).map(([key, value]): SysctlSetting => ({ key, value }))
  const wanted = new Map<string, Wanted>(), texts = new Map<string, Wanted>()
  for (const { key, value, why } of settings) {
    const target = targetOf(key)
    const text = textOf(target, value)
    const sysctl = SAME[target.name] ?? target.name, other = texts.get(sysctl)
    if (other && other.text !== text) {
      const same = other.target.name === target.name ? '' : `is the same value as ${other.target.name}, and `
      throw new SpecError(`sysctl ${target.name}`, `${same}cannot be both ${other.text} and ${text}`)
    }
    const each = { target, text, why }
    if (!other) texts.set(sysctl, each)
    if (!wanted.has(target.name)) wanted.set(target.name, each)
  }
  return [...wanted.values()]
}

/** Keys whose value the kernel copies to other keys; those keys, with a `*` for each device. */
const COPIES: Readonly<Record<string, readonly string[]>> = {
  'net.ipv4.ip_forward':            ['net/ipv4/conf/*/forwarding', 'net/ipv4/conf/all/accept_redirects'],
  'net.ipv4.conf.all.forwarding':   ['net/ipv4/conf/*/forwarding', 'net/ipv4/conf/all/accept_redirects'],
  'net.ipv6.conf.all.forwarding':   ['net/ipv6/conf/*/forwarding'],
  'net.ipv6.conf.all.disable_ipv6': ['net/ipv6/conf/*/disable_ipv6'],
}

/** The keys to which the kernel copies the value of a key. */
async function copiesOf(files: SysctlFiles, { name }: Target): Promise<Target[]> {
  const found: Target[] = []
  for (const pattern of COPIES[name] ?? []) {
    const [parent, key] = pattern.split('/*/') as [string, string?]
    const paths = key === undefined
      ? [parent]
      : (await files.list(`/proc/sys/${parent}`)).map(device => `${parent}/${device}/${key}`)
    // The name of a device may be no segment; such a device is left alone.
    for (const path of paths) if (path.split('/').every(isSegment)) found.push(targetOf(path.split('/')))
  }
  return found
}

type Recorded = readonly (readonly [target: Target, text: string])[]

/** The values of a key, and of the keys to which the kernel copies it. */
async function record(files: SysctlFiles, target: Target): Promise<Recorded> {
  const texts: [Target, string][] = []
  for (const each of [target, ...await copiesOf(files, target)]) {
    const text = await readIfReadable(files, each)
    if (text !== undefined) texts.push([each, text])
  }
  return texts
}

/** Restores recorded values that differ now. Leaves out a key that is gone with its device. */
async function restore(files: SysctlFiles, recorded: Recorded, options?: CallOptions): Promise<void> {
  for (const [target, text] of recorded) {
    try {
      if (!sameText(target.row, text, await read(files, target, options))) await exchange(files, target, text, options)
    } catch (error) {
      if (!(error instanceof SysctlError && error.code === 'ENOENT')) throw error
      log('%s is gone', target.name)
    }
  }
}

/** A text for a shell. */
const quoted = (text: string): string => /^[\w./:,-]+$/.test(text) ? text : `'${text.replaceAll('\'', '\'\\\'\'')}'`

function setting(files: SysctlFiles, { target, text, why }: Wanted): Step {
  let recorded: Recorded = []
  return {
    action: 'change', object: 'sysctl', sets: target.name,
    line: `sysctl -w ${target.name}=${quoted(text)}`,
    ...why !== undefined && { why },
    async run(_session, options) {
      recorded = await record(files, target)
      try { await exchange(files, target, text, options) } catch (error) {
        // A plan does not undo a step that failed: the kernel's version of the value does not stay.
        await restore(files, recorded).catch((also: unknown) => { log('%s not restored: %o', target.name, also) })
        throw error
      }
    },
    undo: (_session, options) => restore(files, recorded, options),
  }
}

/** {@link sysctlSteps} with normalized settings, on other files. @internal */
export function stepsTo(files: SysctlFiles, wanted: readonly Wanted[], actual: ReadonlyMap<string, string>): Step[] {
  return wanted.flatMap(each => {
    const { target, text } = each, present = actual.get(target.name)
    if (present !== undefined && sameText(target.row, text, present)) return []
    if (present !== undefined) checkCount(target, text, present)
    return [setting(files, each)]
  })
}

/**
 * The steps from the actual values to the wanted ones. Pure; the steps are not.
 *
 * A key that `actual` lacks is set as well: its step records the value that it finds,
 * as for a device that an earlier step of the plan adds.
 *
 * @param wanted - Values by key, or settings with their reasons.
 * @param actual - The texts of keys, by name, as {@link Sysctl.read} returns them.
 * @throws SpecError naming the key
 */
export const sysctlSteps = (
  wanted: SysctlValues | readonly SysctlSetting[], actual: ReadonlyMap<string, string>,
): Step[] => stepsTo(procfs, normalizeSysctls(wanted), actual)
