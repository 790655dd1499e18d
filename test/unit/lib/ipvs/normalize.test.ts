import { describe, expect, it } from 'vitest'
import { normalize } from '../../../../lib/ipvs/normalize.js'
import { normalizeService } from '../../../../lib/ipvs/service.js'
import { serviceKeys } from '../../../../lib/ipvs/key.js'
import type { VirtualServiceSpec } from '../../../../lib/index.js'

const dns: VirtualServiceSpec = { vip: '192.0.2.1', port: 53, protocols: ['udp', 'tcp'], realServers: ['198.51.100.1'] }
const v6: VirtualServiceSpec = { vip: '2001:db8::1', port: 53, protocols: ['udp'], realServers: [] }

describe('normalize', () => {
  it('says all that a spec leaves out, once for each protocol', () => {
    const server = { address: '198.51.100.1', port: 53, forward: 'route', weight: 1, thresholds: { upper: 0, lower: 0 } }
    const rest = { scheduler: 'wlc', schedulerFlags: [], onePacket: false, realServers: [server] }
    expect(normalize(dns)).toEqual([
      { vip: '192.0.2.1', port: 53, protocol: 'udp', ...rest },
      { vip: '192.0.2.1', port: 53, protocol: 'tcp', ...rest },
    ])
  })

  it('gives to UDP alone what only datagrams can have', () => {
    const services = normalize({ ...dns, onePacket: true, persistence: { engine: 'sip' } })
    expect(services.map(({ protocol, onePacket, persistence }) => ({ protocol, onePacket, engine: persistence?.engine }))).toEqual([
      { protocol: 'udp', onePacket: true, engine: 'sip' }, { protocol: 'tcp', onePacket: false, engine: undefined },
    ])
  })

  it('writes addresses in their correct form', () => {
    expect(normalize({ ...v6, vip: '2001:DB8:0:0::1', realServers: ['2001:0db8::2'] })[0]).toMatchObject({ vip: '2001:db8::1', realServers: [{ address: '2001:db8::2' }] })
  })

  it.each<[why: string, spec: object, is: object]>([
    ['persistence has ipvsadm\'s timeout',     { persistence: {} }, { persistence: { timeout: 360, netmask: '255.255.255.255' } }],
    ['a service forwards for its servers',     { forward: { kind: 'gue', port: 6080 } }, { realServers: [{ forward: { kind: 'gue', port: 6080 } }] }],
    ['flags have the kernel\'s order, and its names', { scheduler: 'sh', schedulerFlags: ['flag-2', 'sh-fallback'] }, { schedulerFlags: ['sh-fallback', 'sh-port'] }],
    ['plain IPIP has one form',                { forward: { kind: 'ipip' } }, { realServers: [{ forward: 'tunnel' }] }],
    ['an idle netmask is kept',                { netmask: '255.0.0.0' }, { netmask: '255.0.0.0' }],
    ['all ports, with persistence',            { port: 0, persistence: {}, realServers: ['198.51.100.1'] }, { realServers: [{ port: 0 }] }],
    ['the director itself may be the VIP',     { forward: 'local', realServers: ['192.0.2.1'] }, { realServers: [{ forward: 'local' }] }],
    ['a state given back',                     { stats: {}, realServers: [{ address: '198.51.100.1', stats: {}, activeConnections: 3 }] }, { realServers: [{ address: '198.51.100.1' }] }],
  ])('%s', (_, spec, is) => {
    expect(normalize({ ...dns, ...spec })[0]).toMatchObject(is)
  })

  it('leaves a single client\'s netmask unsaid', () => {
    expect(normalize({ ...dns, netmask: '255.255.255.255' })[0]).not.toHaveProperty('netmask')
  })
})

describe('refuses before anything is sent, naming the field', () => {
  const server = (fields: object): object => ({ realServers: [{ address: '198.51.100.1', ...fields }] })
  it.each<[spec: object, message: string]>([
    [{ vip: '0.0.0.0' },                            'vip: 0.0.0.0 is the unspecified address'],
    [{ vip: '255.255.255.255' },                    'vip: 255.255.255.255 is the broadcast address'],
    [{ vip: '224.0.0.1' },                          'vip: 224.0.0.1 is a multicast address'],
    [{ vip: '127.0.0.1' },                          'vip: 127.0.0.1 is a loopback address'],
    [{ vip: 'ff02::1' },                            'vip: ff02::1 is a multicast address'],
    [{ vip: '::' },                                 'vip: :: is the unspecified address'],
    [{ vip: '::1' },                                'vip: ::1 is the loopback address'],
    [{ vip: '::ffff:1.2.3.4' },                     'vip: ::ffff:102:304 is an IPv4 address in IPv6 form, which the kernel refuses'],
    [{ vip: 'fe80::1%eth0' },                       'vip: "fe80::1%eth0" is not an IPv4 or IPv6 address'],
    [{ vip: '192.0.2.1/24' },                       'vip: "192.0.2.1/24" is not an IPv4 or IPv6 address'],
    [{ vip: '192.0.2.01' },                         'vip: "192.0.2.01" is not an IPv4 or IPv6 address'],
    [{ vip: 3221225985 },                           'vip: 3221225985 is not an IPv4 or IPv6 address'],
    [{ vip: undefined },                            'vip: required: set vip, port and protocols, or set fwmark'],
    [{ port: 0 },                                   'port: 0 is every port and requires persistence; set persistence: {}'],
    [{ port: 65536 },                               'port: 65536 is not an integer from 0 to 65535'],
    [{ port: '53' },                                'port: "53" is not an integer from 0 to 65535'],
    [{ port: NaN },                                 'port: NaN is not an integer from 0 to 65535'],
    [{ protocols: [] },                             'protocols: the list is empty'],
    [{ protocols: 'udp' },                          'protocols: "udp" is not a list'],
    [{ protocols: ['icmp'] },                       'protocols[0]: "icmp" is not one of tcp, udp, sctp'],
    [{ protocols: ['tcp', 'tcp'] },                 'protocols[1]: tcp is a duplicate'],
    [{ protocols: [47] },                           'protocol: 47 is not one of tcp, udp, sctp'],
    [{ protocol: 'udp' },                           'protocol: cannot be combined with protocols; remove one'],
    [{ family: 'inet' },                            'family: only a firewall mark has a family of its own; remove it'],
    [{ fwmark: 1 },                                 'fwmark: cannot be combined with vip, port or protocols, which the kernel would ignore; remove them'],
    [{ scheduler: null },                           'scheduler: null is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [{ scheduler: '' },                             'scheduler: "" is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [{ scheduler: 'RR' },                           'scheduler: "RR" is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [{ scheduler: '../../x y' },                    'scheduler: "../../x y" is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [{ scheduler: 'rr\0wrr' },                      'scheduler: "rr\\u0000wrr" is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [{ scheduler: 'sixteen_letters_' },             'scheduler: "sixteen_letters_" is not a module\'s name of at most 15 characters of a-z, 0-9 and _'],
    [{ schedulerFlags: ['sh-port'] },               'schedulerFlags[0]: sh-port is a flag of the scheduler sh, and this service has wlc'],
    [{ schedulerFlags: ['flag-4'] },                'schedulerFlags[0]: "flag-4" is not one of flag-1, flag-2, flag-3, sh-fallback, sh-port, mh-fallback, mh-port'],
    [{ scheduler: 'sh', schedulerFlags: ['sh-port', 'flag-2'] }, 'schedulerFlags[1]: flag-2 is the same bit as sh-port; remove one'],
    [{ protocols: ['tcp'], onePacket: true },       'onePacket: requires UDP or a firewall mark'],
    [{ onePacket: 1 },                              'onePacket: 1 is not true or false'],
    [{ persistence: { timeout: 0 } },               'persistence.timeout: 0 is not an integer from 1 to 2678400'],
    [{ persistence: { timeout: 42949673 } },        'persistence.timeout: 42949673 is not an integer from 1 to 2678400'],
    [{ persistence: { netmask: '255.0.255.0' } },   'persistence.netmask: "255.0.255.0" is not a mask such as 255.255.255.0'],
    [{ persistence: { netmask: 24 } },              'persistence.netmask: 24 is not a mask such as 255.255.255.0'],
    [{ persistence: { engine: '../x' } },           'persistence.engine: "../x" is not a module\'s name of at most 16 characters of a-z, 0-9 and _'],
    [{ persistence: true },                         'persistence: true is not an object'],
    [{ protocols: ['tcp'], persistence: { engine: 'sip' } }, 'persistence.engine: sip requires UDP or a firewall mark'],
    [{ persistence: {}, netmask: '255.0.0.0' },     'netmask: a persistent service has its netmask in persistence.netmask'],
    [{ engine: 'sip' },                             'engine: has no effect without persistence; set persistence.engine'],
    [{ shceduler: 'rr' },                           'service: there is no field "shceduler"; there are vip, port, protocol, protocols, fwmark, family, scheduler, '
    + 'schedulerFlags, onePacket, persistence, netmask, forward, network, realServers, stats, engine'],
    [{ realServers: '198.51.100.1' },               'realServers: "198.51.100.1" is not a list'],
    [{ realServers: [null] },                       'realServers[0]: null is not an object'],
    [{ realServers: ['198.51.100.1', '198.51.100.1'] }, 'realServers[1]: 198.51.100.1 port 53 duplicates realServers[0]'],
    [{ realServers: ['0.0.0.0'] },                  'realServers[0].address: 0.0.0.0 is the unspecified address'],
    [{ realServers: ['239.1.1.1'] },                'realServers[0].address: 239.1.1.1 is a multicast address'],
    [{ realServers: ['127.0.0.1'] },                'realServers[0].address: 127.0.0.1 is a loopback address'],
    [{ realServers: ['192.0.2.1'] },                'realServers[0].address: 192.0.2.1 is the VIP itself; use the real server\'s own address'],
    [{ realServers: ['2001:db8::2'] },              'realServers[0].address: 2001:db8::2 is of another family than the service, which needs a tunnel; set forward: \'tunnel\''],
    [{ realServers: ['fe80::1'], forward: 'tunnel' }, 'realServers[0].address: fe80::1 is link-local, and IPVS does not store the link; use a global address'],
    [server({ weigth: 1 }),                         'realServers[0]: there is no field "weigth"; there are address, port, weight, forward, thresholds, drain, activeConnections, '
    + 'inactiveConnections, persistentConnections, stats'],
    [server({ weight: -1 }),                        'realServers[0].weight: -1 is not an integer from 0 to 2147483647'],
    [server({ weight: 2147483648 }),                'realServers[0].weight: 2147483648 is not an integer from 0 to 2147483647'],
    [server({ weight: 1.5 }),                       'realServers[0].weight: 1.5 is not an integer from 0 to 2147483647'],
    [server({ weight: null }),                      'realServers[0].weight: null is not an integer from 0 to 2147483647'],
    [server({ port: null }),                        'realServers[0].port: null is not an integer from 0 to 65535'],
    [server({ port: 8053 }),                        'realServers[0].port: must be 53: forward \'route\' cannot change the port; use \'masq\' to map 53 to 8053'],
    [server({ port: 8053, forward: 'tunnel' }),     'realServers[0].port: must be 53: forward \'tunnel\' cannot change the port; use \'masq\' to map 53 to 8053'],
    [server({ thresholds: { upper: 1, lower: 2 } }), 'realServers[0].thresholds.lower: 2 is above the upper threshold, 1'],
    [server({ thresholds: { upper: 0, lower: 2 } }), 'realServers[0].thresholds.lower: 2 is above the upper threshold, 0'],
    [server({ forward: 'nat' }),                    'realServers[0].forward: "nat" is not one of masq, route, local, tunnel'],
    [server({ forward: 4 }),                        'realServers[0].forward: 4 is not one of masq, route, local, tunnel'],
    [server({ forward: { kind: 'vxlan' } }),      'realServers[0].forward.kind: "vxlan" is not one of ipip, gue, gre'],
    [server({ forward: { kind: 'gue' } }),        'realServers[0].forward.port: undefined is not an integer from 1 to 65535'],
    [server({ forward: { kind: 'gre', port: 1 } }), 'realServers[0].forward.port: a tunnel of kind gre has no port; remove it'],
    [server({ forward: { kind: 'gre', checksum: 'remcsum' } }), 'realServers[0].forward.checksum: "remcsum" is not a checksum of gre: csum'],
    [server({ forward: { kind: 'ipip', checksum: 'csum' } }), 'realServers[0].forward.checksum: a tunnel of kind ipip has no checksum; remove it'],
  ])('%j', (spec, message) => {
    expect(() => normalize({ ...dns, ...spec })).toThrow(expect.objectContaining({ message, name: 'SpecError' }))
  })

  it.each([
    [{ fwmark: 0, realServers: [] },          'fwmark: 0 is not an integer from 1 to 4294967295'],
    [{ fwmark: 2 ** 32, realServers: [] },    'fwmark: 4294967296 is not an integer from 1 to 4294967295'],
    [{ fwmark: 1, family: 'ipv6', realServers: [] }, 'family: "ipv6" is not one of inet, inet6'],
    [{ ...v6, persistence: { netmask: 0 } },   'persistence.netmask: 0 is not an integer from 1 to 128'],
    [{ ...v6, persistence: { netmask: 129 } }, 'persistence.netmask: 129 is not an integer from 1 to 128'],
    [{ ...v6, persistence: { netmask: '255.255.255.0' } }, 'persistence.netmask: "255.255.255.0" is not an integer from 1 to 128'],
    [null,                                     'service: null is not an object'],
  ])('%j', (spec, message) => {
    expect(() => normalize(spec as unknown as VirtualServiceSpec)).toThrow(message)
  })
})

describe('a firewall mark', () => {
  it('keeps the client\'s port, and lets real servers have others', () => {
    expect(normalize({ fwmark: 7, realServers: ['198.51.100.1', { address: '198.51.100.2', port: 8080, forward: 'masq' }] })[0]).toMatchObject({
      fwmark: 7, family: 'inet', realServers: [{ port: 0 }, { port: 8080 }],
    })
  })
  it('may be scheduled packet by packet', () => {
    expect(normalizeService({ fwmark: 7, family: 'inet6', onePacket: true })).toMatchObject([{ family: 'inet6', onePacket: true }])
  })
})

describe('serviceKeys', () => {
  it('finds what nobody should have made, so that it can be removed', () => {
    expect(serviceKeys({ vip: '0.0.0.0', port: 0, protocol: 47 })).toEqual([{ vip: '0.0.0.0', port: 0, protocol: 47 }])
  })
})
