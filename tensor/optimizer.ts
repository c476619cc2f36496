/**
 * Optimisers as pure functions inside a compiled step: `init` creates the state, `update` maps (parameters, gradients,
 * state, scalars) to new parameters and state. Values that change with the step but not with the data (learning rate,
 * bias corrections) are computed outside, in double precision, and fed as `scalars`, so one graph serves every step.
 *
 *   SGD   m ← μ m + g + λ θ;  θ ← θ − η m                                       (heavy ball, as in PyTorch)
 *   AdamW m ← β₁ m + (1−β₁) g;  v ← β₂ v + (1−β₂) g²;
 *         θ ← θ − η λ θ − η (m / c₁) / (√(v / c₂) + ε),  cᵢ = 1 − βᵢᵗ            (Loshchilov and Hutter 1711.05101)
 *
 * Weight decay λ applies to weights (two axes or more), not to biases and normalisation scales.
 */
import { zeros } from './array.ts';
import type { ArrayMap } from './array.ts';
import { named } from './named.ts';
import tf from './tf.ts';
import type { Tensor } from './tf.ts';

export type TensorMap = Readonly<Record<string, Tensor>>;

export type OptimizerUpdate = {
  readonly params: TensorMap;
  readonly state: Readonly<Record<string, TensorMap>>;
};

export interface Optimizer {
  /** State before the first step: slots (`momentum`, …) of one array per parameter. */
  init(params: ArrayMap): Readonly<Record<string, ArrayMap>>;
  /** Numbers that `update` needs at a step; `step` counts from 1. */
  scalars(step: number, learningRate: number): Readonly<Record<string, number>>;
  update(
    params: TensorMap,
    gradients: TensorMap,
    state: Readonly<Record<string, TensorMap>>,
    scalars: TensorMap,
  ): OptimizerUpdate;
}

/** Names of `scalars`, for a compiled step's signature. */
export function scalarNames(optimizer: Optimizer): string[] {
  return Object.keys(optimizer.scalars(1, 0));
}

export const sgd = named('sgd', ({ momentum = 0.9, weightDecay = 0 } = {}): Optimizer => {
  return {
    init: (params) => ({ momentum: likeZeros(params) }),
    scalars: (_step, learningRate) => ({ learningRate }),
    update: (params, gradients, state, { learningRate }) => {
      const velocity = mapTensors(params, (theta, name) => {
        const decayed = decays(theta)
          ? tf.add(gradients[name]!, tf.mul(theta, weightDecay))
          : gradients[name]!;
        return tf.add(tf.mul(state['momentum']![name]!, momentum), decayed);
      });
      return {
        params: mapTensors(params, (theta, name) => tf.sub(theta, tf.mul(velocity[name]!, learningRate!))),
        state: { momentum: velocity },
      };
    },
  };
});

export const adamW = named(
  'adamW',
  ({ beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, weightDecay = 0 } = {}): Optimizer => {
    return {
      init: (params) => ({ mean: likeZeros(params), variance: likeZeros(params) }),
      // θ − (η/c₁) m / (√v/√c₂ + ε), with both corrections folded into scalars
      scalars: (step, learningRate) => ({
        learningRate: learningRate / (1 - beta1 ** step),
        varianceScale: 1 / Math.sqrt(1 - beta2 ** step),
        decay: learningRate * weightDecay,
      }),
      update: (params, gradients, state, { learningRate, varianceScale, decay }) => {
        const blend = (slot: string, beta: number, of: (g: Tensor) => Tensor) =>
          mapTensors(params, (_, name) =>
            tf.add(tf.mul(state[slot]![name]!, beta), tf.mul(of(gradients[name]!), 1 - beta)),
          );
        const mean = blend('mean', beta1, (g) => g);
        const variance = blend('variance', beta2, (g) => tf.square(g));
        const updated = mapTensors(params, (theta, name) => {
          const deviation = tf.add(tf.mul(tf.sqrt(variance[name]!), varianceScale!), epsilon);
          const change = tf.div(tf.mul(mean[name]!, learningRate!), deviation);
          return tf.sub(
            decays(theta) && weightDecay > 0 ? tf.sub(theta, tf.mul(theta, decay!)) : theta,
            change,
          );
        });
        return { params: updated, state: { mean, variance } };
      },
    };
  },
);

/** Scales all gradients by min(1, limit / ‖g‖), ‖g‖ over all of them together (Pascanu et al. 1211.5063). */
export function clipByGlobalNorm(
  gradients: TensorMap,
  limit: number,
): { gradients: TensorMap; norm: Tensor } {
  const squares = Object.values(gradients).map((gradient) => tf.sum(tf.square(gradient)));
  const norm = tf.sqrt(tf.addN(squares));
  const factor = tf.minimum(1, tf.div(limit, tf.add(norm, 1e-6)));
  return { gradients: mapTensors(gradients, (gradient) => tf.mul(gradient, factor)), norm };
}

/** Exponential moving average of parameters: decay · average + (1 − decay) · params. */
export function movingAverage(average: TensorMap, params: TensorMap, decay: Tensor): TensorMap {
  return mapTensors(average, (old, name) => tf.add(tf.mul(tf.sub(old, params[name]!), decay), params[name]!));
}

/**
 * Maps the names of `params` to a form in which all vectors (biases, scales) are joined into one, and back:
 * per-parameter operations are then done on all vectors at once, which saves hundreds of small operations.
 */
export function vectorsJoined(params: TensorMap): {
  readonly join: (map: TensorMap) => TensorMap;
  readonly split: (map: TensorMap) => TensorMap;
} {
  const joined = 'vectors';
  const names = Object.keys(params);
  const vectors = names.filter((name) => params[name]!.rank === 1);
  if (vectors.length < 2) return { join: (map) => map, split: (map) => map };
  const others = names.filter((name) => !vectors.includes(name));
  const take = (map: TensorMap) => Object.fromEntries(others.map((name) => [name, map[name]!]));
  const sizes = vectors.map((name) => params[name]!.size);
  return {
    join: (map) => ({ ...take(map), [joined]: tf.concat(vectors.map((name) => map[name]!)) }),
    split: (map) => {
      const pieces = tf.split(map[joined]!, sizes);
      return { ...take(map), ...Object.fromEntries(vectors.map((name, i) => [name, pieces[i]!])) };
    },
  };
}

/** Learning-rate factor in [0, 1] at a step (from 1 to `total`). */
export type Schedule = (step: number, total: number) => number;

/** Half a cosine from 1 to 0 (Loshchilov and Hutter 1608.03983). */
export const cosineSchedule: Schedule = (step, total) => 0.5 * (1 + Math.cos((Math.PI * (step - 1)) / total));

export const constantSchedule: Schedule = () => 1;

/** A tenth after each given fraction of the run (the paper's steps: 60, 120, 180 of 200 epochs). */
export const stepSchedule: Schedule = (step, total) =>
  [0.3, 0.6, 0.9].reduce((factor, fraction) => (step - 1 >= fraction * total ? factor / 10 : factor), 1);

/** Linear growth over the first `steps` steps, then `after`, undelayed. */
export function withWarmup(steps: number, after: Schedule): Schedule {
  return (step, total) => Math.min(1, step / Math.max(1, steps)) * after(step, total);
}

function decays(theta: Tensor): boolean {
  return theta.rank >= 2;
}

function likeZeros(params: ArrayMap): ArrayMap {
  return Object.fromEntries(Object.entries(params).map(([name, { shape }]) => [name, zeros(shape)]));
}

function mapTensors(map: TensorMap, replace: (tensor: Tensor, name: string) => Tensor): TensorMap {
  return Object.fromEntries(Object.entries(map).map(([name, tensor]) => [name, replace(tensor, name)]));
}
