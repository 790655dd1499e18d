/** Links as they are after some steps of a plan. Pure. */

import { SpecError } from '../../base/check.js'
import { conflictOf, groupOf } from './conflicts.js'
import { isKind, kinds, type LinkKind } from './kinds/index.js'
import { linkOf, type Link } from './link.js'
import type { LinkState } from './spec.js'

/** The name of the other end of a pair, if it is in this network namespace. */
export function peerName({ kind, parameters }: Link): string {
  const end = isKind(kind) ? kinds[kind].peer?.(parameters) : undefined
  return end !== undefined && end.netns === undefined ? end.name : ''
}

/** The links as they are after some steps. */
export class Model {
  readonly #links = new Map<string, Link>()
  /** The links that may conflict, by name. */
  readonly #groups = new Map<string, Map<string, Link>>()

  constructor(actual: readonly LinkState[]) { for (const state of actual) this.set(linkOf(state)) }

  get(name: string): Link | undefined { return this.#links.get(name) }

  set(link: Link): void {
    this.#delete(link.name)
    this.#links.set(link.name, link)
    const group = groupOf(link)
    if (group === undefined) return
    const links = this.#groups.get(group)
    if (links) links.set(link.name, link)
    else this.#groups.set(group, new Map([[link.name, link]]))
  }

  #delete(name: string): void {
    const link = this.#links.get(name)
    if (!link) return
    this.#links.delete(name)
    this.#groups.get(groupOf(link) ?? '')?.delete(name)
  }

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
    this.#delete(link.name)
    this.#delete(peerName(link))
    for (const other of [...this.#links.values()]) {
      const onLink = other.parameters.link === link.name
      if (onLink && isKind(other.kind) && kinds[other.kind].removedWithLink === true) this.remove(other)
      else if (other.master === link.name) this.set({ ...other, master: null })
    }
  }

  /** @throws SpecError where the kernel could not tell the link from another one */
  checkConflict(link: Link, path: string): void {
    const why = conflictOf(link, this.#groups.get(groupOf(link) ?? '')?.values() ?? [])
    if (why !== undefined) throw new SpecError(path, why)
  }
}
