/**
 * IPVS, the kernel's layer-4 load balancer, from Node over netlink: declare a virtual service, apply it, watch it.
 *
 * @module
 */

export { DecodeError, NetlinkError, type CallOptions, type ConnectionOptions, type Errno, type ExtendedAck } from '../generic-netlink/index.js'
export { Director, type DirectorInfo, type DirectorOptions, type Timeouts } from './director.js'
export type {
  ActualForwarding, Family, Forwarding, OtherTunnel, Persistence, Protocol, RealServerId, RealServerSettings, RealServerSpec, RealServerState, Scheduler,
  SchedulerFlag, Service, ServiceId, ServiceKey, ServiceOptions, ServiceSettings, ServiceSpec, ServiceState, Stats, Thresholds, Tunnel, VirtualServiceSpec,
} from './model.js'
export { formatRules } from './rules-format.js'
export { parseRules, RulesError } from './rules-parse.js'
export type { SyncDaemonSpec, SyncDaemonState } from './sync-daemon.js'
export { RealServerHandle, VirtualService, type VirtualServiceOptions } from './virtual-service.js'
