/** The networks and inputs of `npm run bench -- compute` and `-- gpu`, and how our side runs them. */
import { classifierConfigSchema } from '../config/classifier-config.ts';
import { synthesisConfigSchema } from '../config/synthesis-config.ts';
import { isRunningStatistic } from '../models/batch-norm.ts';
import { DEFAULT_UNET, initUNet, unet } from '../models/unet.ts';
import type { UNetConfig } from '../models/unet.ts';
import { guidanceStrength } from '../models/guidance.ts';
import { guidedStep } from '../models/guided-step.ts';
import { initClassifier } from '../models/classifier.ts';
import type { ClassifierConfig } from '../models/classifier.ts';
import { minSnrWeight } from '../models/denoiser.ts';
import { samplerSteps } from '../models/sampler.ts';
import { cosineLevel, uniformLevels } from '../models/schedule.ts';
import {
  classifierStep,
  denoiserStep,
  initialState,
  scalarInputs,
  STATE_PARTS,
} from '../models/training-step.ts';
import { sampled, SAMPLER_STATE, scalarsOf } from '../services/sampler-loop.ts';
import { float32, zeros } from '../tensor/array.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { adamW } from '../tensor/optimizer.ts';
import { foldIn, uniform } from '../tensor/random.ts';
import type { Tensor4D } from '../tensor/tf.ts';
import { specOf } from '../tensor/tree.ts';
import { drawn, filled, key, oneHot, prefixed, prepared, training } from './case-parts.ts';
import type { ComputeCase } from './case-parts.ts';

const BATCH = 64;
const OPTIMIZER = adamW({ weightDecay: 1e-4 });
const SCALARS = scalarInputs(OPTIMIZER, { step: 1, learningRate: 1e-3, averageDecay: 0.999 });
const STEP = { optimizer: OPTIMIZER, clipNorm: 1 };

function priorValues(network: UNetConfig): ArrayMap {
  return filled(initUNet(network, foldIn(key, 'prior')));
}

const prior = priorValues(DEFAULT_UNET);
const image28 = [BATCH, 1, 28, 28];

/** The product's small network. */
export function smallClassifier(channels: number, classes: number): ClassifierConfig {
  const { widths, blocksPerStage, groups } = classifierConfigSchema.parse({});
  return { widths, blocksPerStage, groups, channels, classes };
}

function classifierValues(network: ClassifierConfig): ArrayMap {
  return filled(initClassifier(network, foldIn(key, 'classifier', network.channels)));
}

const denoiserForward: ComputeCase = {
  name: 'denoiser-forward',
  unit: 'images/s',
  units: BATCH,
  settings: { kind: 'denoiserForward', unet: DEFAULT_UNET },
  tensors: { ...prefixed('params', prior), x: drawn('x', image28), t: times() },
  async prepare(device = 'cpu') {
    const { x, t } = this.tensors;
    const forward = await compile(
      ({ params, x, t }) => ({ output: unet(DEFAULT_UNET, params, x as Tensor4D, t) }),
      specOf({ x: x!, t: t! }),
      { device, constants: { params: prior } },
    );
    return prepared(forward, () => forward.run({ x: x!, t: t! }));
  },
};

function times(): NdArray {
  return float32([BATCH], uniform(foldIn(key, 't'), BATCH));
}

export interface TrainingCase {
  readonly name: string;
  readonly network: ClassifierConfig;
  /** Pixels of a side. */
  readonly size: number;
  /** Images of a step. */
  readonly batch: number;
}

/** A step of a classifier; batch normalisation, where it has any, by the batch's statistics. */
export function classifierTraining({ name, network, size, batch: rows }: TrainingCase): ComputeCase {
  const { channels, classes } = network;
  const all = Object.entries(classifierValues(network));
  const some = (wanted: boolean) =>
    Object.fromEntries(all.filter(([parameter]) => isRunningStatistic(parameter) === wanted));
  const [params, buffers] = [some(false), some(true)];
  const images = drawn(`images ${size}`, [rows, channels, size, size], 0.5);
  const labels = oneHot(rows, classes);
  return {
    name,
    unit: 'steps/s',
    units: 1,
    settings: { kind: 'classifierStep', classifier: network },
    tensors: { ...prefixed('params', params), ...prefixed('buffers', buffers), images, labels },
    async prepare(device = 'cpu') {
      const ones = float32([rows], new Array<number>(rows).fill(1));
      const batch = { images, labels, mask: ones, weights: ones, adjustment: zeros([classes]) };
      const scalars = SCALARS;
      const state = initialState(params, OPTIMIZER, buffers);
      const measured = Object.keys(buffers).map((buffer) => buffer.replace(/\.running_\w+$/, ''));
      const fn = classifierStep(network, { ...STEP, measured });
      const step = await compile(fn, specOf({ state, batch, scalars }), { device, keep: STATE_PARTS });
      return training({ ...step, run: (state) => step.run({ state, batch, scalars }) }, state);
    },
  };
}

const priorTraining: ComputeCase = {
  name: 'prior-train-step',
  unit: 'steps/s',
  units: 1,
  settings: { kind: 'denoiserStep', unet: DEFAULT_UNET },
  tensors: { ...prefixed('params', prior), ...denoiserBatch() },
  async prepare(device = 'cpu') {
    const batch = denoiserBatch();
    const scalars = SCALARS;
    const state = initialState(prior, OPTIMIZER);
    const fn = denoiserStep(DEFAULT_UNET, 'v', STEP);
    const step = await compile(fn, specOf({ state, batch, scalars }), { device, keep: STATE_PARTS });
    return training({ ...step, run: (state) => step.run({ state, batch, scalars }) }, state);
  },
};

function denoiserBatch() {
  const levels = Array.from(times().data, (t) => cosineLevel(t));
  return {
    images: drawn('clean', image28, 0.5),
    noise: drawn('noise', image28),
    t: times(),
    a: float32([BATCH], levels.map((level) => level.a)), // prettier-ignore
    s: float32([BATCH], levels.map((level) => level.s)), // prettier-ignore
    weights: float32([BATCH], levels.map((level) => minSnrWeight('v', level))), // prettier-ignore
  };
}

export interface SamplingCase extends TrainingCase {
  readonly unet: UNetConfig;
  /** Sampler steps; the product's default without it. */
  readonly steps?: number;
}

const DEFAULTS = synthesisConfigSchema.parse({});

/** The sampler's rows by the default rule, each with its strength of guidance. */
function guidedRows(steps: number) {
  const { guidance, startTime } = DEFAULTS;
  return samplerSteps('ddim', uniformLevels(startTime, steps)).map((row) => ({
    ...row,
    weight: guidanceStrength(guidance, row.t),
  }));
}

/** Guided sampling by the default rule. */
export function guidedSamplingCase(given: SamplingCase): ComputeCase {
  const { name, network, unet: priorNetwork, size, batch: shardSize } = given;
  const params = classifierValues(network);
  const prior = priorValues(priorNetwork);
  const { guidance } = DEFAULTS;
  const rows = guidedRows(given.steps ?? DEFAULTS.steps);
  const x = drawn('start', [shardSize, network.channels, size, size]);
  const labels = oneHot(shardSize, network.classes);
  return {
    name,
    unit: 'images/s',
    units: shardSize,
    settings: {
      kind: 'guidedSampling',
      unet: priorNetwork,
      classifier: network,
      rows,
      softening: guidance.softening,
      lowPass: guidance.lowPass,
    },
    tensors: { ...prefixed('params', params), ...prefixed('prior', prior), x, labels },
    async prepare(device = 'cpu') {
      const denoiser = { network: priorNetwork, prediction: 'v' } as const;
      const fixed = { labelsOneHot: labels };
      const scalar = float32([], [0]);
      const step = await compile(
        guidedStep(denoiser, network, { ...guidance, clip: true }),
        specOf({ ...fixed, x, previousX0: x, weight: scalar, ...scalarsOf(rows[0]!) }),
        { device, constants: { prior, classifier: params }, keep: SAMPLER_STATE },
      );
      const run = async () => {
        const weightAt = (i: number) => float32([], [rows[i]!.weight]);
        return { output: await sampled(step, x, rows, (_, i) => ({ ...fixed, weight: weightAt(i) })) };
      };
      return { ...prepared(step, run), steps: rows.length, flops: (step.flops ?? 0) * rows.length };
    },
  };
}

export const guidedSampling = guidedSamplingCase({
  name: 'guided-sampling',
  network: smallClassifier(1, 10),
  unet: DEFAULT_UNET,
  size: 28,
  batch: DEFAULTS.shardSize,
});

/** A large matrix product: this core's practical peak. */
export const sgemm: ComputeCase = {
  name: 'sgemm',
  unit: 'products/s',
  units: 1,
  settings: { kind: 'sgemm' },
  tensors: { a: drawn('a', [1024, 1024], 0.03) },
  async prepare(device = 'cpu') {
    const a = this.tensors['a']!;
    const product = await compile(({ a }) => ({ output: a.matMul(a) }), specOf({ a }), { device });
    return prepared(product, () => product.run({ a }));
  },
};

export const COMPUTE_CASES: readonly ComputeCase[] = [
  denoiserForward,
  classifierTraining({
    name: 'classifier-train-step-28',
    network: smallClassifier(1, 10),
    size: 28,
    batch: BATCH,
  }),
  classifierTraining({
    name: 'classifier-train-step-64',
    network: smallClassifier(3, 7),
    size: 64,
    batch: BATCH,
  }),
  priorTraining,
  guidedSampling,
];
