/**
 * Guidance wraps a denoiser and returns a denoiser, so samplers know nothing about classifiers. With y the wanted
 * class, w the strength, d the number of values of an image, and x_t = a·x0 + s·ε:
 *
 *   released-noisy   g = ∇_{x_t} log p(y | x_t);   ε' = ε − s·w·g                    (Dhariwal and Nichol 2105.05233)
 *   released-x0      g = ∇_{x̂0} log p(y | x̂0)/a with ε held constant;   ε' = ε − s·w·g
 *                    in both x̂0' = (x_t − s·ε')/a = x̂0 + w·(s²/a)·g; unbounded as a → 0
 *   normalized       x̂0 = clip(x̂0);   g = ∇_{x̂0} f(x̂0);   x̂0' = clip(x̂0 + w·√d·g/‖g‖), norm per image
 *   prior-features   g = ∇_{x_t} f(x_t), f from a classifier of noised images (models/prior-head.ts); then as normalized
 *   none             x̂0' = x̂0
 *
 * Two options of the normalised rule keep g from stamping the classifier's own textures on images: g as the mean over
 * copies x̂0 + σ·n with drawn noise n (SmoothGrad, Smilkov et al. 1706.03825), and g blurred by a 5×5 binomial kernel.
 *
 * x̂0 is detached: the denoiser itself is never differentiated. f is the objective of the chosen direction (below); the
 * released rules always ascend plain log p. `clip` bounds the released rules' and the unguided x̂0 before the gradient,
 * and ε then follows from the bounded x̂0; x̂0' is not bounded again, as in the released code.
 *
 * Directions: `confident` ascends the softened log-probability log(e^{τ1 z_y}/Σ_j e^{τ2 z_j}) (EluCD, 2310.11311).
 * `hard` ascends the entropy of softmax(z) (feedback-guided synthesis, 2310.00158; Deliberate Practice, 2502.15588)
 * while y is the likeliest class, and log p(y) where it is not: the prior knows no classes, so nothing else would keep
 * the image in its class. `mixed` is `confident` for the even and `hard` for the odd places of the batch.
 */
import { conv2d } from '../tensor/ops.ts';
import tf from '../tensor/tf.ts';
import type { Scalar, Tensor, Tensor1D, Tensor2D, Tensor4D } from '../tensor/tf.ts';
import type { Denoiser, Level } from './denoiser.ts';

export type GuidanceRule = 'normalized' | 'prior-features' | 'released-noisy' | 'released-x0' | 'none';
export type GuidanceDirection = 'confident' | 'hard' | 'mixed';
export type StrengthSchedule = 'sine' | 'interval' | 'constant';

export interface GuidanceConfig {
  readonly rule: GuidanceRule;
  /** Whether x̂0 is bounded to [−1, 1] before the gradient; `normalized` always does, before and after. */
  readonly clip: boolean;
  /** τ1, τ2 of the `normalized` and `prior-features` rules, which also share the next two options. */
  readonly softening: readonly [number, number];
  /** Direction of the `normalized` rule. */
  readonly direction: GuidanceDirection;
  /** Whether the `normalized` rule blurs its gradient. */
  readonly lowPass: boolean;
}

export interface GuidanceInputs {
  /** [n, k]: the target class of each image. */
  readonly labelsOneHot: Tensor2D;
  /** Strength w at this step, a scalar; see `guidanceStrength`. */
  readonly weight: Scalar;
  /** Noise added to x̂0 for each copy whose gradient the `normalized` rule averages: [copies·n, c, h, w]. */
  readonly copyNoise?: Tensor4D | undefined;
}

/** Images [n, c, h, w] at a level → logits [n, k]. An image must not influence another one's logits. */
export type LogitsOf = (x: Tensor4D, level: Level) => Tensor2D;

/** The guided denoiser. */
export function guide(
  denoise: Denoiser,
  logitsOf: LogitsOf,
  config: GuidanceConfig & GuidanceInputs,
): Denoiser {
  const { rule, clip, labelsOneHot, weight } = config;
  const logProbability = (z: Tensor2D) => softenedLogProbability(z, labelsOneHot, [1, 1]);
  switch (rule) {
    case 'none':
      return (x, level) => bounded(denoise(x, level), clip);
    case 'released-noisy':
      return (x, level) => {
        const g = gradientOf((at) => logitsOf(at, level), logProbability, x);
        const strength = tf.div(tf.mul(weight, tf.square(level.s)), level.a);
        return tf.add(bounded(denoise(x, level), clip), tf.mul(strength, g));
      };
    case 'released-x0':
      return (x, level) => {
        const x0 = bounded(denoise(x, level), clip);
        const strength = tf.mul(weight, tf.square(tf.div(level.s, level.a)));
        const g = gradientOf((at) => logitsOf(at, level), logProbability, x0);
        return tf.add(x0, tf.mul(strength, g));
      };
    case 'normalized':
      return (x, level) => {
        const x0 = bounded(denoise(x, level), true);
        const g = smoothGradient((at) => logitsOf(at, level), config, x0);
        return bounded(tf.add(x0, tf.mul(weight, unitStep(g))), true);
      };
    case 'prior-features':
      return (x, level) => {
        const g = smoothGradient((at) => logitsOf(at, level), config, x);
        return bounded(tf.add(bounded(denoise(x, level), true), tf.mul(weight, unitStep(g))), true);
      };
    default:
      return rule satisfies never;
  }
}

/** Gradient with respect to each image of Σ_images objective(logits): [n, c, h, w]. */
function gradientOf(
  logitsOf: (x: Tensor4D) => Tensor2D,
  objective: (z: Tensor2D) => Tensor1D,
  x: Tensor4D,
): Tensor4D {
  return tf.grad((images: Tensor) => tf.sum<Scalar>(objective(logitsOf(images as Tensor4D))))(x) as Tensor4D;
}

/** The gradient that the `normalized` rule follows: averaged and blurred as configured. */
function smoothGradient(
  logitsOf: (x: Tensor4D) => Tensor2D,
  { direction, softening, lowPass, labelsOneHot, copyNoise }: GuidanceConfig & GuidanceInputs,
  x0: Tensor4D,
): Tensor4D {
  const objective = (z: Tensor2D) => objectiveOf(direction, z, labelsOneHot, softening);
  const n = x0.shape[0];
  const copies = copyNoise === undefined ? 0 : copyNoise.shape[0] / n;
  const parts = Array.from({ length: copies }, (_, i): Tensor4D => {
    const copy: Tensor4D = tf.add(x0, tf.slice(copyNoise!, i * n, n));
    return gradientOf(logitsOf, objective, copy);
  });
  const g = copies === 0 ? gradientOf(logitsOf, objective, x0) : tf.div<Tensor4D>(tf.addN(parts), copies);
  return lowPass ? blurred(g) : g;
}

const BINOMIAL = [1, 4, 6, 4, 1] as const;

/** Each channel of [n, c, h, w] convolved with the 5×5 binomial kernel of sum 1; zeros beyond the edges. */
export function blurred(x: Tensor4D): Tensor4D {
  const [n, c, height, width] = x.shape;
  const kernel = BINOMIAL.flatMap((row) => BINOMIAL.map((column) => (row * column) / 256));
  const planes: Tensor4D = tf.reshape(x, [n * c, 1, height, width]);
  return tf.reshape(conv2d(planes, tf.tensor4d(kernel, [1, 1, 5, 5])), [n, c, height, width]);
}

/** The denoiser whose estimate is moved by `shift` [n, c, h, w] (models/lda.ts) and bounded to [−1, 1]. */
export function shifted(denoise: Denoiser, shift: Tensor4D): Denoiser {
  return (x, level) => bounded(tf.add(denoise(x, level), shift), true);
}

function bounded(x: Tensor4D, clip: boolean): Tensor4D {
  return clip ? tf.clipByValue(x, -1, 1) : x;
}

/** √d·g/‖g‖ per image: root mean square 1; a gradient of (nearly) zero becomes zero. */
export function unitStep(g: Tensor4D): Tensor4D {
  const [, c, height, width] = g.shape;
  const squaredNorm = tf.sum(tf.square(g), [1, 2, 3], true);
  const scale = tf.rsqrt(tf.maximum(squaredNorm, 1e-24));
  return tf.mul(g, tf.mul(scale, Math.sqrt(c * height * width)));
}

/** log(e^{τ1 z_y} / Σ_j e^{τ2 z_j}) per image: [n, k] → [n]. */
export function softenedLogProbability(
  logits: Tensor2D,
  labelsOneHot: Tensor2D,
  [tau1, tau2]: readonly [number, number],
): Tensor1D {
  // = (τ1 − τ2)·z_y + log softmax(τ2·z)_y, which cannot overflow
  const scaled = tau2 === 1 ? logits : tf.mul(logits, tau2);
  const logSoftmax = tf.logSoftmax(scaled);
  const terms = tau1 === tau2 ? logSoftmax : tf.add(tf.mul(logits, tau1 - tau2), logSoftmax);
  return tf.sum(tf.mul(labelsOneHot, terms), -1);
}

/** The objective that the `normalized` rule ascends, per image: [n, k] → [n]. */
export function objectiveOf(
  direction: GuidanceDirection,
  logits: Tensor2D,
  labelsOneHot: Tensor2D,
  softening: readonly [number, number],
): Tensor1D {
  switch (direction) {
    case 'confident':
      return softenedLogProbability(logits, labelsOneHot, softening);
    case 'hard':
      return hardObjective(logits, labelsOneHot);
    case 'mixed': {
      const odd = tf.tensor1d(Array.from({ length: logits.shape[0] }, (_, i) => i % 2));
      const confident = softenedLogProbability(logits, labelsOneHot, softening);
      return tf.add(tf.mul(tf.sub(1, odd), confident), tf.mul(odd, hardObjective(logits, labelsOneHot)));
    }
    default:
      return direction satisfies never;
  }
}

/** Entropy of softmax(z) where y is the likeliest class, log p(y) elsewhere; the choice itself has no gradient. */
function hardObjective(logits: Tensor2D, labelsOneHot: Tensor2D): Tensor1D {
  const logP = tf.logSoftmax(logits);
  const entropy = tf.neg(tf.sum(tf.mul(tf.exp(logP), logP), -1));
  const wanted = tf.sum(tf.mul(labelsOneHot, logP), -1);
  const won = isLikeliest(logits, labelsOneHot);
  return tf.add(tf.mul(won, entropy), tf.mul(tf.sub(1, won), wanted));
}

/** 1 where no class has a larger logit than the label's, else 0: [n]; its gradient is zero. */
function isLikeliest(logits: Tensor2D, labelsOneHot: Tensor2D): Tensor1D {
  const choose = tf.customGrad((z, save) => {
    (save as (tensors: Tensor[]) => void)([z as Tensor2D]); // eager engines free tensors that are not saved for the gradient
    const wanted = tf.sum(tf.mul(labelsOneHot, z as Tensor2D), -1);
    return {
      value: tf.cast(tf.greaterEqual(wanted, tf.max(z as Tensor2D, -1)), 'float32'),
      gradFunc: (_dy: Tensor, [saved]: Tensor[]) => tf.zerosLike(saved!),
    };
  });
  return choose(logits) as Tensor1D;
}

/**
 * Strength w at time t in [0, 1] (cosine schedule's time), float64: scale·sin(πt), or scale inside the closed interval
 * and 0 outside, or scale throughout.
 */
export function guidanceStrength(
  config: {
    readonly schedule: StrengthSchedule;
    readonly scale: number;
    readonly interval: readonly [number, number];
  },
  t: number,
): number {
  const { schedule, scale, interval } = config;
  switch (schedule) {
    case 'sine':
      return scale * Math.sin(Math.PI * t);
    case 'interval':
      return t >= interval[0] && t <= interval[1] ? scale : 0;
    case 'constant':
      return scale;
    default:
      return schedule satisfies never;
  }
}
