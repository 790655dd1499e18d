/** The logger, in a process of its own: `DEBUG` is read there, and the package is loaded there. */

import { execFileSync } from 'node:child_process'
import { expect, it } from 'vitest'

/** Runs a script with `logger` and returns its output. */
const run = (script: string, env: NodeJS.ProcessEnv = {}): string => execFileSync(
  process.execPath, ['--input-type=module', '-e', `
    import { createRequire } from 'node:module'
    const require = createRequire(process.cwd() + '/package.json')
    const loaded = () => Object.keys(require.cache).some(file => /node_modules.debug/.test(file))
    const { logger } = await import('./dist/generic-netlink/log.js')
    const log = logger('ipvs-nl:test')
    ${script}
  `], { encoding: 'utf8', env: { ...process.env, DEBUG: undefined, ...env }, stdio: ['ignore', 'pipe', 'pipe'] })

it('does not load the package while nothing is enabled', () => {
  expect(run('log("%s", 1); console.log(log.enabled, loaded())')).toBe('false false\n')
})
it('logs where the namespace is enabled, from the start or later', () => {
  const print = 'createDebug.log = (...line) => console.log(line.join(" ").includes("x is"))'
  expect(run(`const createDebug = require('debug'); ${print}; log('x is %d', 1); console.log(log.enabled)`, { DEBUG: 'ipvs-nl:*' })).toBe('true\ntrue\n')
  expect(run(`log('unheard'); const createDebug = require('debug'); ${print}; createDebug.enable('ipvs-nl:*'); await null; log('x is %d', 1)`)).toBe('true\n')
})
it('drops every error of an output, of a formatter and of a value', () => {
  expect(run(`
    const createDebug = require('debug')
    createDebug.log = () => { throw new Error('output') }
    log('x')
    createDebug.log = () => {}
    createDebug.formatters.z = () => { throw new Error('formatter') }
    log('%z', 1)
    log('%o', { get [Symbol.for('nodejs.util.inspect.custom')]() { throw new Error('value') } })
    console.log('alive')
  `, { DEBUG: 'ipvs-nl:*' })).toBe('alive\n')
})
