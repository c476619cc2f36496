/**
 * Trains an unlabelled denoiser, step by step. All randomness is keyed by the step, so training that is interrupted and
 * resumed from a checkpoint ends with the same weights, bit for bit, as uninterrupted training.
 */
import { UserError } from '../../common/errors.ts';
import { augmentBatch } from '../../data/augment.ts';
import { preprocess } from '../../data/preprocess.ts';
import { brokenState, explainDivergence } from '../../models/divergence.ts';
import { minSnrWeight } from '../../models/denoiser.ts';
import { decodeState, encodeState } from '../../models/model-file.ts';
import type { DenoiserModel } from '../../models/model-file.ts';
import { cosineLevel } from '../../models/schedule.ts';
import {
  denoiserGradients,
  denoiserStep,
  initialState,
  scalarInputs,
  scalarsSignature,
  STATE_PARTS,
} from '../../models/training-step.ts';
import type { DenoiserBatch, TrainingState } from '../../models/training-step.ts';
import { initUNet, requireImage } from '../../models/unet.ts';
import type { UNetConfig } from '../../models/unet.ts';
import { float32 } from '../../tensor/array.ts';
import type { ArrayMap, NdArray } from '../../tensor/array.ts';
import { compile } from '../../tensor/compile.ts';
import { fetchTree, freeTree } from '../../tensor/device-arrays.ts';
import { adamW, cosineSchedule, withWarmup } from '../../tensor/optimizer.ts';
import type { Optimizer } from '../../tensor/optimizer.ts';
import { foldIn, keyFromSeed, normal, permutation, uniform } from '../../tensor/random.ts';
import type { Key } from '../../tensor/random.ts';
import { specOf } from '../../tensor/tree.ts';
import { epochOrder } from '../classifier-trainer/epoch-order.ts';
import type { PriorConfig } from './config.ts';
import type { PriorImages } from './images.ts';

export interface PriorStep {
  readonly step: number;
  readonly loss: number;
}

export class PriorTraining {
  step = 0;
  readonly model: DenoiserModel;
  readonly #config: PriorConfig;
  readonly #dataset: PriorImages;
  readonly #key: Key;
  readonly #network: UNetConfig;
  readonly #optimizer: Optimizer;
  readonly #run: StepRunner;
  #state: TrainingState<NdArray>;

  private constructor(config: PriorConfig, dataset: PriorImages, parts: PriorParts) {
    this.#config = config;
    this.#dataset = dataset;
    this.#key = parts.key;
    this.#network = parts.network;
    this.#optimizer = parts.optimizer;
    this.#run = parts.run;
    this.#state = parts.state;
    this.model = {
      kind: 'denoiser',
      network: parts.network,
      prediction: config.denoiser.prediction,
      image: imageShape(dataset),
      datasetDigest: dataset.digest,
      ...(dataset.origin && { images: dataset.origin }),
      steps: config.steps,
    };
  }

  /** Compiles the step and initialises the network. Throws UserError when the images do not match it. */
  static async create(config: PriorConfig, dataset: PriorImages): Promise<PriorTraining> {
    const { height, width, channels } = dataset;
    const { prediction, ...shape } = config.denoiser;
    const network: UNetConfig = { channels, ...shape };
    requireImage(network, channels, height, width);
    const key = keyFromSeed(config.seed);
    const optimizer = adamW({ weightDecay: config.weightDecay });
    const state = initialState(initUNet(network, foldIn(key, 'init')), optimizer);
    const n = config.batchSize;
    const image = { shape: [n, channels, height, width], dtype: 'float32' } as const;
    const perImage = { shape: [n], dtype: 'float32' } as const;
    const executable = await compile(
      denoiserStep(network, prediction, { optimizer, clipNorm: config.clipNorm }),
      {
        state: specOf(state),
        batch: { images: image, noise: image, t: perImage, a: perImage, s: perImage, weights: perImage },
        scalars: scalarsSignature(optimizer),
      },
      { engine: config.engine, device: config.device, threads: config.threads, keep: STATE_PARTS },
    );
    return new PriorTraining(config, dataset, {
      key,
      optimizer,
      network,
      state,
      run: (inputs) => executable.run(inputs),
    });
  }

  /** Brings the state into memory, where `average` and `checkpoint` read it. */
  async settle(): Promise<void> {
    this.#state = await fetchTree(this.#state);
  }

  /** The moving average of the weights, which is the result. Call `settle` before. */
  get average(): ArrayMap {
    return this.#state.average;
  }

  async advance(): Promise<PriorStep> {
    const step = this.step + 1;
    const { learningRate, warmupSteps, steps, averageDecay } = this.#config;
    const rate = learningRate * withWarmup(warmupSteps, cosineSchedule)(step, steps);
    const scalars = scalarInputs(this.#optimizer, {
      step,
      learningRate: rate,
      averageDecay: Math.min(averageDecay, (1 + step) / (10 + step)),
    });
    const batch = this.#batch(step);
    const { loss, gradientNorm, ...state } = await this.#run({ state: this.#state, batch, scalars });
    const [value, norm] = [loss.data[0]!, gradientNorm.data[0]!];
    if (!Number.isFinite(value) || !Number.isFinite(norm)) {
      const gradientsOf = denoiserGradients(this.#network, this.model.prediction);
      freeTree(state);
      await this.settle();
      const cause = await explainDivergence(gradientsOf, { state: this.#state, batch }, this.#config);
      throw this.#diverged(step, `the loss is ${value}, the gradient's norm ${norm}, ${cause}`);
    }
    freeTree(this.#state);
    this.#state = state;
    this.step = step;
    return { step, loss: value };
  }

  #diverged(step: number, cause: string): UserError {
    return new UserError(
      `training diverged at step ${step}: ${cause}; choose a smaller learningRate than ${this.#config.learningRate}`,
    );
  }

  /** Images in a keyed order, epoch after epoch; times spread evenly over the batch (Kingma et al. 2107.00630). */
  #batch(step: number): DenoiserBatch<NdArray> {
    const { batchSize: n, denoiser } = this.#config;
    const { height, width, channels, count } = this.#dataset;
    const indices = Array.from({ length: n }, (_, i) => {
      const position = (step - 1) * n + i;
      return this.#order(Math.floor(position / count))[position % count]!;
    });
    const key = foldIn(this.#key, 'step', step);
    const shape = { height, width, channels };
    const bytes = augmentBatch(this.#dataset, indices, shape, (i) => foldIn(key, 'augment', i));
    const offset = uniform(foldIn(key, 'time'), 1)[0]!;
    const levels = Array.from({ length: n }, (_, i) => cosineLevel((i + offset) / n));
    const image = [n, channels, height, width];
    return {
      images: { dtype: 'float32', shape: image, data: preprocess(bytes, n, height, width, channels) },
      noise: {
        dtype: 'float32',
        shape: image,
        data: normal(foldIn(key, 'noise'), n * channels * height * width),
      },
      t: float32([n], levels.map((level) => level.t)), // prettier-ignore
      a: float32([n], levels.map((level) => level.a)), // prettier-ignore
      s: float32([n], levels.map((level) => level.s)), // prettier-ignore
      weights: float32([n], levels.map((level) => minSnrWeight(denoiser.prediction, level))), // prettier-ignore
    };
  }

  #orders = new Map<number, Int32Array>();
  #order(epoch: number): Int32Array {
    let order = this.#orders.get(epoch);
    if (order === undefined) {
      order = imageOrder(this.#dataset, this.#config.sampling, this.#key, epoch);
      this.#orders.set(epoch, order);
      this.#orders.delete(epoch - 2);
    }
    return order;
  }

  /**
   * Everything that `restore` needs; call `settle` before. Throws UserError for a state that is not finite, so the last good
   * one stays.
   */
  checkpoint(): Uint8Array {
    const broken = brokenState(this.#state);
    if (broken !== null) throw this.#diverged(this.step, broken);
    return encodeState(this.#state, { step: String(this.step) });
  }

  /** Continues from a checkpoint; throws UserError when it belongs to another configuration. */
  restore(bytes: Uint8Array, source: string): void {
    const { state, metadata } = decodeState(bytes, this.#state, source);
    this.#state = state;
    this.step = Number(metadata['step']);
  }
}

/** The images of an epoch and their order: as many as there are, labelled ones by `sampling`. */
export function imageOrder(
  { count, labels }: Pick<PriorImages, 'count' | 'labels'>,
  sampling: PriorConfig['sampling'],
  key: Key,
  epoch: number,
): Int32Array {
  const order = permutation(foldIn(key, 'order', epoch), count);
  if (sampling === 'natural' || labels.length === 0) return order;
  const drawn = epochOrder({
    ...{ realLabels: labels, syntheticLabels: new Int32Array(), sampling, key, epoch },
    ...{
      classes: Math.max(...labels) + 1,
      syntheticShare: null,
      replay: [],
      epochs: 1,
      places: labels.length,
    },
  });
  return order.map((image) => (image < labels.length ? drawn[image]! : image));
}

type StepInputs = {
  readonly state: TrainingState<NdArray>;
  readonly batch: DenoiserBatch<NdArray>;
  readonly scalars: ArrayMap;
};
type StepRunner = (
  inputs: StepInputs,
) => Promise<TrainingState<NdArray> & { loss: NdArray; gradientNorm: NdArray }>;

interface PriorParts {
  readonly key: Key;
  readonly optimizer: Optimizer;
  readonly network: UNetConfig;
  readonly state: TrainingState<NdArray>;
  readonly run: StepRunner;
}

function imageShape({ height, width, channels }: PriorImages) {
  return { height, width, channels };
}
