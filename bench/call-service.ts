/** The service that the actor benchmarks call, and the callers' workload. */
import { join } from 'node:path';
import type * as grpc from '@grpc/grpc-js';
import type { ActorHandle } from '../actors/system/handle.ts';
import type { ActorType } from '../actors/system/actor-type.ts';
import { loadService } from '../actors/proto/protos.ts';
import { packageRoot } from '../common/package-root.ts';

interface CallRequest {
  value?: Uint8Array;
}

interface CallResponse {
  value: Uint8Array;
}

export interface WorkRequest {
  kind: 'calls' | 'put' | 'get';
  actorIds?: string[];
  inFlight?: number;
  milliseconds: number;
}

/** The work done in a time. */
export interface Work {
  count: number;
  seconds: number;
}

type Unary<Request, Response> = (
  request: Request,
  callback: grpc.requestCallback<Response>,
) => grpc.ClientUnaryCall;

export interface CallServiceClient extends grpc.Client {
  call: Unary<CallRequest, CallResponse>;
  work: Unary<WorkRequest, Work>;
}

export interface CallServiceHandlers {
  Call: grpc.handleUnaryCall<CallRequest, CallResponse>;
  Work: grpc.handleUnaryCall<Required<WorkRequest>, Work>;
}

export const callType: ActorType<CallServiceClient, CallServiceHandlers> = {
  name: 'call',
  entry: 'bench/call-actor.js',
  service: loadService('calls.proto', 'ballast.bench.CallService', {
    includeDirs: [join(packageRoot(), 'bench')],
  }),
};

export type CallHandle = ActorHandle<CallServiceClient>;

/** Repeats `batch`, which counts as `size` operations. */
export async function workFor(
  milliseconds: number,
  size: number,
  batch: () => Promise<unknown>,
): Promise<Work> {
  const startMs = performance.now();
  for (let count = 0; ;) {
    await batch();
    count += size;
    const passedMs = performance.now() - startMs;
    if (passedMs >= milliseconds) return { count, seconds: passedMs / 1000 };
  }
}

export interface CallOptions {
  readonly inFlight: number;
  readonly milliseconds: number;
  readonly value?: Uint8Array;
}

/** Calls actors in turn, `inFlight` calls at once, and waits for all of them before the next batch. */
export function callFor(actors: readonly CallHandle[], options: CallOptions): Promise<Work> {
  const { inFlight, milliseconds, value } = options;
  const request = value === undefined ? {} : { value };
  if (inFlight === 1) return workFor(milliseconds, 1, () => actors[0]!.call(request));
  return workFor(milliseconds, inFlight, () =>
    Promise.all(Array.from({ length: inFlight }, (_, i) => actors[i % actors.length]!.call(request))),
  );
}
