/**
 * A classifier in training on one data set: epochs over real and synthetic images, evaluation, checkpoints. All
 * randomness is keyed by run seed, epoch and position, so an epoch repeated from its checkpoint gives the same bits.
 */
import { UserError } from '../../common/errors.ts';
import { resolveMethod } from '../../config/method.ts';
import type { RunConfig } from '../../config/run-config.ts';
import { optimizerSteps, retrainsHead, stepsBy } from '../../config/training-config.ts';
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import type { Images } from '../../data/images.ts';
import { headOf } from '../../models/classifier.ts';
import { brokenState, explainDivergence } from '../../models/divergence.ts';
import { decodeState, encodeModelFile, encodeState, parametersDigest } from '../../models/model-file.ts';
import type { ClassifierModel } from '../../models/model-file.ts';
import { encodeOnnxClassifier } from '../../models/onnx-file.ts';
import { classifierGradients } from '../../models/training-step.ts';
import type { ClassifierBatch, TrainingState } from '../../models/training-step.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';
import { fetchTree, freeTree } from '../../tensor/device-arrays.ts';
import { foldIn, keyFromSeed } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';
import { decodeSafetensors } from '../../tensor/safetensors.ts';
import { classCounts } from './epoch-order.ts';
import { planEpoch } from './epoch-plan.ts';
import type { EpochExtras } from './epoch-plan.ts';
import { Evaluator } from './evaluator.ts';
import type { Evaluated } from './evaluator.ts';
import type { Examples } from './examples.ts';
import { headAlone, openNetwork } from './network.ts';
import { lossOf, openStage, stageSpans } from './training-stage.ts';
import type { Stage, StageOptions } from './training-stage.ts';

/** The part of a run's configuration that training needs. */
export type TrainerConfig = Pick<
  RunConfig,
  'method' | 'classifier' | 'training' | 'seed' | 'threads' | 'engine' | 'device'
> & {
  readonly synthesis: Pick<RunConfig['synthesis'], 'budget'>;
  readonly data: Pick<RunConfig['data'], 'tailBelow'>;
  /** Selects another random stream of the same seed; the run's own without it. */
  readonly stream?: string;
};

export interface EpochOutcome {
  readonly meanLoss: number;
  /** Optimiser steps since the run began. */
  readonly step: number;
}

interface Parts {
  readonly config: TrainerConfig;
  readonly dataset: Dataset;
  readonly model: ClassifierModel;
  readonly stage: Stage;
  readonly stageOptions: StageOptions;
  readonly totalSteps: number;
  readonly warnings: readonly string[];
}

export class ClassifierTraining {
  readonly dataset: Dataset;
  readonly trainCounts: readonly number[];
  /** Optimiser steps of the whole run. */
  readonly totalSteps: number;
  step = 0;
  readonly #parts: Parts;
  readonly #evaluator: Evaluator;
  readonly #key: Key;
  #stage: Stage;
  #state: TrainingState<NdArray>;
  #params: ArrayMap | undefined;

  private constructor(parts: Parts) {
    const { config, dataset, model, stage, stageOptions, totalSteps } = parts;
    this.#parts = parts;
    this.dataset = dataset;
    this.totalSteps = totalSteps;
    this.#stage = stage;
    this.#state = stage.initial;
    this.#key = foldIn(rootKey(config), 'classifier');
    this.trainCounts = stageOptions.counts;
    const { labels } = dataset.train;
    const withoutFresh = labels.subarray(0, labels.length - dataset.freshCount);
    this.#evaluator = new Evaluator({
      ...{ dataset, model, choice: stageOptions.choice, counts: this.trainCounts },
      shotCounts: classCounts(withoutFresh, dataset.classes.length),
      tailBelow: config.data.tailBelow,
      postHocAdjustment: config.training.postHocAdjustment,
    });
  }

  /** Compiles the graphs and initialises the network. Throws UserError for an invalid network. */
  static async create(config: TrainerConfig, dataset: Dataset): Promise<ClassifierTraining> {
    const { height, width, channels, classes } = dataset;
    const { training, classifier, synthesis, engine, device, threads } = config;
    const size = {
      channels,
      classes: classes.length,
      ...(training.loss === 'ldam' ? { cosineScale: training.ldamScale } : {}),
    };
    const { note, ...values } = await openNetwork(classifier, size, foldIn(rootKey(config), 'init'));
    if (training.headRetraining !== null && !(`${headOf(values.network)}.weight` in values.params))
      throw new UserError(
        'classifier.freeze: freezes the head, which training.headRetraining trains; leave one out',
      );
    const image = { height, width, channels };
    const stageOptions = {
      ...{ training, image, noiseAware: classifier.noiseAware, choice: { engine, device, threads } },
      counts: classCounts(dataset.train.labels, classes.length),
    };
    const totalSteps = optimizerSteps(training, dataset.train.labels.length, synthesis.budget);
    return new ClassifierTraining({
      ...{ config, dataset, stageOptions, totalSteps },
      model: { kind: 'classifier', network: values.network, image, classes, steps: 0 },
      stage: await openStage(values, stageSpans(training, totalSteps).whole, stageOptions),
      warnings: note === null ? [] : [note],
    });
  }

  /** All values of the network, including those that do not train; one object for as long as they stay the same. */
  get params(): ArrayMap {
    this.#params ??= { ...this.#state.buffers, ...this.#state.params };
    return this.#params;
  }

  get warnings(): readonly string[] {
    return this.#parts.warnings;
  }

  #advanceTo(state: TrainingState<NdArray>): void {
    this.#state = state;
    this.#params = undefined;
  }

  /**
   * One epoch over the real images, `synthetic` and `extras`. `onStep` is called after each step and may throw to
   * cancel; the state is then gone, and only `restore` repairs it. Throws UserError when the loss is not a number.
   */
  async trainEpoch(
    epoch: number,
    synthetic: Examples,
    onStep: (step: number, loss: number) => void,
    extras: EpochExtras = {},
  ): Promise<EpochOutcome> {
    const { config, dataset } = this.#parts;
    const steps = this.stepsOf(epoch);
    if (retrainsHead(epoch, config.training)) await this.#beginHead();
    const { order, maker } = planEpoch({
      ...{ dataset, epoch, synthetic, extras, training: config.training, counts: this.trainCounts },
      axes: resolveMethod(config.method),
      noiseAware: config.classifier.noiseAware,
      places: this.#places(steps),
      key: this.#key,
    });
    let total = 0;
    try {
      for (let i = 0; i < steps; i++) {
        const loss = await this.#advance(await maker.make(order, i));
        total += loss;
        onStep(i + 1, loss);
      }
    } catch (thrown) {
      this.#forget();
      throw thrown;
    }
    this.#advanceTo(await fetchTree(this.#state));
    return { meanLoss: total / steps, step: this.step };
  }

  /** Frees a state in mid-epoch. */
  #forget(): void {
    freeTree(this.#state);
    this.#advanceTo(this.#stage.initial);
  }

  /** Optimiser steps of one epoch. */
  stepsOf(epoch: number): number {
    const { epochs } = this.#parts.config.training;
    return stepsBy(epoch, epochs, this.totalSteps) - stepsBy(epoch - 1, epochs, this.totalSteps);
  }

  /** Examples of an epoch of this many steps: whole batches, or, if an epoch is one pass, real images and budget. */
  #places(steps: number): number {
    const { training, synthesis } = this.#parts.config;
    return training.steps === null
      ? this.dataset.train.labels.length + synthesis.budget
      : steps * training.batchSize;
  }

  /** Starts the stage of the head alone, unless it has started: learnt values stay, under a new head. */
  async #beginHead(): Promise<void> {
    const { config, model, stageOptions } = this.#parts;
    const { head } = stageSpans(config.training, this.totalSteps);
    if (this.#stage.span.before === head.before) return;
    const values = headAlone(model.network, this.params, foldIn(rootKey(config), 'head'));
    const earlier = this.#stage;
    this.#stage = await openStage(values, head, stageOptions);
    this.#advanceTo(this.#stage.initial);
    await earlier.dispose();
  }

  async #advance(batch: ClassifierBatch<NdArray>): Promise<number> {
    const step = this.step + 1;
    const { loss, gradientNorm, ...state } = await this.#stage.advance(this.#state, batch, step);
    const [value, norm] = [loss.data[0]!, gradientNorm.data[0]!];
    if (!Number.isFinite(value) || !Number.isFinite(norm)) {
      const { config, model } = this.#parts;
      const own = lossOf(config.training, this.trainCounts);
      const gradientsOf = classifierGradients(model.network, this.#stage.pass, ...own);
      this.#advanceTo(await fetchTree(this.#state));
      freeTree(state);
      const cause = await explainDivergence(gradientsOf, { state: this.#state, batch }, config);
      throw this.#diverged(step, `the loss is ${value}, the gradient's norm ${norm}, ${cause}`);
    }
    freeTree(this.#state);
    this.#advanceTo(state);
    this.step = step;
    return value;
  }

  #diverged(step: number, cause: string): UserError {
    const { learningRate } = this.#parts.config.training;
    return new UserError(
      `training diverged at step ${step}: ${cause}; ` +
        `choose a smaller training.learningRate than ${learningRate}, or a smaller training.clipNorm`,
    );
  }

  /** Metrics on one of the data set's parts, and the probabilities behind them; null when it has none. */
  async evaluate(set: ImageSet | null, onBatch?: () => void): Promise<Evaluated | null> {
    return set === null ? null : this.#evaluator.evaluate(this.params, set, onBatch);
  }

  /** Classifies images [n, h, w, c]: probabilities [n, classes]. */
  async probabilities(images: Images): Promise<Float32Array> {
    return this.#evaluator.probabilities(this.params, images);
  }

  /** The classifier as a model file, and the digest of its parameters. */
  exportModel(): { bytes: Uint8Array; digest: string } {
    const params = this.#evaluator.served(this.params);
    return { bytes: encodeModelFile(this.#model(), params), digest: parametersDigest(params) };
  }

  /** The classifier as an ONNX file for other runtimes. */
  exportOnnx(): Uint8Array {
    return encodeOnnxClassifier(this.#model(), this.#evaluator.served(this.params));
  }

  #model(): ClassifierModel {
    return { ...this.#parts.model, steps: this.step };
  }

  /** Everything that `restore` needs. Throws UserError for a state that is not finite, so the last good one stays. */
  checkpoint(): Uint8Array {
    const broken = brokenState(this.#state);
    if (broken !== null) throw this.#diverged(this.step, broken);
    return encodeState(this.#state, { step: String(this.step), dataset: this.dataset.digest });
  }

  /** Continues from a checkpoint, in the stage of its step. Throws UserError when it belongs to another network. */
  async restore(bytes: Uint8Array, source: string): Promise<void> {
    const step = Number(decodeSafetensors(bytes, source).metadata['step']);
    if (step > stageSpans(this.#parts.config.training, this.totalSteps).whole.steps) await this.#beginHead();
    const { state } = decodeState(bytes, this.#stage.initial, source);
    freeTree(this.#state);
    this.#advanceTo(state);
    this.step = step;
  }
}

function rootKey({ seed, stream }: TrainerConfig): Key {
  return stream === undefined ? keyFromSeed(seed) : foldIn(keyFromSeed(seed), stream);
}
