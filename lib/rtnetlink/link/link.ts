/** Links in their normal form, made from specs, states and the kernel's messages. Pure. */

import { atPath, interfaceName, invalid, show, SpecError } from '../../base/check.js'
import type { Values } from '../../base/field.js'
import type { Entry } from '../client.js'
import type { LinkNames } from '../link-names.js'
import { FALLBACKS, isKind, kinds, type LinkKind } from './kinds/index.js'
import { normalizeSettings, settings, type Settings } from './settings.js'
import type { LinkSpec, LinkState } from './spec.js'

/** A link in its normal form: a wanted one, or one that exists. */
export interface Link extends Settings {
  readonly name: string
  readonly kind: string | undefined
  readonly parameters: Values
  /** The index of a link that exists. A link that replaces it has the same. */
  readonly index?: number
}

/** A wanted link in its normal form. */
export interface WantedLink extends Link {
  readonly kind: LinkKind
  /** The names of the parameters that the spec contains. */
  readonly given: readonly string[]
}

/** The kind that a spec names, and whose fields alone it has. @throws SpecError */
export function checkKind(path: string, spec: Values): LinkKind {
  const { kind } = spec
  if (!isKind(kind)) {
    throw new SpecError(atPath(path, 'kind'), `${show(kind)} is not one of ${Object.keys(kinds).join(', ')}`)
  }
  kinds[kind].fields.checkNames(spec, path)
  return kind
}

/** A spec in its normal form. @throws SpecError naming the field below `path` */
export function normalizeLink(spec: LinkSpec, path = ''): WantedLink {
  if (typeof spec !== 'object' || (spec as unknown) === null) throw invalid(path || 'link', spec, 'an object')
  const values = spec as unknown as Values
  const kind = checkKind(path, values)
  const { fields, ethernet, peer } = kinds[kind]
  const name = interfaceName(atPath(path, 'name'), values.name)
  const parameters = fields.complete(fields.pick(values, path)) as Values
  const fallback = FALLBACKS.get(name)
  if (fallback !== undefined && fallback !== kind) {
    throw new SpecError(atPath(path, 'name'), `the kernel reserves ${name} for a link of kind ${fallback}`)
  }
  if (fallback === undefined) fields.verify(parameters, path)
  const end = peer?.(parameters)
  if (end?.name === name && end.netns === undefined) {
    throw new SpecError(atPath(path, 'peer.name'), `${name} is this end`)
  }
  if (parameters.link === name) throw new SpecError(atPath(path, 'link'), `${name} is the link itself`)
  return {
    name, kind, parameters, up: true, ...normalizeSettings(path, values, ethernet(parameters)),
    given: fields.names.filter(field => values[field] !== undefined),
  }
}

/** A state in its normal form. */
export function linkOf(state: LinkState): Link {
  const { index, name, kind } = state
  const parameters = isKind(kind) ? kinds[kind].fields.settable(state) as Values : {}
  return { index, name, kind, ...settings.existing(state), parameters }
}

/** A link that the kernel describes. */
export function readLink({ header, attributes }: Entry<'link'>, names: LinkNames): LinkState {
  const {
    ifname = '', operstate = 'unknown', carrier = 0, propList = [], stats64, linkinfo, link: below = 0, linkNetnsid,
  } = attributes
  const { kind, data } = linkinfo ?? {}
  const context = { ...names, link: attributes }
  return {
    index: header.index,
    name: ifname,
    ...kind !== undefined && { kind },
    ...settings.read({ header, attributes }, context),
    operstate,
    carrier: carrier !== 0,
    altNames: propList,
    statistics: stats64!,
    ...isKind(kind) ? kinds[kind].fields.read(data ?? {}, context)
      : {
          ...data !== undefined && { data },
          ...below !== 0 && linkNetnsid === undefined && { link: names.nameOf(below) },
        },
  } as LinkState
}
