/**
 * Images on demand: a studio (studios.ts) has the run's data and classifier; the workers of all runs make the shards,
 * in turn with those of runs. Requested images count as backlog from the start, whether or not there is a worker.
 */
import sharp from 'sharp';
import { AsyncQueue } from '../../actors/base/async-queue.ts';
import { withLimits } from '../../actors/base/limits.ts';
import { synthesizes } from '../../config/run-config.ts';
import { readsAnchors } from '../../config/synthesis-config.ts';
import type { Image } from '../../gen/ballast/v1/Image.ts';
import type { SynthesizeRequest__Output } from '../../gen/ballast/v1/SynthesizeRequest.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import { RunFolder } from '../records/run-folder.ts';
import { RunMetrics } from '../epoch/run-metrics.ts';
import { planShards, type Shard } from '../epoch/sharding.ts';
import { synthesizeEpoch } from '../epoch/synthesis.ts';
import type { ExecutionOptions } from '../runs/run-execution.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { ApiError, invalidField, precondition } from './errors.ts';
import { runName } from './resources.ts';
import { type Studio, Studios } from './studios.ts';
import { checkLength, MAX_CHARACTERS } from './text-limits.ts';
import { anchorLabels } from '../epoch/epoch.ts';

const MAX_IMAGES = 10_000;
const MAX_SEED = Number.MAX_SAFE_INTEGER;
const MAX_SCALE = 1000;
/** Calls at once. */
const MAX_CALLS = 4;

export class SynthesisOnDemand {
  readonly #options: ExecutionOptions;
  readonly #studios: Studios;
  readonly #slots = new Set(Array.from({ length: MAX_CALLS }, (_, i) => `on-demand-${i}`));
  readonly #stopping = new AbortController();

  constructor(options: ExecutionOptions) {
    this.#options = options;
    this.#studios = new Studios(options);
  }

  /** Images in order. @throws ApiError */
  async *synthesize(
    record: RunRecord,
    request: SynthesizeRequest__Output,
    signal: AbortSignal,
  ): AsyncGenerator<Image> {
    const folder = new RunFolder(this.#options.dirOf(record.id));
    checkRequest(record, request, await folder.readClasses());
    const slot = this.#takeSlot();
    try {
      const kept = await this.#studios.acquire(record);
      try {
        new RunMetrics(this.#options.metrics, slot).imagesAsked(request.count);
        const studio = await withLimits(kept.studio, { deadlineMs: Infinity, signal }, 'opening the run');
        yield* this.#make(slot, record, request, studio, signal);
      } finally {
        kept.release();
      }
    } finally {
      await this.#options.metrics.forget(slot);
      this.#slots.add(slot);
    }
  }

  /** Ends trainers that are kept and idle: a run needs the room. */
  giveWay(): Promise<void> {
    return this.#studios.giveWay();
  }

  /** Ends the calls, and the trainers that are kept. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the coordinator is shutting down'));
    await this.#studios.stop();
  }

  /** The name that a call's share of the workers, and its metrics, have. */
  #takeSlot(): string {
    const [slot] = this.#slots;
    if (slot === undefined) {
      const message = `${MAX_CALLS} Synthesize calls are already running; try again when one has ended`;
      throw new ApiError({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'TOO_MANY_CALLS',
        message,
        retryAfterMs: 5000,
      });
    }
    this.#slots.delete(slot);
    return slot;
  }

  async *#make(
    slot: string,
    record: RunRecord,
    request: SynthesizeRequest__Output,
    studio: Studio,
    signal: AbortSignal,
  ): AsyncGenerator<Image> {
    const { shared, metrics, runtime } = this.#options;
    const { shards, shardRequest, classIndex } = planOf(record, request, studio);
    const arrived = new Arrivals<Image[]>(shards.length);
    const workers = shared.join(slot, 1);
    const making = synthesizeEpoch(
      { epoch: 1, shards, request: shardRequest },
      {
        crew: {
          workers,
          release: (object) => studio.crew.release(object),
          keep: async ({ shardIndex, batch }, stop) => {
            const bytes = await runtime.objects.get(batch, { signal: stop });
            arrived.put(shardIndex, await decodeImages(bytes, request.className, classIndex));
          },
        },
        events: { emit: () => undefined, publish: () => undefined, flush: () => Promise.resolve() },
        metrics: new RunMetrics(metrics, slot),
        clock: () => performance.now(),
        signal: AbortSignal.any([signal, this.#stopping.signal, arrived.abandoned]),
      },
    ).finally(() => workers.leave());
    making.then(
      () => arrived.end(),
      () => arrived.end(),
    );
    try {
      for await (const images of arrived.inOrder()) yield* images;
      await making;
    } finally {
      arrived.abandon();
      await making.catch(() => undefined);
    }
  }
}

/** Things that come in any order, given out in order. */
class Arrivals<Item> {
  readonly #waiting = new Map<number, Item>();
  readonly #queue = new AsyncQueue<Item>();
  readonly #abandoned = new AbortController();
  readonly #count: number;
  #next = 0;

  constructor(count: number) {
    this.#count = count;
  }

  get abandoned(): AbortSignal {
    return this.#abandoned.signal;
  }

  put(index: number, item: Item): void {
    if (index >= this.#next) this.#waiting.set(index, item);
    for (let item; (item = this.#waiting.get(this.#next)) !== undefined; this.#next++) {
      this.#waiting.delete(this.#next);
      this.#queue.push(item);
    }
    if (this.#next === this.#count) this.#queue.close();
  }

  end(): void {
    this.#queue.close();
  }

  abandon(): void {
    this.#abandoned.abort(new Error('no caller wants the images any more'));
  }

  inOrder(): AsyncIterable<Item> {
    return this.#queue.iterate();
  }
}

/** `classes`: none while the run has not read its data. */
function checkRequest(
  { id, config }: RunRecord,
  { className, count, seed, guidanceScale }: SynthesizeRequest__Output,
  classes: readonly string[],
): void {
  checkLength(className, 'class_name', MAX_CHARACTERS.className);
  if (count < 1 || count > MAX_IMAGES) throw invalidField('count', count, `must be from 1 to ${MAX_IMAGES}`);
  if (seed < 0 || seed > MAX_SEED) throw invalidField('seed', seed, `must be from 0 to ${MAX_SEED}`);
  if (guidanceScale !== undefined && !(guidanceScale >= 0 && guidanceScale <= MAX_SCALE))
    throw invalidField('guidance_scale', guidanceScale, `must be from 0 to ${MAX_SCALE}`);
  if (!synthesizes(config)) {
    const message = `${runName(id)} makes no images: its method is ${config.method}`;
    throw precondition('RUN_MAKES_NO_IMAGES', runName(id), message);
  }
  if (classes.length > 0 && !classes.includes(className))
    throw invalidField('class_name', className, `no such class; the run has ${classes.join(', ')}`);
}

function planOf(
  { config }: RunRecord,
  { className, count, seed, guidanceScale }: SynthesizeRequest__Output,
  { opened, weights }: Studio,
): { shards: Shard[]; shardRequest: Parameters<typeof synthesizeEpoch>[0]['request']; classIndex: number } {
  const { classes, prior, anchors } = opened;
  const classIndex = classes.indexOf(className);
  const { guidance, ...rest } = config.synthesis;
  const synthesis = {
    ...rest,
    guidance: guidanceScale === undefined ? guidance : { ...guidance, scale: guidanceScale },
  };
  const shards = planShards({
    seed,
    epoch: 1,
    quota: classes.map((_, c) => (c === classIndex ? count : 0)),
    idStride: count,
    shardSize: synthesis.shardSize,
    start: synthesis.start,
    trainLabels: anchorLabels(opened),
  });
  const shardRequest = {
    runSeed: seed,
    synthesisJson: JSON.stringify(synthesis),
    engine: config.engine,
    device: config.device,
    threads: config.threads,
    anchors: readsAnchors(synthesis) ? anchors : null,
    ...{ prior, weights },
  };
  return { shards, shardRequest, classIndex };
}

/** A batch's images as PNG files. */
async function decodeImages(batch: Uint8Array, className: string, classIndex: number): Promise<Image[]> {
  const { images } = decodeSafetensors(batch, 'a shard').arrays;
  if (images === undefined) throw new Error('a shard holds no images');
  const [count = 0, height = 0, width = 0, channels = 0] = images.shape;
  const size = height * width * channels;
  const raw = { height, width, channels: channels as 1 | 3 };
  const picture = (i: number) =>
    sharp((images.data as Uint8Array).subarray(i * size, (i + 1) * size), { raw })
      .png()
      .toBuffer();
  const pngs = await Promise.all(Array.from({ length: count }, (_, i) => picture(i)));
  return pngs.map((png) => ({ className, classIndex, width, height, png }));
}
