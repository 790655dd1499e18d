/** Connection synchronisation: one director tells another of its connections, so that the other can take over. */

import type { DaemonAttributes } from '../../generic-netlink/index.js'
import { familyOf, isMulticast } from '../base/address.js'
import { address, integer, interfaceName, oneOf } from '../base/check.js'

/** A synchronisation daemon to start. */
export interface SyncDaemonSpec {
  /** A `master` tells, a `backup` listens. One of each may run. */
  readonly state: 'master' | 'backup'
  /** The interface that carries the multicast. */
  readonly interface: string
  /** Who listens to whom, 0 to 255: a backup hears masters of its own id; 0 hears all. @defaultValue 0 */
  readonly syncId?: number
  /** Payload of a datagram in bytes, 1 to 65507. @defaultValue what the interface's MTU allows */
  readonly maxLength?: number
  /** The multicast group, IPv4 or IPv6. @defaultValue `'224.0.0.81'` */
  readonly group?: string
  /** UDP port, 1 to 65535. @defaultValue 8848 */
  readonly port?: number
  /** Time to live of the multicast, 1 to 255. @defaultValue 1 */
  readonly ttl?: number
}

/** A synchronisation daemon that runs. */
export interface SyncDaemonState extends Required<SyncDaemonSpec> {}

/** @throws TypeError, RangeError naming the field */
export function daemonAttributes({ state, interface: name, syncId = 0, maxLength, group, port, ttl }: SyncDaemonSpec): DaemonAttributes {
  const multicast = group === undefined ? undefined : address('group', group)
  if (multicast !== undefined && !isMulticast(multicast)) throw new RangeError(`group: ${multicast} is not a multicast address`)
  return {
    state: oneOf('state', state, ['master', 'backup']),
    mcastIfn: interfaceName('interface', name),
    syncId: integer('syncId', syncId, 0, 255),
    ...maxLength !== undefined && { syncMaxlen: integer('maxLength', maxLength, 1, 65507) },
    ...multicast !== undefined && (familyOf(multicast) === 'inet' ? { mcastGroup: multicast } : { mcastGroup6: multicast }),
    ...port !== undefined && { mcastPort: integer('port', port, 1, 65535) },
    ...ttl !== undefined && { mcastTtl: integer('ttl', ttl, 1, 255) },
  }
}

/** A daemon as `getDaemon` answers it. */
export function readDaemon(daemon: DaemonAttributes): SyncDaemonState {
  const { state, mcastIfn = '', syncId = 0, syncMaxlen = 0, mcastGroup, mcastGroup6, mcastPort = 0, mcastTtl = 0 } = daemon
  return {
    state: state === 'backup' ? 'backup' : 'master',
    interface: mcastIfn,
    syncId,
    maxLength: syncMaxlen,
    group: mcastGroup ?? mcastGroup6 ?? '',
    port: mcastPort,
    ttl: mcastTtl,
  }
}

/** A daemon as `ipvsadm --start-daemon` is told: `master --mcast-interface eth0 --syncid 7`. */
export function syncDaemonArguments({ state, interface: name, syncId, maxLength, group, port, ttl }: SyncDaemonSpec): string {
  const options = {
    '--mcast-interface': name, '--syncid': syncId, '--sync-maxlen': maxLength, '--mcast-group': group, '--mcast-port': port, '--mcast-ttl': ttl,
  }
  return [state, ...Object.entries(options).flatMap(([option, value]) => value === undefined ? [] : [`${option} ${value}`])].join(' ')
}
