/** Every number of the tables, against the kernel's headers. Fails where linux-libc-dev is missing. */

import { existsSync, readdirSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import type { AttributeSet, Table } from '../../../generic-netlink/attributes.js'
import { GENL_ID_CTRL } from '../../../generic-netlink/controller.js'
import {
  addressFamily, command, controller, daemon, daemonState, destination, forwarding, info, Input, ipvs, kernelName, multicastGroup,
  NETLINK_GENERIC, NETLINK_ROUTE, operation, Output, protocol, service, serviceFlags, stats, stats64, tunnelFlags, tunnelType, type Codec,
} from '../../../generic-netlink/index.js'
import * as message from '../../../generic-netlink/message.js'
import { header } from '../../support/headers.js'

/** Enumerators that no table has a row for, on purpose. */
const without = [
  /_UNSPEC$/, /^__\w+_MAX$/,                                                     // bounds, not attributes
  'IPVS_STATS_ATTR_PAD',                                                         // aligns 64-bit values, carries nothing
  'CTRL_ATTR_POLICY', 'CTRL_ATTR_OP_POLICY', 'CTRL_ATTR_OP', /^CTRL_ATTR_POLICY_/, // only in answers to CTRL_CMD_GETPOLICY, which is not asked
]
const isWithout = (name: string): boolean => without.some(w => typeof w === 'string' ? w === name : w.test(name))

/** A set's rows by the kernel's names. */
const rows = ({ prefix, table }: AttributeSet<Table>): [string, number][] => Object.entries(table).map(([key, [number]]) => [kernelName(prefix, key), number])

const written = (codec: Pick<Codec<never>, 'write'>, value: unknown): number => {
  const to = new Output()
  codec.write(to, value as never, {})
  const length = to.length
  return length === 1 ? to.view.getUint8(0) : length === 2 ? to.view.getUint16(0, true) : to.view.getUint32(0, true)
}

describe.each([
  ['ip_vs.h', 'IPVS_CMD_ATTR', [command]], ['ip_vs.h', 'IPVS_SVC_ATTR', [service]], ['ip_vs.h', 'IPVS_DEST_ATTR', [destination]],
  ['ip_vs.h', 'IPVS_DAEMON_ATTR', [daemon]], ['ip_vs.h', 'IPVS_STATS_ATTR', [stats, stats64]], ['ip_vs.h', 'IPVS_INFO_ATTR', [info]],
  ['genetlink.h', 'CTRL_ATTR', [controller, operation, multicastGroup]],
] as [string, string, AttributeSet<Table>[]][])('%s: %s', (file, prefix, sets) => {
  const kernel = header(file)
  it('each row has the number of the constant that it spells', () => {
    for (const set of sets) for (const [name, number] of rows(set)) expect([name, kernel.get(name)]).toEqual([name, number])
  })
  it('each constant has a row', () => {
    const known = new Set(sets.flatMap(rows).map(([name]) => name))
    const constants = [...kernel.keys()].filter(name => name.startsWith(`${prefix}_`) && !name.endsWith('_MAX'))
    expect(constants.length).toBeGreaterThan(2)
    expect(constants.filter(name => !known.has(name) && !isWithout(name))).toEqual([])
  })
})

describe('ip_vs.h', () => {
  const kernel = header('ip_vs.h')
  it('each command has its number, and the family its name and version', () => {
    const commands = Object.entries(ipvs.commands).map(([key, [number]]): [string, number] => [kernelName('IPVS_CMD', key), number])
    const constants = [...kernel].filter(([name]) => /^IPVS_CMD_(?!ATTR_)/.test(name) && !/_(UNSPEC|MAX)$/.test(name))
    expect(commands).toEqual(constants)
    expect(commands).toHaveLength(17)
    expect([ipvs.name, ipvs.version]).toEqual(['IPVS', kernel.get('IPVS_GENL_VERSION')])
  })

  it.each([
    ['IP_VS_CONN_F_', forwarding, { masq: 'MASQ', local: 'LOCALNODE', tunnel: 'TUNNEL', route: 'DROUTE', bypass: 'BYPASS' }],
    ['IP_VS_CONN_F_TUNNEL_TYPE_', tunnelType, { ipip: 'IPIP', gue: 'GUE', gre: 'GRE' }],
    ['IP_VS_STATE_', daemonState, { master: 'MASTER', backup: 'BACKUP' }],
  ] as const)('%s*', (prefix, codec, names) => {
    for (const [ours, theirs] of Object.entries(names)) expect([ours, written(codec, ours)]).toEqual([ours, kernel.get(prefix + theirs)])
  })

  it('names every forwarding method and tunnel type', () => {
    const within = [...kernel].filter(([name, n]) => /^IP_VS_CONN_F_[A-Z]+$/.test(name) && n <= kernel.get('IP_VS_CONN_F_FWD_MASK')!)
    expect(within.map(([, n]) => n)).toEqual([0, 1, 2, 3, 4])
    expect(kernel.get('IP_VS_CONN_F_TUNNEL_TYPE_MAX')).toBe(3)
  })

  it('names every flag of services and tunnels', () => {
    const flags = { persistent: 'PERSISTENT', hashed: 'HASHED', onePacket: 'ONEPACKET', sched1: 'SCHED1', sched2: 'SCHED2', sched3: 'SCHED3' }
    for (const [ours, theirs] of Object.entries(flags)) {
      const to = new Output()
      serviceFlags.write(to, { flags: { [ours]: true }, mask: {} }, {})
      expect([ours, to.view.getUint32(0, true)]).toEqual([ours, kernel.get(`IP_VS_SVC_F_${theirs}`)])
    }
    const bits = new Set([...kernel].filter(([name]) => name.startsWith('IP_VS_SVC_F_')).map(([, bit]) => bit))
    expect(bits.size).toBe(Object.keys(flags).length)
    expect(written(tunnelFlags, { csum: true })).toBe(kernel.get('IP_VS_TUNNEL_ENCAP_FLAG_CSUM'))
    expect(written(tunnelFlags, { remcsum: true })).toBe(kernel.get('IP_VS_TUNNEL_ENCAP_FLAG_REMCSUM'))
    expect([...kernel.keys()].filter(name => name.startsWith('IP_VS_TUNNEL_ENCAP_FLAG_'))).toHaveLength(3) // NOCSUM is 0
  })

  it('text is as long as the kernel takes it, and no longer', () => {
    const longest = (set: AttributeSet<Table>, key: string, length: number): void => {
      expect(set.decode(set.encode({ [key]: 'x'.repeat(length) }))).toMatchObject({ [key]: 'x'.repeat(length) })
      expect(() => set.encode({ [key]: 'x'.repeat(length + 1) })).toThrow(`is longer than ${length} bytes`)
    }
    longest(service, 'schedName', kernel.get('IP_VS_SCHEDNAME_MAXLEN')! - 1)
    longest(service, 'peName', kernel.get('IP_VS_PENAME_MAXLEN')!) // the policy of this one alone does not count the NUL
    longest(daemon, 'mcastIfn', kernel.get('IP_VS_IFNAME_MAXLEN')! - 1)
    longest(controller, 'familyName', header('genetlink.h').get('GENL_NAMSIZ')! - 1)
  })
})

describe('in.h, genetlink.h, netlink.h, socket.h', () => {
  const kernel = header('netlink.h')
  it('protocols', () => {
    for (const [ours, theirs] of [['tcp', 'IPPROTO_TCP'], ['udp', 'IPPROTO_UDP'], ['sctp', 'IPPROTO_SCTP']] as const) {
      expect(written(protocol, ours)).toBe(header('in.h').get(theirs))
    }
    const libc = readdirSync('/usr/include').find(name => existsSync(`/usr/include/${name}/bits/socket.h`)) ?? '.'
    const sockets = header(`../${libc}/bits/socket.h`) // AF_* are in no header of the kernel's
    expect([written(addressFamily, 'inet'), written(addressFamily, 'inet6')]).toEqual([sockets.get('AF_INET'), sockets.get('AF_INET6')])
    expect([NETLINK_ROUTE, NETLINK_GENERIC]).toEqual([kernel.get('NETLINK_ROUTE'), kernel.get('NETLINK_GENERIC')])
  })

  it('the controller\'s id, and the flags of operations', () => {
    const genetlink = header('genetlink.h')
    expect(GENL_ID_CTRL).toBe(message.NLMSG_MIN_TYPE)
    const flags = {
      adminPerm: 'GENL_ADMIN_PERM', do: 'GENL_CMD_CAP_DO', dump: 'GENL_CMD_CAP_DUMP', hasPolicy: 'GENL_CMD_CAP_HASPOL', unsAdminPerm: 'GENL_UNS_ADMIN_PERM',
    }
    for (const [ours, theirs] of Object.entries(flags)) expect([ours, written(operation.table.flags[1], { [ours]: true })]).toEqual([ours, genetlink.get(theirs)])
  })

  it('every constant of the envelope', () => {
    const ours = Object.entries<unknown>(message).filter(([name]) => name.startsWith('NLM'))
    expect(ours.length).toBeGreaterThan(9)
    for (const [name, value] of ours) expect([name, name === 'NLM_F_DUMP' ? kernel.get('NLM_F_ROOT')! | kernel.get('NLM_F_MATCH')! : kernel.get(name)]).toEqual([name, value])
  })

  it('NLMSGERR_ATTR_*', () => {
    const to = new Output()
    message.writeMessage(to, message.NLMSG_DONE, message.NLM_F_ACK_TLVS, 1, body => {
      body.view.setInt32(body.take(4), -22, true)
      for (const [name, payload] of [['MSG', Buffer.from('no\0')], ['OFFS', Buffer.from([20, 0, 0, 0])], ['MISS_TYPE', Buffer.from([7, 0, 0, 0])]] as const) {
        const at = body.take(4 + payload.length)
        body.view.setUint16(at, 4 + payload.length, true)
        body.view.setUint16(at + 2, kernel.get(`NLMSGERR_ATTR_${name}`)!, true)
        body.bytes.set(payload, at + 4)
        body.align()
      }
    })
    const from = new Input(to.finish())
    const verdicts: message.Verdict[] = []
    message.eachMessage(from, to.length, m => verdicts.push(message.readVerdict(from, m)))
    expect(verdicts).toEqual([{ errno: -22, extack: { message: 'no', offset: 20, missing: 7 } }])
  })
})
