/** The actor runtime: typed gRPC actors in child processes, with supervision, objects and events. */

export { UserError } from '../common/errors.ts';
export { createLog, type Log, silentLog } from '../common/log.ts';

export { actor, task } from './classes/class-actor.ts';
export type { ActorOptions, ConcurrencyGroup, ModuleMeta } from './classes/class-registry.ts';
export type { ClassPool, ClassRuntime } from './classes/class-runtime.ts';
export { ValueRef } from './classes/value-ref.ts';
export type {
  ActorClass,
  ArgsOf,
  ClassCallOptions,
  ClassHandle,
  RemoteMethods,
} from './classes/class-types.ts';
export { type LocalRuntime, start, type StartOptions } from './classes/start.ts';
export type { TaskOptions } from './classes/task-options.ts';
export { thisActor, type ThisActor } from './classes/this-actor.ts';
export { map, type MapOptions, mapUnordered, waitSome, type WaitSomeOptions } from './classes/waiting.ts';

export { loadService } from './proto/protos.ts';
export type { CallOptions, Calls, Implementation, MethodName, Service } from './proto/protos.ts';

export { type Node, type NodeOptions, startNode } from './node/node.ts';
export { connectNode } from './system/node-client.ts';
export { DEFAULT_RESTART_POLICY } from './status/status.ts';
export type {
  ActorSpec,
  ActorState,
  ActorStatus,
  GroupStrategy,
  Isolation,
  Lifetime,
  NodeApi,
  NodeStatus,
  PlacementStrategy,
  Resources,
  RestartPolicy,
} from './status/status.ts';

export { ActorSystem, type ActorSystemOptions, type GangMember } from './system/system.ts';
export type { PlacementGroup, PlacementGroupOptions } from './system/placement-group.ts';
export type { SpawnOptions } from './system/actor-type.ts';
export type { ActorHandle } from './system/handle.ts';
export type { ActorType } from './system/actor-type.ts';
export { ActorPool, type PoolOptions } from './pools/pool.ts';
export { GroupFailed, type GroupOptions, SupervisionGroup } from './pools/supervision.ts';
export type { SupervisionStrategy } from './pools/supervision-policy.ts';
export { ChannelPool, plainCalls } from './calls/channels.ts';
export { serviceCalls } from './calls/transport.ts';
export { ActorError, CallError, type StatusName } from './base/call-errors.ts';

export { ownTokenFile } from './security/own-token.ts';
export { serveActor } from './serve.ts';
export type { Restart } from './status/actor-environment.ts';
export type { ActorRuntime, ServeOptions, StartedActor } from './actor/hosted-actor.ts';
export type { CallContext } from './calls/call.ts';

export { ObjectStore, type ObjectStoreOptions, type PutOptions } from './objects/objects.ts';
export type { WaitOptions, WaitResult } from './objects/object-wait.ts';
export { NodeObjects, type NodeObjectsOptions } from './objects/node-objects.ts';
export { ObjectError, type ObjectRef } from './objects/object-ref.ts';

export type { BusEvent, EventBus, EventPayload, SubscribeOptions } from './control/event-bus.ts';
export { openEventLog } from './control/event-log.ts';
export { openNatsEventBus, openNatsRegistry } from './control/nats.ts';
export type { NatsEventBusOptions } from './control/event-nats.ts';

export { RevisionConflict } from './control/registry.ts';
export type {
  JsonObject,
  Lease,
  LeaseOptions,
  Registry,
  RegistryChange,
  RegistryEntry,
  WriteOptions,
} from './control/registry.ts';
export type { RegistryOptions } from './control/registry-client.ts';
export { EmbeddedStore, openEmbeddedRegistry } from './control/registry-embedded.ts';
export type { NatsRegistryOptions } from './control/registry-nats.ts';
export { registryHandlers, remoteRegistry } from './control/registry-service.ts';
export { Announcer, type AnnouncerOptions } from './control/announcer.ts';
export type { NatsConnectionOptions } from './control/nats-connection.ts';
export type { NatsSecrets, NatsTlsFiles } from './control/nats-secrets.ts';

export { createRegistry, type MetricsServer, serveMetrics } from './calls/metrics.ts';

export { computeThread } from './compute/compute-thread.ts';
export type { ComputeCallOptions, ComputeThread, ComputeThreadOptions } from './compute/compute-thread.ts';
export { type ComputeContext, serveComputeThread, withTransfer } from './compute/compute-worker.ts';
