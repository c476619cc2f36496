/**
 * A classifier in training on one data set: epochs over real and synthetic images, evaluation, checkpoints. All
 * randomness is keyed by run seed, epoch and place, so an epoch done again from its checkpoint gives the same bits.
 */
import { UserError } from '../../common/errors.ts';
import type { RunConfig } from '../../config/run-config.ts';
import { resolveMethod } from '../../config/method.ts';
import type { MethodAxes } from '../../config/method.ts';
import { actsIn, optimizerSteps, stepsBy } from '../../config/training-config.ts';
import type { TrainingConfig } from '../../config/training-config.ts';
import type { Augmentation } from '../../data/augment.ts';
import type { Dataset, ImageSet } from '../../data/dataset.ts';
import { effectiveNumberWeights, inverseFrequencyWeights } from '../../models/class-weights.ts';
import { headOf } from '../../models/classifier.ts';
import { brokenState, explainDivergence } from '../../models/divergence.ts';
import { ldamMargins, logitAdjustment } from '../../models/losses.ts';
import type { ClassifierLoss } from '../../models/losses.ts';
import { fitTemperature, scaled } from '../../models/calibration.ts';
import {
  classificationMetrics,
  expectedCalibrationError,
  negativeLogLikelihood,
  softmaxRows,
} from '../../models/metrics.ts';
import type { ClassificationMetrics, Rows } from '../../models/metrics.ts';
import { decodeState, encodeModelFile, encodeState, parametersDigest } from '../../models/model-file.ts';
import type { ClassifierModel } from '../../models/model-file.ts';
import { encodeOnnxClassifier } from '../../models/onnx-file.ts';
import {
  classifierGradients,
  classifierStep,
  initialState,
  scalarInputs,
  scalarsSignature,
} from '../../models/training-step.ts';
import type { ClassifierBatch, TrainingState } from '../../models/training-step.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import {
  adamW,
  constantSchedule,
  cosineSchedule,
  sgd,
  stepSchedule,
  withWarmup,
} from '../../tensor/optimizer.ts';
import type { Optimizer } from '../../tensor/optimizer.ts';
import { foldIn, keyFromSeed } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';
import { specOf } from '../../tensor/tree.ts';
import { BatchMaker } from './batch.ts';
import type { LabelImages } from './batch.ts';
import { joinLabels } from './examples.ts';
import type { Examples } from './examples.ts';
import { classCounts, epochOrder } from './epoch-order.ts';
import { openNetwork } from './network.ts';
import type { OpenedNetwork } from './network.ts';
import { Predictor } from './predictor.ts';

/** What training needs of a run's configuration. */
export type TrainerConfig = Pick<
  RunConfig,
  'method' | 'classifier' | 'training' | 'seed' | 'threads' | 'engine' | 'device'
> & {
  readonly synthesis: Pick<RunConfig['synthesis'], 'budget'>;
  readonly data: Pick<RunConfig['data'], 'tailBelow'>;
  /** Keys another stream of randomness from the same seed; the run's own without it. */
  readonly stream?: string;
};

/** What an epoch trains on beside the real images. */
export interface EpochExtras {
  /** Pseudo-labelled images that count as real ones. */
  readonly archive?: Examples;
  /** Labels real images anew, as augmentation leaves them. */
  readonly relabel?: LabelImages;
  /** Real images of each class that are drawn again. */
  readonly replay?: readonly number[];
}

export interface EpochOutcome {
  readonly meanLoss: number;
  /** Optimiser steps since the run began. */
  readonly step: number;
}

/** What temperature scaling makes of some metrics. */
export interface ScaledMetrics {
  readonly temperature?: number;
  readonly eceScaled?: number;
  readonly nllScaled?: number;
}

interface Parts {
  readonly config: TrainerConfig;
  readonly dataset: Dataset;
  readonly model: ClassifierModel;
  readonly optimizer: Optimizer;
  readonly state: TrainingState<NdArray>;
  readonly pass: OpenedNetwork['pass'];
  readonly warnings: readonly string[];
  readonly runStep: StepRunner;
  readonly predictor: Predictor;
}

type StepRunner = (inputs: {
  readonly state: TrainingState<NdArray>;
  readonly batch: ClassifierBatch<NdArray>;
  readonly scalars: ArrayMap;
}) => Promise<TrainingState<NdArray> & { loss: NdArray; gradientNorm: NdArray }>;

export class ClassifierTraining {
  readonly dataset: Dataset;
  readonly trainCounts: readonly number[];
  /** The same without `data.fresh` images: what metrics call a class by. */
  readonly #shotCounts: readonly number[];
  /** Optimiser steps of the whole run. */
  readonly totalSteps: number;
  step = 0;
  readonly #parts: Parts;
  readonly #axes: MethodAxes;
  readonly #key: Key;
  #state: TrainingState<NdArray>;
  #adjusted: { readonly from: ArrayMap; readonly params: ArrayMap } | undefined;
  #params: ArrayMap | undefined;

  private constructor(parts: Parts) {
    const { config, dataset } = parts;
    this.#parts = parts;
    this.dataset = dataset;
    this.#state = parts.state;
    this.#axes = resolveMethod(config.method);
    this.#key = foldIn(rootKey(config), 'classifier');
    const { labels } = dataset.train;
    this.trainCounts = classCounts(labels, dataset.classes.length);
    const before = labels.subarray(0, labels.length - dataset.freshCount);
    this.#shotCounts = classCounts(before, dataset.classes.length);
    const real = dataset.train.labels.length;
    this.totalSteps = optimizerSteps(config.training, real, config.synthesis.budget);
  }

  /** Compiles the graphs and initialises the network. Throws UserError for a network that cannot work. */
  static async create(config: TrainerConfig, dataset: Dataset): Promise<ClassifierTraining> {
    const { height, width, channels, classes } = dataset;
    const { noiseAware } = config.classifier;
    const { loss, ldamScale } = config.training;
    const size = {
      channels,
      classes: classes.length,
      ...(loss === 'ldam' ? { cosineScale: ldamScale } : {}),
    };
    const init = foldIn(rootKey(config), 'init');
    const { network, params, buffers, pass, note } = await openNetwork(config.classifier, size, init);
    const model: ClassifierModel = {
      kind: 'classifier',
      network,
      image: { height, width, channels },
      classes,
      steps: 0,
    };
    const optimizer = optimizerOf(config.training);
    const state = initialState(params, optimizer, buffers);
    const choice = { engine: config.engine, device: config.device, threads: config.threads };
    const rows = config.training.batchSize * (noiseAware ? 2 : 1);
    const perRow = { shape: [rows], dtype: 'float32' } as const;
    const executable = await compile(
      classifierStep(
        network,
        { optimizer, clipNorm: config.training.clipNorm ?? Infinity, ...pass },
        ...lossOf(config.training, classCounts(dataset.train.labels, classes.length)),
      ),
      {
        state: specOf(state),
        batch: {
          images: { shape: [rows, channels, height, width], dtype: 'float32' },
          labels: { shape: [rows, classes.length], dtype: 'float32' },
          mask: perRow,
          weights: perRow,
          adjustment: { shape: [classes.length], dtype: 'float32' },
        },
        scalars: scalarsSignature(optimizer),
      },
      choice,
    );
    const runStep: StepRunner = (inputs) => executable.run(inputs);
    const predictor = new Predictor(model, choice);
    const warnings = note === null ? [] : [note];
    return new ClassifierTraining({ config, dataset, model, optimizer, state, pass, warnings, runStep, predictor }); // prettier-ignore
  }

  /** All values of the network, those that do not train included; one object as long as they stay. */
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
   * One epoch over the real images, `synthetic` and `extras`. `onStep` hears of each step and may throw to cancel; the state is
   * then in mid-epoch and only `restore` makes it good again. Throws UserError when the loss is no number.
   */
  async trainEpoch(
    epoch: number,
    synthetic: Examples,
    onStep: (step: number, loss: number) => void,
    extras: EpochExtras = {},
  ): Promise<EpochOutcome> {
    const steps = this.stepsOf(epoch);
    const { order, maker } = this.#plan(epoch, synthetic, extras);
    let total = 0;
    for (let i = 0; i < steps; i++) {
      const loss = await this.#advance(await maker.make(order, i));
      total += loss;
      onStep(i + 1, loss);
    }
    return { meanLoss: total / steps, step: this.step };
  }

  /** Optimiser steps of one epoch. */
  stepsOf(epoch: number): number {
    const { epochs } = this.#parts.config.training;
    return stepsBy(epoch, epochs, this.totalSteps) - stepsBy(epoch - 1, epochs, this.totalSteps);
  }

  /** Examples of an epoch of so many steps: whole batches, or, where an epoch is a pass, real images and budget. */
  #places(steps: number): number {
    const { training, synthesis } = this.#parts.config;
    return training.steps === null
      ? this.dataset.train.labels.length + synthesis.budget
      : steps * training.batchSize;
  }

  /** Which examples the epoch takes in which order, and who makes batches of them. */
  #plan(epoch: number, synthetic: Examples, { archive, relabel, replay = [] }: EpochExtras) {
    const { config, dataset } = this.#parts;
    const { training, classifier } = config;
    const classes = dataset.classes.length;
    const acts = actsIn(epoch, training);
    const real = { images: dataset.train.images, labels: dataset.train.labels, soft: null };
    const sampling = acts ? this.#axes.sampling : 'natural';
    const drawing = {
      realLabels: archive ? joinLabels([real.labels, archive.labels]) : real.labels,
      syntheticLabels: synthetic.labels,
      classes,
      epochs: training.epochs,
      syntheticShare: training.syntheticShare,
      places: this.#places(this.stepsOf(epoch)),
      epoch,
    };
    const balanced = {
      ...drawing,
      sampling: 'class-balanced',
      replay: [],
      key: foldIn(this.#key, 'partners'),
    } as const;
    const maker = new BatchMaker({
      parts: [
        { ...real, weight: 1 },
        ...(archive ? [{ ...archive, weight: 1 }] : []),
        { ...synthetic, weight: training.syntheticLossWeight },
      ],
      shape: { height: dataset.height, width: dataset.width, channels: dataset.channels },
      classes,
      batchSize: training.batchSize,
      augmentation: augmentationOf(training),
      noiseAware: classifier.noiseAware,
      adjustment: logitAdjustment(this.trainCounts, acts ? this.#axes.logitAdjustment : 0),
      classWeights: classWeights(acts ? training.classWeights : 'none', this.trainCounts, training),
      mixing: training.mixing,
      partners: training.mixing?.kind === 'balanced' ? epochOrder(balanced) : null,
      relabel: relabel ? { count: real.labels.length, label: relabel } : null,
      key: foldIn(this.#key, 'augment', epoch),
    });
    return { order: epochOrder({ ...drawing, sampling, replay, key: this.#key }), maker };
  }

  async #advance(batch: ClassifierBatch<NdArray>): Promise<number> {
    const { config, optimizer, runStep } = this.#parts;
    const { learningRate, warmupSteps, schedule } = config.training;
    const step = this.step + 1;
    const rate = learningRate * withWarmup(warmupSteps, SCHEDULES[schedule])(step, this.totalSteps);
    const scalars = scalarInputs(optimizer, { step, learningRate: rate, averageDecay: 0 });
    const { loss, gradientNorm, ...state } = await runStep({ state: this.#state, batch, scalars });
    const [value, norm] = [loss.data[0]!, gradientNorm.data[0]!];
    if (!Number.isFinite(value) || !Number.isFinite(norm)) {
      const loss = lossOf(config.training, this.trainCounts);
      const gradientsOf = classifierGradients(this.#parts.model.network, this.#parts.pass, ...loss);
      const cause = await explainDivergence(gradientsOf, { state: this.#state, batch }, config);
      throw this.#diverged(step, `the loss is ${value}, the gradient's norm ${norm}, ${cause}`);
    }
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

  /** The parameters that predict: post-hoc logit adjustment is part of the head's bias. */
  #served(): ArrayMap {
    const { params } = this;
    const { postHocAdjustment } = this.#parts.config.training;
    if (postHocAdjustment === 0) return params;
    if (this.#adjusted?.from === params) return this.#adjusted.params;
    const shift = logitAdjustment(this.trainCounts, postHocAdjustment);
    const name = `${headOf(this.#parts.model.network)}.bias`;
    const bias = params[name]!;
    const data = Float32Array.from(bias.data as Float32Array, (value, c) => value - shift[c]!);
    this.#adjusted = { from: params, params: { ...params, [name]: { ...bias, data } } };
    return this.#adjusted.params;
  }

  /** Metrics on one of the data set's parts, and the probabilities behind them; null when it has none. */
  async evaluate(
    set: ImageSet | null,
    onBatch?: () => void,
  ): Promise<{ metrics: ClassificationMetrics & ScaledMetrics; probabilities: Rows } | null> {
    if (set === null) return null;
    const { tailBelow } = this.#parts.config.data;
    const logits = await this.#logits(set, onBatch);
    const probabilities = softmaxRows(logits);
    const plain = classificationMetrics(probabilities, set.labels, this.#shotCounts, tailBelow);
    const temperature = await this.#temperature(set, logits, onBatch);
    if (temperature === null) return { metrics: plain, probabilities };
    const calm = softmaxRows(scaled(logits, temperature));
    const eceScaled = expectedCalibrationError(calm, set.labels);
    const nllScaled = negativeLogLikelihood(calm, set.labels);
    return { metrics: { ...plain, temperature, eceScaled, nllScaled }, probabilities };
  }

  async #logits(set: ImageSet, onBatch?: () => void): Promise<Rows> {
    const values = await this.#parts.predictor.logits(this.#served(), set.images, onBatch);
    return { values, columns: this.dataset.classes.length };
  }

  #fitted: { readonly step: number; readonly temperature: number } | null = null;
  /** Of temperature scaling, fitted on the validation images at this step; null for images to train on, and without any. */
  async #temperature(set: ImageSet, logits: Rows, onBatch?: () => void): Promise<number | null> {
    const { validation, test, development } = this.dataset;
    if (validation === null || ![validation, test, development].includes(set)) return null;
    if (this.#fitted?.step !== this.step) {
      const own = set === validation ? logits : await this.#logits(validation, onBatch);
      this.#fitted = { step: this.step, temperature: fitTemperature(own, validation.labels) };
    }
    return this.#fitted.temperature;
  }

  /** What the classifier says of images [n, h, w, c]: probabilities [n, classes]. */
  async probabilities(images: Uint8Array): Promise<Float32Array> {
    const values = await this.#parts.predictor.logits(this.#served(), images);
    return Float32Array.from(softmaxRows({ values, columns: this.dataset.classes.length }).values);
  }

  /** The classifier as a model file, and the digest of its parameters. */
  exportModel(): { bytes: Uint8Array; digest: string } {
    const model = { ...this.#parts.model, steps: this.step };
    const params = this.#served();
    return { bytes: encodeModelFile(model, params), digest: parametersDigest(params) };
  }

  /** The classifier as an ONNX file for other runtimes. */
  exportOnnx(): Uint8Array {
    return encodeOnnxClassifier({ ...this.#parts.model, steps: this.step }, this.#served());
  }

  /** Everything that `restore` needs. Throws UserError for a state that is not finite: the last good one stays. */
  checkpoint(): Uint8Array {
    const broken = brokenState(this.#state);
    if (broken !== null) throw this.#diverged(this.step, broken);
    return encodeState(this.#state, { step: String(this.step), dataset: this.dataset.digest });
  }

  /** Continues from a checkpoint. Throws UserError when it belongs to another network. */
  restore(bytes: Uint8Array, source: string): void {
    const { state, metadata } = decodeState(bytes, this.#state, source);
    this.#advanceTo(state);
    this.step = Number(metadata['step']);
  }
}

function rootKey({ seed, stream }: TrainerConfig): Key {
  return stream === undefined ? keyFromSeed(seed) : foldIn(keyFromSeed(seed), stream);
}

/** Nothing for cross-entropy, whose graphs are those of a step without a choice of loss. */
function lossOf(training: TrainingConfig, counts: readonly number[]): [] | [ClassifierLoss] {
  const { loss, focalGamma, ldamMargin, ldamScale } = training;
  if (loss === 'focal') return [{ kind: 'focal', gamma: focalGamma }];
  if (loss === 'cross-entropy') return [];
  const margins = ldamMargins(counts, ldamMargin).map((margin) => ldamScale * margin);
  return [{ kind: 'margin', margins }];
}

function classWeights(
  rule: TrainingConfig['classWeights'],
  counts: readonly number[],
  { effectiveNumberBeta }: TrainingConfig,
): number[] {
  if (rule === 'inverse') return inverseFrequencyWeights(counts);
  if (rule === 'effective-number') return effectiveNumberWeights(counts, effectiveNumberBeta);
  return counts.map(() => 1);
}

const SCHEDULES = { cosine: cosineSchedule, step: stepSchedule, constant: constantSchedule } as const;

function augmentationOf(training: TrainingConfig): Augmentation | null {
  const { augmentation, cropScale, verticalFlip, colorJitter, randAugment } = training;
  if (augmentation === 'none') return null;
  return {
    crop: augmentation === 'resized-crop' ? cropScale : null,
    verticalFlip,
    colorJitter,
    randAugment: augmentation === 'randaugment' ? randAugment : null,
  };
}

function optimizerOf({ optimizer, momentum, weightDecay }: TrainingConfig): Optimizer {
  return optimizer === 'sgd' ? sgd({ momentum, weightDecay }) : adamW({ weightDecay });
}
