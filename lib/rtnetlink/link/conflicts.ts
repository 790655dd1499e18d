/** Reasons for `EEXIST`: links that the kernel cannot tell apart, and taken names. Pure. */

import { FALLBACKS, isKind, kinds } from './kinds/index.js'
import { linkOf, type Link } from './link.js'
import type { LinkState } from './spec.js'

/** Why the kernel cannot tell two links apart, names aside. */
function conflict(link: Link, other: Link): string | undefined {
  if (!isKind(link.kind)) return undefined
  const { conflict: why, rival } = kinds[link.kind]
  return other.kind === link.kind || other.kind === rival
    ? why?.(link.parameters, other.parameters, other.kind === link.kind)
    : undefined
}

/** A text that links have in common that conflict; undefined for links that conflict with none. */
export function groupOf({ kind, parameters }: Link): string | undefined {
  if (!isKind(kind)) return undefined
  const { alike, rival = kind } = kinds[kind]
  return alike && `${kind < rival ? kind : rival} ${alike(parameters)}`
}

/** The existing link because of which the kernel refuses this one, as a sentence. */
export function conflictOf(link: Link, links: Iterable<Link>): string | undefined {
  for (const other of links) {
    const why = other.name === link.name ? undefined : conflict(link, other)
    if (why === undefined) continue
    return FALLBACKS.has(other.name)
      ? `without local and remote it has the parameters of ${other.name}, the kernel's own link for packets that belong`
      + ` to no other link: set local or remote, or use ${other.name}`
      : `link ${other.name} ${why}`
  }
  return undefined
}

/** The reason why the kernel refused to add a link with `EEXIST`. */
export function reasonOfExistence(link: Link, states: readonly LinkState[]): string | undefined {
  const namesake = states.find(({ name }) => name === link.name)
  if (namesake && FALLBACKS.has(link.name)) {
    return `the kernel creates ${link.name} when it loads the module of its kind: the link exists already, and can be`
      + ' set up but not added'
  }
  if (namesake) {
    const another = namesake.kind === link.kind ? '' : ` (of kind ${namesake.kind ?? 'none'})`
    return `a link of this name exists already${another}; change it, or remove it first`
  }
  const other = states.find(({ altNames }) => altNames.includes(link.name))
  return other ? `link ${other.name} has this name too` : conflictOf(link, states.map(linkOf))
}
