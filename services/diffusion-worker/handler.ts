/**
 * The diffusion worker's service: pulls a shard's objects, lets the compute thread generate the images, and stores the
 * batch.
 */
import type { ActorRuntime } from '../../actors/actor/hosted-actor.ts';
import type { CallContext } from '../../actors/calls/call.ts';
import type { Implementation } from '../../actors/proto/protos.ts';
import type { ComputeThread } from '../../actors/compute/compute-thread.ts';
import { UserError } from '../../common/errors.ts';
import type { DiffusionWorkerServiceHandlers } from '../../gen/ballast/v1/DiffusionWorkerService.ts';
import type { ObjectRef__Output } from '../../gen/ballast/v1/ObjectRef.ts';
import type { SynthesizeShardRequest__Output } from '../../gen/ballast/v1/SynthesizeShardRequest.ts';
import type { SynthesizeShardResponse } from '../../gen/ballast/v1/SynthesizeShardResponse.ts';
import { int32 } from '../../tensor/array.ts';
import { encodeSafetensors } from '../../tensor/safetensors.ts';
import type { WorkerOperations } from './compute.ts';
import { deviceSchema } from '../../config/engine.ts';
import { parseStrict } from '../../config/validation.ts';
import { parseSynthesis } from './config.ts';
import { WorkerMetrics } from './metrics.ts';
import type { ShardJob } from './synthesizer.ts';

export function workerHandlers(
  runtime: Pick<ActorRuntime, 'objects' | 'registry'>,
  thread: ComputeThread<WorkerOperations>,
): Implementation<DiffusionWorkerServiceHandlers, CallContext> {
  const metrics = new WorkerMetrics(runtime.registry);
  let queue: Promise<unknown> = Promise.resolve();
  /** One shard computes at a time; the next one's objects are pulled meanwhile. */
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = queue.then(work);
    queue = turn.catch(() => undefined);
    return turn;
  };
  return {
    synthesizeShard: async (request, { signal }) => {
      metrics.queued(1);
      try {
        return await inTurn(() => makeShard({ objects: runtime.objects, thread, metrics }, request, signal));
      } finally {
        metrics.queued(-1);
      }
    },
  };
}

interface Maker extends Pick<ActorRuntime, 'objects'> {
  readonly thread: ComputeThread<WorkerOperations>;
  readonly metrics: WorkerMetrics;
}

async function makeShard(
  { objects, thread, metrics }: Maker,
  request: SynthesizeShardRequest__Output,
  signal: AbortSignal,
): Promise<SynthesizeShardResponse> {
  signal.throwIfAborted();
  const { job, refs, weightsVersion } = readRequest(request);
  await loadIntoThread(objects, thread, refs, signal);
  const start = performance.now();
  const { images, shape, graphs, engine, choice } = await thread.call('synthesize', job, { signal });
  const seconds = (performance.now() - start) / 1000;
  const count = job.items.length;
  const batch = await objects.put(
    encodeSafetensors({
      images: { dtype: 'uint8', shape, data: images },
      classes: int32([count], job.items.map((item) => item.classIndex)), // prettier-ignore
      imageIds: int32([count], job.items.map((item) => item.imageId)), // prettier-ignore
    }),
  );
  metrics.graphs.update(graphs);
  metrics.shardMade(count, seconds, weightsVersion);
  return { batch, seconds, weightsVersion, engine, deviceChoice: choice };
}

/** Lets the compute thread have what it does not hold yet. */
async function loadIntoThread(
  objects: Maker['objects'],
  thread: Maker['thread'],
  refs: readonly ObjectRef__Output[],
  signal: AbortSignal,
): Promise<void> {
  const held = await thread.call('holds', refs.map(({ digest }) => digest)); // prettier-ignore
  for (const [i, ref] of refs.entries()) {
    if (held[i]) continue;
    const bytes = await objects.get(ref, { signal });
    await thread.call('load', { digest: ref.digest, bytes });
  }
}

/** Checks that a request is complete. Throws UserError naming the field. */
function readRequest(request: SynthesizeShardRequest__Output): {
  job: ShardJob;
  refs: ObjectRef__Output[];
  weightsVersion: number;
} {
  const { prior, anchors, weights, items } = request;
  if (prior === null) throw new UserError('prior: missing; name the diffusion prior to sample');
  if (weights?.object == null) throw new UserError('weights: missing; name the classifier that guides');
  if (items.length === 0) throw new UserError('items: empty; name at least one image');
  const synthesis = parseSynthesis(request.synthesisJson);
  if (items.length > synthesis.shardSize)
    throw new UserError(
      `items: ${items.length} images, but synthesis_json.shardSize is ${synthesis.shardSize}`,
    );
  return {
    job: {
      runSeed: request.runSeed,
      items,
      synthesis,
      engine: request.engine,
      device: parseStrict(deviceSchema, request.device === '' ? undefined : request.device),
      threads: request.threads,
      prior: prior.digest,
      anchors: anchors?.digest ?? null,
      weights: weights.object.digest,
    },
    refs: [prior, ...(anchors === null ? [] : [anchors]), weights.object],
    weightsVersion: weights.version,
  };
}
