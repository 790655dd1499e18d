/** The addresses of a host, by what planning asks of them. Pure. */

import { keyOfAddress, networkOfAddress, type AddressId, type AddressState } from './spec.js'

const bare = ({ address }: AddressId): string => address.split('/')[0]!

/** Adds a value to the list of a key. */
function enter<T>(lists: Map<string, T[]>, key: string, value: T): void {
  const list = lists.get(key)
  if (list) list.push(value)
  else lists.set(key, [value])
}

/** Addresses by their keys, networks and links, as they are after some steps. */
export class AddressTable {
  readonly #byKey = new Map<string, AddressState>()
  readonly #byAddress = new Map<string, AddressState[]>()
  /** Secondaries, by link and network. */
  readonly #secondaries = new Map<string, AddressState[]>()
  /** The numbers of IPv4 addresses, by link. */
  readonly #counts = new Map<string, number>()
  readonly #removed = new Set<AddressState>()

  constructor(states: readonly AddressState[]) {
    for (const state of states) {
      this.#byKey.set(keyOfAddress(state), state)
      enter(this.#byAddress, bare(state), state)
      if (state.secondary) enter(this.#secondaries, `${state.link} ${networkOfAddress(state)}`, state)
      this.#count(state, 1)
    }
  }

  /** The address with this identity. */
  get(id: AddressId): AddressState | undefined { return this.#byKey.get(keyOfAddress(id)) }

  /** The same address on other links, or in other networks. */
  namesakes(id: AddressId): readonly AddressState[] { return this.#byAddress.get(bare(id)) ?? [] }

  /** The secondaries that the kernel may remove together with this address. */
  secondariesOf(primary: AddressState): readonly AddressState[] {
    if (primary.family !== 'inet' || primary.secondary) return []
    return (this.#secondaries.get(`${primary.link} ${networkOfAddress(primary)}`) ?? [])
      .filter(state => !this.#removed.has(state))
  }

  /** Whether it is the only IPv4 address of its link. */
  isLast({ family, link }: AddressState): boolean { return family === 'inet' && this.#counts.get(link) === 1 }

  /** Counts an address as removed. */
  remove(state: AddressState): void {
    this.#removed.add(state)
    this.#count(state, -1)
  }

  #count({ family, link }: AddressState, by: 1 | -1): void {
    if (family === 'inet') this.#counts.set(link, (this.#counts.get(link) ?? 0) + by)
  }
}
