/** The steps from existing links to wanted links. */

import { NetlinkError, type CallOptions } from '../../../generic-netlink/core.js'
import { atPath, checkList, interfaceName, SpecError } from '../../base/check.js'
import { defined, type Values } from '../../base/field.js'
import type { Step } from '../../plan/plan.js'
import { byKey, stepOn } from '../../plan/resource.js'
import { Session } from '../../plan/session.js'
import { openRtnetlink, type RouteClient } from '../client.js'
import { refuse } from '../explain.js'
import {
  changeParameters, createLink, listLinks, objectOf, readSettings, removeLink, setLink,
} from './commands.js'
import { FALLBACKS, isKind, kinds, type LinkKind } from './kinds/index.js'
import { normalizeLink, type Link, type WantedLink } from './link.js'
import { Model, peerName } from './model.js'
import { laterSettings, settings, type Settings } from './settings.js'
import type { LinkSpec, LinkState } from './spec.js'
import { readStanding, restoreStanding, type Standing } from './standing.js'

const join = (...parts: (string | false | undefined)[]): string => parts.filter(Boolean).join(' ')

// ── single steps ──

/** A link as a plan adds it: kind and parameters, name, MTU and MAC address. */
type BareLink = Omit<WantedLink, 'alias' | 'master' | 'up'>

/**
 * Adds a link. Where another program has added one of this name, changes it to the wanted one.
 * Resolves with the steps that did so; with undefined where the link is new.
 */
async function ensureLink(client: RouteClient, link: BareLink, options?: CallOptions): Promise<Step[] | undefined> {
  try {
    await createLink(client, link, options)
    return undefined
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    const actual = await listLinks(client, options)
    if (!actual.some(({ name }) => name === link.name)) throw error
    const steps = stepsTo(new Model(actual), link, 'link')
    await using session = new Session().share(openRtnetlink, client)
    for (const [i, step] of steps.entries()) {
      try { await step.run(session, options) } catch (also) {
        await undoAll(client, steps.slice(0, i))
        throw also
      }
    }
    return steps
  }
}

async function undoAll(client: RouteClient, steps: readonly Step[], options?: CallOptions): Promise<void> {
  await using session = new Session().share(openRtnetlink, client)
  for (const step of steps.toReversed()) await step.undo(session, options)
}

const hasCode = (error: unknown, code: string): boolean => error instanceof NetlinkError && error.code === code

/** Waits for work on a link; one that is gone needs none. Resolves with whether it was there. */
async function unlessGone(work: Promise<void>): Promise<boolean> {
  try {
    await work
    return true
  } catch (error) {
    if (hasCode(error, 'ENODEV')) return false
    throw error
  }
}

function adding(link: BareLink): Step {
  let became: Step[] | undefined
  return stepOn(openRtnetlink, {
    action: 'add', object: 'link',
    line: join(
      `ip link add ${link.name}`, settings.words(link, ['mtu', 'address']), `type ${link.kind}`,
      kinds[link.kind].fields.words(link.parameters)),
    async run(client, options) { became = await ensureLink(client, link, options) },
    async undo(client, options) {
      if (became) await undoAll(client, became, options)
      else await unlessGone(removeLink(client, link.name, options))
    },
  })
}

/** The step that removes a link, with the other end of a pair, and the step that restores these. */
function removing(
  link: Link, peer: Link | undefined, why?: string,
): { readonly remove: Step; readonly restore: Step } {
  const names = peer ? [link.name, peer.name] : [link.name]
  let standing: Standing[] | undefined
  const giveBack = async (client: RouteClient, options?: CallOptions): Promise<void> => {
    for (const each of standing ?? []) await restoreStanding(client, each, options)
  }
  const remove = stepOn(openRtnetlink, {
    action: 'remove', object: 'link', removes: link.name, line: `ip link del ${link.name}`, why,
    async run(client, options) {
      const found = await Promise.all(names.map(name => readStanding(client, name, options)))
      const there = await unlessGone(removeLink(client, link.name, options))
      standing = there ? found.filter(each => each !== undefined) : undefined
    },
    async undo(client, options) {
      if (!standing) return // it was gone already
      const whole = { ...link, given: [], ...peer && { parameters: { peer } } } as unknown as WantedLink
      await ensureLink(client, whole, options)
      for (const each of peer ? [link, peer] : [link]) await setLink(client, each.name, laterSettings(each), options)
      await giveBack(client, options)
    },
  })
  return {
    remove,
    restore: stepOn(openRtnetlink, {
      action: 'change', object: 'link', line: 'ip addr restore; ip route restore',
      why: `what stood on ${names.join(' and ')} comes back: addresses, routes, neighbours, sysctls`,
      run: giveBack,
      undo: () => Promise.resolve(), // it goes with the link
    }),
  }
}

const changing = (wanted: Link, actual: Link, changed: readonly string[]): Step => stepOn(openRtnetlink, {
  action: 'change', object: 'link',
  line: join(
    `ip link change ${wanted.name} type ${wanted.kind ?? ''}`,
    kinds[wanted.kind as LinkKind].fields.words(wanted.parameters, changed),
  ),
  run: (client, options) => changeParameters(client, wanted, changed, options),
  async undo(client, options) { await unlessGone(changeParameters(client, actual, changed, options)) },
})

function setting(name: string, key: keyof Settings, wanted: Settings): Step {
  let before: Settings = {}
  return stepOn(openRtnetlink, {
    action: 'change', object: 'link', line: `ip link set ${name} ${settings.words(wanted, [key])}`,
    async run(client, options) {
      before = await readSettings(client, name, options)
      await setLink(client, name, { [key]: wanted[key] }, options)
    },
    async undo(client, options) {
      if (before[key] !== undefined) await unlessGone(setLink(client, name, { [key]: before[key] }, options))
    },
  })
}

/** One step for each setting that differs. Settings that `before` lacks are those of a new link. */
function settingSteps(wanted: Settings & { name: string }, before: Settings): Step[] {
  const actual = settings.complete(before)
  return settings.differences(settings.existing(wanted), actual).map(
    key => setting(wanted.name, key as keyof Settings, wanted),
  )
}

/** Loads a module, which creates the kernel's own link, by requesting a link of its kind. */
const loading = ({ name, kind }: WantedLink): Step => stepOn(openRtnetlink, {
  action: 'add', object: 'module', line: `modprobe ${kinds[kind].module}`,
  why: `${name} comes with it, and stays while it is loaded`,
  async run(client, options) {
    try {
      await createLink(client, { name, kind, parameters: {} }, options)
    } catch (error) { if (!(error instanceof NetlinkError && error.code === 'EEXIST')) throw error }
    if ((await listLinks(client, options)).some(link => link.name === name)) return
    throw refuse('ENODEV', { kind: 'link', verb: 'add', object: objectOf(name) },
      'the kernel creates it in its first network namespace alone (net.core.fb_tunnels_only_for_init_net)')
  },
  undo: () => Promise.resolve(),
})

// ── all steps ──

/**
 * The links in an order in which each finds the links that it needs:
 * its master, and the link below.
 * @throws SpecError where two need each other
 */
function inOrder<T extends Link>(links: readonly T[]): T[] {
  const byName = new Map(links.map(link => [link.name, link]))
  const done = new Set<T>()
  const visit = (link: T, above: readonly string[]): void => {
    if (above.includes(link.name)) {
      throw new SpecError('links', `${[...above, link.name].join(' needs ')}: none of them can be first`)
    }
    if (done.has(link)) return
    for (const name of [link.parameters.link, link.master]) {
      const below = byName.get(name as string)
      if (below) visit(below, [...above, link.name])
    }
    done.add(link)
  }
  for (const link of links) visit(link, [])
  return [...done]
}

function addSteps(model: Model, link: WantedLink, path: string): Step[] {
  model.checkConflict(link, path)
  model.add(link)
  const { alias: _, master: __, up: ___, ...bare } = link
  return [adding(bare), ...settingSteps(link, defined({ mtu: link.mtu, address: link.address }))]
}

function stepsTo(model: Model, link: WantedLink | BareLink, path: string): Step[] {
  const { name, kind, parameters, given } = link
  const { fields, inPlace, ethernet } = kinds[kind]
  const actual = model.get(name)
  const fallback = FALLBACKS.has(name)
  if (!actual) return fallback ? [loading(link), ...settingSteps(link, {})] : addSteps(model, link, path)
  if (!isKind(actual.kind) || (actual.kind !== kind && fallback)) {
    throw new SpecError(
      `${path}.kind`, `${name} exists, and is no ${kind}${actual.kind === undefined ? '' : ` but a ${actual.kind}`}`,
    )
  }
  const changed = actual.kind === kind
    ? fields.differences(parameters, actual.parameters).filter(key => !fallback || given.includes(key))
    : []
  if (fallback && changed.length > 0) {
    throw new SpecError(
      `${path}.${changed[0]!}`, `${name} is the kernel's own link, whose parameters do not change; add another link`,
    )
  }
  const stuck = actual.kind !== kind
    ? `it is of kind ${actual.kind}`
    : changed.length > 0 ? inPlace?.(parameters, actual.parameters, changed) : undefined
  if (stuck === undefined) {
    const whole = { ...link, parameters: { ...actual.parameters, ...parameters } }
    if (changed.length > 0) model.checkConflict(whole, path)
    model.set({ ...actual, ...whole })
    return [...changed.length > 0 ? [changing(whole, actual, changed)] : [], ...settingSteps(link, actual)]
  }
  const { index, address, alias, master } = actual
  const peer = model.get(peerName(actual))
  model.remove(actual)
  const again = {
    ...defined({ index, alias, ...ethernet(parameters) && { address, master: master ?? undefined } }), ...link,
  }
  const { remove, restore } = removing(actual, peer, `${stuck}: it is removed and added again`)
  return [remove, ...addSteps(model, again, path), restore]
}

/**
 * The steps to the wanted links; all others stay. A step changes a link in place where the kernel
 * can. Otherwise the link is removed and added again with the same index, and the step says why:
 * what stood on it comes back then. Pure.
 * @throws SpecError naming the field of the spec that is wrong,
 * or the link that conflicts
 */
export function linkSteps(wanted: readonly LinkSpec[], actual: readonly LinkState[]): Step[] {
  checkList('links', wanted)
  const model = new Model(actual)
  const links = wanted.map((spec, i) => ({ ...normalizeLink(spec, atPath('links', i)), path: atPath('links', i) }))
  byKey('links', links, ({ name }) => name, ({ name }) => name)
  return inOrder(links).flatMap(({ path, ...link }) => stepsTo(model, link, path))
}

/** The steps that remove those of the links that exist. Pure. @throws SpecError naming a link */
export function linkRemovals(unwanted: readonly string[], actual: readonly LinkState[]): Step[] {
  const model = new Model(actual)
  return unwanted.flatMap((unchecked, i) => {
    const path = atPath('links', i)
    const name = interfaceName(path, unchecked)
    const link = model.get(name)
    if (!link) return []
    if (FALLBACKS.has(name)) {
      throw new SpecError(
        path, `the kernel keeps ${name} while the module of its kind is loaded; set it down instead`)
    }
    if (!isKind(link.kind)) {
      throw new SpecError(path, `${name} is of kind ${link.kind ?? 'none'}, and could not be added again`)
    }
    const peer = model.get(peerName(link))
    model.remove(link)
    return [removing(link, peer).remove]
  })
}

/** The steps that change a link. @throws naming the field; NetlinkError where the kernel cannot */
export function changeSteps(link: Link, kind: LinkKind | undefined, parameters: Values, wanted: Settings): Step[] {
  const step = kind === undefined ? undefined : parameterStep(link, kind, parameters, wanted.mtu)
  return [...step ? [step] : [], ...settingSteps({ ...wanted, name: link.name }, link)]
}

function parameterStep(link: Link, kind: LinkKind, changes: Values, mtu: number | undefined): Step | undefined {
  const { name } = link
  const { fields, inPlace } = kinds[kind]
  const asked = { kind: 'link', verb: 'change', object: objectOf(name) } as const
  if (link.kind !== kind) throw refuse('EOPNOTSUPP', asked, `it is of kind ${link.kind ?? 'none'}, not ${kind}`)
  const changed = fields.differences(changes, link.parameters)
  if (changed.length === 0) return undefined
  if (FALLBACKS.has(name)) {
    throw refuse('EOPNOTSUPP', asked, 'it is the kernel\'s own link, whose parameters do not change; add another link')
  }
  const parameters = { ...link.parameters, ...changes }
  const stuck = inPlace?.(parameters, link.parameters, changed)
  if (stuck !== undefined) throw refuse('EOPNOTSUPP', asked, `${stuck}; remove it and add it again, as a plan does`)
  fields.verify(fields.complete(parameters))
  const { mtu: _, ...rest } = link
  return changing({ ...rest, ...defined({ mtu }), parameters }, link, changed)
}
