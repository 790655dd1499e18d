/** What a director does: operations of a test's hosts. */

import { Director } from '../../lib/api/director.js'
import { DrainError, type DrainOptions, type DrainProgress } from '../../lib/api/drain-options.js'
import type { VirtualServiceSpec } from '../../lib/ipvs/model.js'
import type { DirectorSpec, PlanOptions } from '../../lib/api/director-plan.js'
import { VirtualService } from '../../lib/api/virtual-service.js'

let opened: Promise<Director> | undefined
/** One for all that is asked, as a control plane has; `forget` stands for its restart. */
const director = (): Promise<Director> => opened ??= Director.open()

const serviceOf = async (spec: VirtualServiceSpec): Promise<VirtualService> => VirtualService.open(spec, { director: await director() })

export const directing = {
  /** Makes a plan and applies it; its text. */
  async direct({ spec, ...options }: { spec: DirectorSpec } & Pick<PlanOptions, 'prune' | 'force'>) {
    const plan = await (await director()).plan(spec, options)
    await plan.apply()
    return `${plan}`
  },
  /** What a plan would change; its text. */
  async planned({ spec, ...options }: { spec: DirectorSpec } & Pick<PlanOptions, 'prune'>) { return `${await (await director()).plan(spec, options)}` },
  /** Drains; the counts that were told, with the error at the end where there was one. */
  async drain({ service, server, ...options }: { service: VirtualServiceSpec; server: string } & Omit<DrainOptions, 'progress' | 'signal'>) {
    const told: Pick<DrainProgress, 'activeConnections' | 'inactiveConnections' | 'prepared'>[] = []
    try {
      await (await serviceOf(service)).realServer(server).drain({
        ...options, progress: ({ activeConnections, inactiveConnections, prepared }) => told.push({ activeConnections, inactiveConnections, prepared }),
      })
      return { told, code: undefined, message: '' }
    } catch (error) {
      if (!(error instanceof DrainError)) throw error
      return { told, code: error.code, message: error.message }
    }
  },
  async undrain({ service, server }: { service: VirtualServiceSpec; server: string }) { await (await serviceOf(service)).realServer(server).undrain() },
  async take({ service, server }: { service: VirtualServiceSpec; server: string }) { await (await serviceOf(service)).realServer(server).remove() },
  async weigh({ service, server, weight }: { service: VirtualServiceSpec; server: string; weight: number }) { await (await serviceOf(service)).realServer(server).setWeight(weight) },
  /** Connections that were scheduled, by service, and what each real server has now. */
  async counters() {
    return (await (await director()).list()).map(({ stats, realServers, ...service }) => ({
      name: `${service.protocol ?? service.fwmark}`, connections: Number(stats.connections), scheduler: service.scheduler,
      servers: Object.fromEntries(realServers.map(server => [server.address, {
        weight: server.weight, connections: Number(server.stats.connections), active: server.activeConnections, inactive: server.inactiveConnections,
      }])),
    }))
  },
  /** Has the next operation begin as a new process would. */
  async forget() {
    const closed = await opened
    closed?.ipvs.overrides.clear()
    await closed?.close()
    opened = undefined
  },
}
