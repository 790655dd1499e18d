/**
 * IPVS, the kernel's layer-4 load balancer, and the network it stands on, from Node over netlink: declare a virtual
 * service, its director's and its real servers' links, addresses, routes and sysctls; see the plan; apply it.
 *
 * @module
 */

// ── virtual services ──

export { DecodeError, NetlinkError, type CallOptions, type ConnectionOptions, type Errno, type ExtendedAck } from '../generic-netlink/index.js'
export { DrainError, type DrainOptions, type DrainProgress } from './drain.js'
export { Director, type DirectorInfo, type DirectorOptions } from './director.js'
export { connections, type ConnectionFilter, type ConnectionListOptions } from './connections.js'
export { connectionStates, type ConnectionEnd, type ConnectionOrigin, type ConnectionState, type ConnectionStateName } from './connection-rows.js'
export { RealServerHandle, VirtualService, type VirtualServiceOptions } from './virtual-service.js'
export { endpoint } from './address.js'
export { serviceName } from './model.js'
export { formatMetrics, metricsContentTypes, type Metrics, type MetricsFormat, type MetricsOptions } from './metrics.js'
export { ipvsStatus, perCpuStatistics, totals, type CpuStatistics, type IpvsStatus, type TableStatus } from './statistics.js'
export type { Family } from './address.js'
export type {
  ActualForwarding, DirectorNetwork, Forwarding, OtherTunnel, Persistence, Protocol, RealServerId, RealServerSettings, RealServerSpec,
  RealServerState, Scheduler, SchedulerFlag, Service, ServiceId, ServiceKey, ServiceOptions, ServiceSettings, ServiceSpec, ServiceState, Stats,
  Thresholds, Tunnel, VirtualServiceSpec,
} from './model.js'
export { addressInC, formatRules, sortServices } from './rules-format.js'
export { parseRules, RulesError } from './rules-parse.js'
export type { SyncDaemonSpec, SyncDaemonState } from './sync-daemon.js'
export type { Timeouts } from './timeouts.js'
export type { TableChange, WatchOptions } from './watch.js'

// ── plans, and the other side ──

export type { Finding, Problem } from './diagnose.js'
export { Host } from './host.js'
export {
  BrakeError, Plan, PlanError, type ApplyOptions, type Outcome, type PlanProgress, type Step, type StepBatch, type StepFailure, type StepObject,
} from './plan.js'
export type { DirectorSpec, Owner, PlanOptions } from './table-plan.js'
export { planNetwork, type NetworkSpec } from './network.js'
export { RealServer } from './real-server.js'
export { tunnelOverhead, type RealServerPreparation, type RealServerTunnel } from './real-server-network.js'

// ── the network ──

export { FouPorts, type FouPortId, type FouPortSpec, type FouPortState } from './fou.js'
export { Links, type LinkChange, type LinkWatchOptions } from './rtnetlink/links.js'
export type * from './rtnetlink/link-spec.js'
export { Addresses } from './rtnetlink/addresses.js'
export type { AddressFilter, AddressId, AddressSpec, AddressState, Lifetime, Lifetimes, Scope } from './rtnetlink/address-spec.js'
export { Routes, type RouteFilter } from './rtnetlink/routes.js'
export type { Nexthop, RouteId, RouteProtocol, RouteSettings, RouteSpec, RouteState, RouteTable, RouteType, WeightedNexthop } from './rtnetlink/route-spec.js'
export { Neighbours, type NeighbourFilter, type NeighbourSpec, type NeighbourState } from './rtnetlink/neighbours.js'
export type { ForwardingId, ForwardingSpec, ForwardingState } from './rtnetlink/forwarding-spec.js'
export type { IpNeighbourSpec, IpNeighbourState, NeighbourId, Reachability } from './rtnetlink/neighbour-spec.js'

// ── sysctls ──

export {
  effectiveSysctl, ipv4ConfSysctls, ipv6ConfSysctls, ipvsSysctls, networkSysctls,
  type EffectiveSysctl, type KnownSysctl, type SysctlFlagOf, type SysctlHeld, type SysctlNotes, type SysctlOneOf, type SysctlRange, type SysctlRow,
  type SysctlSettingOf, type SysctlTakes, type SysctlTakesOf, type SysctlValueOf,
} from './ipvs-sysctls.js'
export {
  sysctl, SysctlError, sysctlName, sysctlSegments,
  type Sysctl, type SysctlErrorCode, type SysctlKey, type SysctlSetting, type SysctlValue, type SysctlValues,
} from './sysctl.js'
