/** The steps from existing links to wanted links. */

import { NetlinkError } from '../../../generic-netlink/core.js'
import { atPath, checkList, interfaceName, SpecError } from '../../base/check.js'
import { defined, type Values } from '../../base/field.js'
import type { Step } from '../../plan/plan.js'
import { byKey, stepOn } from '../../plan/resource.js'
import { openRtnetlink } from '../client.js'
import { refuse } from '../explain.js'
import { changeParameters, createLink, listLinks, objectOf, removeLink, setLink } from './commands.js'
import { conflictOf } from './conflicts.js'
import { FALLBACKS, isKind, kinds, type LinkKind } from './kinds/index.js'
import { linkOf, normalizeLink, type Link, type WantedLink } from './link.js'
import { laterSettings, settings, type Settings } from './settings.js'
import type { LinkSpec, LinkState } from './spec.js'

const join = (...parts: (string | false | undefined)[]): string => parts.filter(Boolean).join(' ')

// ── single steps ──

const adding = (link: Link): Step => stepOn(openRtnetlink, {
  action: 'add', object: 'link',
  line: join(
    `ip link add ${link.name}`, settings.words(link, ['mtu', 'address']), `type ${link.kind ?? ''}`,
    isKind(link.kind) && kinds[link.kind].fields.words(link.parameters)),
  run: (client, options) => createLink(client, link, options),
  undo: (client, options) => removeLink(client, link.name, options),
})

const removing = (link: Link, peer: Link | undefined, why?: string): Step => stepOn(openRtnetlink, {
  action: 'remove', object: 'link', removes: link.name, line: `ip link del ${link.name}`, why,
  run: (client, options) => removeLink(client, link.name, options),
  async undo(client, options) {
    await createLink(client, peer ? { ...link, parameters: { peer } } : link, options)
    for (const each of peer ? [link, peer] : [link]) await setLink(client, each.name, laterSettings(each), options)
  },
})

const changing = (wanted: Link, actual: Link, changed: readonly string[]): Step => stepOn(openRtnetlink, {
  action: 'change', object: 'link',
  line: join(
    `ip link change ${wanted.name} type ${wanted.kind ?? ''}`,
    kinds[wanted.kind as LinkKind].fields.words(wanted.parameters, changed),
  ),
  run: (client, options) => changeParameters(client, wanted, changed, options),
  undo: (client, options) => changeParameters(client, actual, changed, options),
})

const setting = (name: string, key: keyof Settings, wanted: Settings, before: Settings): Step => stepOn(openRtnetlink, {
  action: 'change', object: 'link', line: `ip link set ${name} ${settings.words(wanted, [key])}`,
  run: (client, options) => setLink(client, name, { [key]: wanted[key] }, options),
  async undo(client, options) {
    if (before[key] !== undefined) await setLink(client, name, { [key]: before[key] }, options)
  },
})

/** One step for each setting that differs. Settings that `before` lacks are those of a new link. */
function settingSteps(wanted: Settings & { name: string }, before: Settings): Step[] {
  const actual = settings.complete(before)
  return settings.differences(settings.existing(wanted), actual).map(
    key => setting(wanted.name, key as keyof Settings, wanted, actual),
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

/** The name of the other end of a pair, if it is in this network namespace. */
function peerName({ kind, parameters }: Link): string {
  const end = isKind(kind) ? kinds[kind].peer?.(parameters) : undefined
  return end !== undefined && end.netns === undefined ? end.name : ''
}

/** The links as they are after some steps. */
class Model {
  readonly #links: Map<string, Link>

  constructor(actual: readonly LinkState[]) { this.#links = new Map(actual.map(state => [state.name, linkOf(state)])) }

  get(name: string): Link | undefined { return this.#links.get(name) }
  set(link: Link): void { this.#links.set(link.name, link) }

  /** Adds a link, and the other end of a pair. */
  add(link: Link): void {
    this.set(link)
    const end = peerName(link)
    if (end !== '') {
      this.set({ name: end, kind: link.kind, parameters: kinds[link.kind as LinkKind].peerOf!(link.name), up: false })
    }
  }

  /** Removes a link, and with it the other end of a pair, links on it, and its mastership. */
  remove(link: Link): void {
    this.#links.delete(link.name)
    this.#links.delete(peerName(link))
    for (const other of [...this.#links.values()]) {
      const onLink = other.parameters.link === link.name
      if (onLink && isKind(other.kind) && kinds[other.kind].removedWithLink === true) this.remove(other)
      else if (other.master === link.name) this.set({ ...other, master: null })
    }
  }

  /** @throws SpecError where the kernel could not tell the link from another one */
  checkConflict(link: Link, path: string): void {
    const why = conflictOf(link, [...this.#links.values()])
    if (why !== undefined) throw new SpecError(path, why)
  }
}

function addSteps(model: Model, link: Link, path: string): Step[] {
  model.checkConflict(link, path)
  model.add(link)
  const { alias: _, master: __, up: ___, ...bare } = link
  return [adding(bare), ...settingSteps(link, defined({ mtu: link.mtu, address: link.address }))]
}

function stepsTo(model: Model, link: WantedLink, path: string): Step[] {
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
  return [
    removing(actual, peer, `${stuck}: it is removed and added again, and loses its addresses and routes`),
    ...addSteps(model, again, path),
  ]
}

/**
 * The steps to the wanted links; all others stay. A step changes a link in place where the kernel
 * can. Otherwise the link is removed and added again with the same index, and the step says why:
 * its addresses and routes go with it. Pure.
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
    return [removing(link, peer)]
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
