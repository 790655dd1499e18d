/** From links that are wanted, and those that are there, to what must be done. */

import { NetlinkError } from '../../../generic-netlink/index.js'
import type { Step } from '../../plan/plan.js'
import { openRtnetlink } from '../client.js'
import { interfaceName } from '../../base/check.js'
import { moduleOf, refusal } from '../explain.js'
import {
  changeParameters, linkOf, listLinks, makeLink, normalizeLink, objectOf, removeLink, rivalOf, setLink, SETTINGS, type Link, type Settings,
} from './commands.js'
import type { Parameters } from './fields.js'
import { differences, FALLBACKS, isKind, kinds, normalizeParameters, parameterWords, verifyParameters } from './kinds.js'
import type { LinkKind, LinkSpec, LinkState } from './spec.js'

const ENODEV = -19, EOPNOTSUPP = -95

const words = (...parts: (string | false | undefined)[]): string => parts.filter(Boolean).join(' ')
const addLine = ({ name, mtu, address, kind, parameters }: Link): string => words(
  `ip link add ${name}`, mtu !== undefined && `mtu ${mtu}`, address !== undefined && `address ${address}`, `type ${kind ?? ''}`,
  isKind(kind) && parameterWords(kind, parameters),
)

const SETTING_WORDS: Readonly<Record<keyof Settings, (settings: Settings) => string>> = {
  mtu:     ({ mtu = 0 }) => `mtu ${mtu}`,
  address: ({ address = '' }) => `address ${address}`,
  alias:   ({ alias = '' }) => `alias '${alias.replaceAll('\'', '\'\\\'\'')}'`,
  master:  ({ master = null }) => master === null ? 'nomaster' : `master ${master}`,
  up:      ({ up = false }) => up ? 'up' : 'down',
}
/** What settings are of a link that was never told. */
const UNTOLD: Settings = { alias: '', master: null, up: false }

const adding = (link: Link): Step => ({
  action: 'add', object: 'link', line: addLine(link),
  run: async (session, options) => makeLink(await session.use(openRtnetlink), link, options),
  undo: async (session, options) => removeLink(await session.use(openRtnetlink), link.name, options),
})

const removing = (link: Link, peer: Link | undefined, why?: string): Step => ({
  action: 'remove', object: 'link', removes: link.name, line: `ip link del ${link.name}`, ...why !== undefined && { why },
  run: async (session, options) => removeLink(await session.use(openRtnetlink), link.name, options),
  async undo(session, options) {
    const whole = peer ? { ...link, parameters: { peer } } : link
    await makeLink(await session.use(openRtnetlink), whole, options)
    for (const { name, alias, master, up } of peer ? [link, peer] : [link]) {
      await setLink(await session.use(openRtnetlink), name, { ...alias !== undefined && { alias }, ...master != null && { master }, ...up === true && { up } }, options)
    }
  },
})

const changing = (wanted: Link, actual: Link, changed: readonly string[]): Step => ({
  action: 'change', object: 'link',
  line: words(`ip link change ${wanted.name} type ${wanted.kind ?? ''}`, parameterWords(wanted.kind as LinkKind, wanted.parameters, changed)),
  run: async (session, options) => changeParameters(await session.use(openRtnetlink), wanted, changed, options),
  undo: async (session, options) => changeParameters(await session.use(openRtnetlink), actual, changed, options),
})

/** The first of some settings that is said. */
const setting = (name: string, wanted: Settings, before: Settings): Step => {
  const [key] = SETTINGS.filter(each => wanted[each] !== undefined)
  return {
    action: 'change', object: 'link', line: `ip link set ${name} ${SETTING_WORDS[key!](wanted)}`,
    run: async (session, options) => setLink(await session.use(openRtnetlink), name, wanted, options),
    undo: async (session, options) => before[key!] === undefined ? Promise.resolve() : setLink(await session.use(openRtnetlink), name, before, options),
  }
}

/** The kernel's own link comes when its module is loaded, and the module when a link of its kind is asked for. */
const loading = (link: Link): Step => ({
  action: 'add', object: 'module', line: `modprobe ${moduleOf(link.kind!)}`, why: `${link.name} comes with it, and stays while it is loaded`,
  async run(session, options) {
    try {
      await makeLink(await session.use(openRtnetlink), { name: link.name, kind: link.kind, parameters: {} }, options)
    } catch (error) {
      if (!(error instanceof NetlinkError && error.code === 'EEXIST')) throw error
    }
    if ((await listLinks(await session.use(openRtnetlink), options)).some(({ name }) => name === link.name)) return
    const told = { kind: 'link', deed: 'add', object: objectOf(link.name) } as const
    throw refusal(ENODEV, told, 'the kernel makes it in its first network namespace alone (net.core.fb_tunnels_only_for_init_net)')
  },
  undo: () => Promise.resolve(),
})

/** Settings that are said and are not so, one step each: first what it is, then whose port it is, then up. */
function settings(wanted: Settings & { name: string }, actual: Settings): Step[] {
  const before = { ...UNTOLD, ...actual }
  return SETTINGS.filter(key => wanted[key] !== undefined && wanted[key] !== before[key])
    .map(key => setting(wanted.name, { [key]: wanted[key] }, { [key]: before[key] }))
}

/** In an order in which each finds what it needs: bridges before ports, links before those on them. @throws RangeError where two need each other */
function inOrder<T extends Link>(links: readonly T[]): T[] {
  const byName = new Map(links.map(link => [link.name, link]))
  const done = new Set<T>()
  const visit = (link: T, above: readonly string[]): void => {
    if (above.includes(link.name)) throw new RangeError(`${[...above, link.name].join(' needs ')}: none of them can be first`)
    if (done.has(link)) return
    for (const name of [link.parameters.dev, link.master]) {
      const below = byName.get(name as string)
      if (below) visit(below, [...above, link.name])
    }
    done.add(link)
  }
  for (const link of links) visit(link, [])
  return [...done]
}

const peerOf = ({ kind, parameters }: Link): string | undefined => {
  const peer = kind === 'veth' ? parameters.peer as { name: string; netns?: number } | undefined : undefined
  return peer?.netns === undefined ? peer?.name : undefined
}

/**
 * The steps to the links that are wanted, from those that are there; all others stay. What the kernel can change in place is
 * changed in place; what it cannot is removed and made anew, with the same index, and the step says why: its addresses and routes
 * go with it. Pure.
 *
 * @throws TypeError, RangeError naming the field of the spec that is wrong, or the link that stands in its way
 */
export function linkSteps(wanted: readonly LinkSpec[], actual: readonly LinkState[]): Step[] {
  if (!Array.isArray(wanted)) throw new TypeError('links: what should be a list is not an array')
  const model = new Map(actual.map(state => [state.name, linkOf(state)]))
  const links = wanted.map((spec: LinkSpec, i) => ({ ...normalizeLink(spec, `links[${i}].`), path: `links[${i}]` }))
  for (const [i, { name, path }] of links.entries()) {
    if (links.findIndex(other => other.name === name) !== i) throw new RangeError(`${path}.name: ${name} is there twice`)
  }

  const forget = (name: string): void => {
    const gone = model.get(name)
    model.delete(name)
    if (gone && peerOf(gone) !== undefined) model.delete(peerOf(gone)!)
    for (const other of [...model.values()]) {
      if (other.kind === 'vxlan' && other.parameters.dev === name) forget(other.name) // the kernel removes it with the link below
      else if (other.master === name) model.set(other.name, { ...other, master: null })
    }
  }
  const create = (link: Link, path: string): Step[] => {
    const rival = rivalOf(link, [...model.values()])
    if (rival !== undefined) throw new RangeError(`${path}: ${rival}`)
    const { alias: _, master: __, up: ___, ...bare } = link
    model.set(link.name, link)
    const end = peerOf(link)
    if (end !== undefined) model.set(end, { name: end, kind: 'veth', parameters: { peer: { name: link.name } }, up: false })
    const { mtu, address } = link
    return [adding(bare), ...settings(link, { ...mtu !== undefined && { mtu }, ...address !== undefined && { address } })]
  }

  const steps = (link: typeof links[number]): Step[] => {
    const { path, said, ...spec } = link
    const { name, kind, parameters } = spec
    const there = model.get(name)
    const fallback = FALLBACKS.has(name)
    if (!there) return fallback ? [loading(spec), ...settings(spec, {})] : create(spec, path)
    if (!isKind(there.kind) || (there.kind !== kind && fallback)) {
      throw new RangeError(`${path}.kind: ${name} is there, and is no ${kind}${there.kind === undefined ? '' : ` but a ${there.kind}`}`)
    }
    const changed = there.kind === kind ? differences(kind, parameters, there.parameters).filter(key => !fallback || said.includes(key)) : []
    if (fallback && changed.length > 0) {
      throw new RangeError(`${path}.${changed[0]!}: ${name} is the kernel's own, and it changes nothing of it; add another link`)
    }
    const stuck = there.kind !== kind ? `it is of kind ${there.kind}`
      : changed.length > 0 ? kinds[kind].inPlace?.(parameters, there.parameters, changed) : undefined
    if (stuck === undefined) {
      const whole = { ...spec, parameters: { ...there.parameters, ...parameters } }
      if (changed.length > 0) {
        const rival = rivalOf(whole, [...model.values()])
        if (rival !== undefined) throw new RangeError(`${path}: ${rival}`)
      }
      model.set(name, { ...there, ...whole })
      return [...changed.length > 0 ? [changing(whole, there, changed)] : [], ...settings(spec, there)]
    }
    const { index, address, alias, master } = there
    const peer = model.get(peerOf(there) ?? '')
    forget(name)
    const ethernet = kinds[kind].ethernet && parameters.gpe !== true
    const again = {
      ...index !== undefined && { index }, ...ethernet && address !== undefined && { address }, ...ethernet && master != null && { master },
      ...alias !== undefined && { alias }, ...spec,
    }
    return [removing(there, peer, `${stuck}: it is made anew, and loses its addresses and routes`), ...create(again, path)]
  }
  return inOrder(links).flatMap(steps)
}

/** The steps that remove links, as far as they are there. Pure. @throws RangeError naming one that cannot be removed */
export function linkRemovals(names: readonly string[], actual: readonly LinkState[]): Step[] {
  const model = new Map(actual.map(state => [state.name, linkOf(state)]))
  return names.flatMap((given, i) => {
    const name = interfaceName(`links[${i}]`, given)
    const link = model.get(name)
    if (!link) return []
    if (FALLBACKS.has(name)) throw new RangeError(`links[${i}]: the kernel keeps ${name} for as long as the module of its kind is loaded; set it down instead`)
    if (!isKind(link.kind)) throw new RangeError(`links[${i}]: ${name} is of kind ${link.kind ?? 'none'}, and could not be made again`)
    const peer = model.get(peerOf(link) ?? '')
    model.delete(name)
    if (peer) model.delete(peer.name)
    return [removing(link, peer)]
  })
}

/** The step that changes parameters of a link in place. @throws RangeError, TypeError naming the field; NetlinkError where it cannot be done in place */
export function parameterChange(link: Link, kind: LinkKind, changes: Parameters): Step | undefined {
  const { name } = link
  const told = { kind: 'link', deed: 'change', object: objectOf(name) } as const
  if (link.kind !== kind) throw refusal(EOPNOTSUPP, told, `it is of kind ${link.kind ?? 'none'}, not ${kind}`)
  const parameters = { ...link.parameters, ...changes }
  const changed = differences(kind, changes, link.parameters)
  if (changed.length === 0) return undefined
  if (FALLBACKS.has(name)) throw refusal(EOPNOTSUPP, told, 'it is the kernel\'s own, and it changes nothing of it; add another link')
  verifyParameters('', kind, { ...normalizeParameters('', kind, { external: parameters.external }, true), ...parameters })
  const stuck = kinds[kind].inPlace?.(parameters, link.parameters, changed)
  if (stuck !== undefined) throw refusal(EOPNOTSUPP, told, `${stuck}; remove it and add it anew, as a plan does`)
  const { mtu: _, ...rest } = link
  return changing({ ...rest, parameters }, link, changed)
}
