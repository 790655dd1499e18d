/** UDP ports at which the kernel unwraps tunnels: what real servers need for IPVS's GUE. */

import {
  Connection, fou, FamilyClient, NETLINK_GENERIC, NetlinkError,
  type CallOptions, type ConnectionOptions, type Errno, type FouPortAttributes,
} from '../../generic-netlink/index.js'
import type { Family } from '../base/address.js'
import { Plan, type Step } from '../plan/plan.js'
import { integer, oneOf } from '../base/check.js'

/** A UDP port of this host. */
export interface FouPortId {
  /** 1 to 65535. */
  readonly port: number
  /** Of the outer packets. @defaultValue `'inet'` */
  readonly family?: Family
}

/** A UDP port to unwrap packets at: of GUE, which says what they carry, or of one protocol directly in UDP. */
export type FouPortSpec = FouPortId & (
  | { readonly type?: 'gue'; readonly protocol?: never }
  | {
    readonly type: 'direct'
    /** What it carries, 1 to 255: 4 is IPv4, 41 IPv6, 47 GRE. */
    readonly protocol: number
  })

/** A UDP port at which the kernel unwraps packets. */
export interface FouPortState extends Required<FouPortId> {
  readonly type: 'gue' | 'direct' | number
  /** What it carries, of a direct one. */
  readonly protocol?: number
}

type FouCommand = 'add' | 'del' | 'get'

const DEEDS: Readonly<Record<FouCommand, string>> = { add: 'add', del: 'remove', get: 'list' }

/** Why, by command and error; `*` stands for every command. */
const REASONS: Readonly<Record<string, string>> = {
  'add EADDRINUSE':   'another one is there, or other software listens at this UDP port',
  'add EALREADY':     'it is there already',
  'add EAFNOSUPPORT': 'the kernel has no IPv6 here',
  'add EINVAL':       'the kernel takes no such port; for IPv6 it needs its module fou6 (modprobe fou6)',
  'del EINVAL':       'it is not there',
  'del ENOENT':       'it is not there',
  '* ENOENT':         'the kernel\'s module fou is not loaded, and nothing loads it by itself: modprobe fou (for IPv6 also fou6)',
  '* EPERM':          'this needs CAP_NET_ADMIN in the user namespace that owns this network namespace',
}

/** What the connection says in its own words. */
const OURS = new Set<Errno>(['ECANCELED', 'ETIMEDOUT', 'ENOBUFS', 'EMSGSIZE', 'ENODATA'])

function explained(error: unknown, command: FouCommand, object: string): unknown {
  if (!(error instanceof NetlinkError) || OURS.has(error.code)) return error
  const { errno, code, request, extack } = error
  const why = REASONS[`${command} ${code}`] ?? REASONS[`* ${code}`] ?? extack?.message
  const message = `cannot ${DEEDS[command]} ${object}: ${why === undefined ? code : `${why} (${code})`}`
  const better = new NetlinkError(errno, request, { object, ...extack && { extack }, message, cause: error })
  Error.captureStackTrace(better, explained)
  return better
}

// ── specs ──

function normalizeId(path: string, id: FouPortId): Required<FouPortId> {
  if (typeof id !== 'object' || (id as unknown) === null) throw new TypeError(`${path || 'port'}: ${JSON.stringify(id)} is not an object`)
  const { port, family = 'inet' } = id
  return { port: integer(`${path}port`, port, 1, 65535), family: oneOf(`${path}family`, family, ['inet', 'inet6']) }
}

/** A spec in its normal form. @throws TypeError, RangeError naming the field below `path` */
export function normalizeFouPort(spec: FouPortSpec, path = ''): FouPortState {
  const id = normalizeId(path, spec)
  const { type = 'gue', protocol } = spec as { type?: unknown; protocol?: unknown }
  if (oneOf(`${path}type`, type, ['gue', 'direct']) === 'direct') return { ...id, type: 'direct', protocol: integer(`${path}protocol`, protocol, 1, 255) }
  if (protocol !== undefined) throw new TypeError(`${path}protocol: only a direct port has one; GUE says in each packet what it carries`)
  return { ...id, type: 'gue' }
}

/** @internal */
export function fouPortAttributes({ port, family, type, protocol }: FouPortState): FouPortAttributes {
  return { port, af: family, ...protocol !== undefined && { ipproto: protocol }, type: type }
}

/** @internal */
export function readFouPort({ port = 0, af, ipproto = 0, type = 0 }: FouPortAttributes): FouPortState {
  return { port, family: af as Family, type: type, ...type === 'direct' && { protocol: ipproto } }
}

const nameOf = ({ port, family }: Required<FouPortId>): string => `fou port ${port}${family === 'inet6' ? ' (IPv6)' : ''}`
const notation = ({ port, family, type, protocol }: FouPortState): string =>
  `port ${port} ${type === 'direct' ? `ipproto ${protocol ?? 0}` : 'gue'}${family === 'inet6' ? ' -6' : ''}`

// ── steps ──

const adding = (port: FouPortState): Step => ({
  action: 'add', object: 'fou port', line: `ip fou add ${notation(port)}`,
  run: (_, options) => withPorts(ports => ports.add(port as FouPortSpec, options)),
  undo: (_, options) => withPorts(ports => ports.remove(port, options)),
})

const removing = (port: FouPortState, why?: string): Step => ({
  action: 'remove', object: 'fou port', line: `ip fou del port ${port.port}${port.family === 'inet6' ? ' -6' : ''}`, ...why !== undefined && { why },
  run: (_, options) => withPorts(ports => ports.remove(port, options)),
  undo: (_, options) => withPorts(ports => ports.add(port as FouPortSpec, options)),
})

async function withPorts(use: (ports: FouPorts) => Promise<void>): Promise<void> {
  await using ports = await FouPorts.open()
  await use(ports)
}

/** The steps to the ports that are wanted, from those that are there; others stay. Pure. @throws TypeError, RangeError naming the field */
export function fouSteps(wanted: readonly FouPortSpec[], actual: readonly FouPortState[]): Step[] {
  const keyOf = ({ port, family }: Required<FouPortId>): string => `${port} ${family}`
  const present = new Map(actual.map(port => [keyOf(port), port]))
  const seen = new Set<string>()
  return wanted.flatMap((spec, i) => {
    const port = normalizeFouPort(spec, `ports[${i}].`)
    if (seen.has(keyOf(port))) throw new RangeError(`ports[${i}]: ${nameOf(port)} is there twice`)
    seen.add(keyOf(port))
    const there = present.get(keyOf(port))
    if (!there) return [adding(port)]
    if (there.type === port.type && there.protocol === port.protocol) return []
    return [removing(there, 'the kernel cannot change what a port carries'), adding(port)]
  })
}

// ── the class ──

/**
 * The UDP ports of this host's network namespace at which the kernel unwraps tunnels. For packets to get on from there, a tunnel
 * link has to be up (`tunl0`, `sit0`, `ip6tnl0`, `gre0`).
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
export class FouPorts implements AsyncDisposable {
  readonly #connection: Connection
  readonly #client: FamilyClient<typeof fou.commands>

  private constructor(connection: Connection, client: FamilyClient<typeof fou.commands>) {
    this.#connection = connection
    this.#client = client
  }

  /** Opens the table. Rejects with `ENOENT` where the kernel's module fou is not loaded: it has to be, by `modprobe fou` (for IPv6 also fou6). */
  static async open({ signal, ...options }: CallOptions & ConnectionOptions = {}): Promise<FouPorts> {
    const connection = new Connection(NETLINK_GENERIC, options)
    try {
      return new FouPorts(connection, await FamilyClient.find(connection, fou, { signal }))
    } catch (error) {
      connection.close()
      throw explained(error, 'get', 'fou ports')
    }
  }

  /** All ports. */
  async list(options?: CallOptions): Promise<FouPortState[]> {
    try {
      return await this.#client.dump('get', {}, { ...options, map: readFouPort })
    } catch (error) {
      throw explained(error, 'get', 'fou ports')
    }
  }

  /** Adds a port. Rejects with `EADDRINUSE` where it is taken. */
  async add(spec: FouPortSpec, options?: CallOptions): Promise<void> {
    const port = normalizeFouPort(spec)
    await this.#call('add', fouPortAttributes(port), nameOf(port), options)
  }

  /** Removes a port. Rejects with `EINVAL`, and says so, where it is not there. */
  async remove(id: FouPortId, options?: CallOptions): Promise<void> {
    const port = normalizeId('', id)
    await this.#call('del', { port: port.port, af: port.family }, nameOf(port), options)
  }

  /** What must change for these ports to be there; empty where they are. Others stay. */
  async plan(specs: readonly FouPortSpec[], options?: CallOptions): Promise<Plan> {
    fouSteps(specs, []) // what is wrong in itself, before anything is sent
    return new Plan(fouSteps(specs, await this.list(options)))
  }

  /** Closes the sockets; ports stay. */
  close(): Promise<void> {
    this.#connection.close()
    return Promise.resolve()
  }

  /** {@link FouPorts.close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> { return this.close() }

  async #call(command: 'add' | 'del', attributes: FouPortAttributes, object: string, options?: CallOptions): Promise<void> {
    try {
      await this.#client.call(command, attributes, { ...options, object })
    } catch (error) {
      throw explained(error, command, object)
    }
  }
}
