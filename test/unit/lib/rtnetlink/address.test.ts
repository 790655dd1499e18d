import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address, ifaddrmsg } from '../../../../lib/rtnetlink/wire/address.js'
import { addressCommand, keyOfAddress, normalizeAddress, readAddress, type AddressSpec, type AddressState } from '../../../../lib/rtnetlink/address/spec.js'
import { namesOf } from '../../../../lib/rtnetlink/link-names.js'
import { addressRemovals, addressSteps } from '../../../../lib/rtnetlink/address/addresses.js'
import { Input, Output } from '../../../../generic-netlink/buffers.js'
import { bitsOf, ipv4, ipv6, text } from '../../../support/arbitraries.js'
import { header } from '../../../support/headers.js'
import { kernelName } from '../../../../generic-netlink/attributes.js'

const u32 = fc.nat(0xffffffff)
const some = <T>(model: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> => fc.record(model, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>
const flags = ['secondary', 'nodad', 'optimistic', 'dadfailed', 'homeaddress', 'deprecated', 'tentative', 'permanent', 'managetempaddr', 'noprefixroute', 'mcautojoin', 'stablePrivacy']

describe('tables', () => {
  it('IFA rows have the numbers of the constants that they spell, flags their bits', () => {
    const kernel = header('if_addr.h')
    for (const [key, [number]] of Object.entries(address.table)) expect([key, kernel.get(kernelName('IFA', key))]).toEqual([key, number])
    flags.forEach((name, bit) => expect([name, kernel.get(kernelName('IFA_F', name))]).toEqual([name, 2 ** bit]))
  })

  it('what is written is read again', () => {
    fc.assert(fc.property(some({
      address: fc.oneof(ipv4, ipv6), local: fc.oneof(ipv4, ipv6), label: text(15), broadcast: ipv4, rtPriority: u32, proto: fc.nat(255), flags: bitsOf(4, flags),
      cacheinfo: fc.record({ preferred: u32, valid: u32, created: u32, updated: u32 }),
    }), value => {
      expect(address.decode(address.encode(value))).toEqual(value)
    }))
    const to = new Output()
    ifaddrmsg.write(to, { family: 'inet6', prefixlen: 64, flags: 0, scope: 'link', index: 7 }, {})
    expect([...to.finish()]).toEqual([10, 64, 0, 253, 7, 0, 0, 0])
  })
})

const links = namesOf(new Map([[7, { ifname: 'eth0' }], [8, { ifname: 'lo' }]]))
/** What the kernel would say of an address that was added so. */
const asState = (spec: AddressSpec): AddressState => {
  const { header: head, attributes } = addressCommand('add', normalizeAddress(spec), links)
  const to = new Output()
  ifaddrmsg.write(to, head, {})
  return readAddress({
    header: ifaddrmsg.read(new Input(to.finish()), 0, 8, {}),
    attributes: { ...head.family === 'inet' && { label: spec.link }, ...address.decode(address.encode(attributes)) },
  }, links)
}
const vip: AddressSpec = { address: '192.0.2.1', link: 'eth0' }

describe('specs', () => {
  it('become commands, and states', () => {
    expect(addressCommand('add', normalizeAddress({ address: '10.0.0.1', peer: '10.0.0.2/24', link: 'eth0', label: 'eth0:1', noprefixroute: true, metric: 5 }), links)).toEqual({
      kind: 'address', verb: 'add', object: 'address 10.0.0.1 peer 10.0.0.2/24 dev eth0',
      header: { family: 'inet', prefixlen: 24, flags: 0, scope: 'global', index: 7 },
      attributes: { local: '10.0.0.1', address: '10.0.0.2', label: 'eth0:1', flags: { noprefixroute: true }, rtPriority: 5 },
    })
    expect(asState({ ...vip, label: 'eth0:vip', lifetimes: { valid: 100, preferred: 50 } })).toEqual({
      address: '192.0.2.1/32', link: 'eth0', family: 'inet', label: 'eth0:vip', scope: 'global', lifetimes: { valid: 100, preferred: 50 }, noprefixroute: false,
      nodad: false, secondary: false, temporary: false, tentative: false, dadfailed: false, deprecated: false,
    })
    expect(asState({ address: '2001:DB8::1/64', link: 'eth0', nodad: true })).toMatchObject({ address: '2001:db8::1/64', family: 'inet6', nodad: true })
    expect(asState({ address: '127.0.0.9', link: 'lo' })).toMatchObject({ scope: 'host' })
    expect(readAddress({ header: { family: 'inet6', prefixlen: 64, flags: 0, scope: 'link', index: 99 }, attributes: { address: 'fe80::1', flags: { tentative: true, secondary: true } } }, links))
      .toMatchObject({ link: 'if99', tentative: true, temporary: true, secondary: false, lifetimes: { valid: 'forever', preferred: 'forever' } })
  })

  it('a state is a spec again', () => {
    const state = asState({ ...vip, broadcast: '192.0.2.255', scope: 'link' })
    expect(addressSteps([state], [state])).toEqual([])
  })

  it.each<[Record<string, unknown>, string]>([
    [{ address: '0.0.0.0/8' }, 'address: 0.0.0.0 is the unspecified address'],
    [{ address: '::/64' }, 'address: :: is the unspecified address'],
    [{ address: '224.0.0.1' }, 'address: 224.0.0.1 is a multicast address'],
    [{ address: 'ff02::1' }, 'address: ff02::1 is a multicast address'],
    [{ address: '255.255.255.255' }, 'address: 255.255.255.255 is the broadcast address'],
    [{ address: '192.0.2.1/0' }, 'address: /0 would make every address of the Internet a neighbour'],
    [{ address: '192.0.2.1/33' }, 'address (the prefix\'s length): 33 is not an integer from 0 to 32'],
    [{ address: '2001:db8::1/129' }, 'address (the prefix\'s length): 129 is not an integer from 0 to 128'],
    [{ address: '192.0.2.1/024' }, 'address: "192.0.2.1/024" is not an address or an address/length'],
    [{ address: '192.0.2.01' }, 'address: "192.0.2.01" is not an IPv4 or IPv6 address'],
    [{ address: 7 }, 'address: 7 is not an address or an address/length'],
    [{ link: 'a/b' }, 'link: "a/b" is not an interface name: at most 15 of A-Z, a-z, 0-9, _, . and -'],
    [{ label: 'eth1:vip' }, 'label: "eth1:vip" does not begin with eth0'],
    [{ label: 'eth0:vip\0' }, 'label: "eth0:vip\\u0000" is not a label: at most 15 of A-Z, a-z, 0-9, _, ., : and -'],
    [{ peer: '2001:db8::2' }, 'peer: 2001:db8::2 is of another family than 192.0.2.1'],
    [{ address: '192.0.2.1/24', peer: '192.0.2.2/32' }, 'peer: the two ends have one prefix length, and 192.0.2.1/24 and 192.0.2.2/32 have two'],
    [{ broadcast: '::1' }, 'broadcast: ::1 is not an IPv4 address'],
    [{ scope: 'wide' }, 'scope: "wide" is not one of global, site, link, host, nowhere'],
    [{ scope: 256 }, 'scope: 256 is not an integer from 0 to 255'],
    [{ nodad: true }, 'nodad: only IPv6 asks whether another host has the address'],
    [{ noprefixroute: 1 }, 'noprefixroute: 1 is not true or false'],
    [{ lifetimes: { valid: 0 } }, 'lifetimes.valid: 0 is not an integer from 1 to 4294967294'],
    [{ lifetimes: { valid: 10, preferred: 11 } }, 'lifetimes.preferred: 11 is longer than the address is valid'],
    [{ lifetimes: { valid: 'forever', preferred: 5 } }, 'lifetimes.preferred: must be 0 or \'forever\' for an IPv4 address that is valid for ever; the kernel forgets other values'],
    [{ metric: -1 }, 'metric: -1 is not an integer from 0 to 4294967295'],
    [{ protocol: 256 }, 'protocol: 256 is not an integer from 0 to 255'],
    [{ colour: 1 }, ': there is no field "colour"; there are address, peer, broadcast, scope, link, label, metric, protocol, nodad, noprefixroute, lifetimes'],
    [{ address: '2001:db8::1', label: 'eth0' }, 'label: only IPv4 addresses have one'],
    [{ address: '2001:db8::1', broadcast: '1.2.3.4' }, 'broadcast: only IPv4 addresses have one'],
    [{ address: '2001:db8::1', scope: 'link' }, 'scope: that of 2001:db8::1 is global'],
  ])('%j is refused', (wrong, message) => {
    expect(() => normalizeAddress({ ...vip, ...wrong })).toThrow(message)
    expect(() => addressSteps([{ ...vip, address: '192.0.2.9' }, { ...vip, ...wrong }], [])).toThrow(`addresses[1]${message.startsWith(':') ? '' : '.'}${message}`)
  })

  it('host bits are what an address has', () => { expect(normalizeAddress({ ...vip, address: '192.0.2.1/24' }).address).toBe('192.0.2.1/24') })
})

const shown = (wanted: readonly AddressSpec[], actual: readonly AddressState[]): string[] =>
  addressSteps(wanted, actual).map(({ action, line, why }) => `${action}: ${line}${why === undefined ? '' : ` # ${why}`}`)

describe('identity', () => {
  it.each<[string, boolean, AddressSpec, AddressSpec]>([
    ['the link', false, vip, { ...vip, link: 'lo' }],
    ['an IPv4 prefix\'s length', false, vip, { ...vip, address: '192.0.2.1/24' }],
    ['an IPv6 prefix\'s length', true, { ...vip, address: 'fd00::1/64' }, { ...vip, address: 'fd00::1' }],
    ['an IPv4 peer\'s network', false, { ...vip, peer: '10.0.0.1' }, vip],
    ['an IPv4 peer', true, { ...vip, peer: '10.0.0.1/24' }, { ...vip, peer: '10.0.0.2/24' }],
    ['an IPv6 peer', true, { ...vip, address: 'fd00::1', peer: 'fd00::2' }, { ...vip, address: 'fd00::1' }],
    ['a label', true, vip, { ...vip, label: 'eth0:1' }],
  ])('%s: the same address is %s', (_, same, a, b) => {
    expect(keyOfAddress(normalizeAddress(a)) === keyOfAddress(normalizeAddress(b))).toBe(same)
  })
})

describe('steps', () => {
  it('add what is not there, with all that is said', () => {
    expect(shown([
      { ...vip, label: 'eth0:vip', broadcast: '192.0.2.255', scope: 'link', metric: 5, protocol: 9, noprefixroute: true, lifetimes: { valid: 60 } },
      { address: 'fd00::1/64', link: 'lo', nodad: true }, { ...vip, address: '10.0.0.1', peer: '10.0.0.2' },
    ], [])).toEqual([
      'add: ip addr add 192.0.2.1/32 brd 192.0.2.255 scope link dev eth0 label eth0:vip metric 5 proto 9 noprefixroute valid_lft 60 preferred_lft 60',
      'add: ip addr add fd00::1/64 dev lo nodad',
      'add: ip addr add 10.0.0.1 peer 10.0.0.2/32 dev eth0',
    ])
    expect(shown([vip], [asState({ ...vip, link: 'lo' })])).toEqual(['add: ip addr add 192.0.2.1/32 dev eth0 # this host has it as 192.0.2.1/32 dev lo too, which stays'])
  })

  it('leave alone what is there, and what a spec does not say', () => {
    const states = [asState({ ...vip, label: 'eth0:old', metric: 7, lifetimes: { valid: 100 } }), asState({ address: 'fd00::1/64', link: 'eth0', nodad: true })]
    expect(shown([vip, { address: 'fd00::1/64', link: 'eth0' }], states)).toEqual([])
    expect(shown([{ ...vip, metric: 8 }], states)).toEqual(['change: ip addr replace 192.0.2.1/32 scope global dev eth0 label eth0:old metric 8 valid_lft 100 preferred_lft 100'])
  })

  it('say what the kernel cannot change in place', () => {
    expect(shown([{ ...vip, label: 'eth0:new' }], [asState(vip)])).toEqual([
      'remove: ip addr del 192.0.2.1/32 dev eth0 # the kernel cannot change its label: it is removed and added again; it is the last IPv4 address of eth0, whose routes go with it',
      'add: ip addr add 192.0.2.1/32 scope global dev eth0 label eth0:new',
    ])
    expect(shown([{ ...vip, address: 'fd00::1/64' }], [asState({ ...vip, address: 'fd00::1/128' })])[0]).toMatch(/cannot change its prefix length/)
    expect(shown([{ ...vip, address: 'fd00::1', noprefixroute: true }], [asState({ ...vip, address: 'fd00::1' })])).toEqual(['change: ip addr replace fd00::1/128 scope global dev eth0 noprefixroute'])
  })

  it('renew a lifetime when less than half of it is left', () => {
    const left = (valid: number | 'forever'): AddressState => asState({ ...vip, lifetimes: { valid } })
    const steps = (valid: number | 'forever', actual: number | 'forever'): number => shown([{ ...vip, lifetimes: { valid } }], [left(actual)]).length
    expect([steps(100, 100), steps(100, 50), steps(100, 49), steps(100, 101), steps(100, 'forever'), steps('forever', 100), steps('forever', 'forever')]).toEqual([0, 0, 1, 1, 1, 1, 0])
  })

  it('refuse one address twice', () => {
    expect(() => addressSteps([vip, { ...vip, label: 'eth0:2' }], [])).toThrow('addresses[1]: 192.0.2.1/32 dev eth0 is there twice')
  })

  it('survive whatever else the host has', () => {
    const strange = [{ ...asState(vip), address: '0.0.0.0/0', link: 'a b' }, { ...asState(vip), address: '224.0.0.1/4', link: 'é' }]
    expect(shown([vip], strange)).toEqual(['add: ip addr add 192.0.2.1/32 dev eth0'])
  })

  it('remove secondaries before their primary, and tell of those that stay', () => {
    const [primary, a, b] = [1, 2, 3].map(n => ({ ...asState({ address: `10.0.0.${n}/24`, link: 'eth0' }), secondary: n > 1 })) as [AddressState, AddressState, AddressState]
    const lines = (...unwanted: AddressState[]): string[] => addressRemovals(unwanted, [primary, a, b]).map(({ line, why }) => `${line}${why === undefined ? '' : ` # ${why}`}`)
    expect(lines(primary, b, a)).toEqual([
      'ip addr del 10.0.0.2/24 dev eth0', 'ip addr del 10.0.0.3/24 dev eth0', 'ip addr del 10.0.0.1/24 dev eth0 # it is the last IPv4 address of eth0, whose routes go with it',
    ])
    expect(lines(primary)).toEqual(['ip addr del 10.0.0.1/24 dev eth0 # where promote_secondaries is 0 the kernel removes 10.0.0.2/24, 10.0.0.3/24 with it, added again at once'])
    expect(addressRemovals([vip], [primary])).toEqual([])
  })
})
