import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'

const wire = '../generic-netlink/index.js'

/** Who may import whom: a file imports what its line names, and nothing else. Lines are in order: each imports from those above it. */
const layers: Record<string, readonly string[]> = {
  // The wire: bytes, tables, the conversation. It knows nothing of load balancing.
  'generic-netlink/errors.ts':     ['node:util'],
  'generic-netlink/log.ts':        ['debug'],
  'generic-netlink/address.ts':    ['ip-address'],
  'generic-netlink/codec.ts':      ['node:os', 'bitwise/integer/index.js', './address.js', './errors.js'],
  'generic-netlink/attributes.ts': ['./codec.js', './errors.js', './log.js'],
  'generic-netlink/message.ts':    ['./attributes.js', './codec.js', './errors.js'],
  'generic-netlink/socket.ts':     ['node:crypto', 'node:fs', 'netlink/dist/raw.js', './codec.js', './errors.js', './log.js', './message.js'],
  'generic-netlink/pace.ts':       [],
  'generic-netlink/request.ts':    ['./codec.js', './errors.js'],
  'generic-netlink/commands.ts':   ['node:crypto', './codec.js', './errors.js', './log.js', './message.js', './pace.js', './request.js', './socket.js'],
  'generic-netlink/dumps.ts':      ['node:crypto', './codec.js', './errors.js', './log.js', './message.js', './pace.js', './request.js', './socket.js'],
  'generic-netlink/connection.ts': ['./commands.js', './dumps.js', './errors.js', './pace.js', './request.js', './socket.js'],
  'generic-netlink/controller.ts': ['./attributes.js', './codec.js'],
  'generic-netlink/family.ts':     ['./attributes.js', './codec.js', './connection.js', './controller.js', './errors.js', './log.js', './request.js'],
  'generic-netlink/ipvs.ts':       ['./attributes.js', './codec.js', './family.js'],
  'generic-netlink/index.ts':      [
    './address.js', './attributes.js', './codec.js', './connection.js', './controller.js', './errors.js', './family.js', './ipvs.js', './request.js', './socket.js',
  ],
  // The meaning.
  'lib/model.ts':                  [wire],
  'lib/validate.ts':               [wire, './model.js'],
  'lib/wire.ts':                   [wire, './model.js'],
  'lib/rules-parse.ts':            [wire, './model.js', './validate.js'],
  'lib/rules-format.ts':           [wire, './model.js', './validate.js'],
  'lib/rules.ts':                  ['./rules-format.js', './rules-parse.js'],
  'lib/explain.ts':                [wire, './model.js', './wire.js'],
  'lib/diff.ts':                   [wire, './model.js', './wire.js'],
  'lib/sync-daemon.ts':            [wire, './model.js', './validate.js'],
  'lib/director.ts':               [wire, './diff.js', './explain.js', './model.js', './rules.js', './rules-format.js', './rules-parse.js', './sync-daemon.js', './validate.js', './wire.js'],
  'lib/virtual-service.ts':        [wire, './diff.js', './director.js', './model.js', './validate.js', './wire.js'],
}

/** What any file of lib/ may import from outside it. A file that the table does not name yet is held to this alone. */
const outside = [/^node:/, /^debug$/, /^ip-address$/, /^(\.\.\/)+generic-netlink\/[\w-]+\.js$/]

/** The folders whose every file the table names. */
const complete = ['generic-netlink']

const root = new URL('../../', import.meta.url)
const sourceOf = (file: string): string => readFileSync(new URL(file, root), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
const filesOf = (folder: string): string[] =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).map(name => `${folder}/${name}`)
const importsOf = (file: string): string[] => [...new Set([
  ...[...sourceOf(file).matchAll(/^(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]/gm)].map(m => m[1]!),
  ...[...sourceOf(file).matchAll(/\bimport\s*\(?\s*['"]([^'"]+)['"]/g)].map(m => m[1]!),
])]
const target = (file: string, specifier: string): string => posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts')

const files = ['generic-netlink', 'lib'].flatMap(filesOf)
const named = new Set(Object.keys(layers))

describe('layers', () => {
  it.each(Object.entries(layers).filter(([file]) => files.includes(file)))('%s', (file, allowed) => {
    expect(importsOf(file).filter(specifier => !allowed.includes(specifier))).toEqual([])
  })

  it('the table names every file', () => {
    expect(files.filter(file => complete.includes(file.split('/')[0]!) && !named.has(file))).toEqual([])
    expect([...named].filter(file => complete.includes(file.split('/')[0]!) && !files.includes(file))).toEqual([])
  })

  it('the table\'s lines import from those above them', () => {
    const order = [...named]
    for (const [i, file] of order.entries()) {
      for (const specifier of layers[file]!.filter(s => s.startsWith('.'))) expect([file, order.indexOf(target(file, specifier)) < i]).toEqual([file, true])
    }
  })

  it('lib imports itself, the wire and little else; only socket.ts knows npm netlink', () => {
    for (const file of files.filter(name => name.startsWith('lib/'))) {
      const strange = importsOf(file).filter(s => !(s.startsWith('.') && target(file, s).startsWith('lib/')) && !outside.some(allowed => allowed.test(s)))
      expect([file, strange]).toEqual([file, []])
    }
    expect(files.filter(file => importsOf(file).some(s => /^netlink\b/.test(s)))).toEqual(['generic-netlink/socket.ts'])
  })

  it('nothing is imported in a circle', () => {
    const below = new Map(files.map(file => [file, importsOf(file).filter(s => s.startsWith('.')).map(s => target(file, s))]))
    const settled = new Set<string>()
    const circle = (file: string, path: readonly string[]): string | undefined => {
      if (path.includes(file)) return [...path, file].join(' → ')
      if (settled.has(file)) return undefined
      const found = below.get(file)?.map(name => circle(name, [...path, file])).find(text => text !== undefined)
      settled.add(file)
      return found
    }
    expect(files.map(file => circle(file, [])).filter(text => text !== undefined)).toEqual([])
  })

  it('exports are named, and passed on only by the two indexes', () => {
    const passesOn = (file: string): boolean => /^export\s+(?:type\s+)?(?:\*|\{)[^;]*?\bfrom\b/m.test(sourceOf(file))
    expect(files.filter(file => /^export\s+default\b/m.test(sourceOf(file)))).toEqual([])
    expect(files.filter(file => complete.includes(file.split('/')[0]!) && passesOn(file))).toEqual(['generic-netlink/index.ts'])
  })
})
