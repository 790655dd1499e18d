/** The times for which the kernel keeps idle connections. */

import type { CommandAttributes } from '../../generic-netlink/families/ipvs.js'
import { integer } from '../base/check.js'
import { fieldSet, type Field } from '../base/field.js'
import type { Step } from '../plan/plan.js'
import { openIpvs } from './client.js'
import { LONGEST_TIMEOUT } from './service.js'

/** The times for which the kernel keeps an idle connection, in seconds. */
export interface Timeouts {
  /** An established TCP connection. */
  tcp: number
  /** A TCP connection after a FIN. */
  tcpFin: number
  /** UDP, after a datagram. */
  udp: number
}

/** The kernel keeps its value where a command has 0. */
const seconds = (attribute: 'timeoutTcp' | 'timeoutTcpFin' | 'timeoutUdp'): Field<CommandAttributes> => ({
  otherwise: 0,
  check: (path, value) => value === 0 ? 0 : integer(path, value, 1, LONGEST_TIMEOUT),
  write(to, value) { to[attribute] = value as number },
  read: from => from[attribute] ?? 0,
  words: String,
  explicit: true,
  same: (wanted, actual) => wanted === 0 || wanted === actual,
})

const timeoutFields = fieldSet<Timeouts, CommandAttributes>()('timeouts', {
  tcp: seconds('timeoutTcp'), tcpFin: seconds('timeoutTcpFin'), udp: seconds('timeoutUdp'),
})

/** Timeouts in their normal form. @throws SpecError naming the field below `path` */
export const normalizeTimeouts = (timeouts: Partial<Timeouts>, path = ''): Timeouts =>
  timeoutFields.normalize(timeouts, path)

/** The attributes of `setConfig` for timeouts in their normal form. */
export const timeoutAttributes = (timeouts: Timeouts): CommandAttributes => timeoutFields.write({}, timeouts, undefined)

/** The timeouts of `getConfig`. */
export const readTimeouts = (attributes: CommandAttributes): Timeouts =>
  timeoutFields.read(attributes, undefined) as Timeouts

/** The step from the actual to the wanted timeouts, if they differ. */
export function timeoutSteps(wanted: Timeouts, actual: Timeouts): Step[] {
  if (timeoutFields.differences(wanted, actual).length === 0) return []
  const after: Timeouts = {
    tcp: wanted.tcp || actual.tcp, tcpFin: wanted.tcpFin || actual.tcpFin, udp: wanted.udp || actual.udp,
  }
  const set = (timeouts: Timeouts): Step['run'] => async (session, options) => {
    await (await session.use(openIpvs, options)).call('setConfig', timeoutAttributes(timeouts), options)
  }
  const line = `ipvsadm --set ${timeoutFields.words(after)}`
  return [{ action: 'change', object: 'timeouts', line, run: set(after), undo: set(actual) }]
}
