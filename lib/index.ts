/**
 * IPVS, the kernel's layer-4 load balancer, and its network, from Node over netlink: declare a
 * virtual service, and the links, addresses, routes and sysctls of its director and real servers;
 * read the plan; apply it.
 *
 * @module
 */

// ── virtual services ──

export {
  DecodeError, NetlinkError, SpecError, type CallOptions, type ConnectionOptions, type Errno, type ExtendedAck,
} from '../generic-netlink/core.js'
export { DrainError, type Draining, type DrainOptions, type DrainProgress } from './api/drain-options.js'
export { Director, type DirectorInfo, type DirectorOptions } from './api/director.js'
export { connections, type ConnectionFilter, type ConnectionListOptions } from './proc/connections.js'
export {
  connectionStates, type ConnectionEnd, type ConnectionOrigin, type ConnectionState, type ConnectionStateName,
} from './proc/connection-rows.js'
export { RealServer } from './api/real-server.js'
export { VirtualService, type VirtualServiceOptions } from './api/virtual-service.js'
export { endpoint, type Family } from './base/address.js'
export { serviceName } from './ipvs/names.js'
export {
  formatMetrics, metricsContentTypes, type Metrics, type MetricsFormat, type MetricsOptions,
} from './proc/metrics.js'
export {
  ipvsStatus, ipvsTotals, perCpuStatistics, type CpuStatistics, type IpvsStatus, type TableStatus,
} from './proc/statistics.js'
export type {
  ActualForwarding, DirectorNetwork, Forwarding, OtherTunnel, Persistence, Protocol,
  RealServerId, RealServerKey, RealServerSettings, RealServerSpec, RealServerState, Scheduler, SchedulerFlag,
  Service, ServiceId, ServiceKey, ServiceOptions, ServiceSettings, ServiceSpec, ServiceState,
  Stats, Thresholds, VirtualServiceSpec,
} from './ipvs/model.js'
export { formatRules } from './ipvs/rules/format.js'
export { parseRules } from './ipvs/rules/parse.js'
export { RulesError } from './ipvs/rules/rule.js'
export type { SyncDaemonSpec, SyncDaemonState } from './ipvs/sync-daemon.js'
export type { Timeouts } from './ipvs/timeouts.js'
export { tunnelOverhead, type Tunnel, type TunnelChecksum, type TunnelKind } from './ipvs/tunnels.js'
export type { TableChange, WatchOptions } from './ipvs/watch.js'

// ── plans, and real servers ──

export type { Finding, Problem } from './diagnose/finding.js'
export type { DiagnoseOptions } from './diagnose/looks.js'
export {
  BrakeError, Plan, PlanError,
  type ApplyOptions, type PlanProgress, type RevertOptions, type Step, type StepFailure, type StepObject,
} from './plan/plan.js'
export type { Patch, Resource } from './plan/resource.js'
export type { DirectorSpec, Owner, PlanOptions } from './api/director-plan.js'
export { planNetwork, type NetworkSpec } from './network/network.js'
export { diagnoseRealServer, planRealServer } from './api/plan-real-server.js'
export type { RealServerSetup, RealServerTunnel, RealServerUse } from './network/real-server.js'

// ── the network ──

export {
  FouPorts, type FouPortFilter, type FouPortId, type FouPortPatch, type FouPortSpec, type FouPortState,
} from './network/fou.js'
export { Links, type LinkChange, type LinkWatchOptions } from './rtnetlink/link/links.js'
export type * from './rtnetlink/link/spec.js'
export { Addresses } from './rtnetlink/address/addresses.js'
export type { AddressFilter, AddressId, AddressSpec, AddressState, Scope } from './rtnetlink/address/spec.js'
export type { Lifetime, Lifetimes } from './rtnetlink/address/lifetimes.js'
export { Routes } from './rtnetlink/route/routes.js'
export type {
  Nexthop, RouteFilter, RouteId, RoutePatch, RouteProtocol, RouteQuery, RouteSettings, RouteSpec, RouteState,
  RouteTable, RouteType, WeightedNexthop,
} from './rtnetlink/route/spec.js'
export {
  Neighbours, type NeighbourFilter, type NeighbourPatch, type NeighbourSpec, type NeighbourState,
} from './rtnetlink/neighbour/neighbours.js'
export type { ForwardingId, ForwardingSpec, ForwardingState } from './rtnetlink/neighbour/forwarding.js'
export type { IpNeighbourSpec, IpNeighbourState, NeighbourId, Reachability } from './rtnetlink/neighbour/spec.js'

// ── sysctls ──

export { effectiveSysctl, type EffectiveSysctl } from './sysctl/effective.js'
export {
  ipv4ConfSysctls, ipv6ConfSysctls, ipvsSysctls, networkSysctls,
  type KnownSysctl, type SysctlFlagOf, type SysctlHeld, type SysctlNotes, type SysctlOneOf, type SysctlRange,
  type SysctlRow, type SysctlSettingOf, type SysctlTakes, type SysctlTakesOf, type SysctlValueOf,
} from './sysctl/tables.js'
export { sysctl, type Sysctl } from './sysctl/accessor.js'
export { SysctlError, type SysctlErrorCode } from './sysctl/errors.js'
export { sysctlName, sysctlSegments, type SysctlKey } from './sysctl/keys.js'
export type { SysctlSetting } from './sysctl/steps.js'
export type { SysctlValue, SysctlValues } from './sysctl/values.js'
