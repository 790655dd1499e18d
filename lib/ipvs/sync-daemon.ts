/** Connection synchronisation: a director sends its connections to another, which can take over. */

import type { DaemonAttributes } from '../../generic-netlink/families/ipvs.js'
import { familyOf, isMulticast } from '../base/address.js'
import { address, integer, interfaceName, oneOf, SpecError } from '../base/check.js'
import { fieldSet, type Field } from '../base/field.js'
import type { Step } from '../plan/plan.js'
import { openIpvs } from './client.js'

/** A synchronisation daemon to start. */
export interface SyncDaemonSpec {
  /** A `master` sends, a `backup` receives. One of each may run. */
  readonly state: 'master' | 'backup'
  /** The link that carries the multicast. */
  readonly link: string
  /** A backup receives from masters of the same id, 0 to 255; with 0, from all. @defaultValue 0 */
  readonly syncId?: number
  /**
   * Payload of a datagram in bytes, 1 to 65507. As in the kernel, a backup has at least 1024, and a
   * daemon with an IPv6 group at most 65487. @defaultValue the largest for the link's MTU
   */
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

/** The state of a daemon. @throws SpecError naming the path */
export const checkSyncState = (path: string, value: unknown): SyncDaemonSpec['state'] =>
  oneOf(path, value, ['master', 'backup'])

const number = (
  attribute: 'syncId' | 'syncMaxlen' | 'mcastPort' | 'mcastTtl', option: string, min: number, max: number,
): Field<DaemonAttributes> => ({
  check: (path, value) => integer(path, value, min, max),
  write(to, value) { to[attribute] = value as number },
  read: from => from[attribute] ?? 0,
  words: value => `${option} ${value as number}`,
})

/** Fields without a default are the kernel's choice where a spec leaves them out. */
const daemons = fieldSet<SyncDaemonSpec, DaemonAttributes>()('sync daemon', {
  state: {
    check: checkSyncState,
    write(to, value) { to.state = value as SyncDaemonSpec['state'] },
    read: ({ state }) => state === 'backup' ? 'backup' : 'master',
    words: String,
  },
  link: {
    check: interfaceName,
    write(to, value) { to.mcastIfn = value as string },
    read: ({ mcastIfn = '' }) => mcastIfn,
    words: value => `--mcast-interface ${value as string}`,
  },
  syncId: { otherwise: 0, ...number('syncId', '--syncid', 0, 255) },
  maxLength: number('syncMaxlen', '--sync-maxlen', 1, 65507),
  group: {
    check: (path, value) => {
      const group = address(path, value)
      if (!isMulticast(group)) throw new SpecError(path, `${group} is not a multicast address`)
      return group
    },
    write(to, value) { to[familyOf(value as string) === 'inet' ? 'mcastGroup' : 'mcastGroup6'] = value as string },
    read: ({ mcastGroup, mcastGroup6 }) => mcastGroup ?? mcastGroup6 ?? '',
    words: value => `--mcast-group ${value as string}`,
  },
  port: number('mcastPort', '--mcast-port', 1, 65535),
  ttl: number('mcastTtl', '--mcast-ttl', 1, 255),
}, {
  verify: ({ state, link }) => {
    checkSyncState('state', state)
    interfaceName('link', link)
  },
})

/** A daemon in its normal form. @throws SpecError naming the field below `path` */
export function normalizeSyncDaemon(spec: SyncDaemonSpec, path = ''): SyncDaemonSpec {
  const daemon = daemons.normalize(spec, path)
  if (daemon.maxLength === undefined) return daemon
  const least = daemon.state === 'backup' ? LEAST_BACKUP_LENGTH : 1
  const most = LARGEST_PACKET - (familyOf(daemon.group ?? '') === 'inet6' ? 48 : 28)
  return { ...daemon, maxLength: Math.min(Math.max(daemon.maxLength, least), most) }
}

/** The kernel's limits (`start_sync_thread`), to which it raises or lowers a payload in silence. */
const LEAST_BACKUP_LENGTH = 1024, LARGEST_PACKET = 65535

/** The attributes of `newDaemon` for a daemon in its normal form. */
export const daemonAttributes = (daemon: SyncDaemonSpec): DaemonAttributes => daemons.write({}, daemon, undefined)

/** A daemon of `getDaemon`. */
export const readDaemon = (attributes: DaemonAttributes): SyncDaemonState =>
  daemons.read(attributes, undefined) as SyncDaemonState

/** The arguments of `ipvsadm --start-daemon`: `master --mcast-interface eth0 --syncid 7`. */
export const syncDaemonArguments = (daemon: SyncDaemonSpec): string => daemons.words(daemon)

/** The steps to the wanted daemons; one that differs is started anew, `prune` stops the others. */
export function syncDaemonSteps(
  wanted: readonly SyncDaemonSpec[], actual: readonly SyncDaemonState[], prune: boolean,
): Step[] {
  const running = new Map(actual.map(daemon => [daemon.state, daemon]))
  const steps = wanted.flatMap(daemon => {
    const before = running.get(daemon.state)
    running.delete(daemon.state)
    if (before && daemons.differences(daemon, before).length === 0) return []
    return [...before ? [stopping(before)] : [], starting(daemon)]
  })
  return [...steps, ...prune ? [...running.values()].map(stopping) : []]
}

const start = (daemon: SyncDaemonSpec): Step['run'] => async (session, options) => {
  await (await session.use(openIpvs, options)).call('newDaemon', { daemon: daemonAttributes(daemon) }, options)
}
const stop = ({ state }: SyncDaemonSpec): Step['run'] => async (session, options) => {
  await (await session.use(openIpvs, options)).call('delDaemon', { daemon: { state } }, options)
}
const starting = (daemon: SyncDaemonSpec): Step => ({
  action: 'add', object: 'sync daemon', line: `ipvsadm --start-daemon ${syncDaemonArguments(daemon)}`,
  run: start(daemon), undo: stop(daemon),
})
const stopping = (daemon: SyncDaemonState): Step => ({
  action: 'remove', object: 'sync daemon', line: `ipvsadm --stop-daemon ${daemon.state}`,
  run: stop(daemon), undo: start(daemon),
})
