/** ipvsadm's options in rules: a table. */

/** The field that an option sets, by its path in refusals. A line has each field at most once. */
export type Field =
  | 'command' | 'service' | 'family' | 'scheduler' | 'persistence' | 'netmask' | 'persistence.engine' | 'onePacket'
  | 'schedulerFlags' | 'server.address' | 'server.forward' | 'server.weight'
  | 'server.thresholds.upper' | 'server.thresholds.lower' | 'server.drain'
  | 'server.forward.kind' | 'server.forward.port' | 'server.forward.checksum'

export interface Option {
  name: string
  short: string
  field: Field
  takes: 'nothing' | 'value' | 'maybe'
  commands: readonly string[]
}

/** The commands that take an option. */
const COMMANDS = { A: ['add-service'], a: ['add-server'], Aa: ['add-service', 'add-server'] }

const OPTIONS: readonly Option[] = ([
  ['add-service',    'A', 'command',                 'nothing', 'Aa'],
  ['add-server',     'a', 'command',                 'nothing', 'Aa'],
  ['tcp-service',    't', 'service',                 'value',   'Aa'],
  ['udp-service',    'u', 'service',                 'value',   'Aa'],
  ['sctp-service',   '',  'service',                 'value',   'Aa'],
  ['fwmark-service', 'f', 'service',                 'value',   'Aa'],
  ['ipv6',           '6', 'family',                  'nothing', 'Aa'],
  ['scheduler',      's', 'scheduler',               'value',   'A'],
  ['persistent',     'p', 'persistence',             'maybe',   'A'],
  ['netmask',        'M', 'netmask',                 'value',   'A'],
  ['pe',             '',  'persistence.engine',      'value',   'A'],
  ['ops',            'o', 'onePacket',               'nothing', 'A'],
  ['sched-flags',    'b', 'schedulerFlags',          'value',   'A'],
  ['real-server',    'r', 'server.address',          'value',   'a'],
  ['masquerading',   'm', 'server.forward',          'nothing', 'a'],
  ['gatewaying',     'g', 'server.forward',          'nothing', 'a'],
  ['ipip',           'i', 'server.forward',          'nothing', 'a'],
  ['local',          '',  'server.forward',          'nothing', 'a'],
  ['weight',         'w', 'server.weight',           'value',   'a'],
  ['u-threshold',    'x', 'server.thresholds.upper', 'value',   'a'],
  ['l-threshold',    'y', 'server.thresholds.lower', 'value',   'a'],
  ['drain',          '',  'server.drain',            'nothing', 'a'],
  ['tun-type',       '',  'server.forward.kind',     'value',   'a'],
  ['tun-port',       '',  'server.forward.port',     'value',   'a'],
  ['tun-nocsum',     '',  'server.forward.checksum', 'nothing', 'a'],
  ['tun-csum',       '',  'server.forward.checksum', 'nothing', 'a'],
  ['tun-remcsum',    '',  'server.forward.checksum', 'nothing', 'a'],
] as const).map(([name, short, field, takes, on]) => ({ name, short, field, takes, commands: COMMANDS[on] }))

/** Options by their words on a line. */
export const optionsByWord = new Map(OPTIONS.flatMap(option =>
  [[`--${option.name}`, option], ...option.short ? [[`-${option.short}`, option] as const] : []]))

/** ipvsadm's other commands, which do not belong in rules. */
export const otherCommands = new Set([
  '-E', '--edit-service', '-D', '--delete-service', '-e', '--edit-server', '-d', '--delete-server', '-C', '--clear',
  '-L', '-l', '--list', '-Z', '--zero', '-S', '--save', '-R', '--restore', '--set', '--start-daemon', '--stop-daemon',
  '-h', '--help',
])
