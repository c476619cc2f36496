/** One run in the classifier trainer's compute thread: it loads the data, keeps the epoch's synthetic images,
 * trains, measures, judges, draws and saves.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { UserError } from '../../common/errors.ts';
import { writeFileAtomic } from '../../common/files.ts';
import { type RunConfig, synthesizes } from '../../config/run-config.ts';
import { needsLabeller } from '../../config/training-config.ts';
import { loadDataset } from '../../data/dataset.ts';
import type { DecodeProgress } from '../../data/decode.ts';
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import type { ClassificationMetrics } from '../../models/metrics.ts';
import { readModelFile } from '../../models/model-file.ts';
import type { Preparation } from '../../report/records.ts';
import { engineNamed } from '../../tensor/engine.ts';
import { describeTotals, graphTotals } from '../../tensor/graph-totals.ts';
import { foldIn, keyFromSeed } from '../../tensor/random.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import { anchorsFile, resizeWarning } from './anchors.ts';
import { classCounts } from './epoch-order.ts';
import { EpochPictures } from './epoch-pictures.ts';
import { trainHead } from './head-training.ts';
import { inspectImages } from './inspection.ts';
import { decodeShards, encodeShards, joined } from './kept-images.ts';
import type { EpochShards, KeptImages, Shards } from './kept-images.ts';
import { encodePredictions, refusePredictions } from './predictions-file.ts';
import { openJudge } from './run-judge.ts';
import type { RunJudge } from './run-judge.ts';
import { SoftLabels } from './soft-labels.ts';
import { ClassifierTraining } from './training.ts';
import type { EpochOutcome } from './training.ts';

const CHECKPOINT_FILE = 'trainer.safetensors';
const IMAGES_FILE = 'images.safetensors';
const LABELLER_FILE = 'labeller.safetensors';
const MODEL_FILE = 'model.safetensors';
const ONNX_FILE = 'model.onnx';

export interface OpenedRun {
  readonly classes: readonly string[];
  readonly trainLabels: Int32Array;
  readonly validationCount: number;
  readonly testCount: number;
  readonly developmentCount: number;
  readonly datasetDigest: string;
  readonly skipped: readonly string[];
  readonly warnings: readonly string[];
  readonly step: number;
  readonly stepsPerEpoch: number;
  readonly environment: Readonly<Record<string, string>>;
  /** Files to publish for the workers; null for methods that make no images. */
  readonly anchors: Uint8Array | null;
  /** Class of each anchor; empty if every training image is an anchor. */
  readonly anchorLabels: readonly number[];
  readonly prior: Uint8Array | null;
}

/** The coordinator's description of an epoch. */
export interface EpochRequest {
  readonly epoch: number;
  /** The epoch whose synthetic images it trains on; 0 for none. */
  readonly imagesEpoch: number;
  /** Shards of those. */
  readonly shardCount: number;
  /** Real images of each class to draw again; empty for none. */
  readonly replay: readonly number[];
}

export type SplitName = 'train' | 'validation' | 'test' | 'development' | 'variants';

/** A shard's safetensors file, and its purpose. */
export interface ShardBatch {
  readonly epoch: number;
  readonly shardIndex: number;
  readonly batch: Uint8Array;
  /** Whether its images are to be measured instead of used for training. */
  readonly variants: boolean;
}

export class TrainerRun {
  readonly #config: RunConfig;
  readonly #training: ClassifierTraining;
  readonly #judge: RunJudge | null;
  /** Shards of the epoch in work, by position. */
  #shards: EpochShards = { epoch: 0, shards: new Map() };
  /** Shards of the latest measurement. */
  #variants: EpochShards = { epoch: 0, shards: new Map() };
  readonly #soft: SoftLabels | null;
  readonly #pictures: EpochPictures;

  private constructor(config: RunConfig, training: ClassifierTraining, judge: RunJudge | null) {
    this.#soft = needsLabeller(config.training) ? new SoftLabels(config, training.dataset) : null;
    this.#config = config;
    this.#training = training;
    this.#judge = judge;
    this.#pictures = new EpochPictures(training.dataset);
  }

  static async open(
    config: RunConfig,
    checkpointDir: string,
    onDecode: (progress: DecodeProgress) => void = () => undefined,
  ): Promise<{ run: TrainerRun; opened: OpenedRun }> {
    const archive = config.training.labels.archive !== 'none';
    const dataset = await loadDataset(config.data, {}, { archive, onDecode });
    const training = await ClassifierTraining.create(config, dataset);
    if (checkpointDir !== '') {
      const path = join(checkpointDir, CHECKPOINT_FILE);
      await training.restore(await readFile(path), path);
    }
    const run = new TrainerRun(config, training, await openJudge(config, dataset));
    if (checkpointDir !== '') {
      await run.#restoreImages(join(checkpointDir, IMAGES_FILE));
      await run.#soft?.restore(join(checkpointDir, LABELLER_FILE));
    }
    return { run, opened: await run.#describe(dataset) };
  }

  async #describe(dataset: Dataset): Promise<OpenedRun> {
    const { engine, device, threads, prior } = this.#config;
    const withImages = synthesizes(this.#config) && prior !== null;
    const priorImage = withImages ? (await readModelFile(prior, 'denoiser')).model.image : null;
    const anchors = priorImage === null ? null : anchorsFile(dataset, priorImage, this.#config);
    const facts = await engineNamed(engine).describe({ threads, device });
    return {
      classes: dataset.classes,
      trainLabels: dataset.train.labels,
      validationCount: dataset.validation?.labels.length ?? 0,
      testCount: dataset.test?.labels.length ?? 0,
      developmentCount: dataset.development?.labels.length ?? 0,
      datasetDigest: dataset.digest,
      skipped: dataset.skipped.map(({ file, reason }) => `${file}: ${reason}`),
      warnings: [
        ...dataset.warnings,
        ...this.#training.warnings,
        ...resizeWarning(priorImage, dataset),
        ...predictionWarnings(dataset),
      ],
      step: this.#training.step,
      stepsPerEpoch: this.#training.stepsOf(1),
      environment: {
        engine: facts.engine,
        device: facts.choice,
        processor: cpus()[0]?.model.trim() ?? 'unknown',
        threads: String(threads),
        graphs: describeTotals(graphTotals()), // those of training; graphs with built-in weights come later
      },
      anchors: anchors?.bytes ?? null,
      anchorLabels: anchors?.labels ?? [],
      prior: withImages ? await readFile(prior) : null,
    };
  }

  /**
   * Metrics of a split; the classifier's output for each image is written to `predictionsPath`, unless that is empty.
   */
  async evaluate(
    split: SplitName,
    predictionsPath: string,
    onBatch: () => void,
  ): Promise<ClassificationMetrics> {
    const set = this.#set(split);
    const evaluated = await this.#training.evaluate(set, onBatch);
    if (set === null || evaluated === null)
      throw new UserError(`the data has no ${split} images to evaluate`);
    const { classes } = this.#training.dataset;
    const isTooLarge = refusePredictions(split, set.labels.length, classes.length) !== null;
    if (predictionsPath !== '' && !isTooLarge) {
      const probabilities = evaluated.probabilities.values;
      await writeFileAtomic(predictionsPath, encodePredictions({ ...set, classes, probabilities }));
    }
    return evaluated.metrics;
  }

  #set(split: SplitName): ImageSet | null {
    if (split === 'variants') return { ...joined(this.#variants.shards), groups: null, ids: [] };
    return this.#training.dataset[split];
  }

  /** The network that guides the next synthesis: the classifier, or a head trained after it. */
  async exportWeights(): Promise<{ bytes: Uint8Array; step: number }> {
    const { step } = this.#training;
    const { rule } = this.#config.synthesis.guidance;
    const bytes = rule === 'prior-features' ? await this.#trainHead() : this.#training.exportModel().bytes;
    return { bytes, step };
  }

  async #trainHead(): Promise<Uint8Array> {
    const { prior, seed, engine, device, threads, synthesis } = this.#config;
    const { dataset, step } = this.#training;
    if (prior === null)
      throw new UserError('prior: missing; guidance.rule prior-features reads its features');
    return trainHead({
      dataset,
      prior: await readModelFile(prior, 'denoiser'),
      probabilities: await this.#training.probabilities(dataset.train.images),
      steps: synthesis.guidance.headSteps,
      key: foldIn(keyFromSeed(seed), 'head', step),
      classifierSteps: step,
      choice: { engine, device, threads },
    });
  }

  /** Keeps a shard for its epoch; the first shard of a new epoch discards the old ones. */
  addShard({ epoch, shardIndex, batch, variants }: ShardBatch): number {
    const { images, classes, imageIds } = decodeSafetensors(batch, `shard ${shardIndex}`).arrays;
    if (images === undefined || classes === undefined || imageIds === undefined)
      throw new Error(`shard ${shardIndex} of epoch ${epoch} holds no images`);
    const shards = variants ? this.#variantsOf(epoch) : this.#shardsOf(epoch);
    shards.set(shardIndex, {
      images: images.data as Uint8Array,
      labels: classes.data as Int32Array,
      ids: imageIds.data as Int32Array,
    });
    return classes.data.length;
  }

  /** Images kept for later epochs, if any. */
  async #restoreImages(path: string): Promise<void> {
    if (!existsSync(path)) return;
    this.#shards = decodeShards(await readFile(path), path);
  }

  /** The shards of an epoch; the first request for another epoch discards them. */
  #shardsOf(epoch: number): Shards {
    if (epoch !== this.#shards.epoch) this.#shards = { epoch, shards: new Map() };
    return this.#shards.shards;
  }

  #variantsOf(epoch: number): Shards {
    if (epoch !== this.#variants.epoch) this.#variants = { epoch, shards: new Map() };
    return this.#variants.shards;
  }

  /** The epoch's synthetic images in shard order, whatever the order of arrival. */
  #synthetic(epoch: number): KeptImages {
    return joined(this.#shardsOf(epoch));
  }

  /**
   * Trains one epoch on the real images and those of `imagesEpoch`, all of whose shards must be here; 0 for none. Both
   * callbacks may throw to cancel.
   */
  async trainEpoch(
    { epoch, imagesEpoch, shardCount, replay }: EpochRequest,
    onStep: (step: number, loss: number) => void,
    onPreparation: (preparation: Preparation) => void,
  ): Promise<EpochOutcome> {
    const synthetic = this.#synthetic(imagesEpoch);
    const { size } = this.#shardsOf(imagesEpoch);
    if (size !== shardCount) throw new Error(`epoch ${imagesEpoch} has ${size} of its ${shardCount} shards`);
    const soft = await this.#soft?.forEpoch(imagesEpoch, synthetic, onPreparation);
    const examples = { ...synthetic, soft: soft?.synthetic ?? null };
    return this.#training.trainEpoch(epoch, examples, onStep, { ...soft?.extras, replay });
  }

  stepsOf(epoch: number): number {
    return this.#training.stepsOf(epoch);
  }

  /** Images of each intended class, and those that the judge assigns to that class. */
  async judgeEpoch(epoch: number): Promise<{ images: number[]; faithful: number[] }> {
    if (this.#judge === null) throw new UserError('judge: the run names no judge');
    const { images, labels } = this.#synthetic(epoch);
    const given = await this.#judge.predictor.classes(this.#judge.model.params, images);
    const classes = this.#training.dataset.classes.length;
    const right = labels.filter((label, i) => given[i] === label);
    return { images: classCounts(labels, classes), faithful: classCounts(right, classes) };
  }

  /** How well each class's synthetic images of the epoch are distinguished from real ones (inspection.ts). */
  async inspectEpoch(epoch: number): Promise<(number | null)[]> {
    const { seed, engine, device, threads } = this.#config;
    const key = foldIn(keyFromSeed(seed), 'inspection', epoch);
    return inspectImages(this.#training.dataset, this.#synthetic(epoch), key, { engine, device, threads });
  }

  async renderGrid(epoch: number, path: string): Promise<void> {
    await this.#pictures.draw(this.#synthetic(epoch), path);
  }

  async saveCheckpoint(dir: string): Promise<string> {
    await writeFileAtomic(join(dir, CHECKPOINT_FILE), this.#training.checkpoint());
    const { epoch, shards } = this.#shards;
    if (this.#config.synthesis.every > 1 && shards.size > 0)
      await writeFileAtomic(join(dir, IMAGES_FILE), encodeShards(epoch, shards));
    await this.#soft?.save(join(dir, LABELLER_FILE));
    return this.#training.exportModel().digest;
  }

  async exportModel(dir: string): Promise<string> {
    const { bytes, digest } = this.#training.exportModel();
    await writeFileAtomic(join(dir, MODEL_FILE), bytes);
    await writeFileAtomic(join(dir, ONNX_FILE), this.#training.exportOnnx());
    return digest;
  }
}

function predictionWarnings(dataset: Dataset): string[] {
  return (['validation', 'test', 'development'] as const).flatMap((split) => {
    const images = dataset[split]?.labels.length ?? 0;
    return refusePredictions(split, images, dataset.classes.length) ?? [];
  });
}
