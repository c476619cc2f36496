/**
 * A crew in memory that follows the protos: a trainer whose "weights" are a hash of everything that it was trained on,
 * and workers whose batches are lost when they die. Two runs that end with equal digests did the same work.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { UserError } from '../../../common/errors.ts';
import type { RunConfig } from '../../../config/run-config.ts';
import type { ObjectRef__Output } from '../../../gen/ballast/v1/ObjectRef.ts';
import { ownWorkers } from '../crew.ts';
import type { ActorLink, Crew, LinkStatus, TrainerHandle, WorkerHandle } from '../crew.ts';

export const CLASSES = ['boot', 'bag', 'coat'];
/** 6, 3 and 1 training images. */
export const TRAIN_LABELS = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2];

export const sha = (value: unknown) => createHash('sha256').update(JSON.stringify(value)).digest('hex');
/** Runs everything that is ready. */
export const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

class Unavailable extends Error {
  readonly code = 'UNAVAILABLE';
}

/** An actor that can be killed: calls in progress fail, and the next incarnation begins with a fresh handle. */
export class FakeActor<Handle extends object> implements ActorLink<Handle> {
  readonly name: string;
  readonly handle: Handle;
  /** Called at the begin of each call; may throw, kill, or wait. */
  beforeCall: (method: string, request: unknown) => Promise<void> | void = () => undefined;
  readonly calls: string[] = [];
  #status: LinkStatus = { state: 'alive', incarnation: 1, reason: 'serving' };
  readonly #listeners = new Set<(status: LinkStatus) => void>();
  #life = new AbortController();
  #target: Handle;

  constructor(name: string, create: (incarnation: number) => Handle) {
    this.name = name;
    this.#target = create(1);
    this.#create = create;
    this.handle = this.#proxy();
  }
  readonly #create: (incarnation: number) => Handle;

  status(): LinkStatus {
    return this.#status;
  }

  onStatus(listener: (status: LinkStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** SIGKILL, then a restart unless disabled. */
  async kill(restart = true): Promise<void> {
    const { incarnation } = this.#status;
    this.#life.abort(new Unavailable(`${this.name}: its process ended`));
    this.#life = new AbortController();
    const reason = 'its process was ended by SIGKILL';
    this.#set({ state: restart ? 'restarting' : 'dead', incarnation, reason });
    if (!restart) return;
    await turn();
    this.#target = this.#create(incarnation + 1);
    this.#set({ state: 'alive', incarnation: incarnation + 1, reason: 'serving' });
  }

  #set(status: LinkStatus): void {
    this.#status = status;
    for (const listener of [...this.#listeners]) listener(status);
  }

  #proxy(): Handle {
    return new Proxy({} as Handle, {
      get: (_, method: string) => (request: unknown, options?: { signal?: AbortSignal }) => {
        this.calls.push(method);
        const stream = method === 'trainEpoch' || method === 'open';
        return stream ? this.#stream(method, request) : this.#unary(method, request, options?.signal);
      },
    });
  }

  async #unary(method: string, request: unknown, signal: AbortSignal | undefined): Promise<unknown> {
    const life = this.#life.signal;
    const over = signal ? AbortSignal.any([life, signal]) : life;
    const failed = new Promise<never>((_, reject) => {
      const fail = () => reject(over.reason as Error);
      if (over.aborted) fail();
      else over.addEventListener('abort', fail, { once: true });
    });
    const work = (async () => {
      await turn();
      await this.beforeCall(method, request);
      over.throwIfAborted();
      const target = this.#target as Record<string, (request: unknown) => Promise<unknown>>;
      return target[method]!(request);
    })();
    return Promise.race([work, failed]);
  }

  async *#stream(method: string, request: unknown): AsyncGenerator<unknown> {
    const life = this.#life.signal;
    await turn();
    await this.beforeCall(method, request);
    life.throwIfAborted();
    const target = this.#target as Record<string, (request: unknown) => AsyncIterable<unknown>>;
    for await (const message of target[method]!(request)) {
      await turn();
      life.throwIfAborted();
      yield message;
    }
  }
}

/** Batches by id, as long as their holder lives. */
export type Wire = Map<string, { holder: string; content: string }>;

function fakeWorker(name: string, incarnation: number, wire: Wire): WorkerHandle {
  for (const [id, { holder }] of wire) if (holder === name) wire.delete(id);
  return {
    synthesizeShard: ({ items, runSeed, epoch, shardIndex, weights }) => {
      const id = `${name}/${incarnation}/${epoch}-${shardIndex}`;
      const content = sha([items, runSeed, weights?.object?.digest]);
      wire.set(id, { holder: name, content });
      const batch = { id, sizeBytes: 1, digest: content, holders: [name], inline: Buffer.alloc(0) };
      const weightsVersion = Number(weights?.version ?? 0);
      const engine = incarnation > 1 ? 'fake, restarted' : 'fake';
      return Promise.resolve({ batch, seconds: 0.5, weightsVersion, engine, deviceChoice: 'the only one' });
    },
  };
}

/** State of one trainer process. */
interface TrainerState {
  config: RunConfig | null;
  weights: string;
  step: number;
  shards: Map<number, string>;
}

const STEPS_PER_EPOCH = 4;

function fakeTrainer(wire: Wire, journal: string[]): TrainerHandle {
  const own: TrainerState = { config: null, weights: 'fresh', step: 0, shards: new Map() };
  const object = (id: string, digest: string) => ({
    ...{ id, sizeBytes: 1, digest },
    holders: ['trainer'],
    inline: Buffer.alloc(0),
  });
  const recall = (c: number) => (parseInt(own.weights.slice(0, 4), 16) / 0xffff + c) / 3;
  const need = () => {
    if (!own.config) throw new Error('not open');
    return own.config;
  };
  return {
    async *open({ configJson, checkpointDir }) {
      own.config = JSON.parse(configJson!) as RunConfig;
      own.weights = sha(['initial', own.config.seed]);
      if (checkpointDir)
        Object.assign(own, JSON.parse(await readFile(join(checkpointDir, 'state.json'), 'utf8')));
      journal.push(`open ${own.step}`);
      yield { preparation: { activity: 'decoding', done: 3, total: 7, seconds: 2 }, result: null };
      const result = {
        classes: CLASSES,
        trainLabels: TRAIN_LABELS,
        anchorLabels: [],
        validationCount: 5,
        testCount: 5,
        developmentCount: 0,
        datasetDigest: sha(own.config.data.source),
        anchors: object('anchors', 'a'),
        prior: object('prior', 'p'),
        step: own.step,
        stepsPerEpoch: STEPS_PER_EPOCH,
        skipped: [],
        warnings: [],
        environment: { engine: 'fake', device: 'the only one' },
      };
      yield { preparation: null, result };
    },
    evaluate({ split }) {
      need();
      journal.push(`evaluate ${split}`);
      const perClassRecall = CLASSES.map((_, c) => recall(c));
      const metrics = { count: 5, accuracy: 0.5, balancedAccuracy: 0.5, perClassRecall };
      return Promise.resolve({ metricsJson: JSON.stringify(metrics), seconds: 1 });
    },
    publishWeights: () =>
      Promise.resolve({ weights: { version: own.step, object: object('weights', own.weights) } }),
    addShard({ epoch, shardIndex, batch, variants }) {
      need();
      const held = wire.get(batch!.id!);
      if (!held) throw new Error(`epoch ${epoch}: no holder has ${batch!.id}`);
      if (variants) journal.push(`variants ${epoch}.${shardIndex}`);
      else own.shards.set(shardIndex!, held.content);
      return Promise.resolve({ images: 1 });
    },
    judgeEpoch: () => Promise.resolve({ images: [4, 2, 2], faithful: [4, 1, 0] }),
    inspectEpoch: () => Promise.resolve({ toldApart: [0.5, 0.95, -1] }),
    async *trainEpoch({ epoch, shardCount, imagesEpoch, replay }) {
      need();
      await turn();
      if (imagesEpoch !== 0 && own.shards.size !== shardCount) throw new Error(`epoch ${epoch} lacks shards`);
      yield { step: 2, steps: STEPS_PER_EPOCH, loss: 1, result: null, preparation: null };
      const inOrder = [...own.shards].sort(([a], [b]) => a - b);
      own.weights = sha([own.weights, epoch, inOrder]);
      own.shards = new Map();
      own.step += STEPS_PER_EPOCH;
      if (replay && replay.length > 0) journal.push(`replay ${replay.join()}`);
      journal.push(`train ${epoch}`);
      const result = { meanLoss: 1 / epoch!, seconds: 2, step: own.step };
      yield { step: 4, steps: 4, loss: 1, result, preparation: null };
    },
    async renderGrid({ path }) {
      await mkdir(join(path!, '..'), { recursive: true });
      await writeFile(path!, 'png');
      return {};
    },
    async saveCheckpoint({ dir }) {
      await mkdir(dir!, { recursive: true });
      await writeFile(join(dir!, 'state.json'), JSON.stringify({ weights: own.weights, step: own.step }));
      return { weightsDigest: own.weights };
    },
    exportModel: () => Promise.resolve({ weightsDigest: own.weights }),
  };
}

export interface FakeCrew extends Crew {
  readonly trainer: FakeActor<TrainerHandle>;
  readonly ownWorkers: readonly FakeActor<WorkerHandle>[];
  /** The trainer's actions, over all of its processes. */
  readonly journal: string[];
  readonly released: ObjectRef__Output[];
}

export function fakeCrew(workerCount: number): FakeCrew {
  const wire: Wire = new Map();
  const journal: string[] = [];
  const released: ObjectRef__Output[] = [];
  const fakes = Array.from(
    { length: workerCount },
    (_, i) => new FakeActor(`w${i}`, (incarnation) => fakeWorker(`w${i}`, incarnation, wire)),
  );
  return {
    trainer: new FakeActor('classifier-trainer', () => fakeTrainer(wire, journal)),
    workers: ownWorkers(fakes),
    ownWorkers: fakes,
    journal,
    released,
    release(ref) {
      released.push(ref);
      wire.delete(ref.id);
    },
  };
}

/** A user's mistake, as a service reports it. */
export function userMistake(message: string): never {
  throw new UserError(message);
}
