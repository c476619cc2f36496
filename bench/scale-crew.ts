/**
 * An in-memory crew for the scale benchmark: workers that sleep for each shard, one after another, and a trainer that
 * counts.
 */
import { loadService } from '../actors/proto/protos.ts';
import { ownWorkers } from '../coordinator/crew/crew.ts';
import type { Crew, LinkStatus, TrainerHandle, WorkerHandle } from '../coordinator/crew/crew.ts';
import type {
  DiffusionWorkerServiceClient,
  DiffusionWorkerServiceHandlers,
} from '../gen/ballast/v1/DiffusionWorkerService.ts';

const METHOD = loadService<DiffusionWorkerServiceClient, DiffusionWorkerServiceHandlers>(
  'ballast/v1/diffusion_worker.proto',
  'ballast.v1.DiffusionWorkerService',
).methods.get('synthesizeShard')!;
const ALIVE: LinkStatus = { state: 'alive', incarnation: 1, reason: 'serving' };

export interface ScaleSettings {
  readonly workers: number;
  /** Mean time of a shard; times are uniform from three quarters to five quarters of it. */
  readonly shardMs: number;
  /** One shard in this many loses its worker's process, which restarts; Infinity for none. */
  readonly deathEvery: number;
}

export interface ScaleCrew {
  readonly crew: Crew;
  /** How often the trainer received each shard. */
  readonly committed: ReadonlyMap<number, number>;
  /** Milliseconds between a worker's answer and its next order. */
  readonly latenciesMs: readonly number[];
  readonly deaths: () => number;
}

class Lost extends Error {
  readonly code = 'UNAVAILABLE';
}

/** One worker, with its own queue, as long as its process lives. */
class SleepingWorker {
  readonly name: string;
  readonly handle: WorkerHandle;
  readonly #settings: ScaleSettings;
  readonly #latenciesMs: number[];
  readonly #listeners = new Set<(status: LinkStatus) => void>();
  #status = ALIVE;
  #queue: Promise<void> = Promise.resolve();
  #answeredMs: number | null = null;
  #shards: number;
  deaths = 0;

  constructor(index: number, settings: ScaleSettings, latenciesMs: number[]) {
    this.name = `diffusion-worker-${index}`;
    this.#settings = settings;
    this.#latenciesMs = latenciesMs;
    this.#shards = index; // staggered, so that not all die at the same shard
    this.handle = { synthesizeShard: (request) => this.#make(METHOD.requestSerialize(request)) };
  }

  status(): LinkStatus {
    return this.#status;
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async #make(request: Buffer): ReturnType<WorkerHandle['synthesizeShard']> {
    if (this.#answeredMs !== null) this.#latenciesMs.push(performance.now() - this.#answeredMs);
    this.#answeredMs = null;
    const { incarnation } = this.#status;
    const turn = this.#queue.then(() => this.#sleep());
    this.#queue = turn;
    await turn;
    if (++this.#shards % this.#settings.deathEvery === 0) this.#die();
    if (this.#status.incarnation !== incarnation) throw new Lost(`${this.name}: its process ended`);
    this.#answeredMs = performance.now();
    const id = `${this.name}/${incarnation}/${this.#shards}`;
    const batch = { id, sizeBytes: 1, digest: '0'.repeat(64), holders: ['10.0.0.1:50051'] };
    const answer = METHOD.responseSerialize({ batch, seconds: request.byteLength > 0 ? 1 : 0 });
    return METHOD.responseDeserialize(answer) as Awaited<ReturnType<WorkerHandle['synthesizeShard']>>;
  }

  async #sleep(): Promise<void> {
    const { shardMs } = this.#settings;
    if (shardMs > 0)
      await new Promise((resolve) => setTimeout(resolve, shardMs * (0.75 + 0.5 * Math.random())));
  }

  #die(): void {
    this.deaths++;
    const incarnation = this.#status.incarnation + 1;
    this.#set({ state: 'restarting', incarnation: incarnation - 1, reason: 'SIGKILL' });
    this.#set({ state: 'alive', incarnation, reason: 'serving' });
  }

  #set(status: LinkStatus): void {
    this.#status = status;
    for (const listener of [...this.#listeners]) listener(status);
  }
}

export function scaleCrew(settings: ScaleSettings): ScaleCrew {
  const latenciesMs: number[] = [];
  const committed = new Map<number, number>();
  const workers = Array.from(
    { length: settings.workers },
    (_, index) => new SleepingWorker(index, settings, latenciesMs),
  );
  const addShard: TrainerHandle['addShard'] = ({ shardIndex = 0 }) => {
    committed.set(shardIndex, (committed.get(shardIndex) ?? 0) + 1);
    return Promise.resolve({ images: 1 });
  };
  const trainer = {
    name: 'classifier-trainer',
    handle: { addShard } as TrainerHandle,
    status: () => ALIVE,
    onStatus: () => () => undefined,
  };
  return {
    crew: { trainer, workers: ownWorkers(workers), release: () => undefined },
    committed,
    latenciesMs,
    deaths: () => workers.reduce((sum, { deaths }) => sum + deaths, 0),
  };
}
