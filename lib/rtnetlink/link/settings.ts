/** Settings of links of every kind: MTU, addresses, masters, and whether they are up. */

import { atPath, boolean, integer, interfaceName, show, SpecError } from '../../base/check.js'
import { defined, fieldSet, type Values } from '../../base/field.js'
import type { Entry } from '../client.js'
import { entryFields } from '../fields.js'
import type { LinkContext } from './fields.js'

/** Settings of every link. Settings that a spec leaves out stay as they are, except `up`. */
export interface LinkSettings {
  /** 1 to 15 of A-Z, a-z, 0-9, _, . and -. */
  readonly name: string
  /** Largest packet in bytes. Tunnels compute theirs from the link below and their own headers. */
  readonly mtu?: number
  /**
   * Whether it carries packets. A link that goes down loses its routes, and setting it up does not
   * bring them back.
   * @defaultValue true
   */
  readonly up?: boolean
  /** A remark for people, up to 255 bytes; `''` removes it. */
  readonly alias?: string
}

/** Links that carry Ethernet frames have a MAC address, and can be ports of a bridge. */
export interface EthernetSettings extends LinkSettings {
  /** The MAC address. @defaultValue a random one */
  readonly address?: string
  /** The bridge whose port the link is; null is none. */
  readonly master?: string | null
}

/** Settings without the name. */
export interface Settings extends Omit<EthernetSettings, 'name'> {}

/** An MTU in bytes: less than 68 carries no IPv4. @throws SpecError naming the path */
export const checkMtu = (path: string, value: unknown): number => integer(path, value, 68, 65536)

/** A MAC address that a host can have. @throws SpecError naming the path */
export function macAddress(path: string, value: unknown): string {
  if (typeof value !== 'string' || !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(value)) {
    throw new SpecError(path, `${show(value)} is not a MAC address such as 02:00:00:00:00:01`)
  }
  if (parseInt(value.slice(0, 2), 16) & 1) throw new SpecError(path, `${value} is a multicast address`)
  if (/^[0:]+$/.test(value)) throw new SpecError(path, `${value} is not a host's address`)
  return value.toLowerCase()
}

function checkAlias(path: string, value: unknown): string {
  if (typeof value !== 'string' || value.includes('\0') || Buffer.byteLength(value) > 255) {
    throw new SpecError(path, 'it is not text of at most 255 bytes')
  }
  return value
}

/** The hardware type of Ethernet, `ARPHRD_ETHER`. */
const ETHERNET = 1
type Wire = Entry<'link'>

const { attribute } = entryFields<'link'>()

/** The settings, in the order in which they are made. Defaults are those of a new link. */
export const settings = fieldSet<Settings, Wire, LinkContext>()('link', {
  mtu: attribute('mtu', checkMtu, { read: ({ attributes }) => attributes.mtu ?? 0, word: 'mtu' }),
  address: attribute('address', macAddress, {
    read: ({ header, attributes }) => header.type === ETHERNET ? attributes.address : undefined, word: 'address',
  }),
  alias: attribute('ifalias', checkAlias, {
    otherwise: '', words: value => `alias '${(value as string).replaceAll('\'', '\'\\\'\'')}'`,
  }),
  master: attribute('master', (path, value) => value === null ? null : interfaceName(path, value), {
    otherwise: null,
    write({ attributes }, value, { indexOf }) { attributes.master = value === null ? 0 : indexOf(value as string) },
    read: ({ attributes: { master: index = 0 } }, { nameOf }) => index === 0 ? undefined : nameOf(index),
    words: value => value === null ? 'nomaster' : `master ${value as string}`,
  }),
  up: {
    otherwise: false,
    check: boolean,
    write({ header }, value) {
      header.flags = { up: value as boolean }
      header.change = { up: true }
    },
    read: ({ header }) => header.flags.up === true,
    words: value => value === true ? 'up' : 'down',
  },
})

/** The settings that a link gets after it is added. */
export const laterSettings = ({ alias, master, up }: Settings): Settings =>
  defined({ alias, master: master ?? undefined, up: up === true ? up : undefined })

/** The settings that a spec has. @throws SpecError naming the field below `path` */
export function normalizeSettings(path: string, given: Values, ethernet = true): Settings {
  const normal = settings.pick(given, path)
  const own = ethernet ? undefined : (['address', 'master'] as const).find(name => normal[name] !== undefined)
  if (own !== undefined) throw new SpecError(atPath(path, own), 'only links that carry Ethernet have one')
  return normal
}
