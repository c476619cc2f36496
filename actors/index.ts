/** The actor runtime: typed gRPC actors in child processes, with supervision, objects and events. */

export { UserError } from '../common/errors.ts';
export { createLog, silentLog } from '../common/log.ts';
export type { Log } from '../common/log.ts';

export { loadService } from './protos.ts';
export type { CallOptions, Calls, Implementation, MethodName, Service } from './protos.ts';

export { startNode } from './node.ts';
export type { Node, NodeOptions } from './node.ts';
export { connectNode } from './node-client.ts';
export { DEFAULT_RESTART_POLICY } from './status.ts';
export type {
  ActorSpec,
  ActorState,
  ActorStatus,
  Isolation,
  Lifetime,
  NodeApi,
  NodeStatus,
  PlacementStrategy,
  Resources,
  RestartPolicy,
} from './status.ts';

export { ActorSystem } from './system.ts';
export type { ActorSystemOptions, GangMember, SpawnOptions } from './system.ts';
export type { ActorHandle, ActorType } from './handle.ts';
export { ActorPool } from './pool.ts';
export type { PoolOptions } from './pool.ts';
export { GroupFailed, SupervisionGroup } from './supervision.ts';
export type { GroupOptions } from './supervision.ts';
export type { SupervisionStrategy } from './supervision-policy.ts';
export { ChannelPool, plainCalls } from './channels.ts';
export { serviceCalls } from './transport.ts';
export { ActorError, CallError } from './call-errors.ts';
export type { StatusName } from './call-errors.ts';

export { serveActor } from './serve.ts';
export type { ActorRuntime, Restart, ServeOptions, StartedActor } from './hosted-actor.ts';
export type { CallContext } from './dispatcher.ts';

export { ObjectStore } from './objects.ts';
export type { ObjectStoreOptions, PutOptions } from './objects.ts';
export type { WaitOptions, WaitResult } from './object-wait.ts';
export { NodeObjects } from './node-objects.ts';
export type { NodeObjectsOptions } from './node-objects.ts';
export { ObjectError } from './object-ref.ts';
export type { ObjectRef } from './object-ref.ts';

export type { BusEvent, EventBus, EventPayload, SubscribeOptions } from './event-bus.ts';
export { openEventLog } from './event-log.ts';
export { openNatsEventBus, openNatsRegistry } from './nats.ts';
export type { NatsEventBusOptions } from './event-nats.ts';

export { RevisionConflict } from './registry.ts';
export type {
  JsonObject,
  Lease,
  LeaseOptions,
  Registry,
  RegistryChange,
  RegistryEntry,
  WriteOptions,
} from './registry.ts';
export type { RegistryOptions } from './registry-client.ts';
export { EmbeddedStore, openEmbeddedRegistry } from './registry-embedded.ts';
export type { NatsRegistryOptions } from './registry-nats.ts';
export { registryHandlers, remoteRegistry } from './registry-service.ts';
export { Announcer } from './announcer.ts';
export type { AnnouncerOptions } from './announcer.ts';
export type { NatsConnectionOptions } from './nats-connection.ts';
export type { NatsSecrets, NatsTlsFiles } from './nats-secrets.ts';

export { createRegistry, serveMetrics } from './metrics.ts';
export type { MetricsServer } from './metrics.ts';

export { computeThread } from './compute-thread.ts';
export type { ComputeCallOptions, ComputeThread, ComputeThreadOptions } from './compute-thread.ts';
export { serveComputeThread, withTransfer } from './compute-worker.ts';
export type { ComputeContext } from './compute-worker.ts';
