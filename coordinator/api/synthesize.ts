/**
 * Images on demand. A run's data and classifier, as after its last complete epoch, are published once by a trainer that
 * is kept for a while; shards are then made by the workers of all runs, in turn with them.
 */
import sharp from 'sharp';
import { AsyncQueue } from '../../actors/async-queue.ts';
import { synthesizes } from '../../config/run-config.ts';
import type { Image } from '../../gen/ballast/v1/Image.ts';
import type { OpenResponse__Output } from '../../gen/ballast/v1/OpenResponse.ts';
import type { SynthesizeRequest__Output } from '../../gen/ballast/v1/SynthesizeRequest.ts';
import type { WeightsRef__Output } from '../../gen/ballast/v1/WeightsRef.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import { whenAlive } from '../crew.ts';
import { type SpawnedCrew, spawnCrew } from '../crew-node.ts';
import { RunFolder } from '../run-folder.ts';
import { RunMetrics } from '../run-metrics.ts';
import { planShards, type Shard } from '../sharding.ts';
import { synthesizeEpoch } from '../synthesis.ts';
import type { ExecutionOptions } from '../runs/run-execution.ts';
import type { RunRecord } from '../runs/run-record.ts';
import { ApiError, invalidField, precondition } from './errors.ts';
import { runName } from './resources.ts';

const MAX_IMAGES = 10_000;
const MAX_SEED = Number.MAX_SAFE_INTEGER;
const MAX_SCALE = 1000;
/** Calls at once. */
const MAX_CALLS = 4;
/** How long a trainer is kept after its last call. */
const KEEP_MS = 120_000;
const OPEN_DEADLINE_MS = 600_000;

/** What a run's images are made from. */
interface Studio {
  readonly opened: OpenResponse__Output;
  readonly weights: WeightsRef__Output;
  readonly crew: SpawnedCrew;
}

interface Kept {
  readonly epoch: number;
  readonly studio: Promise<Studio>;
  users: number;
  timer: NodeJS.Timeout | null;
}

export class SynthesisOnDemand {
  readonly #options: ExecutionOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #slots = new Set(Array.from({ length: MAX_CALLS }, (_, i) => `on-demand-${i}`));
  readonly #stopping = new AbortController();

  constructor(options: ExecutionOptions) {
    this.#options = options;
  }

  /** Images in order. @throws ApiError */
  async *synthesize(
    record: RunRecord,
    request: SynthesizeRequest__Output,
    signal: AbortSignal,
  ): AsyncGenerator<Image> {
    checkRequest(record, request);
    const [slot] = this.#slots;
    if (slot === undefined) {
      const message = `${MAX_CALLS} Synthesize calls go on already; try again when one has ended`;
      throw new ApiError({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'TOO_MANY_CALLS',
        message,
        retryAfterMs: 5000,
      });
    }
    this.#slots.delete(slot);
    const kept = await this.#keep(record);
    try {
      yield* this.#make(slot, record, request, await kept.studio, signal);
    } finally {
      this.#slots.add(slot);
      this.#letGo(record.id, kept);
    }
  }

  /** Ends the trainers that are kept. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the coordinator is shutting down'));
    const kept = [...this.#kept.values()];
    this.#kept.clear();
    for (const { timer } of kept) clearTimeout(timer ?? undefined);
    await Promise.allSettled(kept.map(async ({ studio }) => (await studio).crew.stop()));
  }

  async #keep(record: RunRecord): Promise<Kept> {
    const epoch = await new RunFolder(this.#options.dirOf(record.id)).lastEpoch();
    if (epoch === 0)
      throw precondition('NO_EPOCH', runName(record.id), `${runName(record.id)} has no complete epoch yet`);
    const known = this.#kept.get(record.id);
    const kept = known?.epoch === epoch ? known : this.#open(record, epoch);
    clearTimeout(kept.timer ?? undefined);
    kept.timer = null;
    kept.users++;
    return kept;
  }

  #open(record: RunRecord, epoch: number): Kept {
    const kept: Kept = { epoch, studio: this.#studio(record, epoch), users: 0, timer: null };
    const before = this.#kept.get(record.id);
    this.#kept.set(record.id, kept);
    if (before !== undefined) this.#close(before);
    kept.studio.catch(() => {
      if (this.#kept.get(record.id) === kept) this.#kept.delete(record.id);
    });
    return kept;
  }

  #letGo(run: string, kept: Kept): void {
    if (--kept.users > 0) return;
    if (this.#kept.get(run) !== kept) return this.#close(kept);
    kept.timer = setTimeout(() => {
      this.#kept.delete(run);
      this.#close(kept);
    }, KEEP_MS).unref();
  }

  /** Ends what nobody uses. */
  #close({ studio, users }: Kept): void {
    if (users > 0) return;
    void studio
      .then(({ crew }) => crew.stop())
      .catch((thrown: unknown) => {
        this.#options.log.warn('a trainer for images on demand did not end well', { error: thrown });
      });
  }

  async #studio(record: RunRecord, epoch: number): Promise<Studio> {
    const { runtime, trainerLabels, dirOf, log } = this.#options;
    const folder = new RunFolder(dirOf(record.id));
    const place = { prefix: `${record.id}-at-${epoch}-`, labels: trainerLabels };
    const noWorkers = { list: () => [], onJoined: () => () => undefined, share: null };
    const crew: SpawnedCrew = await spawnCrew(record.config, place, { ...runtime, log }, noWorkers);
    try {
      await whenAlive(crew.trainer, this.#stopping.signal);
      const options = { deadlineMs: OPEN_DEADLINE_MS, signal: this.#stopping.signal };
      const configJson = JSON.stringify({ ...record.config, out: folder.dir });
      const checkpointDir = await folder.checkpoints.trainerDir(epoch);
      const opened = await crew.trainer.handle.open({ configJson, checkpointDir }, options);
      const { weights } = await crew.trainer.handle.publishWeights({}, options);
      if (!weights?.object) throw new Error('the trainer published no weights');
      return { opened, weights, crew };
    } catch (thrown) {
      await crew.stop();
      throw thrown;
    }
  }

  async *#make(
    slot: string,
    record: RunRecord,
    request: SynthesizeRequest__Output,
    { opened, weights, crew }: Studio,
    signal: AbortSignal,
  ): AsyncGenerator<Image> {
    const { shared, metrics, runtime, log } = this.#options;
    const { shards, shardRequest, classIndex } = planOf(record, request, opened, weights);
    const arrived = new Arrivals<Image[]>(shards.length);
    const workers = shared.join(slot, 1);
    const making = synthesizeEpoch(
      { epoch: 1, shards, request: shardRequest },
      {
        crew: {
          workers,
          release: (object) => crew.release(object),
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
    ).finally(() => {
      workers.leave();
      void metrics.forget(slot).catch((thrown: unknown) => log.warn('metrics stay', { error: thrown }));
    });
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
    this.#abandoned.abort(new Error('nobody wants the images any more'));
  }

  inOrder(): AsyncIterable<Item> {
    return this.#queue.iterate();
  }
}

function checkRequest({ id, config }: RunRecord, request: SynthesizeRequest__Output): void {
  const { count, seed, guidanceScale } = request;
  if (count < 1 || count > MAX_IMAGES) throw invalidField('count', count, `must be from 1 to ${MAX_IMAGES}`);
  if (seed < 0 || seed > MAX_SEED) throw invalidField('seed', seed, `must be from 0 to ${MAX_SEED}`);
  if (guidanceScale !== undefined && !(guidanceScale >= 0 && guidanceScale <= MAX_SCALE))
    throw invalidField('guidance_scale', guidanceScale, `must be from 0 to ${MAX_SCALE}`);
  if (!synthesizes(config)) {
    const message = `${runName(id)} makes no images: its method is ${config.method}`;
    throw precondition('RUN_MAKES_NO_IMAGES', runName(id), message);
  }
}

function planOf(
  { config }: RunRecord,
  { className, count, seed, guidanceScale }: SynthesizeRequest__Output,
  { classes, trainLabels, prior, anchors }: OpenResponse__Output,
  weights: WeightsRef__Output,
): { shards: Shard[]; shardRequest: Parameters<typeof synthesizeEpoch>[0]['request']; classIndex: number } {
  const classIndex = classes.indexOf(className);
  if (classIndex < 0)
    throw invalidField('class_name', className, `no such class; the run has ${classes.join(', ')}`);
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
    trainLabels,
  });
  const shardRequest = {
    runSeed: seed,
    synthesisJson: JSON.stringify(synthesis),
    engine: config.engine,
    threads: config.threads,
    anchors: synthesis.start === 'anchored' ? anchors : null,
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
