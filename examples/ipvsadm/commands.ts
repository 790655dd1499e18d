/** What ipvsadm does, done: a line's command, asked of the kernel. */

import {
  connections, Director, formatRules, NetlinkError, SpecError, type ServiceKey, type ServiceState,
} from 'ipvs-nl'
import { sortServices } from 'ipvs-nl/ipvsadm'
import {
  Connection, FamilyClient, ipvs, NETLINK_GENERIC, type Command, type ServiceAttributes,
} from 'ipvs-nl/generic-netlink'
import { help, version } from './help.js'
import {
  banner, connectionRow, connectionsTitle, daemonRow, serviceRows, timeoutsRow, title, VIEWS, type Format,
} from './listing.js'
import type { Names } from './names.js'
import { byName, byNumber, type Naming } from './naming.js'
import { BadOption, Exit, readLine, tryHelp, type Line } from './options.js'
import { linesOf, wordsOf } from './restore.js'
import type { CommandName } from './rules.js'

type Commands = typeof ipvs.commands

/** What the program has of the world. */
export interface Streams {
  /** Its own name, for the advice it gives. */
  readonly program: string
  readonly names: Names
  /** Loads a module of the kernel, as far as that can be done. */
  readonly modprobe: (module: string) => void
  /** What `-R` reads. */
  readonly stdin: AsyncIterable<string>
  stdout(text: string): void
  stderr(text: string): void
}

/** Runs ipvsadm, and resolves with its exit status. */
export async function ipvsadm(words: readonly string[], streams: Streams): Promise<number> {
  const connection = new Connection(NETLINK_GENERIC)
  try {
    const program = new Program(await begin(connection, streams), streams)
    return await (words.length === 0 ? program.listAll(NO_OPTIONS) : program.run(words))
  } catch (error) {
    if (!(error instanceof Exit)) throw error
    if (error.message !== '') streams.stderr(`${error.message}\n`)
    return error.status
  } finally {
    connection.close()
  }
}

/** Whether there is IPVS, and we may use it. The kernel loads its module, unless forbidden. */
async function begin(connection: Connection, { modprobe }: Streams): Promise<FamilyClient<Commands>> {
  const find = async (): Promise<FamilyClient<Commands>> => {
    const client = await FamilyClient.find(connection, ipvs)
    await client.call('getInfo', {})
    return client
  }
  try {
    return await find().catch((error: unknown) => {
      if (!isMissing(error)) throw error
      modprobe('ip_vs')
      return find()
    })
  } catch (error) {
    // ipvsadm asks by the kernel's older interface last, which says it otherwise.
    const why = isMissing(error)
      ? REASONS[process.geteuid!() === 0 ? 'ENOPROTOOPT' : 'EPERM']
      : reason('getInfo', error)
    throw new Exit(`Can't initialize ipvs: ${why}\n`
      + 'Are you sure that IP Virtual Server is built in the kernel or as module?')
  }
}

const isMissing = (error: unknown): boolean => error instanceof NetlinkError && error.code === 'ENOENT'

const NO_OPTIONS: ReadonlySet<string> = new Set()

/** A run of the program, which may be many commands. */
class Program {
  readonly #client: FamilyClient<Commands>
  readonly #streams: Streams

  constructor(client: FamilyClient<Commands>, streams: Streams) {
    this.#client = client
    this.#streams = streams
  }

  /** One command, and its status. @throws Exit */
  async run(words: readonly string[], restoring = false): Promise<number> {
    let line: Line
    try {
      line = await readLine(words, this.#streams.program, this.#streams.names)
    } catch (error) {
      if (!(error instanceof BadOption)) throw error
      this.#streams.stderr(`${error.message}\n`)
      return 255
    }
    const { command, given } = line
    if (command === 'help' || command === 'version') {
      this.#streams.stdout(command === 'help' ? help(this.#streams.program) : version())
      throw new Exit('', 0)
    }
    if (command === 'restore') return await this.#restore(restoring)
    if (command === 'list') return await this.#list(line)
    if (command === 'save') return await this.#save(given.has('numeric'))
    const request = REQUESTS[command]!(line)
    const [outcome] = await this.#client.batch([request])
    if (outcome!.status === 'fulfilled') return 0
    this.#streams.stderr(`${reason(request[0], outcome!.reason)}\n`)
    return 255
  }

  async #restore(restoring: boolean): Promise<number> {
    if (restoring) throw tryHelp(this.#streams.program)
    let status = 0
    for await (const line of linesOf(this.#streams.stdin)) {
      const words = wordsOf(line)
      if (words.length > 0) status = await this.run(words, true)
    }
    return status
  }

  // ── lists ──

  async #list(line: Line): Promise<number> {
    const { given } = line
    if (given.has('connection')) return await this.#listConnections(given)
    if (given.has('service-address')) return await this.#listService(line.service, given)
    if (given.has('timeout')) return await this.#listed(async director => timeoutsRow(await director.timeouts()))
    if (given.has('daemon')) {
      return await this.#listed(async director => (await director.syncDaemons()).map(daemonRow).join(''))
    }
    return await this.listAll(given)
  }

  async listAll(given: ReadonlySet<string>): Promise<number> {
    return await this.#listed(async director => {
      const { version, connectionTableSize } = await director.info()
      return banner(version, connectionTableSize) + await this.#rowsOf(await director.list(), given)
    })
  }

  async #listService(
    { af, protocol, addr, port, fwmark }: ServiceAttributes, given: ReadonlySet<string>,
  ): Promise<number> {
    const key = (fwmark === undefined ? { vip: addr, port, protocol } : { fwmark, family: af }) as ServiceKey
    return await this.#listed(async director => {
      const services = await director.get(key)
      if (services.length === 0) throw new Exit('No such service', 1)
      return await this.#rowsOf(services, given)
    })
  }

  async #rowsOf(services: readonly ServiceState[], given: ReadonlySet<string>): Promise<string> {
    const format: Format = { view: VIEWS.find(view => given.has(view)) ?? 'rules', exact: given.has('exact') }
    const naming = await this.#namingOf(services, given)
    const shown = given.has('nosort') ? services : sortServices(services)
    return title(format) + shown.map(service => serviceRows(service, format, naming)).join('')
  }

  async #listConnections(given: ReadonlySet<string>): Promise<number> {
    const engines = given.has('persistent-conn')
    this.#streams.stdout(connectionsTitle(engines))
    for await (const row of connections()) {
      const ends = [row.client.address, row.virtual.address, row.server.address]
      const naming = given.has('numeric')
        ? byNumber
        : await byName(ends.filter(address => address !== undefined), this.#streams.names)
      this.#streams.stdout(connectionRow(row, engines, naming))
    }
    return 0
  }

  async #save(numeric: boolean): Promise<number> {
    return await this.#listed(async director => {
      const services = await director.list()
      const rules = formatRules(services, { strict: true })
      return numeric ? rules : named(rules, await this.#namingOf(services, NO_OPTIONS))
    })
  }

  async #namingOf(services: readonly ServiceState[], given: ReadonlySet<string>): Promise<Naming> {
    if (given.has('numeric')) return byNumber
    const addresses = services.flatMap(({ vip, realServers }) =>
      [...vip === undefined ? [] : [vip], ...realServers.map(({ address }) => address)])
    return await byName(addresses, this.#streams.names)
  }

  async #listed(list: (director: Director) => Promise<string>): Promise<number> {
    await using director = await Director.open()
    try {
      this.#streams.stdout(await list(director))
      return 0
    } catch (error) {
      // Of what no rule can say; ipvsadm may die of it.
      if (error instanceof SpecError) throw new Exit(error.message, 1)
      if (!(error instanceof NetlinkError)) throw error
      throw new Exit(reason('getService', error), 1)
    }
  }
}

const PROTOCOLS: Readonly<Record<string, string>> = { '-t': 'tcp', '-u': 'udp', '--sctp-service': 'sctp' }

/**
 * Rules by number, with every address and port by its name.
 * Real servers have ports of their service's protocol.
 */
const named = (rules: string, naming: Naming): string => rules.replace(/^-[Aa] (\S+).*$/gm, (rule, option: string) =>
  rule.replace(/ (-t|-u|--\w+-service|-r) \[?(\S+?)\]?:(\d+)(?= )/g, (_, name: string, address: string, port: string) =>
    ` ${name} ${naming(address, Number(port), PROTOCOLS[option] ?? 0)}`))

// ── what is asked of the kernel ──

const keyOf = ({ af, protocol, addr, port, fwmark }: ServiceAttributes): ServiceAttributes =>
  fwmark === undefined ? { af, protocol, addr, port } : { af, fwmark }
const isNone = ({ addr, port, fwmark }: ServiceAttributes): boolean =>
  fwmark === undefined && port === 0 && (addr === undefined || addr === '0.0.0.0' || addr === '::')

const REQUESTS: Readonly<Partial<Record<CommandName, (line: Line) => Command<Commands>>>> = {
  'add-service':    ({ service }) => ['newService', { service: settingsOf(service) }],
  'edit-service':   ({ service }) => ['setService', { service: settingsOf(service) }],
  'delete-service': ({ service }) => ['delService', { service: keyOf(service) }],
  'flush':          () => ['flush', {}],
  'zero':           ({ service }) => ['zero', isNone(service) ? {} : { service: keyOf(service) }],
  'add-server':     ({ service, server }) => ['newDest', { service: keyOf(service), dest: server }],
  'edit-server':    ({ service, server }) => ['setDest', { service: keyOf(service), dest: server }],
  'delete-server':  ({ service, server: { addrFamily, addr, port } }) =>
    ['delDest', { service: keyOf(service), dest: { addrFamily, addr, port } }],
  'set':            ({ timeouts }) => ['setConfig', timeouts],
  'start-daemon':   ({ daemon }) => ['newDaemon', { daemon }],
  'stop-daemon':    ({ daemon }) => ['delDaemon', { daemon }],
}

function settingsOf({ schedName, flags, timeout, netmask, peName, ...key }: ServiceAttributes): ServiceAttributes {
  return { ...keyOf(key), schedName, flags, timeout, netmask, ...peName !== '' && { peName } }
}

/** Why the kernel refused, in ipvsadm's words. */
function reason(command: string, error: unknown): string {
  if (!(error instanceof NetlinkError)) throw error
  return REASONS[`${command} ${error.code}`] ?? REASONS[error.code] ?? error.code
}

const REASONS: Readonly<Record<string, string>> = {
  'newService EEXIST': 'Service already exists',
  'newService ENOENT': 'Scheduler or persistence engine not found',
  'setService ESRCH':  'No such service',
  'setService ENOENT': 'Scheduler or persistence engine not found',
  'delService ESRCH':  'No such service',
  'getService ESRCH':  'No such service',
  'zero ESRCH':        'No such service',
  'newDest ESRCH':     'Service not defined',
  'newDest EEXIST':    'Destination already exists',
  'setDest ESRCH':     'Service not defined',
  'setDest ENOENT':    'No such destination',
  'delDest ESRCH':     'Service not defined',
  'delDest ENOENT':    'No such destination',
  'newDaemon EEXIST':  'Daemon has already run',
  'delDaemon ESRCH':   'No daemon is running',
  'EPERM':             'Permission denied (you must be root)',
  'EINVAL':            'Invalid operation.  Possibly wrong module version, address not unicast, ...',
  'ENOPROTOOPT':       'Protocol not available',
  'ENOMEM':            'Memory allocation problem',
  'EOPNOTSUPP':        'Operation not supported with IPv6',
  'EAFNOSUPPORT':      'Operation not supported with specified address family',
  // The rest in the C library's words.
  'ERANGE':            'Numerical result out of range',
  'ENODEV':            'No such device',
  'ENOENT':            'No such file or directory',
  'ESRCH':             'No such process',
  'EEXIST':            'File exists',
  'EBUSY':             'Device or resource busy',
  'ENOBUFS':           'No buffer space available',
}
