/**
 * The wire: typed generic netlink for Node, and the IPVS family as tables.
 *
 * @example
 * ```ts
 * import { Connection, FamilyClient, ipvs, NETLINK_GENERIC } from 'ipvs-nl/generic-netlink'
 *
 * await using connection = new Connection(NETLINK_GENERIC)
 * const client = await FamilyClient.find(connection, ipvs)
 * const { version } = await client.call('getInfo', {})
 * for (const { service } of await client.dump('getService', {})) console.log(service)
 * ```
 * @module
 */

export * from './core.js'
export { fou, fouEncapsulation, fouPort, type FouPortAttributes } from './families/fou.js'
export * from './families/ipvs.js'
