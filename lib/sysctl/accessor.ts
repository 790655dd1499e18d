/**
 * Sysctls of the network: read, set and planned, through /proc/sys/net.
 *
 * The kernel takes "010" for 8, "0x1" for 1, the first of "1 2", and any integer for a boolean; it
 * takes "" and changes nothing; and a key with ".." in it writes any file that root can write. So
 * keys are split and checked before a file is opened, values are written in one form, and each
 * written value is read back.
 *
 * @module
 */

import type { CallOptions } from '../../generic-netlink/core.js'
import { callOptions, invalid } from '../base/check.js'
import { Plan } from '../plan/plan.js'
import { SysctlError } from './errors.js'
import { exchange, procfs, read, type SysctlFiles } from './files.js'
import { targetOf, type SysctlKey } from './keys.js'
import { checkSettings, normalizeSysctls, stepsTo, type SysctlSetting } from './steps.js'
import type { SysctlSettingOf, SysctlValueOf } from './tables.js'
import { textOf, valueOf, type SysctlValues } from './values.js'

/** Reads, sets and plans sysctls of this process's network namespace. */
export interface Sysctl {
  /**
   * The value of a key: a number, several numbers, or text.
   *
   * Rejects with {@link SysctlError}; before a file is opened, with a SpecError where
   * the key is invalid.
   */
  get<const K extends SysctlKey>(key: K, options?: CallOptions): Promise<SysctlValueOf<K>>
  /**
   * Sets a key, reads it back and compares.
   *
   * Rejects with {@link SysctlError}; with a SpecError, before a file is opened,
   * where the key is invalid or does not take the value. For a key that no table contains, the
   * count of numbers is compared with the actual one first.
   */
  set<const K extends SysctlKey>(key: K, value: SysctlSettingOf<K>, options?: CallOptions): Promise<void>
  /** The texts of the keys that exist, by their names as `sysctl -a` prints them. */
  read(keys: Iterable<SysctlKey>, options?: CallOptions): Promise<Map<string, string>>
  /**
   * The changes after which the keys hold these values; empty where they do.
   *
   * Reverting the plan restores the values that each step found, also those of other keys to which
   * the kernel copied the value (`ip_forward` to every device). Rejects as {@link Sysctl.get} and
   * {@link Sysctl.set} do.
   */
  plan(values: SysctlValues | readonly SysctlSetting[], options?: CallOptions): Promise<Plan>
}

/** Keys in a list, a set or what else yields them; text would yield its characters. */
function checkKeys(keys: unknown): Iterable<SysctlKey> {
  if (typeof keys === 'object' && keys !== null && Symbol.iterator in keys) return keys as Iterable<SysctlKey>
  throw invalid('keys', keys, 'a list of keys')
}

/** {@link sysctl} on other files. @internal */
export function sysctlOver(files: SysctlFiles): Sysctl {
  return {
    async get<K extends SysctlKey>(key: K, options?: CallOptions) {
      const target = targetOf(key)
      return valueOf(target.row, await read(files, target, callOptions(options))) as SysctlValueOf<K>
    },
    async set(key, value, options) {
      const target = targetOf(key)
      await exchange(files, target, textOf(target, value), callOptions(options))
    },
    async read(keys, given) {
      const targets = Array.from(checkKeys(keys), targetOf), options = callOptions(given)
      const texts = new Map<string, string>()
      for (const target of targets) {
        try { texts.set(target.name, await read(files, target, options)) } catch (error) {
          if (!(error instanceof SysctlError && error.code === 'ENOENT')) throw error
        }
      }
      return texts
    },
    async plan(values, given) {
      const wanted = normalizeSysctls(checkSettings(values)), options = callOptions(given)
      const actual = new Map<string, string>()
      for (const { target } of wanted) actual.set(target.name, await read(files, target, options))
      return new Plan(stepsTo(files, wanted, actual))
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
 * const plan = await sysctl.plan({ 'net.ipv4.conf.all.arp_ignore': 1 })
 * console.log(`${plan}`) // ~ sysctl -w net.ipv4.conf.all.arp_ignore=1
 * await plan.apply()
 * await plan.revert() // as it was before
 * ```
 */
export const sysctl: Sysctl = sysctlOver(procfs)
