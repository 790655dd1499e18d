/** The imports between the files of the tree, read from their text. */

import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'

const root = new URL('../../', import.meta.url)

/** The files of `generic-netlink/` and `lib/`. */
export const sources = (): string[] => ['generic-netlink', 'lib'].flatMap(folder =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' }).filter(name => name.endsWith('.ts')).map(name => `${folder}/${name}`))

/** The files that a file imports; with `loaded`, without those from which it takes types alone. */
export function importsOf(file: string, { loaded = false } = {}): string[] {
  const text = readFileSync(new URL(file, root), 'utf8').replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  const source = loaded ? text.replace(/^(?:import|export) type [^']*'[^']*'/gm, '') : text
  const specifiers = [...source.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)'/g)].map(match => match[1]!)
  return [...new Set(specifiers.map(specifier => posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts')))]
}

/** The files that an import of this file loads, itself among them. */
export function loadsOf(file: string, files = new Set<string>()): Set<string> {
  if (files.has(file)) return files
  files.add(file)
  for (const target of importsOf(file, { loaded: true })) loadsOf(target, files)
  return files
}
