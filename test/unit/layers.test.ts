/** The one rule of the tree: a folder imports only from folders to its left, and no files import in a circle. */

import { expect, it } from 'vitest'
import { importsOf, sources } from '../support/imports.js'

/** The folders, from left to right; those on one line do not know each other. */
const LAYERS: readonly (readonly string[])[] = [
  ['generic-netlink'],
  ['lib/base'],
  ['lib/plan'],
  ['lib/sysctl', 'lib/rtnetlink'],
  ['lib/ipvs'],
  ['lib/proc', 'lib/network'],
  ['lib/diagnose'],
  ['lib/api'],
  ['lib/index.ts'],
]

const files = sources()
const folders = LAYERS.flat()

const folderOf = (file: string): string => folders.find(folder => file === folder || file.startsWith(`${folder}/`)) ?? `no layer: ${file}`
const layerOf = (folder: string): number => LAYERS.findIndex(layer => layer.includes(folder))

const imports = new Map(files.map(file => [file, importsOf(file)]))

it('every file lies in a layer', () => {
  expect(files.map(folderOf).filter(folder => layerOf(folder) < 0)).toEqual([])
  expect(folders.filter(folder => !files.some(file => folderOf(file) === folder))).toEqual([])
})

it('a folder imports only from folders to its left', () => {
  const upward = [...imports].flatMap(([file, targets]) => targets
    .filter(target => folderOf(target) !== folderOf(file) && layerOf(folderOf(target)) >= layerOf(folderOf(file)))
    .map(target => `${file} → ${target}`))
  expect(upward).toEqual([])
})

it('no files import in a circle', () => {
  const left = new Set<string>()
  const circles: string[] = []
  const visit = (file: string, path: readonly string[]): void => {
    if (path.includes(file)) circles.push([...path.slice(path.indexOf(file)), file].join(' → '))
    if (path.includes(file) || left.has(file)) return
    for (const target of imports.get(file) ?? []) visit(target, [...path, file])
    left.add(file)
  }
  for (const file of files) visit(file, [])
  expect(circles).toEqual([])
})
