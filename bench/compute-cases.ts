/** The networks and inputs of `npm run bench -- compute`, and how our side runs them. */
import { classifierConfigSchema } from '../config/classifier-config.ts';
import { synthesisConfigSchema } from '../config/synthesis-config.ts';
import { DEFAULT_UNET, initUNet, unet } from '../models/unet.ts';
import { guidanceStrength } from '../models/guidance.ts';
import { guidedStep } from '../models/guided-step.ts';
import { initClassifier } from '../models/classifier.ts';
import type { ClassifierConfig } from '../models/classifier.ts';
import { minSnrWeight } from '../models/denoiser.ts';
import { samplerSteps } from '../models/sampler.ts';
import { cosineLevel, uniformLevels } from '../models/schedule.ts';
import { classifierStep, denoiserStep, initialState, scalarInputs } from '../models/training-step.ts';
import type { TrainingState } from '../models/training-step.ts';
import { scalarsOf } from '../services/prior-trainer/sample.ts';
import { float32, sizeOf, zeros } from '../tensor/array.ts';
import type { ArrayMap, NdArray } from '../tensor/array.ts';
import { compile } from '../tensor/compile.ts';
import { adamW } from '../tensor/optimizer.ts';
import { foldIn, keyFromSeed, normal, uniform } from '../tensor/random.ts';
import type { Tensor4D } from '../tensor/tf.ts';
import { specOf } from '../tensor/tree.ts';

/** One case. */
export interface ComputeCase {
  readonly name: string;
  /** What `perSecond` counts: images or steps. */
  readonly unit: string;
  /** Units of one run. */
  readonly units: number;
  /** The peer's description of the same network. */
  readonly settings: object;
  /** Weights and inputs, for the peer. */
  readonly tensors: ArrayMap;
  /** Compiles the case; `run` returns the same values as the peer's `check`. */
  prepare(): Promise<PreparedCase>;
}

export interface PreparedCase {
  readonly flops: number;
  readonly compileSeconds: number;
  run(): Promise<Record<string, NdArray>>;
  dispose(): Promise<void>;
}

const BATCH = 64;
const OPTIMIZER = adamW({ weightDecay: 1e-4 });
const SCALARS = scalarInputs(OPTIMIZER, { step: 1, learningRate: 1e-3, averageDecay: 0.999 });
const STEP = { optimizer: OPTIMIZER, clipNorm: 1 };
const key = foldIn(keyFromSeed(0), 'bench');

function drawn(stream: string, shape: readonly number[], scale = 1): NdArray {
  const values = normal(foldIn(key, stream), sizeOf(shape));
  return { dtype: 'float32', shape, data: values.map((value) => value * scale) };
}

/** Gives every parameter a value, because zero-initialised layers would hide errors. */
function filled(params: ArrayMap): ArrayMap {
  return Object.fromEntries(
    Object.entries(params).map(([name, array]) => [
      name,
      array.data.every((value) => value === 0) ? drawn(name, array.shape, 0.05) : array,
    ]),
  );
}

function oneHot(rows: number, classes: number): NdArray {
  const labels = zeros([rows, classes]);
  for (let i = 0; i < rows; i++) labels.data[i * classes + (i % classes)] = 1;
  return labels;
}

function prefixed(prefix: string, arrays: ArrayMap): ArrayMap {
  return Object.fromEntries(Object.entries(arrays).map(([name, array]) => [`${prefix}/${name}`, array]));
}

const prior = filled(initUNet(DEFAULT_UNET, foldIn(key, 'prior')));
const image28 = [BATCH, 1, 28, 28];

function classifierOf(channels: number, classes: number): { network: ClassifierConfig; params: ArrayMap } {
  const { widths, blocksPerStage, groups } = classifierConfigSchema.parse({});
  const network = { widths, blocksPerStage, groups, channels, classes };
  return { network, params: filled(initClassifier(network, foldIn(key, 'classifier', channels))) };
}

const denoiserForward: ComputeCase = {
  name: 'denoiser-forward',
  unit: 'images/s',
  units: BATCH,
  settings: { kind: 'denoiserForward', unet: DEFAULT_UNET },
  tensors: { ...prefixed('params', prior), x: drawn('x', image28), t: times() },
  async prepare() {
    const { x, t } = this.tensors;
    const forward = await compile(
      ({ params, x, t }) => ({ output: unet(DEFAULT_UNET, params, x as Tensor4D, t) }),
      specOf({ x: x!, t: t! }),
      { constants: { params: prior } },
    );
    return prepared(forward, () => forward.run({ x: x!, t: t! }));
  },
};

function times(): NdArray {
  return float32([BATCH], uniform(foldIn(key, 't'), BATCH));
}

interface Compiled {
  readonly flops: number | null;
  readonly compileSeconds: number;
  dispose(): Promise<void>;
}

function prepared(compiled: Compiled, run: PreparedCase['run']): PreparedCase {
  const { flops, compileSeconds } = compiled;
  return { flops: flops ?? 0, compileSeconds, run, dispose: () => compiled.dispose() };
}

/** Runs a training step repeatedly on its own results. */
function training(
  compiled: Compiled & {
    run(
      state: TrainingState<NdArray>,
    ): Promise<TrainingState<NdArray> & { loss: NdArray; gradientNorm: NdArray }>;
  },
  params: ArrayMap,
): PreparedCase {
  let state = initialState(params, OPTIMIZER);
  return prepared(compiled, async () => {
    const { loss, gradientNorm, ...next } = await compiled.run(state);
    state = next;
    return { loss: float32([1], loss.data), gradientNorm: float32([1], gradientNorm.data) };
  });
}

function classifierTraining(name: string, size: number, channels: number, classes: number): ComputeCase {
  const { network, params } = classifierOf(channels, classes);
  const images = drawn(`images ${size}`, [BATCH, channels, size, size], 0.5);
  const labels = oneHot(BATCH, classes);
  return {
    name,
    unit: 'steps/s',
    units: 1,
    settings: { kind: 'classifierStep', classifier: network },
    tensors: { ...prefixed('params', params), images, labels },
    async prepare() {
      const ones = float32([BATCH], new Array<number>(BATCH).fill(1));
      const batch = { images, labels, mask: ones, weights: ones, adjustment: zeros([classes]) };
      const scalars = SCALARS;
      const state = initialState(params, OPTIMIZER);
      const step = await compile(classifierStep(network, STEP), specOf({ state, batch, scalars }));
      return training({ ...step, run: (state) => step.run({ state, batch, scalars }) }, params);
    },
  };
}

const priorTraining: ComputeCase = {
  name: 'prior-train-step',
  unit: 'steps/s',
  units: 1,
  settings: { kind: 'denoiserStep', unet: DEFAULT_UNET },
  tensors: { ...prefixed('params', prior), ...denoiserBatch() },
  async prepare() {
    const batch = denoiserBatch();
    const scalars = SCALARS;
    const state = initialState(prior, OPTIMIZER);
    const step = await compile(denoiserStep(DEFAULT_UNET, 'v', STEP), specOf({ state, batch, scalars }));
    return training({ ...step, run: (state) => step.run({ state, batch, scalars }) }, prior);
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

function guidedSamplingCase(): ComputeCase {
  const { network, params } = classifierOf(1, 10);
  const { guidance, steps, startTime, shardSize } = synthesisConfigSchema.parse({});
  const rows = samplerSteps('ddim', uniformLevels(startTime, steps)).map((row) => ({
    ...row,
    weight: guidanceStrength(guidance, row.t),
  }));
  const x = drawn('start', [shardSize, 1, 28, 28]);
  const labels = oneHot(shardSize, 10);
  return {
    name: 'guided-sampling',
    unit: 'images/s',
    units: shardSize,
    settings: {
      kind: 'guidedSampling',
      unet: DEFAULT_UNET,
      classifier: network,
      rows,
      softening: guidance.softening,
      lowPass: guidance.lowPass,
    },
    tensors: { ...prefixed('params', params), ...prefixed('prior', prior), x, labels },
    async prepare() {
      const network_ = { network: DEFAULT_UNET, prediction: 'v' } as const;
      const fixed = { labelsOneHot: labels };
      const scalar = float32([], [0]);
      const step = await compile(
        guidedStep(network_, network, { ...guidance, clip: true }),
        specOf({ ...fixed, x, previousX0: x, weight: scalar, ...scalarsOf(rows[0]!) }),
        { constants: { prior, classifier: params } },
      );
      const run = async () => {
        let now = { x, x0: zeros(x.shape) };
        for (const row of rows) {
          const weight = float32([], [row.weight]);
          now = await step.run({ ...fixed, x: now.x, previousX0: now.x0, weight, ...scalarsOf(row) });
        }
        return { output: now.x };
      };
      return { ...prepared(step, run), flops: (step.flops ?? 0) * rows.length };
    },
  };
}

export const guidedSampling = guidedSamplingCase();

/** A large matrix product: this core's practical peak. */
export const sgemm: ComputeCase = {
  name: 'sgemm',
  unit: 'products/s',
  units: 1,
  settings: { kind: 'sgemm' },
  tensors: { a: drawn('a', [1024, 1024], 0.03) },
  async prepare() {
    const a = this.tensors['a']!;
    const product = await compile(({ a }) => ({ output: a.matMul(a) }), specOf({ a }));
    return prepared(product, () => product.run({ a }));
  },
};

export const COMPUTE_CASES: readonly ComputeCase[] = [
  denoiserForward,
  classifierTraining('classifier-train-step-28', 28, 1, 10),
  classifierTraining('classifier-train-step-64', 64, 3, 7),
  priorTraining,
  guidedSampling,
];
