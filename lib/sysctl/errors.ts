/** Errors of sysctls: the reason why a key could not be read or set, as a sentence. */

import type { Target } from './keys.js'
import { sysctlRange } from './values.js'

/** The reason why a sysctl could not be read or set. */
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

/** Facts about a key that could not be used. */
export interface Circumstances {
  /** The permissions of its file; undefined where there is none. */
  readonly mode?: number | undefined
  /** Whether its directory has other keys: for IPVS, a user namespace of its own has it empty. */
  readonly others: boolean
}

/** The code and the reason for a system error. */
export function reasonFor(
  code: string, target: Target, writing: boolean, { mode, others }: Circumstances,
): [SysctlErrorCode, string] {
  const range = target.row ? `; it takes ${sysctlRange(target.row)}` : ': not in its range, or not of its kind'
  switch (code) {
    case 'ENOENT': return [code, missing(target, others)]
    case 'EACCES':
      // The kernel has one code for two cases: nobody may, and this process may not.
      if (mode !== undefined && (mode & (writing ? 0o222 : 0o444)) !== 0) {
        return ['EPERM', 'the process may not; this needs root or CAP_NET_ADMIN']
      }
      return [code, writing ? 'the kernel lets nobody set it here; it can only be read' : 'it can only be written']
    case 'EPERM': return [code, 'the process may not; this needs CAP_NET_ADMIN in this network namespace']
    case 'EROFS':
      return [code,
        '/proc/sys is read-only, as container engines mount it; set it outside, or by the engine (--sysctl)']
    case 'EINVAL':
    case 'ERANGE': return [code, `the kernel refuses the value${range}`]
    case 'EISDIR': return [code, 'it is a directory of keys']
    default: return [code, 'the kernel gives no reason']
  }
}

function missing({ segments: [, family, group, device], row }: Target, others: boolean): string {
  const since = row?.since === undefined ? undefined : `it came with Linux ${row.since}`
  if (family === 'ipv4' && group === 'vs') {
    if (!others) {
      return 'IPVS is not loaded (modprobe ip_vs), or this network namespace belongs to a container\'s own user'
        + ' namespace, where older kernels hide its keys'
    }
    if (!row) return 'IPVS has no such key'
    return `this kernel has no such key; ${since ?? ''}${row.config === undefined ? '' : ` and needs ${row.config}`}`
  }
  if ((group === 'conf' || group === 'neigh') && !others) {
    return `there is no interface ${device ?? ''} in this network namespace`
  }
  return `this kernel has no such key here${since === undefined ? '' : ` (${since})`}, or its module is not loaded`
}
