/** UDP ports at which the kernel unwraps tunnels: what real servers need for IPVS's GUE. */

import {
  Connection, FamilyClient, NETLINK_GENERIC,
  type CallOptions, type ConnectionOptions,
} from '../../generic-netlink/core.js'
import { fou, type FouPortAttributes } from '../../generic-netlink/families/fou.js'
import type { Family } from '../base/address.js'
import { atPath, openOptions, optionsOf, SpecError } from '../base/check.js'
import { explained, refusal, type Asked, type Reasons } from '../base/explain.js'
import { among, attribute, defined, fieldSet, inRange } from '../base/field.js'
import type { Step } from '../plan/plan.js'
import { byKey, Resource, stepOn, type ResourceKind } from '../plan/resource.js'

/** The fields that identify a UDP port of this host. */
export interface FouPortId {
  /** 1 to 65535. */
  readonly port: number
  /** The family of the outer packets. @defaultValue `'inet'` */
  readonly family?: Family
}

/** A UDP port that unwraps packets: GUE, which names their protocol, or one protocol directly. */
export type FouPortSpec = FouPortId & (
  | { readonly kind?: 'gue'; readonly protocol?: never }
  | {
    readonly kind: 'direct'
    /** The protocol of the packets, 1 to 255: 4 is IPv4, 41 IPv6, 47 GRE. */
    readonly protocol: number
  })

/** A change of a port: the fields that identify it, and those that change. */
export type FouPortPatch = FouPortId & { readonly kind?: 'gue' | 'direct'; readonly protocol?: number }

/** A UDP port that unwraps packets. */
export interface FouPortState extends Required<FouPortId> {
  readonly kind: 'gue' | 'direct' | number
  /** The protocol of the packets, for a direct port. */
  readonly protocol?: number
}

/** Which ports are listed; all conditions must hold. */
export interface FouPortFilter extends Partial<FouPortId> {}

// ── the kernel ──

const REASONS: Reasons = {
  'add port EADDRINUSE':   'another one exists, or other software uses this UDP port',
  'add port EALREADY':     'it exists already',
  'add port EAFNOSUPPORT': 'the kernel has no IPv6 here',
  'add port EINVAL':       'the kernel takes no such port; for IPv6 it needs its module fou6 (modprobe fou6)',
  'remove port EINVAL':    'it does not exist',
  'remove port ENOENT':    'it does not exist',
  '* port ENOENT':         'the kernel\'s module fou is not loaded, and nothing loads it automatically: modprobe fou'
    + ' (for IPv6 also fou6)',
  '* port EPERM':          'this needs CAP_NET_ADMIN in the user namespace that owns this network namespace',
}
const LISTING: Asked = { verb: 'list', kind: 'port', object: 'fou ports' }

/** The kernel's table of ports. Methods reject with a NetlinkError that explains the refusal. */
class FouClient {
  readonly #connection: Connection
  readonly #client: FamilyClient<typeof fou.commands>

  constructor(connection: Connection, client: FamilyClient<typeof fou.commands>) {
    this.#connection = connection
    this.#client = client
  }

  static async open({ signal, ...options }: CallOptions & ConnectionOptions = {}): Promise<FouClient> {
    const connection = new Connection(NETLINK_GENERIC, options)
    try { return new FouClient(connection, await FamilyClient.find(connection, fou, { signal })) } catch (error) {
      connection.close()
      throw explained(error, LISTING, REASONS)
    }
  }

  async list(options?: CallOptions): Promise<FouPortState[]> {
    try { return await this.#client.dump('get', {}, { ...options, map: readFouPort }) } catch (error) {
      throw explained(error, LISTING, REASONS)
    }
  }

  add(port: FouPortState, options?: CallOptions): Promise<void> {
    return this.#call('add', fouPortAttributes(port), port, options)
  }

  remove(port: Required<FouPortId>, options?: CallOptions): Promise<void> {
    return this.#call('del', { port: port.port, af: port.family }, port, options)
  }

  close(): void { this.#connection.close() }

  async #call(
    command: 'add' | 'del', attributes: FouPortAttributes, port: Required<FouPortId>, options?: CallOptions,
  ): Promise<void> {
    const asked = { verb: command === 'add' ? 'add' : 'remove', kind: 'port', object: nameOf(port) }
    try { await this.#client.call(command, attributes, { ...options, object: asked.object }) } catch (error) {
      throw explained(error, asked, REASONS)
    }
  }
}

const openFou = (options?: CallOptions): Promise<FouClient> => FouClient.open(options)

// ── fields ──

const fields = fieldSet<FouPortSpec, FouPortAttributes>()('port', {
  port: attribute('port', inRange(1, 65535), { word: 'port', read: ({ port = 0 }) => port }),
  kind: attribute('type', among(['gue', 'direct']), {
    otherwise: 'gue', explicit: true, read: ({ type = 0 }) => type, words: value => value === 'gue' ? 'gue' : '',
  }),
  protocol: {
    ...attribute('ipproto', inRange(1, 255), { word: 'ipproto' }),
    read: ({ type, ipproto = 0 }) => type === 'direct' ? ipproto : undefined,
  },
  family: attribute('af', among(['inet', 'inet6']), { otherwise: 'inet', words: () => '-6' }),
}, {
  verify({ kind, protocol }) {
    if (kind === 'direct' && protocol === undefined) {
      throw new SpecError('protocol', 'is required for a direct port (1 to 255)')
    }
    if (kind === 'gue' && protocol !== undefined) {
      throw new SpecError('protocol', 'only a direct port has one; GUE names the protocol in each packet')
    }
  },
})

const normalizeId = (id: FouPortId, path = ''): Required<FouPortId> => {
  const { port = null, family } = fields.checkNames(id, path)
  return { family: 'inet', ...fields.pick({ port, family }, path) } as Required<FouPortId>
}

/** A spec in its normal form. @throws SpecError naming the field below `path` */
export const normalizeFouPort = (spec: FouPortSpec, path = ''): FouPortState => {
  normalizeId(spec, path)
  return fields.normalize(spec, path) as FouPortState
}

/** @internal */
export const fouPortAttributes = (port: FouPortState): FouPortAttributes => fields.write({}, port, undefined)
/** @internal */
export const readFouPort = (attributes: FouPortAttributes): FouPortState =>
  fields.read(attributes, undefined) as FouPortState

const keyOf = ({ port, family = 'inet' }: FouPortId): string => `${port} ${family}`
const nameOf = ({ port, family }: FouPortId): string => `fou port ${port}${family === 'inet6' ? ' (IPv6)' : ''}`

// ── steps ──

const adding = (port: FouPortState): Step => stepOn(openFou, {
  action: 'add', object: 'fou port', line: `ip fou add ${fields.words(port)}`,
  run: (client, options) => client.add(port, options),
  undo: (client, options) => client.remove(port, options),
})

const removing = (port: FouPortState, why?: string): Step => stepOn(openFou, {
  action: 'remove', object: 'fou port', why,
  line: `ip fou del port ${port.port}${port.family === 'inet6' ? ' -6' : ''}`,
  run: (client, options) => client.remove(port, options),
  undo: (client, options) => client.add(port, options),
})

/** The steps to the wanted ports; others stay. Pure. @throws as {@link normalizeFouPort} */
export function fouSteps(wanted: readonly FouPortSpec[], actual: readonly FouPortState[]): Step[] {
  const ports = byKey('ports', wanted.map((spec, i) => normalizeFouPort(spec, atPath('ports', i))), keyOf, nameOf)
  const present = new Map(actual.map(port => [keyOf(port), port]))
  return [...ports].flatMap(([key, port]) => {
    const state = present.get(key)
    if (!state) return [adding(port)]
    return state.kind === port.kind && state.protocol === port.protocol
      ? []
      : [removing(state, 'the kernel cannot change what a port carries'), adding(port)]
  })
}

/** The steps that remove those of the ports that exist. Pure. @throws as {@link fouSteps} */
export function fouRemovals(unwanted: readonly FouPortId[], actual: readonly FouPortState[]): Step[] {
  const keys = new Set(unwanted.map((id, i) => keyOf(normalizeId(id, atPath('ports', i)))))
  return actual.filter(port => keys.has(keyOf(port))).map(port => removing(port))
}

// ── the resource ──

const portKind: ResourceKind<FouClient, FouPortSpec, FouPortId, FouPortState, FouPortFilter, FouPortPatch> = {
  plural: 'ports',
  open: openFou,
  filter: optionsOf<FouPortFilter>({ port: inRange(1, 65535), family: among(['inet', 'inet6']) }, 'filter'),
  async list(client, { port, family }, options) {
    return (await client.list(options)).filter(
      state => (port === undefined || state.port === port) && (family === undefined || state.family === family),
    )
  },
  finder(actual) {
    const ports = new Map(actual.map(port => [keyOf(port), port]))
    return id => ports.get(keyOf(normalizeId(id)))
  },
  idOf: ({ port, family }) => ({ port, ...defined({ family }) }),
  missing: (verb, id) =>
    refusal(
      verb === 'remove' ? 'EINVAL' : 'ENOENT', `fou ${verb}`, { verb, kind: 'port', object: nameOf(id) },
      'it does not exist',
    ),
  check(spec, path) { normalizeFouPort(spec, path) },
  async add(client, specs, options) { for (const spec of specs) await client.add(normalizeFouPort(spec), options) },
  changes(patch, state, actual) {
    fields.normalizePart(patch)
    const kind = patch.kind ?? state?.kind
    return state
      ? fouSteps([{ ...kind === 'direct' && { protocol: state.protocol }, ...patch, kind } as FouPortSpec], actual)
      : []
  },
  replacement: (spec, actual) => fouSteps([spec], actual),
  steps: fouSteps,
  async remove(client, ids, _, options) { for (const id of ids) await client.remove(normalizeId(id), options) },
  removals: fouRemovals,
}

/**
 * The UDP ports of this host's network namespace at which the kernel unwraps tunnels.
 * Their packets go further only if a tunnel link is up (`tunl0`, `sit0`, `ip6tnl0`, `gre0`).
 *
 * @example
 * ```ts
 * import { FouPorts } from 'ipvs-nl'
 *
 * await using ports = await FouPorts.open()
 * const plan = await ports.plan([{ port: 6080 }])
 * console.log(`${plan}`) // + ip fou add port 6080 gue
 * await plan.apply()
 * ```
 */
export class FouPorts extends Resource<FouClient, FouPortSpec, FouPortId, FouPortState, FouPortFilter, FouPortPatch> {
  /**
   * Opens the table. Rejects with `ENOENT` where the kernel's module fou is not loaded: run
   * `modprobe fou` (for IPv6 also fou6).
   */
  static async open(options?: CallOptions & ConnectionOptions): Promise<FouPorts> {
    return new FouPorts(portKind, await FouClient.open(openOptions(options)))
  }
}
