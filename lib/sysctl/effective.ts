/** The effective values of `net.ipv4.conf`: `conf.all` and `conf.DEVICE` together. Pure. */

import { ipv4ConfSysctls } from './tables.js'

/** The effective value of a key; the sentence names the key that decides, and the meaning. */
export interface EffectiveSysctl { readonly value: number; readonly sentence: string }

/**
 * The effective value of a key under `net.ipv4.conf` for a device. For most keys it is the
 * larger of `conf.all` and `conf.DEVICE`: switching `rp_filter` off for a device changes nothing
 * while `conf.all` has it on.
 *
 * @example
 * ```ts
 * import { effectiveSysctl } from 'ipvs-nl'
 *
 * console.log(effectiveSysctl('rp_filter', 'tun0', { all: 1, device: 0 }).sentence)
 * // rp_filter of tun0 is in effect 1: the larger of conf.all (1) and conf.tun0 (0) counts; …
 * ```
 */
export function effectiveSysctl(
  name: keyof typeof ipv4ConfSysctls, device: string, values: { readonly all: number; readonly device: number },
): EffectiveSysctl {
  const { counts, meaning } = ipv4ConfSysctls[name]
  const value = counts === 'device' ? values.device : Math.max(values.all, values.device)
  const which = counts === 'device' ? `conf.${device} alone counts`
    : `the larger of conf.all (${values.all}) and conf.${device} (${values.device}) counts`
  return { value, sentence: `${name} of ${device} is in effect ${value}: ${which}; ${meaning}` }
}
