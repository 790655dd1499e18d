import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'

/**
 * Who may import whom: a file imports from those above it, and what stands beside it from outside. So nothing is imported in
 * a circle, the wire knows nothing of load balancing, and only socket.ts knows npm netlink.
 */
const order: readonly (readonly [file: string, outside: string])[] = [
  // The wire: bytes, tables, the conversation.
  ['generic-netlink/errors.ts',           'node:util'],
  ['generic-netlink/packages.ts',         'node:module bitwise/integer/index.js debug ip-address'],
  ['generic-netlink/log.ts',              ''],
  ['generic-netlink/address.ts',          ''],
  ['generic-netlink/codec.ts',            'node:os'],
  ['generic-netlink/attributes.ts',       ''],
  ['generic-netlink/counters.ts',         'node:util'],
  ['generic-netlink/message.ts',          ''],
  ['generic-netlink/socket.ts',           'node:crypto node:fs netlink/dist/raw.js'],
  ['generic-netlink/pace.ts',             ''],
  ['generic-netlink/request.ts',          ''],
  ['generic-netlink/abort.ts',            ''],
  ['generic-netlink/commands.ts',         'node:crypto'],
  ['generic-netlink/dumps.ts',            'node:crypto'],
  ['generic-netlink/connection.ts',       ''],
  ['generic-netlink/controller.ts',       ''],
  ['generic-netlink/family.ts',           ''],
  ['generic-netlink/ipvs.ts',             ''],
  ['generic-netlink/fou.ts',              ''],
  ['generic-netlink/index.ts',            ''],

  // What all of the library stands on.
  ['lib/address.ts',                      ''],
  ['lib/fields.ts',                       ''],

  // The network's words and wire.
  ['lib/rtnetlink/tables.ts',             ''],
  ['lib/rtnetlink/client.ts',             ''],
  ['lib/rtnetlink/explain.ts',            ''],
  ['lib/rtnetlink/prefix.ts',             ''],
  ['lib/rtnetlink/links-by-name.ts',      ''],
  ['lib/rtnetlink/perform.ts',            ''],
  ['lib/rtnetlink/link-spec.ts',          ''],
  ['lib/rtnetlink/link-fields.ts',        ''],
  ['lib/rtnetlink/link-kinds.ts',         'node:util'],
  ['lib/rtnetlink/link-commands.ts',      ''],
  ['lib/rtnetlink/address-spec.ts',       ''],
  ['lib/rtnetlink/route-spec.ts',         ''],
  ['lib/rtnetlink/neighbour-spec.ts',     ''],
  ['lib/rtnetlink/forwarding-spec.ts',    ''],

  // Services' words and wire.
  ['lib/model.ts',                        ''],
  ['lib/validate.ts',                     ''],
  ['lib/wire.ts',                         ''],
  ['lib/rules-format.ts',                 ''],
  ['lib/rules-parse.ts',                  ''],
  ['lib/explain.ts',                      ''],
  ['lib/diff.ts',                         ''],
  ['lib/sync-daemon.ts',                  ''],

  // What the kernel says beside netlink.
  ['lib/proc-net.ts',                     'node:fs/promises'],
  ['lib/connection-rows.ts',              ''],
  ['lib/connections.ts',                  ''],
  ['lib/statistics.ts',                   ''],
  ['lib/metrics.ts',                      ''],
  ['lib/timeouts.ts',                     ''],

  // A conversation with IPVS.
  ['lib/drains.ts',                       ''],
  ['lib/turns.ts',                        ''],
  ['lib/ipvs-client.ts',                  ''],
  ['lib/table.ts',                        ''],

  // Plans, and what they change.
  ['lib/host.ts',                         ''],
  ['lib/plan.ts',                         'debug'],
  ['lib/ipvs-sysctls.ts',                 ''],
  ['lib/sysctl.ts',                       'debug node:fs node:fs/promises node:util'],
  ['lib/fou.ts',                          ''],
  ['lib/rtnetlink/link-steps.ts',         'node:util'],
  ['lib/rtnetlink/links.ts',              'node:timers/promises node:util'],
  ['lib/rtnetlink/addresses.ts',          'node:fs/promises'],
  ['lib/rtnetlink/routes.ts',             ''],
  ['lib/rtnetlink/neighbours.ts',         ''],
  ['lib/network.ts',                      ''],
  ['lib/converge.ts',                     ''],
  ['lib/ipvs-steps.ts',                   ''],
  ['lib/director-network.ts',             ''],
  ['lib/table-plan.ts',                   'node:timers/promises'],
  ['lib/drain.ts',                        'node:timers/promises'],
  ['lib/watch.ts',                        'node:timers/promises'],

  // What users hold.
  ['lib/director.ts',                     ''],
  ['lib/real-server-network.ts',          ''],
  ['lib/diagnose.ts',                     ''],
  ['lib/diagnose-director.ts',            ''],
  ['lib/diagnose-real-server.ts',         'node:fs/promises'],
  ['lib/real-server.ts',                  ''],
  ['lib/virtual-service.ts',              ''],
  ['lib/index.ts',                        ''],
]

const root = new URL('../../', import.meta.url)
const sourceOf = (file: string): string => readFileSync(new URL(file, root), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
const filesOf = (folder: string): string[] =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).map(name => `${folder}/${name}`)
const importsOf = (file: string): string[] => [...new Set([
  ...[...sourceOf(file).matchAll(/^(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]/gm)].map(m => m[1]!),
  ...[...sourceOf(file).matchAll(/\bimport\s*\(?\s*['"]([^'"]+)['"]/g)].map(m => m[1]!),
])]
const target = (file: string, specifier: string): string => posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts')

describe('layers', () => {
  it('the list names every file', () => {
    expect(order.map(([file]) => file).sort()).toEqual(['generic-netlink', 'lib'].flatMap(filesOf).sort())
  })

  const above = new Set<string>()
  it.each(order)('%s', (file, outside) => {
    const strangers = importsOf(file).filter(specifier => specifier.startsWith('.') ? !above.has(target(file, specifier)) : !outside.split(' ').includes(specifier))
    above.add(file)
    expect(strangers).toEqual([])
    // The wire is entered by its index alone.
    if (file.startsWith('lib/')) expect(importsOf(file).filter(s => /generic-netlink\/(?!index\.js$)/.test(s))).toEqual([])
  })

  it('exports are named, and passed on only by the two indexes', () => {
    const passesOn = (file: string): boolean => /^export\s+(?:type\s+)?(?:\*|\{)[^;]*?\bfrom\b/m.test(sourceOf(file))
    expect(order.filter(([file]) => /^export\s+default\b/m.test(sourceOf(file)))).toEqual([])
    expect(order.map(([file]) => file).filter(passesOn)).toEqual(['generic-netlink/index.ts', 'lib/index.ts'])
  })
})
