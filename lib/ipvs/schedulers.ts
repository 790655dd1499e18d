/** Schedulers: the names of their flags, and their behaviour towards a real server of weight 0. */

import type { SchedulerFlag, Service, ServiceSettings } from './model.js'

const BITS = ['sched1', 'sched2', 'sched3'] as const

/** The bits that a service has for its scheduler. */
export type SchedulerBit = typeof BITS[number]

/** The scheduler's bits by ipvsadm's names. */
export const schedulerBits: Readonly<Record<SchedulerFlag, SchedulerBit>> = {
  'flag-1':      'sched1',
  'flag-2':      'sched2',
  'flag-3':      'sched3',
  'sh-fallback': 'sched1',
  'sh-port':     'sched2',
  'mh-fallback': 'sched1',
  'mh-port':     'sched2',
}

/** The name of a scheduler's bit: the scheduler's own name where it has one. */
export function schedulerFlagName(scheduler: string, bit: SchedulerBit): SchedulerFlag {
  const own = Object.entries(schedulerBits).find(([name, b]) => b === bit && name.startsWith(`${scheduler}-`))
  return (own?.[0] ?? `flag-${bit.slice(-1)}`) as SchedulerFlag
}

/** The names of some bits, in the order of the bits. */
export const schedulerFlagNames = (
  scheduler: string, has: (bit: SchedulerBit) => boolean | undefined,
): SchedulerFlag[] => BITS.filter(has).map(bit => schedulerFlagName(scheduler, bit))

/** Whether the scheduler still chooses a real server of weight 0, and so refuses its clients. */
export function choosesWeightZero({ scheduler, schedulerFlags }: ServiceSettings): boolean {
  if (scheduler !== 'sh' && scheduler !== 'mh') return scheduler === 'dh'
  return !schedulerFlags.some(flag => schedulerBits[flag] === 'sched1')
}

/**
 * The settings with which a service refuses no client while a real server has weight 0: sh and mh
 * go on to the next real server with their fallback flag; dh has no such flag, and lblc, which also
 * chooses by the destination, replaces it.
 */
export function withFallback<S extends ServiceSettings>(service: S): S {
  const { scheduler, schedulerFlags } = service
  if (!choosesWeightZero(service)) return service
  if (scheduler === 'dh') return { ...service, scheduler: 'lblc' }
  return { ...service, schedulerFlags: [schedulerFlagName(scheduler, 'sched1'), ...schedulerFlags] }
}

/** Whether a service declares drains. A loop: there may be thousands of real servers. */
export function hasDrain(servers: Service['realServers'] | undefined): boolean {
  if (servers) for (const server of servers) if (server.drain) return true
  return false
}

/** The settings of a service, and its declared real servers. */
export type DrainableSettings = ServiceSettings & Partial<Pick<Service, 'realServers'>>

/** The settings of a service with those that its declared drains need. */
export const withDrains = <S extends DrainableSettings>(service: S): S =>
  hasDrain(service.realServers) ? withFallback(service) : service
