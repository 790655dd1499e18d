/** The files that an import of one part loads. Imports of types alone load nothing. */

import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { loadsOf } from '../support/imports.js'

const RTNETLINK = ['generic-netlink', 'lib/base', 'lib/plan', 'lib/rtnetlink', 'lib/rtnetlink/wire']
const FAMILIES = 'generic-netlink/families/'

/** The parts that have no family of generic netlink, and the folders that each loads. */
const parts: [part: string, folders: readonly string[]][] = [
  ['generic-netlink/core.ts',               ['generic-netlink']],
  ['lib/plan/plan.ts',                      ['generic-netlink', 'lib/base', 'lib/plan']],
  ['lib/sysctl/accessor.ts',                ['generic-netlink', 'lib/base', 'lib/plan', 'lib/sysctl']],
  ['lib/rtnetlink/link/links.ts',           [...RTNETLINK, 'lib/rtnetlink/link', 'lib/rtnetlink/link/kinds']],
  ['lib/rtnetlink/address/addresses.ts',    [...RTNETLINK, 'lib/rtnetlink/address']],
  ['lib/rtnetlink/route/routes.ts',         [...RTNETLINK, 'lib/rtnetlink/address', 'lib/rtnetlink/route']],
  ['lib/rtnetlink/neighbour/neighbours.ts', [...RTNETLINK, 'lib/rtnetlink/neighbour']],
]

const foldersOf = (files: Iterable<string>): string[] => [...new Set(Array.from(files, file => posix.dirname(file)))].sort()

describe('an import loads', () => {
  it.each(parts)('%s: %j', (part, folders) => expect(foldersOf(loadsOf(part))).toEqual([...folders].sort()))

  it.each([
    ['lib/network/fou.ts', ['fou.ts']], ['lib/ipvs/client.ts', ['ipvs.ts']], ['lib/index.ts', ['fou.ts', 'ipvs.ts']], ['generic-netlink/index.ts', ['fou.ts', 'ipvs.ts']],
  ])('%s: the families %j', (part, families) => {
    expect([...loadsOf(part)].filter(file => file.startsWith(FAMILIES)).sort()).toEqual(families.map(name => FAMILIES + name))
  })
})

const dist = new URL('../../dist/', import.meta.url)

/** The files that Node loads for a part: a coverage report names every script of the process. */
function loadedByNode(part: string): string[] {
  const script = new URL(part.replace(/\.ts$/, '.js'), dist)
  if (!existsSync(script)) throw new Error(`${fileURLToPath(script)} is missing: run npm run build first`)
  const reports = mkdtempSync(join(tmpdir(), 'imports.'))
  try {
    execFileSync(process.execPath, ['--input-type=module', '-e', `await import(${JSON.stringify(script.href)})`], { env: { ...process.env, NODE_V8_COVERAGE: reports } })
    const urls = readdirSync(reports).flatMap(name =>
      (JSON.parse(readFileSync(join(reports, name), 'utf8')) as { result: { url: string }[] }).result.map(({ url }) => url))
    return urls.filter(url => url.startsWith(dist.href)).map(url => url.slice(dist.href.length).replace(/\.js$/, '.ts')).sort()
  } finally {
    rmSync(reports, { recursive: true })
  }
}

describe('Node loads the same from dist', () => {
  it.each([...parts.map(([part]) => part), 'lib/index.ts', 'generic-netlink/index.ts'])('%s', part => {
    expect(loadedByNode(part)).toEqual([...loadsOf(part)].sort())
  })
})
