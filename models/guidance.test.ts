import { describe, expect, it } from 'vitest';
import tf from '../tensor/tf.ts';
import type { Tensor, Tensor2D } from '../tensor/tf.ts';
import { sample } from './gaussian-case.ts';
import type { GaussianCase } from './gaussian-case.ts';
import { blurred, guidanceStrength, guide, objectiveOf, unitStep } from './guidance.ts';
import type { GuidanceConfig } from './guidance.ts';
import { uniformLevels } from './schedule.ts';
import type { NoiseLevel } from './schedule.ts';

await tf.setBackend('cpu');

const CASE: GaussianCase = {
  mean: [0.6, -0.8],
  variance: [0.7, 0.4],
  W: [
    [1.5, -0.5],
    [-1, 0.3],
    [0.2, 0.9],
  ],
  b: [0.1, -0.2, 0.3],
  labels: [0, 1, 2],
  x: [0.4, -1.1, 0.9, 0.2, -0.7, 1.3],
  shape: [3, 1, 1, 2],
};

const RELEASED = { clip: false, softening: [1, 1], direction: 'confident', lowPass: false } as const;
const NORMALIZED = { rule: 'normalized', clip: true, softening: [1, 0.5], lowPass: false } as const;

type Vector = readonly number[];
const clip = (v: Vector) => v.map((value) => Math.min(Math.max(value, -1), 1));
const plus = (u: Vector, k: number, v: Vector) => u.map((value, i) => value + k * v[i]!);
const softmax = (z: Vector) => {
  const e = z.map(Math.exp);
  return e.map((value) => value / e.reduce((total, one) => total + one));
};
const scores = ({ W, b }: GaussianCase, x: Vector) =>
  W.map((w, c) => w.reduce((total, value, i) => total + value * x[i]!, b[c]!));
/** Σ_c k_c·W_c */
const mixed = ({ W }: GaussianCase, k: Vector) =>
  W[0]!.map((_, i) => W.reduce((total, w, c) => total + k[c]! * w[i]!, 0));

/** ∇_x log(e^{τ1 z_y}/Σ e^{τ2 z_j}) = τ1·W_y − τ2·Σ_j softmax(τ2·z)_j·W_j */
function gradient(
  model: GaussianCase,
  x: Vector,
  y: number,
  [tau1, tau2]: readonly [number, number],
): Vector {
  const p = softmax(scores(model, x).map((z) => tau2 * z));
  return mixed(
    model,
    p.map((value, c) => (c === y ? tau1 : 0) - tau2 * value),
  );
}

/** ∇_x H = −Σ_c p_c·(log p_c + H)·W_c where y wins, ∇ log p_y where not. */
function hardGradient(model: GaussianCase, x: Vector, y: number): Vector {
  const p = softmax(scores(model, x));
  if (p[y]! < Math.max(...p)) return gradient(model, x, y, [1, 1]);
  const entropy = -p.reduce((total, value) => total + value * Math.log(value), 0);
  return mixed(
    model,
    p.map((value) => -value * (Math.log(value) + entropy)),
  );
}

/** The recursion of one image in float64, DDIM written as in the papers: by ε, without the table. */
function recursion(
  model: GaussianCase,
  image: number,
  config: GuidanceConfig,
  levels: NoiseLevel[],
  weight: (t: number) => number,
) {
  const d = model.mean.length;
  const y = model.labels[image]!;
  let x: Vector = model.x.slice(image * d, (image + 1) * d);
  for (const [i, { t, a, s }] of levels.slice(0, -1).entries()) {
    const next = levels[i + 1]!;
    let epsilon: Vector = x.map(
      (value, j) => (s * (value - a * model.mean[j]!)) / (a * a * model.variance[j]! + s * s),
    );
    const x0Of = () => plus(x, -s, epsilon).map((value) => value / a);
    const epsilonOf = (x0: Vector) => plus(x, -a, x0).map((value) => value / s);
    if (config.clip) epsilon = epsilonOf(clip(x0Of()));
    switch (config.rule) {
      case 'released-noisy':
        epsilon = plus(epsilon, -s * weight(t), gradient(model, x, y, [1, 1]));
        break;
      case 'released-x0':
        epsilon = plus(epsilon, (-s * weight(t)) / a, gradient(model, x0Of(), y, [1, 1]));
        break;
      case 'normalized': {
        const hard = config.direction === 'hard' || (config.direction === 'mixed' && image % 2 === 1);
        const x0 = x0Of();
        const g = hard ? hardGradient(model, x0, y) : gradient(model, x0, y, config.softening);
        epsilon = epsilonOf(clip(plus(x0, (weight(t) * Math.sqrt(d)) / Math.hypot(...g), g)));
        break;
      }
      case 'prior-features': // needs a prior's network: models/prior-head.test.ts
      case 'none':
    }
    x = plus(
      x0Of().map((value) => next.a * value),
      next.s,
      epsilon,
    );
  }
  return x;
}

describe('each rule follows its own closed-form recursion', () => {
  const levels = uniformLevels(0.9, 12);
  const sine = (t: number) => 0.25 * Math.sin(Math.PI * t);
  const configs: readonly GuidanceConfig[] = [
    { ...RELEASED, rule: 'none' },
    { ...RELEASED, rule: 'none', clip: true },
    { ...RELEASED, rule: 'released-noisy' },
    { ...RELEASED, rule: 'released-noisy', clip: true },
    { ...RELEASED, rule: 'released-x0' },
    { ...RELEASED, rule: 'released-x0', clip: true },
    { ...NORMALIZED, direction: 'confident' },
    { ...NORMALIZED, direction: 'hard' },
    { ...NORMALIZED, direction: 'mixed' },
  ];
  it.each(configs)('$rule, $direction, clip $clip', (config) => {
    const expected = CASE.labels.flatMap((_, image) => recursion(CASE, image, config, levels, sine));
    const actual = sample(CASE, config, 'ddim', levels, sine).at(-1)!;
    for (const [i, value] of expected.entries()) expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-5);
  });

  it('the case is one where clipping and direction matter', () => {
    const results = configs.map((config) =>
      CASE.labels.flatMap((_, image) => recursion(CASE, image, config, levels, sine)),
    );
    const distance = (u: Vector, v: Vector) => Math.max(...plus(u, -1, v).map(Math.abs));
    for (const [i, one] of results.entries())
      for (const other of results.slice(0, i)) expect(distance(one, other)).toBeGreaterThan(1e-3);
  });

  // One pixel, data N(0, 1) so x̂0 = a·x, scores (x, −x), y = 0, from (a, s) = (0.6, 0.8) to (0.8, 0.6), x = 0, w = 1/4:
  // x̂0 = 0, ∇ log p = 2·(1 − ½) = 1, cD = 0.8 − 0.6·0.75 = 0.35, so x' = 0.35·x̂0' with
  // x̂0' = w·0.64/0.6, w·0.64/0.36, w, 0.
  it.each([
    ['released-noisy', 0.0933333],
    ['released-x0', 0.1555556],
    ['normalized', 0.0875],
    ['none', 0],
  ] as const)('%s moves one pixel as worked out by hand', (rule, expected) => {
    const pixel: GaussianCase = {
      mean: [0],
      variance: [1],
      W: [[1], [-1]],
      b: [0, 0],
      labels: [0],
      x: [0],
      shape: [1, 1, 1, 1],
    };
    const levels = [
      { t: 0.6, a: 0.6, s: 0.8 },
      { t: 0.4, a: 0.8, s: 0.6 },
    ];
    const [after] = sample(pixel, { ...RELEASED, rule }, 'ddim', levels, () => 0.25);
    expect(after![0]).toBeCloseTo(expected, 6);
  });

  it('hands the guided estimate to a second-order sampler', () => {
    const config = { ...NORMALIZED, direction: 'confident' } as const;
    const [second, first] = (['dpmpp-2m', 'ddim'] as const).map((sampler) =>
      sample(CASE, config, sampler, levels, sine),
    );
    expect(second![0]).toEqual(first![0]);
    expect(second![1]).not.toEqual(first![1]);
  });
});

describe('the pieces', () => {
  it.each(['confident', 'hard', 'mixed'] as const)('%s: gradient equals finite differences', (direction) => {
    const logits = tf.tensor2d([1.2, 0.3, -0.4, 0.1, 0.9, 0.2, 2, -1, 0.4], [3, 3]);
    const labels = tf.oneHot([0, 2, 0], 3).toFloat() as Tensor2D;
    const objective = (z: Tensor) => objectiveOf(direction, z as Tensor2D, labels, [1, 0.5]).sum();
    const slope = tf.grad(objective)(logits).dataSync();
    for (let i = 0; i < 9; i++) {
      const step = tf.oneHot([i], 9).reshape([3, 3]).mul(1e-2);
      const up = objective(tf.add(logits, step)).dataSync()[0]!;
      const difference = (up - objective(tf.sub(logits, step)).dataSync()[0]!) / 2e-2;
      expect(Math.abs(slope[i]! - difference)).toBeLessThan(1e-3);
    }
  });

  it('a unit step has root mean square 1 in each image, and none without a gradient', () => {
    const g = tf.tensor4d([3, 4, 0, 0, 3e-6, 4e-6], [3, 1, 1, 2]);
    const expected = [0.6, 0.8, 0, 0, 0.6, 0.8].map((value) => value * Math.SQRT2);
    for (const [i, value] of unitStep(g).dataSync().entries()) expect(value).toBeCloseTo(expected[i]!, 5);
  });

  it('strength follows its schedule', () => {
    const config = { scale: 0.4, interval: [0.2, 0.8] } as const;
    expect(guidanceStrength({ ...config, schedule: 'sine' }, 0.5)).toBeCloseTo(0.4, 14);
    expect(guidanceStrength({ ...config, schedule: 'sine' }, 1 / 6)).toBeCloseTo(0.2, 14);
    expect([0.1, 0.2, 0.8, 0.9].map((t) => guidanceStrength({ ...config, schedule: 'interval' }, t))).toEqual(
      [0, 0.4, 0.4, 0],
    );
    expect(guidanceStrength({ ...config, schedule: 'constant' }, 1)).toBe(0.4);
  });
});

describe('a smoothed gradient', () => {
  // One image of two pixels, scores (x1·x2, 0), so ∇(z_0 − z_1) = (x2, x1): the mean over copies is that at their mean.
  const step = (copyNoise: number[] | undefined) => {
    const logitsOf = (x: Tensor) => {
      const flat = tf.reshape(x, [-1, 2]);
      const product = tf.prod(flat, 1, true);
      return tf.concat([product, tf.zerosLike(product)], 1) as Tensor2D;
    };
    const guided = guide((x) => x, logitsOf, {
      ...NORMALIZED,
      direction: 'confident',
      softening: [1, 1],
      labelsOneHot: tf.tensor2d([[1, 0]]),
      weight: tf.scalar(0.1),
      copyNoise:
        copyNoise === undefined ? undefined : tf.tensor4d(copyNoise, [copyNoise.length / 2, 1, 1, 2]),
    });
    const level = { t: tf.scalar(0.5), a: tf.scalar(1), s: tf.scalar(1) };
    return Array.from(guided(tf.tensor4d([0.3, 0], [1, 1, 1, 2]), level).dataSync());
  };

  it('is taken at x̂0 itself without copies', () => {
    // ∇ ∝ (0, 0.3): a step of 0.1·√2 along the second pixel
    expectNear(step(undefined), [0.3, 0.1 * Math.SQRT2]);
  });

  it('is the mean of the copies’ gradients', () => {
    // copies at (0.3, 0.4) and (0.3, −0.4) have p = σ(±0.12), so 1 − p = 0.4700 and 0.5300: the mean of
    // (1 − p)·(x2, x1) is (0.2·(0.4700 − 0.5300), 0.15·1) = (−0.011986, 0.15)
    const [g1, g2] = [0.2 * (1 / (1 + Math.exp(0.12)) - 1 / (1 + Math.exp(-0.12))), 0.15];
    const norm = Math.hypot(g1, g2) / Math.SQRT2;
    expectNear(step([0, 0.4, 0, -0.4]), [0.3 + (0.1 * g1) / norm, (0.1 * g2) / norm]);
  });
});

describe('blurred', () => {
  it('spreads a point over the 5×5 binomial kernel, each channel by itself', () => {
    const point = tf.buffer([1, 2, 5, 5]);
    point.set(256, 0, 0, 2, 2);
    const out = blurred(point.toTensor() as never).arraySync();
    const rows = [1, 4, 6, 4, 1];
    out[0]![0]!.forEach((row, y) =>
      expectNear(
        row,
        rows.map((column) => rows[y]! * column),
      ),
    );
    expect(Math.max(...out[0]![1]!.flat().map(Math.abs))).toBe(0);
  });

  it('removes a pattern that alternates from pixel to pixel', () => {
    const stripes = tf.tensor4d(
      Array.from({ length: 81 }, (_, i) => (i % 2 === 0 ? 1 : -1)),
      [1, 1, 9, 9],
    );
    const out = blurred(stripes).arraySync();
    expect(Math.abs(out[0]![0]![4]![4]!)).toBeLessThan(1e-6);
  });
});

function expectNear(actual: readonly number[], expected: readonly number[]): void {
  expect(actual).toHaveLength(expected.length);
  for (const [i, value] of expected.entries()) expect(Math.abs(actual[i]! - value)).toBeLessThan(1e-5);
}
