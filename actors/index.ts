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
export type { ActorSpec, ActorState, ActorStatus, NodeApi, RestartPolicy } from './status.ts';

export { ActorSystem } from './system.ts';
export type { ActorSystemOptions, SpawnOptions } from './system.ts';
export type { ActorHandle, ActorType } from './handle.ts';
export { ChannelPool, serviceCalls } from './channels.ts';
export { ActorError, CallError } from './call-errors.ts';
export type { StatusName } from './call-errors.ts';

export { serveActor } from './serve.ts';
export type { ActorRuntime, ServeOptions, StartedActor } from './serve.ts';
export type { CallContext } from './server.ts';

export { ObjectStore } from './objects.ts';
export type { ObjectStoreOptions, PutOptions } from './objects.ts';
export type { WaitOptions, WaitResult } from './object-wait.ts';
export { NodeObjects } from './node-objects.ts';
export type { NodeObjectsOptions } from './node-objects.ts';
export { ObjectError } from './object-ref.ts';
export type { ObjectRef } from './object-ref.ts';

export type { BusEvent, EventBus, EventPayload, SubscribeOptions } from './event-bus.ts';
export { openEventLog } from './event-log.ts';
export { openNatsEventBus } from './event-nats.ts';

export { createRegistry, serveMetrics } from './metrics.ts';
export type { MetricsServer } from './metrics.ts';

export { computeThread } from './compute-thread.ts';
export type { ComputeCallOptions, ComputeThread, ComputeThreadOptions } from './compute-thread.ts';
export { serveComputeThread, withTransfer } from './compute-worker.ts';
export type { ComputeContext } from './compute-worker.ts';
