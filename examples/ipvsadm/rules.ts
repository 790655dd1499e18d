/** ipvsadm's options, and which of them go with which command and which kind of tunnel: tables. */

import type { Option } from './popt.js'

/** What ipvsadm calls its commands. */
export type CommandName =
  | 'add-service' | 'edit-service' | 'delete-service' | 'flush' | 'list'
  | 'add-server' | 'delete-server' | 'edit-server' | 'set' | 'start-daemon' | 'stop-daemon'
  | 'restore' | 'save' | 'zero' | 'help' | 'version'

/** What ipvsadm calls its options, in the order in which it checks them. */
export const OPTION_NAMES = [
  'numeric', 'connection', 'service-address', 'scheduler', 'persistent', 'netmask', 'real-server',
  'forwarding-method', 'weight', 'u-threshold', 'l-threshold', 'mcast-interface', 'timeout', 'daemon', 'stats', 'rate',
  'thresholds', 'persistent-conn', 'nosort', 'syncid', 'exact', 'ops', 'pe', 'sched-flags', 'mcast-group', 'mcast-port',
  'mcast-ttl', 'sync-maxlen', 'tun-info', 'tun-type', 'tun-port', 'tun-nocsum', 'tun-csum', 'tun-remcsum',
] as const
export type OptionName = typeof OPTION_NAMES[number]

/** An option with what it is counted as; those that are counted as nothing may be repeated. */
export interface KnownOption extends Option { readonly name: OptionName | undefined; readonly command?: CommandName }

const COMMANDS: readonly (readonly [long: string, short: string, command: CommandName, takes?: 'value'])[] = [
  ['add-service',    'A', 'add-service'],
  ['edit-service',   'E', 'edit-service'],
  ['delete-service', 'D', 'delete-service'],
  ['clear',          'C', 'flush'],
  ['list',           'L', 'list'],
  ['list',           'l', 'list'],
  ['zero',           'Z', 'zero'],
  ['add-server',     'a', 'add-server'],
  ['edit-server',    'e', 'edit-server'],
  ['delete-server',  'd', 'delete-server'],
  ['set',            '',  'set'],
  ['help',           'h', 'help'],
  ['version',        'v', 'version'],
  ['restore',        'R', 'restore'],
  ['save',           'S', 'save'],
  ['start-daemon',   '',  'start-daemon', 'value'],
  ['stop-daemon',    '',  'stop-daemon',  'value'],
]

type OptionRow = readonly [long: string, short: string, name: OptionName | undefined, takes: Option['takes']]
const OPTIONS: readonly OptionRow[] = [
  ['tcp-service',     't', 'service-address',   'value'],
  ['udp-service',     'u', 'service-address',   'value'],
  ['sctp-service',    '',  'service-address',   'value'],
  ['fwmark-service',  'f', 'service-address',   'value'],
  ['ipv6',            '6', undefined,           'nothing'],
  ['scheduler',       's', 'scheduler',         'value'],
  ['persistent',      'p', 'persistent',        'maybe'],
  ['netmask',         'M', 'netmask',           'value'],
  ['pe',              '',  'pe',                'value'],
  ['ops',             'o', 'ops',               'nothing'],
  ['sched-flags',     'b', 'sched-flags',       'value'],
  ['real-server',     'r', 'real-server',       'value'],
  ['masquerading',    'm', 'forwarding-method', 'nothing'],
  ['ipip',            'i', 'forwarding-method', 'nothing'],
  ['gatewaying',      'g', 'forwarding-method', 'nothing'],
  ['weight',          'w', 'weight',            'value'],
  ['u-threshold',     'x', 'u-threshold',       'value'],
  ['l-threshold',     'y', 'l-threshold',       'value'],
  ['tun-type',        '',  'tun-type',          'value'],
  ['tun-port',        '',  'tun-port',          'value'],
  ['tun-nocsum',      '',  'tun-nocsum',        'nothing'],
  ['tun-csum',        '',  'tun-csum',          'nothing'],
  ['tun-remcsum',     '',  'tun-remcsum',       'nothing'],
  ['numeric',         'n', 'numeric',           'nothing'],
  ['connection',      'c', 'connection',        'nothing'],
  ['timeout',         '',  'timeout',           'nothing'],
  ['daemon',          '',  'daemon',            'nothing'],
  ['stats',           '',  'stats',             'nothing'],
  ['rate',            '',  'rate',              'nothing'],
  ['thresholds',      '',  'thresholds',        'nothing'],
  ['persistent-conn', '',  'persistent-conn',   'nothing'],
  ['tun-info',        '',  'tun-info',          'nothing'],
  ['nosort',          '',  'nosort',            'nothing'],
  ['sort',            '',  undefined,           'nothing'],
  ['exact',           'X', 'exact',             'nothing'],
  ['mcast-interface', '',  'mcast-interface',   'value'],
  ['syncid',          '',  'syncid',            'value'],
  ['mcast-group',     '',  'mcast-group',       'value'],
  ['mcast-port',      '',  'mcast-port',        'value'],
  ['mcast-ttl',       '',  'mcast-ttl',         'value'],
  ['sync-maxlen',     '',  'sync-maxlen',       'value'],
]

/** All that may stand on a line. */
export const KNOWN: readonly KnownOption[] = [
  ...COMMANDS.map(([long, short, command, takes]): KnownOption =>
    ({ long, short, command, name: undefined, takes: takes ?? 'nothing' })),
  ...OPTIONS.map(([long, short, name, takes]): KnownOption => ({ long, short, name, takes })),
]

/** Which options go with something: it needs all `needs`, may have any `may`, and one `oneOf`. */
interface Rules {
  readonly needs?: readonly OptionName[]
  readonly may?: readonly OptionName[]
  readonly oneOf?: readonly OptionName[]
}

const SERVICE: readonly OptionName[] = ['scheduler', 'persistent', 'netmask', 'ops', 'pe', 'sched-flags']
const SERVER: readonly OptionName[] = [
  'forwarding-method', 'weight', 'u-threshold', 'l-threshold',
  'tun-type', 'tun-port', 'tun-nocsum', 'tun-csum', 'tun-remcsum',
]

const OF_COMMANDS: Readonly<Partial<Record<CommandName, Rules>>> = {
  'add-service':    { needs: ['service-address'], may: SERVICE },
  'edit-service':   { needs: ['service-address'], may: SERVICE },
  'delete-service': { needs: ['service-address'] },
  'add-server':     { needs: ['service-address', 'real-server'], may: SERVER },
  'edit-server':    { needs: ['service-address', 'real-server'], may: SERVER },
  'delete-server':  { needs: ['service-address', 'real-server'] },
  'list': {
    may:   ['numeric', 'stats', 'rate', 'thresholds', 'persistent-conn', 'nosort', 'syncid', 'exact', 'tun-info'],
    oneOf: ['connection', 'service-address', 'timeout', 'daemon'],
  },
  'start-daemon':   { may: ['mcast-interface', 'syncid', 'mcast-group', 'mcast-port', 'mcast-ttl', 'sync-maxlen'] },
  'stop-daemon':    { may: ['syncid'] },
  'save':           { may: ['numeric'] },
  'zero':           { may: ['service-address'] },
}

const CHECKSUMS = ['tun-nocsum', 'tun-csum', 'tun-remcsum'] as const
const OF_TUNNELS: Readonly<Record<'ipip' | 'gue' | 'gre', Rules>> = {
  ipip: {},
  gue:  { needs: ['tun-port'], oneOf: CHECKSUMS },
  gre:  { oneOf: ['tun-nocsum', 'tun-csum'] },
}

/** Why these options do not go with a command; undefined where they do. */
export const misused = (command: CommandName, given: ReadonlySet<OptionName>): string | undefined =>
  against(OF_COMMANDS[command] ?? {}, OPTION_NAMES, given, `'${command}' command`)

/** Why these options do not go with a kind of tunnel; undefined where they do. */
export const misusedTunnel = (tunnel: 'ipip' | 'gue' | 'gre', given: ReadonlySet<OptionName>): string | undefined =>
  against(OF_TUNNELS[tunnel], ['tun-port', ...CHECKSUMS], given, `'${tunnel}' tunnel type`)

function against(
  { needs = [], may = [], oneOf = [] }: Rules, names: readonly OptionName[], given: ReadonlySet<OptionName>,
  what: string,
): string | undefined {
  let before: OptionName | undefined
  for (const name of names) {
    const needed = needs.includes(name)
    if (!given.has(name)) {
      if (needed) return `You need to supply the '${name}' option for the ${what}`
    } else if (oneOf.includes(name)) {
      if (before !== undefined) return `The option '${name}' conflicts with the '${before}' option in the ${what}`
      before = name
    } else if (!needed && !may.includes(name)) {
      return `Illegal '${name}' option with the ${what}`
    }
  }
  return undefined
}
