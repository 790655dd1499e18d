import { expectTypeOf, test } from 'vitest'
import {
  attributeSet, be16, bits, by, command, describeFamily, destination, enumeration, family, ipv4, ipvs, list, NetlinkError, service, serviceFlags, string, struct, u16, u32, u64, u8,
  type Attributes, type Codec, type Command, type CommandAttributes, type Connection, type DaemonAttributes, type DestinationAttributes, type Errno, type FamilyAttributes,
  type FamilyClient, type Fixed, type Infer, type InfoAttributes, type Reply, type ServiceAttributes, type Stats64Attributes,
} from '../../generic-netlink/index.js'

type Commands = typeof ipvs.commands
declare const client: FamilyClient<Commands>
declare const connection: Connection

test('codecs infer to their values', () => {
  expectTypeOf<Infer<typeof be16>>().toEqualTypeOf<number>()
  expectTypeOf<Infer<typeof u64>>().toEqualTypeOf<bigint>()
  expectTypeOf<Infer<typeof ipv4>>().toEqualTypeOf<string>()
  const colour = enumeration(u8, { red: 1, green: 2 })
  expectTypeOf<Infer<typeof colour>>().toEqualTypeOf<'red' | 'green' | number>()
  const _flags = bits(u16, ['up', 'down'])
  expectTypeOf<Infer<typeof _flags>['up']>().toEqualTypeOf<boolean | undefined>()
  expectTypeOf<Infer<typeof _flags>[7]>().toEqualTypeOf<boolean>()
  const both = struct({ a: u8, b: colour })
  expectTypeOf<Infer<typeof both>>().toEqualTypeOf<{ a: number; b: 'red' | 'green' | number }>()
  expectTypeOf(both).toExtend<Fixed<unknown>>()
  const _either = by('kind', { name: string(5), number: u32 })
  expectTypeOf<Infer<typeof _either>>().toEqualTypeOf<string | number>()
  const _otherwise = by('kind', { number: u32 }, u64)
  expectTypeOf<Infer<typeof _otherwise>>().toEqualTypeOf<number | bigint>()
  const _set = attributeSet('X', { items: [1, list(both)] })
  expectTypeOf<Infer<typeof _set>>().toEqualTypeOf<{ items?: { a: number; b: 'red' | 'green' | number }[] }>()
  expectTypeOf<Infer<Codec<Date>>>().toEqualTypeOf<Date>()
  expectTypeOf<Infer<string>>().toBeNever()
  // @ts-expect-error a struct holds what has a size
  struct({ name: string(5) })
  // @ts-expect-error a row is a number and a codec
  attributeSet('X', { a: [u8, 1] })
})

test('rows infer to values', () => {
  expectTypeOf<ServiceAttributes['af']>().toEqualTypeOf<'inet' | 'inet6' | number | undefined>()
  expectTypeOf<ServiceAttributes['port']>().toEqualTypeOf<number | undefined>()
  expectTypeOf<ServiceAttributes['protocol']>().toEqualTypeOf<'tcp' | 'udp' | 'sctp' | number | undefined>()
  expectTypeOf<ServiceAttributes['addr']>().toEqualTypeOf<string | undefined>()
  expectTypeOf<ServiceAttributes['netmask']>().toEqualTypeOf<string | number | undefined>()
  expectTypeOf<DestinationAttributes['fwdMethod']>().toEqualTypeOf<'masq' | 'local' | 'tunnel' | 'route' | 'bypass' | number | undefined>()
  expectTypeOf<DestinationAttributes['weight']>().toEqualTypeOf<number | undefined>()
  expectTypeOf<DaemonAttributes['state']>().toEqualTypeOf<'master' | 'backup' | number | undefined>()
  expectTypeOf<Stats64Attributes['inbytes']>().toEqualTypeOf<bigint | undefined>()
  expectTypeOf<keyof InfoAttributes>().toEqualTypeOf<'version' | 'connTabSize'>()
})

test('sets nest, without any', () => {
  expectTypeOf<NonNullable<CommandAttributes['dest']>['tunType']>().toEqualTypeOf<'ipip' | 'gue' | 'gre' | number | undefined>()
  expectTypeOf<NonNullable<CommandAttributes['dest']>['tunFlags']>().not.toBeAny()
  expectTypeOf<NonNullable<NonNullable<CommandAttributes['service']>['flags']>['flags']['onePacket']>().toEqualTypeOf<boolean | undefined>()
  expectTypeOf<NonNullable<NonNullable<CommandAttributes['service']>['stats64']>['conns']>().toEqualTypeOf<bigint | undefined>()
  expectTypeOf<NonNullable<NonNullable<CommandAttributes['service']>['stats']>['inbytes']>().toEqualTypeOf<bigint | undefined>()
  expectTypeOf<NonNullable<FamilyAttributes['ops']>[number]['id']>().toEqualTypeOf<number | undefined>()
  expectTypeOf<ReturnType<typeof command.decode>>().not.toBeAny()
  expectTypeOf<Parameters<typeof command.encode>[0]>().not.toBeAny()
  expectTypeOf(service.decode(new Uint8Array()).schedName).toEqualTypeOf<string | undefined>()
  expectTypeOf(service.table.port).toEqualTypeOf<readonly [4, Fixed<number>]>()
})

test('mistakes do not compile', () => {
  service.encode({ protocol: 'tcp', port: 53 })
  service.encode({ protocol: 132 })
  // @ts-expect-error no such attribute
  service.encode({ prot: 53 })
  // @ts-expect-error no such name
  service.encode({ protocol: 'icmp' })
  // @ts-expect-error a port is a number
  service.encode({ port: '53' })
  // @ts-expect-error null is not absent
  service.encode({ port: null })
  // @ts-expect-error a 64-bit counter is a bigint
  destination.encode({ stats64: { conns: 1 } })
  // @ts-expect-error no such flag
  service.encode({ flags: { flags: { persistant: true }, mask: {} } })
  // @ts-expect-error the mask is half of the struct
  service.encode({ flags: { flags: {} } })
  // @ts-expect-error no such attribute, one nest down
  command.encode({ service: { prot: 53 } })
  expectTypeOf<Infer<typeof serviceFlags>>().toHaveProperty('mask')
})

test('commands are typed by their row', () => {
  expectTypeOf<Attributes<Commands['newService']>>().toExtend<CommandAttributes>()
  expectTypeOf<Reply<Commands['newService']>>().toEqualTypeOf<undefined>()
  expectTypeOf<Reply<Commands['getInfo']>>().toEqualTypeOf<{ version?: number; connTabSize?: number }>()
  expectTypeOf(client.call('flush', {})).resolves.toEqualTypeOf<undefined>()
  expectTypeOf(client.call('getInfo', {})).resolves.toEqualTypeOf<{ version?: number; connTabSize?: number }>()
  expectTypeOf(client.call('getService', {})).resolves.toEqualTypeOf<Infer<typeof command>>()
  expectTypeOf(client.dump('getDest', { service: { af: 'inet', fwmark: 1 } })).resolves.toEqualTypeOf<Infer<typeof command>[]>()
  expectTypeOf(client.batch([['newService', { service: {} }], ['getInfo', {}, 'it']])).resolves.items.toExtend<PromiseSettledResult<unknown>>()
  expectTypeOf(client.batch([])).resolves.not.toBeAny()
  expectTypeOf<Command<Commands>[0]>().toEqualTypeOf<keyof Commands>()
  // @ts-expect-error no such command
  void client.call('newServise', {})
  // @ts-expect-error no such attribute
  void client.call('newService', { svc: {} })
  // @ts-expect-error no such command in a batch
  void client.batch([['newServise', {}]])
  // @ts-expect-error no such attribute in a batch
  void client.batch([['newDest', { dest: { wait: 1 } }]])
  // @ts-expect-error a signal is an AbortSignal
  void client.call('flush', {}, { signal: new AbortController() })
})

test('a family of one\'s own is as typed', () => {
  const request = attributeSet('MINE_ATTR', { id: [1, u32] })
  const _mine = family('MINE', 1, { get: [1, request, attributeSet('MINE_REPLY', { name: [1, string(7)] })], set: [2, request] })
  expectTypeOf<Reply<typeof _mine.commands.get>>().toEqualTypeOf<{ name?: string }>()
  expectTypeOf<Reply<typeof _mine.commands.set>>().toEqualTypeOf<undefined>()
  expectTypeOf<Attributes<typeof _mine.commands.set>>().toEqualTypeOf<{ id?: number }>()
})

test('connections and errors', () => {
  expectTypeOf(describeFamily(connection, 'IPVS')).resolves.toEqualTypeOf<FamilyAttributes>()
  expectTypeOf(connection).toExtend<AsyncDisposable>()
  expectTypeOf<NetlinkError['code']>().toEqualTypeOf<Errno>()
  expectTypeOf<'EWHATEVER'>().toExtend<Errno>()
  expectTypeOf<NetlinkError>().toExtend<Error>()
  expectTypeOf(connection.batch<number>([])).resolves.toEqualTypeOf<PromiseSettledResult<number>[]>()
})
